//! One group of commits as one frame: magic, first position, length, checksums of header and body, the body, end mark.

use cutover_events::{Digest, StreamId};

/// Begins every frame.
const MAGIC: [u8; 4] = *b"CutG";
/// Magic 4, first position 8, length of the body 4, checksum of these 4, checksum of the body 4.
pub(in crate::store) const HEADER_BYTES: usize = 24;
/// Length 4 and chain value 32 before each commit.
const ENTRY_BYTES: usize = 36;
/// Ends every frame: where it is not zero, the frame was written to its end.
const END: [u8; 4] = *b"gEnd";
/// Unit in which disks write, bytes: one that was not written still holds the zeros written ahead.
const SECTOR_BYTES: usize = 512;

/// A commit inside a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Position of its first event.
    pub position: u64,
    /// Position of its last event.
    pub last: u64,
    /// Whose history.
    pub stream: StreamId,
    /// Version of its first event.
    pub version: u64,
    /// Version of its last event.
    pub last_version: u64,
    /// Where its stored bytes lie in the body of the group.
    pub range: std::ops::Range<usize>,
    /// Chain value after it.
    pub chain: Digest,
    /// What its idempotency key is looked up by.
    pub key: Option<[u8; 16]>,
}

/// All commits that were written and synced at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Group {
    /// Position of the first event.
    pub first: u64,
    /// The body of the frame.
    pub body: Vec<u8>,
    /// What is in it; empty when only the body is at hand.
    pub commits: Vec<Placed>,
}

/// A frame as it was read: the body and where the next one begins.
#[derive(Debug)]
pub(in crate::store) struct Frame<'a> {
    /// Position of the first event.
    pub first: u64,
    /// The body.
    pub body: &'a [u8],
    /// Offset just behind it.
    pub end: usize,
}

impl Group {
    /// An empty group that begins at a position.
    #[must_use]
    pub fn beginning_at(first: u64) -> Self {
        Self { first, body: Vec::new(), commits: Vec::new() }
    }

    /// Adds the stored bytes of a commit with the chain value after it; gives their place in the body.
    pub fn push(&mut self, bytes: &[u8], chain: Digest) -> std::ops::Range<usize> {
        self.body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.body.extend_from_slice(&chain.0);
        let start = self.body.len();
        self.body.extend_from_slice(bytes);
        start..self.body.len()
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.body.len() + END.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        let header = crc32c::crc32c(&out);
        out.extend_from_slice(&header.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&self.body).to_le_bytes());
        out.extend_from_slice(&self.body);
        out.extend_from_slice(&END);
        out
    }
}

/// First position and length of the body, when these bytes begin with a valid header.
fn header(bytes: &[u8]) -> Option<(u64, usize)> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if header[..4] != MAGIC || number(16) != crc32c::crc32c(&header[..16]) {
        return None;
    }
    Some((u64::from(number(4)) | u64::from(number(8)) << 32, number(12) as usize))
}

/// The frame at `offset`, if a whole and valid one begins there.
#[must_use]
pub(in crate::store) fn parse(bytes: &[u8], offset: usize) -> Option<Frame<'_>> {
    let (first, length) = header(bytes.get(offset..)?)?;
    let start = offset + HEADER_BYTES;
    let sum = bytes.get(start - 4..start)?;
    let body = bytes.get(start..start + length)?;
    let end = start + length + END.len();
    let whole = bytes.get(end - END.len()..end)? == END && sum == crc32c::crc32c(body).to_le_bytes();
    whole.then_some(Frame { first, body, end })
}

/// The body of the frame at `offset`, when it was written to its end and altered afterwards. A write that was cut
/// short leaves zeros where it did not get to.
#[must_use]
pub(in crate::store) fn altered(bytes: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = bytes.get(offset..)?;
    let (_, length) = header(rest).or_else(|| mended(rest))?;
    let frame = rest.get(..HEADER_BYTES + length + END.len())?;
    let lead = SECTOR_BYTES - offset % SECTOR_BYTES;
    let mut sectors = frame.get(lead..).unwrap_or_default().chunks_exact(SECTOR_BYTES);
    let unwritten = frame.ends_with(&[0; END.len()]) || sectors.any(|sector| sector.iter().all(|byte| *byte == 0));
    (!unwritten).then(|| &frame[HEADER_BYTES..HEADER_BYTES + length])
}

/// What the header would say if a single one of its bytes were different.
fn mended(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut tried = *bytes.first_chunk::<HEADER_BYTES>()?;
    for at in 0..HEADER_BYTES - 4 {
        let original = tried[at];
        for value in 0..=u8::MAX {
            tried[at] = value;
            if let Some(found) = header(&tried) {
                return Some(found);
            }
        }
        tried[at] = original;
    }
    None
}

/// The commits of a body: stored bytes and the chain value that was written with them.
pub(in crate::store) fn entries(body: &[u8]) -> impl Iterator<Item = Option<(std::ops::Range<usize>, Digest)>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == body.len() {
            return None;
        }
        let entry = body.get(at..at + ENTRY_BYTES).and_then(|head| {
            let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
            let chain = Digest(head[4..].try_into().ok()?);
            let start = at + ENTRY_BYTES;
            body.get(start..start + length).map(|_| (start..start + length, chain))
        });
        at = entry.as_ref().map_or(body.len(), |(range, _)| range.end);
        Some(entry)
    })
}
