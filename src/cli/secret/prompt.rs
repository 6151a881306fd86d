//! A value that a person types and that nobody sees.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::api::live::MAX_VALUE_BYTES;
use crate::cli::exit::{Exit, Failure};

/// What keys send while they are not shown: they are told apart here, so that Ctrl-C never leaves a silent terminal.
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];
const CLEAR: u8 = 0x15;

/// Asks for a value, twice, on the terminal itself.
///
/// # Errors
/// There is no terminal, the person interrupts, or the two differ.
pub(super) fn ask_twice(name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unusable = |error: io::Error| {
        Failure::usage(format!("the value cannot be asked for on this terminal: {error}; use --file or --exec"))
    };
    let mut tty = File::options().read(true).write(true).open("/dev/tty").map_err(unusable)?;
    let mut ask = |question: &str| {
        write!(tty, "{question}").map_err(unusable)?;
        let typed = hidden(&mut tty).map_err(unusable)?;
        writeln!(tty).map_err(unusable)?;
        typed.ok_or_else(|| Failure::new(Exit::Interrupted, "interrupted: nothing is changed"))
    };
    let first = ask(&format!("Value of {name} (is not shown): "))?;
    if first.is_empty() {
        return Ok(first);
    }
    match ask("The same once more: ")? == first {
        true => Ok(first),
        false => Err(Failure::usage("the two values differ: nothing is changed")),
    }
}

/// The terminal as it was, whatever happens.
struct Silent<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(tty: &'a File) -> io::Result<Self> {
        let before = tcgetattr(tty)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(tty, OptionalActions::Flush, &silent)?;
        Ok(Self { tty, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(self.tty, OptionalActions::Flush, &self.before) {
            tracing::debug!(%error, "the terminal cannot be set back");
        }
    }
}

fn hidden(tty: &mut File) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let silent = Silent::new(tty)?;
    typed(&mut { silent.tty })
}

/// One line of keys; none when the person interrupts.
fn typed(keys: &mut impl Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut value = Zeroizing::new(Vec::with_capacity(MAX_VALUE_BYTES));
    let mut key = [0];
    while keys.read(&mut key)? > 0 {
        match key[0] {
            INTERRUPT => return Ok(None),
            b'\n' | b'\r' | END => break,
            CLEAR => value.clear(),
            key if BACKSPACE.contains(&key) => while value.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            key if value.len() < MAX_VALUE_BYTES => value.push(key),
            _ => {}
        }
    }
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_a_value() {
        let value = |keys: &[u8]| typed(&mut &*keys).unwrap().map(|value| String::from_utf8(value.to_vec()).unwrap());
        assert_eq!(value(b"hunter2\rmore").as_deref(), Some("hunter2"));
        assert_eq!(value("hünx\u{7f}\u{7f}\u{7f}unter\n".as_bytes()).as_deref(), Some("hunter"));
        assert_eq!(value(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(value(b"\x7fa").as_deref(), Some("a"));
        assert_eq!(value(b"hunter\x03"), None);
    }
}
