//! Workloads that are called by their names, on fresh connections, while they are replaced.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::scene::{Scene, VERSIONS, WEB};
use crate::Result;
use crate::judge::Promised;
use crate::report::{Verdict, line, progress};
use crate::sample::{PORT, Version};
use crate::stand::{Stand, Workload, field};

/// Has no route: only its name leads to it.
const QUIET: &str = "quiet";
/// Calls both.
const CALLER: &str = "caller";
/// Calls from another project.
const STRANGER: &str = "stranger";
/// Deployments after each of which the serving process of the proxy is killed: questions wait for the next one.
const KILL_EVERY: u32 = 4;
/// How long a caller may take to see a version after its deployment has ended: the time to live of an answer, and one
/// slow look-up.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    // Without a bake only what the proxy remembers keeps a former target from being stopped under a caller.
    let scene = Scene::open(stand, |workload| workload.policy("bake", "0s")).await?;
    let quiet = stand.write("quiet.toml", &quiet(stand, &scene.images[0]))?;
    stand.must(&["apply", &quiet]).await?;
    let calls = [WEB, QUIET].map(|name| format!("{name}:{PORT}/version"));
    let image = Version::caller().make(&stand.docker).await?;
    let caller = Workload::new(CALLER, &image).env("CALL", &calls.join(" "));
    stand.must(&["apply", &stand.write("caller.toml", &caller.file(stand))?]).await?;
    for number in 1..=n {
        round(&scene, number, &mut verdict).await?;
    }
    let told = told(stand, CALLER).await?;
    for call in &calls {
        judge(&mut verdict, &told[call], call, n);
    }
    line(&told);
    elsewhere(stand, &image, &mut verdict).await?;
    for name in [CALLER, QUIET] {
        stand.must(&["teardown", &stand.full_name(name)]).await?;
    }
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}

fn quiet(stand: &Stand, image: &str) -> String {
    format!(
        "project = \"{}\"\n\n[workloads.{QUIET}]\nimage = \"{image}\"\nhealth = \"tcp:{PORT}\"\n\n\
         [workloads.{QUIET}.policy]\nbake = \"0s\"\ngate_timeout = \"20s\"\n",
        stand.project
    )
}

/// Both are replaced, one after the other, and their callers reach the new versions.
async fn round(scene: &Scene<'_>, number: u32, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let version = number as usize % 2;
    for name in [WEB, QUIET] {
        let full = stand.full_name(name);
        let said = stand.ask(&["deploy", &full, "--image", &scene.images[version], "--json"]).await?;
        if said.code != 0 {
            verdict.short(format!("deployment {number} of {name}: {}", said.told()));
        }
        seen(stand, name, VERSIONS[version], verdict).await?;
    }
    if number.is_multiple_of(KILL_EVERY) {
        kill_serving(stand).await?;
    }
    let failed = failed(&told(stand, CALLER).await?);
    line(&json!({"prove": "names", "n": number, "failed": failed}));
    progress(&format!("round {number}: failed calls so far: {failed}"));
    Ok(())
}

pub(super) fn failed(told: &Value) -> u64 {
    told.as_object().into_iter().flatten().filter_map(|(_, tally)| tally["failed"].as_u64()).sum()
}

/// What a caller tells.
pub(super) async fn told(stand: &Stand, caller: &str) -> Result<Value> {
    let (status, body) = stand.get(caller, "/").await?;
    if status != 200 {
        return Err(format!("the caller answers {status}").into());
    }
    Ok(serde_json::from_str(&body)?)
}

/// In another project the name leads nowhere.
async fn elsewhere(stand: &Stand, image: &str, verdict: &mut Verdict) -> Result {
    let (project, host) = (format!("{}-2", stand.project), stand.host(STRANGER));
    let file = format!(
        "project = \"{project}\"\n\n[workloads.{STRANGER}]\nimage = \"{image}\"\nhost = \"{host}\"\nport = {PORT}\n\
         health = \"/healthz\"\nenv = {{ CALL = \"{WEB}:{PORT}/version\" }}\n\n\
         [workloads.{STRANGER}.policy]\nbake = \"1s\"\n"
    );
    stand.must(&["apply", &stand.write("stranger.toml", &file)?]).await?;
    let deadline = Instant::now() + SEEN_WITHIN;
    loop {
        let told = told(stand, STRANGER).await?;
        let calls = told[format!("{WEB}:{PORT}/version")]["calls"].as_u64().unwrap_or(0);
        if failed(&told) < calls {
            verdict.short(format!("another project reaches {WEB}: {told}"));
        }
        if calls > 2 || Instant::now() > deadline {
            if calls < 3 {
                verdict.short("the caller of another project does not call");
            }
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stand.must(&["teardown", &format!("{project}/{STRANGER}")]).await?;
    Ok(())
}

/// Waits until the caller has had this version as the answer once more.
async fn seen(stand: &Stand, name: &str, version: &str, verdict: &mut Verdict) -> Result {
    let call = format!("{name}:{PORT}/version");
    let count = |told: &Value| told[&call]["bodies"][version].as_u64().unwrap_or(0);
    let before = count(&told(stand, CALLER).await?);
    let deadline = Instant::now() + SEEN_WITHIN;
    while count(&told(stand, CALLER).await?) <= before {
        if Instant::now() > deadline {
            verdict.short(format!("{name} does not lead to {version}"));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Kills the process that answers; its parent starts the next one.
pub(super) async fn kill_serving(stand: &Stand) -> Result {
    let socket = stand.data().join("proxy").join("admin.sock");
    let table: Value = serde_json::from_str(&crate::http::unix(&socket, "GET", "/v1/table", "").await?)?;
    let pid = field(&table, "pid").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw).ok_or("the proxy names no process")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    let deadline = Instant::now() + SEEN_WITHIN;
    loop {
        // It is another process, or is not there yet.
        let now = crate::http::unix(&socket, "GET", "/v1/table", "").await.ok();
        let now: Option<Value> = now.and_then(|text| serde_json::from_str(&text).ok());
        if now.is_some_and(|now| now["router_boot"] != table["router_boot"]) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("the proxy does not come back".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) fn judge(verdict: &mut Verdict, tally: &Value, call: &str, n: u32) {
    let (calls, failed) = (tally["calls"].as_u64().unwrap_or(0), tally["failed"].as_u64().unwrap_or(0));
    progress(&format!("{call}: {failed} of {calls} calls failed"));
    if failed > 0 || calls == 0 {
        verdict.short(format!("{call}: {failed} of {calls} calls failed; the first: {}", tally["failures"]));
    }
    if n > 1 {
        verdict.same("versions that answered", tally["bodies"].as_object().map_or(0, serde_json::Map::len), 2);
    }
}
