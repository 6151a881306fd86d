//! Units that are no containers, beside those that are: one [`Runtime`] over Docker and every other kind, so that the
//! protocol knows units only.

mod folders;
mod notes;
mod programs;
mod stacks;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, Restart};
use cutover_events::workload::{Limits, Pull};
use cutover_events::{LogId, ReleaseId, WorkloadId};
use tokio::sync::mpsc;

use super::runtime::{Container, CreateContainer, Hint, Image, Login, Network, Runtime, RuntimeError, Volume};

pub use folders::ReleaseFolders;
pub use programs::Programs;
pub use stacks::StackUnits;

/// A kind of unit beside Docker's containers. A unit of it lives as a container does: it is created, started, stopped and
/// removed, and is seen in between. Every call may be repeated.
#[async_trait]
pub trait Kind: Send + Sync + 'static {
    /// Whether units of this image are of this kind.
    fn makes(&self, image: &str) -> bool;

    /// Whether this is the id of a unit of this kind. What is gone belongs to nobody.
    fn holds(&self, id: DockerId) -> bool;

    /// Every unit of this log; of one workload when given. Complete, or an error.
    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError>;

    /// One unit, `None` when it is gone.
    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError>;

    /// Whether what units of this image are made of is here.
    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError>;

    /// Where an image of this kind lies, when the proxy serves its units by itself.
    fn folder(&self, image: &str) -> Option<PathBuf>;

    /// Creates a unit, or finds the one that an earlier call made.
    async fn create(&self, log: LogId, unit: &CreateContainer) -> Result<DockerId, RuntimeError>;

    /// From here on it serves.
    async fn start(&self, id: DockerId) -> Result<(), RuntimeError>;

    /// Keeps the policy; nothing restarts it.
    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError>;

    /// From here on it does not serve; ended or gone already is success.
    async fn stop(&self, id: DockerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Volumes that go with the units of a workload, with their bytes where Docker knows.
    async fn own_volumes(
        &self,
        _log: LogId,
        _workload: WorkloadId,
    ) -> Result<Vec<(String, Option<u64>)>, RuntimeError> {
        Ok(Vec::new())
    }

    /// Volumes of its own go with it, where it has any.
    async fn give_up_volumes(&self, _id: DockerId) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Removes it; gone is success.
    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError>;

    /// The last lines that it has said, at most `bytes`.
    async fn output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError>;
}

/// Docker, and the other kinds of units beside it.
pub struct Units {
    docker: Arc<dyn Runtime>,
    others: Vec<Arc<dyn Kind>>,
}

impl std::fmt::Debug for Units {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Units").field("others", &self.others.len()).finish_non_exhaustive()
    }
}

impl Units {
    /// What runs containers, and every other kind.
    #[must_use]
    pub fn over(docker: Arc<dyn Runtime>, others: Vec<Arc<dyn Kind>>) -> Self {
        Self { docker, others }
    }

    fn kind_of(&self, id: DockerId) -> Option<&dyn Kind> {
        self.others.iter().find(|kind| kind.holds(id)).map(|kind| &**kind)
    }

    fn kind_for(&self, image: &str) -> Option<&dyn Kind> {
        self.others.iter().find(|kind| kind.makes(image)).map(|kind| &**kind)
    }
}

#[async_trait]
impl Runtime for Units {
    async fn daemon(&self) -> Result<String, RuntimeError> {
        self.docker.daemon().await
    }

    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError> {
        let mut all = self.docker.list(log, workload).await?;
        for kind in &self.others {
            all.extend(kind.list(log, workload).await?);
        }
        Ok(all)
    }

    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.inspect(id).await,
            None => self.docker.inspect(id).await,
        }
    }

    async fn resolve(
        &self,
        reference: &str,
        wanted: (Pull, &str),
        login: Option<&Login>,
    ) -> Result<Image, RuntimeError> {
        self.docker.resolve(reference, wanted, login).await
    }

    fn pulling(&self, reference: &str) -> Option<String> {
        self.docker.pulling(reference)
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        match self.kind_for(image) {
            Some(kind) => kind.has_image(image).await,
            None => self.docker.has_image(image).await,
        }
    }

    fn folder(&self, image: &str) -> Option<PathBuf> {
        self.kind_for(image)?.folder(image)
    }

    async fn tag(&self, image: &str, release: ReleaseId) -> Result<(), RuntimeError> {
        match self.kind_for(image) {
            // What units of other kinds are made of is kept by us, and nothing prunes it.
            Some(kind) => match kind.has_image(image).await? {
                true => Ok(()),
                false => Err(RuntimeError::NotFound(image.to_owned())),
            },
            None => self.docker.tag(image, release).await,
        }
    }

    async fn ensure_network(&self, log: LogId, project: &str) -> Result<Network, RuntimeError> {
        self.docker.ensure_network(log, project).await
    }

    async fn networks(&self, log: LogId) -> Result<Vec<Network>, RuntimeError> {
        self.docker.networks(log).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.docker.remove_network(id).await
    }

    async fn volumes(&self, log: LogId) -> Result<Vec<Volume>, RuntimeError> {
        self.docker.volumes(log).await
    }

    async fn remove_volume(&self, log: LogId, name: &str) -> Result<(), RuntimeError> {
        self.docker.remove_volume(log, name).await
    }

    async fn create(&self, log: LogId, container: &CreateContainer) -> Result<DockerId, RuntimeError> {
        match self.kind_for(&container.image) {
            Some(kind) => kind.create(log, container).await,
            None => self.docker.create(log, container).await,
        }
    }

    async fn start(&self, id: DockerId) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.start(id).await,
            None => self.docker.start(id).await,
        }
    }

    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.set_restart(id, restart).await,
            None => self.docker.set_restart(id, restart).await,
        }
    }

    async fn unpause(&self, id: DockerId) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(_) => Ok(()),
            None => self.docker.unpause(id).await,
        }
    }

    async fn rename(&self, id: DockerId, name: &str) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(_) => Ok(()),
            None => self.docker.rename(id, name).await,
        }
    }

    async fn set_limits(&self, id: DockerId, limits: Limits) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(_) => Ok(()),
            None => self.docker.set_limits(id, limits).await,
        }
    }

    async fn stop(&self, id: DockerId, grace: Duration) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.stop(id, grace).await,
            None => self.docker.stop(id, grace).await,
        }
    }

    async fn own_volumes(&self, log: LogId, workload: WorkloadId) -> Result<Vec<(String, Option<u64>)>, RuntimeError> {
        let mut all = Vec::new();
        for kind in &self.others {
            all.extend(kind.own_volumes(log, workload).await?);
        }
        Ok(all)
    }

    async fn give_up_volumes(&self, id: DockerId) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.give_up_volumes(id).await,
            None => self.docker.give_up_volumes(id).await,
        }
    }

    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.remove(id).await,
            None => self.docker.remove(id).await,
        }
    }

    async fn output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError> {
        match self.kind_of(id) {
            Some(kind) => kind.output(id, bytes).await,
            None => self.docker.output(id, bytes).await,
        }
    }

    fn hints(self: Arc<Self>, log: LogId) -> mpsc::Receiver<Hint> {
        self.docker.clone().hints(log)
    }
}
