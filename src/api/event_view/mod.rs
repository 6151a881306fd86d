//! Events as one JSON object each: a match over all kinds without a wildcard, so that a new kind is shown on purpose.
//!
//! Digests of sealed values and hashes of tokens are left out: they say nothing to a reader.

mod delivery;
mod deployment;
mod errand;
mod plan;
mod registry;

pub(super) use deployment::reason_word;
pub(super) use registry::claims;

use cutover_events::{Actor, Cause, Commit, DeploymentId, Event, StreamId, WorkloadId};
use serde_json::{Map, Value, json};

use super::time::rfc3339;
use super::told;
use super::views::EventLine;

/// The own fields of an event.
pub(super) type Fields = Map<String, Value>;

/// Every event of a commit, in order. `name` gives the full name of a workload, where it is known.
pub fn lines(commit: &Commit, name: impl Fn(WorkloadId) -> Option<String>) -> Vec<EventLine> {
    let line = |(index, event): (u64, &Event)| {
        let workload = workload(commit.stream, event);
        let told = told::told(event, commit.cause, &commit.actor);
        EventLine {
            position: commit.position + index,
            time: rfc3339(commit.at.wall_ms),
            event: event.kind().name.to_owned(),
            deployment_id: deployment(event).map(|id| id.to_string()),
            workload: workload.map(|id| name(id).unwrap_or_else(|| id.to_string())),
            cause: cause(commit.cause),
            actor: actor(&commit.actor),
            told: told.text,
            tone: told.tone,
            fields: fields(event),
        }
    };
    (0..).zip(&commit.events).map(line).collect()
}

/// What brought it about, as text.
#[must_use]
pub fn cause(cause: Cause) -> String {
    match cause {
        Cause::Person => "person".to_owned(),
        Cause::Delivery(id) => format!("delivery:{id}"),
        Cause::Revision(number) => format!("revision:{number}"),
        Cause::Drift => "drift".to_owned(),
        Cause::Deployment(id) => format!("deployment:{id}"),
        Cause::Engine => "engine".to_owned(),
    }
}

/// Who brought it about, as text.
#[must_use]
pub fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Local { uid, user } if user.is_empty() => format!("local:{uid}"),
        Actor::Local { uid, user } => format!("local:{uid}:{user}"),
        Actor::Token(id) => format!("token:{id}"),
        Actor::Hook(id) => format!("hook:{id}"),
        Actor::Engine => "engine".to_owned(),
    }
}

/// The workload that an event is about.
#[must_use]
pub fn workload(stream: StreamId, event: &Event) -> Option<WorkloadId> {
    if let StreamId::Workload(id) = stream {
        return Some(id);
    }
    if let Event::WorkloadRegistered(e) = event {
        return Some(e.workload);
    }
    if let Event::SpecRevised(e) = event {
        return Some(e.workload);
    }
    if let Event::ClaimsFreed(e) = event {
        return Some(e.workload);
    }
    if let Event::VolumesUnwanted(e) = event {
        return Some(e.workload);
    }
    if let Event::Frozen(e) = event {
        return e.workload;
    }
    if let Event::Thawed(e) = event {
        return e.workload;
    }
    if let Event::VolumesRemoved(e) = event { Some(e.workload) } else { None }
}

/// The deployment that an event belongs to.
#[must_use]
pub fn deployment(event: &Event) -> Option<DeploymentId> {
    match event {
        Event::IntentQueued(e) => Some(e.deployment),
        Event::IntentSuperseded(e) => Some(e.deployment),
        Event::IntentCancelled(e) => Some(e.deployment),
        Event::DeploymentBegun(e) => Some(e.deployment),
        Event::ReleaseResolved(e) => Some(e.deployment),
        Event::DeploymentPlanned(e) => Some(e.deployment),
        Event::StepSucceeded(e) => Some(e.deployment),
        Event::StepFailed(e) => Some(e.deployment),
        Event::SwapCommitted(e) => Some(e.deployment),
        Event::DowntimeOpened(e) => Some(e.deployment),
        Event::Unrouted(e) => Some(e.deployment),
        Event::RestorePlanned(e) => Some(e.deployment),
        Event::VolumesUnwanted(e) => Some(e.deployment),
        Event::ImageAwaited(e) => Some(e.deployment),
        Event::Swapped(e) => Some(e.deployment),
        Event::SwapRefused(e) => Some(e.deployment),
        Event::RouteBackCommitted(e) => Some(e.deployment),
        Event::BlueDrained(e) => Some(e.deployment),
        Event::DeploymentSucceeded(e) => Some(e.deployment),
        Event::DeploymentFailed(e) => Some(e.deployment),
        Event::WorkloadTornDown(e) => Some(e.deployment),
        Event::Parked(e) => Some(e.deployment),
        Event::Resumed(e) => Some(e.deployment),
        Event::ReleaseCommandStarted(e) => Some(e.deployment),
        Event::ReleaseCommandEnded(e) => Some(e.deployment),
        Event::LogBegun(_)
        | Event::EngineStarted(_)
        | Event::NetworkMade(_)
        | Event::NetworkRemoved(_)
        | Event::TokenAdded(_)
        | Event::TokenRevoked(_)
        | Event::Held(_)
        | Event::Confirmed(_)
        | Event::HookAdded(_)
        | Event::HookRotated(_)
        | Event::HookRemoved(_)
        | Event::WorkloadRegistered(_)
        | Event::SpecRevised(_)
        | Event::ClaimsFreed(_)
        | Event::VolumesRemoved(_)
        | Event::DeliveryReceived(_)
        | Event::DeliveryDecided(_)
        | Event::UnitRemoved(_)
        | Event::RouteReasserted(_)
        | Event::DriftSeen(_)
        | Event::Accepted(_)
        | Event::ErrandBegun(_)
        | Event::ErrandEnded(_)
        | Event::DriftEnded(_)
        | Event::Frozen(_)
        | Event::Thawed(_)
        | Event::StandbyExpired(_) => None,
    }
}

/// The own fields of an event, in snake case.
#[must_use]
pub fn fields(event: &Event) -> Fields {
    let value = match event {
        Event::LogBegun(e) => registry::log_begun(e),
        Event::EngineStarted(e) => registry::engine_started(e),
        Event::NetworkMade(e) => json!({"project": e.project, "network": e.network, "subnet": e.subnet}),
        Event::NetworkRemoved(e) => json!({"project": e.project, "network": e.network}),
        Event::TokenAdded(e) => json!({"token_id": text(&e.token), "name": e.name}),
        Event::TokenRevoked(e) => json!({"token_id": text(&e.token)}),
        Event::Held(e) => json!({"held_cause": registry::held(e.cause), "text": e.text}),
        Event::Confirmed(e) => json!({"held_cause": registry::held(e.cause)}),
        Event::HookAdded(e) => registry::hook_added(e),
        Event::HookRotated(e) => json!({"hook_id": text(&e.hook)}),
        Event::HookRemoved(e) => json!({"hook_id": text(&e.hook)}),
        Event::WorkloadRegistered(e) => json!({"workload_id": text(&e.workload), "project": e.project, "name": e.name}),
        Event::SpecRevised(e) => registry::spec_revised(e),
        Event::VolumesUnwanted(_) => json!({}),
        Event::VolumesRemoved(e) => json!({"volumes": e.volumes}),
        Event::ClaimsFreed(e) => json!({"claims": registry::claims(&e.claims)}),
        Event::DeliveryReceived(e) => delivery::received(e),
        Event::DeliveryDecided(e) => delivery::decided(e),
        Event::IntentQueued(e) => deployment::queued(e),
        Event::IntentSuperseded(e) => json!({"by": text(&e.by), "lists": e.lists.as_ref().map(deployment::lists)}),
        Event::IntentCancelled(e) => json!({"lists": e.lists.as_ref().map(deployment::lists)}),
        Event::DeploymentBegun(e) => json!({"revision": e.revision}),
        Event::ReleaseResolved(e) => deployment::resolved(e),
        Event::DeploymentPlanned(e) => json!({"plan": plan::plan(&e.plan), "again": e.again}),
        Event::StepSucceeded(e) => json!({"index": e.index, "step": plan::step(e.step)}),
        Event::StepFailed(e) => {
            json!({"index": e.index, "step": plan::step(e.step), "reason": deployment::reason(&e.reason)})
        }
        Event::SwapCommitted(e) => json!({"generation": e.generation, "from": texts(&e.from), "to": texts(&e.to)}),
        Event::Swapped(e) => json!({"generation": e.generation, "to": texts(&e.to)}),
        Event::DowntimeOpened(e) => json!({"generation": e.generation, "from": texts(&e.from)}),
        Event::Unrouted(e) => json!({"generation": e.generation}),
        Event::RestorePlanned(e) => json!({"plan": plan::plan(&e.plan), "reason": deployment::reason(&e.reason)}),
        Event::SwapRefused(e) => json!({"generation": e.generation, "reason": deployment::reason(&e.reason)}),
        Event::RouteBackCommitted(e) => {
            json!({"generation": e.generation, "to": texts(&e.to), "reason": deployment::reason(&e.reason)})
        }
        Event::BlueDrained(e) => deployment::drained(e),
        Event::DeploymentSucceeded(e) => json!({"lists": deployment::lists(&e.lists)}),
        Event::DeploymentFailed(e) => deployment::failed(e),
        Event::UnitRemoved(e) => json!({"unit": text(&e.unit)}),
        Event::RouteReasserted(e) => json!({"generation": e.generation, "to": texts(&e.to)}),
        Event::DriftSeen(e) => {
            let handling = deployment::handling(e.handling);
            json!({"unit": text(&e.unit), "drift": deployment::drift(e.drift), "handling": handling})
        }
        Event::DriftEnded(e) => json!({"unit": text(&e.unit), "drift": deployment::drift(e.drift)}),
        Event::Frozen(e) => json!({"workload_id": e.workload.as_ref().map(text), "reason": {"text": e.reason}}),
        Event::Thawed(e) => json!({"workload_id": e.workload.as_ref().map(text)}),
        Event::StandbyExpired(e) => json!({"release": text(&e.release)}),
        Event::WorkloadTornDown(_) | Event::Resumed(_) => json!({}),
        Event::ImageAwaited(e) => json!({"reference": e.reference, "wait_ms": e.wait_ms}),
        Event::Accepted(e) => json!({"release": text(&e.release)}),
        Event::ErrandBegun(e) => errand::begun(e),
        Event::ErrandEnded(e) => errand::ended(e),
        Event::ReleaseCommandStarted(e) => json!({"unit": text(&e.unit)}),
        Event::ReleaseCommandEnded(e) => {
            json!({"unit": text(&e.unit), "exit_code": e.exit_code, "took_ms": e.took_ms})
        }
        Event::Parked(e) => json!({"reason": deployment::reason(&e.reason)}),
    };
    if let Value::Object(fields) = value { fields } else { Fields::new() }
}

fn text(id: &impl ToString) -> String {
    id.to_string()
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
