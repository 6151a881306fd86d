//! The answers: [`Backend`] over commands, folds and the log. Queries read what is folded or the events themselves;
//! wishes go through the one write path.

mod applying;
mod asking;
mod building;
mod explaining;
mod fitting;
mod foretelling;
mod freezing;
mod hooks;
mod naming;
mod printing;
mod pushing;
mod sealing;
mod secrets;
mod showing;
mod spec;
mod telling;
mod uploading;
mod waiting;
mod wishing;

pub use secrets::MAX_VALUE_BYTES;

use std::sync::Arc;

use async_trait::async_trait;
use cutover_domain::ability::Ability;
use cutover_domain::deployment::Insist;
use cutover_domain::file::strict::nearest;
use cutover_domain::registry::Registry;
use cutover_events::{Actor, Cause, DeploymentId, Digest, Key, TokenId, WorkloadId};
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use super::backend::{
    About, Asker, Backend, BuildLogAsk, Filter, HookName, LayerAsk, OutputAsk, Pieces, Refusal, RollbackTo, SecretName,
    Span, Volumes, WorkloadName,
};
use super::views::*;
use crate::clock::Clock;
use crate::commands::{By, Commands, Error};
use crate::execution::Execution;
use crate::execution::errands::{Asked, NotBegun, Wire};
use crate::image_pushes::ImagePushes;
use crate::logs::Outputs;
use crate::projections::World;
use crate::secrets::{Owner, Secrets};
use crate::services;

/// What the answers are made from.
pub struct LiveBackend {
    /// The write path, the folds and the log.
    pub commands: Commands,
    /// Time and ids.
    pub clock: Clock,
    /// Sealed values.
    pub secrets: Arc<Secrets>,
    /// Kept output of containers that failed.
    pub outputs: Arc<Outputs>,
    /// What was seen last.
    pub world: Arc<World>,
    /// Asked for present output and for the doctor's look.
    pub execution: Arc<Execution>,
    /// Takes images that are pushed.
    pub image_pushes: Arc<ImagePushes>,
    /// Where hooks can be reached from outside, `http://HOST`; empty when no host is configured.
    pub hooks_url: String,
    /// Follows the head of the log.
    pub head: watch::Receiver<u64>,
    /// The data folder, for reading the whole log again.
    pub data_dir: std::path::PathBuf,
    /// What this engine can carry out: everything else is refused when it is applied.
    pub abilities: &'static [Ability],
}

impl LiveBackend {
    fn registry(&self) -> Arc<Registry> {
        self.commands.live().registry()
    }

    /// The workload of a full name, or of a name alone where only one has it.
    fn find(&self, name: &WorkloadName) -> Result<WorkloadId, Refusal> {
        let registry = self.registry();
        let fits = |full: &str| full == name.0 || full.rsplit_once('/').is_some_and(|(_, short)| short == name.0);
        let found: Vec<_> = registry.workloads.iter().filter(|(_, w)| fits(&w.full_name())).collect();
        match found.as_slice() {
            [(id, _)] => Ok(**id),
            [] => Err(Refusal::UnknownName(unknown(name, &registry))),
            several => {
                let names: Vec<_> = several.iter().map(|(_, workload)| workload.full_name()).collect();
                Err(Refusal::UnknownName(format!(
                    "{} fits several workloads, name one of them: {}",
                    name.0,
                    names.join(", ")
                )))
            }
        }
    }

    /// Somebody as people know them: a token by its name.
    fn known_as(&self, actor: &Actor) -> String {
        let engine = self.commands.live().engine();
        let token = if let Actor::Token(id) = actor { engine.tokens.get(id) } else { None };
        token.map_or_else(|| super::told::who(actor), |token| token.name.clone())
    }

    fn full_name(&self, id: WorkloadId) -> String {
        self.registry().full_name(id).unwrap_or_else(|| id.to_string())
    }
}

/// That a workload is not known, and what is.
fn unknown(name: &WorkloadName, registry: &Registry) -> String {
    let full: Vec<_> = registry.workloads.values().map(|workload| workload.full_name()).collect();
    let short = full.iter().filter_map(|full| full.rsplit_once('/')).map(|(_, short)| short);
    let near = nearest(&name.0, full.iter().map(String::as_str).chain(short));
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None if full.is_empty() => "there is none yet, `cutover apply FILE` registers one".into(),
        None => "`cutover status` lists all".into(),
    };
    format!("no workload is named {}: {hint}", name.0)
}

/// Who asks, as a commit records it.
fn by(asker: &Asker) -> By {
    let key = asker.key.as_ref().map(|key| Key::Client {
        owner: match &asker.actor {
            Actor::Local { uid, .. } => format!("local:{uid}"),
            Actor::Token(token) => token.to_string(),
            Actor::Hook(hook) => hook.to_string(),
            Actor::Engine => "engine".into(),
        },
        key: key.key.clone(),
        request: key.request,
    });
    By { cause: Cause::Person, actor: asker.actor.clone(), key }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if let Some(refusal) = secrets::of_apply(&error) {
            return refusal;
        }
        match error {
            Error::Rejected(rejection) => Self::NotAllowed(rejection.to_string()),
            Error::Claimed(claimed) => Self::Conflict(claimed.to_string()),
            Error::Disorder(disorder) => Self::BadContent(disorder.to_string()),
            Error::Duplicate(_) => Self::Conflict("the idempotency key was used for another wish".into()),
            Error::Log(error @ crate::store::AppendError::NoRoom) => Self::Unavailable(error.to_string()),
            Error::Log(error) => Self::Internal(error.to_string()),
            Error::Corrupt(error) => Self::Internal(error.to_string()),
        }
    }
}

impl From<NotBegun> for Refusal {
    fn from(why: NotBegun) -> Self {
        match why {
            NotBegun::Unknown(text) => Self::UnknownName(text),
            NotBegun::NothingRuns(text) => Self::NotAllowed(text),
            NotBegun::Unwritten(error) => error.into(),
            NotBegun::Runtime(error) if error.may_pass() => Self::Unavailable(error.to_string()),
            NotBegun::Runtime(error) => Self::NotAllowed(error.to_string()),
            NotBegun::TooMany | NotBegun::Held => Self::NotAllowed(why.to_string()),
            NotBegun::Stopping => Self::Unavailable(why.to_string()),
        }
    }
}

impl From<crate::store::ReadError> for Refusal {
    fn from(error: crate::store::ReadError) -> Self {
        Self::Internal(error.to_string())
    }
}

#[async_trait]
impl Backend for LiveBackend {
    fn keyed(&self, request: Digest) -> Result<Digest, Refusal> {
        let mac = self.secrets.mac(Owner::Engine, &request.0);
        let mac = mac.map_err(|error| Refusal::Internal(format!("the engine's identity cannot be read: {error}")))?;
        Ok(Digest::of(&mac))
    }
    async fn apply(&self, asker: Asker, ask: ApplyAsk) -> Result<ApplyView, Refusal> {
        self.applied(asker, ask).await
    }

    async fn plan(&self, ask: ApplyAsk) -> Result<PlanView, Refusal> {
        self.planned(ask).await
    }

    async fn show(&self, name: WorkloadName, revision: Option<u32>) -> Result<ShowView, Refusal> {
        self.shown(&name, revision)
    }

    async fn deploy(&self, asker: Asker, name: WorkloadName, ask: DeployAsk) -> Result<AcceptedView, Refusal> {
        self.deployed(asker, &name, ask).await
    }

    async fn upload(&self, upload: Digest, bytes: u64) -> Result<UploadView, Refusal> {
        self.upload_of(upload, bytes)
    }

    async fn upload_send(&self, upload: Digest, pieces: Pieces) -> Result<UploadView, Refusal> {
        self.upload_taken(upload, pieces).await
    }

    async fn image_push(&self, asker: Asker, ask: ImagePushAsk) -> Result<ImagePushView, Refusal> {
        self.pushed(&asker, ask).await
    }

    async fn image_layer(&self, layer: LayerAsk, pieces: Pieces) -> Result<LayerView, Refusal> {
        self.layer_taken(layer, pieces).await
    }

    async fn rollback(&self, asker: Asker, name: WorkloadName, to: RollbackTo) -> Result<AcceptedView, Refusal> {
        self.rolled_back(asker, &name, to).await
    }

    async fn rollback_plan(&self, name: WorkloadName, to: RollbackTo) -> Result<RollbackView, Refusal> {
        self.rollback_foretold(&name, to).await
    }

    async fn foretell(&self, name: WorkloadName, ask: DeployAsk) -> Result<ForetoldView, Refusal> {
        self.foretold(&name, &ask).map(|(view, _)| view)
    }

    async fn stop(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        let by = self.known_as(&asker.actor);
        self.wished(asker, &name, cutover_events::deployment::Wish::Stop { by }).await
    }

    async fn start(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        self.wished(asker, &name, cutover_events::deployment::Wish::Start).await
    }

    async fn accept(
        &self,
        asker: Asker,
        name: WorkloadName,
        what: Option<String>,
    ) -> Result<AcceptedImagesView, Refusal> {
        self.accepted_images(asker, &name, what).await
    }

    async fn restart(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        self.wished(asker, &name, cutover_events::deployment::Wish::Restart).await
    }

    async fn teardown(&self, asker: Asker, name: WorkloadName, volumes: Volumes) -> Result<AcceptedView, Refusal> {
        self.torn_down(asker, &name, volumes).await
    }

    async fn cancel(&self, asker: Asker, deployment: DeploymentId, insist: Insist) -> Result<DeploymentView, Refusal> {
        self.ordered(asker, deployment, cutover_domain::deployment::Command::Cancel(deployment, insist)).await
    }

    async fn resume(&self, asker: Asker, deployment: DeploymentId) -> Result<DeploymentView, Refusal> {
        self.ordered(asker, deployment, cutover_domain::deployment::Command::Resume(deployment)).await
    }

    async fn confirm(&self, asker: Asker, ask: ConfirmAsk) -> Result<StatusView, Refusal> {
        self.confirmed(asker, ask).await
    }

    async fn freeze(&self, asker: Asker, name: Option<WorkloadName>, reason: String) -> Result<StatusView, Refusal> {
        self.frozen(asker, name, reason).await
    }

    async fn thaw(&self, asker: Asker, name: Option<WorkloadName>) -> Result<StatusView, Refusal> {
        self.thawed(asker, name).await
    }

    async fn status(&self, name: Option<WorkloadName>) -> Result<StatusView, Refusal> {
        self.status_of(name.as_ref()).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<DeploymentView, Refusal> {
        self.told(id).await
    }

    async fn releases(&self, name: WorkloadName) -> Result<ReleasesView, Refusal> {
        self.releases_of(&name).await
    }

    async fn logs(&self, name: WorkloadName, lines: usize) -> Result<LogsView, Refusal> {
        self.output_of(&name, lines).await
    }

    async fn build_log(&self, name: WorkloadName, ask: BuildLogAsk) -> Result<BuildLogView, Refusal> {
        self.build_log_of(&name, ask).await
    }

    async fn output(&self, name: WorkloadName, ask: OutputAsk) -> Result<BoxStream<'static, OutputLine>, Refusal> {
        self.follow_output(&name, ask).await
    }

    async fn errand(
        &self,
        asker: Asker,
        (name, service): (WorkloadName, Option<String>),
        (asked, wire): (Asked, Wire),
    ) -> Result<(), Refusal> {
        let id = self.find(&name)?;
        let asked = services::placed(&self.execution, id, (asked, service)).await?;
        Ok(self.execution.errand(asker.actor, id, (asked, wire)).await?)
    }

    async fn explain(&self, about: About) -> Result<ExplainView, Refusal> {
        self.explained(about).await
    }

    async fn events(&self, filter: Filter, span: Span) -> Result<EventsPage, Refusal> {
        self.page(filter, span).await
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    async fn hooks(&self) -> Result<HooksView, Refusal> {
        Ok(self.all_hooks())
    }

    async fn hook_add(&self, asker: Asker, ask: HookAsk) -> Result<HookSecretView, Refusal> {
        self.add_hook(asker, ask).await
    }

    async fn hook_rotate(&self, asker: Asker, hook: HookName, ask: RotateAsk) -> Result<HookSecretView, Refusal> {
        self.rotate_hook(asker, &hook, ask).await
    }

    async fn hook_remove(&self, asker: Asker, hook: HookName) -> Result<(), Refusal> {
        self.remove_hook(asker, &hook).await
    }

    async fn deliveries(&self, hook: HookName, limit: usize) -> Result<DeliveriesView, Refusal> {
        self.deliveries_of(&hook, limit).await
    }

    async fn secrets(&self, project: Option<String>) -> Result<SecretsView, Refusal> {
        self.all_secrets(project.as_deref()).await
    }

    async fn secret(&self, name: SecretName) -> Result<SecretView, Refusal> {
        self.one_secret(&name).await
    }

    async fn secrets_set(&self, asker: Asker, project: String, ask: SecretsAsk) -> Result<SecretsSetView, Refusal> {
        self.set_secrets(asker, &project, ask).await
    }

    async fn secret_remove(&self, asker: Asker, name: SecretName) -> Result<(), Refusal> {
        self.remove_secret(asker, &name).await
    }

    async fn secrets_rekey(&self, asker: Asker, project: String) -> Result<RekeyedView, Refusal> {
        self.rekey_secrets(asker, &project).await
    }

    async fn tokens(&self) -> Result<TokensView, Refusal> {
        Ok(self.all_tokens())
    }

    async fn token_add(&self, asker: Asker, ask: TokenAsk) -> Result<TokenAddedView, Refusal> {
        self.add_token(asker, ask).await
    }

    async fn token_revoke(&self, asker: Asker, token: TokenId) -> Result<(), Refusal> {
        self.revoke_token(asker, token).await
    }

    fn token_hashes(&self) -> Vec<(TokenId, Digest)> {
        self.commands.live().engine().tokens.iter().map(|(id, token)| (*id, token.hash)).collect()
    }

    async fn doctor(&self) -> Result<DoctorView, Refusal> {
        self.examined().await
    }

    async fn log_head(&self) -> Result<HeadView, Refusal> {
        let head = self.commands.log().head();
        let log_id = self.commands.log().log_id().to_string();
        let state = self.commands.live().digest().to_string();
        Ok(HeadView { log_id, position: head.position, chain: head.chain.to_string(), state })
    }

    async fn log_verify(&self) -> Result<VerifyView, Refusal> {
        self.verified().await
    }

    async fn log_export(&self, span: Span) -> Result<Vec<ExportLine>, Refusal> {
        self.exported(span).await
    }

    fn metrics(&self) -> String {
        self.figures()
    }
}
