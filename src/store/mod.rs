//! The log: journal and sled behind one small port.

pub mod blobs;
mod feeder;
pub mod files;
mod indexed;
pub mod journal;
mod journaled;
mod keys;
mod lock;
mod memory;
mod offline;
mod opening;
mod recent;
mod runs;
#[cfg(test)]
mod tests;
pub mod uploads;
mod writer;

pub use journal::Damage;
pub use journaled::Store;
pub use memory::MemoryLog;
pub use offline::{VerifyReport, export, verify};
pub use opening::{OpenError, OpenReport};

use async_trait::async_trait;
use cutover_events::codec::CodecError;
use cutover_events::{Actor, Cause, Digest, Event, Key, LogId, Sealed, Stamp, StreamId};

/// The version that a stream must have for an append to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Exactly this many events are in the stream.
    Exact(u64),
    /// Whatever it is.
    Any,
}

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose history.
    pub stream: StreamId,
    /// The version that it must have.
    pub expected: Expected,
    /// What happened, 1..n.
    pub events: Vec<Event>,
    /// What brought it about.
    pub cause: Cause,
    /// Who brought it about.
    pub actor: Actor,
    /// What makes it happen once.
    pub key: Option<Key>,
}

/// A durable commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Position of the last event of the commit.
    pub position: u64,
    /// Version of the stream after it.
    pub version: u64,
    /// Chain value after it.
    pub chain: Digest,
    /// When it was written: waits count from here.
    pub at: Stamp,
}

/// Where the log ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Position of the last event; 0 for an empty log.
    pub position: u64,
    /// Chain value after it; zeros for an empty log.
    pub chain: Digest,
}

/// Why an append was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream has another version.
    #[error("the stream is at version {actual}")]
    Conflict {
        /// Its version.
        actual: u64,
    },
    /// The key was used, and what it wrote is durable.
    #[error("this was written before, at position {}", original.commit.position)]
    Duplicate {
        /// The commit that it wrote, decoded.
        original: Box<Sealed>,
    },
    /// No space on the disk; goes on by itself.
    #[error("no space is left for the log; free some space, it goes on by itself")]
    NoRoom,
    /// A write or sync failed: final for this process.
    #[error("the log cannot be written ({0}); the engine must be restarted")]
    Poisoned(String),
    /// A bug in what was to be written.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The log cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The stored bytes are not what was written.
    #[error("{0}")]
    Damaged(String),
    /// The files cannot be read.
    #[error("the log cannot be read: {0}")]
    Io(String),
}

/// The log, five calls wide so that it stays true.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Writes one commit; it is durable when this returns.
    async fn append(&self, append: Append) -> Result<Receipt, AppendError>;

    /// Commits of a stream whose last version is at least `from`, oldest first, at most `limit` of them.
    async fn read(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError>;

    /// Commits whose last position is at least `from`, oldest first, at most `limit` of them.
    async fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError>;

    /// Where the log ends.
    fn head(&self) -> Head;

    /// Changes whenever the head does; what is new is then read with `read_all`.
    fn subscribe(&self) -> tokio::sync::watch::Receiver<Head>;

    /// Minted by the first commit; a log without one is opened by writing `LogBegun` first.
    fn log_id(&self) -> LogId;

    /// The chain value after the commit that holds this position, `None` when it is not in the log: for witnesses.
    async fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError>;

    /// What a key wrote before, once that is durable: for an answer that is repeated instead of decided again.
    async fn find(&self, stream: StreamId, key: &Key) -> Result<Option<Sealed>, ReadError>;
}
