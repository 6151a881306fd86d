//! A value that a program prints: any manager of passwords, without a shell in between.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::cli::exit::{Exit, Failure};

/// How long a program may take: it may ask its person for a finger or a code.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program prints on stdout. Its questions and errors go to the terminal.
///
/// # Errors
/// The command has no program or an open quote; the program is not there, fails, takes too long, or prints too much.
pub(super) async fn output(command: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let words = words(command).map_err(|why| Failure::usage(format!("--exec: {why}")))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage("--exec: no program; expected one as in --exec \"op read op://shop/db/password\""));
    };
    let failed = |why: String| Failure::new(Exit::Other, format!("--exec: {program} {why}"));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let stdout = child.stdout.take().ok_or_else(|| failed("has no output".into()))?;
    let work = async {
        let mut value = Zeroizing::new(Vec::with_capacity(most + 1));
        stdout.take(most as u64 + 1).read_to_end(&mut value).await?;
        // One that still prints is not waited for.
        let status = if value.len() > most { None } else { Some(child.wait().await?) };
        Ok::<_, std::io::Error>((value, status))
    };
    let done = tokio::time::timeout(LIMIT, work).await;
    let done = done.map_err(|_| failed(format!("has not ended within {} s, and was ended", LIMIT.as_secs())))?;
    let (value, status) = done.map_err(|error| failed(format!("cannot be read: {error}")))?;
    match status {
        None => Err(failed(format!("printed more than {most} bytes"))),
        Some(status) if !status.success() => Err(failed(format!("failed ({status}): nothing is changed"))),
        Some(_) => Ok(value),
    }
}

/// The words of a command, as a shell would split them: quotes keep blanks, a backslash keeps what follows. Nothing else
/// has a meaning.
fn words(command: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => quoted(&mut chars, '\'', word.get_or_insert_default())?,
            '"' => quoted(&mut chars, '"', word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("a backslash at the end")?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("a quote that does not end")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => word.push(chars.next().ok_or("a quote that does not end")?),
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_and_nothing_else_is_done() {
        let split = |text: &str| words(text).unwrap();
        assert_eq!(split("op read op://shop/db/password"), ["op", "read", "op://shop/db/password"]);
        assert_eq!(split(" pass  show 'a b'\"c \\\" d\"e\\ f '' "), ["pass", "show", "a bc \" de f", ""]);
        assert_eq!(split("echo $HOME `id` ; rm *"), ["echo", "$HOME", "`id`", ";", "rm", "*"]);
        assert!(split("").is_empty());
        for bad in ["a 'b", "a \"b", "a \"b\\", "a\\"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_program_is_run_without_a_shell() {
        assert_eq!(*output("printf '%s' '$HOME;id'", 100).await.unwrap(), b"$HOME;id");
        let line = |failure: Failure| failure.line();
        assert!(line(output("/no/such/program", 100).await.unwrap_err()).contains("cannot be started"));
        assert!(line(output("false", 100).await.unwrap_err()).contains("failed"));
        assert!(line(output("yes", 100).await.unwrap_err()).contains("more than 100 bytes"));
        assert!(line(output("  ", 100).await.unwrap_err()).contains("no program"));
    }
}
