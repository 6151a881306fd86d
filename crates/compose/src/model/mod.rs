//! What Cutover needs to know of a stack, in types.

pub(crate) mod mount;
pub(crate) mod port;
mod read;

pub(crate) use read::service;

use std::collections::{BTreeMap, BTreeSet};

use crate::variables::Values;

/// A published port, or a run of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The address of the host; empty for all.
    pub address: String,
    /// First and last port of the host; `None` where Docker picks one.
    pub host: Option<(u16, u16)>,
    /// First and last port of the container.
    pub container: (u16, u16),
    /// `tcp`, `udp` or `sctp`.
    pub transport: String,
}

/// What a mount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A volume that the stack declares.
    Volume,
    /// A path of the host.
    Host,
    /// A volume without a name: empty for each new container.
    Anonymous,
    /// Memory.
    Memory,
    /// A pipe, an image or a cluster volume.
    Other,
}

/// A mount of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What `source` is.
    pub from: Origin,
    /// The key of the volume, or the path as written, variables filled in; empty for none.
    pub source: String,
    /// The path inside of the container.
    pub target: String,
    /// Whether the service may not write.
    pub read_only: bool,
}

/// A command as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// One text, which Compose splits into words as a shell does.
    Line(String),
    /// Its words.
    Words(Vec<String>),
}

/// How Docker finds out whether a service is healthy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// As the image says.
    #[default]
    Image,
    /// Not at all.
    None,
    /// By a command within the container.
    Command(Vec<String>),
    /// By a line for its shell.
    Shell(String),
}

/// When a service may start after another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Once it was started.
    Started,
    /// Once it is healthy.
    Healthy,
    /// Once it has ended well.
    Completed,
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Build {
    /// The folder, or the address of a repository.
    pub context: String,
    /// The Dockerfile within it; empty for the default.
    pub dockerfile: String,
    /// The stage; empty for the last.
    pub target: String,
    /// Names of its arguments.
    pub args: BTreeSet<String>,
    /// Whether it says more than that.
    pub more: bool,
}

/// The environment of a service. Values may be secrets: only names are printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment(pub Values);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its key.
    pub name: String,
    /// Whether it is started: it has no profile, or one that is asked for.
    pub active: bool,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Its image.
    pub image: Option<String>,
    /// How it is built, where it is.
    pub build: Option<Build>,
    /// The name of its container, where the file says one.
    pub container_name: Option<String>,
    /// What it publishes.
    pub ports: Vec<Port>,
    /// Ports that it says it has, for other services.
    pub expose: Vec<u16>,
    /// What it mounts.
    pub mounts: Vec<Mount>,
    /// Its environment: env files, then its own.
    pub environment: Environment,
    /// Instead of the image's command.
    pub command: Option<Command>,
    /// Instead of the image's entrypoint.
    pub entrypoint: Option<Command>,
    /// How its health is found out.
    pub health: Health,
    /// What it comes after.
    pub after: BTreeMap<String, Condition>,
    /// Containers of it.
    pub replicas: u32,
    /// Limit of memory, as written.
    pub memory: Option<String>,
    /// Limit of cores, as written.
    pub cpus: Option<String>,
    /// Limit of processes, as written.
    pub pids: Option<String>,
    /// When it is started again, as written.
    pub restart: Option<String>,
    /// The signal that ends it.
    pub stop_signal: Option<String>,
    /// How long it may take to end, as written.
    pub stop_grace_period: Option<String>,
    /// All keys that the file gives it.
    pub keys: BTreeSet<String>,
}

impl Service {
    /// The names of volumes and paths that it may write to.
    pub fn writable(&self) -> impl Iterator<Item = &Mount> {
        let kept = |mount: &&Mount| matches!(mount.from, Origin::Volume | Origin::Host | Origin::Anonymous);
        self.mounts.iter().filter(kept).filter(|mount| !mount.read_only)
    }
}
