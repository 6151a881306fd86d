//! The port to the data plane.

mod http;
mod memory;

use async_trait::async_trait;
use cutover_proxy::wire::{Fence, Put, PutRefused, Table};

pub use http::HttpRouter;
pub use memory::MemoryRouter;

/// Why a call to the proxy did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// The proxy does not answer: try again.
    #[error("the proxy does not answer: {0}")]
    Unavailable(String),
    /// The proxy refused, with its reason.
    #[error("{0}")]
    Refused(PutRefused),
}

/// The data plane, as the engine sees it.
#[async_trait]
pub trait Router: Send + Sync + 'static {
    /// Its whole table with drains: who it is, what it routes, what is still open.
    async fn table(&self) -> Result<Table, RouterError>;

    /// Writes the entry of one workload.
    async fn put(&self, put: &Put) -> Result<(), RouterError>;

    /// Raises the generation of one workload and changes nothing else.
    async fn fence(&self, fence: &Fence) -> Result<(), RouterError>;
}
