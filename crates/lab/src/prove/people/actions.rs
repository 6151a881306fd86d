//! The table of actions: what a person does, the line on the timeline, and what becomes of the container.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::scene::{Crowd, HEALED, MEMORY, Member, WEB};
use super::{Brief, Part};
use crate::report::{Verdict, line, progress};
use crate::stand::{Workload, field};
use crate::{Result, labels};

/// How long a difference may take to be told: what Docker has no event for is found by the look every 10 s, and counts
/// after 3 s.
const TOLD: Duration = Duration::from_secs(20);
/// How long nothing may happen while it is frozen, or only reported.
const LEFT: Duration = Duration::from_secs(5);

/// What a person does to the first of two replicas.
#[derive(Clone, Copy, Debug)]
enum Action {
    Stop,
    StopAndStart,
    StopAndStartLater,
    Remove,
    Restart,
    RestartInTheBake,
    Pause,
    PauseAndUnpause,
    Rename,
    NeverRestart,
    LimitMemory,
    Disconnect,
    RemoveNetwork,
    RemoveImage,
    PruneImages,
    PruneVolumes,
    Frozen,
    Reported,
}

/// What becomes of the container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// It is replaced.
    Replaced,
    /// It is the same as before.
    Same,
}

/// Requests that may fail: none where another replica is ready; told where the action ends requests of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failed {
    None,
    Told,
}

struct Case {
    name: &'static str,
    action: Action,
    /// The `drift` of the line on the timeline; empty: nothing is to be told.
    drift: &'static str,
    after: After,
    failed: Failed,
    brief: Brief,
}

const fn case(name: &'static str, action: Action, drift: &'static str, after: After) -> Case {
    Case { name, action, drift, after, failed: Failed::None, brief: Brief::No }
}

impl Case {
    const fn told(self) -> Self {
        Self { failed: Failed::Told, ..self }
    }

    const fn brief(self) -> Self {
        Self { brief: Brief::Yes, ..self }
    }
}

const CASES: &[Case] = &[
    case("stop", Action::Stop, "dead", After::Replaced).brief(),
    case("start of what was stopped", Action::StopAndStart, "restarted", After::Same),
    case("start of what is being replaced", Action::StopAndStartLater, "dead", After::Replaced),
    // A killed process takes the requests with it that it was answering.
    case("rm -f", Action::Remove, "gone", After::Replaced).told().brief(),
    case("restart", Action::Restart, "restarted", After::Same),
    case("restart in the bake", Action::RestartInTheBake, "", After::Same),
    case("pause", Action::Pause, "paused", After::Same).brief(),
    case("pause and unpause", Action::PauseAndUnpause, "paused", After::Same),
    case("rename", Action::Rename, "renamed", After::Same).brief(),
    case("update --restart=no", Action::NeverRestart, "policy", After::Same).brief(),
    case("update --memory", Action::LimitMemory, "limits", After::Same),
    // What it was answering has nowhere to go any more.
    case("network disconnect", Action::Disconnect, "disconnected", After::Replaced).told(),
    case("network rm", Action::RemoveNetwork, "", After::Same),
    case("image rm, then rm -f", Action::RemoveImage, "gone", After::Replaced).told(),
    case("image prune -a", Action::PruneImages, "", After::Same),
    case("volume prune", Action::PruneVolumes, "", After::Same),
    case("freeze, rm -f, thaw", Action::Frozen, "gone", After::Replaced).told().brief(),
    case("drift = \"report\"", Action::Reported, "", After::Same),
];

/// Names of all actions.
pub(super) fn names() -> String {
    CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ")
}

/// Plays every case of a part; how many those are.
pub(super) async fn all(scene: &Crowd<'_>, part: Part<'_>, verdict: &mut Verdict) -> Result<usize> {
    let mut played = 0;
    for case in CASES.iter().filter(|case| part.has(case.name, case.brief)) {
        played += 1;
        if let Err(error) = play(scene, case, verdict).await {
            verdict.short(format!("{}: {error}", case.name));
        }
    }
    Ok(played)
}

async fn play(scene: &Crowd<'_>, case: &Case, verdict: &mut Verdict) -> Result {
    let before = scene.whole().await?;
    let target = before.first().cloned().ok_or("nothing runs")?;
    let after = scene.head().await?;
    let load = scene.load();
    let began = Instant::now();
    act(scene, case.action, &target).await?;
    let is_told = |event: &Value| event["event"] == "DriftSeen" && field(event, "drift") == Some(&case.drift.into());
    let told = match case.drift {
        "" => None,
        drift => Some(scene.awaits(after, &format!("DriftSeen {drift}"), TOLD, is_told).await?),
    };
    let members = scene.whole().await?;
    let took = began.elapsed();
    scene.make_image().await?;
    let summary = load.stop().await;
    judge(case, verdict, (&target, &members), summary.failed);
    let seen = drifts(&scene.events(after).await?);
    if case.drift.is_empty() && !seen.is_empty() && !matches!(case.action, Action::Reported) {
        verdict.short(format!("{}: nothing was to be told, and it was {seen:?}", case.name));
    }
    let words = told.as_ref().and_then(|event| event["told"].as_str()).unwrap_or_default().to_owned();
    line(&json!({
        "prove": "people", "action": case.name, "told": words, "drifts": seen, "healed_ms": took.as_millis() as u64,
        "replaced": !members.contains(&target), "requests": summary.requests, "failed": summary.failed,
        "first_failure": summary.failures.first(),
    }));
    progress(&format!("{}: \"{words}\", whole after {took:.1?}; {}", case.name, summary.sentence()));
    Ok(())
}

fn judge(case: &Case, verdict: &mut Verdict, (target, members): (&Member, &[Member]), failed: u64) {
    let same = members.iter().any(|member| member.id == target.id);
    if same != (case.after == After::Same) {
        verdict.short(format!("{}: the container is {}", case.name, if same { "the same" } else { "another one" }));
    }
    if case.failed == Failed::None {
        verdict.same(&format!("{}: failed requests", case.name), failed, 0);
    }
}

/// The differences that were recorded.
fn drifts(events: &[Value]) -> Vec<String> {
    let seen = events.iter().filter(|event| event["event"] == "DriftSeen");
    seen.filter_map(|event| field(event, "drift")?.as_str().map(str::to_owned)).collect()
}

async fn act(scene: &Crowd<'_>, action: Action, target: &Member) -> Result {
    let (docker, id) = (&scene.stand.docker, target.id.as_str());
    match action {
        Action::Stop => docker.stop(id).await,
        Action::StopAndStart => {
            docker.stop(id).await?;
            docker.start(id).await
        }
        Action::StopAndStartLater => stop_and_start_later(scene, id).await,
        Action::Remove => docker.remove(id).await,
        Action::Restart => docker.restart(id).await,
        Action::RestartInTheBake => restart_in_the_bake(scene).await,
        Action::Pause => docker.pause(id).await,
        Action::PauseAndUnpause => {
            let after = scene.head().await?;
            docker.pause(id).await?;
            scene.awaits(after, "DriftSeen", TOLD, |event| event["event"] == "DriftSeen").await?;
            docker.unpause(id).await
        }
        Action::Rename => docker.rename(id, &format!("{}-taken", target.name)).await,
        Action::NeverRestart => docker.never_restart(id).await,
        Action::LimitMemory => docker.limit_memory(id, MEMORY / 2).await,
        Action::Disconnect => {
            let networks = docker.networks(labels::LOG, &scene.log).await?;
            docker.disconnect(networks.first().ok_or("no network")?, id).await
        }
        Action::RemoveNetwork => {
            let networks = docker.networks(labels::LOG, &scene.log).await?;
            match docker.remove_network(networks.first().ok_or("no network")?).await {
                Ok(()) => Err("Docker has removed a network that is in use".into()),
                Err(_) => Ok(()),
            }
        }
        Action::RemoveImage => {
            // The tag goes; the image stays for as long as a container of it is there.
            docker.remove_image(&scene.image).await?;
            docker.remove(id).await
        }
        Action::PruneImages => docker.prune_images(labels::SAMPLE, &scene.print).await,
        Action::PruneVolumes => docker.prune_volumes(labels::LOG, &scene.log).await,
        Action::Frozen => frozen(scene, id).await,
        Action::Reported => reported(scene).await,
    }
}

/// Started again once its successor is being made: it is removed all the same.
async fn stop_and_start_later(scene: &Crowd<'_>, id: &str) -> Result {
    let after = scene.head().await?;
    scene.stand.docker.stop(id).await?;
    scene.awaits(after, "plan of the repair", TOLD, |event| event["event"] == "DeploymentPlanned").await?;
    scene.stand.docker.start(id).await
}

/// A container that is restarted while it is watched has failed.
async fn restart_in_the_bake(scene: &Crowd<'_>) -> Result {
    let after = scene.head().await?;
    let name = scene.stand.full_name(WEB);
    let said = scene.stand.ask(&["deploy", &name, "--image", &scene.image, "--wait=live", "--json"]).await?;
    let id = said.text("deployment_id")?;
    let green = scene.stand.docker.containers("io.cutover.deployment", &id).await?;
    scene.stand.docker.restart(&green.first().ok_or("no green")?.id).await?;
    let failed = |event: &Value| event["event"] == "DeploymentFailed" && event["deployment_id"] == id.as_str();
    let end = scene.awaits(after, "DeploymentFailed", HEALED, failed).await?;
    let told = end["told"].as_str().unwrap_or_default();
    if told.contains("routed back") && told.contains("start") {
        Ok(())
    } else {
        Err(format!("it ended: {told}").into())
    }
}

/// Frozen, it is told and left; thawed, it is replaced.
async fn frozen(scene: &Crowd<'_>, id: &str) -> Result {
    let (name, after) = (scene.stand.full_name(WEB), scene.head().await?);
    scene.stand.must(&["freeze", &name, "--reason", "backup"]).await?;
    scene.stand.docker.remove(id).await?;
    scene.awaits(after, "DriftSeen", TOLD, |event| event["event"] == "DriftSeen").await?;
    left(scene, after).await?;
    let status = scene.stand.must(&["status", &name]).await?.out;
    if !status.contains("frozen by") || !status.contains("left as it is until it is thawed") {
        return Err(format!("the status says nothing of it:\n{status}").into());
    }
    scene.stand.must(&["thaw", &name]).await.map(drop)
}

/// Nothing but the difference is recorded.
async fn left(scene: &Crowd<'_>, after: u64) -> Result {
    let deadline = Instant::now() + LEFT;
    while Instant::now() < deadline {
        if let Some(event) = scene.events(after).await?.iter().find(|event| event["event"] == "IntentQueued") {
            return Err(format!("it was not left: {}", event["told"]).into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Another workload, whose differences are only recorded: a person puts it right.
async fn reported(scene: &Crowd<'_>) -> Result {
    let stand = scene.stand;
    let workload = Workload::new("left", &scene.image).policy("drift", "report").policy("bake", "0s");
    stand.must(&["apply", &stand.write("left.toml", &workload.file(stand))?]).await?;
    let member = scene.members_of("left").await?.first().cloned().ok_or("it does not run")?;
    let after = scene.head().await?;
    stand.docker.stop(&member.id).await?;
    let told = scene.awaits(after, "DriftSeen", TOLD, |event| event["event"] == "DriftSeen").await?;
    if !told["told"].as_str().unwrap_or_default().contains("only recorded") {
        return Err(format!("it was told so: {}", told["told"]).into());
    }
    left(scene, after).await?;
    let name = stand.full_name("left");
    stand.must(&["restart", &name]).await?;
    let replaced = scene.members_of("left").await?;
    if replaced.len() != 1 || replaced.contains(&member) {
        return Err(format!("after a restart it is {replaced:?}").into());
    }
    stand.must(&["teardown", &name]).await.map(drop)
}
