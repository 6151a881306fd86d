//! The port to Compose: stacks that are brought up, looked at and taken down as a whole.
//!
//! | file | holds |
//! |---|---|
//! | `folder` | the files of a project below the data folder |
//! | `lock` | one command at a time for a project, across engines |
//! | `program` | which Compose there is |
//! | `command` | one run of it: arguments, environment, output, deadline |
//! | `engine` | what is read from Docker itself |
//! | `look` | containers and volumes of a project, by label |
//! | `real`, `memory` | the port over the real thing, and its twin |
//! | `draft` | a stack as it was found, judged as a whole |
//! | `stack`, `stacks` | what is kept of it for each release, sealed |

mod claims;
mod command;
mod draft;
mod engine;
mod folder;
mod lock;
mod look;
mod memory;
mod program;
mod real;
mod stack;
mod stacks;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::adapters::runtime::ServiceContainer;

pub use command::is_reserved;
pub use draft::{Around, Draft, DraftError};
pub use look::beside;
pub use memory::MemoryCompose;
pub use program::{Generation, Program, find};
pub use real::{ComposeConfig, RealCompose};
pub use stack::Stack;
pub use stacks::{Kept, Stacks, Vault, Wished};

/// What a stack is brought up from.
#[derive(Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name, as [`cutover_compose::project_name`] makes it.
    pub name: String,
    /// The compose files, in the order in which they are merged: keys of `files`.
    pub order: Vec<String>,
    /// All files that belong to it, by path within its folder: compose files, env files, what they include.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What variables stand for. Only these are in the environment of the command.
    pub variables: BTreeMap<String, String>,
    /// Profiles that are asked for.
    pub profiles: Vec<String>,
    /// Where relative paths begin; the folder of the project when there is none.
    pub base: Option<PathBuf>,
    /// Which containers are made anew.
    pub anew: Anew,
}

/// Which containers `up` makes anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anew {
    /// Those that are not as the files say.
    #[default]
    Changed,
    /// All.
    All,
}

/// Names of variables and files, never what they hold.
impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("name", &self.name)
            .field("order", &self.order)
            .field("files", &self.files.keys().collect::<Vec<_>>())
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("profiles", &self.profiles)
            .field("base", &self.base)
            .field("anew", &self.anew)
            .finish()
    }
}

/// What becomes of the volumes of a stack that is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volumes {
    /// They go with it.
    Remove,
    /// They stay.
    Keep,
}

/// What the containers of a service do, the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All run.
    Running,
    /// One was made and not started.
    Created,
    /// One is paused.
    Paused,
    /// One is started again and again.
    Restarting,
    /// One has ended.
    Exited,
    /// One is being removed, or cannot be used any more.
    Dead,
}

/// What health checks say, the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Healthy {
    /// None of them has a check.
    Unchecked,
    /// All are healthy.
    Yes,
    /// One is not healthy yet.
    Starting,
    /// One is not healthy.
    No,
}

/// One service of a project, as Docker shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The service.
    pub service: String,
    /// Its containers, in the order in which they are counted.
    pub containers: Vec<ServiceContainer>,
    /// What they do.
    pub state: State,
    /// What their checks say.
    pub health: Healthy,
    /// How the worst of them ended, where it has.
    pub exit_code: Option<i64>,
    /// Whether they were made from the folder of this engine.
    pub ours: bool,
    /// Where the first of them that runs is reached from the host; `None` where none is.
    pub address: Option<Ipv4Addr>,
}

/// A volume of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectVolume {
    /// Its name on Docker.
    pub name: String,
    /// Bytes on disk, where Docker knows.
    pub bytes: Option<u64>,
}

/// A container of whoever, by what nobody else can have while it is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holder {
    /// Its name on Docker.
    pub container: String,
    /// The project of Compose that it belongs to; empty for none.
    pub project: String,
    /// Ports of the host: address, port, `tcp` or `udp`.
    pub ports: Vec<(String, u16, String)>,
}

/// Why Compose did not do what was asked. None of them holds anything that it printed: that may be a secret, and goes to
/// the server log alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// There is none on this host.
    #[error(
        "there is no Compose on this host; install docker-compose (Debian: apt install docker-compose), or the compose plugin of Docker"
    )]
    NoProgram,
    /// Compose does not take the stack.
    #[error("Compose refuses the stack (exit code {0}); what it says is in the log of the engine")]
    Refused(i32),
    /// It ended with an error.
    #[error("{what} ended with exit code {code}; what it printed is in the log of the engine")]
    Failed {
        /// The command.
        what: &'static str,
        /// Its exit code; 128 and the number of a signal when it was killed by one.
        code: i32,
    },
    /// It took too long, and was killed with everything that it had started.
    #[error("{what} did not end within {} s and was stopped", after.as_secs())]
    TimedOut {
        /// The command.
        what: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// It was cancelled, and killed with everything that it had started.
    #[error("{0} was cancelled")]
    Cancelled(&'static str),
    /// A command of another engine still works on the project.
    #[error("a command of an earlier engine still works on the project (process {pid}); it is waited for")]
    Busy {
        /// Its process.
        pid: String,
    },
    /// What was asked for cannot be done as it is.
    #[error("{0}")]
    Unusable(String),
    /// Docker, or the disk, did not answer; it may the next time.
    #[error("{0}")]
    Unavailable(String),
}

/// Compose on this host. Every call may be repeated: afterwards things are as if it had been made once.
#[async_trait]
pub trait Compose: Send + Sync + 'static {
    /// Which program there is; `None` when there is none, and nothing but looking works. One that was found is kept.
    async fn program(&self) -> Option<&Program>;

    /// Whether Compose itself takes the stack. Nothing of the project is touched.
    ///
    /// # Errors
    /// It does not, or could not be asked.
    async fn judge(&self, project: &Project) -> Result<(), ComposeError>;

    /// All services are as the files say, and no others are there. The files are in the folder of the project.
    ///
    /// # Errors
    /// It could not be brought up within the deadline, or was cancelled; some services may be up.
    async fn up(&self, project: &Project, deadline: Duration, cancel: &CancellationToken) -> Result<(), ComposeError>;

    /// One row for each service that has containers, by name; nothing for an unknown project.
    ///
    /// # Errors
    /// Docker does not answer.
    async fn rows(&self, name: &str) -> Result<Vec<Row>, ComposeError>;

    /// What runs on this host holds, besides stacks too.
    ///
    /// # Errors
    /// Docker does not answer.
    async fn holders(&self) -> Result<Vec<Holder>, ComposeError>;

    /// The volumes of a project, by name.
    ///
    /// # Errors
    /// Docker does not answer.
    async fn volumes(&self, name: &str) -> Result<Vec<ProjectVolume>, ComposeError>;

    /// No container or network of the project is left, nor a volume when those go; an unknown one is as good.
    ///
    /// # Errors
    /// It could not be taken down within the deadline; its files stay.
    async fn down(&self, project: &Project, volumes: Volumes, deadline: Duration) -> Result<(), ComposeError>;

    /// The folder of a project that is down is gone. When volumes are kept, what services have put beside the files of
    /// the stack stays too.
    ///
    /// # Errors
    /// A command still works on it, or the disk does not answer.
    async fn forget(&self, name: &str, volumes: Volumes) -> Result<(), ComposeError>;
}
