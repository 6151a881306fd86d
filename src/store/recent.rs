//! What is durable in the journal and not yet in sled: the memory index, bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cutover_events::{Digest, StreamId};
use parking_lot::{Condvar, Mutex};

use super::journal::{Group, Placed};

/// Unapplied groups hold at most this many bytes; past it the writer waits for the feeder (issue figures).
const MAX_BYTES: usize = 32 * 1024 * 1024;

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
}

/// A commit that was found in memory.
pub(super) type Found = (Arc<Group>, usize);

impl Recent {
    /// Adds a durable group; waits while too much is held.
    pub(super) fn push(&self, group: Group) {
        let mut state = self.state.lock();
        while state.bytes >= MAX_BYTES && !state.closed {
            self.less.wait(&mut state);
        }
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

    /// Lets groups gather for a while; over at once when closed.
    pub(super) fn rest(&self, pause: Duration) {
        let mut state = self.state.lock();
        if !state.closed {
            self.closing.wait_for(&mut state, pause);
        }
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
        self.less.notify_all();
    }

    pub(super) fn key(&self, key: &[u8; 16]) -> Option<u64> {
        self.state.lock().keys.get(key).copied()
    }

    /// Commits of a stream whose last version is at least `from`.
    pub(super) fn of_stream(&self, stream: StreamId, from: u64) -> Vec<Found> {
        self.select(|commit| commit.stream == stream && commit.last_version >= from)
    }

    /// Commits whose last position is at least `from`.
    pub(super) fn since(&self, from: u64) -> Vec<Found> {
        self.select(|commit| commit.last >= from)
    }

    /// The chain value after the commit that holds a position.
    pub(super) fn chain_at(&self, position: u64) -> Option<Digest> {
        let found = self.select(|commit| commit.position <= position && position <= commit.last);
        found.first().map(|(group, index)| group.commits[*index].chain)
    }

    fn select(&self, fits: impl Fn(&Placed) -> bool) -> Vec<Found> {
        let state = self.state.lock();
        let commits = state.groups.iter().flat_map(|group| (0..group.commits.len()).map(move |index| (group, index)));
        commits
            .filter(|(group, index)| fits(&group.commits[*index]))
            .map(|(group, index)| (group.clone(), index))
            .collect()
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
fn cost(group: &Group) -> usize {
    group.body.len() + group.commits.len() * (size_of::<Placed>() + 32)
}
