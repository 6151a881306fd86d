//! A log in memory that can be told to fail.

use async_trait::async_trait;
use cutover::clock::Clock;
use cutover::store::{Append, AppendError, Expected, Head, Log, ReadError, Receipt};
use cutover_events::codec::{chain, encode_commit};
use cutover_events::{Commit, Digest, Event, Key, LogId, Sealed, StreamId};
use parking_lot::Mutex;

/// What an append comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Works,
    NoRoom,
    Poisoned,
}

pub(crate) struct TestLog {
    commits: Mutex<Vec<Sealed>>,
    mood: Mutex<Mood>,
    clock: Clock,
    head: tokio::sync::watch::Sender<Head>,
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let (head, _) = tokio::sync::watch::channel(Head::default());
        Self { commits: Mutex::default(), mood: Mutex::new(Mood::Works), clock: Clock::system(), head }
    }

    pub(crate) fn turn(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.commits.lock().iter().flat_map(|sealed| sealed.commit.events.clone()).collect()
    }

    /// Forgets everything past the first `count` commits, as a crash between two of them would.
    pub(crate) fn cut(&self, count: usize) {
        self.commits.lock().truncate(count);
    }

    pub(crate) fn len(&self) -> usize {
        self.commits.lock().len()
    }
}

#[async_trait]
impl Log for TestLog {
    async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        match *self.mood.lock() {
            Mood::Works => {}
            Mood::NoRoom => return Err(AppendError::NoRoom),
            Mood::Poisoned => return Err(AppendError::Poisoned("the disk is gone".into())),
        }
        let mut commits = self.commits.lock();
        let same = |sealed: &&Sealed| {
            append.key.as_ref().is_some_and(|key| {
                sealed.commit.stream == append.stream
                    && sealed.commit.key.as_ref().map(|k| k.lookup(append.stream)) == Some(key.lookup(append.stream))
            })
        };
        if let Some(original) = commits.iter().find(same) {
            return Err(AppendError::Duplicate { original: Box::new(original.clone()) });
        }
        let version = commits.iter().rfind(|s| s.commit.stream == append.stream).map_or(0, |s| s.commit.last_version());
        if let Expected::Exact(expected) = append.expected
            && expected != version
        {
            return Err(AppendError::Conflict { actual: version });
        }
        let (position, before) = commits.last().map_or((0, Digest::default()), |s| (s.commit.last_position(), s.chain));
        let commit = Commit {
            position: position + 1,
            stream: append.stream,
            version: version + 1,
            at: self.clock.stamp(),
            cause: append.cause,
            actor: append.actor,
            key: append.key,
            events: append.events,
        };
        let body = encode_commit(&commit)?;
        let chain = chain(before, &body);
        let receipt =
            Receipt { position: commit.last_position(), version: commit.last_version(), chain, at: commit.at };
        commits.push(Sealed { commit, body, chain });
        self.head.send_replace(Head { position: receipt.position, chain });
        Ok(receipt)
    }

    async fn read(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        let commits = self.commits.lock();
        let wanted = commits.iter().filter(|s| s.commit.stream == stream && s.commit.last_version() >= from);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        let commits = self.commits.lock();
        Ok(commits.iter().filter(|s| s.commit.last_position() >= from).take(limit).cloned().collect())
    }

    fn head(&self) -> Head {
        *self.head.borrow()
    }

    fn subscribe(&self) -> tokio::sync::watch::Receiver<Head> {
        self.head.subscribe()
    }

    fn log_id(&self) -> LogId {
        LogId([1; 16])
    }

    async fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError> {
        let commits = self.commits.lock();
        let holds = |s: &&Sealed| (s.commit.position..=s.commit.last_position()).contains(&position);
        Ok(commits.iter().find(holds).map(|s| s.chain))
    }

    async fn find(&self, stream: StreamId, key: &Key) -> Result<Option<Sealed>, ReadError> {
        let commits = self.commits.lock();
        let same = |s: &&Sealed| {
            s.commit.stream == stream && s.commit.key.as_ref().map(|k| k.lookup(stream)) == Some(key.lookup(stream))
        };
        Ok(commits.iter().find(same).cloned())
    }
}
