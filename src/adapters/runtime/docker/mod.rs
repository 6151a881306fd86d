//! Docker, through its HTTP API.
//!
//! | file | holds |
//! |---|---|
//! | `client` | the connection, a deadline around every call, and what an error means |
//! | `names` | what may be put into a path |
//! | `labels` | what our containers carry |
//! | `look` | listing, inspecting, and what an inspection says |
//! | `age` | how long a process lives, whatever the wall clock does |
//! | `create` | the create call, its repetition, and what a container is allowed |
//! | `attach` | programs of people, in containers that run and in containers of their own |
//! | `reading` | what a container prints, line by line |
//! | `steps` | start, policy, stop, remove, output |
//! | `mend` | what a person has changed: unpause, rename, limits |
//! | `images` | references and pulls |
//! | `networks`, `subnet` | a network per project, with addresses that nobody else uses |
//! | `volumes` | what is mounted and published, and the volumes that we made |
//! | `pulling` | how far pulls are |
//! | `unpulled` | why a pull gave no image |
//! | `resolvers` | whom containers ask when the proxy does not answer |
//! | `hints` | the stream of events |

mod age;
mod alike;
mod attach;
mod client;
mod create;
mod hints;
mod images;
mod labels;
mod look;
mod mend;
mod names;
mod networks;
mod pulling;
mod reading;
mod resolvers;
mod steps;
mod subnet;
mod unpulled;
mod volumes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, Restart};
use cutover_events::workload::{Limits, Pull};
use cutover_events::{LogId, ReleaseId, WorkloadId};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Container, CreateContainer, Hint, Image, Login, Network, Runtime, RuntimeError, Volume};
use crate::clock::Clock;
use client::Client;

pub use resolvers::host_resolvers;
pub use subnet::{assignable, gateway};

/// Where Docker is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DockerConfig {
    /// Its unix socket.
    pub socket: PathBuf,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self { socket: PathBuf::from("/var/run/docker.sock") }
    }
}

/// Docker on this host. Its tasks end with it, or when what they report to is dropped.
#[derive(Debug)]
pub struct DockerRuntime {
    client: Client,
    clock: Clock,
    /// One network is made at a time: old daemons give the same name to two.
    networks: tokio::sync::Mutex<()>,
    pulls: pulling::Pulls,
    unlisted: images::Unlisted,
    tasks: Mutex<JoinSet<()>>,
}

impl DockerRuntime {
    /// Does not connect yet: Docker may come later than the engine.
    #[must_use]
    pub fn new(config: &DockerConfig, clock: Clock) -> Self {
        Self {
            client: Client::new(config.socket.clone()),
            clock,
            networks: tokio::sync::Mutex::new(()),
            pulls: pulling::Pulls::default(),
            unlisted: images::Unlisted::default(),
            tasks: Mutex::new(JoinSet::new()),
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    async fn daemon(&self) -> Result<String, RuntimeError> {
        self.client.daemon().await
    }

    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError> {
        self.look_at_all(log, workload).await
    }

    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError> {
        self.look_at(&names::container(id)).await
    }

    async fn resolve(
        &self,
        reference: &str,
        wanted: (Pull, &str),
        login: Option<&Login>,
    ) -> Result<Image, RuntimeError> {
        self.image_of(reference, wanted, login).await
    }

    fn pulling(&self, reference: &str) -> Option<String> {
        self.pulls.told(reference, self.clock.stamp().mono_ms)
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(self.local_image(image).await?.is_some())
    }

    fn folder(&self, _image: &str) -> Option<PathBuf> {
        None
    }

    async fn tag(&self, image: &str, release: ReleaseId) -> Result<(), RuntimeError> {
        self.tag_image(image, release).await
    }

    async fn ensure_network(&self, log: LogId, project: &str) -> Result<Network, RuntimeError> {
        self.network_of(log, project).await
    }

    async fn networks(&self, log: LogId) -> Result<Vec<Network>, RuntimeError> {
        self.networks_of(log).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.drop_network(id).await
    }

    async fn volumes(&self, log: LogId) -> Result<Vec<Volume>, RuntimeError> {
        self.volumes_of(log).await
    }

    async fn remove_volume(&self, log: LogId, name: &str) -> Result<(), RuntimeError> {
        self.drop_volume(log, name).await
    }

    async fn create(&self, log: LogId, container: &CreateContainer) -> Result<DockerId, RuntimeError> {
        self.create_or_adopt(log, container).await
    }

    async fn start(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.start_container(id).await
    }

    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        self.set_policy(id, restart).await
    }

    async fn unpause(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.let_go_on(id).await
    }

    async fn rename(&self, id: DockerId, name: &str) -> Result<(), RuntimeError> {
        self.call_again(id, name).await
    }

    async fn set_limits(&self, id: DockerId, limits: Limits) -> Result<(), RuntimeError> {
        self.limit(id, limits).await
    }

    async fn stop(&self, id: DockerId, grace: Duration) -> Result<(), RuntimeError> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.remove_container(id).await
    }

    async fn output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError> {
        self.last_output(id, bytes).await
    }

    fn hints(self: Arc<Self>, log: LogId) -> mpsc::Receiver<Hint> {
        let (sender, receiver) = mpsc::channel(hints::WAITING);
        let mut tasks = self.tasks.lock();
        // Those that ended are taken out, so that the set does not grow with every watcher.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(hints::watch(self.client.clone(), self.clock, log, sender));
        receiver
    }
}
