//! All open client connections, for the sweep and for the end of the process.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::Client;
use super::client::Patience;
use crate::moment;

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct Registry {
    open: Mutex<HashMap<u64, Arc<Client>>>,
    next: AtomicU64,
}

/// Is registered until it is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    client: Arc<Client>,
    key: u64,
    registry: Arc<Registry>,
    _permit: OwnedSemaphorePermit,
}

impl Registered {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.open.lock().remove(&self.key);
    }
}

impl Registry {
    pub(super) fn enter(self: &Arc<Self>, client: Arc<Client>, permit: OwnedSemaphorePermit) -> Registered {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(key, Arc::clone(&client));
        Registered { client, key, registry: Arc::clone(self), _permit: permit }
    }

    pub(super) fn count(&self) -> usize {
        self.open.lock().len()
    }

    /// Closes what is over one of its limits in time.
    pub(super) fn sweep(&self, patience: &Patience) {
        let now = moment::coarse_ms();
        self.close_where(|client| {
            client.check_answer(now);
            client.is_overdue(now, patience)
        });
    }

    pub(super) fn close_idle(&self) {
        self.close_where(Client::is_idle);
    }

    pub(super) fn close_all(&self) {
        self.close_where(|_| true);
    }

    fn close_where(&self, which: impl Fn(&Client) -> bool) {
        // Waking under the lock is fine: a waker schedules and runs nothing here.
        self.open.lock().retain(|_, client| {
            if which(client) {
                client.close();
            }
            true
        });
    }
}
