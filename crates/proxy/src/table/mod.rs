//! The route table: what is stored, how it is read by every request, and who may change it.

mod names;
mod releases;
mod routing;
mod rules;
mod store;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use names::NameIndex;
pub use releases::Former;
pub use routing::{Found, RouteIndex, without_port};
pub use store::{StoreError, Stored, StoredEntry};
pub use write::Switchboard;

use crate::drain::Target;
use crate::metrics::WorkloadFigures;
use crate::wire;

/// The table at one moment; replaced as a whole by each write.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Whose table; `None` before the first write.
    pub log: Option<String>,
    /// Highest writer epoch seen.
    pub writer_epoch: u64,
    /// The newest witness.
    pub witness: Option<wire::Witness>,
    /// By workload, tombstones too.
    pub entries: BTreeMap<String, Arc<Entry>>,
    /// The same, for requests.
    pub index: RouteIndex,
    /// The same, for those who ask by name.
    pub names: NameIndex,
}

/// What is known of one workload.
#[derive(Debug)]
pub struct Entry {
    /// Whose.
    pub workload: String,
    /// `project/name`.
    pub name: String,
    /// Highest generation taken, fences included.
    pub generation: u64,
    /// Hosts and paths.
    pub routes: Vec<wire::Route>,
    /// What it is found by.
    pub names: Option<wire::Names>,
    /// What serves.
    pub targets: Vec<Arc<Target>>,
    /// Former targets whose drain is not over, or was over since the last write.
    pub draining: Vec<Arc<Target>>,
    /// Releases from before that are still asked for files, the newest first.
    pub former: Vec<Former>,
    /// Times.
    pub policy: wire::RoutePolicy,
    /// Counts over all writes.
    pub figures: Arc<WorkloadFigures>,
}

impl Entry {
    /// For the table's answer.
    #[must_use]
    pub fn view(&self) -> wire::Entry {
        wire::Entry {
            workload: self.workload.clone(),
            name: self.name.clone(),
            generation: self.generation,
            routes: self.routes.clone(),
            names: self.names.clone(),
            targets: self.targets.iter().map(|target| target.status()).collect(),
            draining: self.draining.iter().map(|target| target.drain_status()).collect(),
        }
    }

    /// Whether requests may find a release folder here: it has one, or nothing yet.
    #[must_use]
    pub fn may_be_site(&self) -> bool {
        self.targets.first().is_none_or(|target| target.address().is_none())
    }

    /// The least loaded target, one that refused a moment ago only when there is no other; `None` without targets.
    #[must_use]
    pub fn choose(&self, turn: usize) -> Option<&Arc<Target>> {
        match self.targets.as_slice() {
            [] => None,
            [only] => Some(only),
            several => {
                let n = several.len();
                // The turn decides between equals; without it the first would get all sequential requests.
                (0..n).map(|i| &several[(turn + i) % n]).min_by_key(|target| (target.is_shunned(), target.load()))
            }
        }
    }
}
