//! Deployments as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to a wish: it is on disk, and this is the id that it keeps to the end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AcceptedView {
    /// One id from this answer to the last event.
    #[schema(example = "dep_01k9zzzzzzzzzzzzzzzzzzzzzz")]
    pub deployment_id: String,
    /// `project/name`.
    #[schema(example = "shop/web")]
    pub workload: String,
    /// Position of the event that recorded the wish.
    pub position: u64,
}

/// How a deployment ended, or that it waits for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Green serves.
    Succeeded,
    /// Blue serves on, or again.
    Failed,
    /// A newer wish took its place.
    Superseded,
    /// A person ended it.
    Cancelled,
    /// It waits for a person.
    Parked,
}

/// How far a deployment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waits for the lane.
    Queued,
    /// Waits for its image to be in its registry, without the lane.
    Waiting,
    /// Before the point of no return.
    Preparing,
    /// The route is about to move.
    Swapping,
    /// Live; blue drains and green is watched.
    Watching,
    /// The route goes back to blue.
    RoutingBack,
    /// It has ended.
    Ended,
}

/// What kind of wish a deployment carries out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WishKind {
    /// Make an image current.
    Deploy,
    /// Make an earlier release current.
    Rollback,
    /// Replace the containers of the current release.
    Restart,
    /// Replace what died.
    Heal,
    /// Remove the workload.
    Teardown,
    /// Take it out of service.
    Stop,
    /// Bring back what was stopped.
    Start,
}

/// Why something failed or waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReasonView {
    /// The class, stable.
    #[schema(example = "not_ready")]
    pub kind: String,
    /// One line for a person.
    pub text: String,
}

/// The last output of a container.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// The container's name.
    pub container: String,
    /// Its role when it was captured, or now: `active`, `green`, `standby`, `removing`, `failed`.
    pub role: String,
    /// The deployment that made it.
    pub deployment_id: String,
    /// When it was captured (RFC 3339); empty for output read just now.
    pub time: String,
    /// The last lines, oldest first.
    pub lines: Vec<String>,
}

/// One deployment, or the wish for one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DeploymentView {
    /// Its id.
    pub deployment_id: String,
    /// `project/name`.
    pub workload: String,
    /// Position of its newest event.
    pub position: u64,
    /// What was wished.
    pub wish: WishKind,
    /// How far it is.
    pub stage: Stage,
    /// How it ended, or `parked`; missing while it goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Outcome>,
    /// The release that it makes current, once known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release: Option<String>,
    /// The reference that was resolved, once known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// Why it failed or is parked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<ReasonView>,
    /// Whether the route had moved and was brought back; false too where it moved and nothing could take over.
    pub routed_back: bool,
    /// The deployment that took its place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub superseded_by: Option<String>,
    /// From the wish to the route seen on green, ms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub live_after_ms: Option<u64>,
    /// How long green is watched, ms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bake_ms: Option<u64>,
    /// The last words of the container that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<OutputView>,
    /// What serves now, for a person: release and image, or that nothing does.
    #[serde(default)]
    pub serving: String,
    /// What its build does now, one line for a person; missing when none goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "builds its image, [2/4] RUN make")]
    pub doing: Option<String>,
}

impl DeploymentView {
    /// Whether green has been live: its route was seen.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_after_ms.is_some()
    }
}

impl Outcome {
    /// The word of the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
            Self::Parked => "parked",
        }
    }
}

impl WishKind {
    /// The word of the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::Heal => "heal",
            Self::Teardown => "teardown",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }
}
