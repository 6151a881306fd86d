//! Which index keys a commit has: one pure function, so that a new question is a new key kind and a rebuild.

use cutover_events::{Digest, Key, StreamId};

use super::journal::Placed;

/// Commits by position: one value for each group.
pub(super) const GROUPS: u8 = b'c';
/// (stream, version) to position.
pub(super) const STREAMS: u8 = b's';
/// Idempotency key to position.
pub(super) const KEYS: u8 = b'k';
/// Small metadata.
pub(super) const META: u8 = b'm';

/// What an idempotency key is looked up by: half of a SHA-256, collisions of which nobody can make on purpose.
pub(super) fn lookup(key: &Key, stream: StreamId) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&Digest::of(&key.lookup(stream)).0[..16]);
    half
}

/// The index keys of a commit; each leads to its position.
pub(super) fn index(commit: &Placed) -> Vec<Vec<u8>> {
    let mut keys = vec![version(commit.stream, commit.version)];
    keys.extend(commit.key.map(|key| idempotency(&key)));
    keys
}

pub(super) fn group(first: u64) -> Vec<u8> {
    [&[GROUPS][..], &first.to_be_bytes()].concat()
}

pub(super) fn idempotency(key: &[u8; 16]) -> Vec<u8> {
    [&[KEYS][..], key].concat()
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
