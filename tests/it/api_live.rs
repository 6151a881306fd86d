//! The answers of the API over a whole engine on the in-memory world: explanations, waits, the doctor.

use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::world::{Program, Shared, Twin};
use cutover::api::backend::{About, Backend, WorkloadName};
use cutover::api::live::LiveBackend;
use cutover::api::views::{DoctorView, Finding, WaitKind};
use cutover::clock::Clock;
use cutover::commands::{By, Error};
use cutover::store::{Append, Expected};
use cutover_domain::deployment::Command;
use cutover_domain::registry::Apply;
use cutover_domain::workload::{Phase, Workload};
use cutover_events::delivery::{DeliveryDecided, DeliveryReceived, Verdict};
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use cutover_events::kind::CATALOGUE;
use cutover_events::workload::{HookAdded, HookRemoved, ImageSource, Policy, Provider, Route, Source, Spec};
use cutover_events::{Cause, DeliveryId, DeploymentId, Digest, Event, HookId, Key, StreamId, UnitId, WorkloadId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::wiring;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any of these tests takes, ms: what lasts that long is still there when it is looked at.
const LONG_MS: u64 = 60_000;

struct Engine {
    backend: LiveBackend,
    twin: Shared,
    workload: WorkloadId,
    stop: CancellationToken,
    tasks: JoinSet<Option<String>>,
    _folder: tempfile::TempDir,
}

fn spec(bake_ms: u64) -> Spec {
    let source = ImageSource { reference: "app:1".into(), ..ImageSource::default() };
    let policy = Policy { liveness_ms: 0, drain_ms: 100, bake_ms, standby_ms: LONG_MS, ..Policy::default() };
    Spec {
        source: Source::Image(source),
        routes: vec![Route {
            host: "app.test".into(),
            path: "/".into(),
            port: 8080,
            strip: false,
            service: String::new(),
        }],
        env: Vec::new(),
        command: None,
        mounts: Vec::new(),
        ports: Vec::new(),
        limits: Default::default(),
        hardening: Default::default(),
        health: None,
        replicas: 1,
        triggers: Vec::new(),
        policy,
        processes: Vec::new(),
        after: Vec::new(),
        release: None,
        secrets: Vec::new(),
    }
}

impl Engine {
    async fn begin() -> Self {
        let clock = Clock::system();
        let commands = wiring::commands(clock).await;
        let twin = Twin::shared();
        twin.lock().image_here("app:1", Program::default());
        twin.lock().image_here("app:2", Program::default());
        let workload = WorkloadId::from_ulid(clock.ulid());
        let folder = tempfile::tempdir().unwrap();
        let execution = wiring::execution(&commands, clock, (&twin, folder.path())).await;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(execution.clone().run(stop.clone()));
        let image_pushes = wiring::image_pushes(&commands, clock, folder.path());
        let backend = LiveBackend {
            image_pushes,
            commands,
            clock,
            secrets: execution.secrets.clone(),
            outputs: execution.outputs.clone(),
            world: execution.world.clone(),
            execution,
            hooks_url: String::new(),
            head: tokio::sync::watch::channel(0).1,
            data_dir: folder.path().to_owned(),
            abilities: cutover::server::ABILITIES,
        };
        let engine = Self { backend, twin, workload, stop, tasks, _folder: folder };
        engine.apply(50).await;
        engine.deploy("app:1").await;
        engine.until("it runs", |state| state.active.is_some() && state.open.is_none()).await;
        engine
    }

    async fn apply(&self, bake_ms: u64) {
        let (project, name) = ("default".into(), "web".into());
        let apply = Apply { workload: self.workload, project, name, spec: spec(bake_ms), deploy: true };
        self.backend.commands.apply(By::engine(Cause::Person), vec![apply]).await.unwrap();
    }

    /// No lane drives any more: what is seen from here on stays.
    async fn rest(&mut self) {
        self.stop.cancel();
        assert_eq!(self.tasks.join_next().await.unwrap().unwrap(), None);
    }

    fn state(&self) -> Arc<Workload> {
        self.backend.commands.live().cell(self.workload).state()
    }

    async fn deploy(&self, reference: &str) -> DeploymentId {
        let deployment = DeploymentId::from_ulid(self.backend.clock.ulid());
        let wish = Wish::Deploy(ImageWish::Reference { reference: reference.into(), ask_registry: false });
        let revision = self.backend.commands.live().registry().workloads[&self.workload].revision();
        let intent = IntentQueued { deployment, workload: self.workload, wish, revision, person: true, change: None };
        let queue = Command::Queue(intent);
        self.backend.commands.workload(self.workload, By::engine(Cause::Person), queue).await.unwrap();
        deployment
    }

    async fn until(&self, what: &str, holds: impl Fn(&Workload) -> bool) {
        let mut head = self.backend.commands.log().subscribe();
        let wait = async {
            while !holds(&self.state()) {
                head.changed().await.unwrap();
            }
        };
        assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "{what}: {:#?}", self.state());
    }

    fn remove(&self, unit: UnitId) {
        self.twin.lock().world.human_remove(unit);
        self.twin.lock().world.gone(unit);
    }

    async fn log(&self, stream: StreamId, event: impl Into<Event>, key: Option<Key>) {
        let by = By::engine(Cause::Engine);
        let events = vec![event.into()];
        let append = Append { stream, expected: Expected::Any, events, cause: by.cause, actor: by.actor, key };
        self.backend.commands.log().append(append).await.unwrap();
    }
}

fn finding(view: &DoctorView, name: &str) -> (Finding, String) {
    let check = view.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{view:?}"));
    (check.finding, check.text.clone())
}

#[tokio::test]
async fn what_is_watched_is_explained_by_its_own_deployment_in_sentences() {
    let mut engine = Engine::begin().await;
    engine.apply(LONG_MS).await;
    engine.deploy("app:2").await;
    engine.until("it bakes", |state| matches!(&state.open, Some(o) if matches!(o.phase, Phase::Swapped { .. }))).await;
    let open = engine.state().open.as_ref().unwrap().id().to_string();
    let view = engine.backend.explain(About::Workload(WorkloadName("web".into()))).await.unwrap();
    assert!(view.answer.contains(&open) && view.answer.contains("app:2"), "{}", view.answer);
    let told: Vec<&str> = view.chain.iter().map(|link| link.text.as_str()).collect();
    for kind in CATALOGUE {
        assert!(told.iter().all(|text| !text.contains(kind.name)), "{} in {told:?}", kind.name);
    }
    let status = engine.backend.status(None).await.unwrap();
    let bake = status.workloads[0].waits.iter().find(|wait| wait.kind == WaitKind::Bake).unwrap();
    assert_eq!(bake.deployment_id.as_deref(), Some(open.as_str()));
    assert!(bake.until.is_some());
    engine.rest().await;
}

#[tokio::test]
async fn a_delivery_of_a_removed_hook_is_explained() {
    let mut engine = Engine::begin().await;
    engine.rest().await;
    let clock = engine.backend.clock;
    let (hook, delivery) = (HookId::from_ulid(clock.ulid()), DeliveryId::from_ulid(clock.ulid()));
    let added = HookAdded { hook, name: "gh".into(), provider: Provider::GitHub, secret: Digest::default() };
    let received = DeliveryReceived {
        delivery,
        hook,
        sender_id: "push-1".into(),
        event: "push".into(),
        body: Digest::default(),
        items: Vec::new(),
        secret: 0,
        lists: Vec::new(),
    };
    let why = "the branch is another one".to_owned();
    let verdict = Verdict { item: 0, workload: engine.workload, rule: 0, intent: None, reference: String::new(), why };
    let decided = DeliveryDecided { delivery, summary: "nothing to deploy".into(), verdicts: vec![verdict] };
    let commands = &engine.backend.commands;
    let by = || By::engine(Cause::Person);
    commands.engine(by(), |_| Ok::<_, Error>(vec![added.into()])).await.unwrap();
    let key = Key::Delivery { hook, sender_id: "push-1".into() };
    engine.log(StreamId::Hook(hook), received, Some(key)).await;
    engine.log(StreamId::Hook(hook), decided, Some(Key::Decision { delivery })).await;
    commands.engine(by(), |_| Ok::<_, Error>(vec![HookRemoved { hook }.into()])).await.unwrap();
    let view = engine.backend.explain(About::Delivery(delivery)).await.unwrap();
    assert_eq!(view.answer, "nothing to deploy");
    assert_eq!(view.chain[1].text, "default/web: the branch is another one");
    let unknown = engine.backend.explain(About::Delivery(DeliveryId([1; 16]))).await.unwrap_err().to_string();
    assert!(unknown.contains("cutover hook deliveries"), "{unknown}");
}

#[tokio::test]
async fn the_doctor_judges_what_rests_as_resting_and_what_is_busy_as_busy() {
    let mut engine = Engine::begin().await;
    let second = engine.deploy("app:2").await;
    let done = |state: &Workload| state.active.as_ref().is_some_and(|slot| slot.deployment == second);
    engine.until("the second runs", |state| done(state) && state.open.is_none() && state.removal.is_empty()).await;
    engine.rest().await;
    let view = engine.backend.doctor().await.unwrap();
    let (found, text) = finding(&view, "default/web");
    assert!(found == Finding::Holds && text.starts_with("at rest: 2 containers"), "{view:?}");
    let standby = engine.state().standby.as_ref().unwrap().0.units[0];
    engine.remove(standby);
    let (found, text) = finding(&engine.backend.doctor().await.unwrap(), "default/web");
    assert!(found == Finding::Broken && text.contains("every standby container runs"), "{text}");
    let active = engine.state().active.as_ref().unwrap().units[0];
    engine.remove(active);
    let (found, text) = finding(&engine.backend.doctor().await.unwrap(), "default/web");
    assert!(found == Finding::Note && text.contains("should run and does not"), "{text}");
}
