//! The canonical spec of a workload, as it is recorded with every revision.
//!
//! Values of the environment never enter the log: a spec names them and points at sealed blobs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, Digest, HookId, WorkloadId};
use crate::secret::{SecretUse, SecretWay};
pub use crate::source::{
    ComposeSource, DockerfileSource, ImageSource, Pull, SealedText, Source, SourceKind, StaticBuild, StaticMode,
    StaticSource,
};

/// What should run: every revision is kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Where it comes from.
    pub source: Source,
    /// What leads to it from outside; none means that no traffic is routed to it.
    pub routes: Vec<Route>,
    /// Environment, sorted by name.
    pub env: Vec<EnvVar>,
    /// Replaces the command of the image.
    pub command: Option<Vec<String>>,
    /// What is mounted, in the order as written.
    pub mounts: Vec<Mount>,
    /// Ports of the host that lead to it, past the proxy.
    pub ports: Vec<PublishedPort>,
    /// What its containers may use.
    pub limits: Limits,
    /// How closed its containers are.
    pub hardening: Hardening,
    /// How readiness is probed; without it the liveness window counts.
    pub health: Option<Health>,
    /// Containers of one release, 1..=64.
    pub replicas: u16,
    /// Which changes from outside deploy it.
    pub triggers: Vec<Trigger>,
    /// Times and counts.
    pub policy: Policy,
    /// Other commands of the same release, sorted by name. The workload itself is its first process.
    pub processes: Vec<Process>,
    /// Names of workloads of the same project that must be ready before a deployment of this one starts anything.
    pub after: Vec<String>,
    /// Secrets of its project that its containers are given, sorted.
    pub secrets: Vec<SecretUse>,
    /// What runs once in a container of a new release before anything leads to it.
    pub release: Option<ReleaseCommand>,
}

/// What runs once in a container of its own, of the new image, before the point of no return: migrations, mostly.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ReleaseCommand {
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// How long it may run, ms; it is ended then, and the deployment has failed.
    pub timeout_ms: u64,
    /// What follows when nobody knows how it ended.
    pub on_crash: OnCrash,
}

/// What follows when it is not known whether a release command ran, or how it ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum OnCrash {
    /// A person is asked: the deployment waits.
    #[default]
    Ask,
    /// It runs again: it was written so that this does no harm.
    Again,
}

impl Spec {
    /// Everything of the host that its containers may have mounted: its volumes, and the storage of a site.
    pub fn mounted(&self) -> impl Iterator<Item = &Mount> {
        let storage = match &self.source {
            Source::Static(site) => site.storage.as_ref(),
            Source::Image(_) | Source::Dockerfile(_) | Source::Compose(_) => None,
        };
        self.mounts.iter().chain(storage)
    }

    /// Every secret that it needs: what its containers are given, what its build may read, and what opens its registry or repository.
    pub fn needed_secrets(&self) -> impl Iterator<Item = (&str, SecretWay)> {
        let build = match &self.source {
            Source::Dockerfile(build) => &build.secrets[..],
            Source::Image(_) | Source::Static(_) | Source::Compose(_) => &[][..],
        };
        let login = self.source.credentials();
        let given = self.secrets.iter().map(|used| (used.name.as_str(), used.way));
        let build = build.iter().map(|name| (name.as_str(), SecretWay::Build));
        given.chain(build).chain(login.map(|name| (name, SecretWay::Login)))
    }
}

/// Another command of a workload: its containers are of the same release, with its environment and mounts, and no route
/// or name leads to them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Another one than the workload's own.
    pub name: String,
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// Its containers of one release, 1..=64.
    pub replicas: u16,
    /// What each of its containers may use.
    pub limits: Limits,
    /// How readiness is probed; without it the liveness window counts.
    pub health: Option<Health>,
}

/// One way in from outside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Lower case; `*.example.com` matches one label.
    pub host: String,
    /// Path prefix, begins with `/`, matches whole segments.
    pub path: String,
    /// Port inside the container; 0 where the proxy itself serves the files.
    pub port: u16,
    /// Whether the prefix is cut off before the request is passed on.
    pub strip: bool,
    /// Service of a stack that it leads to; empty for all other sources.
    pub service: String,
}

/// Something of the host inside a container.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Mount {
    /// What.
    pub from: MountFrom,
    /// Absolute path inside the container.
    pub target: String,
    /// Who may write.
    pub access: Access,
}

/// What is mounted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum MountFrom {
    /// A volume of Docker, by its name on the host.
    Volume(String),
    /// A folder of the host, absolute.
    Folder(String),
}

/// Who may write to a mount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Access {
    /// One container at a time: this makes a workload exclusive.
    Exclusive,
    /// Several at a time: the programs see to it themselves.
    Shared,
    /// Nobody.
    ReadOnly,
}

/// A fixed port of the host: this makes a workload exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Address of the host.
    pub address: IpAddr,
    /// Port of the host.
    pub host: u16,
    /// Port inside the container.
    pub container: u16,
    /// What is spoken on it.
    pub transport: Transport,
}

/// What is spoken on a port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A variable of the environment: its name, and where its sealed value lies.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EnvVar {
    /// The name of the variable.
    pub name: String,
    /// The sealed blob that holds the value.
    pub sealed: Digest,
    /// Keyed hash of the value, so that "the same value" can be seen without reading it.
    pub mac: [u8; 16],
}

/// What a container may use; `None` is without a limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Limits {
    /// Bytes of memory (swap included).
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_milli: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// How closed a container is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum Hardening {
    /// Docker's default capabilities and `no-new-privileges`.
    #[default]
    Default,
    /// No capabilities, read-only root.
    Strict,
}

/// How readiness is probed, from outside the container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// Port inside the container; the first route's port when it was not written.
    pub port: u16,
    /// Between two probes, ms.
    pub interval_ms: u32,
    /// For one probe, ms.
    pub timeout_ms: u32,
}

/// What a probe asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Check {
    /// `GET path` answers with a status between `low` and `high`, both included.
    Http {
        /// Begins with `/`.
        path: String,
        /// `Host` header, empty for the address.
        host: String,
        /// Lowest status that counts as ready.
        low: u16,
        /// Highest status that counts as ready.
        high: u16,
    },
    /// The port accepts a connection.
    Tcp,
}

/// Which changes deploy a workload: all parts that are given must match.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Trigger {
    /// Name of the hook.
    pub hook: String,
    /// `owner/name`, without case; empty for any.
    pub repo: String,
    /// Branch, `*` matches any run of characters; empty for none.
    pub branch: String,
    /// Tag, `*` matches any run of characters; empty for none.
    pub tag: String,
    /// Image repository without tag, for deliveries about images; empty for none.
    pub image: String,
    /// Paths of the repository, of which one at least must have changed since what is deployed: `*` within a part, `**`
    /// for any number of parts, `!` takes back; empty for all.
    pub paths: Vec<String>,
}

/// Times and counts of a workload, all in milliseconds unless stated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// From the start of the last container until ready; past it the deployment fails.
    pub gate_timeout_ms: u64,
    /// Without a health check: how long a container must stay up.
    pub liveness_ms: u64,
    /// How long requests to blue may go on after the swap; past it they are cut and counted.
    pub drain_ms: u64,
    /// How long green is watched while blue stands by.
    pub bake_ms: u64,
    /// How long blue keeps running afterwards, for a rollback in milliseconds; 0: it is removed.
    pub standby_ms: u64,
    /// Between the stop signal and the kill.
    pub stop_timeout_ms: u64,
    /// Signal that asks a container to end, e.g. `SIGTERM`; 0 is the image's own.
    pub stop_signal: u8,
    /// Releases that stay known for a rollback, a count.
    pub keep_releases: u16,
    /// For the old release of an exclusive workload to become ready again after the new one failed.
    pub restore_timeout_ms: u64,
    /// For an image that a change from outside names to be in its registry; past it the deployment fails.
    pub wait_for_image_ms: u64,
    /// What follows when its containers are not as they should be.
    pub drift: OnDrift,
}

/// What follows when containers are not as they should be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum OnDrift {
    /// It is recorded and repaired.
    #[default]
    Repair,
    /// It is recorded, and left to persons.
    Report,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            gate_timeout_ms: 60_000,
            liveness_ms: 5_000,
            drain_ms: 10_000,
            bake_ms: 10_000,
            standby_ms: 0,
            stop_timeout_ms: 10_000,
            stop_signal: 0,
            keep_releases: 10,
            restore_timeout_ms: 600_000,
            wait_for_image_ms: 1_200_000,
            drift: OnDrift::Repair,
        }
    }
}

/// What must be unique over all workloads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Claim {
    /// `project/name`.
    Name(String),
    /// Host and path prefix.
    Route {
        /// Lower case.
        host: String,
        /// Begins with `/`.
        path: String,
    },
    /// A volume, by its name on the host. Several workloads of one project may hold one that none of them has for itself.
    Volume {
        /// On the host.
        name: String,
        /// The project, which alone may mount it.
        project: String,
        /// Full name of the workload that mounts it.
        by: String,
        /// Whether others of the project may mount it too.
        access: Access,
    },
    /// A port of the host; the same port on another address is another one, but for the address of all.
    Port {
        /// Of the host.
        address: IpAddr,
        /// Of the host.
        port: u16,
        /// What is spoken on it.
        transport: Transport,
    },
    /// The project name of a stack, where the file chooses one.
    Stack(String),
}

/// A workload was named for the first time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WorkloadRegistered {
    /// Its id, for ever.
    pub workload: WorkloadId,
    /// The namespace and network.
    pub project: String,
    /// The name within the project.
    pub name: String,
}

/// The wish for what should run has changed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SpecRevised {
    /// Whose spec.
    pub workload: WorkloadId,
    /// Counts from 1 within the workload.
    pub revision: u32,
    /// The whole spec.
    pub spec: Spec,
    /// Claims that this revision adds to those already held.
    pub claims: Vec<Claim>,
    /// Whether a deployment is wanted; a missing intent is appended at start under the key (workload, revision).
    pub deploy: bool,
}

/// Nothing holds these claims any more.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ClaimsFreed {
    /// Who held them.
    pub workload: WorkloadId,
    /// What anybody may claim again.
    pub claims: Vec<Claim>,
}

/// A person does not want the volumes that were made for a workload any longer than the workload itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VolumesUnwanted {
    /// Whose volumes.
    pub workload: WorkloadId,
    /// The teardown after which they go; when something else ends last, they stay.
    pub deployment: DeploymentId,
}

/// The volumes that were made for a workload were seen gone, but for those that others mount.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VolumesRemoved {
    /// Whose volumes.
    pub workload: WorkloadId,
    /// Their names on the host.
    pub volumes: Vec<String>,
}

/// A source of deliveries was configured.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HookAdded {
    /// In the path of its address.
    pub hook: HookId,
    /// As triggers name it.
    pub name: String,
    /// How its deliveries are verified and read.
    pub provider: Provider,
    /// The sealed blob that holds its secret.
    pub secret: Digest,
}

/// How deliveries of a hook are verified and read.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Provider {
    /// `X-Hub-Signature-256` over the raw body.
    GitHub,
    /// HMAC-SHA256 as hex, with or without `sha256=`, in the header of that name.
    Generic {
        /// Lower case.
        header: String,
    },
}

/// A hook has a new secret; the one before is accepted too until it is rotated again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HookRotated {
    /// Whose secret.
    pub hook: HookId,
    /// The sealed blob that holds the new one.
    pub secret: Digest,
}

/// A hook answers 404 from here on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HookRemoved {
    /// Which one.
    pub hook: HookId,
}
