//! What a build has printed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stretch of the log of a build, or the lines of it that were searched for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BuildLogView {
    /// `project/name`.
    pub workload: String,
    /// Whose build; empty when none of this workload has a log.
    pub deployment_id: String,
    /// What the build does now; missing when it is over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doing: Option<String>,
    /// Bytes that were left out in front of the text: a log keeps its beginning and its end.
    pub left_out: u64,
    /// The stretch; empty at the end of what there is.
    pub text: String,
    /// Where the next stretch begins.
    pub next: u64,
    /// Whether nothing more comes.
    pub ended: bool,
    /// The lines that hold what was searched for, in their order, at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub found: Vec<String>,
}
