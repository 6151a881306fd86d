//! The port to what builds images, and what is pure about it: when a build need not be made again, and which images go.

mod docker;
mod either;
mod key;
mod made;
mod memory;
mod progress;
mod site;
mod spare;
mod stack;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cutover_events::{DeploymentId, Digest, LogId, WorkloadId};
use cutover_site::manifest::Settings;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub use docker::DockerBuilder;
pub use either::Builders;
pub use key::key;
pub use memory::MemoryBuilder;
pub use progress::Progress;
pub use site::settings;
pub use spare::{Keep, spare};
pub use stack::{Stays, content};

use crate::adapters::source::Content;
use crate::adapters::source::context::Context;

/// How long a build may take: a large one on a small machine takes half an hour.
pub const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// Progress that may wait for its reader; then the build does.
pub const WAITING: usize = 1_024;

/// Last lines of a step that are told when it fails.
pub const LAST_LINES: usize = 20;

/// Which of Docker's builders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BuilderKind {
    /// `BuildKit` where the daemon has it.
    #[default]
    Auto,
    /// `BuildKit`.
    BuildKit,
    /// The older one: no secrets, no mounts.
    Classic,
}

/// A value that a step may read while it runs, in `/run/secrets/ID`, and that stays in no layer and no history.
#[derive(Clone)]
pub struct BuildSecret {
    /// As the Dockerfile names it: `RUN --mount=type=secret,id=ID`.
    pub id: String,
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
    /// What changes when the value does, and says nothing about it.
    pub version: String,
}

impl fmt::Debug for BuildSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildSecret").field("id", &self.id).field("version", &self.version).finish_non_exhaustive()
    }
}

/// What opens the registry of a base image.
#[derive(Clone)]
pub struct RegistryLogin {
    /// As it stands in references; `docker.io` for Docker Hub.
    pub registry: String,
    /// Who.
    pub user: String,
    /// Password or token.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryLogin").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// A command that makes the files of a site of those that it is given, in a container of its own. Its environment are the
/// arguments of the build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuildCommand {
    /// Local id of its image, which is here.
    pub image: String,
    /// The same as it was asked for.
    pub reference: String,
    /// Program and arguments; the entrypoint of the image is none of it.
    pub command: Vec<String>,
    /// The folder with the files afterwards, from that of the source.
    pub output: String,
    /// Keyed hash of its environment: what changes when a value does, and says nothing about it.
    pub mac: [u8; 16],
}

/// A build to be made.
#[derive(Clone, Debug)]
pub struct Build {
    /// Whose image it becomes.
    pub log: LogId,
    /// For which workload.
    pub workload: WorkloadId,
    /// Its full name.
    pub full_name: String,
    /// By which deployment: it is in the image's tag.
    pub deployment: DeploymentId,
    /// What it is made of: a context with its Dockerfile becomes an image, files become a release folder, a draft becomes a
    /// stack.
    pub content: Content,
    /// What makes the files of a release folder of the context; none: the content is what it is.
    pub command: Option<BuildCommand>,
    /// How a release folder is served.
    pub settings: Settings,
    /// The services of a stack that routes lead to.
    pub routed: Vec<String>,
    /// The stage; empty for the last one.
    pub target: String,
    /// Build arguments, which are in the history of the image and so no place for secrets; the variables of a stack, and of a
    /// command.
    pub args: BTreeMap<String, String>,
    /// Build secrets.
    pub secrets: Vec<BuildSecret>,
    /// For base images.
    pub logins: Vec<RegistryLogin>,
    /// `os/arch`; empty for the daemon's own.
    pub platform: String,
    /// Whether base images are looked for anew, and every step is made; nothing is reused then.
    pub fresh: bool,
    /// By what.
    pub kind: BuilderKind,
    /// How long it may take.
    pub deadline: Duration,
}

impl Build {
    /// The command of what is made by one.
    fn command(&self) -> Result<&BuildCommand, BuildError> {
        self.command.as_ref().ok_or_else(|| BuildError::Refused("there is no command that makes the files".to_owned()))
    }

    /// The context of what becomes an image of Docker.
    fn context(&self) -> Result<&Context, BuildError> {
        match &self.content {
            Content::Context(context) => Ok(context),
            Content::Files(_) | Content::Stack(_) => {
                Err(BuildError::Refused("files without a Dockerfile are no image".to_owned()))
            }
        }
    }
}

/// An image, made or found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// `sha256:…`.
    pub image: String,
    /// Of content and arguments.
    pub key: Digest,
    /// Whether an earlier build of the same content and arguments is used again.
    pub reused: bool,
}

/// An image that a build of this log has made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltImage {
    /// `sha256:…`.
    pub id: String,
    /// From its label.
    pub workload: WorkloadId,
    /// From its tag.
    pub deployment: DeploymentId,
    /// Bytes, those that it shares with others too; 0 where they are not counted.
    pub size: u64,
}

/// What Docker keeps for later builds; it belongs to nobody in particular.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CacheUse {
    /// Entries.
    pub entries: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Docker does not answer, or was lost: try again.
    #[error("Docker does not answer: {0}")]
    Unavailable(String),
    /// Docker refuses, and would again.
    #[error("{0}")]
    Refused(String),
    /// A step failed.
    #[error("the build failed in {step}: {why}{}", told(last))]
    Step {
        /// As it stands in the Dockerfile.
        step: String,
        /// What Docker says.
        why: String,
        /// The last lines that it printed.
        last: Vec<String>,
    },
    /// The daemon has no `BuildKit`, and the build needs it.
    #[error(
        "this Docker cannot use build secrets: it has no BuildKit; use Docker 20.10 or later, or deploy without `secrets` in \
         the dockerfile table"
    )]
    NoSecrets,
    /// It took too long.
    #[error("the build was ended after {} s: make it faster, or raise its deadline", .0.as_secs())]
    Late(Duration),
    /// The caller ended it.
    #[error("the build was cancelled")]
    Cancelled,
    /// The context cannot be read any more.
    #[error("the build context cannot be read: {0}")]
    Context(String),
}

fn told(last: &[String]) -> String {
    last.iter().map(|line| format!("\n  {line}")).collect()
}

/// What builds images. Docker's own state is the truth: nothing is remembered here.
#[async_trait]
pub trait Builder: Send + Sync + 'static {
    /// The image of a build: an earlier one of the same content and arguments, or a new one. Progress goes to `progress`
    /// while somebody receives it. When `stop` is cancelled, the build ends, what it has made is removed, and then this
    /// returns.
    async fn build(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError>;

    /// Runs the command of a build on its context, in a container of its own that is gone afterwards. What it has made is
    /// copied below `into`, an empty folder; gives where. Progress, failure and `stop` are as for [`Self::build`].
    async fn run(
        &self,
        build: &Build,
        into: &Path,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError>;

    /// Removes the containers of commands that an earlier process has left; says how many.
    async fn sweep(&self, _log: LogId) -> Result<u64, BuildError> {
        Ok(0)
    }

    /// Whether a build can be made here, as far as that can be known before: nothing is made and nothing is kept.
    async fn judge(&self, _build: &Build) -> Result<(), BuildError> {
        Ok(())
    }

    /// What a build would be of, where that can be said without making it: the key of what it makes.
    async fn content(&self, _build: &Build) -> Result<Option<Digest>, BuildError> {
        Ok(None)
    }

    /// Every image that builds of this log have made and that still has the tag of its build. Complete, or an error.
    async fn images(&self, log: LogId) -> Result<Vec<BuiltImage>, BuildError>;

    /// Removes an image: our names of it, and with the last name, when no container uses it, itself. Says whether it is
    /// gone; being gone already is success.
    async fn remove(&self, log: LogId, image: &BuiltImage) -> Result<bool, BuildError>;

    /// What Docker keeps for later builds, whoever asked for them.
    async fn cache(&self) -> Result<CacheUse, BuildError>;

    /// Lets Docker drop what has not been used for `unused`, whoever it is of: only where this Docker is Cutover's alone.
    /// Says how many bytes went.
    async fn prune_cache(&self, unused: Duration) -> Result<u64, BuildError>;
}

/// Removes the images that are to spare. What a build was given and no release names yet has to be among those that are
/// named in `keep`: it may be an image of long ago. Says which ones are gone; one that a container uses is left, and tried again.
///
/// # Errors
/// Docker does not answer.
pub async fn tidy(builder: &dyn Builder, log: LogId, keep: &Keep, now_ms: u64) -> Result<Vec<BuiltImage>, BuildError> {
    let mut gone = Vec::new();
    for image in spare(builder.images(log).await?, keep, now_ms) {
        if builder.remove(log, &image).await? {
            gone.push(image);
        }
    }
    Ok(gone)
}
