//! The stored form. The only place that names bincode.
//!
//! A commit is: head (bincode), number of events (u16 LE), then per event number (u16 LE), version (u8),
//! length (u32 LE) and payload (bincode). The chain runs over these bytes, never over a value encoded again.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{Actor, Cause, Commit, Key, Stamp, StreamId};
use crate::id::Digest;
use crate::kind::Event;

/// One event holds at most this many bytes; what is larger goes to a blob.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;
/// One commit holds at most this many bytes: a group must fit into memory and into a segment many times.
pub const MAX_COMMIT_BYTES: usize = 1024 * 1024;

/// Stored bytes do not mean what they should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer version, or damaged.
    #[error("event kind {number} version {version} is unknown to this version of cutover")]
    UnknownKind {
        /// Number of the kind.
        number: u16,
        /// Version of the shape.
        version: u8,
    },
    /// The bytes do not decode.
    #[error("stored bytes do not decode: {0}")]
    Damaged(String),
    /// More bytes than the value has.
    #[error("{0} bytes follow a stored value")]
    Trailing(usize),
    /// Larger than the log takes.
    #[error("{what} of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// An event or a commit.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<{ 4 * MAX_COMMIT_BYTES }>()
}

/// Encodes one value.
///
/// # Errors
/// Only for a shape that cannot be encoded.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, config()).map_err(|e| CodecError::Damaged(e.to_string()))
}

/// Decodes one value from all of `bytes`.
///
/// # Errors
/// Damaged or trailing bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = decode_prefix(bytes)?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Trailing(bytes.len() - used)) }
}

fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, config()).map_err(|e| CodecError::Damaged(e.to_string()))
}

type Head = (u64, StreamId, u64, Stamp, Cause, Actor, Option<Key>);

/// The stored form of a commit.
///
/// # Errors
/// An event or the commit is larger than the log takes.
pub fn encode_commit(commit: &Commit) -> Result<Vec<u8>, CodecError> {
    let c = commit;
    let head = Placed { position: c.position, stream: c.stream, version: c.version };
    join(head, &Context { at: c.at, cause: c.cause, actor: &c.actor, key: c.key.as_ref() }, &encode_events(&c.events)?)
}

/// Where a commit stands: what only the writer of the log knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Position of the first event.
    pub position: u64,
    /// Whose history.
    pub stream: StreamId,
    /// Version of the first event.
    pub version: u64,
}

/// What stands around the events of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context<'a> {
    /// When.
    pub at: Stamp,
    /// What brought it about.
    pub cause: Cause,
    /// Who.
    pub actor: &'a Actor,
    /// What makes it happen once.
    pub key: Option<&'a Key>,
}

/// The stored form of the events of one commit: all that does not depend on its place.
///
/// # Errors
/// An event is larger than the log takes, or there is none.
pub fn encode_events(events: &[Event]) -> Result<Vec<u8>, CodecError> {
    if events.is_empty() || events.len() > usize::from(u16::MAX) {
        return Err(CodecError::Damaged(format!("{} events do not make a commit", events.len())));
    }
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&(events.len() as u16).to_le_bytes());
    for event in events {
        let payload = event.payload()?;
        if payload.len() > MAX_EVENT_BYTES {
            return Err(CodecError::TooLarge { what: "an event", bytes: payload.len(), limit: MAX_EVENT_BYTES });
        }
        let kind = event.kind();
        out.extend_from_slice(&kind.number.to_le_bytes());
        out.push(kind.version);
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&payload);
    }
    Ok(out)
}

/// The stored form of a commit from its place and its encoded events.
///
/// # Errors
/// The commit is larger than the log takes.
pub fn join(placed: Placed, context: &Context<'_>, events: &[u8]) -> Result<Vec<u8>, CodecError> {
    let Placed { position, stream, version } = placed;
    let mut out = encode(&(position, stream, version, context.at, context.cause, context.actor, context.key))?;
    out.extend_from_slice(events);
    if out.len() > MAX_COMMIT_BYTES {
        return Err(CodecError::TooLarge { what: "a commit", bytes: out.len(), limit: MAX_COMMIT_BYTES });
    }
    Ok(out)
}

/// Where a stored commit stands, its key, and how many events it holds, without decoding them.
///
/// # Errors
/// Damaged bytes.
pub fn place(body: &[u8]) -> Result<(Placed, Option<Key>, u16), CodecError> {
    let ((position, stream, version, _, _, _, key), used) = decode_prefix::<Head>(body)?;
    let count = u16::from_le_bytes(*take::<2>(&mut &body[used..])?);
    Ok((Placed { position, stream, version }, key, count))
}

/// Reads the stored form of a commit.
///
/// # Errors
/// Unknown kinds, damaged or trailing bytes.
pub fn decode_commit(body: &[u8]) -> Result<Commit, CodecError> {
    let (head, used) = decode_prefix::<Head>(body)?;
    let (position, stream, version, at, cause, actor, key) = head;
    let mut rest = &body[used..];
    let count = u16::from_le_bytes(*take::<2>(&mut rest)?);
    let mut events = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let number = u16::from_le_bytes(*take::<2>(&mut rest)?);
        let [version] = *take::<1>(&mut rest)?;
        let length = u32::from_le_bytes(*take::<4>(&mut rest)?) as usize;
        let payload = rest.get(..length).ok_or_else(|| CodecError::Damaged("an event is cut off".into()))?;
        events.push(Event::from_payload(number, version, payload)?);
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        return Err(CodecError::Trailing(rest.len()));
    }
    Ok(Commit { position, stream, version, at, cause, actor, key, events })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], CodecError> {
    let (head, tail) =
        rest.split_first_chunk::<N>().ok_or_else(|| CodecError::Damaged("a commit is cut off".into()))?;
    *rest = tail;
    Ok(head)
}

/// The chain value after a commit: SHA-256 of the value before it and its stored bytes.
#[must_use]
pub fn chain(previous: Digest, body: &[u8]) -> Digest {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    hasher.update(previous.0);
    hasher.update(body);
    Digest(hasher.finalize().into())
}
