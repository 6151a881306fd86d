//! Stacks of Compose through the whole program on real Docker: deployed, redeployed, observed, torn down.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::docker;

/// Where `scripts/docker` puts the program of the second generation.
const SECOND: &str = "/usr/local/lib/cutover/docker-compose-2";
/// What the package of the distribution brings.
const PACKAGED: &str = "/usr/bin/docker-compose";
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

/// An engine and a proxy in a folder of their own. What a stack has made on Docker is gone when this goes.
struct Stand {
    folder: tempfile::TempDir,
    program: PathBuf,
    project: String,
    port: u16,
    serve: Option<Ended>,
    _proxy: Ended,
}

impl Drop for Stand {
    fn drop(&mut self) {
        drop(self.serve.take());
        sweep(&self.project);
    }
}

/// What docker prints, line by line.
fn docker_said(args: &[&str]) -> Vec<String> {
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
    async fn begin(test: &str, program: &str) -> Option<Self> {
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
        let proxy = Ended(proxy.arg("proxy").spawn().unwrap());
        let mut stand = Self { folder, program: program.into(), project, port, serve: None, _proxy: proxy };
        stand.start();
        Some(stand)
    }

    /// Starts the engine and waits until it answers.
    fn start(&mut self) {
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

    fn log(&self) -> String {
        std::fs::read_to_string(self.said()).unwrap_or_default()
    }

    /// Kills the engine as a power cut would.
    fn kill(&mut self) {
        drop(self.serve.take());
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = command(self.folder.path(), &self.program, self.port);
        command.args(args).current_dir(self.folder.path().join("src")).output().unwrap()
    }

    /// Runs a command that must end with this exit code; gives what it printed.
    #[track_caller]
    fn must(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}\n{}", self.log());
        text
    }

    #[track_caller]
    #[expect(clippy::disallowed_methods, reason = "processes of their own are waited for, which have the real clock")]
    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
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
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let request = "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";
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
