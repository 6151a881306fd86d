//! Where what is deployed comes from: folders and archives as build contexts, and git.

pub mod context;
mod gather;
pub mod git;
mod memory;
mod place;
mod scratch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cutover_domain::recipe::Makes;
use cutover_events::Digest;
use tokio_util::sync::CancellationToken;

pub use gather::{Sources, SourcesConfig};
pub use memory::MemorySources;
pub use place::Found;

use super::compose::Draft;
use context::{Context, ContextError, Name};
use git::{Commit, GitError, Reference, Remote};
use scratch::Scratch;

/// Where a build context comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An archive on this machine, as it was sent: tar, plain or gzip.
    Archive(PathBuf),
    /// One commit of a repository.
    Git {
        /// Where.
        remote: Remote,
        /// Which.
        commit: Commit,
        /// The folder in it, relative; empty for all of it.
        folder: String,
    },
}

/// What is made of the files of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted<'a> {
    /// A build context with this Dockerfile.
    Context(&'a str),
    /// The files as they are.
    Files,
}

impl<'a> Wanted<'a> {
    /// What a recipe begins with.
    #[must_use]
    pub const fn by(makes: &Makes<'a>) -> Self {
        match makes {
            Makes::Image { file, .. } => Self::Context(file),
            Makes::Site { .. } | Makes::Stack { .. } => Self::Files,
        }
    }
}

/// What a source gives.
#[derive(Clone, Debug)]
pub enum Content {
    /// For a build.
    Context(Context),
    /// For a release folder.
    Files(Files),
    /// For Compose.
    Stack(Draft),
}

impl Content {
    /// Of names and bytes, where they were read already.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Context(context) => Some(context.digest()),
            Self::Files(_) | Self::Stack(_) => None,
        }
    }
}

/// What is known of it, behind its name in a build log.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(context) => write!(f, ": {} files, {} bytes", context.entries(), context.bytes()),
            Self::Files(_) | Self::Stack(_) => Ok(()),
        }
    }
}

/// A folder to be copied from; what was fetched for it is gone with the last handle.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
    _scratch: Option<Arc<Scratch>>,
}

impl Files {
    /// A folder of this machine, which may change while it is read.
    #[must_use]
    pub fn here(folder: PathBuf) -> Self {
        Self { folder, _scratch: None }
    }

    /// Where they are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Why a source gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What is there cannot be a context.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// It did not come.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The caller ended it.
    #[error("fetching the source was cancelled")]
    Cancelled,
}

/// Where contexts come from, and what git knows of them.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What is wanted of the files of an origin. What is fetched for it is gone with what is given, or when this fails.
    async fn gather(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        stop: &CancellationToken,
    ) -> Result<Content, SourceError>;

    /// Whether the address of a repository is one that is taken here.
    fn takes(&self, address: &str) -> Result<(), GitError>;

    /// What is to be told of hosts that were trusted for the first time since this was asked last.
    fn pinned(&self) -> Vec<String>;

    /// The commit that a reference names now.
    async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, GitError>;

    /// The paths that differ between two commits. An error means that everything has to count as changed.
    async fn changed(&self, remote: &Remote, from: &Commit, to: &Commit) -> Result<Vec<Name>, GitError>;
}
