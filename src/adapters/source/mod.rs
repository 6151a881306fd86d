//! Where what is deployed comes from: folders and archives as build contexts, and git.

pub mod context;
mod gather;
pub mod git;
mod memory;
mod place;
mod scratch;

use std::path::PathBuf;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use gather::{Sources, SourcesConfig};
pub use memory::MemorySources;
pub use place::Found;

use context::{Context, ContextError, Name};
use git::{Commit, GitError, Reference, Remote};

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
    /// The context with this Dockerfile. What is fetched for it is gone when this returns, however it does.
    async fn context(&self, origin: &Origin, file: &str, stop: &CancellationToken) -> Result<Context, SourceError>;

    /// The commit that a reference names now.
    async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, GitError>;

    /// The paths that differ between two commits. An error means that everything has to count as changed.
    async fn changed(&self, remote: &Remote, from: &Commit, to: &Commit) -> Result<Vec<Name>, GitError>;
}
