//! The acts of the quickstart.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::follow::Follow;
use super::narrate::{act, command, held, plain, quote};
use crate::Result;
use crate::hook::{self, Hook};
use crate::load::{Load, Plan};
use crate::sample::Version;
use crate::stand::{Said, Stand, Workload, field, ms_between};

/// The workload.
const WEB: &str = "web";
/// What is pushed to: the trigger of the workload names it.
const REPO: &str = "acme/shop";
/// Two commits that work and one that does not; images are tagged by the first seven digits.
const FIRST: &str = "c0ffee15e2f4a3b9c8d7e6f5a4b3c2d1e0f9a8b7";
const SECOND: &str = "decade20f1e2d3c4b5a69788796a5b4c3d2e1f00";
const BROKEN: &str = "badc0de0123456789abcdef0123456789abcdef0";
/// How long the health path takes: the router probes it inside the switch, which holds that window open.
const HEALTH_MS: &str = "300";
/// Requests per second.
const RATE: u32 = 120;
/// How long a swap may take to begin, and a deployment to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// The whole show; how many requests failed.
pub(super) async fn play(stand: &Stand) -> Result<u64> {
    versions(stand).await?;
    start(stand).await?;
    let (load, hook) = serve(stand).await?;
    pushed(stand, &hook).await?;
    client_killed(stand).await?;
    refused(stand).await?;
    rolled_back(stand).await?;
    tampered(stand).await?;
    told(stand).await?;
    act("What the visitors saw");
    let summary = load.stop().await;
    plain(&format!(
        "{} requests in {:.0} s ({RATE} a second), half of them done within {} ms, the slowest took {} ms",
        summary.requests, summary.seconds, summary.p50_ms, summary.max_ms
    ));
    plain(&format!(
        "websockets and event streams cut at the deadline of a drain, and opened again at once: {}",
        summary.websocket_closes + summary.event_closes
    ));
    for failure in &summary.failures {
        quote(failure);
    }
    match summary.failed {
        0 => held(&summary.sentence()),
        _ => plain(&summary.sentence()),
    }
    Ok(summary.failed)
}

fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

async fn versions(stand: &Stand) -> Result {
    act("Two versions of a program, as images");
    for sha in [FIRST, SECOND] {
        let reference = Version::good(short(sha)).make(&stand.docker).await?;
        plain(&format!("{reference}: a static binary of ours, nothing else inside"));
    }
    Ok(())
}

async fn start(stand: &Stand) -> Result {
    act("Proxy and engine, in a data folder of their own");
    let config = stand.config();
    command(&format!("cutover --config {} proxy", config.display()));
    stand.start_proxy().await?;
    command(&format!("cutover --config {} serve", config.display()));
    let took = stand.start_engine().await?;
    plain(&format!("the engine answers after {} ms; traffic does not depend on it", took.as_millis()));
    Ok(())
}

async fn serve(stand: &Stand) -> Result<(Load, Hook)> {
    act("A workload, and traffic");
    let mut workload = Workload::new(WEB, "cutover-lab/sample:{short_sha}")
        .env("HEALTH_MS", HEALTH_MS)
        .policy("gate_timeout", "6s")
        .policy("standby", "10m");
    workload.deploy = Some(format!("{}:{REPO}@main", hook::NAME));
    let text = workload.file(stand);
    quote(&text);
    let hook = Hook::add(stand).await?;
    command(&format!("cutover hook add {} --provider github", hook::NAME));
    plain(&format!("deliveries go to http://{}{}", stand.hooks_host, hook.path));
    let file = stand.write("web.toml", &text)?;
    command("cutover apply web.toml");
    quote(&stand.must(&["apply", &file]).await?.both());
    let image = Version::good(short(FIRST)).reference();
    command(&format!("cutover deploy {WEB} --image {image}"));
    quote(&stand.must(&["deploy", &stand.full_name(WEB), "--image", &image]).await?.both());
    answers(stand, FIRST).await?;
    plain(&format!("in a browser meanwhile: http://{}:{}/", stand.host(WEB), stand.proxy.port()));
    let plan = Plan { addr: stand.proxy, host: stand.host(WEB), rate: RATE, websockets: 2, sse: 1 };
    let load = Load::start(&plan);
    plain(&format!("from here on {RATE} requests a second, 2 websockets, 1 event stream"));
    Ok((load, hook))
}

async fn answers(stand: &Stand, sha: &str) -> Result {
    let (status, body) = stand.get(WEB, "/version").await?;
    if status != 200 || body != short(sha) {
        return Err(format!("{} should answer; it was {status} {body:?}", short(sha)).into());
    }
    held(&format!("{body} answers"));
    Ok(())
}

async fn pushed(stand: &Stand, hook: &Hook) -> Result {
    act("A push to GitHub, and kill -9 of the engine in the middle of the swap");
    let mut follow = Follow::new(stand).await?;
    let began = Instant::now();
    let (status, body) = hook.send("quickstart-1", hook::push(REPO, "main", SECOND, 2048)).await?;
    if status.as_u16() != 202 {
        return Err(format!("the push was answered with {status} {body}").into());
    }
    plain(&format!(
        "signed push of {} to {REPO}: 202 after {} ms, on disk",
        short(SECOND),
        began.elapsed().as_millis()
    ));
    let committed = follow.until("SwapCommitted").await?;
    stand.kill_engine().await?;
    let id = deployment(&committed)?;
    plain(&format!("SwapCommitted of {id} seen: engine killed with -9; nobody drives, the proxy serves on"));
    let took = stand.start_engine().await?;
    plain(&format!("engine started again: it answers after {} ms", took.as_millis()));
    succeeded(stand, &id).await?;
    swapped_after_start(stand, &id).await?;
    answers(stand, SECOND).await
}

/// Swapped must come after the newest start of the engine: the swap was finished by the engine that recovered.
async fn swapped_after_start(stand: &Stand, id: &str) -> Result {
    let events = stand.events().await?;
    let position = |event: Option<&Value>| event.and_then(|event| event["position"].as_u64()).unwrap_or_default();
    let started = position(events.iter().rfind(|event| event["event"] == "EngineStarted"));
    let swapped = position(events.iter().find(|event| event["event"] == "Swapped" && event["deployment_id"] == id));
    if swapped <= started {
        return Err(format!("Swapped (position {swapped}) came before the restart (position {started})").into());
    }
    held(&format!("the same deployment went on: EngineStarted at position {started}, Swapped at {swapped}"));
    Ok(())
}

async fn client_killed(stand: &Stand) -> Result {
    act("A waiting client and the engine die together; the key leads back");
    let image = Version::good(short(FIRST)).reference();
    let name = stand.full_name(WEB);
    let args = ["deploy", &name, "--image", &image, "--key", "release-42", "--json"];
    command(&args.join(" ").replacen("deploy", "cutover deploy", 1));
    let mut follow = Follow::new(stand).await?;
    let mut client = stand.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let id = deployment(&follow.until("SwapCommitted").await?)?;
    client.start_kill()?;
    stand.kill_engine().await?;
    client.wait().await?;
    plain(&format!("client and engine killed with -9 at SwapCommitted of {id}"));
    stand.start_engine().await?;
    plain("engine started again; the same command once more:");
    let said = stand.must(&args).await?;
    quote(&said.out);
    if said.text("deployment_id")? != id || said.text("outcome")? != "succeeded" {
        return Err(format!("the key should lead to {id}, succeeded").into());
    }
    held("the same key led to the same deployment, and it succeeded");
    answers(stand, FIRST).await
}

async fn refused(stand: &Stand) -> Result {
    act("A version that never gets ready");
    let image = Version::with(short(BROKEN), &["NEVER_LISTEN=1"]).make(&stand.docker).await?;
    command(&format!("cutover deploy {WEB} --image {image}"));
    let said = stand.ask(&["deploy", &stand.full_name(WEB), "--image", &image]).await?;
    quote(&said.both());
    if said.code != 10 {
        return Err(format!("it should be refused with exit code 10; {}", said.told()).into());
    }
    if !said.both().contains("waiting for a database") {
        return Err("its own last words should be shown".into());
    }
    held("refused before the swap, with its own last words");
    answers(stand, FIRST).await
}

async fn rolled_back(stand: &Stand) -> Result {
    act("Rollback, to the version that still stands by");
    command(&format!("cutover rollback {WEB}"));
    let said = stand.must(&["rollback", &stand.full_name(WEB), "--json"]).await?;
    let id = said.text("deployment_id")?;
    let events = stand.timeline(WEB).await?;
    let took = ms_between(&events, &id, "IntentQueued", "Swapped")?;
    held(&format!("live again after {took} ms; its health path alone takes {HEALTH_MS}"));
    answers(stand, SECOND).await
}

async fn tampered(stand: &Stand) -> Result {
    act("Is the log unaltered?");
    command("cutover log verify");
    quote(&stand.must(&["log", "verify"]).await?.both());
    let copy = stand.folder().join("copy");
    copy_folder(&stand.data().join("journal"), &copy.join("journal"))?;
    let at = flip(&copy.join("journal"))?;
    plain(&format!("a copy of it, with one byte changed (offset {at}):"));
    command("cutover log verify --data copy");
    let said = stand.ask(&["log", "verify", "--data", &copy.display().to_string()]).await?;
    quote(&said.both());
    if said.code == 0 {
        return Err("the changed byte was not found".into());
    }
    held("the change is named");
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Changes one byte in the middle of what is written in the oldest segment; its offset.
fn flip(journal: &Path) -> Result<usize> {
    let mut segments: Vec<PathBuf> = std::fs::read_dir(journal)?.flatten().map(|entry| entry.path()).collect();
    segments.sort();
    let segment = segments.iter().find(|path| path.extension().is_some_and(|ending| ending == "cj"));
    let segment = segment.ok_or("no segment in the journal")?;
    let mut bytes = std::fs::read(segment)?;
    let written = bytes.iter().rposition(|byte| *byte != 0).ok_or("an empty segment")?;
    // Zeros are written ahead; a byte that is in use is changed.
    let at = (written / 2..=written).find(|at| bytes[*at] != 0).ok_or("an empty segment")?;
    bytes[at] ^= 1;
    std::fs::write(segment, bytes)?;
    Ok(at)
}

async fn told(stand: &Stand) -> Result {
    act("What happened, and why");
    command(&format!("cutover timeline {WEB}"));
    quote(&stand.must(&["timeline", &stand.full_name(WEB)]).await?.out);
    Ok(())
}

/// Removes the workloads as a person would.
pub(super) async fn tear_down(stand: &Stand) -> Result {
    act("Nothing is left");
    let status = stand.must(&["status", "--json"]).await?.json()?;
    let workloads = field(&status, "workloads").and_then(Value::as_array).cloned().unwrap_or_default();
    for name in workloads.iter().filter_map(|workload| workload["workload"].as_str()) {
        command(&format!("cutover teardown {name}"));
        stand.must(&["teardown", name]).await?;
    }
    match stand.left_on_docker().await? {
        0 => Ok(()),
        left => Err(format!("{left} containers and networks are left after the teardown").into()),
    }
}

/// Leaves everything running until the person ends it.
pub(super) fn keep(stand: &Stand) {
    stand.keep();
    act("Yours to look at");
    plain(&format!("http://{}:{}/", stand.host(WEB), stand.proxy.port()));
    command(&format!("{} --config {} status", stand.binary().display(), stand.config().display()));
    plain("Ctrl-C ends it and removes everything.");
}

fn deployment(event: &Value) -> Result<String> {
    let id = event["deployment_id"].as_str();
    Ok(id.ok_or_else(|| format!("no deployment_id in {event}"))?.to_owned())
}

/// Waits until the deployment has ended, and refuses any end but one.
async fn succeeded(stand: &Stand, id: &str) -> Result {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let events = stand.timeline(WEB).await?;
        let has = |kind: &str| events.iter().any(|event| event["event"] == kind && event["deployment_id"] == id);
        if has("DeploymentSucceeded") {
            return Ok(());
        }
        if has("DeploymentFailed") {
            return Err(format!("deployment {id} failed").into());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(format!("deployment {id} did not end within {PATIENCE:?}").into())
}

impl Said {
    /// What a person would see.
    fn both(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}
