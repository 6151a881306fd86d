//! A daemon of the test's own, in a network of its own, without live-restore: stopped and started under a deployment and
//! at rest, and with the whole host, whose boot id is another one then.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::scene::{Crowd, HEALED, WEB};
use crate::docker::Docker;
use crate::report::{Verdict, line, progress};
use crate::sample::Version;
use crate::stand::{Left, Stand, Workload, on_stand_at};
use crate::{Result, process};

/// From the stop of the daemon to the end of the engine. Nothing that stands still tells of what has reached its socket: the
/// create is there by then, or was never sent, and both must end well.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// How long a daemon may take to answer, or to end: it waits 10 s for containers, and a busy machine takes its time.
const DAEMON: Duration = Duration::from_secs(60);
/// Another workload, with an address of its own: what it answers is never what the web answers.
const OTHER: &str = "other";
/// What the other one answers at `/version`.
const OTHER_VERSION: &str = "another-app";
/// How long what a restart of the host has ended may take to serve again: the daemon, the engine, the first probes, and
/// where a container did not come back, a repair.
const BACK: Duration = Duration::from_secs(90);

/// Runs the part of the host in a process of its own, with a network and mounts of its own, so that neither the daemon of
/// this machine nor its firewall notices.
pub(in crate::prove) async fn in_its_own(verdict: &mut Verdict) -> Result {
    let folder = tempfile::Builder::new().prefix("cutover-lab-daemon-").tempdir()?;
    let inner = "ip link set lo up && exec \"$0\" \"$@\"";
    let status = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--", "sh", "-c", inner])
        .arg(std::env::current_exe()?)
        .args(["prove", "people", "--inside"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| format!("unshare does not run: {error}; it comes with util-linux, and needs root"))?;
    if !status.success() {
        verdict.short("the part with a daemon of its own: see its last line");
    }
    Ok(())
}

/// What runs in there.
pub(in crate::prove) async fn inside(folder: &Path) -> Result<(Verdict, Left)> {
    let daemon = Daemon::start(folder).await?;
    let socket = daemon.socket();
    let result = on_stand_at(Some(socket), async |stand| prove(&stand, &daemon).await).await;
    daemon.stop().await?;
    result
}

/// A daemon whose data, sockets and pid lie in one folder.
struct Daemon {
    folder: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    async fn start(folder: &Path) -> Result<Self> {
        std::fs::write(folder.join("daemon.json"), "{}\n")?;
        let daemon = Self { folder: folder.to_owned(), child: Mutex::new(None) };
        daemon.again().await?;
        Ok(daemon)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Starts it, and waits until it answers.
    async fn again(&self) -> Result {
        let path = |name: &str| self.folder.join(name).display().to_string();
        // A zombie's pid file would stop the next containerd.
        drop(std::fs::remove_file(self.folder.join("exec/containerd/containerd.pid")));
        let output = std::fs::File::options().create(true).append(true).open(path("dockerd.log"))?;
        let child = Command::new("dockerd")
            .args(["--config-file", &path("daemon.json"), "--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("docker.pid"), "-H", &format!("unix://{}", path("docker.sock"))])
            .args(["--bip", "10.254.77.1/24"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("dockerd does not run: {error}; run scripts/docker"))?;
        *self.child.lock() = Some(child);
        let deadline = Instant::now() + DAEMON;
        loop {
            if let Ok(docker) = Docker::at(Some(&self.socket()))
                && docker.ping().await.is_ok()
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(path("dockerd.log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(10).collect();
                return Err(format!("the daemon does not answer:\n{}", last.join("\n")).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn pid(&self) -> Option<u32> {
        self.child.lock().as_ref().and_then(Child::id)
    }

    /// SIGTERM: every container ends with it.
    async fn stop(&self) -> Result {
        if let Some(pid) = self.pid() {
            process::signal(pid, Signal::TERM);
        }
        let child = self.child.lock().take();
        if let Some(mut child) = child {
            tokio::time::timeout(DAEMON, child.wait()).await.map_err(|_| "the daemon does not end")??;
        }
        Ok(())
    }

    async fn restart(&self) -> Result {
        self.stop().await?;
        self.again().await
    }
}

async fn prove(stand: &Arc<Stand>, daemon: &Daemon) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Crowd::open(stand).await?;
    let other = Version::good(OTHER_VERSION).make(&stand.docker).await?;
    let workload = Workload::new(OTHER, &other);
    stand.must(&["apply", &stand.write("other.toml", &workload.file(stand))?]).await?;
    let parts: [(&str, Option<u8>); 4] = [
        ("daemon restart", None),
        ("daemon restart during a deployment", Some(8)),
        ("daemon stands still under a create", Some(8)),
        ("host restart", Some(10)),
    ];
    for (name, scenario) in parts {
        let after = scene.head().await?;
        let watch = Watch::start(stand, &scene.image);
        let began = Instant::now();
        let done = match name {
            "daemon restart" => daemon.restart().await,
            "daemon restart during a deployment" => under_a_deployment(&scene, daemon, "StepSucceeded").await,
            "daemon stands still under a create" => create_that_comes_late(&scene, daemon).await,
            _ => host(&scene, daemon).await,
        };
        verdict.worked(name, done);
        verdict.worked(name, back(stand).await);
        verdict.worked(name, scene.whole().await.map(drop));
        let took = began.elapsed();
        let (answers, wrong) = watch.stop().await;
        if !wrong.is_empty() {
            verdict.short(format!("{name}: requests reached the wrong app: {wrong:?}"));
        }
        let told: Vec<String> = told(&scene.events(after).await?);
        line(&json!({
            "prove": "people", "action": name, "scenario": scenario, "whole_ms": took.as_millis() as u64, "told": told,
            "answers": answers, "wrong_app": wrong.len(),
        }));
        progress(&format!("{name}: whole after {took:.1?}; {answers} answers, {} of the wrong app", wrong.len()));
        if name != "daemon stands still under a create" && told.is_empty() {
            verdict.short(format!("{name}: nothing of it is on the timeline"));
        }
    }
    stand.must(&["teardown", &stand.full_name(OTHER)]).await?;
    scene.close(&mut verdict).await?;
    Ok(verdict)
}

/// What the log says of differences, starts of the engine, deployments that failed, and those that were planned again.
fn told(events: &[Value]) -> Vec<String> {
    let of = |event: &&Value| match event["event"].as_str() {
        Some("DriftSeen" | "EngineStarted" | "DeploymentFailed") => true,
        Some("DeploymentPlanned") => event["told"].as_str().is_some_and(|told| told.starts_with("planned again")),
        _ => false,
    };
    events.iter().filter(of).filter_map(|event| event["told"].as_str().map(str::to_owned)).collect()
}

/// Both answer as themselves.
async fn back(stand: &Stand) -> Result {
    let deadline = Instant::now() + BACK;
    loop {
        let web = stand.get(WEB, "/version").await.is_ok_and(|(status, _)| status == 200);
        let other =
            stand.get(OTHER, "/version").await.is_ok_and(|(status, body)| status == 200 && body == OTHER_VERSION);
        if web && other {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("they do not answer within {BACK:?} (web: {web}, other: {other})").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The daemon restarts, and takes its containers along, once a container of the deployment was created: the same
/// deployment goes on, and succeeds.
async fn under_a_deployment(scene: &Crowd<'_>, daemon: &Daemon, at: &str) -> Result {
    let (id, after) = deploy(scene, at).await?;
    daemon.restart().await?;
    end(scene, &id, after).await
}

/// The daemon stands still when a create is on its way, and the engine dies: the create is done when nobody waits for
/// it, and is found by the one that the next engine asks for again.
async fn create_that_comes_late(scene: &Crowd<'_>, daemon: &Daemon) -> Result {
    let pid = daemon.pid().ok_or("no daemon runs")?;
    let (id, after) = deploy(scene, "DeploymentPlanned").await?;
    process::signal(pid, Signal::STOP);
    tokio::time::sleep(ON_ITS_WAY).await;
    scene.stand.kill_engine().await?;
    process::signal(pid, Signal::CONT);
    scene.stand.start_engine().await?;
    end(scene, &id, after).await
}

async fn deploy(scene: &Crowd<'_>, at: &str) -> Result<(String, u64)> {
    let (name, after) = (scene.stand.full_name(WEB), scene.head().await?);
    let said = scene.stand.must(&["deploy", &name, "--image", &scene.image, "--detach", "--json"]).await?;
    let id = said.text("deployment_id")?;
    let reached = |event: &Value| event["event"] == at && event["deployment_id"] == id.as_str();
    scene.awaits(after, at, HEALED, reached).await?;
    Ok((id, after))
}

async fn end(scene: &Crowd<'_>, id: &str, after: u64) -> Result {
    let end = |event: &Value| {
        let kind = event["event"].as_str().unwrap_or_default();
        event["deployment_id"] == id && matches!(kind, "DeploymentSucceeded" | "DeploymentFailed")
    };
    let end = scene.awaits(after, "end of the deployment", 2 * HEALED, end).await?;
    progress(&format!("{id} ended: {}", end["told"]));
    match end["event"].as_str() {
        Some("DeploymentSucceeded") => Ok(()),
        _ => Err(format!("the deployment did not go on: {}", end["told"]).into()),
    }
}

/// Everything ends at once, and starts again under another boot id: the daemon first, then proxy and engine.
async fn host(scene: &Crowd<'_>, daemon: &Daemon) -> Result {
    let stand = scene.stand;
    stand.kill_engine().await?;
    stand.kill_proxy().await?;
    daemon.restart().await?;
    stand.other_boot()?;
    stand.start_proxy().await?;
    stand.start_engine().await.map(drop)
}

/// Asks both apps again and again who they are.
struct Watch {
    stop: tokio_util::sync::CancellationToken,
    task: tokio::task::JoinSet<(u64, Vec<String>)>,
}

impl Watch {
    fn start(stand: &Arc<Stand>, image: &str) -> Self {
        let stop = tokio_util::sync::CancellationToken::new();
        let mut task = tokio::task::JoinSet::new();
        let web_version = image.rsplit(':').next().unwrap_or_default().to_owned();
        task.spawn(watch(Arc::clone(stand), stop.clone(), web_version));
        Self { stop, task }
    }

    async fn stop(mut self) -> (u64, Vec<String>) {
        self.stop.cancel();
        self.task.join_next().await.and_then(std::result::Result::ok).unwrap_or_default()
    }
}

async fn watch(stand: Arc<Stand>, stop: tokio_util::sync::CancellationToken, web: String) -> (u64, Vec<String>) {
    let (mut answers, mut wrong) = (0, Vec::new());
    while !stop.is_cancelled() {
        for (name, version) in [(WEB, web.as_str()), (OTHER, OTHER_VERSION)] {
            match stand.get(name, "/version").await {
                Ok((200, body)) if body == version => answers += 1,
                Ok((200, body)) => wrong.push(format!("{name} answered {body}")),
                _ => (),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (answers, wrong)
}
