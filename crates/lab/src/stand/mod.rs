//! A stand: the real binary with a data folder, ports and a project of its own, and everything it made removed again.

mod engine;
mod said;
mod workload;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::Instant;

use crate::docker::Docker;
use crate::report::progress;
use crate::{Result, labels, process};
pub(crate) use engine::ask;
pub(crate) use said::{Said, field, ms_between};
pub(crate) use workload::Workload;

/// Between the request to end and the kill; the engine's own worst case is a commit that is being synced.
const GRACE: Duration = Duration::from_secs(8);

/// How long removals may take after a deployment has ended.
pub(crate) const REMOVALS: Duration = Duration::from_secs(30);

/// A running pair of engine and proxy.
pub(crate) struct Stand {
    folder: TempDir,
    config: PathBuf,
    binary: PathBuf,
    /// The namespace of this run's workloads; its name is found in no other run.
    pub project: String,
    /// Where the proxy takes traffic.
    pub proxy: SocketAddr,
    /// Host that the proxy takes deliveries on.
    pub hooks_host: String,
    /// The daemon.
    pub docker: Docker,
    children: Mutex<Children>,
    /// The boot id that the processes find, where it is not the machine's.
    boot: Mutex<Option<PathBuf>>,
    /// Whether it runs on after the work, until a person ends it.
    kept: AtomicBool,
}

#[derive(Default)]
struct Children {
    engine: Option<Child>,
    proxy: Option<Child>,
}

/// What a run left behind; nothing, after a run that went well.
pub(crate) struct Left {
    /// Containers and networks, removed by now.
    pub on_docker: usize,
    /// Processes, ended by now.
    pub processes: usize,
}

impl Stand {
    /// A folder, ports and a config; nothing runs yet.
    pub(crate) async fn new(socket: Option<&Path>) -> Result<Self> {
        let docker = Docker::at(socket)?;
        docker.ping().await?;
        let folder = tempfile::Builder::new().prefix("cutover-lab-").tempdir()?;
        let binary = binary()?;
        let name: String = folder.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let project = name.trim_start_matches("cutover-").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let project = project.trim_matches('-').to_owned();
        let (api, proxy) = (free_port()?, free_port()?);
        let hooks_host = format!("hooks.{project}.test");
        let children = Mutex::new(Children::default());
        let kept = AtomicBool::new(false);
        let path = folder.path().join("config.toml");
        let boot = Mutex::new(None);
        let stand = Self { folder, config: path, binary, project, proxy, hooks_host, docker, children, boot, kept };
        let socket = socket.map(|socket| format!("\n[docker]\nsocket = \"{}\"\n", socket.display()));
        let config = format!(
            "data_dir = \"{}\"\n\n[api]\nlisten = \"{api}\"\n\n[proxy]\nlisten = \"{proxy}\"\n\n[hooks]\nhost = \"{}\"\n\n[limits]\nsources = [\"{}\"]\n{}",
            stand.data().display(),
            stand.hooks_host,
            stand.sources().display(),
            socket.unwrap_or_default(),
        );
        std::fs::write(stand.config(), config)?;
        Ok(stand)
    }

    /// The folder of this run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Where sources may be read from.
    pub(crate) fn sources(&self) -> PathBuf {
        self.folder().join("src")
    }

    /// The config file.
    pub(crate) fn config(&self) -> PathBuf {
        self.config.clone()
    }

    /// The program under test.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The host that a workload of this run is reached by.
    pub(crate) fn host(&self, name: &str) -> String {
        format!("{name}.{}.test", self.project)
    }

    /// The full name of a workload of this run.
    pub(crate) fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.project)
    }

    /// A file of this run with that content.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<String> {
        let path = self.folder().join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    }

    /// Lets it run on after the work, until SIGINT or SIGTERM.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// The last lines that a process of this run wrote.
    pub(crate) fn output(&self, of: &str) -> String {
        let text = std::fs::read(self.folder().join(format!("{of}.log"))).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The log id of this run, when anything was ever made for it.
    pub(crate) async fn log_id(&self) -> Result<Option<String>> {
        if let Ok(log) = self.logged_id().await {
            return Ok(Some(log));
        }
        self.docker.network_label(labels::PROJECT, &self.project, labels::LOG).await
    }

    /// Waits until Docker holds nothing of this log any more; how many containers and networks are left after the time
    /// that removals may take.
    pub(crate) async fn left_on_docker(&self) -> Result<usize> {
        let Some(log) = self.log_id().await? else { return Ok(0) };
        let deadline = Instant::now() + REMOVALS;
        loop {
            let containers = self.docker.containers(labels::LOG, &log).await?.len();
            let left = containers + self.docker.networks(labels::LOG, &log).await?.len();
            if left == 0 || Instant::now() > deadline {
                return Ok(left);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends the processes and removes what Docker still holds of this run; says what there was.
    async fn end(&self) -> Result<Left> {
        let log = self.log_id().await;
        let pids = self.pids();
        process::end(&pids, GRACE).await;
        let stray = process::mentioning(&self.folder().display().to_string());
        process::end(&stray, GRACE).await;
        let reaped: Vec<Child> = {
            let mut children = self.children.lock();
            children.engine.take().into_iter().chain(children.proxy.take()).collect()
        };
        for mut child in reaped {
            drop(tokio::time::timeout(GRACE, child.wait()).await);
        }
        let mut on_docker = self.docker.sweep(labels::LAB, &self.project).await?;
        if let Some(log) = log? {
            on_docker += self.docker.sweep(labels::LOG, &log).await?;
            self.docker.sweep_volumes(labels::LOG, &log).await?;
        }
        Ok(Left { on_docker, processes: stray.len() })
    }

    fn pids(&self) -> Vec<u32> {
        let children = self.children.lock();
        let both = [children.engine.as_ref(), children.proxy.as_ref()];
        both.into_iter().flatten().filter_map(Child::id).collect()
    }
}

/// Does the work on a new stand, and removes everything that it made: when it succeeds, fails or is interrupted.
pub(crate) async fn on_stand<T>(work: impl AsyncFnOnce(Arc<Stand>) -> Result<T>) -> Result<(T, Left)> {
    on_stand_at(None, work).await
}

/// The same on the daemon behind a socket.
pub(crate) async fn on_stand_at<T>(
    socket: Option<PathBuf>,
    work: impl AsyncFnOnce(Arc<Stand>) -> Result<T>,
) -> Result<(T, Left)> {
    let stand = Arc::new(Stand::new(socket.as_deref()).await?);
    let result = tokio::select! {
        result = work(Arc::clone(&stand)) => result,
        () = crate::interrupted() => Err("interrupted".into()),
    };
    if result.is_err() {
        for process in ["engine", "proxy"] {
            progress(&format!("last lines of the {process}:\n{}", stand.output(process)));
        }
    }
    if result.is_ok() && stand.kept.load(Ordering::Relaxed) {
        crate::interrupted().await;
    }
    let left = stand.end().await?;
    Ok((result?, left))
}

/// `cutover` beside this program: built by the same command, never another one from the path.
fn binary() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let binary = me.with_file_name("cutover");
    if binary.exists() {
        return Ok(binary);
    }
    Err(format!("{} is missing; build it with `cargo build --release`", binary.display()).into())
}

/// An address that nobody listens on at this moment.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
