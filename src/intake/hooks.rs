//! What the intake knows of a hook: its provider, its name and its secrets.

use std::fmt;
use std::sync::Arc;

use cutover_events::HookId;
use cutover_events::workload::Provider;
use zeroize::Zeroizing;

/// The secrets of a hook, the newest first; an empty one is never among them, since everybody can sign with it.
pub struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    /// Takes what is not empty.
    #[must_use]
    pub fn new(newest_first: Vec<Zeroizing<Vec<u8>>>) -> Self {
        Self(newest_first.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// The newest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|secret| secret.as_slice())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// A configured hook, as one call needs it.
#[derive(Debug)]
pub struct Hook {
    /// In the path of its address.
    pub id: HookId,
    /// As triggers name it.
    pub name: String,
    /// How its deliveries are verified and read.
    pub provider: Provider,
    /// What its deliveries are signed with; without one every call is refused.
    pub secrets: Secrets,
}

/// Where hooks are looked up, for every call: answers from memory, without a wait.
pub trait HookBook: Send + Sync + 'static {
    /// The hook of that id, `None` when there is none or it was removed.
    fn find(&self, hook: HookId) -> Option<Arc<Hook>>;
}
