//! `Range`, of one part or several, as RFC 9110 §14 has it.

use std::ops::Range;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, RANGE};

/// Parts of one answer: a reader of a PDF asks for fewer, and whoever asks for more gets the whole file.
const MAX_PARTS: usize = 16;

/// What a request wants of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These parts, in the order asked for; none is empty.
    Parts(Vec<Range<u64>>),
    /// Only what it does not have: 416.
    Nothing,
}

/// Reads `Range` for a file of this length. What cannot be read, other units, and more than is sensible mean the whole.
pub(super) fn wanted(headers: &HeaderMap, length: u64) -> Wanted {
    let Some(value) = headers.get(RANGE) else { return Wanted::Whole };
    let list = value.to_str().ok().and_then(|value| value.trim().split_once('='));
    let Some(list) = list.filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes")).map(|(_, list)| list) else {
        return Wanted::Whole;
    };
    let mut parts = Vec::new();
    let mut asked = 0_usize;
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        asked += 1;
        match one(part, length) {
            None => return Wanted::Whole,
            Some(range) if range.is_empty() => {}
            Some(range) => parts.push(range),
        }
        if asked > MAX_PARTS {
            return Wanted::Whole;
        }
    }
    let total: u64 = parts.iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
    match parts.len() {
        _ if asked == 0 => Wanted::Whole,
        0 => Wanted::Nothing,
        // Together more than the file: the parts overlap, and the whole is less.
        n if n > 1 && total > length => Wanted::Whole,
        _ => Wanted::Parts(parts),
    }
}

/// One part, empty when the file does not have it; `None` when it cannot be read.
fn one(part: &str, length: u64) -> Option<Range<u64>> {
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // A number that is too large is beyond the end of every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = part.split_once('-')?;
    if first.is_empty() {
        return Some(length.saturating_sub(number(last)?)..length);
    }
    let first = number(first)?;
    let end = if last.is_empty() { length } else { number(last)?.saturating_add(1) };
    if end <= first && !last.is_empty() {
        return None;
    }
    Some(first.min(length)..end.min(length))
}

/// `Content-Range` of a part.
pub(super) fn described(range: &Range<u64>, length: u64) -> HeaderValue {
    let text = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// `Content-Range` of a 416.
pub(super) fn unsatisfied(length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{length}")).unwrap_or(HeaderValue::from_static("bytes */*"))
}

/// Several parts in one body.
pub(super) struct Joined {
    /// `multipart/byteranges` with its boundary.
    pub(super) kind: HeaderValue,
    /// Each part after its head.
    pub(super) parts: Vec<(Bytes, Range<u64>)>,
    /// What ends the body.
    pub(super) end: Bytes,
    /// Bytes of the whole body.
    pub(super) length: u64,
}

impl Joined {
    /// Joins the parts of a file. The boundary is taken from its digest: no file can have its own digest in it.
    pub(super) fn of(parts: &[Range<u64>], digest: &[u8; 32], kind: &HeaderValue, length: u64) -> Self {
        let boundary = hex::encode(&digest[16..]);
        let head = |range: &Range<u64>| {
            let mut head = format!("\r\n--{boundary}\r\nContent-Type: ").into_bytes();
            head.extend_from_slice(kind.as_bytes());
            head.extend_from_slice(b"\r\nContent-Range: ");
            head.extend_from_slice(described(range, length).as_bytes());
            head.extend_from_slice(b"\r\n\r\n");
            (Bytes::from(head), range.clone())
        };
        let parts: Vec<_> = parts.iter().map(head).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let size = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let length = parts.iter().map(|(head, range)| size(head) + range.end - range.start).sum::<u64>() + size(&end);
        let kind = HeaderValue::try_from(format!("multipart/byteranges; boundary={boundary}"));
        Self { kind: kind.unwrap_or(HeaderValue::from_static("multipart/byteranges")), parts, end, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, length: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value.parse().unwrap());
        wanted(&headers, length)
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let parts = |parts: &[(u64, u64)]| Wanted::Parts(parts.iter().map(|(a, b)| *a..*b).collect());
        assert_eq!(of("bytes=0-0", 10), parts(&[(0, 1)]));
        assert_eq!(of("bytes=2-5", 10), parts(&[(2, 6)]));
        assert_eq!(of("bytes=5-", 10), parts(&[(5, 10)]));
        assert_eq!(of("bytes=-3", 10), parts(&[(7, 10)]));
        assert_eq!(of("bytes=-30", 10), parts(&[(0, 10)]));
        assert_eq!(of("bytes=8-99999999999999999999999", 10), parts(&[(8, 10)]));
        assert_eq!(of("Bytes = 0-1, 4-4,-1", 10), parts(&[(0, 2), (4, 5), (9, 10)]));
        assert_eq!(of("bytes=0-1,20-30", 10), parts(&[(0, 2)]));
        assert_eq!(of("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(of("bytes=-0", 10), Wanted::Nothing);
        assert_eq!(of("bytes=0-", 0), Wanted::Nothing);
        for odd in ["bytes=", "bytes=5-2", "bytes=a-b", "bytes", "lines=0-1", "bytes=1", "bytes=+1-2", "bytes=0-9,0-9"]
        {
            assert_eq!(of(odd, 10), Wanted::Whole, "{odd}");
        }
        let many = vec!["0-0"; MAX_PARTS + 1].join(",");
        assert_eq!(of(&format!("bytes={many}"), 1_000), Wanted::Whole);
    }

    #[test]
    fn the_length_of_joined_parts_is_that_of_their_bytes() {
        let joined = Joined::of(&[0..2, 5..9], &[7; 32], &HeaderValue::from_static("text/css"), 10);
        let heads: usize = joined.parts.iter().map(|(head, _)| head.len()).sum();
        assert_eq!(joined.length, u64::try_from(heads + 2 + 4 + joined.end.len()).unwrap());
        let head = String::from_utf8(joined.parts[1].0.to_vec()).unwrap();
        assert!(head.ends_with("\r\nContent-Type: text/css\r\nContent-Range: bytes 5-8/10\r\n\r\n"), "{head}");
    }
}
