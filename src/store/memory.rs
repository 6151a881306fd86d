//! The log in memory: the twin of the default one, for tests, under the same contract.

use std::collections::HashMap;

use async_trait::async_trait;
use cutover_events::engine::LogBegun;
use cutover_events::{Actor, Cause, Commit, Digest, Key, LogId, Sealed, StreamId, codec};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Append, AppendError, Expected, Head, Log, ReadError, Receipt};
use crate::clock::Clock;

/// Every commit in memory, in the stored form.
pub struct MemoryLog {
    state: Mutex<State>,
    head: watch::Sender<Head>,
    id: LogId,
    clock: Clock,
}

#[derive(Default)]
struct State {
    commits: Vec<Sealed>,
    versions: HashMap<StreamId, u64>,
    /// What a key is looked up by, to the index of its commit.
    keys: HashMap<Vec<u8>, usize>,
}

impl MemoryLog {
    /// A log that holds its first commit, which mints its id.
    ///
    /// # Errors
    /// Only a bug in the codec.
    pub async fn begin(clock: Clock) -> Result<Self, AppendError> {
        let id = LogId::from_ulid(clock.ulid());
        let log = Self { state: Mutex::default(), head: watch::Sender::new(Head::default()), id, clock };
        let begun = Append {
            stream: StreamId::Engine,
            expected: Expected::Exact(0),
            events: vec![LogBegun { log: id }.into()],
            cause: Cause::Engine,
            actor: Actor::Engine,
            key: None,
        };
        log.append(begun).await?;
        Ok(log)
    }

    fn select(&self, limit: usize, fits: impl Fn(&Commit) -> bool) -> Vec<Sealed> {
        self.state.lock().commits.iter().filter(|sealed| fits(&sealed.commit)).take(limit).cloned().collect()
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        let mut state = self.state.lock();
        let key = append.key.as_ref().map(|key| key.lookup(append.stream));
        if let Some(index) = key.as_ref().and_then(|key| state.keys.get(key)) {
            return Err(AppendError::Duplicate { original: Box::new(state.commits[*index].clone()) });
        }
        let version = state.versions.get(&append.stream).copied().unwrap_or(0);
        if let Expected::Exact(expected) = append.expected
            && expected != version
        {
            return Err(AppendError::Conflict { actual: version });
        }
        let head = *self.head.borrow();
        let commit = Commit {
            position: head.position + 1,
            stream: append.stream,
            version: version + 1,
            at: self.clock.stamp(),
            cause: append.cause,
            actor: append.actor,
            key: append.key,
            events: append.events,
        };
        let body = codec::encode_commit(&commit)?;
        let chain = codec::chain(head.chain, &body);
        let (position, at) = (commit.last_position(), commit.at);
        let receipt = Receipt { position, version: commit.last_version(), chain, at };
        state.versions.insert(commit.stream, commit.last_version());
        let index = state.commits.len();
        state.keys.extend(key.map(|key| (key, index)));
        state.commits.push(Sealed { commit, body, chain });
        self.head.send_replace(Head { position, chain });
        Ok(receipt)
    }

    async fn read(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        Ok(self.select(limit, |commit| commit.stream == stream && commit.last_version() >= from))
    }

    async fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        Ok(self.select(limit, |commit| commit.last_position() >= from))
    }

    fn head(&self) -> Head {
        *self.head.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    fn log_id(&self) -> LogId {
        self.id
    }

    async fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError> {
        let holds = |commit: &Commit| commit.position <= position && position <= commit.last_position();
        Ok(self.select(1, holds).pop().map(|sealed| sealed.chain))
    }

    async fn find(&self, stream: StreamId, key: &Key) -> Result<Option<Sealed>, ReadError> {
        let state = self.state.lock();
        Ok(state.keys.get(&key.lookup(stream)).map(|index| state.commits[*index].clone()))
    }
}
