//! The contract of `Compose`, held by both programs and by the twin.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::compose::{
    Anew, Compose, ComposeConfig, ComposeError, Healthy, MemoryCompose, Project, RealCompose, Row, State, Volumes,
};
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::docker;

/// Where `scripts/docker` puts the program of the second generation beside the first.
const SECOND: &str = "/usr/local/lib/cutover/docker-compose-2";
/// What the package of the distribution brings.
const PACKAGED: &str = "/usr/bin/docker-compose";
/// A first `up` makes a network, volumes and containers, with everybody else's tests at once.
const DEADLINE: Duration = Duration::from_secs(120);

/// One side under the contract.
struct Side {
    compose: Arc<dyn Compose>,
    image: String,
    name: String,
    root: tempfile::TempDir,
    on_docker: bool,
}

impl Side {
    fn project(&self, text: &str) -> Project {
        Project {
            name: self.name.clone(),
            order: vec!["compose.yml".to_owned()],
            files: [("compose.yml".to_owned(), text.replace("IMAGE", &self.image).into_bytes())].into(),
            variables: [("WHO".to_owned(), "hunter2".to_owned())].into(),
            profiles: Vec::new(),
            base: None,
            anew: Anew::Changed,
        }
    }

    async fn up(&self, text: &str) -> Result<(), ComposeError> {
        self.compose.up(&self.project(text), DEADLINE, &CancellationToken::new()).await
    }

    async fn down(&self, text: &str, volumes: Volumes) {
        self.compose.down(&self.project(text), volumes, DEADLINE).await.expect("it goes down");
    }

    async fn rows(&self) -> Vec<Row> {
        self.compose.rows(&self.name).await.expect("rows")
    }

    async fn services(&self) -> Vec<String> {
        self.rows().await.into_iter().map(|row| row.service).collect()
    }

    async fn volumes(&self) -> Vec<String> {
        self.compose.volumes(&self.name).await.expect("volumes").into_iter().map(|volume| volume.name).collect()
    }
}

const TWO: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${WHO}\" } }\n  db: { image: IMAGE, stop_grace_period: 1s, volumes: [\"data:/data\"] }\nvolumes: { data: {} }\n";
const ONE: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${WHO}\" } }\nvolumes: { data: {} }\n";

async fn memory(name: &str) -> Side {
    let root = tempfile::tempdir().unwrap();
    Side {
        compose: Arc::new(MemoryCompose::default()),
        image: "app:1".to_owned(),
        name: project_of(name),
        root,
        on_docker: false,
    }
}

/// A name of this folder and test, so that a run removes what a failed one left.
fn project_of(test: &str) -> String {
    let id = docker::log_id(&format!("compose {test}")).to_string();
    format!("cut-test-{}", &id[id.len() - 12..])
}

/// `None` where the program is not on this host; that is said.
async fn real(name: &str, program: &str, generation: &str) -> Option<Side> {
    let root = tempfile::tempdir().unwrap();
    let config = ComposeConfig {
        root: root.path().join("compose"),
        socket: "/var/run/docker.sock".into(),
        path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        home: root.path().to_owned(),
        program: Some(program.into()),
    };
    let compose = RealCompose::new(&config);
    let version = compose.program().await.map(|found| found.version.clone()).unwrap_or_default();
    if !version.starts_with(generation) {
        assert!(
            Path::new(PACKAGED).exists() || Path::new(SECOND).exists(),
            "no Compose here: run scripts/docker first"
        );
        eprintln!("NOT TESTED with {generation}: {program} is {version:?}; run scripts/docker on Debian 12");
        return None;
    }
    let name = project_of(name);
    sweep(&name).await;
    let docker = docker::client().await;
    let id = docker::image().await;
    // Compose asks a registry for what it does not find by its name.
    let options =
        bollard::query_parameters::TagImageOptionsBuilder::new().repo("cutover-test/compose").tag("1").build();
    docker.tag_image(&id, Some(options)).await.expect("a tag");
    Some(Side { compose: Arc::new(compose), image: "cutover-test/compose:1".to_owned(), name, root, on_docker: true })
}

/// Removes what carries the label of a project.
async fn sweep(name: &str) {
    use bollard::query_parameters::{
        ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    };
    let docker = docker::client().await;
    let filters = std::collections::HashMap::from([("label", vec![format!("com.docker.compose.project={name}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for found in docker.list_containers(Some(options)).await.expect("containers") {
        docker::remove_container(&docker, &found.id.expect("an id")).await;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for found in docker.list_networks(Some(options)).await.expect("networks") {
        docker.remove_network(&found.id.expect("an id")).await.expect("an empty network is removed");
    }
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    for volume in docker.list_volumes(Some(options)).await.expect("volumes").volumes.into_iter().flatten() {
        let none = None::<bollard::query_parameters::RemoveVolumeOptions>;
        docker.remove_volume(&volume.name, none).await.expect("an unused volume is removed");
    }
}

/// Runs a sentence; what it made on Docker is gone afterwards, also when it fails.
async fn run(side: Option<Side>, sentence: for<'a> fn(&'a Side) -> BoxFuture<'a, ()>) {
    let Some(side) = side else { return };
    let (name, on_docker) = (side.name.clone(), side.on_docker);
    let side = Arc::new(side);
    let own = side.clone();
    let mut set = tokio::task::JoinSet::new();
    set.spawn(async move { sentence(&own).await });
    let ended = set.join_next().await.expect("one task");
    if on_docker {
        sweep(&name).await;
    }
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic.into_panic());
    }
}

macro_rules! contract {
    ($($sentence:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let side = super::memory(stringify!($sentence)).await;
                super::run(Some(side), |side| Box::pin(super::$sentence(side))).await;
            })*
        }
        mod first {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let side = super::real(concat!("first ", stringify!($sentence)), super::PACKAGED, "1.").await;
                super::run(side, |side| Box::pin(super::$sentence(side))).await;
            })*
        }
        mod second {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let side = super::real(concat!("second ", stringify!($sentence)), super::SECOND, "2.").await;
                super::run(side, |side| Box::pin(super::$sentence(side))).await;
            })*
        }
    };
}

contract! {
    a_stack_comes_up_and_goes_down,
    what_is_no_longer_there_goes_and_the_rest_stays,
    a_refusal_says_nothing_of_what_was_printed,
    what_was_cancelled_is_told_so,
    names_and_variables_reach_no_further,
    all_is_made_anew_when_that_is_asked_for,
}

async fn a_stack_comes_up_and_goes_down(side: &Side) {
    assert!(side.rows().await.is_empty() && side.volumes().await.is_empty());
    side.compose.judge(&side.project(TWO)).await.expect("the stack is taken");
    assert!(side.rows().await.is_empty());
    side.up(TWO).await.expect("it comes up");
    let rows = side.rows().await;
    assert_eq!(rows.iter().map(|row| row.service.as_str()).collect::<Vec<_>>(), ["db", "web"]);
    for row in &rows {
        assert_eq!((row.state, row.health, row.ours), (State::Running, Healthy::Unchecked, true), "{row:?}");
        assert_eq!(row.containers.len(), 1);
    }
    let data = format!("{}_data", side.name);
    let volumes = side.compose.volumes(&side.name).await.expect("volumes");
    assert!(volumes.iter().all(|volume| volume.bytes.is_some()), "{volumes:?}");
    assert_eq!(side.volumes().await, std::slice::from_ref(&data));
    side.up(TWO).await.expect("it is up");
    assert_eq!(side.rows().await, rows, "nothing is made anew");
    side.down(TWO, Volumes::Keep).await;
    assert!(side.rows().await.is_empty());
    assert_eq!(side.volumes().await, [data]);
    side.down(TWO, Volumes::Remove).await;
    side.down(TWO, Volumes::Remove).await;
    assert!(side.rows().await.is_empty() && side.volumes().await.is_empty());
    for _ in 0..2 {
        side.compose.forget(&side.name, Volumes::Remove).await.expect("it is forgotten");
    }
    let left = std::fs::read_dir(side.root.path().join("compose")).map(Iterator::count).unwrap_or_default();
    assert_eq!(left, 0, "files are left");
}

async fn what_is_no_longer_there_goes_and_the_rest_stays(side: &Side) {
    side.up(TWO).await.expect("it comes up");
    let web = side.rows().await.into_iter().find(|row| row.service == "web");
    side.up(ONE).await.expect("it changes");
    assert_eq!(side.rows().await.into_iter().next(), web);
    assert_eq!(side.services().await, ["web"]);
    side.up(&ONE.replace("${WHO}", "another")).await.expect("it changes");
    assert_ne!(side.rows().await.into_iter().next(), web, "what changes is made anew");
    side.down(ONE, Volumes::Remove).await;
}

async fn a_refusal_says_nothing_of_what_was_printed(side: &Side) {
    let broken = "services:\n  web: { image: IMAGE, volumes: [\"undeclared:/x\"], labels: { a: \"${WHO}\" } }\n";
    let refused = side.compose.judge(&side.project(broken)).await.unwrap_err();
    assert!(matches!(refused, ComposeError::Refused(_)), "{refused:?}");
    let failed = side.up(broken).await.unwrap_err();
    assert!(matches!(failed, ComposeError::Failed { what: "up", .. }), "{failed:?}");
    for text in [refused.to_string(), failed.to_string()] {
        assert!(!text.contains("hunter2") && !text.contains("undeclared"), "{text}");
    }
    assert!(side.rows().await.is_empty());
}

async fn all_is_made_anew_when_that_is_asked_for(side: &Side) {
    side.up(TWO).await.expect("it comes up");
    let before = side.rows().await;
    let project = Project { anew: Anew::All, ..side.project(TWO) };
    side.compose.up(&project, DEADLINE, &CancellationToken::new()).await.expect("it comes up again");
    let after = side.rows().await;
    let none_of_before =
        |row: &Row| row.containers.iter().all(|id| before.iter().all(|old| !old.containers.contains(id)));
    assert!(after.len() == 2 && after.iter().all(none_of_before), "{before:?} {after:?}");
    side.down(TWO, Volumes::Remove).await;
}

async fn what_was_cancelled_is_told_so(side: &Side) {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cancelled = side.compose.up(&side.project(ONE), DEADLINE, &cancel).await;
    assert_eq!(cancelled, Err(ComposeError::Cancelled("up")));
    side.up(ONE).await.expect("nothing is in the way");
    side.down(ONE, Volumes::Remove).await;
}

async fn names_and_variables_reach_no_further(side: &Side) {
    for name in ["--file=x", "../x", "", "A"] {
        let project = Project { name: name.to_owned(), ..side.project(ONE) };
        let refused = side.compose.up(&project, DEADLINE, &CancellationToken::new()).await;
        assert!(matches!(refused, Err(ComposeError::Unusable(_))), "{name}");
    }
    let mut project = side.project(ONE);
    project.variables.insert("LD_PRELOAD".to_owned(), "/tmp/x.so".to_owned());
    let refused = side.compose.up(&project, DEADLINE, &CancellationToken::new()).await;
    assert!(matches!(refused, Err(ComposeError::Unusable(_))));
}

/// A program of a test in the place of Compose.
async fn scripted(text: &str) -> (RealCompose, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("docker-compose");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = version ]; then echo 2.99.0; exit 0; fi\ncd {}\n{text}\n",
        dir.path().display()
    );
    install(&path, &script);
    let config = ComposeConfig {
        root: dir.path().join("compose"),
        socket: "/nowhere/docker.sock".into(),
        path: "/usr/bin:/bin".to_owned(),
        home: dir.path().join("home"),
        program: Some(path),
    };
    (RealCompose::new(&config), dir)
}

/// Written beside and renamed: a file that another test's child still has open cannot be run.
fn install(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let new = path.with_extension("new");
    std::fs::write(&new, script).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&new, path).unwrap();
}

fn stack(name: &str) -> Project {
    Project {
        name: name.to_owned(),
        order: vec!["compose.yml".to_owned()],
        files: [("compose.yml".to_owned(), b"services: {}".to_vec())].into(),
        variables: [("WHO".to_owned(), "a b".to_owned())].into(),
        profiles: vec!["dev".to_owned()],
        base: None,
        anew: Anew::Changed,
    }
}

/// Waits until a process is gone.
async fn gone(pid: &str) {
    let path = format!("/proc/{}/stat", pid.trim());
    // A zombie whose parent does not look has ended too.
    let lives = || std::fs::read_to_string(&path).is_ok_and(|text| !text.contains(") Z "));
    until(&format!("the end of process {pid}"), || !lives()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_is_given() {
    let (compose, dir) = scripted("env | sort > seen; printf '%s\\n' \"$@\" > told; cat > input").await;
    compose.up(&stack("a"), DEADLINE, &CancellationToken::new()).await.expect("it ends well");
    let seen = std::fs::read_to_string(dir.path().join("seen")).unwrap();
    let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    // The shell adds its own two.
    let own = |name: &&str| !["PWD", "_", "OLDPWD", "SHLVL"].contains(name);
    let names: Vec<&str> = names.into_iter().filter(own).collect();
    assert_eq!(names, ["COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "DOCKER_HOST", "HOME", "PATH", "WHO"]);
    let told = std::fs::read_to_string(dir.path().join("told")).unwrap();
    let folder = dir.path().join("compose/a").display().to_string();
    let expected = [
        "--project-name=a".to_owned(),
        "--ansi=never".to_owned(),
        "--progress=plain".to_owned(),
        format!("--project-directory={folder}"),
        format!("--file={folder}/compose.yml"),
        "up".to_owned(),
        "--detach".to_owned(),
        "--remove-orphans".to_owned(),
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_deadline_a_command_is_killed_with_what_it_started() {
    let (compose, dir) = scripted("trap '' TERM; sleep 600 & echo $! > child; echo $$ > own; wait; wait").await;
    let late = compose.up(&stack("a"), Duration::from_millis(500), &CancellationToken::new()).await;
    assert_eq!(late, Err(ComposeError::TimedOut { what: "up", after: Duration::from_millis(500) }));
    for name in ["own", "child"] {
        gone(&std::fs::read_to_string(dir.path().join(name)).unwrap()).await;
    }
    // The lock is free at once.
    let (again, _) = (compose.down(&stack("a"), Volumes::Keep, Duration::from_millis(200)).await, dir);
    assert!(matches!(again, Err(ComposeError::TimedOut { .. })), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_a_dead_engine_is_waited_for() {
    let (compose, dir) = scripted("echo $$ > own; exec sleep 600").await;
    let root = dir.path().join("compose");
    std::fs::create_dir_all(&root).unwrap();
    // As an engine that has died leaves it: nobody has the lock but the command.
    let lock =
        std::fs::File::options().create(true).truncate(true).read(true).write(true).open(root.join("a.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut other = std::process::Command::new("sleep").arg("600").stdin(lock).spawn().unwrap();
    std::fs::write(root.join("a.lock"), format!("{}\n", other.id())).unwrap();
    let busy = compose.up(&stack("a"), DEADLINE, &CancellationToken::new()).await;
    assert_eq!(busy, Err(ComposeError::Busy { pid: other.id().to_string() }));
    assert!(!dir.path().join("own").exists(), "a second command ran beside the first");
    other.kill().unwrap();
    other.wait().unwrap();
    let late = compose.up(&stack("a"), Duration::from_millis(300), &CancellationToken::new()).await;
    assert!(matches!(late, Err(ComposeError::TimedOut { .. })));
    assert!(dir.path().join("own").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_let_go_of_leaves_nothing_running() {
    let (compose, dir) = scripted("sleep 600 & echo $! > child; echo $$ > own; wait").await;
    let project = stack("a");
    let never = CancellationToken::new();
    let own = dir.path().join("own");
    let began = until("the command", || own.exists());
    tokio::select! {
        ended = compose.up(&project, DEADLINE, &never) => panic!("it ended: {ended:?}"),
        () = began => {}
    }
    for name in ["own", "child"] {
        gone(&std::fs::read_to_string(dir.path().join(name)).unwrap()).await;
    }
}

#[tokio::test]
async fn a_host_without_compose_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = ComposeConfig {
        root: dir.path().join("compose"),
        socket: "/nowhere/docker.sock".into(),
        path: "/bin".to_owned(),
        home: dir.path().to_owned(),
        program: Some("/nowhere/docker-compose".into()),
    };
    let real = RealCompose::new(&config);
    for compose in [&real as &dyn Compose, &MemoryCompose::without_program()] {
        assert_eq!(compose.program().await, None);
        let refused = compose.up(&stack("a"), DEADLINE, &CancellationToken::new()).await.unwrap_err();
        assert!(refused == ComposeError::NoProgram && refused.to_string().contains("install"));
    }
}

#[tokio::test]
async fn compose_is_asked_once_when_it_is_needed_and_may_be_installed_meanwhile() {
    let (compose, dir) = scripted("").await;
    let (there, away) = (dir.path().join("docker-compose"), dir.path().join("away"));
    let script = std::fs::read_to_string(&there).unwrap();
    let counting =
        script.replacen("echo 2.99.0", &format!("echo asked >> {}/asked; echo 2.99.0", dir.path().display()), 1);
    std::fs::rename(&there, &away).unwrap();
    assert_eq!(compose.program().await, None);
    install(&there, &counting);
    for _ in 0..2 {
        assert_eq!(compose.program().await.map(|found| found.version.as_str()), Some("2.99.0"));
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("asked")).unwrap(), "asked\n");
}

/// Waits for a condition.
async fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "{what} did not come");
        sleep(Duration::from_millis(10)).await;
    }
}
