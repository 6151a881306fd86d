//! Whether what the client has is still what there is. There are no dates to compare: an archive or a build sets them
//! as it likes, and a strong tag says more.

use http::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

/// What the conditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is sent.
    Send,
    /// The client has it: 304.
    Unchanged,
    /// The client wanted another one: 412.
    Changed,
}

/// `If-Match`, then `If-None-Match`, against the strong tag of what would be sent.
pub(super) fn judge(headers: &HeaderMap, etag: &HeaderValue) -> Verdict {
    if headers.contains_key(IF_MATCH) && !lists(headers, &IF_MATCH, |tag| tag == etag.as_bytes()) {
        return Verdict::Changed;
    }
    let same = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes();
    if headers.contains_key(IF_NONE_MATCH) && lists(headers, &IF_NONE_MATCH, same) {
        return Verdict::Unchanged;
    }
    Verdict::Send
}

/// Whether a range may be sent: without `If-Range`, or when that names exactly this content.
pub(super) fn ranges_apply(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes().trim_ascii() == etag.as_bytes())
}

/// Whether a list of tags has one that fits, or is `*`. Our tags have no comma, so theirs that do are not ours.
fn lists(headers: &HeaderMap, name: &http::HeaderName, fits: impl Fn(&[u8]) -> bool) -> bool {
    let tags = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    tags.map(<[u8]>::trim_ascii).any(|tag| tag == b"*" || fits(tag))
}
