//! What would happen, as the API shows it: nothing of it is recorded.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::workload::{DifferenceView, RejectedView, RollbackCost};

/// What a deployment of one workload would do, and the hash that holds it to that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ForetoldView {
    /// `project/name`.
    pub workload: String,
    /// Of what would be done and of everything that has happened to the workload so far: a deployment that is asked for
    /// with it is refused once either is another.
    #[schema(example = "5f3a0c9e7b21d846")]
    pub hash: String,
    /// Position of the log that it was made at.
    pub position: u64,
    /// The newest spec revision.
    pub revision: u32,
    /// The reference that would be resolved.
    pub reference: String,
    /// What serves now, for a person.
    pub serving: String,
    /// How it would be replaced, and why so.
    pub strategy: String,
    /// What would be done, in this order, one line each.
    pub steps: Vec<String>,
    /// What a person should know: what it would wait for, or take the place of.
    pub notes: Vec<String>,
}

/// A release in few words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BriefView {
    /// Its id.
    pub release: String,
    /// The reference that it was resolved from.
    pub reference: String,
    /// Its digest in the registry, or its local id.
    pub digest: String,
    /// Its spec revision.
    pub revision: u32,
    /// Commit that it came from, empty without one.
    pub sha: String,
}

/// What a rollback would change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RollbackView {
    /// `project/name`.
    pub workload: String,
    /// What runs now; missing when nothing does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<BriefView>,
    /// What would run.
    pub to: BriefView,
    /// What it would take.
    pub cost: RollbackCost,
    /// What differs between their images and specs; values of the environment are not shown.
    pub differences: Vec<DifferenceView>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What was rejected and is not any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcceptedImagesView {
    /// `project/name`.
    pub workload: String,
    /// Each of them.
    pub accepted: Vec<RejectedView>,
}
