//! The twin of the host: folders and holders as a test says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cutover_domain::registry::same_port;
use cutover_events::workload::PublishedPort;
use parking_lot::Mutex;

use super::{Bounds, FolderRefused, Host, Taken, Use};

/// A host in memory; nothing is there and nothing is taken until it is said.
#[derive(Debug, Default)]
pub struct MemoryHost {
    bounds: Bounds,
    folders: Mutex<BTreeMap<PathBuf, PathBuf>>,
    taken: Mutex<Vec<(PublishedPort, Taken)>>,
}

impl MemoryHost {
    /// A host with these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// A path leads to a folder.
    pub fn lead(&self, path: &Path, real: &Path) {
        self.folders.lock().insert(path.to_owned(), real.to_owned());
    }

    /// Somebody has a port.
    pub fn take(&self, port: PublishedPort, by: Taken) {
        self.taken.lock().push((port, by));
    }
}

impl Host for MemoryHost {
    fn folder(&self, path: &Path) -> Result<PathBuf, FolderRefused> {
        let folders = self.folders.lock();
        self.bounds.judge(Use::Mount, path, |path| folders.get(path).cloned())
    }

    fn source(&self, path: &Path) -> Result<PathBuf, FolderRefused> {
        let folders = self.folders.lock();
        self.bounds.judge(Use::Source, path, |path| folders.get(path).cloned())
    }

    fn taken(&self, port: &PublishedPort) -> Option<Taken> {
        let taken = self.taken.lock();
        taken.iter().find(|(other, _)| same_port(other, port)).map(|(_, by)| by.clone())
    }
}
