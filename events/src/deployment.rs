//! What happens to one workload: intents, deployments, units.

use serde::{Deserialize, Serialize};

use crate::delivery::Change;
use crate::id::{DeploymentId, Digest, ReleaseId, UnitId, WorkloadId};
use crate::plan::{Plan, Step};
use crate::secret::SecretUsed;

/// A durable, queued wish. Its id is the id of the deployment that comes of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct IntentQueued {
    /// One id to the end.
    pub deployment: DeploymentId,
    /// For which workload.
    pub workload: WorkloadId,
    /// What is wished.
    pub wish: Wish,
    /// The spec revision that was current when it was wished.
    pub revision: u32,
    /// Whether a person asked: an automatic wish never supersedes a person's.
    pub person: bool,
    /// The change from outside that asked for it.
    pub change: Option<Change>,
}

/// What is wished.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// Make this image current.
    Deploy(ImageWish),
    /// Make an earlier release current; `None`: the one before.
    Rollback(Option<ReleaseId>),
    /// Replace the containers of the current release.
    Restart,
    /// Replace what died.
    Heal,
    /// Remove the workload.
    Teardown,
    /// Take it out of service and keep what it claims, until a person starts or deploys it.
    Stop {
        /// Who wishes it, as people know them: told to everything that asks for it meanwhile.
        by: String,
    },
    /// Bring back what ran when it was stopped.
    Start,
}

impl Wish {
    /// Whether nothing runs any more once it is fulfilled.
    #[must_use]
    pub fn ends_service(&self) -> bool {
        matches!(self, Self::Teardown | Self::Stop { .. })
    }

    /// The archive that it is made of, for a wish that came with one.
    #[must_use]
    pub const fn upload(&self) -> Option<Digest> {
        match self.seeks() {
            Some(ImageWish::Built { upload, .. }) => *upload,
            Some(ImageWish::Reference { .. } | ImageWish::Current) | None => None,
        }
    }

    /// The image that has to be found out, pulled or built before there is a release; `None`: it takes one that there is,
    /// or none.
    #[must_use]
    pub const fn seeks(&self) -> Option<&ImageWish> {
        match self {
            Self::Deploy(image @ (ImageWish::Reference { .. } | ImageWish::Built { .. })) => Some(image),
            Self::Deploy(ImageWish::Current)
            | Self::Rollback(_)
            | Self::Restart
            | Self::Heal
            | Self::Teardown
            | Self::Stop { .. }
            | Self::Start => None,
        }
    }
}

/// Which image a deployment takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ImageWish {
    /// What this reference means now.
    Reference {
        /// Without placeholders.
        reference: String,
        /// Whether the registry is asked even when the image is here.
        ask_registry: bool,
    },
    /// What runs now, with the settings of the newest revision.
    Current,
    /// What the source of the spec makes, of the commit of the change where there is one.
    Built {
        /// Whether everything is made anew, base images too, although nothing has changed.
        fresh: bool,
        /// The archive that was sent, in place of what the spec names; `None`: what the spec names.
        upload: Option<Digest>,
    },
}

/// The end of a wish by a newer one; only before the point of no return.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct IntentSuperseded {
    /// What ends.
    pub deployment: DeploymentId,
    /// What replaces it.
    pub by: DeploymentId,
    /// For a running deployment, the lists from here on.
    pub lists: Option<Lists>,
}

/// The end of a wish by a person; only before the point of no return.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct IntentCancelled {
    /// What ends.
    pub deployment: DeploymentId,
    /// For a running deployment, the lists from here on.
    pub lists: Option<Lists>,
}

/// The registry does not have the image that a change from outside names: the wish waits for it, without the lane.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ImageAwaited {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// What is waited for.
    pub reference: String,
    /// How long at most, ms.
    pub wait_ms: u64,
}

/// A person lets automatic wishes deploy the image of a release again that was rejected.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Accepted {
    /// Which release.
    pub release: ReleaseId,
}

/// The lane is taken.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeploymentBegun {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The spec revision that the whole deployment keeps.
    pub revision: u32,
}

/// From here on only the digest is used.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ReleaseResolved {
    /// Which deployment asked.
    pub deployment: DeploymentId,
    /// The release; a new one carries the bytes of the deployment's id.
    pub release: ReleaseId,
    /// Its spec revision.
    pub revision: u32,
    /// The reference that was resolved.
    pub reference: String,
    /// The local image id, `sha256:…`.
    pub image: String,
    /// The digest in the registry, `name@sha256:…`; empty for an image that was made here.
    pub repo_digest: String,
    /// The change that it came from.
    pub change: Option<Change>,
    /// What it was built from, for an image that was.
    pub built: Option<BuiltFrom>,
}

/// What an image was built from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BuiltFrom {
    /// The commit; empty for files that were not fetched from git.
    pub commit: String,
    /// Of names and bytes of all files: the same files have the same one, wherever they come from.
    pub content: Digest,
    /// Keyed hash of the build arguments.
    pub args: [u8; 16],
    /// Whether nothing was built, because an earlier build of the same files and arguments is here.
    pub reused: bool,
    /// The versions of the secrets that its steps could read.
    pub secrets: Vec<SecretUsed>,
}

/// Every step is decided.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeploymentPlanned {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The plan.
    pub plan: Plan,
    /// Whether it takes the place of an earlier one: the host or Docker restarted, and took along what was not routed yet.
    pub again: bool,
}

/// A step was seen done.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StepSucceeded {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Index in the plan.
    pub index: u16,
    /// What it was, for the reader of the timeline.
    pub step: Step,
}

/// A step did not come to its end; the deployment ends, or goes back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StepFailed {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Index in the plan.
    pub index: u16,
    /// What it was.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

/// The gate has passed; the point of no return.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SwapCommitted {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The last one + 1.
    pub generation: u64,
    /// What was routed.
    pub from: Vec<UnitId>,
    /// What will be routed; empty for a teardown.
    pub to: Vec<UnitId>,
}

/// The router shows these targets at this generation.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Swapped {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// As committed.
    pub generation: u64,
    /// As committed.
    pub to: Vec<UnitId>,
}

/// The router's own probe refused the swap: a fence follows.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SwapRefused {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Of the fence: the refused one + 1.
    pub generation: u64,
    /// What the probe saw.
    pub reason: Reason,
}

/// Green failed while it was watched: the route goes back to blue.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RouteBackCommitted {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The last one + 1.
    pub generation: u64,
    /// Blue.
    pub to: Vec<UnitId>,
    /// What green did.
    pub reason: Reason,
}

/// The point of no return of an exclusive workload: from here on it does not serve. What ran and what stood by goes to the
/// removal list, and the route will lead nowhere.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DowntimeOpened {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// The last one + 1.
    pub generation: u64,
    /// What was routed.
    pub from: Vec<UnitId>,
}

/// The router shows that nothing is routed at the generation of the downtime: requests wait from here on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Unrouted {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// As opened.
    pub generation: u64,
}

/// The new release of an exclusive workload has failed: the one of before starts again, once, in a container of its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RestorePlanned {
    /// Which deployment; it will end as failed.
    pub deployment: DeploymentId,
    /// Every step of the restore.
    pub plan: Plan,
    /// Why the new release failed.
    pub reason: Reason,
}

/// What was still open to blue when its drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Cut {
    /// Requests that were cut.
    pub requests: u32,
    /// Websockets and other upgraded connections that were cut.
    pub upgraded: u32,
    /// Event streams that were cut.
    pub streams: u32,
}

/// Blue has no connections left.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BlueDrained {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// What was cut at the deadline.
    pub cut: Cut,
}

/// The end of a deployment, and the lists from here on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeploymentSucceeded {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// From here on.
    pub lists: Lists,
}

/// The end of a deployment that did not succeed, and the lists from here on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DeploymentFailed {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Why.
    pub reason: Reason,
    /// Whether the route had moved and was brought back; false too where it moved and nothing could take over.
    pub routed_back: bool,
    /// From here on.
    pub lists: Lists,
}

/// What runs, what stands by, what goes: complete, not a difference.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Lists {
    /// What serves.
    pub active: Option<SlotRef>,
    /// A former blue that still runs.
    pub standby: Option<SlotRef>,
    /// Units to be removed until they are seen gone.
    pub removal: Vec<UnitId>,
}

/// The units of one release.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SlotRef {
    /// The release.
    pub release: ReleaseId,
    /// The deployment whose plan holds routes and gate of the slot.
    pub deployment: DeploymentId,
    /// Its units: those of the workload itself first, then those of its processes.
    pub units: Vec<UnitId>,
}

/// Why something failed or was refused.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Reason {
    /// The class, which decisions use.
    pub kind: ReasonKind,
    /// One line for a person, without secrets, at most 400 characters.
    pub text: String,
}

/// The class of a failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ReasonKind {
    /// The image cannot be had: unknown, or not for this platform.
    ImageMissing,
    /// A registry or Docker did not answer, or refused for reasons of its own.
    Unavailable,
    /// Docker refused to create or start the container.
    Refused,
    /// The container ended.
    Exited,
    /// Docker restarted the container.
    Restarted,
    /// It was not ready in time.
    NotReady,
    /// Its probes failed while it was watched.
    Unhealthy,
    /// The container is gone, removed by somebody.
    Vanished,
    /// There is no release to go back to.
    NoRelease,
    /// The plan could not be made.
    NoPlan,
    /// This image has failed before, or was rolled back from: only a person deploys it.
    Rejected,
    /// There is no image, because what it is to be built from is not there, or a step of its build failed.
    BuildFailed,
    /// The release command did not end well, or not in time.
    CommandFailed,
}

/// A unit of the removal list was seen gone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct UnitRemoved {
    /// Which one.
    pub unit: UnitId,
}

/// The router is behind the log: the route is written again.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RouteReasserted {
    /// The last one + 1.
    pub generation: u64,
    /// What is routed: the ready part of the active slot.
    pub to: Vec<UnitId>,
}

/// The world differs from what the log says.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DriftSeen {
    /// Which unit.
    pub unit: UnitId,
    /// What was seen.
    pub drift: Drift,
    /// What follows from it.
    pub handling: Handling,
}

/// What follows from a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Handling {
    /// It is repaired.
    Repair,
    /// It is left as it is: the policy of the workload says so.
    Report,
    /// It is left as it is for as long as it is frozen.
    Frozen,
}

/// A difference that was recorded is none any more: a person or a repair has put it right.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct DriftEnded {
    /// Which unit.
    pub unit: UnitId,
    /// What is no longer so.
    pub drift: Drift,
}

/// How the world differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Drift {
    /// An active container is gone.
    Gone,
    /// An active container does not run, and Docker has not restarted it.
    Dead,
    /// A container of ours that no list knows: a repair puts it on the removal list.
    Orphan,
    /// A standby does not run any more: a repair puts it on the removal list.
    StandbyDead,
    /// An active container was paused: a repair lets its process go on.
    Paused,
    /// An active container was taken off the network of its project: a repair replaces it.
    Disconnected,
    /// An active container has another name: a repair gives it back its own, which is reserved for it.
    Renamed,
    /// Docker would not restart an active container by itself: a repair sets the policy.
    Policy,
    /// An active container may use more or less than its plan says: a repair sets the limits.
    Limits,
    /// An active container was started anew since it became active: nothing to repair, it runs.
    Restarted,
}

/// The standby goes to the removal list.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StandbyExpired {
    /// Its release.
    pub release: ReleaseId,
}

/// Nothing of the workload is left.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WorkloadTornDown {
    /// By which deployment.
    pub deployment: DeploymentId,
}

/// A deployment stopped and waits for a person.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Parked {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Why, and what a person can do.
    pub reason: Reason,
}

/// A person lets a parked deployment go on.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Resumed {
    /// Which deployment.
    pub deployment: DeploymentId,
}
