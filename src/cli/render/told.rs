//! One event in one line.

use serde_json::Value;

use super::Tone;
use super::words::{count, duration, short_digest};
use crate::api::views::EventLine;

/// What happened, in a few words, and whether that is good or bad.
pub(super) fn told(line: &EventLine) -> (Tone, String) {
    match line.event.as_str() {
        "DeploymentSucceeded" => (Tone::Good, "succeeded".to_owned()),
        "DeploymentFailed" if line.fields.get("routed_back") == Some(&Value::Bool(true)) => {
            (Tone::Bad, format!("failed and routed back: {}", line.reason()))
        }
        "DeploymentFailed" => (Tone::Bad, format!("failed: {}", line.reason())),
        "StepFailed" => (Tone::Bad, format!("{} failed: {}", step(line.text("step")), line.reason())),
        "RouteBackCommitted" => (Tone::Bad, format!("green failed, the route goes back: {}", line.reason())),
        "SwapRefused" => (Tone::Bad, format!("the proxy refused the swap: {}", line.reason())),
        "Parked" => (Tone::Bad, format!("parked, waits for a person: {}", line.reason())),
        "Held" => (Tone::Bad, format!("held: {}", line.text("text"))),
        "DriftSeen" => (Tone::Bad, drift(line)),
        "IntentSuperseded" => (Tone::Moving, format!("superseded by {}", line.text("by"))),
        "IntentCancelled" => (Tone::Moving, format!("cancelled by {}", who(&line.actor))),
        "Swapped" if leads_nowhere(line) => (Tone::Normal, "no traffic is routed to it any more".to_owned()),
        "Swapped" => (Tone::Good, format!("the route shows generation {}", number(line, "generation"))),
        _ => (Tone::Normal, plain(line)),
    }
}

fn plain(line: &EventLine) -> String {
    match line.event.as_str() {
        "IntentQueued" => format!("queued: {}", wish(line)),
        "DeploymentBegun" => format!("begun with spec revision {}", number(line, "revision")),
        "ReleaseResolved" => resolved(line),
        "DeploymentPlanned" => planned(line),
        "StepSucceeded" => step(line.text("step")),
        "SwapCommitted" => swap(line),
        "BlueDrained" => drained(line),
        "UnitRemoved" => format!("{} is gone", line.text("unit")),
        "RouteReasserted" => format!("the route is written again, generation {}", number(line, "generation")),
        "StandbyExpired" => format!("the standby {} is let go", line.text("release")),
        "WorkloadTornDown" => "torn down: nothing of it is left".to_owned(),
        "Resumed" => format!("resumed by {}", who(&line.actor)),
        "WorkloadRegistered" => format!("registered as {}/{}", line.text("project"), line.text("name")),
        "SpecRevised" => format!("spec revision {} by {}", number(line, "revision"), who(&line.actor)),
        "VolumesUnwanted" => "its volumes go with it".to_owned(),
        "VolumesRemoved" => format!("volumes removed: {}", list(line, "volumes")),
        "ClaimsFreed" => format!("freed: {}", list(line, "claims")),
        _ => engine(line),
    }
}

fn engine(line: &EventLine) -> String {
    match line.event.as_str() {
        "LogBegun" => format!("the log {} begins", line.text("log_id")),
        "EngineStarted" => format!("engine {} started", line.text("version")),
        "NetworkMade" => format!("network for project {}: {}", line.text("project"), line.text("subnet")),
        "NetworkRemoved" => format!("network of project {} is gone", line.text("project")),
        "TokenAdded" => format!("token {} ({}) added", line.text("name"), line.text("token_id")),
        "TokenRevoked" => format!("token {} revoked", line.text("token_id")),
        "Confirmed" => format!("{} confirmed {}", who(&line.actor), line.text("held_cause")),
        "HookAdded" => format!("hook {} ({}) added", line.text("name"), line.text("provider")),
        "HookRotated" => format!("hook {} has a new secret", line.text("hook_id")),
        "HookRemoved" => format!("hook {} removed", line.text("hook_id")),
        "DeliveryReceived" => format!("delivery {} received: {}", line.text("delivery_id"), line.text("sender_event")),
        "DeliveryDecided" => format!("delivery {} decided: {}", line.text("delivery_id"), line.text("summary")),
        other => other.to_owned(),
    }
}

fn drift(line: &EventLine) -> String {
    let what = match line.text("drift") {
        "gone" => "is gone",
        "dead" => "does not run any more",
        "orphan" => "is on no list: it will be removed",
        "standby_dead" => "stood by and does not run any more",
        other => other,
    };
    format!("{} {what}", line.text("unit"))
}

/// What was wished, for the head of a deployment.
pub(super) fn wish(line: &EventLine) -> String {
    match (line.text("wish"), line.text("reference"), line.text("to_release")) {
        ("deploy", "", _) => "deploy what runs with the newest spec".to_owned(),
        ("deploy", reference, _) => format!("deploy {reference}"),
        ("rollback", _, "") => "roll back to the release before".to_owned(),
        ("rollback", _, release) => format!("roll back to {release}"),
        ("heal", ..) => "replace what died".to_owned(),
        ("teardown", ..) => "tear down".to_owned(),
        (other, ..) => other.to_owned(),
    }
}

/// Who asked, and what brought it about, for the head of a deployment.
pub(super) fn asked(line: &EventLine) -> String {
    let change = line.fields.get("change").and_then(|change| change.get("sha")).and_then(Value::as_str);
    let sha = change
        .filter(|sha| !sha.is_empty())
        .map_or_else(String::new, |sha| format!(" at {}", sha.chars().take(7).collect::<String>()));
    match line.cause.split_once(':') {
        Some(("delivery", id)) => format!("asked by delivery {id}{sha}"),
        Some(("revision", number)) => format!("asked by spec revision {number} of {}", who(&line.actor)),
        _ if line.cause == "drift" => "because the world differed".to_owned(),
        _ => format!("asked by {}", who(&line.actor)),
    }
}

/// An actor as people know it.
pub(super) fn who(actor: &str) -> String {
    let mut parts = actor.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("local"), Some(_), Some(name)) => name.to_owned(),
        (Some("local"), Some(uid), None) => format!("user {uid}"),
        (Some("token" | "hook"), Some(id), _) => id.to_owned(),
        _ => format!("the {actor}"),
    }
}

fn resolved(line: &EventLine) -> String {
    let digest = match line.text("repo_digest") {
        "" => format!("image {} (made here)", short_digest(line.text("image"))),
        digest => format!("digest {}", short_digest(digest)),
    };
    format!("{} is {digest}", line.text("reference"))
}

fn planned(line: &EventLine) -> String {
    let Some(plan) = line.fields.get("plan") else { return "planned".to_owned() };
    let steps = plan.get("steps").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let strategy = plan.get("strategy").and_then(Value::as_str).unwrap_or_default();
    let standby = if plan.get("adopts") == Some(&Value::Bool(true)) { ", with the standby" } else { "" };
    format!("planned: {strategy}, {}{standby}", count(steps, "step", "steps"))
}

/// A step in the past tense.
fn step(step: &str) -> String {
    let (word, unit) = step.split_once(' ').unwrap_or((step, ""));
    let done = match word {
        "retire" => "set aside",
        "create" => "created",
        "start" => "started",
        "gate" => "ready",
        "keep" => "restart policy set",
        "swap" => "swapped",
        "settle" => "drained and watched",
        other => other,
    };
    if unit.is_empty() { done.to_owned() } else { format!("{done} {unit}") }
}

fn swap(line: &EventLine) -> String {
    let to = line.fields.get("to").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let generation = number(line, "generation");
    match to {
        0 => format!("the route ends, generation {generation}"),
        _ => format!("the route moves to {}, generation {generation}", count(to, "container", "containers")),
    }
}

fn drained(line: &EventLine) -> String {
    let cut = |field, one, many| line.number(field).filter(|cut| *cut > 0).map(|cut| count(cut, one, many));
    let cuts: Vec<String> = [
        cut("cut_requests", "request", "requests"),
        cut("cut_upgraded", "websocket", "websockets"),
        cut("cut_streams", "event stream", "event streams"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if cuts.is_empty() {
        "blue is drained, nothing was cut".to_owned()
    } else {
        format!("blue is drained; cut: {}", cuts.join(", "))
    }
}

/// How long green is watched, from the plan.
pub(super) fn bake(line: &EventLine) -> Option<u64> {
    line.fields.get("plan")?.get("policy")?.get("bake_ms")?.as_u64()
}

/// Whether a route was seen to lead nowhere: the swap of a teardown.
pub(super) fn leads_nowhere(line: &EventLine) -> bool {
    line.fields.get("to").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// "live after 1.6 s, watching 10 s".
pub(super) fn live(after_ms: u64, bake_ms: Option<u64>) -> String {
    let watching = bake_ms.filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(", watching {}", duration(ms)));
    format!("live after {}{watching}", duration(after_ms))
}

fn number(line: &EventLine, field: &str) -> u64 {
    line.number(field).unwrap_or(0)
}

fn list(line: &EventLine, field: &str) -> String {
    let items = line.fields.get(field).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}
