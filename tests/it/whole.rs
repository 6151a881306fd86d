//! A whole engine over the in-memory world: lanes, hooks and the answers of the API, wired as the real one is.

use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::world::{Program, Shared, Twin};
use cutover::api::backend::{Asker, Backend, WorkloadName};
use cutover::api::live::LiveBackend;
use cutover::api::views::WorkloadView;
use cutover::clock::Clock;
use cutover::commands::By;
use cutover::intake::bodies::BodyFolder;
use cutover::intake::decide::Decider;
use cutover::intake::listener::{Intake, router};
use cutover::server::hooks::Queue;
use cutover_domain::registry::Apply;
use cutover_domain::workload::Workload;
use cutover_events::workload::{ImageSource, Policy, Route, Source, Spec, Trigger};
use cutover_events::{Actor, Cause, DeploymentId, Event, StreamId, WorkloadId};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::intake_support::{Answer, GITHUB, Hooks, SECRET, head, read, sign};
use crate::wiring;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(30);

/// The engine, with the workloads `web` and `other`; pushes to the branches of these names deploy them.
pub(crate) struct Whole {
    pub(crate) backend: LiveBackend,
    pub(crate) twin: Shared,
    pub(crate) web: WorkloadId,
    pub(crate) other: WorkloadId,
    address: std::net::SocketAddr,
    _stop: tokio_util::sync::DropGuard,
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// Everything short.
pub(crate) fn policy() -> Policy {
    Policy {
        gate_timeout_ms: 20_000,
        liveness_ms: 0,
        drain_ms: 50,
        bake_ms: 20,
        stop_timeout_ms: 100,
        ..Policy::default()
    }
}

pub(crate) fn spec(name: &str, policy: Policy) -> Spec {
    let source = ImageSource {
        reference: format!("{name}:{{sha}}"),
        pull: Default::default(),
        platform: String::new(),
        credentials: String::new(),
        deploy_strategy: String::new(),
    };
    let trigger = Trigger {
        hook: "github".into(),
        repo: "acme/shop".into(),
        branch: name.into(),
        tag: String::new(),
        image: String::new(),
        paths: Vec::new(),
    };
    Spec {
        source: Source::Image(source),
        routes: vec![Route {
            host: format!("{name}.test"),
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
        triggers: vec![trigger],
        processes: Vec::new(),
        after: Vec::new(),
        release: None,
        secrets: Vec::new(),
        policy,
    }
}

/// A commit that people and tests tell apart by its number.
pub(crate) fn sha(n: u32) -> String {
    format!("{n:040x}")
}

pub(crate) fn person(user: &str) -> Asker {
    Asker { actor: Actor::Local { uid: 1000, user: user.into() }, key: None }
}

impl Whole {
    pub(crate) async fn begin(policy: Policy) -> Self {
        let clock = Clock::system();
        let commands = wiring::commands(clock).await;
        let (twin, folder) = (Twin::shared(), tempfile::tempdir().unwrap());
        let execution = wiring::execution(&commands, clock, (&twin, folder.path())).await;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (running, until) = (execution.clone(), stop.clone());
        tasks.spawn(async move { assert_eq!(running.run(until).await, None) });
        let (log, hooks) = (commands.log().clone(), Hooks::both());
        let bodies = Arc::new(BodyFolder::open(folder.path()).unwrap());
        let intake = Arc::new(Intake::new(log.clone(), hooks.clone(), bodies, clock));
        let queue = Arc::new(Queue::new(commands.clone()));
        let decider = Decider::new(log, hooks, queue, clock).listening(intake.hints.clone());
        tasks.spawn(async move { panic!("the decider ended: {:?}", decider.run().await) });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(async move { axum::serve(listener, router(intake)).await.unwrap() });
        let image_pushes = wiring::image_pushes(&commands, clock, folder.path());
        let backend = LiveBackend {
            commands,
            clock,
            secrets: execution.secrets.clone(),
            outputs: execution.outputs.clone(),
            world: execution.world.clone(),
            execution,
            image_pushes,
            hooks_url: String::new(),
            head: tokio::sync::watch::channel(0).1,
            data_dir: folder.path().to_owned(),
            abilities: &[cutover_domain::ability::Ability::Image],
        };
        let ids = [(); 2].map(|()| WorkloadId::from_ulid(clock.ulid()));
        let (_stop, _tasks, _folder) = (stop.drop_guard(), tasks, folder);
        let whole = Self { backend, twin, web: ids[0], other: ids[1], address, _stop, _tasks, _folder };
        whole.apply(whole.web, "web", spec("web", policy)).await;
        whole.apply(whole.other, "other", spec("other", policy)).await;
        whole
    }

    pub(crate) async fn apply(&self, workload: WorkloadId, name: &str, spec: Spec) {
        let apply = Apply { workload, project: "default".into(), name: name.into(), spec, deploy: false };
        self.backend.commands.apply(By::engine(Cause::Person), vec![apply]).await.unwrap();
    }

    /// The registry has the image of this commit from here on.
    pub(crate) fn publish(&self, name: &str, n: u32, program: Program) {
        self.twin.lock().image_in_registry(&format!("{name}:{}", sha(n)), &sha(n), program);
    }

    /// A signed push of a commit to a branch, in a delivery of this id.
    pub(crate) async fn deliver(&self, branch: &str, n: u32, delivery: &str) -> Answer {
        let body = format!(
            r#"{{"ref":"refs/heads/{branch}","after":"{}","deleted":false,"repository":{{"full_name":"acme/shop"}}}}"#,
            sha(n)
        );
        let headers = [
            ("content-length", body.len().to_string()),
            ("content-type", "application/json".to_owned()),
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", delivery.to_owned()),
            ("x-hub-signature-256", sign(SECRET, body.as_bytes())),
        ];
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut call = head("POST", &format!("/hooks/{GITHUB}"), &headers);
        call.extend_from_slice(body.as_bytes());
        tokio::io::AsyncWriteExt::write_all(&mut stream, &call).await.unwrap();
        read(&mut stream).await
    }

    /// A push whose delivery nothing else has.
    pub(crate) async fn push(&self, branch: &str, n: u32) {
        let answer = self.deliver(branch, n, &format!("{branch}-{n}-{}", self.backend.clock.ulid())).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    pub(crate) fn state(&self, workload: WorkloadId) -> Arc<Workload> {
        self.backend.commands.live().cell(workload).state()
    }

    pub(crate) async fn until(&self, workload: WorkloadId, what: &str, holds: impl Fn(&Workload) -> bool) {
        let mut head = self.backend.commands.log().subscribe();
        let wait = async {
            while !holds(&self.state(workload)) {
                head.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(DEADLINE, wait).await.is_err() {
            panic!("{what}: {:#?}\n{:?}", self.state(workload), self.names(workload).await);
        }
    }

    /// Until this commit is live, and nothing is left to do.
    pub(crate) async fn live(&self, workload: WorkloadId, n: u32) {
        let runs = |state: &Workload| {
            let active = state.active.as_ref().and_then(|slot| state.release(slot.release));
            active.is_some_and(|release| release.reference.ends_with(&sha(n))) && rests(state)
        };
        self.until(workload, &format!("commit {n} is live"), runs).await;
    }

    pub(crate) async fn events(&self, workload: WorkloadId) -> Vec<Event> {
        let commits = self.backend.commands.log().read(StreamId::Workload(workload), 1, 100_000).await.unwrap();
        commits.into_iter().flat_map(|sealed| sealed.commit.events).collect()
    }

    pub(crate) async fn names(&self, workload: WorkloadId) -> Vec<&'static str> {
        self.events(workload).await.iter().map(|event| event.kind().name).collect()
    }

    pub(crate) async fn status(&self, name: &str) -> WorkloadView {
        self.backend.status(Some(WorkloadName(name.into()))).await.unwrap().workloads.remove(0)
    }

    /// Until a deployment of this workload has its end.
    pub(crate) async fn ended(&self, id: &str) -> cutover::api::views::DeploymentView {
        let id: DeploymentId = id.parse().unwrap();
        let mut head = self.backend.commands.log().subscribe();
        let wait = async {
            let mut view = self.backend.deployment(id).await.unwrap();
            while view.outcome.is_none() {
                head.changed().await.unwrap();
                view = self.backend.deployment(id).await.unwrap();
            }
            view
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap()
    }
}

pub(crate) fn rests(state: &Workload) -> bool {
    state.open.is_none() && state.queue.is_empty() && state.removal.is_empty()
}
