//! Stacks as units, over Compose in memory: what becomes of a project that two notes stand for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::compose::{
    Around, Compose, ComposeError, Draft, DraftError, Holder, MemoryCompose, Stacks, State, Vault, Wished,
};
use cutover::adapters::host::{Bounds, MemoryHost};
use cutover::adapters::runtime::{
    Alone, Attaches, Container, CreateContainer, MemoryRuntime, Program, Renewal, Running, Runtime, RuntimeError,
    Witness,
};
use cutover::adapters::source::Files;
use cutover::adapters::units::{Kind, Programs, StackUnits};
use cutover::adapters::world::{self, Twin};
use cutover::clock::Clock;
use cutover_domain::observed::{DockerId, Phase};
use cutover_events::workload::{Hardening, Limits};
use cutover_events::{DeploymentId, Digest, ErrandId, LogId, ReleaseId, UnitId, WorkloadId};
use parking_lot::Mutex;
use zeroize::Zeroizing;

const LOG: LogId = LogId([1; 16]);
const WORKLOAD: WorkloadId = WorkloadId([2; 16]);
const PROJECT: &str = "shop";
const ONE: &str =
    "services: { web: { image: a, environment: { WHO: \"${WHO}\" } }, once: { image: b } }\nvolumes: { data: {} }\n";
const TWO: &str = "services: { web: { image: c } }\n";

/// Keeps texts as they are.
#[derive(Default)]
struct Open(Mutex<BTreeMap<Digest, String>>);

impl Vault for Open {
    fn seal(&self, _: WorkloadId, text: &str) -> Result<Digest, String> {
        let digest = Digest::of(text.as_bytes());
        self.0.lock().insert(digest, text.to_owned());
        Ok(digest)
    }

    fn unseal(&self, _: WorkloadId, sealed: Digest) -> Result<Zeroizing<String>, String> {
        self.0.lock().get(&sealed).cloned().map(Zeroizing::new).ok_or_else(|| "it is gone".to_owned())
    }

    fn mac(&self, _: WorkloadId, text: &str) -> Result<[u8; 16], String> {
        Ok(Digest::of(text.as_bytes()).0[..16].try_into().unwrap())
    }
}

struct Stand {
    compose: Arc<MemoryCompose>,
    stacks: Arc<Stacks>,
    units: StackUnits,
    data: tempfile::TempDir,
}

fn wished(text: &str, beside: Around) -> Wished {
    let draft = Draft {
        name: PROJECT.to_owned(),
        adopt: false,
        file: "compose.yml".to_owned(),
        text: (!text.is_empty()).then(|| Zeroizing::new(text.to_owned())),
        beside,
    };
    let variables = [("WHO".to_owned(), "me".to_owned()), ("OTHER".to_owned(), "x".to_owned())].into();
    Wished { workload: WORKLOAD, full_name: "default/shop".to_owned(), draft, variables, routed: Vec::new() }
}

fn unit(n: u8, image: &str) -> CreateContainer {
    CreateContainer {
        name: format!("cutover-default-shop-{n}"),
        unit: UnitId([n; 16]),
        workload: WORKLOAD,
        full_name: "default/shop".to_owned(),
        release: ReleaseId([n; 16]),
        deployment: DeploymentId([n; 16]),
        witness: Witness { position: 1, chain: Digest([0; 32]) },
        image: image.to_owned(),
        network: String::new(),
        address: [0, 0, 0, 0].into(),
        alias: None,
        mounts: Vec::new(),
        ports: Vec::new(),
        dns: Vec::new(),
        env: vec![("WHO".to_owned(), "me".to_owned()), ("OTHER".to_owned(), "x".to_owned())],
        command: None,
        limits: Limits::default(),
        hardening: Hardening::default(),
        stop_signal: 0,
        renewal: Renewal::default(),
    }
}

impl Stand {
    fn over(compose: MemoryCompose, bounds: Bounds) -> Self {
        let data = tempfile::tempdir().unwrap();
        let compose = Arc::new(compose);
        let host = MemoryHost::new(bounds);
        host.lead(Path::new("/srv"), Path::new("/srv"));
        host.lead(Path::new("/srv/data"), Path::new("/srv/data"));
        let allowed = vec![cutover_compose::Asks::HostNetwork];
        let stacks =
            Arc::new(Stacks::of(data.path(), compose.clone(), Arc::new(Open::default()), (Arc::new(host), allowed)));
        let units = StackUnits::open(data.path(), stacks.clone(), Clock::system()).unwrap();
        Self { compose, stacks, units, data }
    }

    fn new() -> Self {
        Self::over(MemoryCompose::default(), Bounds::default())
    }

    async fn keep(&self, n: u8, text: &str) -> String {
        self.stacks.keep(DeploymentId([n; 16]), &wished(text, Around::Nothing)).await.unwrap().image
    }

    async fn create(&self, n: u8, image: &str) -> DockerId {
        let unit = unit(n, image);
        let id = self.units.create(LOG, &unit).await.unwrap();
        assert_eq!(self.units.create(LOG, &unit).await.unwrap(), id, "a create may be repeated");
        id
    }

    async fn seen(&self, id: DockerId) -> Container {
        self.units.inspect(id).await.unwrap().unwrap()
    }

    async fn services(&self) -> Vec<String> {
        self.compose.rows(PROJECT).await.unwrap().into_iter().map(|row| row.service).collect()
    }

    async fn go(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.units.stop(id, Duration::ZERO).await?;
        self.units.remove(id).await
    }
}

#[tokio::test]
async fn a_project_is_that_of_its_successor() {
    let stand = Stand::new();
    let (first, second) = (stand.keep(1, ONE).await, stand.keep(2, TWO).await);
    let blue = stand.create(1, &first).await;
    assert_eq!(stand.seen(blue).await.phase, Phase::Created);
    stand.units.start(blue).await.unwrap();
    assert_eq!(stand.services().await, ["once", "web"]);
    let green = stand.create(2, &second).await;
    stand.go(blue).await.unwrap();
    assert_eq!(stand.services().await, ["once", "web"], "only the note of the one before has gone");
    stand.units.start(green).await.unwrap();
    assert_eq!(stand.services().await, ["web"]);
    assert_eq!(stand.units.list(LOG, Some(WORKLOAD)).await.unwrap().len(), 1);
    // Two that both go leave nothing, in whichever order.
    let third = stand.create(3, &first).await;
    stand.units.stop(green, Duration::ZERO).await.unwrap();
    stand.go(third).await.unwrap();
    stand.units.remove(green).await.unwrap();
    assert_eq!(stand.services().await, [] as [String; 0]);
    assert_eq!(stand.units.list(LOG, None).await.unwrap(), []);
    stand.go(green).await.unwrap();
}

#[tokio::test]
async fn what_a_stack_does_is_what_its_services_do() {
    let stand = Stand::new();
    let image = stand.keep(1, ONE).await;
    let id = stand.create(1, &image).await;
    stand.units.start(id).await.unwrap();
    let ended = |code| {
        move |row: &mut cutover::adapters::compose::Row| (row.state, row.exit_code) = (State::Exited, Some(code))
    };
    stand.compose.set(PROJECT, "once", ended(0));
    assert_eq!(stand.seen(id).await.phase, Phase::Running, "what has ended well is well");
    stand.compose.set(PROJECT, "web", ended(3));
    let seen = stand.seen(id).await;
    assert_eq!((seen.phase, seen.exit_code), (Phase::Exited, 3));
    assert!(stand.units.output(id, 100).await.unwrap().contains("web: exited, exit code 3"));
    stand.compose.remove(PROJECT, "web");
    let seen = stand.seen(id).await;
    let states: Vec<_> = seen.services.iter().map(|service| (service.name.as_str(), service.state)).collect();
    assert_eq!((seen.phase, states), (Phase::Exited, vec![("once", "exited"), ("web", "missing")]));
}

#[tokio::test]
async fn a_program_runs_in_the_only_service_of_a_stack_or_in_a_container_like_it() {
    let (stand, twin) = (Stand::new(), Twin::shared());
    let docker = Arc::new(MemoryRuntime::new(twin.clone()));
    let image = twin.lock().image_here("a:1", world::Program::default()).id;
    let container = docker.create(LOG, &unit(9, &image)).await.unwrap();
    docker.start(container).await.unwrap();
    let programs = Programs::over(docker, Arc::new(stand.units.clone()));
    let program = Program { command: ["say", "one", "", "0"].map(str::to_owned).to_vec(), terminal: None };
    let exec = async |id| programs.exec(id, &program).await.map(|attached| attached.running);
    let told = |why: Result<Running, RuntimeError>| why.unwrap_err().to_string();
    let errand = ErrandId([7; 16]);
    let alone = |image: &str| Alone { errand, container: unit(7, image), terminal: false };

    let (one, two) = (stand.keep(1, TWO).await, stand.keep(2, ONE).await);
    let id = stand.create(1, &one).await;
    assert!(told(exec(id).await).contains("no container of the stack is there"));
    assert!(programs.create_alone(LOG, &alone(&one)).await.is_err(), "it is not brought up");
    stand.units.start(id).await.unwrap();
    stand.compose.set(PROJECT, "web", |row| row.containers[0].id = container);
    assert!(matches!(exec(id).await, Ok(Running::Inside { container: inside, .. }) if inside == container));
    programs.create_alone(LOG, &alone(&one)).await.unwrap();
    assert_eq!(twin.lock().created_alone(errand).unwrap().image, image, "it is made like the container of the service");
    stand.compose.set(PROJECT, "web", |row| row.containers[0].runs = false);
    assert!(told(exec(id).await).contains("no container of the service web runs"));
    // What is no stack goes by its own id and its own image.
    assert!(matches!(exec(container).await, Ok(Running::Inside { container: inside, .. }) if inside == container));
    programs.create_alone(LOG, &alone(&image)).await.unwrap();

    stand.go(id).await.unwrap();
    let id = stand.create(2, &two).await;
    stand.units.start(id).await.unwrap();
    assert!(told(exec(id).await).contains("several services: once, web"));
    assert!(programs.create_alone(LOG, &alone(&two)).await.unwrap_err().to_string().contains("once, web"));
}

#[tokio::test]
async fn what_fails_is_told_by_whether_it_can_be_tried_again() {
    let stand = Stand::new();
    let image = stand.keep(1, ONE).await;
    let id = stand.create(1, &image).await;
    stand.compose.fail(ComposeError::Busy { pid: "7".to_owned() });
    assert!(matches!(stand.units.start(id).await, Err(RuntimeError::Busy(text)) if text.contains("process 7")));
    stand.compose.fail(ComposeError::Failed { what: "up", code: 17 });
    assert!(matches!(stand.units.start(id).await, Err(RuntimeError::Refused(text)) if text.contains("exit code 17")));
    stand.units.start(id).await.unwrap();
    // A project that cannot be taken down is kept, with its files, until it can.
    stand.compose.fail(ComposeError::Failed { what: "down", code: 1 });
    assert!(stand.go(id).await.is_err());
    assert!(matches!(stand.units.remove(id).await, Err(RuntimeError::Busy(text)) if text.contains("web")));
    stand.go(id).await.unwrap();
    assert_eq!(stand.units.inspect(id).await.unwrap(), None);
}

#[tokio::test]
async fn units_are_there_again_after_a_crash_and_a_start_is_repeated() {
    let mut stand = Stand::new();
    let image = stand.keep(1, ONE).await;
    let id = stand.create(1, &image).await;
    stand.units = StackUnits::open(stand.data.path(), stand.stacks.clone(), Clock::system()).unwrap();
    stand.units.start(id).await.unwrap();
    stand.units = StackUnits::open(stand.data.path(), stand.stacks.clone(), Clock::system()).unwrap();
    assert_eq!(stand.seen(id).await.phase, Phase::Running);
    assert!(stand.units.uses(&image) && stand.units.makes(&image));
    stand.units.give_up_volumes(id).await.unwrap();
    stand.go(id).await.unwrap();
    assert_eq!(stand.compose.volumes(PROJECT).await.unwrap(), []);
}

#[tokio::test]
async fn the_same_stack_is_kept_once() {
    let stand = Stand::new();
    let keep =
        async |n: u8, text| stand.stacks.keep(DeploymentId([n; 16]), &wished(text, Around::Nothing)).await.unwrap();
    let (first, second, again) = (keep(1, ONE).await, keep(2, TWO).await, keep(3, ONE).await);
    assert!(!first.reused && !second.reused && again.reused);
    assert_eq!((&again.image, again.content), (&first.image, first.content));
    assert!(!keep(2, TWO).await.reused, "a crash after it was kept repeats it");
    assert_eq!(stand.stacks.all().unwrap().len(), 2);
    stand.stacks.remove(&first.image).unwrap();
    stand.stacks.remove(&first.image).unwrap();
    assert!(!stand.stacks.has(&first.image) && stand.stacks.has(&second.image));
}

#[tokio::test]
async fn compose_is_not_asked_again_about_what_it_took() {
    let stand = Stand::over(MemoryCompose::default(), Bounds::default());
    let asked = async |wished: &Wished| stand.stacks.judge(wished).await.map(drop);
    let one = wished(ONE, Around::Nothing);
    asked(&one).await.unwrap();
    stand.compose.fail(ComposeError::Refused(1));
    asked(&one).await.expect("it is the same");
    // Other values are another stack, and what was refused is asked about again.
    let mut other = one.clone();
    other.variables.insert("WHO".to_owned(), "you".to_owned());
    assert!(matches!(asked(&other).await, Err(DraftError::Refused(_))));
    asked(&other).await.unwrap();
}

async fn refused(stand: &Stand, text: &str, beside: Around) -> String {
    match stand.stacks.judge(&wished(text, beside)).await {
        Err(DraftError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_reaches_beyond_a_stack_is_refused() {
    let bounds = Bounds { allowed: vec!["/srv/data".into()], ..Bounds::default() };
    let stand = Stand::over(MemoryCompose::default(), bounds);
    let of = |keys: &str| format!("services: {{ web: {{ image: a, {keys} }} }}\n");
    let cases = [
        ("privileged: true", "privileged"),
        ("pid: host", "\"host-namespaces\""),
        ("volumes: [\"/var/run/docker.sock:/s\"]", "socket of Docker"),
        ("volumes: [\"/etc:/e\"]", "[limits] bind"),
        ("volumes: [\"./x:/x\"]", "[limits] sources"),
        ("env_file: a.env", "[limits] sources"),
        ("ports: [\"${PORT}:1\"]", "PORT"),
    ];
    for (keys, told) in cases {
        let text = refused(&stand, &of(keys), Around::Nothing).await;
        assert!(text.contains(told) && text.lines().count() == 1, "{keys}: {text}");
    }
    let routed = Wished { routed: vec!["api".to_owned()], ..wished(&of("restart: always"), Around::Nothing) };
    let missing = stand.stacks.judge(&routed).await;
    assert!(matches!(&missing, Err(DraftError::Refused(text)) if text.contains("it runs web")), "{missing:?}");
    let good = of("volumes: [\"/srv/data:/d\"]");
    stand.stacks.judge(&wished(&good, Around::Nothing)).await.unwrap();
    stand.stacks.judge(&wished(&of("network_mode: host"), Around::Nothing)).await.unwrap();
    stand.compose.hold(Holder {
        container: "theirs".to_owned(),
        project: "other".to_owned(),
        ports: vec![("0.0.0.0".to_owned(), 8080, "tcp".to_owned())],
    });
    for keys in ["container_name: theirs", "ports: [\"127.0.0.1:8080:80\"]"] {
        let text = refused(&stand, &of(keys), Around::Nothing).await;
        assert!(text.contains("theirs") && text.contains("compose project other"), "{text}");
    }
    stand.compose.foreign(PROJECT, "other");
    assert!(refused(&stand, &good, Around::Nothing).await.contains("adopt = true"));
    let none = Stand::over(MemoryCompose::without_program(), Bounds::default());
    assert!(refused(&none, TWO, Around::Nothing).await.contains("install docker-compose"));
}

#[tokio::test]
async fn what_lies_beside_a_stack_is_read_within_its_folder() {
    let stand = Stand::new();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("html")).unwrap();
    write("html/index.html", "page");
    write("web.env", "A=1\n");
    write("compose.override.yml", "services: { web: { labels: { a: b } } }\n");
    write("compose.yml", "services: { web: { image: a, env_file: ./web.env } }\n");
    let files = || Files::here(folder.path().to_owned());
    let stack = stand.stacks.judge(&wished("", Around::Here(files()))).await.unwrap();
    assert_eq!(stack.order, ["compose.yml", "compose.override.yml"]);
    assert!(stack.files.contains_key("web.env") && stack.base.is_none());
    write("compose.yml", "services: { web: { image: a, volumes: [\"./html:/www:ro\"] } }\n");
    let here = stand.stacks.judge(&wished("", Around::Here(files()))).await.unwrap();
    assert_eq!(here.base, Some(folder.path().canonicalize().unwrap()));
    let fetched = stand.stacks.judge(&wished("", Around::Fetched(files()))).await.unwrap();
    assert_eq!((fetched.base, fetched.files["html/index.html"].as_slice()), (None, &b"page"[..]));
    std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
    write("compose.yml", "services: { web: { image: a, volumes: [\"./out:/o\"] } }\n");
    assert!(refused(&stand, "", Around::Here(files())).await.contains("outside"));
    write("compose.yml", "services: { web: { image: a, env_file: out/hostname } }\n");
    assert!(refused(&stand, "", Around::Here(files())).await.contains("outside"));
}
