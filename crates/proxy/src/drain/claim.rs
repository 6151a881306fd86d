//! A request's hold on a target.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::{Kind, Target};
use crate::serving::Client;

/// How an open claim is told that it is cut.
#[derive(Clone, Debug)]
pub enum CutSignal {
    /// An HTTP/1 connection serves one request at a time: the connection itself is closed.
    Connection(Arc<Client>),
    /// A stream of an HTTP/2 connection waits for the token; one whose client takes nothing does not see it, and goes
    /// with its connection.
    Stream(CancellationToken, Arc<Client>),
    /// A tunnel waits for the token.
    Tunnel(CancellationToken),
}

impl CutSignal {
    /// Ends what waits for it.
    pub fn cut(&self) {
        match self {
            Self::Connection(client) => client.close(),
            Self::Stream(token, _) | Self::Tunnel(token) => token.cancel(),
        }
    }

    /// Ends it with its whole connection.
    pub fn force(&self) {
        match self {
            Self::Connection(client) | Self::Stream(_, client) => client.close(),
            Self::Tunnel(token) => token.cancel(),
        }
    }
}

/// Counts as in flight at its target from its making until it is dropped.
#[derive(Debug)]
pub struct Claim {
    target: Arc<Target>,
    slot: usize,
    upgraded: bool,
}

impl Claim {
    /// Claims the target, or refuses because its drain began: take the target from the table again.
    #[must_use]
    pub fn take(target: &Arc<Target>, signal: CutSignal) -> Option<Self> {
        target.in_flight.fetch_add(1, Ordering::SeqCst);
        if target.draining.load(Ordering::SeqCst) {
            target.in_flight.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        let slot = target.open.enter(signal);
        Some(Self { target: Arc::clone(target), slot, upgraded: false })
    }

    /// The target that is held.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// From here on it counts as an event stream when it is cut.
    pub fn mark_event_stream(&self) {
        self.target.open.mark(self.slot, Kind::EventStream);
    }

    /// From here on it counts as an upgraded connection, which the token ends.
    pub fn upgrade(&mut self, token: CancellationToken) {
        self.target.open.redirect(self.slot, CutSignal::Tunnel(token));
        self.target.open.mark(self.slot, Kind::Upgraded);
        self.target.upgraded.fetch_add(1, Ordering::SeqCst);
        self.target.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.upgraded = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.target.open.leave(self.slot);
        let count = if self.upgraded { &self.target.upgraded } else { &self.target.in_flight };
        count.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(target: &Arc<Target>) -> Option<(Claim, CancellationToken)> {
        let token = CancellationToken::new();
        Claim::take(target, CutSignal::Tunnel(token.clone())).map(|claim| (claim, token))
    }

    #[test]
    fn a_draining_target_takes_no_claim_and_is_drained_at_zero() {
        let target = Target::new("u1", "127.0.0.1".parse().unwrap());
        let (held, _) = claim(&target).unwrap();
        target.begin_drain();
        assert!(claim(&target).is_none());
        assert!(!target.is_drained());
        drop(held);
        assert!(target.is_drained());
    }

    #[test]
    fn the_cut_counts_by_kind() {
        let target = Target::new("u1", "127.0.0.1".parse().unwrap());
        let (_request, cut) = claim(&target).unwrap();
        let (stream, _) = claim(&target).unwrap();
        stream.mark_event_stream();
        let (mut socket, _) = claim(&target).unwrap();
        let tunnel = CancellationToken::new();
        socket.upgrade(tunnel.clone());
        target.begin_drain();
        assert_eq!(target.cut_open(), 3);
        assert!(cut.is_cancelled() && tunnel.is_cancelled());
        let status = target.drain_status();
        assert_eq!((status.cut_requests, status.cut_upgraded, status.cut_streams), (1, 1, 1));
        assert_eq!((status.in_flight, status.upgraded, status.done), (2, 1, false));
    }
}
