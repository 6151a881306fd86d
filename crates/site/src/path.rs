//! Which paths there are: of requests, and of files in a release.
//!
//! A request is answered with what stands in a manifest and never with what lies on the disk. These rules are therefore
//! about what may enter a manifest, and about reading a request the same way once.

use std::borrow::Cow;

/// Bytes of a file's path in a release: no tool that people use makes longer ones, and a URL of that length passes
/// everywhere.
pub const MAX_PATH: usize = 1_024;
/// Bytes of one name in it: the limit of Linux's file systems.
pub const MAX_NAME: usize = 255;
/// The only name with a dot in front that is served: RFC 8615 asks for it.
const WELL_KNOWN: &str = ".well-known";

/// The path of a request, decoded once, with its slash in front. `None` for what no file can be called: a broken escape,
/// bytes that are not UTF-8, control characters, a backslash, `.` or `..` as a segment.
#[must_use]
pub fn decode(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.starts_with('/') {
        return None;
    }
    let path = if raw.contains('%') { Cow::Owned(unescape(raw)?) } else { Cow::Borrowed(raw) };
    let plain = path.bytes().all(|b| !b.is_ascii_control() && b != b'\\');
    let inside = !path.contains("/.") || path.split('/').all(|name| name != "." && name != "..");
    (plain && inside).then_some(path)
}

fn unescape(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            bytes.extend(byte);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Writes a decoded path so that it can stand in a URL.
#[must_use]
pub fn encode(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// What becomes of a name in a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// It is served under this path, without a slash in front.
    Kept(String),
    /// It has a dot in front and is left out.
    Hidden,
}

/// Judges a path in a source: segments `.` and doubled slashes are dropped, what has a dot in front is left out.
///
/// # Errors
/// One reason, for a person: absolute names, `..`, bytes that are not UTF-8, control characters, backslashes, and names
/// that are too long.
pub fn judge(raw: &[u8]) -> Result<Name, String> {
    let path = std::str::from_utf8(raw).map_err(|_| "its name is not UTF-8".to_owned())?;
    if path.starts_with('/') {
        return Err("its name is absolute".to_owned());
    }
    if path.bytes().any(|b| b.is_ascii_control() || b == b'\\') {
        return Err("its name has a control character or a backslash".to_owned());
    }
    let segments: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    if segments.contains(&"..") {
        return Err("its name leads out of the folder by ..".to_owned());
    }
    if segments.iter().any(|name| name.len() > MAX_NAME) {
        return Err(format!("a part of its name is longer than {MAX_NAME} bytes"));
    }
    if segments.iter().enumerate().any(|(n, name)| name.starts_with('.') && !(n == 0 && *name == WELL_KNOWN)) {
        return Ok(Name::Hidden);
    }
    let kept = segments.join("/");
    if kept.len() > MAX_PATH {
        return Err(format!("its path is longer than {MAX_PATH} bytes"));
    }
    Ok(Name::Kept(kept))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_decoded_once_and_cannot_climb() {
        assert_eq!(decode("/a/b.html").as_deref(), Some("/a/b.html"));
        assert_eq!(decode("/a%20b/%C3%A9").as_deref(), Some("/a b/é"));
        assert_eq!(decode("/%252e%252e/x").as_deref(), Some("/%2e%2e/x"));
        for bad in ["", "a", "/..", "/a/../b", "/%2e%2e/b", "/.%2E", "/a/%2e/b", "/a%00", "/a%0ab", "/%", "/%2", "/%zz"]
        {
            assert_eq!(decode(bad), None, "{bad}");
        }
        for bad in ["/a\\b", "/..%5cb", "/%ff", "/%c0%ae%c0%ae/", "/a%2f..%2fb", "*", "/%+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_of_a_source_are_judged() {
        let kept = |name: &str| Ok(Name::Kept(name.to_owned()));
        assert_eq!(judge(b"./a//b.html"), kept("a/b.html"));
        assert_eq!(judge(b".well-known/security.txt"), kept(".well-known/security.txt"));
        assert_eq!(judge(b"a/.well-known/x"), Ok(Name::Hidden));
        assert_eq!(judge(b".git/config"), Ok(Name::Hidden));
        assert_eq!(judge(b".well-known/.env"), Ok(Name::Hidden));
        for bad in [&b"/etc/passwd"[..], b"a/../../b", b"..", b"a\\b", b"a\nb", b"\xff", &[b'a'; MAX_NAME + 1]] {
            assert!(judge(bad).is_err(), "{bad:?}");
        }
        assert!(judge("abc/".repeat(300).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_to_the_same(path in "/[^\\x00-\\x1f\\x7f\\\\]{0,40}") {
            let climbs = path.split('/').any(|name| name == "." || name == "..");
            let encoded = encode(&path);
            prop_assert!(encoded.is_ascii());
            let decoded = decode(&encoded);
            prop_assert_eq!(decoded.as_deref(), if climbs { None } else { Some(path.as_str()) });
        }
    }
}
