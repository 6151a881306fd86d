//! The log: what survives a crash. Commits in memory, read back through the codec.

use cutover_domain::deployment::{CorruptLog, evolve};
use cutover_domain::workload::Workload;
use cutover_events::codec::{decode_commit, encode_commit};
use cutover_events::{Actor, Cause, Commit, Event, Stamp, StreamId, WorkloadId};

#[derive(Default)]
pub(crate) struct Journal {
    commits: Vec<Commit>,
    head: u64,
}

impl Journal {
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    pub(crate) fn commits(&self) -> &[Commit] {
        &self.commits
    }

    /// Writes one commit; gives its position.
    pub(crate) fn append(&mut self, workload: WorkloadId, version: u64, at: Stamp, events: Vec<Event>) -> u64 {
        let position = self.head + 1;
        self.head += events.len() as u64;
        self.commits.push(Commit {
            position,
            stream: StreamId::Workload(workload),
            version,
            at,
            cause: Cause::Engine,
            actor: Actor::Engine,
            key: None,
            events,
        });
        position
    }

    /// An engine has started: its position is the writer epoch.
    pub(crate) fn started(&mut self) -> u64 {
        self.head += 1;
        self.head
    }

    /// Whether the newest commit survives its stored form.
    pub(crate) fn newest_survives_the_codec(&self) -> bool {
        let Some(commit) = self.commits.last() else { return true };
        encode_commit(commit).is_ok_and(|body| decode_commit(&body).is_ok_and(|read| read == *commit))
    }

    /// The fold of one stream.
    pub(crate) fn fold(&self, workload: WorkloadId) -> Result<Workload, CorruptLog> {
        let mut state = Workload::default();
        let stream = StreamId::Workload(workload);
        for commit in self.commits.iter().filter(|commit| commit.stream == stream) {
            for event in &commit.events {
                evolve(&mut state, event, commit.at.into())?;
            }
        }
        Ok(state)
    }
}
