//! Which index keys a commit has: one pure function, so that a new question is a new key kind and a rebuild.

use std::collections::BTreeMap;

use cutover_events::{Digest, Key, StreamId};

use super::journal::Placed;

/// Commits by position: one value for each block of them.
pub(super) const BLOCKS: u8 = b'c';
/// (stream, version) to the positions between which its next commits lie.
pub(super) const STREAMS: u8 = b's';
/// Idempotency keys with their positions: (run, first key) to some hundreds of them, sorted.
pub(super) const KEYS: u8 = b'k';
/// Small metadata.
pub(super) const META: u8 = b'm';

/// What an idempotency key is looked up by: half of a SHA-256, collisions of which nobody can make on purpose.
pub(super) fn lookup(key: &Key, stream: StreamId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Digest::of(&key.lookup(stream)).0[..16]);
    half
}

/// Where the commits of a stream lie that were taken in together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// Version of the first event.
    pub(super) version: u64,
    /// Position of the first commit.
    pub(super) first: u64,
    /// Position of the last commit.
    pub(super) last: u64,
}

/// Where the commits of each stream lie among these.
pub(super) fn spans<'a>(commits: impl Iterator<Item = &'a Placed>) -> BTreeMap<StreamId, Span> {
    let mut spans = BTreeMap::new();
    for commit in commits {
        let Placed { stream, version, position, .. } = *commit;
        let span = spans.entry(stream).or_insert(Span { version, first: position, last: position });
        span.last = position;
    }
    spans
}

pub(super) fn block(first: u64) -> Vec<u8> {
    [&[BLOCKS][..], &first.to_be_bytes()].concat()
}

/// An entry of a run of idempotency keys.
pub(super) fn chunk(run: usize, first: &[u8; 16]) -> Vec<u8> {
    [&[KEYS][..], &(run as u32).to_be_bytes(), first].concat()
}

/// The run that an entry belongs to.
pub(super) fn run_of(chunk: &[u8]) -> Option<usize> {
    let (run, _) = chunk.get(1..)?.split_first_chunk()?;
    Some(u32::from_be_bytes(*run) as usize)
}

pub(super) fn version(stream: StreamId, version: u64) -> Vec<u8> {
    [&stream_prefix(stream)[..], &version.to_be_bytes()].concat()
}

pub(super) fn stream_prefix(stream: StreamId) -> Vec<u8> {
    let (kind, id) = match stream {
        StreamId::Registry => (0, [0; 16]),
        StreamId::Engine => (1, [0; 16]),
        StreamId::Workload(id) => (2, id.0),
        StreamId::Hook(id) => (3, id.0),
    };
    [&[STREAMS, kind][..], &id].concat()
}
