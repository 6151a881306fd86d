//! A backend that answers from a short story in memory, and a server over it, for tests of the API and command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cutover::api::backend::{
    About, Asker, Backend, BuildLogAsk, Filter, HookName, LayerAsk, OutputAsk, Pieces, Refusal, RollbackTo, SecretName,
    Span, Volumes, WorkloadName,
};
use cutover::api::views::*;
use cutover::api::{ApiState, Readiness, router, serve};
use cutover::clock::Clock;
use cutover::execution::errands::{Asked, Wire};
use cutover_domain::deployment::Insist;
use cutover_events::{DeploymentId, Digest, TokenId};
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const DEPLOYMENT: &str = "dep_01k9zzzzzzzzzzzzzzzzzzzzz0";
pub(crate) const TOKEN: &str = "cut_a-token-of-the-tests";

/// What the fake has been told and tells.
pub(crate) struct Fake {
    events: parking_lot::Mutex<Vec<EventLine>>,
    head: watch::Sender<u64>,
    pub(crate) askers: parking_lot::Mutex<Vec<Asker>>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            events: parking_lot::Mutex::default(),
            head: watch::Sender::new(0),
            askers: parking_lot::Mutex::default(),
        })
    }

    /// How many follow the log.
    pub(crate) fn followers(&self) -> usize {
        self.head.receiver_count()
    }

    /// Something happens to the deployment.
    pub(crate) fn happen(&self, name: &str, fields: Value) {
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        let mut events = self.events.lock();
        let position = events.len() as u64 + 1;
        events.push(EventLine {
            position,
            time: format!("2026-01-31T12:00:{position:02}.000Z"),
            event: name.to_owned(),
            deployment_id: Some(DEPLOYMENT.to_owned()),
            workload: Some("shop/web".to_owned()),
            cause: "person".to_owned(),
            actor: "local:0:root".to_owned(),
            told: if name == "IntentQueued" {
                "deploy shop:v2, asked by root".to_owned()
            } else {
                format!("told of {name}")
            },
            tone: Tone::Normal,
            fields,
        });
        self.head.send_replace(position);
    }

    fn accepted(&self, asker: Asker, name: &WorkloadName) -> Result<AcceptedView, Refusal> {
        if !name.0.ends_with("web") {
            return Err(Refusal::UnknownName(format!("there is no workload {}", name.0)));
        }
        let repeated = self.askers.lock().iter().any(|known| known.key.is_some() && known.key == asker.key);
        self.askers.lock().push(asker);
        if !repeated {
            self.happen("IntentQueued", json!({"wish": "deploy", "reference": "shop:v2"}));
        }
        Ok(AcceptedView { deployment_id: DEPLOYMENT.into(), workload: "shop/web".into(), position: 1 })
    }

    fn view(&self) -> DeploymentView {
        let events = self.events.lock();
        let has = |name: &str| events.iter().any(|line| line.event == name);
        let outcome = match () {
            () if has("DeploymentSucceeded") => Some(Outcome::Succeeded),
            () if has("DeploymentFailed") => Some(Outcome::Failed),
            () if has("IntentSuperseded") => Some(Outcome::Superseded),
            () if has("IntentCancelled") => Some(Outcome::Cancelled),
            () if has("Parked") && !has("Resumed") => Some(Outcome::Parked),
            () => None,
        };
        DeploymentView {
            deployment_id: DEPLOYMENT.into(),
            workload: "shop/web".into(),
            position: events.len() as u64,
            wish: WishKind::Deploy,
            stage: if outcome.is_some() { Stage::Ended } else { Stage::Preparing },
            outcome,
            release: None,
            reference: None,
            reason: has("DeploymentFailed")
                .then(|| ReasonView { kind: "not_ready".into(), text: "answered 500 for 60 s".into() }),
            routed_back: has("RouteBackCommitted"),
            superseded_by: None,
            live_after_ms: has("Swapped").then_some(1_600),
            bake_ms: Some(10_000),
            output: None,
            serving: String::new(),
            doing: None,
        }
    }
}

fn no<T>() -> Result<T, Refusal> {
    Err(Refusal::NotAllowed("the fake does not do that".into()))
}

#[async_trait]
impl Backend for Fake {
    fn keyed(&self, request: Digest) -> Result<Digest, Refusal> {
        Ok(request)
    }
    async fn output(&self, name: WorkloadName, _: OutputAsk) -> Result<BoxStream<'static, OutputLine>, Refusal> {
        Err(Refusal::NotAllowed(format!("{} prints nothing", name.0)))
    }

    async fn errand(
        &self,
        _: Asker,
        (name, _): (WorkloadName, Option<String>),
        _: (Asked, Wire),
    ) -> Result<(), Refusal> {
        Err(Refusal::NotAllowed(format!("{}: nothing of it runs: deploy it first", name.0)))
    }

    async fn apply(&self, _: Asker, ask: ApplyAsk) -> Result<ApplyView, Refusal> {
        let workloads = ask.workloads.iter().map(|body| AppliedView {
            workload: format!("{}/{}", body.project.as_deref().unwrap_or("default"), body.name),
            revision: 1,
            changed: true,
            position: 1,
            deployment_id: None,
            note: "recorded".into(),
        });
        Ok(ApplyView { workloads: workloads.collect() })
    }
    async fn plan(&self, _: ApplyAsk) -> Result<PlanView, Refusal> {
        panic!("a bug of the fake, on purpose")
    }
    async fn show(&self, _: WorkloadName, _: Option<u32>) -> Result<ShowView, Refusal> {
        Err(Refusal::Internal("the disk is on fire".into()))
    }
    async fn deploy(&self, asker: Asker, name: WorkloadName, _: DeployAsk) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn upload(&self, _: Digest, _: u64) -> Result<UploadView, Refusal> {
        no()
    }
    async fn upload_send(&self, _: Digest, _: Pieces) -> Result<UploadView, Refusal> {
        no()
    }
    async fn image_push(&self, _: Asker, _: ImagePushAsk) -> Result<ImagePushView, Refusal> {
        no()
    }
    async fn image_layer(&self, _: LayerAsk, _: Pieces) -> Result<LayerView, Refusal> {
        no()
    }
    async fn rollback(&self, asker: Asker, name: WorkloadName, _: RollbackTo) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn rollback_plan(&self, _: WorkloadName, _: RollbackTo) -> Result<RollbackView, Refusal> {
        no()
    }
    async fn foretell(&self, _: WorkloadName, _: DeployAsk) -> Result<ForetoldView, Refusal> {
        no()
    }
    async fn stop(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn start(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn accept(&self, _: Asker, _: WorkloadName, _: Option<String>) -> Result<AcceptedImagesView, Refusal> {
        no()
    }
    async fn restart(&self, asker: Asker, name: WorkloadName) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn teardown(&self, asker: Asker, name: WorkloadName, _: Volumes) -> Result<AcceptedView, Refusal> {
        self.accepted(asker, &name)
    }
    async fn cancel(&self, _: Asker, _: DeploymentId, _: Insist) -> Result<DeploymentView, Refusal> {
        no()
    }
    async fn resume(&self, _: Asker, _: DeploymentId) -> Result<DeploymentView, Refusal> {
        no()
    }
    async fn confirm(&self, _: Asker, _: ConfirmAsk) -> Result<StatusView, Refusal> {
        no()
    }
    async fn freeze(&self, _: Asker, _: Option<WorkloadName>, _: String) -> Result<StatusView, Refusal> {
        no()
    }
    async fn thaw(&self, _: Asker, _: Option<WorkloadName>) -> Result<StatusView, Refusal> {
        no()
    }
    async fn status(&self, _: Option<WorkloadName>) -> Result<StatusView, Refusal> {
        Ok(StatusView { position: *self.head.borrow(), held: Vec::new(), frozen: Vec::new(), workloads: Vec::new() })
    }
    async fn deployment(&self, id: DeploymentId) -> Result<DeploymentView, Refusal> {
        if id.to_string() == DEPLOYMENT && !self.events.lock().is_empty() {
            return Ok(self.view());
        }
        Err(Refusal::UnknownName(format!("there is no deployment {id}")))
    }
    async fn releases(&self, _: WorkloadName) -> Result<ReleasesView, Refusal> {
        no()
    }
    async fn logs(&self, _: WorkloadName, _: usize) -> Result<LogsView, Refusal> {
        no()
    }
    async fn build_log(&self, _: WorkloadName, _: BuildLogAsk) -> Result<BuildLogView, Refusal> {
        no()
    }
    async fn explain(&self, _: About) -> Result<ExplainView, Refusal> {
        no()
    }
    async fn events(&self, filter: Filter, span: Span) -> Result<EventsPage, Refusal> {
        let events = self.events.lock();
        let head = events.len() as u64;
        let looked_at: Vec<_> = events.iter().filter(|line| line.position > span.after).take(span.limit).collect();
        let next_after = looked_at.last().map_or(head.max(span.after), |line| line.position);
        let fits = |line: &&&EventLine| filter.kinds.is_empty() || filter.kinds.contains(&line.event);
        let items = looked_at.iter().filter(fits).map(|line| (*line).clone()).collect();
        Ok(EventsPage { items, next_after, head })
    }
    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
    async fn hooks(&self) -> Result<HooksView, Refusal> {
        Ok(HooksView { hooks: Vec::new() })
    }
    async fn hook_add(&self, _: Asker, _: HookAsk) -> Result<HookSecretView, Refusal> {
        Err(Refusal::Conflict("a hook of that name exists".into()))
    }
    async fn hook_rotate(&self, _: Asker, _: HookName, _: RotateAsk) -> Result<HookSecretView, Refusal> {
        no()
    }
    async fn hook_remove(&self, _: Asker, _: HookName) -> Result<(), Refusal> {
        Ok(())
    }
    async fn deliveries(&self, _: HookName, _: usize) -> Result<DeliveriesView, Refusal> {
        Ok(DeliveriesView { deliveries: Vec::new() })
    }
    async fn secrets(&self, _: Option<String>) -> Result<SecretsView, Refusal> {
        no()
    }
    async fn secret(&self, _: SecretName) -> Result<SecretView, Refusal> {
        no()
    }
    async fn secrets_set(&self, _: Asker, _: String, _: SecretsAsk) -> Result<SecretsSetView, Refusal> {
        no()
    }
    async fn secret_remove(&self, _: Asker, _: SecretName) -> Result<(), Refusal> {
        no()
    }
    async fn secrets_rekey(&self, _: Asker, _: String) -> Result<RekeyedView, Refusal> {
        no()
    }
    async fn tokens(&self) -> Result<TokensView, Refusal> {
        Ok(TokensView { tokens: Vec::new() })
    }
    async fn token_add(&self, _: Asker, _: TokenAsk) -> Result<TokenAddedView, Refusal> {
        no()
    }
    async fn token_revoke(&self, _: Asker, _: TokenId) -> Result<(), Refusal> {
        Ok(())
    }
    fn token_hashes(&self) -> Vec<(TokenId, Digest)> {
        vec![(TokenId([7; 16]), Digest::of(TOKEN.as_bytes()))]
    }
    async fn doctor(&self) -> Result<DoctorView, Refusal> {
        let check = CheckView { name: "route".into(), finding: Finding::Broken, text: "it is not".into() };
        Ok(DoctorView { ok: false, checks: vec![check] })
    }
    async fn log_head(&self) -> Result<HeadView, Refusal> {
        Ok(HeadView { log_id: "log_1".into(), position: *self.head.borrow(), chain: "00".into(), state: "00".into() })
    }
    async fn log_verify(&self) -> Result<VerifyView, Refusal> {
        no()
    }
    async fn log_export(&self, span: Span) -> Result<Vec<ExportLine>, Refusal> {
        let events = self.events.lock();
        let line = |line: &EventLine| ExportLine {
            position: line.position,
            stream: "registry".into(),
            version: line.position,
            chain: "00".into(),
            body: "00".into(),
            events: vec![line.clone()],
        };
        Ok(events.iter().filter(|line| line.position > span.after).take(span.limit).map(line).collect())
    }
    fn metrics(&self) -> String {
        "cutover_log_position 1\n".into()
    }
}

/// A server over a fake: on its local socket, and on TCP.
pub(crate) struct Served {
    pub(crate) fake: Arc<Fake>,
    pub(crate) folder: PathBuf,
    pub(crate) tcp: std::net::SocketAddr,
    pub(crate) readiness: watch::Sender<Readiness>,
    /// How many requests have arrived.
    pub(crate) asked: watch::Receiver<usize>,
    end: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
}

impl Served {
    /// Serves `fake` below `folder`.
    pub(crate) async fn start(fake: Arc<Fake>, folder: &Path) -> Self {
        let (readiness, watched) = watch::channel(Readiness::Ready(fake.clone()));
        let (count, asked) = watch::channel(0);
        let counted = axum::middleware::map_request(move |request: axum::extract::Request| {
            count.send_modify(|requests| *requests += 1);
            std::future::ready(request)
        });
        let router = router(ApiState::new(watched, Clock::system())).layer(counted);
        let end = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        let unix = serve::bind_unix(&folder.join(serve::ENGINE_SOCKET)).unwrap();
        tasks.spawn(serve::serve_unix(unix, router.clone(), end.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = listener.local_addr().unwrap();
        tasks.spawn(serve::serve_tcp(listener, router, end.clone()));
        Self { fake, folder: folder.to_owned(), tcp, readiness, asked, end, tasks }
    }

    /// Ends as an engine does: streams are told, connections end.
    pub(crate) async fn stop(mut self) -> Arc<Fake> {
        self.readiness.send_replace(Readiness::Stopping);
        self.end.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.fake
    }

    /// Dies: connections break in the middle.
    pub(crate) async fn kill(mut self) -> Arc<Fake> {
        self.tasks.shutdown().await;
        self.fake
    }
}
