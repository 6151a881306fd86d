//! Reads a whole journal and verifies every byte that counts: checksums, chain, positions. Never writes.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use cutover_events::{Digest, codec};

use super::frame::{Frame, HEADER_BYTES, altered, entries, parse};
use super::segment::{HEAD_BYTES, MAGIC};

/// The stored bytes are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log is damaged at position {position}: segment {segment}, offset {offset}: {what}. Restore a backup of the data \
     folder; to see how far it is good: cutover log verify --data DIR"
)]
pub struct Damage {
    /// Name of the file.
    pub segment: String,
    /// Where in it, bytes.
    pub offset: u64,
    /// Position of the event that cannot be read.
    pub position: u64,
    /// What does not fit.
    pub what: String,
}

/// A tail that was not acknowledged: half a group, at the very end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub segment: PathBuf,
    /// Length of what is good, bytes.
    pub good: u64,
}

/// What a scan has found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Position of the last event.
    pub position: u64,
    /// Chain value after it.
    pub chain: Digest,
    /// Commits.
    pub commits: u64,
    /// Number of the last segment.
    pub number: u64,
    /// First position and body of the last group, and the chain value before it.
    pub last: Option<(u64, Vec<u8>, Digest)>,
    /// A tail that must be cut off.
    pub torn: Option<Torn>,
    /// The last segment and the length of what is good in it, bytes.
    pub end: Option<(PathBuf, u64)>,
}

/// Verifies the journal in `folder` and gives every group, in order, to `group` (first position, body, chain value after
/// it). A half group at the very end is torn only when `known` does not reach it.
///
/// # Errors
/// The first damage.
pub fn scan(folder: &Path, known: u64, group: &mut dyn FnMut(u64, &[u8], Digest)) -> Result<Scanned, Damage> {
    let mut found = Scanned::default();
    let mut bytes = Vec::new();
    let segments = segments(folder).map_err(|error| damage(folder, 0, 1, format!("cannot be read: {error}")))?;
    let count = segments.len();
    for (index, (number, path)) in segments.into_iter().enumerate() {
        whole(&path, &mut bytes).map_err(|error| damage(&path, 0, found.position + 1, error.to_string()))?;
        found.number = number;
        if bytes.len() < HEAD_BYTES || bytes[..8] == [0; 8] {
            if index + 1 < count || found.position < known {
                return Err(damage(&path, 0, found.position + 1, "the head of the segment is missing".into()));
            }
            found.torn = Some(Torn { segment: path, good: 0 });
            break;
        }
        head(&path, &bytes, &found)?;
        let end = one(&path, &bytes, &mut found, group)?;
        tail(&path, (&bytes, end), (index + 1 == count, known), &mut found)?;
        found.end = Some((path, end as u64));
    }
    if found.position < known {
        let path = found.end.as_ref().map_or(folder, |(path, _)| path);
        return Err(damage(path, 0, found.position + 1, format!("events to position {known} are missing")));
    }
    Ok(found)
}

/// All of a file, in the memory of the one before it.
fn whole(path: &Path, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    bytes.clear();
    File::open(path)?.read_to_end(bytes).map(drop)
}

fn segments(folder: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.split('-').next()?.parse().ok());
        if let (Some(number), Some(super::EXTENSION)) = (number, path.extension().and_then(|e| e.to_str())) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn head(path: &Path, bytes: &[u8], found: &Scanned) -> Result<(), Damage> {
    let bad = |what: &str| Err(damage(path, 0, found.position + 1, what.into()));
    let sum = u32::from_le_bytes([bytes[48], bytes[49], bytes[50], bytes[51]]);
    if bytes[..8] != MAGIC || sum != crc32c::crc32c(&bytes[..48]) || bytes[52..HEAD_BYTES].iter().any(|byte| *byte != 0)
    {
        return bad("the head of the segment is not valid");
    }
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[8..16]);
    let repeats = found.last.as_ref().map(|(first, _, before)| (*first, *before));
    let here = (u64::from_le_bytes(first), Digest(bytes[16..48].try_into().unwrap_or_default()));
    if here == (found.position + 1, found.chain) || Some(here) == repeats {
        return Ok(());
    }
    bad("the segment does not continue the one before it: a segment is missing or was exchanged")
}

/// Every group of one segment; gives the offset where no further one begins.
fn one(
    path: &Path,
    bytes: &[u8],
    found: &mut Scanned,
    group: &mut dyn FnMut(u64, &[u8], Digest),
) -> Result<usize, Damage> {
    let mut offset = HEAD_BYTES;
    while let Some(frame) = parse(bytes, offset) {
        let end = frame.end;
        let repeated =
            found.last.as_ref().is_some_and(|(first, body, _)| *first == frame.first && body[..] == *frame.body);
        if !repeated {
            take(path, (&frame, offset), found)?;
            group(frame.first, frame.body, found.chain);
        }
        offset = end;
    }
    Ok(offset)
}

fn take(path: &Path, (frame, offset): (&Frame<'_>, usize), found: &mut Scanned) -> Result<(), Damage> {
    let bad = |what: String, position: u64| Err(damage(path, offset, position, what));
    if frame.first != found.position + 1 {
        return bad(
            format!("the group begins at position {}, not {}", frame.first, found.position + 1),
            found.position + 1,
        );
    }
    let before = found.chain;
    for entry in entries(frame.body) {
        let position = found.position + 1;
        let Some((range, written)) = entry else { return bad("a commit is cut off".into(), position) };
        let body = &frame.body[range];
        found.chain = codec::chain(found.chain, body);
        if found.chain != written {
            return bad("the chain does not continue".into(), position);
        }
        let Ok((_, _, events)) = codec::place(body) else { return bad("a commit does not decode".into(), position) };
        found.position += u64::from(events);
        found.commits += 1;
    }
    let mut last = found.last.take().map(|(_, body, _)| body).unwrap_or_default();
    last.clear();
    last.extend_from_slice(frame.body);
    found.last = Some((frame.first, last, before));
    Ok(())
}

/// What follows the last valid group of a segment: zeros, half a group, or damage.
fn tail(
    path: &Path,
    (bytes, end): (&[u8], usize),
    (last, known): (bool, u64),
    found: &mut Scanned,
) -> Result<(), Damage> {
    let rest = &bytes[end..];
    if rest.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let follows = (end + 1..bytes.len()).any(|offset| parse(bytes, offset).is_some());
    let altered = altered(bytes, end);
    if last && !follows && altered.is_none() && found.position >= known {
        found.torn = Some(Torn { segment: path.to_owned(), good: end as u64 });
        return Ok(());
    }
    let (at, position) = altered.map_or((0, found.position + 1), |body| first_altered(body, found));
    Err(damage(path, end + at, position, "a group is not what was written".into()))
}

/// Where in an altered group the first commit is that does not continue the chain: byte and position.
fn first_altered(body: &[u8], found: &Scanned) -> (usize, u64) {
    let (mut at, mut position, mut chain) = (HEADER_BYTES, found.position + 1, found.chain);
    for (range, written) in entries(body).flatten() {
        chain = codec::chain(chain, &body[range.clone()]);
        let Ok((_, _, events)) = codec::place(&body[range.clone()]) else { break };
        if chain != written {
            return (at, position);
        }
        position += u64::from(events);
        at = HEADER_BYTES + range.end;
    }
    if position == found.position + 1 || at < HEADER_BYTES + body.len() {
        (at, position)
    } else {
        (0, found.position + 1)
    }
}

fn damage(path: &Path, offset: usize, position: u64, what: String) -> Damage {
    let segment = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Damage { segment, offset: offset as u64, position, what }
}
