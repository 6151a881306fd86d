//! Where each deployment's history begins: 40 bytes for each, so that a question about one reads only its own events.

use std::collections::BTreeMap;

use cutover_events::{DeploymentId, Event, StreamId, WorkloadId};

/// Every deployment that was ever wished.
#[derive(Debug, Default)]
pub struct Deployments {
    begins: BTreeMap<DeploymentId, Begins>,
    last: BTreeMap<WorkloadId, DeploymentId>,
}

/// Where the history of a deployment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begins {
    /// Whose stream.
    pub workload: WorkloadId,
    /// Version of the IntentQueued in it.
    pub version: u64,
    /// Position of it in the log.
    pub position: u64,
}

impl Deployments {
    /// Takes in a commit: its last position, and its last version where the stream is a workload's.
    pub fn fold(&mut self, stream: StreamId, events: &[Event], (position, version): (u64, u64)) {
        let count = events.len() as u64;
        for (event, back) in events.iter().zip((0..count).rev()) {
            match (stream, event) {
                (StreamId::Workload(workload), Event::IntentQueued(e)) => {
                    let begins = Begins { workload, version: version - back, position: position - back };
                    self.begins.insert(e.deployment, begins);
                }
                (StreamId::Workload(workload), Event::DeploymentSucceeded(e)) => self.ended(workload, e.deployment),
                (StreamId::Workload(workload), Event::DeploymentFailed(e)) => self.ended(workload, e.deployment),
                _ => (),
            }
        }
    }

    fn ended(&mut self, workload: WorkloadId, deployment: DeploymentId) {
        self.last.insert(workload, deployment);
    }

    /// Where a deployment begins.
    #[must_use]
    pub fn begins(&self, deployment: DeploymentId) -> Option<Begins> {
        self.begins.get(&deployment).copied()
    }

    /// The deployment of a workload that ended last.
    #[must_use]
    pub fn last_ended(&self, workload: WorkloadId) -> Option<DeploymentId> {
        self.last.get(&workload).copied()
    }
}
