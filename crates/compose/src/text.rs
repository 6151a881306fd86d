//! Bytes become text: the encodings in which people save YAML, and nothing that is not text.

use crate::fault::{Code, Fault, Place};

/// Bytes of one file: a hundred times of what people write, and nothing of that size takes noticeable time.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The text of a file: UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// Too large, in another encoding, or with characters that YAML does not allow, as those of a compressed file.
pub(crate) fn decode(file: &str, bytes: &[u8]) -> Result<String, Fault> {
    let bad = |code, line, text: String| Fault::new(code, Place::new(file, line), text);
    if bytes.len() > MAX_FILE_BYTES {
        let text = format!("the file is larger than {} KiB, which is the most that is read", MAX_FILE_BYTES >> 10);
        return Err(bad(Code::Limit, 0, text));
    }
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(str::to_owned),
        _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
    };
    let not_text = "this is not text; expected YAML in UTF-8 (is it compressed, or encrypted?)";
    let text = text.ok_or_else(|| bad(Code::Syntax, 1, not_text.to_owned()))?;
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        None => Ok(text),
        Some((at, c)) => {
            let line = line_of(&text, at);
            Err(bad(Code::Syntax, line, format!("the control character {:?} is not allowed in YAML", c)))
        }
    }
}

/// Two bytes a character; a last odd byte makes it no text.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

/// What YAML calls printable.
fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{85}') || (!c.is_control() && !matches!(c, '\u{FFFE}' | '\u{FFFF}'))
}

/// The line, from 1, in which a byte lies.
fn line_of(text: &str, at: usize) -> u32 {
    let before = text.get(..at).unwrap_or("").matches('\n').count();
    u32::try_from(before + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_that_people_save_in() {
        let plain = "a: é\n";
        let le: Vec<u8> = [0xFF, 0xFE].into_iter().chain(plain.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let be: Vec<u8> = [0xFE, 0xFF].into_iter().chain(plain.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let bom: Vec<u8> = [0xEF, 0xBB, 0xBF].into_iter().chain(plain.bytes()).collect();
        for bytes in [plain.as_bytes(), &le, &be, &bom] {
            assert_eq!(decode("x", bytes).as_deref(), Ok(plain));
        }
        assert!(decode("x", &le[..le.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let gzip = decode("compose.yml", &[0x1f, 0x8b, 8, 0]).unwrap_err();
        assert_eq!((gzip.code, gzip.place.line), (Code::Syntax, 1));
        let control = decode("compose.yml", b"a: b\nc: \x01\n").unwrap_err();
        assert_eq!((control.code, control.place.line), (Code::Syntax, 2));
        let large = decode("compose.yml", &vec![b'a'; MAX_FILE_BYTES + 1]).unwrap_err();
        assert_eq!(large.code, Code::Limit);
    }
}
