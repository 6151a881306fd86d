//! Workloads, their containers and releases as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::deployment::DeploymentView;
use super::engine::{FreezeView, HeldView};
use super::spec::{PortView, VolumeView, WorkloadBody};

/// Everything that runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Position that this is the state of.
    pub position: u64,
    /// Why destructive effects are refused; empty as a rule.
    pub held: Vec<HeldView>,
    /// What persons have frozen; empty as a rule.
    #[serde(default)]
    pub frozen: Vec<FreezeView>,
    /// In the order of full names.
    pub workloads: Vec<WorkloadView>,
}

/// In one word how a workload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadState {
    /// Recorded, never deployed.
    New,
    /// Every replica is ready.
    Running,
    /// Serves with fewer replicas than wished.
    Degraded,
    /// A release is active, and none of it is ready.
    Unready,
    /// Nothing is active.
    Down,
    /// A person took it out of service.
    Stopped,
    /// Being removed.
    TearingDown,
    /// Nothing of it is left.
    TornDown,
}

/// One workload with all its containers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkloadView {
    /// `project/name`.
    pub workload: String,
    /// Its id, for ever.
    pub id: String,
    /// In one word.
    pub state: WorkloadState,
    /// The newest spec revision.
    pub revision: u32,
    /// How it would be replaced, and why so.
    #[serde(default)]
    #[schema(example = "blue-green (default)")]
    pub strategy: String,
    /// The active release.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release: Option<String>,
    /// The reference that the active release was resolved from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<String>,
    /// The local image id of the active release.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
    /// When the active release went live (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub live_since: Option<String>,
    /// The route generation that the log has seen in the proxy.
    pub generation: u64,
    /// `host/path` of every route.
    pub routes: Vec<String>,
    /// What of the host its containers see, `storage` of a site included; what a stack declares is not among it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub volumes: Vec<VolumeView>,
    /// Ports of the host that are its own.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ports: Vec<PortView>,
    /// Containers of one release, as wished: of the workload itself and of its processes.
    pub replicas: u16,
    /// Every container of ours that carries its id.
    pub containers: Vec<ContainerView>,
    /// The services of a stack.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub services: Vec<ServiceView>,
    /// The deployment that holds the lane.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deployment: Option<DeploymentView>,
    /// Deployments that wait for the lane.
    pub queued: Vec<String>,
    /// What waits for what, and until when; what a person must do comes first.
    #[serde(default)]
    pub waits: Vec<WaitView>,
    /// Who took it out of service, while it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped_by: Option<String>,
    /// Images that no change from outside deploys.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rejected: Vec<RejectedView>,
    /// The deployment that ended last.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<DeploymentView>,
}

/// An image that only a person deploys, because it has failed or was rolled back from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RejectedView {
    /// The release that it was rejected as: what a person accepts.
    pub release: String,
    /// The reference that it was resolved from.
    pub reference: String,
    /// Its digest in the registry, or its local id.
    pub digest: String,
    /// Commit that it came from, empty without one.
    pub sha: String,
    /// Why, one line for a person.
    pub why: String,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A parked deployment: for a person.
    Person,
    /// A deployment: for what its image reference means.
    Image,
    /// A deployment: for a step before the gate.
    Step,
    /// A deployment: for green to get ready.
    Gate,
    /// A deployment: for the route to show what was committed.
    Route,
    /// A deployment: for the connections of blue to end.
    Drain,
    /// A deployment: for the time that green is watched.
    Bake,
    /// A wish: for the lane.
    Lane,
    /// A repair: for its next try.
    Heal,
    /// The removal of containers: for their connections, then for Docker.
    Removal,
    /// The end of a standby: for its time.
    Standby,
    /// What the engine would do by itself: for the end of a freeze.
    Thaw,
    /// A container that is not as it should be: for a repair, or for a person.
    Drift,
}

/// Something that waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct WaitView {
    /// What for.
    pub kind: WaitKind,
    /// The deployment that waits, where it is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deployment_id: Option<String>,
    /// What waits for what, one line for a person.
    #[schema(example = "deploy ghcr.io/acme/shop:v3: 1 of 2 containers is ready")]
    pub text: String,
    /// When the wait is over at the latest (RFC 3339); missing where there is no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub until: Option<String>,
    /// What happens then; empty without `until`.
    #[serde(default)]
    pub then: String,
    /// What a person can do; empty where nothing needs to be done.
    #[serde(default)]
    pub hint: String,
}

/// What a container is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves.
    Active,
    /// The candidate of the deployment that runs.
    Green,
    /// A former blue that still runs.
    Standby,
    /// On the removal list, or known to no list and about to go there.
    Removing,
}

/// One container.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ContainerView {
    /// Docker's full id; empty when it does not exist.
    pub id: String,
    /// Its name on Docker.
    pub name: String,
    /// Its process; none for the workload itself.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub process: String,
    /// What it is for.
    pub role: Role,
    /// The unit.
    pub unit: String,
    /// The release that it was made of.
    pub release: String,
    /// The deployment that made it.
    pub deployment_id: String,
    /// `created`, `running`, `paused`, `exited`, `restarting`, `removing` or `missing`.
    pub phase: String,
    /// Whether the last look found it ready.
    pub ready: bool,
    /// How often Docker has restarted it by itself.
    #[serde(default)]
    pub restarts: u32,
    /// Its address on the network of the project, empty without one.
    pub address: String,
    /// For a site without a container: the release folder that is served.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub folder: Option<String>,
}

/// A service of a stack, as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceView {
    /// `workload:service`.
    #[schema(example = "shop:web")]
    pub id: String,
    /// Its name in the stack.
    pub service: String,
    /// `running`, `created`, `paused`, `restarting`, `exited`, `dead` or `missing`: the worst of its containers.
    pub state: String,
    /// `healthy`, `starting` or `unhealthy`: the worst of their checks; none without one.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub health: String,
    /// How the worst of them ended, where it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i64>,
    /// When it was there last (RFC 3339); none where it never was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen: Option<String>,
}

/// What a rollback to a release would take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RollbackCost {
    /// It is live.
    Live,
    /// It stands by: a swap, in milliseconds.
    Instant,
    /// Its image is here: a new container.
    Start,
    /// Its image must be pulled first.
    Pull,
    /// It was never live, or its image was made here and is gone.
    Impossible,
}

/// One release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    /// Its id.
    pub release: String,
    /// The deployment that made it.
    pub deployment_id: String,
    /// When it was resolved (RFC 3339).
    pub time: String,
    /// Its spec revision.
    pub revision: u32,
    /// The reference that was resolved.
    pub reference: String,
    /// The local image id.
    pub image: String,
    /// `name@sha256:…`, empty for an image that was made here.
    pub repo_digest: String,
    /// Commit that it came from, empty without one.
    pub sha: String,
    /// What a rollback to it would take.
    pub rollback: RollbackCost,
}

/// The releases of one workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReleasesView {
    /// `project/name`.
    pub workload: String,
    /// Newest first.
    pub releases: Vec<ReleaseView>,
}

/// What an apply came to for one workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct AppliedView {
    /// `project/name`.
    pub workload: String,
    /// The newest revision after it.
    pub revision: u32,
    /// Whether something was recorded.
    pub changed: bool,
    /// Position of what was recorded, or of the head where nothing was.
    pub position: u64,
    /// The deployment that was queued.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deployment_id: Option<String>,
    /// One line for a person: what happens now, or why nothing does.
    pub note: String,
}

/// What an apply came to, in the order of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApplyView {
    /// One per workload.
    pub workloads: Vec<AppliedView>,
}

/// One difference between what is recorded and what is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DifferenceView {
    /// The key of the canonical spec, dotted.
    pub key: String,
    /// As recorded; empty for something new.
    pub from: String,
    /// As asked for; empty for something that goes.
    pub to: String,
}

/// What an apply would come to for one workload; nothing is recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedView {
    /// `project/name`.
    pub workload: String,
    /// `register and deploy`, `revise and deploy` or `nothing new`.
    pub action: String,
    /// What differs; values of the environment are not shown.
    pub differences: Vec<DifferenceView>,
    /// How it would be replaced, and why so.
    pub strategy: String,
    /// What would be done, in this order, one line each.
    pub steps: Vec<String>,
    /// The image that the file names, and the one that runs where it is another.
    pub images: Vec<String>,
    /// What a person should know: memory of a second copy, what waits for a delivery.
    pub notes: Vec<String>,
}

/// What an apply would come to, in the order of the request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    /// Position that it was made at.
    pub position: u64,
    /// One per workload.
    pub workloads: Vec<PlannedView>,
}

/// The effective spec of a workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ShowView {
    /// `project/name`.
    pub workload: String,
    /// Which revision this is.
    pub revision: u32,
    /// The newest revision.
    pub newest: u32,
    /// With every default filled in; values of the environment are sealed and shown as null.
    pub spec: WorkloadBody,
}

/// A stretch of the log of a build: whole lines, or what was searched for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BuildLogView {
    /// `project/name`.
    pub workload: String,
    /// For which deployment it is built.
    pub deployment_id: String,
    /// Where the stretch begins in the whole log, bytes: later than asked for where something was left out.
    pub at: u64,
    /// Bytes that were left out before it, because the log had grown too long.
    pub left_out: u64,
    /// Where the next stretch begins.
    pub next: u64,
    /// What was printed, values of secrets taken out; empty for a search.
    pub text: String,
    /// The lines that were searched for, first ones first, at most 1000.
    #[serde(default)]
    pub found: Vec<String>,
    /// Whether nothing comes after this.
    pub ended: bool,
}

/// Output of the containers of a workload.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogsView {
    /// `project/name`.
    pub workload: String,
    /// Oldest container first.
    pub outputs: Vec<super::deployment::OutputView>,
}
