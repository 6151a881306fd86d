//! A value from where it lies.

use std::io::{IsTerminal, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::{From, program, prompt};
use crate::api::live::MAX_VALUE_BYTES;
use crate::cli::exit::Failure;

/// Bytes of a file with values: hundreds of them.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The value that a person wants a secret to have. Of a value of one line the line end is left out: it comes from the
/// editor or the program, and a password with one is another password. A value of several lines, such as a key, stays as
/// it is.
///
/// # Errors
/// It cannot be read, is empty or too large.
pub(in crate::cli) async fn read(name: &str, from: &From) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let value = match (&from.file, &from.exec) {
        (Some(path), _) => read_file(path, MAX_VALUE_BYTES)?,
        (None, Some(command)) => program::output(command, MAX_VALUE_BYTES).await?,
        (None, None) if std::io::stdin().is_terminal() => prompt::ask_twice(name)?,
        (None, None) => read_file(Path::new("-"), MAX_VALUE_BYTES)?,
    };
    let value = without_line_end(value);
    if value.is_empty() {
        return Err(Failure::usage(format!("the value of {name} is empty: nothing is changed")));
    }
    Ok(value)
}

/// The bytes of a file; `-` is stdin.
///
/// # Errors
/// It cannot be read, or is larger than `most`.
pub(in crate::cli) fn read_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let most = most.min(MAX_FILE_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let mut read = |reader: &mut dyn Read| reader.take(most as u64 + 1).read_to_end(&mut bytes);
    let done = if path.as_os_str() == "-" {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    let shown = path.display();
    done.map_err(|error| Failure::usage(format!("{shown}: the file cannot be read: {error}")))?;
    if bytes.len() > most {
        return Err(Failure::usage(format!("{shown}: larger than {most} bytes")));
    }
    Ok(bytes)
}

fn without_line_end(mut value: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let ends = value.iter().filter(|byte| **byte == b'\n').count();
    if ends == 1 && value.last() == Some(&b'\n') {
        value.pop();
        if value.last() == Some(&b'\r') {
            value.pop();
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_of_one_line_has_no_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        for (content, value) in [
            (&b"hunter2\n"[..], &b"hunter2"[..]),
            (b"hunter2\r\n", b"hunter2"),
            (b"hunter2", b"hunter2"),
            (b" spaced \n", b" spaced "),
            (b"-----BEGIN\nxx\n-----END\n", b"-----BEGIN\nxx\n-----END\n"),
            (b"\xff\x00raw", b"\xff\x00raw"),
        ] {
            std::fs::write(&path, content).unwrap();
            let from = From { file: Some(path.clone()), exec: None };
            assert_eq!(*read("a", &from).await.unwrap(), value);
        }
    }

    #[tokio::test]
    async fn what_is_no_value_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        let from = From { file: Some(path.clone()), exec: None };
        assert!(read("a", &from).await.unwrap_err().line().contains("cannot be read"));
        for (content, word) in
            [(vec![], "empty"), (b"\n".to_vec(), "empty"), (vec![b'x'; MAX_VALUE_BYTES + 2], "larger")]
        {
            std::fs::write(&path, &content).unwrap();
            assert!(read("a", &from).await.unwrap_err().line().contains(word));
        }
    }
}
