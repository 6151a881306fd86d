//! The one driver: from the state and one look at the world to the next append, effect or wait.

use std::sync::Arc;

use cutover_events::deployment::{Drift, IntentQueued, IntentSuperseded, Wish, WorkloadTornDown};
use cutover_events::plan::Step;
use cutover_events::{DeploymentId, Event, UnitId};

use super::drift::may_begin;
use super::drive::{Look, drive};
use super::{lists, tend, waits};
use crate::observed::{Effect, Now, Observed, Targets};
use crate::protocol::{Rule, on};
use crate::workload::{Open, Phase, Teardown, Workload};

/// What must happen next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Append these as one commit, then look again.
    Append(Vec<Event>),
    /// Append what this decision comes to, which needs ids, the spec or an answer.
    Decide(Decision),
    /// Perform this, then look again.
    Do(Effect),
    /// Look again when something changes, at the latest at this time (`CLOCK_MONOTONIC`, ms).
    Wait(Option<u64>),
}

/// A decision whose events need more than the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The lane goes to this wish.
    Begin(DeploymentId),
    /// The reference of the open deployment is resolved.
    Resolved,
    /// The open deployment waits for its image, without the lane.
    Await,
    /// The open deployment is planned.
    Plan,
    /// A unit of the active slot is to be replaced.
    Heal(UnitId, Drift),
    /// What the open deployment has taken away is planned again.
    Restore,
    /// A workload that is down is tried again.
    Revive,
}

impl Next {
    pub(super) fn append(event: impl Into<Event>) -> Self {
        Self::Append(vec![event.into()])
    }
}

/// What must happen next for one workload. The observation must be younger than the state.
#[must_use]
pub fn next(state: &Workload, observed: &Observed, now: &Now) -> Next {
    if let Some(next) = coalesce(state).or_else(|| supersede(state, observed)) {
        return next;
    }
    if let Some(next) = tend::remove(state, observed, now) {
        return next;
    }
    let tended = tend::standby(state, observed, now).or_else(|| tend::active(state, observed, now));
    if let Some(next) = tended {
        return next;
    }
    if let Some(open) = state.open.as_ref().filter(|_| on(Rule::Lane) || state.queue.is_empty()) {
        return sooner(drive(Look { state, open, observed, now }), tend::due(state, observed, now));
    }
    if let Teardown::Removing(deployment) = state.teardown {
        let left = !state.removal.is_empty() || !observed.containers.is_empty();
        return if left {
            Next::Wait(tend::due(state, observed, now))
        } else {
            Next::append(WorkloadTornDown { deployment })
        };
    }
    match state.queue.iter().find(|intent| may_begin(observed, intent)) {
        Some(intent) => Next::Decide(Decision::Begin(intent.deployment)),
        None if tend::revives(state, observed, now) => Next::Decide(Decision::Revive),
        None => {
            let asks = waits::for_image(state, observed, now).unwrap_or(Next::Wait(None));
            sooner(asks, tend::due(state, observed, now))
        }
    }
}

fn sooner(next: Next, due: Option<u64>) -> Next {
    match next {
        Next::Wait(at) => Next::Wait([at, due].into_iter().flatten().min()),
        other => other,
    }
}

/// The newest wish in the queue survives, but an automatic one never supersedes a person's. What waits for its image is
/// older than all of them; a repair replaces nothing that it waits for.
fn coalesce(state: &Workload) -> Option<Next> {
    let outlives =
        |newer: &Arc<IntentQueued>, older: &Arc<IntentQueued>| newer.person || !older.person || !on(Rule::Person);
    let awaited = state.waiting.as_ref().and_then(|awaited| {
        let newer = state.queue.iter().rev().find(|newer| newer.wish != Wish::Heal)?;
        Some((&awaited.intent, newer))
    });
    let mut older = state.queue.iter().enumerate();
    let (older, by) = awaited.or_else(|| {
        older.find_map(|(index, older)| {
            let newer = state.queue[index + 1..].iter().rev().find(|newer| outlives(newer, older))?;
            Some((older, newer))
        })
    })?;
    Some(Next::append(IntentSuperseded { deployment: older.deployment, by: by.deployment, lists: None }))
}

/// A running deployment before its pivot ends for a newer wish, at most once in a row; what takes the workload out of
/// service always comes through. While a release command runs, all of them wait.
fn supersede(state: &Workload, observed: &Observed) -> Option<Next> {
    let disturbs = |open: &Open| on(Rule::Undisturbed) && open.commands();
    let open = state.open.as_ref().filter(|open| (open.before_pivot() || !on(Rule::Ponr)) && !disturbs(open))?;
    let newer = state.queue.iter().rev().filter(|newer| may_begin(observed, newer)).find(|newer| {
        let passes = newer.wish.ends_service() || !state.shielded || !on(Rule::Shield);
        (newer.person || !open.intent.person || !on(Rule::Person)) && passes
    })?;
    let lists = Some(lists::undone(state, open));
    Some(Next::append(IntentSuperseded { deployment: open.id(), by: newer.deployment, lists }))
}

/// The units that are probed now: those of a slot that is gated or watched, and those that the route should lead to
/// and does not.
#[must_use]
pub fn probed(state: &Workload, observed: &Observed) -> Vec<UnitId> {
    let gated = |open: &Open| match open.phase {
        Phase::Preparing | Phase::Down | Phase::Committed(_) | Phase::Swapped { .. } => true,
        Phase::Fencing(..) => open.plan.as_ref().is_some_and(|plan| plan.has(Step::Clear)),
        Phase::Opened(_) | Phase::Unrouted | Phase::RoutingBack(..) => false,
    };
    let plan = state.open.as_ref().filter(|open| gated(open)).and_then(|open| open.plan.as_ref());
    let plan = plan.filter(|plan| plan.steps.iter().any(|step| step.step == Step::Gate));
    let green = plan.map_or(&[][..], |plan| &plan.slot);
    let astray = state.active.as_ref().filter(|_| tend::astray(state, observed)).map_or(&[][..], |slot| slot.routed());
    let kept = astray.iter().filter(|unit| !green.contains(unit));
    green.iter().chain(kept).copied().collect()
}

/// The units that a route write leads to: as the log names them, so that the shell chooses nothing.
#[must_use]
pub fn targets(state: &Workload, to: Targets) -> &[UnitId] {
    let open = state.open.as_ref();
    match (to, open.map(|open| &open.phase)) {
        (Targets::Nothing | Targets::Held, _) => &[],
        (Targets::Green, _) => open.and_then(|open| open.plan.as_ref()).map_or(&[], |plan| plan.routed()),
        (Targets::Blue, Some(Phase::RoutingBack(_, _, to))) => to,
        (Targets::Blue, _) => &[],
        (Targets::Active, _) => &state.routed.units,
    }
}
