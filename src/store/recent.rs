//! What is durable in the journal and not yet in sled: the memory index, bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cutover_events::StreamId;
use parking_lot::{Condvar, Mutex};

use super::journal::{Group, Placed};

/// Unapplied groups hold at most this many bytes; past it the writer waits for the feeder: a burst of a minute or so
/// passes, and memory stays small.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;

/// Groups that sled lacks, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    state: Mutex<State>,
    less: Condvar,
    more: Condvar,
    closing: Condvar,
}

#[derive(Debug, Default)]
struct State {
    groups: VecDeque<Arc<Group>>,
    keys: HashMap<[u8; 16], u64>,
    bytes: usize,
    closed: bool,
    fault: Option<Fault>,
}

/// Why sled takes nothing in: then nothing may be appended, since memory must stay bounded.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Too little space is left on the disk; goes away by itself.
    NoRoom,
    /// Final for this process.
    Failed(String),
}

/// A commit that was found in memory.
pub(super) type Found = (Arc<Group>, usize);

impl Recent {
    /// Waits until a group of `bytes` may be added, or never may be.
    pub(super) fn wait_for_space(&self, bytes: usize) -> Result<(), Fault> {
        let mut state = self.state.lock();
        loop {
            match &state.fault {
                Some(fault) => return Err(fault.clone()),
                None if state.bytes == 0 || state.bytes + bytes <= MAX_BYTES => return Ok(()),
                None => self.less.wait(&mut state),
            }
        }
    }

    /// Bytes that sled lacks.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }

    /// Says why sled takes nothing in, or that it does again.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().fault = fault;
        self.less.notify_all();
    }

    /// Adds a durable group.
    pub(super) fn push(&self, mut group: Group) {
        // Both grew by doubling, and are kept until sled has them.
        group.body.shrink_to_fit();
        group.commits.shrink_to_fit();
        let mut state = self.state.lock();
        state.bytes += cost(&group);
        let keys = group.commits.iter().filter_map(|commit| Some((commit.key?, commit.position)));
        let keys: Vec<_> = keys.collect();
        state.keys.extend(keys);
        state.groups.push_back(Arc::new(group));
        self.more.notify_one();
    }

    /// The oldest groups, together at most `bytes` (one at least); waits for one. `None` when closed and empty.
    pub(super) fn oldest(&self, bytes: usize) -> Option<Vec<Arc<Group>>> {
        let mut state = self.state.lock();
        while state.groups.is_empty() {
            if state.closed {
                return None;
            }
            self.more.wait(&mut state);
        }
        Some(first(&state, bytes))
    }

    /// As [`Self::oldest`], without waiting.
    pub(super) fn ready(&self, bytes: usize) -> Option<Vec<Arc<Group>>> {
        let state = self.state.lock();
        (!state.groups.is_empty()).then(|| first(&state, bytes))
    }

    /// Lets groups gather for a while; over at once when closed, which it answers.
    pub(super) fn rest(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            self.closing.wait_for(&mut state, pause);
        }
        state.closed
    }

    /// Forgets the oldest `count` groups: sled holds them.
    pub(super) fn applied(&self, count: usize) {
        let mut state = self.state.lock();
        for _ in 0..count {
            let Some(group) = state.groups.pop_front() else { break };
            state.bytes -= cost(&group);
            for key in group.commits.iter().filter_map(|commit| commit.key) {
                state.keys.remove(&key);
            }
        }
        self.less.notify_all();
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.more.notify_all();
        self.closing.notify_all();
    }

    pub(super) fn key(&self, key: &[u8; 16]) -> Option<u64> {
        self.state.lock().keys.get(key).copied()
    }

    /// Commits of a stream whose last version is at least `from`, at most `limit`.
    pub(super) fn of_stream(&self, stream: StreamId, from: u64, limit: usize) -> Vec<Found> {
        self.select(0, limit, |commit| commit.stream == stream && commit.last_version >= from)
    }

    /// Commits whose last position is at least `from`, at most `limit`.
    pub(super) fn since(&self, from: u64, limit: usize) -> Vec<Found> {
        self.select(from, limit, |commit| commit.last >= from)
    }

    /// The commit that holds a position.
    pub(super) fn at(&self, position: u64) -> Option<Found> {
        self.since(position, 1).pop().filter(|(group, index)| group.commits[*index].position <= position)
    }

    fn select(&self, from: u64, limit: usize, fits: impl Fn(&Placed) -> bool) -> Vec<Found> {
        let state = self.state.lock();
        let start = state.groups.partition_point(|group| group.commits.last().is_none_or(|last| last.last < from));
        let groups = state.groups.range(start..);
        let commits = groups.flat_map(|group| (0..group.commits.len()).map(move |index| (group, index)));
        let fitting = commits.filter(|(group, index)| fits(&group.commits[*index])).take(limit);
        fitting.map(|(group, index)| (group.clone(), index)).collect()
    }
}

/// The oldest groups, together at most `bytes`, one at least.
fn first(state: &State, bytes: usize) -> Vec<Arc<Group>> {
    let (mut taken, mut sum) = (Vec::new(), 0);
    for group in &state.groups {
        sum += group.body.len();
        if sum > bytes && !taken.is_empty() {
            break;
        }
        taken.push(group.clone());
    }
    taken
}

/// Bytes that a group holds in memory.
pub(super) fn cost(group: &Group) -> usize {
    group.body.len() + group.commits.len() * (size_of::<Placed>() + 32)
}
