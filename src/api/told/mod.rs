//! Every event as a sentence, for the API, explanations and the command line: one table, a match over all kinds without
//! a wildcard, so that a new kind gets its words on purpose.

mod deployment;
mod errand;
mod names;
pub mod words;

use cutover_events::engine::{Frozen, HeldCause};
use cutover_events::workload::{HookAdded, Provider, SpecRevised};
use cutover_events::{Actor, Cause, Event};

pub use deployment::{differs, replaced, wish};
pub use names::Names;

use super::event_view::claims;
use super::views::Tone;
use deployment::{awaited, command_ended, drained, drift, drift_ended, failed, planned, queued, resolved, step, swap};

/// What happened in a few words, and whether that is good or bad.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What it means.
    pub tone: Tone,
    /// One line for a person; units are named by their ids, see [`Names`].
    pub text: String,
}

/// An event as a sentence: the only table of them.
#[must_use]
pub fn told(event: &Event, cause: Cause, actor: &Actor) -> Told {
    let normal = |text: String| Told { tone: Tone::Normal, text };
    let good = |text: String| Told { tone: Tone::Good, text };
    let bad = |text: String| Told { tone: Tone::Bad, text };
    let moving = |text: String| Told { tone: Tone::Moving, text };
    match event {
        Event::LogBegun(e) => normal(format!("the log {} begins", e.log)),
        Event::EngineStarted(e) => normal(format!("engine {} started", e.version)),
        Event::NetworkMade(e) => normal(format!("network for project {}: {}", e.project, e.subnet)),
        Event::NetworkRemoved(e) => normal(format!("network of project {} is gone", e.project)),
        Event::TokenAdded(e) => normal(format!("token {} ({}) added by {}", e.name, e.token, who(actor))),
        Event::TokenRevoked(e) => normal(format!("token {} revoked by {}", e.token, who(actor))),
        Event::Held(e) => bad(format!("held, waits for a person: {}", e.text)),
        Event::Confirmed(e) => normal(format!("{} confirmed: {}", who(actor), held(e.cause))),
        Event::HookAdded(e) => normal(hook_added(e, actor)),
        Event::HookRotated(e) => normal(format!("{} has a new secret, from {}", e.hook, who(actor))),
        Event::HookRemoved(e) => normal(format!("{} removed by {}", e.hook, who(actor))),
        Event::WorkloadRegistered(e) => normal(format!("registered as {}/{} by {}", e.project, e.name, who(actor))),
        Event::SpecRevised(e) => normal(revised(e, actor)),
        Event::ClaimsFreed(e) => normal(format!("freed for others: {}", claims(&e.claims).join(", "))),
        Event::DeliveryReceived(e) => normal(format!("delivery {} received: {} {}", e.delivery, e.event, e.sender_id)),
        Event::DeliveryDecided(e) => normal(format!("delivery {} decided: {}", e.delivery, e.summary)),
        Event::IntentQueued(e) => normal(queued(e, cause, actor)),
        Event::IntentSuperseded(e) => moving(format!("superseded by {}", e.by)),
        Event::IntentCancelled(_) => moving(format!("cancelled by {}", who(actor))),
        Event::DeploymentBegun(e) => normal(format!("begun, with spec revision {}", e.revision)),
        Event::ReleaseResolved(e) => normal(resolved(e)),
        Event::DeploymentPlanned(e) => normal(planned(e)),
        Event::StepSucceeded(e) => normal(step(e.step)),
        Event::StepFailed(e) => bad(failed(e.step, &e.reason.text)),
        Event::SwapCommitted(e) => normal(swap(e)),
        Event::Swapped(e) if e.to.is_empty() => normal("no traffic is routed to it any more".into()),
        Event::Swapped(e) => good(format!("the route shows generation {}", e.generation)),
        Event::SwapRefused(e) => bad(format!("the proxy refused the swap: {}", e.reason.text)),
        Event::RouteBackCommitted(e) => bad(format!("green failed, the route goes back: {}", e.reason.text)),
        Event::BlueDrained(e) => normal(drained(e)),
        Event::DowntimeOpened(e) if e.from.is_empty() => normal("the way is cleared: nothing was served before".into()),
        Event::DowntimeOpened(_) => moving("downtime: the old container goes before the new one starts".into()),
        Event::Unrouted(_) => moving("new requests wait".into()),
        Event::RestorePlanned(e) => bad(format!("{}; the release of before is started again", e.reason.text)),
        Event::VolumesUnwanted(_) => normal("its volumes go with it".into()),
        Event::VolumesRemoved(e) => normal(format!("volumes removed: {}", e.volumes.join(", "))),
        Event::DeploymentSucceeded(_) => good("succeeded".into()),
        Event::DeploymentFailed(e) if e.routed_back => bad(format!("failed and routed back: {}", e.reason.text)),
        Event::DeploymentFailed(e) => bad(format!("failed: {}", e.reason.text)),
        Event::UnitRemoved(e) => normal(format!("{} is gone", e.unit)),
        Event::RouteReasserted(e) => moving(format!("the route is written again, generation {}", e.generation)),
        Event::DriftSeen(e) => bad(drift(e)),
        Event::DriftEnded(e) => normal(drift_ended(e)),
        Event::Frozen(e) => moving(frozen(e, actor)),
        Event::Thawed(e) => moving(format!("{} thawed {}", who(actor), frozen_what(e.workload))),
        Event::StandbyExpired(e) => normal(format!("the standby {} is let go", e.release)),
        Event::WorkloadTornDown(_) => good("torn down: nothing of it is left".into()),
        Event::Parked(e) => bad(format!("parked, waits for a person: {}", e.reason.text)),
        Event::ImageAwaited(e) => moving(awaited(e)),
        Event::Accepted(e) => normal(format!("{} lets changes from outside deploy {} again", who(actor), e.release)),
        Event::ErrandBegun(e) => normal(errand::begun(e, actor)),
        Event::ErrandEnded(e) => normal(errand::ended(e)),
        Event::ReleaseCommandStarted(_) => moving("the release command runs".into()),
        Event::ReleaseCommandEnded(e) if e.exit_code == 0 => normal(command_ended(e)),
        Event::ReleaseCommandEnded(e) => bad(command_ended(e)),
        Event::Resumed(_) => moving(format!("resumed by {}", who(actor))),
    }
}

/// An actor as people know it.
#[must_use]
pub fn who(actor: &Actor) -> String {
    match actor {
        Actor::Local { uid, user } if user.is_empty() => format!("user {uid}"),
        Actor::Local { user, .. } => user.clone(),
        Actor::Token(id) => id.to_string(),
        Actor::Hook(id) => id.to_string(),
        Actor::Engine => "the engine".into(),
    }
}

fn held(cause: HeldCause) -> &'static str {
    match cause {
        HeldCause::LogWentBack => "the log went back, and is taken as it is",
        HeldCause::DaemonChanged => "Docker's daemon is another one",
        HeldCause::RouterAhead => "the proxy was ahead of the log",
    }
}

fn frozen(e: &Frozen, actor: &Actor) -> String {
    let reason = if e.reason.is_empty() { String::new() } else { format!(": {}", e.reason) };
    format!("{} froze {}{reason}", who(actor), frozen_what(e.workload))
}

const fn frozen_what(workload: Option<cutover_events::WorkloadId>) -> &'static str {
    match workload {
        Some(_) => "it",
        None => "everything",
    }
}

fn hook_added(e: &HookAdded, actor: &Actor) -> String {
    let provider = match &e.provider {
        Provider::GitHub => "GitHub".to_owned(),
        Provider::Generic { header } => format!("signed in {header}"),
    };
    format!("hook {} ({provider}) added by {}", e.name, who(actor))
}

fn revised(e: &SpecRevised, actor: &Actor) -> String {
    let only = if e.deploy { "" } else { ", only recorded" };
    format!("spec revision {} by {}{only}", e.revision, who(actor))
}

#[cfg(test)]
mod tests {
    use cutover_events::DeploymentId;
    use cutover_events::deployment::{ImageWish, IntentQueued, IntentSuperseded, Wish};

    use super::*;

    fn alice() -> Actor {
        Actor::Local { uid: 1000, user: "alice".into() }
    }

    #[test]
    fn a_wish_names_who_asked_and_what_for() {
        let reference = ImageWish::Reference { reference: "shop:v2".into(), ask_registry: false };
        let intent = IntentQueued {
            deployment: DeploymentId([1; 16]),
            workload: cutover_events::WorkloadId([2; 16]),
            wish: Wish::Deploy(reference),
            revision: 3,
            person: true,
            change: None,
        };
        let said = told(&intent.clone().into(), Cause::Person, &alice());
        assert_eq!(said, Told { tone: Tone::Normal, text: "deploy shop:v2, asked by alice".into() });
        let healed = IntentQueued { wish: Wish::Heal, ..intent };
        let said = told(&healed.into(), Cause::Drift, &Actor::Engine);
        assert_eq!(said.text, "replace what died, because the world differed");
    }

    #[test]
    fn a_newer_wish_is_named() {
        let by = DeploymentId([3; 16]);
        let ended = IntentSuperseded { deployment: DeploymentId([1; 16]), by, lists: None };
        let said = told(&ended.into(), Cause::Engine, &Actor::Engine);
        assert_eq!(said, Told { tone: Tone::Moving, text: format!("superseded by {by}") });
    }
}
