//! The twin of the prober: asks a [`World`](crate::adapters::world::World).

use std::net::SocketAddrV4;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::Answer;
use cutover_events::workload::Check;

use super::Prober;
use crate::adapters::world::{Body, Serving, Shared};

/// Probes without a network.
#[derive(Clone, Debug)]
pub struct MemoryProber {
    twin: Shared,
}

impl MemoryProber {
    /// Over a world that the other in-memory adapters share.
    #[must_use]
    pub fn new(twin: Shared) -> Self {
        Self { twin }
    }
}

#[async_trait]
impl Prober for MemoryProber {
    async fn probe(&self, address: SocketAddrV4, check: &Check, _timeout: Duration) -> Answer {
        let twin = self.twin.lock();
        let here = |body: &&Body| body.runs() && body.address == *address.ip();
        let Some(body) = twin.world.containers().find(here) else { return Answer::NoConnection };
        match (check, body.serving) {
            (_, Serving::Nothing) => Answer::NoConnection,
            (Check::Tcp, _) | (Check::Http { .. }, Serving::Ready) => Answer::Passed,
            (Check::Http { .. }, Serving::Sick) => body.answer(),
        }
    }
}
