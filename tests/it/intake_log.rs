//! A log in memory that can be told to fail, and to forget as a crash would.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// Appends wait until the mood changes.
    Holds,
}

pub(crate) struct TestLog {
    written: Mutex<Written>,
    mood: tokio::sync::watch::Sender<Mood>,
    held: AtomicUsize,
    clock: Clock,
    head: tokio::sync::watch::Sender<Head>,
}

/// Commits, with their places by stream and by key.
#[derive(Default)]
struct Written {
    commits: Vec<Sealed>,
    streams: BTreeMap<StreamId, Vec<usize>>,
    keys: BTreeMap<Vec<u8>, usize>,
}

impl Written {
    fn push(&mut self, sealed: Sealed) {
        let (place, commit) = (self.commits.len(), &sealed.commit);
        self.streams.entry(commit.stream).or_default().push(place);
        self.keys.extend(commit.key.as_ref().map(|key| (key.lookup(commit.stream), place)));
        self.commits.push(sealed);
    }

    fn find(&self, stream: StreamId, key: &Key) -> Option<&Sealed> {
        self.keys.get(&key.lookup(stream)).map(|place| &self.commits[*place])
    }

    fn version(&self, stream: StreamId) -> u64 {
        let last = self.streams.get(&stream).and_then(|places| places.last());
        last.map_or(0, |place| self.commits[*place].commit.last_version())
    }
}

impl TestLog {
    pub(crate) fn new() -> Self {
        let (head, _) = tokio::sync::watch::channel(Head::default());
        Self {
            written: Mutex::default(),
            mood: tokio::sync::watch::Sender::new(Mood::Works),
            held: AtomicUsize::new(0),
            clock: Clock::system(),
            head,
        }
    }

    pub(crate) fn turn(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Appends that were made to wait so far.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.written.lock().commits.iter().flat_map(|sealed| sealed.commit.events.clone()).collect()
    }

    /// Forgets everything past the first `count` commits, as a crash between two of them would.
    pub(crate) fn cut(&self, count: usize) {
        let mut written = self.written.lock();
        let kept: Vec<_> = written.commits.drain(..count).collect();
        *written = Written::default();
        kept.into_iter().for_each(|sealed| written.push(sealed));
    }

    pub(crate) fn len(&self) -> usize {
        self.written.lock().commits.len()
    }
}

#[async_trait]
impl Log for TestLog {
    async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        if *self.mood.borrow() == Mood::Holds {
            self.held.fetch_add(1, Ordering::Relaxed);
            let mut mood = self.mood.subscribe();
            mood.wait_for(|mood| *mood != Mood::Holds).await.unwrap();
        }
        let mood = *self.mood.borrow();
        match mood {
            Mood::Works | Mood::Holds => {}
            Mood::NoRoom => return Err(AppendError::NoRoom),
            Mood::Poisoned => return Err(AppendError::Poisoned("the disk is gone".into())),
        }
        let mut written = self.written.lock();
        if let Some(original) = append.key.as_ref().and_then(|key| written.find(append.stream, key)) {
            return Err(AppendError::Duplicate { original: Box::new(original.clone()) });
        }
        let version = written.version(append.stream);
        if let Expected::Exact(expected) = append.expected
            && expected != version
        {
            return Err(AppendError::Conflict { actual: version });
        }
        let last = written.commits.last();
        let (position, before) = last.map_or((0, Digest::default()), |s| (s.commit.last_position(), s.chain));
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
        let (position, version, at) = (commit.last_position(), commit.last_version(), commit.at);
        written.push(Sealed { commit, body, chain });
        self.head.send_replace(Head { position, chain });
        Ok(Receipt { position, version, chain, at })
    }

    async fn read(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        let written = self.written.lock();
        let places = written.streams.get(&stream).map(Vec::as_slice).unwrap_or_default();
        let first = places.partition_point(|place| written.commits[*place].commit.last_version() < from);
        Ok(places[first..].iter().take(limit).map(|place| written.commits[*place].clone()).collect())
    }

    async fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        let written = self.written.lock();
        let first = written.commits.partition_point(|sealed| sealed.commit.last_position() < from);
        Ok(written.commits[first..].iter().take(limit).cloned().collect())
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
        let written = self.written.lock();
        let holds = |s: &&Sealed| (s.commit.position..=s.commit.last_position()).contains(&position);
        Ok(written.commits.iter().find(holds).map(|s| s.chain))
    }

    async fn find(&self, stream: StreamId, key: &Key) -> Result<Option<Sealed>, ReadError> {
        Ok(self.written.lock().find(stream, key).cloned())
    }
}
