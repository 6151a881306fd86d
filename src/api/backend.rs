//! What the API asks of the engine: the one border between HTTP and commands, projections and the log.

use async_trait::async_trait;
use cutover_domain::deployment::Insist;
use cutover_events::{Actor, DeliveryId, DeploymentId, Digest, ReleaseId, TokenId};
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use crate::execution::errands::{Asked, Wire};
use crate::execution::following::Goes;
pub use crate::image_pushes::Packed;

use super::views::{
    AcceptedImagesView, AcceptedView, ApplyAsk, ApplyView, BuildLogView, ConfirmAsk, DeliveriesView, DeployAsk,
    DeploymentView, DoctorView, EventsPage, ExplainView, ExportLine, ForetoldView, HeadView, HookAsk, HookSecretView,
    HooksView, ImagePushAsk, ImagePushView, LayerView, LogsView, OutputLine, PlanView, RekeyedView, ReleasesView,
    RollbackView, RotateAsk, SecretView, SecretsAsk, SecretsSetView, SecretsView, ShowView, StatusView, TokenAddedView,
    TokenAsk, TokensView, UploadView, VerifyView,
};

/// Who asks, and what makes the asking happen once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asker {
    /// Recorded with every commit that comes of it.
    pub actor: Actor,
    /// The client's own key: the same one returns what the first call with it came to.
    pub key: Option<AskKey>,
}

/// A client's key with a digest of what was asked, so that the same key for another wish is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AskKey {
    /// As sent, 1..=128 visible ASCII characters.
    pub key: String,
    /// Of method, path and body, keyed: see [`Backend::keyed`].
    pub request: Digest,
}

/// Why something that was asked for is not answered, by what the asker can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A name or id that nobody knows, or a name that fits more than one workload.
    #[error("{0}")]
    UnknownName(String),
    /// The content is not well formed: workload file, image reference, name.
    #[error("{0}")]
    BadContent(String),
    /// Something that must be unique is taken: a claim, a name, a key that was used for another wish.
    #[error("{0}")]
    Conflict(String),
    /// The rules do not allow it as things stand.
    #[error("{0}")]
    NotAllowed(String),
    /// Not now; trying again can help.
    #[error("{0}")]
    Unavailable(String),
    /// A bug, or a failure of the machine.
    #[error("{0}")]
    Internal(String),
}

/// Which workload: by full name, or by its name alone where that is unambiguous. Well formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadName(pub String);

/// Which hook: by name or by id. Well formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookName(pub String);

/// Which secret. Well formed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretName {
    /// Whose.
    pub project: String,
    /// Its name within the project.
    pub name: String,
}

/// A part of the log that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Only events after this position.
    pub after: u64,
    /// At most this many.
    pub limit: usize,
}

/// Which events are asked for: all parts that are given must match.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of one workload.
    pub workload: Option<WorkloadName>,
    /// Of one deployment.
    pub deployment: Option<DeploymentId>,
    /// Of these kinds, by name.
    pub kinds: Vec<String>,
}

/// What an explanation is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// Why it is as it is.
    Workload(WorkloadName),
    /// Why it was made, and how it ended.
    Deployment(DeploymentId),
    /// Where it came from.
    Release(ReleaseId),
    /// What was decided on it.
    Delivery(DeliveryId),
}

/// A target of a rollback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RollbackTo {
    /// The release before the active one.
    Previous,
    /// This one.
    Release(ReleaseId),
    /// The release that this deployment made current.
    Deployment(DeploymentId),
    /// A tag, a reference, the beginning of a commit or digest, or a time; one line of bounded length.
    Named(String),
}

/// What becomes of the volumes that were made for a workload which is torn down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volumes {
    /// They stay, with what is in them.
    Keep,
    /// They go once its containers are gone, but for those that others mount.
    Remove,
    /// Those of a stack go with it, others stay.
    Usual,
    /// The same; refused with a list when any would go, so that a person is asked first.
    Asked,
}

/// Which output of containers is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputAsk {
    /// Of this process or service; the workload's name for the workload itself.
    pub process: Option<String>,
    /// Of this replica, from 1 on.
    pub replica: Option<u16>,
    /// Lines of what each container has printed before; all where missing.
    pub tail: Option<u32>,
    /// Nothing before this time, as a person writes it.
    pub since: Option<String>,
    /// Nothing at this time or before, ns since 1970.
    pub after_ns: u64,
    /// Whether it goes on.
    pub on: Goes,
}

/// A layer of an image, on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LayerAsk {
    /// Of its bytes, unpacked.
    pub layer: Digest,
    /// How many these are.
    pub bytes: u64,
    /// How it comes.
    pub packed: Packed,
}

/// Which part of the log of a build is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BuildLogAsk {
    /// Of this deployment; `None` for the newest one that has a log.
    pub deployment: Option<DeploymentId>,
    /// From this byte of the whole log on.
    pub from: u64,
    /// What is answered when there is nothing from there on yet.
    pub patience: Patience,
    /// Only lines that hold this text, of the whole log; upper and lower case alike.
    pub grep: Option<String>,
}

/// Whether an answer may wait for what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Patience {
    /// It says what there is.
    #[default]
    None,
    /// It waits a while for more.
    AWhile,
}

/// A body as it comes; an error ends it.
pub type Pieces = BoxStream<'static, Result<bytes::Bytes, String>>;

/// Everything that the API asks. Every wish that is answered with a view is on disk.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A digest of a request as it is recorded: equal for equal requests, and of no use to who reads the log, because what was
    /// asked may hold a value that can be guessed.
    fn keyed(&self, request: Digest) -> Result<Digest, Refusal>;
    /// Registers or revises all of the workloads, or none.
    async fn apply(&self, asker: Asker, ask: ApplyAsk) -> Result<ApplyView, Refusal>;
    /// What an apply would come to; records nothing.
    async fn plan(&self, ask: ApplyAsk) -> Result<PlanView, Refusal>;
    /// The effective spec, of the newest revision or of a given one.
    async fn show(&self, name: WorkloadName, revision: Option<u32>) -> Result<ShowView, Refusal>;

    /// Queues a deployment.
    async fn deploy(&self, asker: Asker, name: WorkloadName, ask: DeployAsk) -> Result<AcceptedView, Refusal>;
    /// Whether an upload is here already, or may be sent.
    async fn upload(&self, upload: Digest, bytes: u64) -> Result<UploadView, Refusal>;
    /// Takes an upload; it is on the disk afterwards.
    async fn upload_send(&self, upload: Digest, pieces: Pieces) -> Result<UploadView, Refusal>;
    /// Has an image that is pushed under its name, or says which of its layers are missing.
    async fn image_push(&self, asker: Asker, ask: ImagePushAsk) -> Result<ImagePushView, Refusal>;
    /// Takes a layer of such an image; it is on the disk afterwards.
    async fn image_layer(&self, layer: LayerAsk, pieces: Pieces) -> Result<LayerView, Refusal>;
    /// Queues a deployment of an earlier release.
    async fn rollback(&self, asker: Asker, name: WorkloadName, to: RollbackTo) -> Result<AcceptedView, Refusal>;
    /// What a rollback would change; queues nothing.
    async fn rollback_plan(&self, name: WorkloadName, to: RollbackTo) -> Result<RollbackView, Refusal>;
    /// What a deployment would do, and the hash that holds one to it; queues nothing.
    async fn foretell(&self, name: WorkloadName, ask: DeployAsk) -> Result<ForetoldView, Refusal>;
    /// Queues the end of service, with everything that it claims kept.
    async fn stop(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal>;
    /// Queues the return of what ran when it was stopped.
    async fn start(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal>;
    /// Lets changes from outside deploy what was rejected: what this names, or all of it.
    async fn accept(
        &self,
        asker: Asker,
        name: WorkloadName,
        what: Option<String>,
    ) -> Result<AcceptedImagesView, Refusal>;
    /// Queues a replacement of the containers of the current release.
    async fn restart(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal>;
    /// Queues the removal of a workload.
    async fn teardown(&self, asker: Asker, name: WorkloadName, volumes: Volumes) -> Result<AcceptedView, Refusal>;
    /// Ends a deployment before its point of no return; one whose release command runs, only for who insists.
    async fn cancel(&self, asker: Asker, deployment: DeploymentId, insist: Insist) -> Result<DeploymentView, Refusal>;
    /// Lets a parked deployment go on.
    async fn resume(&self, asker: Asker, deployment: DeploymentId) -> Result<DeploymentView, Refusal>;
    /// Lets a held engine go on as things are.
    async fn confirm(&self, asker: Asker, ask: ConfirmAsk) -> Result<StatusView, Refusal>;

    /// From here on nothing is done by itself to a workload, or to any.
    async fn freeze(&self, asker: Asker, name: Option<WorkloadName>, reason: String) -> Result<StatusView, Refusal>;
    /// A workload, or everything, goes on by itself.
    async fn thaw(&self, asker: Asker, name: Option<WorkloadName>) -> Result<StatusView, Refusal>;

    /// Every workload, or one of them.
    async fn status(&self, name: Option<WorkloadName>) -> Result<StatusView, Refusal>;
    /// One deployment as it is now.
    async fn deployment(&self, id: DeploymentId) -> Result<DeploymentView, Refusal>;
    /// The releases of a workload, newest first.
    async fn releases(&self, name: WorkloadName) -> Result<ReleasesView, Refusal>;
    /// Captured and present output of the containers of a workload, at most `lines` each.
    async fn logs(&self, name: WorkloadName, lines: usize) -> Result<LogsView, Refusal>;
    /// A stretch of the log of a build.
    async fn build_log(&self, name: WorkloadName, ask: BuildLogAsk) -> Result<BuildLogView, Refusal>;
    /// What its containers print, from what they have printed on.
    async fn output(&self, name: WorkloadName, ask: OutputAsk) -> Result<BoxStream<'static, OutputLine>, Refusal>;
    /// Begins a person's program, recorded, and serves it on the connection that comes once this was answered. `service` is
    /// the one of a stack that a container of its own is made like.
    async fn errand(
        &self,
        asker: Asker,
        (name, service): (WorkloadName, Option<String>),
        what: (Asked, Wire),
    ) -> Result<(), Refusal>;
    /// Why something is as it is.
    async fn explain(&self, about: About) -> Result<ExplainView, Refusal>;
    /// Events, oldest first; `next_after` is past everything that was looked at, so that a filter never stalls, and is
    /// not below `head` once all of it was.
    async fn events(&self, filter: Filter, span: Span) -> Result<EventsPage, Refusal>;
    /// The position that all queries know at least; changes whenever there is something new to ask for.
    fn head(&self) -> watch::Receiver<u64>;

    /// Every hook.
    async fn hooks(&self) -> Result<HooksView, Refusal>;
    /// Adds a hook and tells its secret once.
    async fn hook_add(&self, asker: Asker, ask: HookAsk) -> Result<HookSecretView, Refusal>;
    /// Gives a hook a new secret and tells it once; the one before is accepted until the next rotation.
    async fn hook_rotate(&self, asker: Asker, hook: HookName, ask: RotateAsk) -> Result<HookSecretView, Refusal>;
    /// The hook answers 404 from here on.
    async fn hook_remove(&self, asker: Asker, hook: HookName) -> Result<(), Refusal>;
    /// The newest deliveries of a hook, newest first.
    async fn deliveries(&self, hook: HookName, limit: usize) -> Result<DeliveriesView, Refusal>;

    /// Every secret, or those of a project, without values.
    async fn secrets(&self, project: Option<String>) -> Result<SecretsView, Refusal>;
    /// A secret with its versions, without values.
    async fn secret(&self, name: SecretName) -> Result<SecretView, Refusal>;
    /// Sets values, all of them or none.
    async fn secrets_set(&self, asker: Asker, project: String, ask: SecretsAsk) -> Result<SecretsSetView, Refusal>;
    /// Removes a secret that no workload needs.
    async fn secret_remove(&self, asker: Asker, name: SecretName) -> Result<(), Refusal>;
    /// Seals every value of a project with a new identity, and destroys the old one.
    async fn secrets_rekey(&self, asker: Asker, project: String) -> Result<RekeyedView, Refusal>;

    /// Every token that is accepted.
    async fn tokens(&self) -> Result<TokensView, Refusal>;
    /// Makes a token and tells its value once; only its hash is recorded.
    async fn token_add(&self, asker: Asker, ask: TokenAsk) -> Result<TokenAddedView, Refusal>;
    /// The token is refused from here on.
    async fn token_revoke(&self, asker: Asker, token: TokenId) -> Result<(), Refusal>;
    /// Hashes of all tokens that are accepted, for the check of a request.
    fn token_hashes(&self) -> Vec<(TokenId, Digest)>;

    /// The invariants, looked at on the real thing.
    async fn doctor(&self) -> Result<DoctorView, Refusal>;
    /// Where the log ends.
    async fn log_head(&self) -> Result<HeadView, Refusal>;
    /// Reads the whole log and checks its chain.
    async fn log_verify(&self) -> Result<VerifyView, Refusal>;
    /// Commits whose last position is after `span.after`, oldest first.
    async fn log_export(&self, span: Span) -> Result<Vec<ExportLine>, Refusal>;

    /// Figures of the engine as Prometheus text.
    fn metrics(&self) -> String;
}
