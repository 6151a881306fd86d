//! What providers have in common when they read a body: JSON within limits, and fields of a known form.

use std::borrow::Cow;

use cutover_events::delivery::ChangeKind;
use http::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;

use super::signature::{Single, single};
use crate::intake::Refusal;

/// Deepest nesting of JSON that is read, a count: real payloads stay below 12.
const MAX_DEPTH: usize = 64;
/// Longest sender's id, in bytes: ids are UUIDs or a little longer, and each is a key of the log.
const MAX_ID_BYTES: usize = 255;
/// Longest name of an event, in bytes.
const MAX_EVENT_BYTES: usize = 100;
/// Longest repository name, in bytes: several times what any host allows.
const MAX_REPO_BYTES: usize = 512;
/// Longest reference, in bytes: git itself stops at a file name of 255 per part.
const MAX_REF_BYTES: usize = 1024;
/// Digits of a commit id, the shortest that is taken and the longest (SHA-256 repositories).
const SHA_DIGITS: std::ops::RangeInclusive<usize> = 7..=64;

/// The text in the field `payload` of a form.
pub(super) fn payload(form: &[u8]) -> Result<Cow<'_, str>, Refusal> {
    let field = form_urlencoded::parse(form).find(|(name, _)| name == "payload");
    field.map(|(_, value)| value).ok_or_else(|| Refusal::unreadable("the form has no field \"payload\""))
}

/// Reads JSON, at most 64 levels deep.
pub(super) fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    if depth(text) > MAX_DEPTH {
        return Err(Refusal::unreadable(format!("the body nests deeper than {MAX_DEPTH} levels")));
    }
    // A struct would be read from an array too, by position.
    if text.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
        return Err(Refusal::unreadable("the body must be a JSON object"));
    }
    serde_json::from_slice(text).map_err(|e| Refusal::unreadable(format!("the body is not the JSON expected: {e}")))
}

/// Deepest nesting of brackets outside strings; for text that is no JSON, something.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The sender's id in a header; an empty one is none.
pub(super) fn sender_id(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refusal> {
    match single(headers, name) {
        Single::Missing | Single::One("") => Ok(None),
        Single::One(id) if id.len() <= MAX_ID_BYTES => Ok(Some(id.to_owned())),
        Single::One(_) => Err(Refusal::unreadable(format!("the header {name} is longer than {MAX_ID_BYTES} bytes"))),
        Single::Unusable => Err(Refusal::unreadable(format!("the header {name} must be there once, in ASCII"))),
    }
}

/// The name of an event, from a header.
pub(super) fn event<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    match single(headers, name) {
        Single::One(event) if (1..=MAX_EVENT_BYTES).contains(&event.len()) && event.bytes().all(word) => Ok(event),
        Single::One(_) | Single::Unusable => {
            Err(Refusal::unreadable(format!("the header {name} must be there once and name an event, e.g. push")))
        }
        Single::Missing => Err(Refusal::unreadable(format!("the header {name} is missing; it names the event"))),
    }
}

/// The name of a repository.
pub(super) fn repo(text: String) -> Result<String, Refusal> {
    bounded("the name of the repository", text, MAX_REPO_BYTES)
}

/// A full reference and what it is about.
pub(super) fn reference(text: String) -> Result<(ChangeKind, String), Refusal> {
    let text = bounded("ref", text, MAX_REF_BYTES)?;
    let kind = match () {
        () if text.len() > "refs/heads/".len() && text.starts_with("refs/heads/") => ChangeKind::Branch,
        () if text.len() > "refs/tags/".len() && text.starts_with("refs/tags/") => ChangeKind::Tag,
        () => ChangeKind::Other,
    };
    Ok((kind, text))
}

/// A commit id, `None` for the zeros that stand for "no commit".
pub(super) fn commit(what: &str, text: &str) -> Result<Option<String>, Refusal> {
    let good = SHA_DIGITS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match good {
        true if text.bytes().all(|b| b == b'0') => Ok(None),
        true => Ok(Some(text.to_ascii_lowercase())),
        false => Err(Refusal::unreadable(format!("{what} must be a commit id: 7 to 64 hexadecimal digits"))),
    }
}

fn bounded(what: &str, text: String, limit: usize) -> Result<String, Refusal> {
    match () {
        () if text.len() > limit => Err(Refusal::unreadable(format!("{what} is longer than {limit} bytes"))),
        () if text.chars().any(char::is_control) => {
            Err(Refusal::unreadable(format!("{what} holds a control character")))
        }
        () => Ok(text),
    }
}
