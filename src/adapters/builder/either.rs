//! One builder for all that is made of files: images by Docker, release folders and stacks by us.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_events::plan::{SITE, STACK};
use cutover_events::{Digest, LogId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::made::key;
use super::site::{Release, Releases};
use super::stack::{all, failed, wished};
use super::{Build, BuildCommand, BuildError, Builder, Built, BuiltImage, CacheUse, Progress};
use crate::adapters::compose::Draft;
use crate::adapters::source::context::Context;
use crate::adapters::source::{Content, Files, Scratch};
use crate::adapters::units::{ReleaseFolders, StackUnits};

/// The one step of a release folder, and of a stack.
const STEP: u32 = 1;
/// The step of a release folder after that of the command that has made its files.
const AFTER_COMMAND: u32 = 2;
/// Where what commands have made is copied to, in the data folder: sources empty it at the start.
const SCRATCH: &str = "sources";

/// Docker's builder, and release folders and stacks beside it.
pub struct Builders {
    docker: Arc<dyn Builder>,
    releases: Releases,
    scratch: PathBuf,
    units: Arc<ReleaseFolders>,
    stacks: Arc<StackUnits>,
}

/// Who is told how it goes, and who ends it.
type Told<'a> = (&'a mpsc::Sender<Progress>, &'a CancellationToken);

impl std::fmt::Debug for Builders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builders").field("releases", &self.releases).finish_non_exhaustive()
    }
}

impl Builders {
    /// Images by `docker`, release folders and stacks in a data folder; what one of the units is made of stays.
    #[must_use]
    pub fn over(
        docker: Arc<dyn Builder>,
        data: &Path,
        (units, stacks): (Arc<ReleaseFolders>, Arc<StackUnits>),
    ) -> Self {
        Self { docker, releases: Releases::of(data), scratch: data.join(SCRATCH), units, stacks }
    }

    /// What lies on the disk is copied beside the runtime's threads. A copy is not ended half-way: it ends by itself, and
    /// what nobody asks for any more is swept like every other image that is to spare.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Releases) -> Result<T, BuildError> + Send + 'static,
    ) -> Result<T, BuildError> {
        let releases = self.releases.clone();
        let done = tokio::task::spawn_blocking(move || work(&releases)).await;
        done.unwrap_or_else(|_| Err(BuildError::Unavailable("the engine ends".to_owned())))
    }

    /// A release folder of what a command makes of a context: run unless it has made a release of the same before.
    async fn made(
        &self,
        (build, command): (&Build, &BuildCommand),
        context: &Context,
        (progress, stop): Told<'_>,
    ) -> Result<Built, BuildError> {
        let (workload, key) = (build.workload, key(build, command, context));
        if !build.fresh {
            let before = self.on_disk(move |releases| Ok(releases.made_by(workload, key))).await?;
            if let Some(Release { image, content, .. }) = before {
                progress.send(Progress::Reused { image: image.clone() }).await.ok();
                return Ok(Built { image, key: content, reused: true });
            }
        }
        let unwritable = |error: std::io::Error| BuildError::Unavailable(format!("the folder of sources: {error}"));
        let scratch = Scratch::make(&self.scratch).map_err(unwritable)?;
        let files = Files::here(self.docker.run(build, scratch.path(), progress, stop).await?);
        let built = self.folder(build, (&files, AFTER_COMMAND), (progress, stop)).await?;
        let image = built.image.clone();
        self.on_disk(move |releases| releases.note(workload, key, &image)).await?;
        Ok(built)
    }

    async fn folder(
        &self,
        build: &Build,
        (files, step): (&Files, u32),
        (progress, stop): Told<'_>,
    ) -> Result<Built, BuildError> {
        let (of, files, settings) = ((build.workload, build.deployment), files.clone(), build.settings.clone());
        // Nobody may be listening to what is told: the release is made all the same.
        let told = |said| async move { progress.send(said).await.ok() };
        told(Progress::Begun { step, text: "copies its files".to_owned() }).await;
        let made = tokio::select! {
            made = self.on_disk(move |releases| releases.make(of, files.folder(), &settings)) => made?,
            () = stop.cancelled() => return Err(BuildError::Cancelled),
        };
        for text in made.notes {
            told(Progress::Line { step, text }).await;
        }
        told(Progress::Ended { step }).await;
        if made.reused {
            told(Progress::Reused { image: made.image.clone() }).await;
        }
        Ok(Built { image: made.image, key: made.content, reused: made.reused })
    }

    async fn stack(&self, build: &Build, draft: &Draft, (progress, stop): Told<'_>) -> Result<Built, BuildError> {
        let told = |said| async move { progress.send(said).await.ok() };
        told(Progress::Begun { step: STEP, text: format!("reads the stack {}", draft.file) }).await;
        let wished = wished(build, draft);
        let kept = tokio::select! {
            kept = self.stacks.stacks().keep(build.deployment, &wished) => kept.map_err(failed)?,
            () = stop.cancelled() => return Err(BuildError::Cancelled),
        };
        let text = format!("{} services: {}", kept.services.len(), kept.services.join(", "));
        told(Progress::Line { step: STEP, text }).await;
        told(Progress::Ended { step: STEP }).await;
        if kept.reused {
            told(Progress::Reused { image: kept.image.clone() }).await;
        }
        Ok(Built { image: kept.image, key: kept.content, reused: kept.reused })
    }
}

#[async_trait]
impl Builder for Builders {
    async fn build(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        match (&build.content, &build.command) {
            (Content::Context(context), Some(command)) => self.made((build, command), context, (progress, stop)).await,
            (Content::Context(_), None) => self.docker.build(build, progress, stop).await,
            (Content::Files(files), _) => self.folder(build, (files, STEP), (progress, stop)).await,
            (Content::Stack(draft), _) => self.stack(build, draft, (progress, stop)).await,
        }
    }

    async fn run(
        &self,
        build: &Build,
        into: &Path,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError> {
        self.docker.run(build, into, progress, stop).await
    }

    async fn sweep(&self, log: LogId) -> Result<u64, BuildError> {
        self.docker.sweep(log).await
    }

    async fn judge(&self, build: &Build) -> Result<(), BuildError> {
        match &build.content {
            Content::Context(_) => Ok(()),
            Content::Files(files) => {
                let (files, settings) = (files.clone(), build.settings.clone());
                self.on_disk(move |_| Releases::judge(files.folder(), &settings)).await
            }
            Content::Stack(draft) => self.stacks.stacks().judge(&wished(build, draft)).await.map(drop).map_err(failed),
        }
    }

    async fn content(&self, build: &Build) -> Result<Option<Digest>, BuildError> {
        match &build.content {
            Content::Context(_) | Content::Files(_) => Ok(None),
            Content::Stack(draft) => {
                self.stacks.stacks().content(&wished(build, draft)).await.map(Some).map_err(failed)
            }
        }
    }

    async fn images(&self, log: LogId) -> Result<Vec<BuiltImage>, BuildError> {
        let mut all = self.docker.images(log).await?;
        all.extend(self.on_disk(Releases::all).await?);
        let stacks = self.stacks.clone();
        let kept = tokio::task::spawn_blocking(move || self::all(stacks.stacks())).await;
        all.extend(kept.unwrap_or_else(|_| Err(BuildError::Unavailable("the engine ends".to_owned())))?);
        Ok(all)
    }

    async fn remove(&self, log: LogId, image: &BuiltImage) -> Result<bool, BuildError> {
        if image.id.starts_with(STACK) {
            if self.stacks.uses(&image.id) {
                return Ok(false);
            }
            let gone = self.stacks.stacks().remove(&image.id);
            return gone.map(|()| true).map_err(|error| BuildError::Unavailable(format!("the stacks: {error}")));
        }
        if !image.id.starts_with(SITE) {
            return self.docker.remove(log, image).await;
        }
        if self.units.uses(&image.id) {
            return Ok(false);
        }
        let image = image.clone();
        self.on_disk(move |releases| releases.remove(&image)).await.map(|()| true)
    }

    async fn cache(&self) -> Result<CacheUse, BuildError> {
        self.docker.cache().await
    }

    async fn prune_cache(&self, unused: Duration) -> Result<u64, BuildError> {
        self.docker.prune_cache(unused).await
    }
}
