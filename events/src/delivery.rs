//! Deliveries: what came in, and what was decided on it.

use serde::{Deserialize, Serialize};

use crate::id::{DeliveryId, DeploymentId, Digest, HookId, WorkloadId};

/// A delivery was verified and is on disk; the 202 follows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeliveryReceived {
    /// Our id for it.
    pub delivery: DeliveryId,
    /// Through which hook.
    pub hook: HookId,
    /// The sender's id for it; the digest of the body where the sender gives none.
    pub sender_id: String,
    /// What the sender calls it, e.g. `push`.
    pub event: String,
    /// Digest of the raw body, which lies in `bodies/` until it is removed by age.
    pub body: Digest,
    /// What it says, all that the decision needs.
    pub items: Vec<Change>,
    /// Which of the hook's secrets verified it: 0 is the newest.
    pub secret: u8,
    /// Of which changes it lists every path; the others count as changed everywhere.
    pub lists: Vec<PathList>,
}

/// Every path that a push has changed, as its sender lists them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PathList {
    /// Index of the change in the delivery.
    pub item: u16,
    /// The commit that it is told against.
    pub before: String,
    /// From the top of the repository.
    pub paths: Vec<String>,
}

/// One change that a delivery tells of.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Change {
    /// What kind of change.
    pub kind: ChangeKind,
    /// `owner/name`, as sent.
    pub repo: String,
    /// Full reference, `refs/heads/…` or `refs/tags/…`.
    pub reference: String,
    /// The commit to deploy; empty for a deletion.
    pub sha: String,
    /// Image reference for changes of kind image, with tag or digest as sent.
    pub image: String,
    /// Whether the reference was deleted.
    pub deleted: bool,
}

/// What kind of change a delivery tells of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum ChangeKind {
    /// A branch moved.
    Branch,
    /// A tag was made.
    Tag,
    /// An image was pushed.
    Image,
    /// A test call.
    Ping,
    /// Nothing that could be deployed.
    #[default]
    Other,
}

/// The verdict of every rule on a delivery, the negative ones too.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeliveryDecided {
    /// On which delivery.
    pub delivery: DeliveryId,
    /// One line for a person.
    pub summary: String,
    /// Per item, workload and rule.
    pub verdicts: Vec<Verdict>,
}

/// What one rule of one workload says to one item.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Index of the item in the delivery.
    pub item: u16,
    /// Whose rule.
    pub workload: WorkloadId,
    /// Index of the trigger in the spec.
    pub rule: u16,
    /// The intent that comes of it.
    pub intent: Option<DeploymentId>,
    /// The image reference that the intent asks for, with placeholders filled in; empty without an intent.
    pub reference: String,
    /// One line for a person: why, or why not.
    pub why: String,
}

impl Change {
    /// The branch, for a change of a branch.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/heads/")
    }

    /// The tag, for a change of a tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.reference.strip_prefix("refs/tags/")
    }
}
