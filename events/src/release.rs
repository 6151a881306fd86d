//! The release command: what runs once before anything leads to a new release.

use serde::{Deserialize, Serialize};

use crate::id::{DeploymentId, UnitId};

/// It is started from here on, so that a crash in it is never taken for "not begun".
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ReleaseCommandStarted {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// The container that it runs in.
    pub unit: UnitId,
}

/// It was seen to end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ReleaseCommandEnded {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// The container that it ran in.
    pub unit: UnitId,
    /// What it ended with; 0 is well.
    pub exit_code: i32,
    /// How long it took at most, ms: from the record of its start until its end was seen; 0 when the host has restarted
    /// in between.
    pub took_ms: u64,
}
