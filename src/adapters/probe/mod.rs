//! The port that asks a container whether it is ready.

mod http;
mod memory;

use std::net::SocketAddrV4;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::Answer;
use cutover_events::workload::Check;

pub use http::NetProber;
pub use memory::MemoryProber;

/// Asks a container whether it is ready, as a client would.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// One probe, over by `timeout`. That it was the container one meant must be seen before and after.
    async fn probe(&self, address: SocketAddrV4, check: &Check, timeout: Duration) -> Answer;
}
