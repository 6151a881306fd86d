//! The port to what runs containers.

mod attach;
mod attach_memory;
mod docker;
mod login;
mod memory;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, ImageHealth, Phase, Restart};
use cutover_events::workload::{Hardening, Limits, Mount, MountFrom, PublishedPort, Pull};
use cutover_events::{DeploymentId, Digest, LogId, ReleaseId, UnitId, WorkloadId};

pub use attach::{Alone, Attached, Attaches, Like, Line, Pipe, Printed, Program, Push, Reading, Running, Size, Until};
pub(crate) use attach_memory::Errands;
pub use docker::{DockerConfig, DockerRuntime, assignable, gateway, host_resolvers};
pub use login::{BadLogin, Login};
pub use memory::MemoryRuntime;

/// The position and chain value that a container was planned at: the log must hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Witness {
    /// Position.
    pub position: u64,
    /// Chain value after the commit that holds the position.
    pub chain: Digest,
}

/// A container of ours, as listed and inspected.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that was seen, and they are never arguments")]
pub struct Container {
    /// Docker's id.
    pub id: DockerId,
    /// Its name without the slash.
    pub name: String,
    /// `project/name` as it was when it was created, from its labels.
    pub full_name: String,
    /// From its labels.
    pub unit: UnitId,
    /// From its labels.
    pub workload: WorkloadId,
    /// From its labels.
    pub release: ReleaseId,
    /// From its labels.
    pub deployment: DeploymentId,
    /// From its labels; `None` when they are damaged.
    pub witness: Option<Witness>,
    /// What it does.
    pub phase: Phase,
    /// Whether its processes stand still.
    pub paused: bool,
    /// Whether it is on the network that it was created on.
    pub connected: bool,
    /// What it may use.
    pub limits: Limits,
    /// Whether Docker restarts it.
    pub restart: Restart,
    /// How often Docker has.
    pub restarts: u32,
    /// Of the last run.
    pub exit_code: i32,
    /// Whether the kernel ended it for want of memory.
    pub oom_killed: bool,
    /// Start of the present run as Docker tells it (RFC 3339), empty when never started: part of its identity.
    pub started_at: String,
    /// How long the present run has lasted by Docker's clock, ms; 0 when it does not run.
    pub up_ms: u64,
    /// How long ago the process of the present run was made, by the kernel's clock, ms: a little more than `up_ms`.
    pub age_ms: u64,
    /// The image's own health check.
    pub health: ImageHealth,
    /// Its address on our network.
    pub address: Option<Ipv4Addr>,
    /// The release folder that it is, for a unit that the proxy serves by itself.
    pub folder: Option<PathBuf>,
    /// Volumes and folders that are mounted, in the order of their targets; anonymous volumes are not.
    pub mounts: Vec<Mounted>,
    /// Ports of the host that lead to it, in order.
    pub ports: Vec<PublishedPort>,
    /// The services of a unit that is a stack, by name; none for others.
    pub services: Vec<Service>,
}

/// A service of a stack, as it was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name in the stack.
    pub name: String,
    /// What its containers do, the worst of them, in one word; `missing` where there are none.
    pub state: &'static str,
    /// What their checks say, the worst of them, in one word; empty without a check.
    pub health: &'static str,
    /// How the worst of them ended, where it has.
    pub exit_code: Option<i64>,
    /// Its containers, in the order in which Compose counts them.
    pub containers: Vec<ServiceContainer>,
    /// Where it is reached from the host.
    pub address: Option<Ipv4Addr>,
}

/// A container of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceContainer {
    /// As Docker knows it.
    pub id: DockerId,
    /// Its name on Docker.
    pub name: String,
    /// Which one of its service it is, from 1 on, as Compose counts.
    pub number: usize,
    /// Whether a process of it runs.
    pub runs: bool,
}

/// Something of the host in a container, as inspected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounted {
    /// What.
    pub from: MountFrom,
    /// Absolute path inside the container.
    pub target: String,
    /// Whether the container may write.
    pub writable: bool,
}

/// A volume that was made for a workload of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Its name on Docker.
    pub name: String,
    /// From its label.
    pub workload: WorkloadId,
    /// From its label.
    pub project: String,
}

/// What a container is created from.
#[derive(Clone, Debug)]
pub struct CreateContainer {
    /// Reserved for ever.
    pub name: String,
    /// For the label.
    pub unit: UnitId,
    /// For the label.
    pub workload: WorkloadId,
    /// `project/name`, for the label that people read.
    pub full_name: String,
    /// For the label.
    pub release: ReleaseId,
    /// For the label.
    pub deployment: DeploymentId,
    /// For the label: from the receipt of the commit that planned it.
    pub witness: Witness,
    /// Local image id.
    pub image: String,
    /// Docker's id of the network.
    pub network: String,
    /// On that network.
    pub address: Ipv4Addr,
    /// What Docker itself finds it by on that network, whether it is ready or not: only where there is never a second.
    pub alias: Option<String>,
    /// What is mounted; folders by their real paths. A volume that is missing is made, with our labels.
    pub mounts: Vec<Mount>,
    /// Ports of the host that lead to it once it runs.
    pub ports: Vec<PublishedPort>,
    /// Whom Docker's resolver asks for names that it does not know, in this order; empty: the host's resolvers.
    pub dns: Vec<Ipv4Addr>,
    /// Values in the clear: never logged.
    pub env: Vec<(String, String)>,
    /// Replaces the image's.
    pub command: Option<Vec<String>>,
    /// What it may use.
    pub limits: Limits,
    /// How closed it is.
    pub hardening: Hardening,
    /// 0: the image's own.
    pub stop_signal: u8,
    /// What of its parts is made anew, where it takes over some of its predecessor.
    pub renewal: Renewal,
}

/// What of a unit that has parts is made anew when it takes over those of its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Renewal {
    /// What is not as it should be.
    #[default]
    Changed,
    /// Everything: a person restarts it.
    All,
}

/// An image that is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// `sha256:…`.
    pub id: String,
    /// `name@sha256:…`, empty for an image that was made here.
    pub repo_digest: String,
    /// Ports that it exposes.
    pub exposed: Vec<u16>,
}

/// A network of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// Docker's id.
    pub id: String,
    /// From its label.
    pub project: String,
    /// CIDR.
    pub subnet: String,
}

/// Why a call did not do what was asked. What an answer says is a hint; what is listed is the truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// Docker does not answer, or not in time: try again.
    #[error("Docker does not answer: {0}")]
    Unavailable(String),
    /// Docker refuses, and would again.
    #[error("{0}")]
    Refused(String),
    /// The image is unknown to the registry and not here.
    #[error("{0}")]
    ImageMissing(String),
    /// The image is not here, and its registry answers that it does not have it: it may have it later.
    #[error("{0}")]
    NotPushed(String),
    /// The container, network or image is not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// Docker answers, and cannot do it now: something else is done to it first, or the registry that it asked is away. Try
    /// again.
    #[error("{0}")]
    Busy(String),
    /// The name is taken by a container that is not ours.
    #[error("the container name {0} is taken by a container that is not cutover's")]
    NameTaken(String),
}

impl RuntimeError {
    /// Whether the same call may do what was asked at another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// A hint that something happened; the listing is the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// Something happened to a container of this workload.
    Workload(WorkloadId),
    /// The stream of events was (re)connected: look at everything.
    LookAtAll,
    /// The connection to Docker was lost: it went away, or hangs.
    Lost,
}

/// What runs containers. Every call has a deadline of its own; every effect may be repeated.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Docker's own id of the daemon. Also the ping: fails fast when it hangs.
    async fn daemon(&self) -> Result<String, RuntimeError>;

    /// Every container that carries this log id; of one workload when given. Complete, or an error.
    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError>;

    /// One container, `None` when it is gone.
    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError>;

    /// The image of a reference, pulled as the policy says, with what opens its registry.
    async fn resolve(
        &self,
        reference: &str,
        wanted: (Pull, &str),
        login: Option<&Login>,
    ) -> Result<Image, RuntimeError>;

    /// How far the pull of a reference is, and which try it is, one line; `None` when none goes on.
    fn pulling(&self, _reference: &str) -> Option<String> {
        None
    }

    /// Whether this local image id is here.
    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError>;

    /// Where an image lies whose units the proxy serves by itself; `None` for those of containers.
    fn folder(&self, image: &str) -> Option<PathBuf>;

    /// Keeps an image from a plain prune: tags it `cutover/<release>`.
    async fn tag(&self, image: &str, release: ReleaseId) -> Result<(), RuntimeError>;

    /// The network of a project of this log; made when it is missing.
    async fn ensure_network(&self, log: LogId, project: &str) -> Result<Network, RuntimeError>;

    /// The networks of this log.
    async fn networks(&self, log: LogId) -> Result<Vec<Network>, RuntimeError>;

    /// Removes a network; not being there is success.
    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError>;

    /// The volumes that were made for workloads of this log. One that was there before is used and is not among them.
    async fn volumes(&self, log: LogId) -> Result<Vec<Volume>, RuntimeError>;

    /// Removes a volume that was made for a workload of this log; not being there is success.
    async fn remove_volume(&self, log: LogId, name: &str) -> Result<(), RuntimeError>;

    /// Creates a container, or finds the one that an earlier call with the same name and unit made.
    async fn create(&self, log: LogId, container: &CreateContainer) -> Result<DockerId, RuntimeError>;

    /// Starts it; started already is success.
    async fn start(&self, id: DockerId) -> Result<(), RuntimeError>;

    /// Sets its restart policy.
    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError>;

    /// Its processes go on; not being paused is success.
    async fn unpause(&self, id: DockerId) -> Result<(), RuntimeError>;

    /// Gives it that name; having it already is success.
    async fn rename(&self, id: DockerId, name: &str) -> Result<(), RuntimeError>;

    /// Sets what it may use; an error where the runtime keeps something else.
    async fn set_limits(&self, id: DockerId, limits: Limits) -> Result<(), RuntimeError>;

    /// Asks it to end, and kills it after `grace`; ended or gone already is success.
    async fn stop(&self, id: DockerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Volumes that go with the units of a workload by themselves, with their bytes where Docker knows.
    async fn own_volumes(
        &self,
        _log: LogId,
        _workload: WorkloadId,
    ) -> Result<Vec<(String, Option<u64>)>, RuntimeError> {
        Ok(Vec::new())
    }

    /// What it keeps in volumes of its own is not wanted any more: it goes with it. Others keep their volumes until they
    /// are removed by [`Self::remove_volume`].
    async fn give_up_volumes(&self, _id: DockerId) -> Result<(), RuntimeError> {
        Ok(())
    }

    /// Removes it; gone, or being removed, is success.
    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError>;

    /// The last lines of its output, at most `bytes`.
    async fn output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError>;

    /// Hints for as long as the receiver lives; reconnects by itself.
    fn hints(self: Arc<Self>, log: LogId) -> tokio::sync::mpsc::Receiver<Hint>;
}

/// The labels of our containers and networks.
pub mod labels {
    /// Log id: only what carries ours is ours.
    pub const LOG: &str = "io.cutover.log";
    /// Workload id.
    pub const WORKLOAD: &str = "io.cutover.workload";
    /// `project/name`, for people.
    pub const NAME: &str = "io.cutover.name";
    /// Unit id.
    pub const UNIT: &str = "io.cutover.unit";
    /// Release id.
    pub const RELEASE: &str = "io.cutover.release";
    /// Deployment id.
    pub const DEPLOYMENT: &str = "io.cutover.deployment";
    /// `position:chain`.
    pub const WITNESS: &str = "io.cutover.witness";
    /// Errand id, on a container of its own: such a one is no unit, and no listing of units shows it.
    pub const ERRAND: &str = "io.cutover.errand";
    /// Project, on networks and volumes.
    pub const PROJECT: &str = "io.cutover.project";
}

/// Labels as Docker takes them.
pub type Labels = BTreeMap<String, String>;
