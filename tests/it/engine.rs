//! The shell over the in-memory world: whole deployments, from the wish to the last removal.

use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::router::{MemoryRouter, Router};
use cutover::adapters::world::{OnStart, Program, Shared, TableFate, Twin};
use cutover::clock::Clock;
use cutover::commands::{By, Commands};
use cutover::execution::Execution;
use cutover::recovery;
use cutover_domain::deployment::Command;
use cutover_domain::registry::Apply;
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use cutover_events::workload::{ImageSource, Limits, Policy, Process, Route, Source, Spec};
use cutover_events::{Cause, DeploymentId, Event, StreamId, WorkloadId};
use cutover_proxy::wire::Names;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wiring;

/// Between two looks at a state that nothing new was told of.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Engine {
    pub(crate) commands: Commands,
    pub(crate) clock: Clock,
    pub(crate) twin: Shared,
    pub(crate) workload: WorkloadId,
    /// The one that runs.
    pub(crate) execution: Option<Arc<Execution>>,
    stop: CancellationToken,
    task: Option<JoinHandle<Option<String>>>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn spec(reference: &str, replicas: u16) -> Spec {
    let policy = Policy {
        gate_timeout_ms: 400,
        liveness_ms: 0,
        drain_ms: 100,
        bake_ms: 50,
        stop_timeout_ms: 100,
        ..Policy::default()
    };
    Spec {
        source: Source::Image(ImageSource { reference: reference.into(), ..ImageSource::default() }),
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
        replicas,
        triggers: Vec::new(),
        policy,
        processes: Vec::new(),
        after: Vec::new(),
        release: None,
        secrets: Vec::new(),
    }
}

impl Engine {
    pub(crate) async fn begin(replicas: u16) -> Self {
        Self::apply(spec("app:1", replicas)).await
    }

    pub(crate) async fn apply(spec: Spec) -> Self {
        Self::apply_in(tempfile::tempdir().unwrap(), spec).await
    }

    /// As [`Self::apply`], in a folder whose `src/app` can be built.
    pub(crate) async fn apply_in(folder: tempfile::TempDir, spec: Spec) -> Self {
        let clock = Clock::system();
        let commands = wiring::commands(clock).await;
        let twin = Twin::shared();
        twin.lock().image_here("app:1", Program::default());
        twin.lock().image_here("app:2", Program::default());
        let workload = WorkloadId::from_ulid(clock.ulid());
        let (project, name) = ("default".into(), "web".into());
        let deploy = !recovery::waits_for_a_change(&spec, &Workload::default());
        let apply = Apply { workload, project, name, spec, deploy };
        // What it comes after is registered with it.
        let other = Spec { after: Vec::new(), routes: Vec::new(), ..apply.spec.clone() };
        let others = apply.spec.after.iter().map(|name| {
            let spec = other.clone();
            let workload = WorkloadId::from_ulid(clock.ulid());
            Apply { workload, project: "default".into(), name: name.clone(), spec, deploy: false }
        });
        let all = others.collect::<Vec<_>>().into_iter().chain([apply]).collect();
        commands.apply(By::engine(Cause::Person), all).await.unwrap();
        let (execution, stop, task) = (None, CancellationToken::new(), None);
        let mut engine = Self { commands, clock, twin, workload, execution, stop, task, folder };
        engine.start().await;
        engine
    }

    pub(crate) async fn start(&mut self) {
        let execution = wiring::execution(&self.commands, self.clock, (&self.twin, self.folder.path())).await;
        self.execution = Some(execution.clone());
        self.stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the test owns the task and joins it")]
        let task = tokio::spawn(execution.run(self.stop.clone()));
        self.task = Some(task);
    }

    pub(crate) async fn end(&mut self) {
        self.stop.cancel();
        let ended = self.task.take().unwrap().await.unwrap();
        assert_eq!(ended, None);
    }

    pub(crate) fn state(&self) -> Arc<Workload> {
        self.commands.live().cell(self.workload).state()
    }

    pub(crate) async fn wish(&self, wish: Wish) -> DeploymentId {
        let deployment = DeploymentId::from_ulid(self.clock.ulid());
        let intent =
            IntentQueued { deployment, workload: self.workload, wish, revision: 1, person: true, change: None };
        self.commands.workload(self.workload, By::engine(Cause::Person), Command::Queue(intent)).await.unwrap();
        deployment
    }

    async fn deploy(&self, reference: &str) -> DeploymentId {
        self.wish(Wish::Deploy(ImageWish::Reference { reference: reference.into(), ask_registry: false })).await
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Workload) -> bool) {
        let mut head = self.commands.log().subscribe();
        let wait = async {
            while !holds(&self.state()) {
                // A commit is told before it is folded: what it changed may be seen a moment later only.
                drop(tokio::time::timeout(AGAIN, head.changed()).await);
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("{what}: {:#?}\n{:?}", self.state(), self.names().await);
        }
    }

    pub(crate) async fn settled(&self) {
        let rest = |state: &Workload| state.open.is_none() && state.queue.is_empty() && state.removal.is_empty();
        self.until("nothing is left to do", rest).await;
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let commits = self.commands.log().read(StreamId::Workload(self.workload), 1, 10_000).await.unwrap();
        commits.into_iter().flat_map(|sealed| sealed.commit.events).collect()
    }

    async fn names(&self) -> Vec<&'static str> {
        self.events().await.iter().map(|event| event.kind().name).collect()
    }
}

#[tokio::test]
async fn a_revision_that_wants_a_deployment_is_deployed() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let names = engine.names().await;
    let steps: Vec<_> = names.iter().filter(|name| **name != "StepSucceeded").copied().collect();
    assert_eq!(
        steps,
        [
            "IntentQueued",
            "DeploymentBegun",
            "ReleaseResolved",
            "DeploymentPlanned",
            "SwapCommitted",
            "Swapped",
            "DeploymentSucceeded"
        ]
    );
    engine.end().await;
}

#[tokio::test]
async fn a_second_deployment_replaces_the_first_and_removes_it() {
    let mut engine = Engine::begin(2).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    let before = engine.state().active.clone().unwrap();
    let second = engine.deploy("app:2").await;
    engine.until("the second runs", |state| state.active.as_ref().is_some_and(|slot| slot.deployment == second)).await;
    engine.settled().await;
    let after = engine.state().active.clone().unwrap();
    assert_eq!(after.units.len(), 2);
    assert!(after.units.iter().all(|unit| !before.units.contains(unit)));
    let removed = engine.names().await.iter().filter(|name| **name == "UnitRemoved").count();
    assert_eq!(removed, 2);
    engine.end().await;
}

#[tokio::test]
async fn a_version_that_exits_leaves_blue_serving_and_keeps_its_last_words() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    let blue = engine.state().active.clone();
    let bad = Program { on_start: OnStart::Exits(3), output: "no database\n".into(), ..Program::default() };
    engine.twin.lock().image_here("app:bad", bad);
    engine.deploy("app:bad").await;
    engine.until("it has failed", |state| state.releases.len() == 2 && state.open.is_none()).await;
    engine.settled().await;
    assert_eq!(engine.state().active, blue);
    let failed = engine.events().await.into_iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e),
        _ => None,
    });
    assert!(failed.unwrap().reason.text.contains("exit code 3"));
    let kept = std::fs::read_dir(engine.folder.path().join("output")).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(kept.path()).unwrap(), "no database\n");
    engine.end().await;
}

#[tokio::test]
async fn an_engine_that_is_started_again_goes_on_with_the_same_deployment() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.twin.lock().image_here("app:slow", Program { on_start: OnStart::Silent, ..Program::default() });
    let deployment = engine.deploy("app:2").await;
    engine.until("it is under way", |state| state.open.is_some()).await;
    engine.end().await;
    engine.start().await;
    engine.until("it is done", |state| state.active.as_ref().is_some_and(|slot| slot.deployment == deployment)).await;
    engine.settled().await;
    engine.end().await;
}

#[tokio::test]
async fn a_route_that_the_router_has_lost_comes_back_although_the_engine_was_started_again() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    engine.end().await;
    engine.twin.lock().world.router_restart(TableFate::Lost);
    engine.start().await;
    let unit = engine.state().active.as_ref().unwrap().units[0];
    let routed = || engine.twin.lock().world.targets(engine.workload).contains(unit);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !routed() {
        assert!(tokio::time::Instant::now() < deadline, "the router was not told");
        tokio::task::yield_now().await;
    }
    engine.end().await;
}

#[tokio::test]
async fn a_proxy_that_comes_back_without_its_table_is_told_before_the_general_look() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let unit = engine.state().active.as_ref().unwrap().units[0];
    engine.twin.lock().world.router_restart(TableFate::Lost);
    let routed = || engine.twin.lock().world.targets(engine.workload).contains(unit);
    assert!(!routed());
    // Half of the time between two general looks.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !routed() {
        assert!(tokio::time::Instant::now() < deadline, "the router was not told");
        tokio::task::yield_now().await;
    }
    engine.end().await;
}

#[tokio::test]
async fn a_start_deploys_nothing_that_waits_for_its_first_change() {
    let mut engine = Engine::apply(spec("app:{sha}", 1)).await;
    let deployment = engine.deploy("app:1").await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    engine.end().await;
    engine.start().await;
    engine.settled().await;
    let wishes = engine.events().await.into_iter().filter_map(|event| match event {
        Event::IntentQueued(intent) => Some(intent.deployment),
        _ => None,
    });
    assert_eq!(wishes.collect::<Vec<_>>(), [deployment]);
    engine.end().await;
}

#[tokio::test]
async fn a_teardown_leaves_nothing_and_frees_the_names() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.wish(Wish::Teardown).await;
    engine.until("it is torn down", |state| state.teardown == Teardown::Done).await;
    assert_eq!(engine.state().active, None);
    engine.end().await;
}

#[tokio::test]
async fn a_container_that_somebody_removed_is_replaced() {
    let mut engine = Engine::begin(1).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let unit = engine.state().active.as_ref().unwrap().units[0];
    engine.twin.lock().world.human_remove(unit);
    engine.twin.lock().world.gone(unit);
    engine.twin.lock().hint(unit);
    engine.until("it is healed", |state| state.active.as_ref().is_some_and(|slot| slot.units[0] != unit)).await;
    assert!(engine.names().await.contains(&"DriftSeen"));
    engine.end().await;
}

#[tokio::test]
async fn a_name_is_written_with_the_targets_and_taken_away_by_the_teardown() {
    for routes in [spec("app:1", 1).routes, Vec::new()] {
        let mut engine = Engine::apply(Spec { routes, ..spec("app:1", 1) }).await;
        engine.until("it runs", |state| state.active.is_some()).await;
        engine.settled().await;
        let router = MemoryRouter::new(engine.twin.clone());
        let entry = router.table().await.unwrap().entries.remove(0);
        let names = Names { gateway: [10, 210, 4, 1].into(), prefix: 22, names: vec!["web".into()] };
        assert_eq!((entry.names, entry.targets.len()), (Some(names), 1));
        engine.wish(Wish::Teardown).await;
        engine.until("it is torn down", |state| state.teardown == Teardown::Done).await;
        let entry = router.table().await.unwrap().entries.remove(0);
        assert_eq!((entry.names, entry.targets.len()), (None, 0));
        engine.end().await;
    }
}

#[tokio::test]
async fn a_worker_is_of_the_same_release_with_a_command_of_its_own_and_no_route() {
    let worker = Process {
        name: "worker".into(),
        command: vec!["work".into()],
        replicas: 1,
        limits: Limits { pids: Some(7), ..Limits::default() },
        health: None,
    };
    let mut engine = Engine::apply(Spec { processes: vec![worker], ..spec("app:1", 1) }).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let units = engine.state().active.as_ref().unwrap().units.clone();
    let of = |at: usize| engine.twin.lock().created(units[at]).unwrap();
    let (itself, worker) = (of(0), of(1));
    assert_eq!((itself.command, itself.limits.pids), (None, None));
    assert_eq!((worker.command, worker.limits.pids), (Some(vec!["work".to_owned()]), Some(7)));
    assert_eq!((worker.image, worker.release), (itself.image, itself.release));
    assert!(worker.name.starts_with("cutover-default-web-worker-"), "{}", worker.name);
    assert_eq!(engine.twin.lock().world.targets(engine.workload).iter().collect::<Vec<_>>(), [units[0]]);
    engine.end().await;
}

#[tokio::test]
async fn a_deployment_creates_nothing_before_what_it_comes_after() {
    let mut engine = Engine::apply(Spec { after: vec!["db".into()], ..spec("app:1", 1) }).await;
    let db = engine.commands.live().registry().find("default", "db").unwrap();
    engine.until("it is planned", |state| state.open.as_ref().is_some_and(|open| open.plan.is_some())).await;
    assert_eq!(engine.twin.lock().world.containers().count(), 0);
    let deployment = DeploymentId::from_ulid(engine.clock.ulid());
    let wish = Wish::Deploy(ImageWish::Reference { reference: "app:2".into(), ask_registry: false });
    let intent = IntentQueued { deployment, workload: db, wish, revision: 1, person: true, change: None };
    engine.commands.workload(db, By::engine(Cause::Person), Command::Queue(intent)).await.unwrap();
    engine.until("it runs", |state| state.active.is_some()).await;
    assert!(engine.commands.live().cell(db).state().stands());
    engine.end().await;
}
