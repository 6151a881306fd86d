//! What the log says now: the folds of registry, engine and every workload, kept up with each commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_domain::deployment::{CorruptLog, evolve};
use cutover_domain::engine::Engine;
use cutover_domain::observed::Mark;
use cutover_domain::registry::Registry;
use cutover_domain::workload::Workload;
use cutover_events::{Digest, Event, Sealed, Stamp, StreamId, WorkloadId};
use parking_lot::RwLock;
use tokio::sync::{Notify, watch};

use super::addresses::Addresses;
use super::deployments::Deployments;

/// The folds. Writers fold under the lock of the stream that they append to, so that a fold never lags its stream.
#[derive(Debug, Default)]
pub struct Live {
    registry: RwLock<Arc<Registry>>,
    engine: RwLock<Arc<Engine>>,
    cells: RwLock<BTreeMap<WorkloadId, Arc<Cell>>>,
    addresses: RwLock<Addresses>,
    deployments: RwLock<Deployments>,
    /// Held while the registry's stream is written.
    pub registry_lock: tokio::sync::Mutex<()>,
    /// Held while the engine's stream is written.
    pub engine_lock: tokio::sync::Mutex<()>,
    workloads: watch::Sender<usize>,
}

/// One workload: its state, the lock of its stream, and who waits for changes.
#[derive(Debug, Default)]
pub struct Cell {
    /// Held while the stream is written: one writer at a time.
    pub lock: tokio::sync::Mutex<()>,
    /// Told after each commit.
    pub changed: Notify,
    state: RwLock<(Arc<Workload>, Planned)>,
}

/// Position and chain value of the commit that holds the newest plan: the witness of its containers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Planned {
    /// Position of the commit's last event.
    pub position: u64,
    /// Chain value after it.
    pub chain: Digest,
}

/// A durable commit as the fold needs it.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// Whose history.
    pub stream: StreamId,
    /// What happened.
    pub events: &'a [Event],
    /// When.
    pub at: Stamp,
    /// Position of the last event.
    pub position: u64,
    /// Version of the last event within the stream.
    pub version: u64,
    /// Chain value after it.
    pub chain: Digest,
}

impl<'a> From<&'a Sealed> for Written<'a> {
    fn from(sealed: &'a Sealed) -> Self {
        let commit = &sealed.commit;
        Self {
            stream: commit.stream,
            events: &commit.events,
            at: commit.at,
            position: commit.last_position(),
            version: commit.last_version(),
            chain: sealed.chain,
        }
    }
}

impl Cell {
    /// The state.
    #[must_use]
    pub fn state(&self) -> Arc<Workload> {
        self.state.read().0.clone()
    }

    fn fold(&self, written: Written<'_>) -> Result<(), CorruptLog> {
        let mut held = self.state.write();
        let (state, planned) = &mut *held;
        let state = Arc::make_mut(state);
        for event in written.events {
            evolve(state, event, Mark::from(written.at))?;
            if event.plan().is_some() {
                *planned = Planned { position: written.position, chain: written.chain };
            }
        }
        Ok(())
    }

    /// The witness for containers of the newest plan.
    #[must_use]
    pub fn planned(&self) -> Planned {
        self.state.read().1
    }
}

impl Live {
    /// The registry.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.read().clone()
    }

    /// The engine's own state.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        self.engine.read().clone()
    }

    /// The cell of a workload; made when it is asked for first.
    #[must_use]
    pub fn cell(&self, workload: WorkloadId) -> Arc<Cell> {
        if let Some(cell) = self.cells.read().get(&workload) {
            return cell.clone();
        }
        let cell = self.cells.write().entry(workload).or_default().clone();
        self.workloads.send_modify(|count| *count += 1);
        cell
    }

    /// Every workload with its cell, in the order of ids.
    #[must_use]
    pub fn cells(&self) -> Vec<(WorkloadId, Arc<Cell>)> {
        self.cells.read().iter().map(|(id, cell)| (*id, cell.clone())).collect()
    }

    /// Changes when a workload is added.
    #[must_use]
    pub fn watch_workloads(&self) -> watch::Receiver<usize> {
        self.workloads.subscribe()
    }

    /// Runs `with` on the address book.
    pub fn with_addresses<T>(&self, with: impl FnOnce(&mut Addresses) -> T) -> T {
        with(&mut self.addresses.write())
    }

    /// Runs `with` on where deployments begin.
    pub fn with_deployments<T>(&self, with: impl FnOnce(&Deployments) -> T) -> T {
        with(&self.deployments.read())
    }

    /// One value for all that the log says: two folds of the same log have the same one, and a fold that has missed or
    /// doubled anything has another. Complete only where nothing is written meanwhile.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = format!("{:?}\n{:?}\n", self.registry(), self.engine());
        // A workload that was only asked for has a cell and no history.
        for (id, cell) in self.cells().into_iter().filter(|(_, cell)| cell.state().version > 0) {
            text.push_str(&format!("{id} {:?} {:?}\n", cell.state(), cell.planned()));
        }
        Digest::of(text.as_bytes())
    }

    /// Takes in a durable commit.
    ///
    /// # Errors
    /// The commit cannot be true.
    pub fn fold(&self, written: Written<'_>) -> Result<(), CorruptLog> {
        let at = (written.position, written.version);
        self.deployments.write().fold(written.stream, written.events, at);
        match written.stream {
            StreamId::Registry => {
                let mut registry = self.registry.write();
                let registry = Arc::make_mut(&mut registry);
                written.events.iter().for_each(|event| registry.evolve(event));
            }
            StreamId::Engine => {
                let mut engine = self.engine.write();
                let engine = Arc::make_mut(&mut engine);
                written.events.iter().for_each(|event| engine.evolve(event));
            }
            StreamId::Workload(id) => self.fold_workload(id, written)?,
            StreamId::Hook(_) => (),
        }
        Ok(())
    }

    fn fold_workload(&self, id: WorkloadId, written: Written<'_>) -> Result<(), CorruptLog> {
        let cell = self.cell(id);
        cell.fold(written)?;
        self.addresses.write().fold(written.events, written.at);
        cell.changed.notify_one();
        Ok(())
    }
}
