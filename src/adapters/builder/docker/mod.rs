//! Docker's two builders, through its HTTP API.
//!
//! | file | holds |
//! |---|---|
//! | `http` | calls, streams, and connections that are handed over |
//! | `call` | one build: its request, its stream, its end, and what it leaves |
//! | `command` | a command that makes files, in a container of its own |
//! | `steps` | numbered steps, their output, how they end |
//! | `buildkit`, `classic` | what each of the builders tells |
//! | `session`, `wire` | what `BuildKit` asks back, and in which bytes |
//! | `images` | images that builds of ours have made, and the cache |

mod buildkit;
mod call;
mod classic;
mod command;
mod http;
mod images;
mod session;
mod steps;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cutover_events::LogId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Build, BuildCommand, BuildError, BuildSecret, Builder, BuilderKind, Built, BuiltImage, CacheUse, Progress,
    RegistryLogin, key,
};
use http::Daemon;

/// Labels of images that builds have made. Containers inherit the labels of their images, so these are others than those
/// of containers: what somebody starts from an image of ours is not ours.
mod labels {
    /// Log id.
    pub(super) const LOG: &str = "io.cutover.image.log";
    /// Workload id.
    pub(super) const WORKLOAD: &str = "io.cutover.image.workload";
    /// Log id, on a container that a command runs in: it is no unit, and no listing of units shows it.
    pub(super) const COMMAND: &str = "io.cutover.command.log";
    /// Key of content and arguments.
    pub(super) const KEY: &str = "io.cutover.image.key";
}

/// Builds with the Docker of this host.
#[derive(Clone, Debug)]
pub struct DockerBuilder {
    daemon: Daemon,
    running: command::Running,
}

impl DockerBuilder {
    /// Does not connect yet.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { daemon: Daemon::new(socket), running: command::Running::default() }
    }

    /// Whether a build goes to `BuildKit`.
    async fn by_buildkit(&self, build: &Build) -> Result<bool, BuildError> {
        let has = self.daemon.has_buildkit().await?;
        match (build.kind, has, build.secrets.is_empty()) {
            (BuilderKind::Classic, _, false) | (BuilderKind::Auto | BuilderKind::BuildKit, false, false) => {
                Err(BuildError::NoSecrets)
            }
            (BuilderKind::BuildKit, false, true) => Err(BuildError::Refused("this Docker has no BuildKit".to_owned())),
            (BuilderKind::Classic, _, true) => Ok(false),
            (BuilderKind::Auto | BuilderKind::BuildKit, has, _) => Ok(has),
        }
    }
}

#[async_trait]
impl Builder for DockerBuilder {
    async fn build(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let key = key(build, build.context()?);
        let by_buildkit = self.by_buildkit(build).await?;
        if !build.fresh
            && let Some(image) = self.made_before(build.log, key).await?
        {
            // Nobody may be listening; the answer says it too.
            progress.send(Progress::Reused { image: image.clone() }).await.ok();
            return Ok(Built { image, key, reused: true });
        }
        let image = if by_buildkit {
            self.build_by_buildkit(build, progress, stop).await?
        } else {
            self.build_by_classic(build, progress, stop).await?
        };
        Ok(Built { image, key, reused: false })
    }

    async fn run(
        &self,
        build: &Build,
        into: &Path,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError> {
        self.run_command((build, build.command()?), into, (progress, stop)).await
    }

    async fn sweep(&self, log: LogId) -> Result<u64, BuildError> {
        self.remove_left(log).await
    }

    async fn images(&self, log: LogId) -> Result<Vec<BuiltImage>, BuildError> {
        self.images_of(log).await
    }

    async fn remove(&self, log: LogId, image: &BuiltImage) -> Result<bool, BuildError> {
        self.remove_names(log, image).await
    }

    async fn cache(&self) -> Result<CacheUse, BuildError> {
        self.cache_use().await
    }

    async fn prune_cache(&self, unused: Duration) -> Result<u64, BuildError> {
        self.drop_cache(unused).await
    }
}
