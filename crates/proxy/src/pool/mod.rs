//! Idle connections to one target.
//!
//! A connection is driven by the request that holds it, in that request's own task, and by nobody while it is idle:
//! no task per connection, no hand-over between threads. Whether the origin has closed it is seen at its next use.

mod download;
mod early;
mod link;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

pub use download::Download;
pub use link::{Failed, Link, dial_upgradeable};
pub use upload::{Upload, UploadCount, UploadError, linger};

use crate::config::POOL_PER_TARGET;
use crate::drain::Target;
use crate::moment;

/// Idle connections, the one used last on top.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Idle>>);

#[derive(Debug)]
struct Idle {
    since_ms: u64,
    link: Link,
}

impl Idle {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= self.link.idle_ms()
    }
}

impl Pool {
    /// A connection to this address that was alive a moment ago.
    #[must_use]
    pub fn take(&self, address: SocketAddr) -> Option<Link> {
        loop {
            let mut idle = {
                let mut all = self.0.lock();
                let at = all.iter().rposition(|idle| idle.link.address() == address)?;
                all.swap_remove(at)
            };
            if !idle.is_over(moment::coarse_ms()) && idle.link.is_alive() {
                return Some(idle.link);
            }
        }
    }

    /// Closes all.
    pub fn purge(&self) {
        drop(std::mem::take(&mut *self.0.lock()));
    }

    /// Closes those that were idle too long.
    pub fn sweep(&self) {
        let now = moment::coarse_ms();
        let over: Vec<_> = {
            let mut all = self.0.lock();
            all.extract_if(.., |idle| idle.is_over(now)).collect()
        };
        drop(over);
    }

    fn put(&self, link: Link) {
        let idle = Idle { since_ms: moment::coarse_ms(), link };
        let mut all = self.0.lock();
        if all.len() < POOL_PER_TARGET {
            all.push(idle);
        }
    }
}

/// Gives a connection back whose exchange is over; it is closed when it cannot be used again.
pub fn give_back(target: &Arc<Target>, mut link: Link) {
    if link.is_alive() && !target.is_draining() {
        target.pool.put(link);
    }
}
