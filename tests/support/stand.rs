//! The real program with a data folder and a port of its own on the machine's Docker, and everything that it made gone
//! after it.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use cutover::adapters::runtime::labels;
use cutover_events::LogId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::docker;

/// How long a start, and whatever else must come, may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Engine and proxy.
pub(crate) struct Stand {
    folder: tempfile::TempDir,
    pub(crate) project: String,
    /// Our program, as an image.
    pub(crate) image: String,
    pub(crate) log: LogId,
    engine: Option<Child>,
    proxy: Child,
    port: u16,
}

impl Stand {
    /// An engine that answers, without a workload.
    pub(crate) async fn begin() -> Self {
        Self::begin_with("").await
    }

    /// The same with more lines below `[limits]`, and sections behind them; `FOLDER` stands for the folder of sources.
    pub(crate) async fn begin_with(limits: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("cutover-it-").tempdir().expect("a folder");
        let name = folder.path().file_name().expect("a name").to_string_lossy().to_lowercase();
        let project = format!("it-{}", name.trim_start_matches("cutover-it-").replace('_', "x"));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        std::fs::create_dir(folder.path().join("src")).expect("a folder of sources");
        let config = format!(
            "data_dir = \"{0}/data\"\n[proxy]\nlisten = \"127.0.0.1:{port}\"\n[limits]\nsources = [\"{0}/src\"]\n{1}\n",
            folder.path().display(),
            limits.replace("FOLDER", &folder.path().join("src").display().to_string())
        );
        std::fs::write(folder.path().join("config.toml"), config).expect("a config");
        let proxy = spawned(folder.path(), "proxy");
        let image = tagged().await;
        let mut stand = Self { folder, project, image, log: LogId([0; 16]), engine: None, proxy, port };
        stand.start().await;
        let begun = stand.events().await.into_iter().find_map(|event| text(&event, "log_id"));
        stand.log = begun.expect("the log has an id").parse().expect("an id");
        stand
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the engine; it answers afterwards.
    pub(crate) async fn start(&mut self) {
        self.engine = Some(spawned(self.folder.path(), "serve"));
        self.until("the engine answers", async |stand| stand.ask(&["status"]).await.status.success()).await;
    }

    /// Kills the engine, as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.engine.take().expect("an engine").kill().await.expect("its end");
    }

    /// Ends the engine, as a service manager does.
    pub(crate) async fn end_engine(&mut self) {
        let mut engine = self.engine.take().expect("an engine");
        signal(&engine, Signal::TERM);
        engine.wait().await.expect("its end");
    }

    /// A command of the program; ended when it is dropped.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(self.folder.path());
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) async fn ask(&self, args: &[&str]) -> Output {
        ended(self.command(args)).await
    }

    /// What a command says that must end with 0.
    pub(crate) async fn must(&self, args: &[&str]) -> String {
        let output = self.ask(args).await;
        assert!(output.status.success(), "{args:?}: {}{}", lossy(&output.stdout), lossy(&output.stderr));
        lossy(&output.stdout)
    }

    /// Applies a workload with these lines, and waits until its deployment has ended.
    pub(crate) async fn apply(&self, name: &str, lines: &str) {
        let file = self.folder.path().join(format!("{name}.toml"));
        let text = format!("project = \"{}\"\n[workloads.{name}]\n{lines}\n", self.project);
        std::fs::write(&file, text).expect("a workload file");
        self.must(&["apply", &file.to_string_lossy()]).await;
    }

    /// The lines of a workload `web` of our program that answers with `who`.
    pub(crate) fn web(&self, who: &str) -> String {
        format!(
            "image = \"{}\"\nport = 8080\nhost = \"web.{}.test\"\nenv = {{ WHO = \"{who}\", GREETING = \"hello\" }}\n\
             policy = {{ liveness = \"100ms\", drain = \"100ms\", bake = \"100ms\", stop_timeout = \"1s\" }}\n",
            self.image, self.project
        )
    }

    /// What the proxy answers for the workload `web`.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.get_of(&format!("web.{}.test", self.project), path).await
    }

    /// The same for another host.
    pub(crate) async fn get_of(&self, host: &str, path: &str) -> String {
        self.call(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    }

    /// What the proxy answers to these bytes.
    pub(crate) async fn call(&self, call: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("the proxy");
        stream.write_all(call.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    /// Every event, oldest first.
    pub(crate) async fn events(&self) -> Vec<Value> {
        let told = self.must(&["events", "--json"]).await;
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The events of one kind.
    pub(crate) async fn of_kind(&self, kind: &str) -> Vec<Value> {
        self.events().await.into_iter().filter(|event| event["event"] == kind).collect()
    }

    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self).await {
            if begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default();
                panic!("not within {PATIENCE:?}: {what}\n{said}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tears the workloads down and ends everything; nothing of it is left on Docker.
    pub(crate) async fn end(mut self, workloads: &[&str]) {
        for name in workloads {
            self.must(&["teardown", &format!("{}/{name}", self.project), "--volumes"]).await;
        }
        self.until("nothing is left", async |stand| labelled(stand.log).await.is_empty()).await;
        self.end_engine().await;
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some(engine) = &mut self.engine {
            drop(engine.start_kill());
        }
        // The parent of the proxy ends its child with it, if it is given the time: killed, it would leave it behind.
        signal(&self.proxy, Signal::TERM);
        let begun = Instant::now();
        while matches!(self.proxy.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(PAUSE);
        }
        let stacks = std::fs::read_dir(self.folder.path().join("data/compose")).into_iter().flatten().flatten();
        stacks.for_each(|entry| swept_stack(&entry.file_name().to_string_lossy()));
        let log = self.log;
        let swept = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(docker::sweep(log)))
        });
        drop(swept.join());
    }
}

/// Removes what a stack has made on Docker, and a failed test has left.
fn swept_stack(project: &str) {
    let filter = format!("label=com.docker.compose.project={project}");
    let docker = |args: &[&str]| std::process::Command::new("docker").args(args).output().map(|output| output.stdout);
    let kinds: [(&[&str], &[&str]); 3] = [
        (&["ps", "-a"], &["rm", "-f", "-v"]),
        (&["network", "ls"], &["network", "rm"]),
        (&["volume", "ls"], &["volume", "rm"]),
    ];
    for (list, remove) in kinds {
        let found = docker(&[list, &["-q", "--filter", &filter]].concat()).unwrap_or_default();
        lossy(&found).lines().for_each(|id| drop(docker(&[remove, &[id]].concat())));
    }
}

/// A field of what an event tells.
pub(crate) fn text(event: &Value, field: &str) -> Option<String> {
    let found = event["data"].get(field).or_else(|| event.get(field))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A command's end, which must come.
pub(crate) async fn ended(mut command: Command) -> Output {
    let output = tokio::time::timeout(2 * PATIENCE, command.output()).await;
    output.expect("the command ends").expect("the command runs")
}

/// Sends a signal to a process of a test.
pub(crate) fn signal(child: &Child, kind: Signal) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Whoever has ended by itself is no failure.
        kill_process(pid, kind).unwrap_or_default();
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    // As under a service manager, where no proxy is started.
    command.env_clear().env("INVOCATION_ID", "test").env("NOTIFY_SOCKET", folder.join("manager"));
    command.arg("--config").arg(folder.join("config.toml")).kill_on_drop(true);
    command
}

fn spawned(folder: &Path, process: &str) -> Child {
    let output: PathBuf = folder.join(format!("{process}.log"));
    let output = std::fs::File::options().create(true).append(true).open(output).expect("a log");
    let mut command = program(folder);
    command.arg(process).stdin(Stdio::null()).stdout(output.try_clone().expect("a log")).stderr(output);
    command.spawn().expect("a process")
}

/// Our program under a name that a workload file may have.
async fn tagged() -> String {
    let image = docker::image().await;
    let tags = docker::client().await.inspect_image(&image).await.expect("the image").repo_tags;
    tags.into_iter().flatten().find(|tag| tag.starts_with("cutover-test/")).expect("a tag")
}

/// Names of the containers that carry this log id, whatever they do.
pub(crate) async fn labelled(log: LogId) -> Vec<String> {
    let filters = HashMap::from([("label", vec![format!("{}={log}", labels::LOG)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker::client().await.list_containers(Some(options)).await.expect("containers are listed");
    found.into_iter().filter_map(|found| found.names?.pop()).collect()
}

/// Commands of the processes in a container.
pub(crate) async fn processes(container: &str) -> Vec<String> {
    let top = docker::client().await.top_processes(container, None::<bollard::query_parameters::TopOptions>).await;
    let rows = top.expect("processes are listed").processes.unwrap_or_default();
    rows.into_iter().filter_map(|mut row| row.pop()).collect()
}
