//! Sources as they are: folders, archives and git.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::context::{Context, ContextError, ContextLimits, Name, Packing, pack, unpack};
use super::git::{Commit, Git, GitError, Reference, Remote, folder_of};
use super::scratch::{Scratch, make_empty};
use super::{Content, Files, Origin, Source, SourceError, Wanted};

/// Where sources are worked on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourcesConfig {
    /// A folder of its own, emptied at the start; as large as the largest sources that are fetched at once, three times.
    pub scratch: PathBuf,
    /// How much a context may hold.
    pub limits: ContextLimits,
}

/// Sources of this machine and of git.
#[derive(Clone, Debug)]
pub struct Sources {
    config: SourcesConfig,
    git: Git,
}

impl Sources {
    /// Makes its folder, and empties it of what an earlier process left.
    ///
    /// # Errors
    /// The folder cannot be made or emptied.
    pub fn open(config: SourcesConfig, git: Git) -> io::Result<Self> {
        make_empty(&config.scratch)?;
        Ok(Self { config, git })
    }

    fn scratch(&self) -> Result<Scratch, ContextError> {
        let what = || format!("no folder can be made below {}", self.config.scratch.display());
        Scratch::make(&self.config.scratch).map_err(|error| ContextError::Io { what: what(), error })
    }

    /// Packs a folder where that blocks nobody.
    async fn packed(&self, folder: PathBuf, file: &str, stop: &CancellationToken) -> Result<Context, SourceError> {
        let packing = Packing {
            file: file.to_owned(),
            scratch: self.config.scratch.clone(),
            limits: self.config.limits,
            stop: stop.clone(),
        };
        Ok(blocking(move || pack(&folder, &packing)).await?)
    }

    async fn gathered(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        stop: &CancellationToken,
    ) -> Result<Content, SourceError> {
        let files = self.files(origin).await?;
        match wanted {
            Wanted::Files => Ok(Content::Files(files)),
            Wanted::Context(file) => Ok(Content::Context(self.packed(files.folder().to_owned(), file, stop).await?)),
        }
    }

    /// The folder of an origin, unpacked or fetched where it is not there.
    async fn files(&self, origin: &Origin) -> Result<Files, SourceError> {
        match origin {
            Origin::Folder(folder) => Ok(Files::here(folder.clone())),
            Origin::Archive(archive) => {
                let scratch = Arc::new(self.scratch()?);
                let (archive, into, limits) = (archive.clone(), Arc::clone(&scratch), self.config.limits);
                blocking(move || unpack(opened(&archive)?, into.path(), limits)).await?;
                Ok(Files { folder: scratch.path().to_owned(), _scratch: Some(scratch) })
            }
            Origin::Git { remote, commit, folder } => {
                let scratch = Arc::new(self.scratch()?);
                self.git.fetch(remote, commit, scratch.path()).await?;
                Ok(Files { folder: folder_of(scratch.path(), commit, folder)?, _scratch: Some(scratch) })
            }
        }
    }
}

#[async_trait]
impl Source for Sources {
    async fn gather(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        stop: &CancellationToken,
    ) -> Result<Content, SourceError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(SourceError::Cancelled),
            content = self.gathered(origin, wanted, stop) => content,
        }
    }

    fn takes(&self, address: &str) -> Result<(), GitError> {
        self.git.takes(address)
    }

    fn pinned(&self) -> Vec<String> {
        self.git.pinned()
    }

    async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, GitError> {
        self.git.resolve(remote, reference).await
    }

    async fn changed(&self, remote: &Remote, from: &Commit, to: &Commit) -> Result<Vec<Name>, GitError> {
        self.git.changed(remote, from, to).await
    }
}

fn opened(archive: &Path) -> Result<File, ContextError> {
    let what = || format!("the archive {} cannot be read", archive.display());
    File::open(archive).map_err(|error| ContextError::Io { what: what(), error })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ContextError> + Send + 'static,
) -> Result<T, ContextError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ContextError::Io { what: "reading the source".to_owned(), error: error.into() }))
}
