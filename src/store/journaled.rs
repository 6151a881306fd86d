//! The default log: the journal acknowledges, sled answers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use cutover_events::{Digest, Event, Key, LogId, Sealed, StreamId, codec};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::feeder::Feeder;
use super::indexed::{Indexed, decoded};
use super::journal::{Disk, SystemDisk};
use super::opening::{OpenError, OpenReport, Opened, open};
use super::recent::{Found, Recent};
use super::writer::{Pending, Refused, Writer};
use super::{Append, AppendError, Head, Log, ReadError, Receipt, keys};
use crate::clock::Clock;

/// Appends that wait for the writer hold at most this many KiB together: some 16,000 small ones or 16 of the largest.
const WAITING_KIB: usize = 16 * 1024;

/// Journal and sled behind the port. Dropping it ends its threads.
pub struct Store {
    /// `None` only while it is dropped.
    appends: Option<mpsc::UnboundedSender<Pending>>,
    threads: Vec<JoinHandle<()>>,
    room: Arc<Semaphore>,
    index: Indexed,
    recent: Arc<Recent>,
    head: watch::Receiver<Head>,
    id: LogId,
    clock: Clock,
    _lock: super::lock::Lock,
    dir: PathBuf,
}

impl Store {
    /// Opens the log of a data folder, verified as a whole, and gives every commit to `fold`, in order. A new folder
    /// gets its first commit, which mints the log id.
    ///
    /// # Errors
    /// Another process holds the folder; the log is damaged; the files cannot be read or written.
    pub async fn open(
        dir: &Path,
        clock: Clock,
        fold: impl FnMut(Sealed) -> Result<(), String> + Send + 'static,
    ) -> Result<(Self, OpenReport), OpenError> {
        Self::open_on(Box::new(SystemDisk), dir, clock, fold).await
    }

    /// [`Self::open`] on a disk that a test makes fail.
    pub(super) async fn open_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        clock: Clock,
        fold: impl FnMut(Sealed) -> Result<(), String> + Send + 'static,
    ) -> Result<(Self, OpenReport), OpenError> {
        let folder = dir.to_owned();
        let begin = (LogId::from_ulid(clock.ulid()), clock.stamp());
        let opened = tokio::task::spawn_blocking(move || open(&folder, disk, begin, fold)).await;
        let Opened { lock, journal, index, recent, head, versions, id, report } =
            opened.map_err(|error| OpenError::Io(error.to_string()))??;
        let (appends, waiting) = mpsc::unbounded_channel();
        let (head_sender, head_receiver) = watch::channel(head);
        let recent = Arc::new(recent);
        let writer = Writer { journal, index: index.clone(), recent: recent.clone(), head: head_sender, versions };
        let (feed, fed) = (index.clone(), recent.clone());
        let feeder = Feeder::new(feed, fed, dir);
        let threads = vec![
            thread::Builder::new().name("log-feeder".into()).spawn(move || feeder.run())?,
            thread::Builder::new().name("log-writer".into()).spawn(move || writer.run(waiting))?,
        ];
        let room = Arc::new(Semaphore::new(WAITING_KIB));
        let dir = dir.to_owned();
        let (appends, head) = (Some(appends), head_receiver);
        let store = Self { appends, threads, room, index, recent, head, id, clock, _lock: lock, dir };
        Ok((store, report))
    }

    /// The data folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of commits that are durable and that the index has not taken in yet.
    #[must_use]
    pub fn unapplied_bytes(&self) -> usize {
        self.recent.bytes()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Indexed, &Recent) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let (index, recent) = (self.index.clone(), self.recent.clone());
        let joined = tokio::task::spawn_blocking(move || read(&index, &recent)).await;
        joined.map_err(|error| ReadError::Io(error.to_string()))?
    }

    async fn original(&self, position: u64) -> Result<Box<Sealed>, AppendError> {
        let found = self.blocking(move |index, recent| at(index, recent, position)).await;
        let lost = || AppendError::Poisoned(format!("the commit at position {position} cannot be read"));
        found.map_err(|error| AppendError::Poisoned(error.to_string()))?.map(Box::new).ok_or_else(lost)
    }
}

/// What was appended is in the index when this is over, and only then another process may open the folder.
impl Drop for Store {
    fn drop(&mut self) {
        self.appends = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
    }
}

#[async_trait]
impl Log for Store {
    async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        let events = codec::encode_events(&append.events)?;
        let gone = || AppendError::Poisoned("the writer has ended".into());
        let weight = (events.len() / 1024 + 1).min(WAITING_KIB) as u32;
        let permit = self.room.clone().acquire_many_owned(weight).await.map_err(|_| gone())?;
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            stream: append.stream,
            expected: append.expected,
            at: self.clock.stamp(),
            cause: append.cause,
            actor: append.actor,
            key: append.key,
            count: append.events.len() as u64,
            events,
            reply,
            _permit: permit,
        };
        self.appends.as_ref().ok_or_else(gone)?.send(pending).map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())? {
            Ok(receipt) => Ok(receipt),
            Err(Refused::Duplicate(position)) => {
                Err(AppendError::Duplicate { original: self.original(position).await? })
            }
            Err(Refused::Error(error)) => Err(error),
        }
    }

    async fn read(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        self.blocking(move |index, recent| {
            let held = recent.of_stream(stream, from, limit);
            let found = index.of_stream(stream, from, limit)?;
            merged(found, held, limit)
        })
        .await
    }

    async fn read_all(&self, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        self.blocking(move |index, recent| {
            let held = recent.since(from, limit);
            let mut found = Vec::new();
            index.commits_from(from, &mut |sealed| {
                if sealed.commit.last_position() >= from {
                    found.push(sealed);
                }
                found.len() >= limit
            })?;
            let found = merged(found, held, limit)?;
            unbroken(from.max(1), &found).map(|()| found)
        })
        .await
    }

    fn head(&self) -> Head {
        *self.head.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    fn log_id(&self) -> LogId {
        self.id
    }

    async fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError> {
        if position == 0 || position > self.head().position {
            return Ok(None);
        }
        self.blocking(move |index, recent| match recent.at(position) {
            Some((group, at)) => Ok(Some(group.commits[at].chain)),
            None => index.chain_at(position),
        })
        .await
    }

    async fn find(&self, stream: StreamId, key: &Key) -> Result<Option<Sealed>, ReadError> {
        let key = keys::lookup(key, stream);
        self.blocking(move |index, recent| {
            let position = match recent.key(&key) {
                Some(position) => Some(position),
                None => index.key(&key)?,
            };
            position.map_or(Ok(None), |position| at(index, recent, position))
        })
        .await
    }
}

/// The commit that holds a position, from memory or sled.
fn at(index: &Indexed, recent: &Recent, position: u64) -> Result<Option<Sealed>, ReadError> {
    match recent.at(position) {
        Some(found) => sealed(&found).map(Some),
        None => index.commit_at(position),
    }
}

fn sealed((group, index): &Found) -> Result<Sealed, ReadError> {
    let placed = &group.commits[*index];
    let body = group.body[placed.range.clone()].to_vec();
    let commit = codec::decode_commit(&body).map_err(|error| ReadError::Damaged(error.to_string()))?;
    Ok(Sealed { commit, body, chain: placed.chain })
}

/// What sled had, then what memory holds beyond it. Memory was asked first, so that nothing falls between.
fn merged(mut found: Vec<Sealed>, held: Vec<Found>, limit: usize) -> Result<Vec<Sealed>, ReadError> {
    for entry in held {
        let position = entry.0.commits[entry.1].position;
        if found.len() >= limit {
            break;
        }
        if found.last().is_none_or(|last| last.commit.position < position) {
            found.push(sealed(&entry)?);
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The index lost something that the journal holds: whoever follows the log must not pass over it.
fn unbroken(from: u64, found: &[Sealed]) -> Result<(), ReadError> {
    let mut next = from;
    for Sealed { commit, .. } in found {
        if commit.position > next {
            let text = format!("the index has no position {next}; restart the engine, it is rebuilt from the journal");
            return Err(ReadError::Damaged(text));
        }
        next = commit.last_position() + 1;
    }
    Ok(())
}

/// The commits of a group's body, for replay.
pub(super) fn replay(body: &[u8]) -> impl Iterator<Item = Result<Sealed, ReadError>> + '_ {
    decoded(body)
}

/// The log id, when this is the first commit of a log.
pub(super) fn minted(sealed: &Sealed) -> Option<LogId> {
    match sealed.commit.events.first() {
        Some(Event::LogBegun(begun)) => Some(begun.log),
        _ => None,
    }
}
