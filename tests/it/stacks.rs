//! Stacks of Compose through the whole program on real Docker: deployed, redeployed, observed, torn down.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::docker;

/// Where `scripts/docker` puts the program of the second generation.
pub(crate) const SECOND: &str = "/usr/local/lib/cutover/docker-compose-2";
/// What the package of the distribution brings.
pub(crate) const PACKAGED: &str = "/usr/bin/docker-compose";
/// How long a test waits for what must come, with everybody else's tests at once.
const DEADLINE: Duration = Duration::from_secs(90);
/// What Docker calls the image of our sample program here.
const IMAGE: &str = "cutover-test/compose:1";
const LABEL: &str = "com.docker.compose.project";

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A proxy, which is asked to end: its parent ends with the child that serves.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        let asked = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        assert!(matches!(asked, Some(Ok(()))), "the proxy had gone: {asked:?}");
        drop(self.0.wait());
    }
}

/// An engine and a proxy in a folder of their own. What a stack has made on Docker is gone when this goes.
pub(crate) struct Stand {
    pub(crate) folder: tempfile::TempDir,
    program: PathBuf,
    project: String,
    port: u16,
    serve: Option<Ended>,
    _proxy: Proxy,
}

impl Drop for Stand {
    fn drop(&mut self) {
        drop(self.serve.take());
        sweep(&self.project);
    }
}

/// What docker prints, line by line.
pub(crate) fn docker_said(args: &[&str]) -> Vec<String> {
    let output = Command::new("docker").args(args).output().expect("docker runs");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Everything that carries the label of a project.
fn left(project: &str) -> Vec<String> {
    let filter = format!("label={LABEL}={project}");
    let of = |args: &[&str]| docker_said(&[args, &["--filter", &filter, "-q"]].concat());
    [of(&["ps", "-a"]), of(&["network", "ls"]), of(&["volume", "ls"])].concat()
}

fn sweep(project: &str) {
    let filter = format!("label={LABEL}={project}");
    for (list, remove) in [
        (&["ps", "-a"][..], &["rm", "-f", "-v"][..]),
        (&["network", "ls"], &["network", "rm"]),
        (&["volume", "ls"], &["volume", "rm"]),
    ] {
        for id in docker_said(&[list, &["--filter", &filter, "-q"]].concat()) {
            docker_said(&[remove, &[&id]].concat());
        }
    }
}

impl Stand {
    /// `None` where there is no such program; that is said.
    pub(crate) async fn begin(test: &str, program: &str) -> Option<Self> {
        if !Path::new(program).exists() {
            assert!(Path::new(PACKAGED).exists(), "no Compose here: run scripts/docker first");
            eprintln!("NOT TESTED: there is no {program}; run scripts/docker");
            return None;
        }
        let id = docker::image().await;
        docker_said(&["tag", &id, IMAGE]);
        let log = docker::log_id(&format!("stacks {test}")).to_string();
        let project = format!("cut-it-{}", &log[log.len() - 12..]);
        sweep(&project);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("src")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut proxy = command(folder.path(), Path::new(program), port);
        let proxy = Proxy(proxy.arg("proxy").spawn().unwrap());
        let mut stand = Self { folder, program: program.into(), project, port, serve: None, _proxy: proxy };
        stand.start();
        Some(stand)
    }

    /// Starts the engine and waits until it answers.
    pub(crate) fn start(&mut self) {
        let mut serve = command(self.folder.path(), &self.program, self.port);
        let said = std::fs::OpenOptions::new().create(true).append(true).open(self.said()).unwrap();
        // As under a service manager, where no proxy is started.
        serve.arg("serve").env("INVOCATION_ID", "test").env("NOTIFY_SOCKET", self.folder.path().join("manager"));
        self.serve = Some(Ended(serve.stderr(said.try_clone().unwrap()).stdout(said).spawn().unwrap()));
        self.until("the engine answers", |stand| stand.run(&["status", "--json"]).status.success());
    }

    /// Where the log of the engine is.
    fn said(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.said()).unwrap_or_default()
    }

    /// Kills the engine as a power cut would.
    pub(crate) fn kill(&mut self) {
        drop(self.serve.take());
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = command(self.folder.path(), &self.program, self.port);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args(args).current_dir(self.folder.path().join("src")).output().unwrap()
    }

    /// Runs a command that must end with this exit code; gives what it printed.
    #[track_caller]
    pub(crate) fn must(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}\n{}", self.log());
        text
    }

    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "processes of their own are waited for, which have the real clock")]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not in time: {what}\n{}", self.log());
        }
    }

    /// Writes a file of the stack.
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("src").join(name), text.replace("IMAGE", IMAGE)).unwrap();
    }

    /// Writes the workload file, with these lines in the table of the workload.
    fn declare(&self, lines: &str) {
        let text = format!(
            "[workloads.shop]\ncompose = {{ file = \"compose.yml\", compose_project_name = \"{}\" }}\n{lines}\n\
             [workloads.shop.policy]\nliveness = \"200ms\"\ndrain = \"1s\"\n\
             [[workloads.shop.routes]]\nhost = \"shop.test\"\nservice = \"web\"\nport = 8080\n",
            self.project
        );
        self.write("shop.toml", &text);
    }

    /// What the proxy answers for the routed service.
    fn answer(&self) -> String {
        self.answer_of("shop.test")
    }

    /// The same for another host.
    pub(crate) fn answer_of(&self, host: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            drop(stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)));
        }
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        let body = answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
        format!("{status} {body}")
    }

    /// Containers of the project: name and id.
    fn containers(&self) -> Vec<String> {
        let filter = format!("label={LABEL}={}", self.project);
        let mut all = docker_said(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}} {{.ID}}"]);
        all.sort();
        all
    }
}

fn command(folder: &Path, program: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.env_clear().env("CUTOVER_DATA_DIR", folder.join("data")).env("PATH", "/usr/bin:/bin");
    command.env("CUTOVER_PROXY__LISTEN", format!("127.0.0.1:{port}"));
    command.env("CUTOVER_DOCKER__COMPOSE", program);
    command.env("CUTOVER_LIMITS__SOURCES", folder.join("src"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

const TWO: &str = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${WHO}\" } }\n  db: { image: IMAGE, stop_grace_period: 1s, volumes: [\"data:/data\"] }\nvolumes: { data: {} }\n";

async fn whole_life(program: &str, test: &str) {
    let Some(stand) = Stand::begin(test, program).await else { return };
    stand.write("compose.yml", TWO);
    stand.declare("env = { WHO = \"one\" }");
    stand.must(&["apply", "shop.toml"], 0);
    assert_eq!(stand.answer(), "200 one");
    let first = stand.containers();
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(stand.must(&["apply", "shop.toml"], 0).contains("nothing new"));
    // Only what has changed is made anew.
    stand.declare("env = { WHO = \"two\" }");
    stand.must(&["apply", "shop.toml"], 0);
    assert_eq!(stand.answer(), "200 two");
    let second = stand.containers();
    let db = |all: &[String]| all.iter().find(|name| name.contains("db")).cloned();
    assert_eq!(db(&first), db(&second));
    assert_ne!(first, second);
    let asked = stand.must(&["teardown", "shop"], 5);
    assert!(asked.contains(&format!("{}_data", stand.project)) && asked.contains("--keep-volumes"), "{asked}");
    assert_eq!(stand.answer(), "200 two");
    stand.must(&["teardown", "shop", "--yes"], 0);
    assert_eq!(left(&stand.project), [] as [String; 0]);
    let data = stand.folder.path().join("data/compose");
    assert!(!data.join(&stand.project).exists());
    stand.must(&["teardown", "shop", "--yes"], 0);
}

#[tokio::test]
async fn a_stack_lives_with_the_second_generation() {
    whole_life(SECOND, "second").await;
}

#[tokio::test]
async fn a_stack_lives_with_the_first_generation() {
    whole_life(PACKAGED, "first").await;
}

const SICK: &str = "services:\n  web: { image: IMAGE, environment: { WHO: bad, EXIT: \"3\" }, stop_grace_period: 1s }\n  db: { image: IMAGE, stop_grace_period: 1s, volumes: [\"data:/data\"] }\nvolumes: { data: {} }\n";
const NOWHERE: &str = "services:\n  web: { image: \"localhost:1/none:1\", environment: { WHO: bad } }\n";

#[tokio::test]
async fn what_does_not_come_up_is_told_without_its_output_and_what_was_is_brought_back() {
    let Some(stand) = Stand::begin("bad", SECOND).await else { return };
    stand.write("compose.yml", TWO);
    stand.declare("env = { WHO = \"hunter22\" }");
    stand.must(&["apply", "shop.toml"], 0);
    for (bad, told) in [(SICK, "exit code 3"), (NOWHERE, "up ended with exit code")] {
        stand.write("compose.yml", bad);
        let said = stand.must(&["apply", "shop.toml"], 10);
        assert!(said.contains(told), "{said}");
        assert_eq!(stand.answer(), "200 hunter22", "{said}");
        // What Compose prints is in the log of the engine, and nowhere else.
        let exported = stand.must(&["log", "export"], 0);
        assert!(!exported.contains("localhost:1") && !exported.contains("hunter22"), "{exported}");
    }
    assert!(stand.log().contains("Compose says"), "{}", stand.log());
    assert!(!stand.log().contains("hunter22"));
    stand.must(&["teardown", "shop", "--yes"], 0);
}

#[tokio::test]
async fn a_rollback_brings_up_the_files_that_were_recorded() {
    let Some(stand) = Stand::begin("rollback", SECOND).await else { return };
    stand.declare("");
    for who in ["one", "two"] {
        stand.write(
            "compose.yml",
            &format!("services:\n  web: {{ image: IMAGE, stop_grace_period: 1s, environment: {{ WHO: {who} }} }}\n"),
        );
        stand.must(&["apply", "shop.toml"], 0);
    }
    stand.must(&["rollback", "shop"], 0);
    assert_eq!(stand.answer(), "200 one");
    let before = stand.containers();
    stand.must(&["restart", "shop"], 0);
    assert!(stand.containers() != before && stand.answer() == "200 one");
    stand.must(&["stop", "shop"], 0);
    stand.until("it is down", |stand| stand.containers().is_empty());
    stand.must(&["start", "shop"], 0);
    assert_eq!(stand.answer(), "200 one");
}

#[tokio::test]
async fn an_engine_that_dies_while_a_stack_comes_up_goes_on_with_the_same_deployment() {
    let Some(mut stand) = Stand::begin("kill", SECOND).await else { return };
    // The program does not end when it is asked to: the change takes as long as that.
    let text = |who: &str| {
        format!("services:\n  web: {{ image: IMAGE, stop_grace_period: 4s, environment: {{ WHO: {who} }} }}\n")
    };
    stand.write("compose.yml", &text("one"));
    stand.declare("");
    stand.must(&["apply", "shop.toml"], 0);
    stand.write("compose.yml", &text("two"));
    stand.must(&["apply", "shop.toml", "--detach"], 0);
    stand.until("Compose is at work", |stand| {
        let lock = stand.folder.path().join("data/compose").join(format!("{}.lock", stand.project));
        let pid = std::fs::read_to_string(lock).unwrap_or_default();
        !pid.trim().is_empty()
            && Path::new("/proc").join(pid.trim()).exists()
            && stand.log().matches("command=\"up\"").count() > 2
    });
    stand.kill();
    stand.start();
    stand.until("it is live", |stand| stand.answer() == "200 two");
    // The same deployment, and no other one: it is the second and the last to end.
    let ends = |stand: &Stand| stand.must(&["timeline", "shop"], 0).matches(" succeeded ").count();
    stand.until("it has ended", |stand| ends(stand) == 2);
    assert_eq!(stand.must(&["log", "export"], 0).matches("IntentQueued").count(), 2);
}

#[tokio::test]
async fn services_are_told_each_and_what_is_gone_is_brought_back() {
    let Some(stand) = Stand::begin("rows", SECOND).await else { return };
    stand.write("compose.yml", TWO);
    stand.declare("env = { WHO = \"one\" }");
    stand.must(&["apply", "shop.toml"], 0);
    let status = stand.must(&["status", "shop", "--json"], 0);
    assert!(status.contains("\"id\":\"shop:db\"") && status.contains("\"id\":\"shop:web\""), "{status}");
    let shown = stand.must(&["status", "shop"], 0);
    assert!(shown.contains("SERVICE") && shown.contains("shop:db"), "{shown}");
    stand.must(&["freeze", "shop"], 0);
    for name in stand.containers() {
        docker_said(&["rm", "-f", name.split(' ').next_back().unwrap()]);
    }
    stand.until("they are missing", |stand| {
        stand.must(&["status", "shop", "--json"], 0).matches("\"state\":\"missing\"").count() == 2
    });
    stand.must(&["thaw", "shop"], 0);
    stand.until("it is repaired", |stand| stand.answer() == "200 one");
    stand.must(&["doctor"], 0);
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_touched_without_a_word() {
    let Some(stand) = Stand::begin("foreign", SECOND).await else { return };
    let label = format!("{LABEL}={}", stand.project);
    let service = "com.docker.compose.service=other";
    // As Compose marks what it has made itself.
    let (kept, hash) = ("com.docker.compose.oneoff=False", "com.docker.compose.config-hash=0");
    let labels = ["--label", &label, "--label", service, "--label", kept, "--label", hash];
    docker_said(&[&["run", "-d"][..], &labels, &[IMAGE]].concat());
    let theirs = stand.containers();
    assert_eq!(theirs.len(), 1);
    stand.write("compose.yml", TWO);
    stand.declare("env = { WHO = \"one\" }");
    let said = stand.must(&["apply", "shop.toml"], 15);
    assert!(said.contains("adopt = true") && said.contains("other"), "{said}");
    assert_eq!(stand.containers(), theirs);
    assert!(!stand.must(&["log", "export"], 0).contains("WorkloadRegistered"));
    let adopted = std::fs::read_to_string(stand.folder.path().join("src/shop.toml")).unwrap();
    stand.write("shop.toml", &adopted.replace("compose_project_name", "adopt = true, compose_project_name"));
    stand.must(&["apply", "shop.toml"], 0);
    assert_eq!(stand.answer(), "200 one");
    assert_eq!(stand.containers().len(), 2, "what was orphaned is gone");
    stand.must(&["teardown", "shop", "--keep-volumes"], 0);
    assert_eq!(left(&stand.project).len(), 1, "the volume");
}

#[tokio::test]
async fn without_compose_stacks_are_judged_and_not_deployed() {
    let Some(mut stand) = Stand::begin("none", SECOND).await else { return };
    stand.kill();
    stand.program = stand.folder.path().join("none");
    stand.start();
    stand.write("compose.yml", TWO);
    stand.declare("env = { WHO = \"one\" }");
    assert!(stand.must(&["check", "shop.toml"], 0).contains(": ok"));
    let said = stand.must(&["apply", "shop.toml"], 15);
    assert!(said.contains("apt install docker-compose"), "{said}");
    stand.write("compose.yml", "services: { api: { image: IMAGE } }");
    assert!(stand.must(&["check", "shop.toml"], 15).contains("it runs api"));
    stand.write("compose.yml", "services:\n  web: { image: IMAGE, ports: [\"${PORT}:80\"] }\n");
    let said = stand.must(&["check", "shop.toml"], 15);
    assert!(said.contains("PORT") && said.lines().count() == 1, "{said}");
    stand.write("compose.yml", "services: { web: { image: IMAGE, pid: host } }");
    assert!(stand.must(&["check", "shop.toml"], 0).contains("the server must allow"));
}

#[tokio::test]
async fn variables_come_from_the_workload_then_the_command_then_the_file_beside() {
    let Some(stand) = Stand::begin("variables", SECOND).await else { return };
    let text = "services:\n  web: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: \"${A} ${B} ${C}\" } }\n  api: { image: IMAGE, stop_grace_period: 1s, environment: { WHO: api } }\n";
    stand.write("compose.yml", text);
    stand.write("compose.override.yml", "services:\n  web: { labels: { a: b } }\n");
    stand.write(".env", "A=file\nB=file\nC=file\n");
    stand.declare("env = { A = \"own\" }");
    let text = std::fs::read_to_string(stand.folder.path().join("src/shop.toml")).unwrap();
    stand.write(
        "shop.toml",
        &format!("{text}[[workloads.shop.routes]]\nhost = \"api.test\"\nservice = \"api\"\nport = 8080\n"),
    );
    let mut apply = command(stand.folder.path(), &stand.program, stand.port);
    apply.args(["apply", "shop.toml"]).current_dir(stand.folder.path().join("src")).env("A", "said").env("B", "said");
    let output = apply.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", stand.log());
    assert_eq!(stand.answer(), "200 own said file");
    assert_eq!(stand.answer_of("api.test"), "200 api");
    // What lies beside the file is no part of what is declared, and counts.
    let again = || String::from_utf8(stand.run(&["apply", "shop.toml"]).stdout).unwrap();
    stand.must(&["apply", "shop.toml"], 0);
    assert!(again().contains("nothing new"));
    stand.write("compose.override.yml", "services:\n  web: { labels: { a: b, c: d } }\n");
    assert!(stand.must(&["plan", "shop.toml"], 0).contains("what has changed in its files"));
    assert!(!again().contains("nothing new"));
    assert!(again().contains("nothing new"));
    let labels =
        docker_said(&["ps", "--filter", "label=a=b", "--filter", &format!("label={LABEL}={}", stand.project), "-q"]);
    assert_eq!(labels.len(), 1);
}

#[tokio::test]
async fn a_stack_needs_no_route_and_its_text_may_be_in_the_workload_file() {
    let Some(stand) = Stand::begin("inline", SECOND).await else { return };
    let text = format!(
        "[workloads.jobs]\ncompose = {{ compose_project_name = \"{}\", compose_yaml = \"\"\"\nservices:\n  work: {{ image: IMAGE, stop_grace_period: 1s }}\n  once: {{ image: IMAGE, environment: {{ EXIT: \"0\" }} }}\n\"\"\" }}\npolicy = {{ liveness = \"200ms\" }}\n",
        stand.project
    );
    stand.write("jobs.toml", &text);
    stand.must(&["apply", "jobs.toml"], 0);
    stand.until("what runs once has ended", |stand| {
        stand.must(&["status", "jobs", "--json"], 0).contains("\"exit_code\":0")
    });
    let status = stand.must(&["status", "jobs", "--json"], 0);
    assert!(status.contains("\"state\":\"running\"") && status.contains("jobs:once"), "{status}");
    assert!(stand.must(&["apply", "jobs.toml"], 0).contains("nothing new"));
    stand.must(&["doctor"], 0);
    stand.must(&["teardown", "jobs", "--yes"], 0);
    assert_eq!(left(&stand.project), [] as [String; 0]);
}
