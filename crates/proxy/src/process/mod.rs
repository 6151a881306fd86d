//! `cutover proxy`: a small parent that holds lock and sockets, and the child that serves.
//!
//! The parent takes the lock before it touches socket or port, and passes both, with the configuration, to each child
//! over a socket pair on the child's standard input. A child that ends is replaced at once; meanwhile connections
//! wait in the backlog. The lock is shared: it is free only when parent and child are gone.

mod child;
mod handover;
mod lock;
mod parent;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use child::{Serving, serve, start};
pub use parent::{Reexec, run};

use crate::table::StoreError;

/// Why the proxy does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Another one holds the folder.
    #[error("another proxy (pid {pid}) holds {}: stop it first, or use another data folder", path.display())]
    Locked {
        /// Who.
        pid: String,
        /// The lock.
        path: PathBuf,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; change [proxy] listen, or free the port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The table cannot be used.
    #[error(transparent)]
    Table(#[from] StoreError),
    /// Something else of the system.
    #[error("the proxy cannot {what}: {source}")]
    Io {
        /// Doing what.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The serving process refuses to serve; it has said why.
    #[error("the serving process gave up; its reason is above")]
    GaveUp,
}

/// Names what failed.
fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ProcessError {
    move |source| ProcessError::Io { what, source }
}
