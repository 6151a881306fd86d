//! Which hooks may have something to decide: a hint and never the truth, which is in the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use cutover_events::HookId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Hooks with news; holds each at most once, so it is as long as there are hooks.
#[derive(Clone, Default)]
pub struct Hints(Arc<Inner>);

#[derive(Default)]
struct Inner {
    hooks: Mutex<BTreeSet<HookId>>,
    news: Notify,
}

impl Hints {
    /// A delivery of this hook is in the log.
    pub fn give(&self, hook: HookId) {
        if self.0.hooks.lock().insert(hook) {
            self.0.news.notify_one();
        }
    }

    /// Waits until there is one.
    pub async fn take(&self) -> BTreeSet<HookId> {
        loop {
            let hooks = std::mem::take(&mut *self.0.hooks.lock());
            if !hooks.is_empty() {
                return hooks;
            }
            self.0.news.notified().await;
        }
    }
}
