//! The writer: one thread that places, chains, writes and syncs. All appends that wait at that moment are one group.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cutover_events::codec::{self, Context, Placed as Place};
use cutover_events::{Actor, Cause, Digest, Key, Stamp, StreamId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::indexed::Indexed;
use super::journal::{Group, Journal, JournalError, Placed};
use super::recent::{Fault, Recent, cost};
use super::{AppendError, Expected, Head, ReadError, Receipt, keys};

/// A group is closed when it holds this many bytes: its sync must not take long, and one commit more is 1 MiB at most.
const GROUP_BYTES: usize = 1024 * 1024;

/// An append that waits, encoded as far as that goes without its place.
pub(super) struct Pending {
    pub(super) stream: StreamId,
    pub(super) expected: Expected,
    pub(super) at: Stamp,
    pub(super) cause: Cause,
    pub(super) actor: Actor,
    pub(super) key: Option<Key>,
    pub(super) events: Vec<u8>,
    pub(super) count: u64,
    pub(super) reply: oneshot::Sender<Answer>,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Why an append is not taken, as far as the writer knows it.
#[derive(Debug)]
pub(super) enum Refused {
    /// The key wrote this position before, and that is durable.
    Duplicate(u64),
    /// Everything else.
    Error(AppendError),
}

/// What becomes of an append.
pub(super) type Answer = Result<Receipt, Refused>;

/// What the thread owns.
pub(super) struct Writer {
    pub(super) journal: Journal,
    pub(super) index: Indexed,
    pub(super) recent: Arc<Recent>,
    pub(super) head: watch::Sender<Head>,
    pub(super) versions: HashMap<StreamId, u64>,
}

/// One group in the making.
struct Draft {
    group: Group,
    at: Head,
    versions: HashMap<StreamId, u64>,
    keys: HashMap<[u8; 16], u64>,
    replies: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Writer {
    /// Runs until every sender is gone. After a failed write or sync every append is refused; after a panic the channel
    /// is closed, which refuses them too.
    pub(super) fn run(mut self, mut appends: mpsc::UnboundedReceiver<Pending>) {
        let recent = self.recent.clone();
        let ended = catch_unwind(AssertUnwindSafe(|| self.write_all(&mut appends)));
        if ended.is_err() {
            tracing::error!("the writer of the log panicked; the engine must be restarted");
        }
        recent.close();
    }

    fn write_all(&mut self, appends: &mut mpsc::UnboundedReceiver<Pending>) {
        let mut poisoned: Option<String> = None;
        while let Some(first) = appends.blocking_recv() {
            if let Some(why) = &poisoned {
                refuse(first, AppendError::Poisoned(why.clone()));
                continue;
            }
            let head = *self.head.borrow();
            let mut draft = Draft::after(head);
            self.take(first, &mut draft);
            while draft.group.body.len() < GROUP_BYTES
                && let Ok(next) = appends.try_recv()
            {
                self.take(next, &mut draft);
            }
            poisoned = self.finish(draft, head);
        }
    }

    /// Places an append into the draft, or notes why not.
    fn take(&self, pending: Pending, draft: &mut Draft) {
        let version =
            draft.versions.get(&pending.stream).or_else(|| self.versions.get(&pending.stream)).copied().unwrap_or(0);
        let key = pending.key.as_ref().map(|key| keys::lookup(key, pending.stream));
        match key.map_or(Ok(None), |key| self.used(&key, draft)) {
            Ok(None) => {}
            Ok(Some(position)) => {
                draft.replies.push((pending.reply, Err(Refused::Duplicate(position))));
                return;
            }
            Err(error) => {
                let error = AppendError::Poisoned(error.to_string());
                draft.replies.push((pending.reply, Err(Refused::Error(error))));
                return;
            }
        }
        if let Expected::Exact(expected) = pending.expected
            && expected != version
        {
            draft.replies.push((pending.reply, Err(Refused::Error(AppendError::Conflict { actual: version }))));
            return;
        }
        let place = Place { position: draft.at.position + 1, stream: pending.stream, version: version + 1 };
        let context =
            Context { at: pending.at, cause: pending.cause, actor: &pending.actor, key: pending.key.as_ref() };
        match codec::join(place, &context, &pending.events) {
            Ok(bytes) => draft.place(pending, (place, key), &bytes),
            Err(error) => draft.replies.push((pending.reply, Err(Refused::Error(error.into())))),
        }
    }

    /// The position that a key wrote. A key that cannot be looked up is not taken for a new one.
    fn used(&self, key: &[u8; 16], draft: &Draft) -> Result<Option<u64>, ReadError> {
        let known = draft.keys.get(key).copied().or_else(|| self.recent.key(key));
        known.map_or_else(|| self.index.key(key), |position| Ok(Some(position)))
    }

    /// Writes and syncs a group once sled has taken in enough of those before it.
    fn write(&mut self, group: &Group, before: Digest) -> Result<(), JournalError> {
        match self.recent.wait_for_space(cost(group)) {
            Ok(()) => self.journal.write(group, before),
            Err(Fault::NoRoom) => Err(JournalError::NoRoom),
            Err(Fault::Failed(why)) => Err(JournalError::Failed(std::io::Error::other(why))),
        }
    }

    /// Writes and syncs the draft, then answers; gives why the log is poisoned, if it is.
    fn finish(&mut self, draft: Draft, before: Head) -> Option<String> {
        let Draft { group, at, versions, replies, .. } = draft;
        let written = if group.commits.is_empty() { Ok(()) } else { self.write(&group, before.chain) };
        let (error, poisoned) = match written {
            Ok(()) => (None, None),
            Err(JournalError::NoRoom) => (Some(AppendError::NoRoom), None),
            Err(JournalError::Failed(error)) => {
                tracing::error!(%error, "the log cannot be written");
                (Some(AppendError::Poisoned(error.to_string())), Some(error.to_string()))
            }
        };
        if error.is_none() && !group.commits.is_empty() {
            self.versions.extend(versions);
            self.recent.push(group);
            self.head.send_replace(at);
        }
        for (reply, answer) in replies {
            // What was decided on commits of this group does not hold when they were not written.
            let answer = match (&error, answer) {
                (Some(_), Err(Refused::Duplicate(position))) if position <= before.position => {
                    Err(Refused::Duplicate(position))
                }
                (Some(error), _) => Err(Refused::Error(error.clone())),
                (None, answer) => answer,
            };
            // Whoever asked may be gone; what was written stays written.
            drop(reply.send(answer));
        }
        poisoned
    }
}

impl Draft {
    fn after(head: Head) -> Self {
        Self {
            group: Group::beginning_at(head.position + 1),
            at: head,
            versions: HashMap::new(),
            keys: HashMap::new(),
            replies: Vec::new(),
        }
    }

    fn place(&mut self, pending: Pending, (place, key): (Place, Option<[u8; 16]>), bytes: &[u8]) {
        let chain: Digest = codec::chain(self.at.chain, bytes);
        let range = self.group.push(bytes, chain);
        let (last, last_version) = (place.position + pending.count - 1, place.version + pending.count - 1);
        let Place { position, stream, version } = place;
        self.group.commits.push(Placed { position, last, stream, version, last_version, range, chain, key });
        self.at = Head { position: last, chain };
        self.versions.insert(stream, last_version);
        self.keys.extend(key.map(|key| (key, position)));
        let receipt = Receipt { position: last, version: last_version, chain, at: pending.at };
        self.replies.push((pending.reply, Ok(receipt)));
    }
}

fn refuse(pending: Pending, error: AppendError) {
    drop(pending.reply.send(Err(Refused::Error(error))));
}
