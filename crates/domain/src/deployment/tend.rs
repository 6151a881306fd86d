//! What a workload needs besides its open deployment, in the order that proved necessary: removals, the sweep,
//! repairs, the route, policies.

use cutover_events::UnitId;
use cutover_events::deployment::{RouteReasserted, StandbyExpired, UnitRemoved};

use super::drift;
use super::gate::{DEAD_AFTER_MS, ready, serves};
use super::next::Next;
use crate::observed::{Effect, Now, Observed, Phase as Doing, Restart, Seen, Targets};
use crate::protocol::{Rule, on};
use crate::retry;
use crate::workload::{Open, Phase, Workload};

/// The removal list and the sweep, which share one guard: not routed, no connections.
pub(super) fn remove(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let sealed = !on(Rule::Seal) || observed.router.as_ref().is_some_and(|router| router.generation >= state.sealed);
    for unit in state.removal.iter().filter(|unit| !state.open.as_ref().is_some_and(|open| open.spares(**unit))) {
        match observed.seen(*unit) {
            None => return Some(Next::append(UnitRemoved { unit: *unit })),
            Some(seen) if !on(Rule::RemovedAfter) && seen.phase == Doing::Removing => {
                return Some(Next::append(UnitRemoved { unit: *unit }));
            }
            Some(_) if !sealed => {
                if let Some(next) = seal(state, observed, now) {
                    return Some(next);
                }
            }
            Some(seen) if may_go(seen, observed) && !waits(Effect::Remove(*unit, seen.id), observed, now) => {
                return Some(Next::Do(Effect::Remove(*unit, seen.id)));
            }
            Some(_) => (),
        }
    }
    drift::orphan(state, observed)
}

/// The router takes the generation of the commit that put something on the list. Past a pivot, what is committed is
/// written first: a router that has forgotten its table would otherwise no longer be seen to be behind.
fn seal(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let fence = Effect::Fence { generation: state.sealed };
    let taken = observed.router.as_ref()?.generation;
    let free = match state.open.as_ref().map(|open| &open.phase) {
        None | Some(Phase::Preparing) => true,
        Some(Phase::Down) => taken >= state.routed.generation,
        Some(Phase::Fencing(generation, ..)) => taken >= *generation,
        Some(
            Phase::Opened(_) | Phase::Unrouted | Phase::Committed(_) | Phase::RoutingBack(..) | Phase::Swapped { .. },
        ) => false,
    };
    (free && !waits(fence, observed, now)).then_some(Next::Do(fence))
}

fn may_go(seen: &Seen, observed: &Observed) -> bool {
    let Some(router) = &observed.router else { return false };
    let routed = on(Rule::RouteGuard) && router.targets.contains(&seen.unit);
    let busy = on(Rule::Drain) && router.busy.contains(&seen.unit);
    !routed && !busy && seen.phase != Doing::Removing && !observed.answers.under_way.contains(&seen.unit)
}

/// Whether an effect has failed, and the time for the next try has not come.
pub(super) fn waits(effect: Effect, observed: &Observed, now: &Now) -> bool {
    let trouble = observed.answers.trouble.as_ref();
    trouble.is_some_and(|trouble| retry::not_before(trouble, effect) > now.mono_ms)
}

/// The standby: its end, and its policy.
pub(super) fn standby(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let (slot, since) = state.standby.as_ref()?;
    if state.open.as_ref().is_some_and(Open::adopts) && on(Rule::Adopted) {
        return None;
    }
    if let Some(next) = drift::standby(state, observed) {
        return Some(next);
    }
    if !observed.frozen && now.passed(*since, slot.plan.policy.standby_ms) {
        return Some(Next::append(StandbyExpired { release: slot.release }));
    }
    set_restart(&slot.units, Restart::No, observed, now)
}

fn set_restart(units: &[UnitId], restart: Restart, observed: &Observed, now: &Now) -> Option<Next> {
    let seen = units.iter().filter_map(|unit| observed.seen(*unit));
    let mut wrong = seen.filter(|seen| seen.restart != restart && seen.phase == Doing::Running);
    let seen = wrong.find(|seen| !waits(Effect::SetRestart(seen.unit, seen.id, restart), observed, now))?;
    Some(Next::Do(Effect::SetRestart(seen.unit, seen.id, restart)))
}

/// The active slot before the pivot of what is open: repairs first, then the route, then policies.
pub(super) fn active(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    if state.active.is_none() || !state.open.as_ref().is_none_or(Open::before_pivot) {
        return None;
    }
    let idle = state.open.is_none() && !state.queue.iter().any(|intent| drift::may_begin(observed, intent));
    let tended = || idle.then(|| drift::tend(state, observed, now)).flatten();
    if !on(Rule::HealFirst) {
        return reassert(state, observed, now).or_else(tended);
    }
    // A successor comes before the route, which would lead to what is dead; what else differs can wait for it.
    match tended() {
        Some(next @ Next::Decide(_)) => Some(next),
        other => reassert(state, observed, now).or(other),
    }
}

/// Whether the route leads to anything else than the units of the active slot that run and that it should lead to.
pub(super) fn astray(state: &Workload, observed: &Observed) -> bool {
    let (Some(slot), Some(router)) = (&state.active, &observed.router) else { return false };
    let before_pivot = state.open.as_ref().is_none_or(Open::before_pivot);
    let missing = slot.routed().iter().any(|unit| serves(observed, *unit) && !router.targets.contains(unit));
    let foreign = router.targets.iter().any(|unit| !slot.routed().contains(unit));
    before_pivot && (missing || foreign || router.generation < state.routed.generation)
}

/// The router is behind the log, or shows something else than the active slot: what is ready of it is routed, at least
/// one unit; what is routed already stays as long as it runs.
fn reassert(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let (slot, router) = (state.active.as_ref()?, observed.router.as_ref()?);
    if !astray(state, observed) || !on(Rule::Reassert) {
        return None;
    }
    let behind = router.generation < state.routed.generation;
    let routed = |unit: &UnitId| router.targets.contains(unit) && serves(observed, *unit);
    let is_ready = |unit: &UnitId| observed.seen(*unit).is_some_and(|seen| ready(&slot.plan, seen));
    let wanted = |unit: &UnitId| routed(unit) || is_ready(unit) || !on(Rule::HealFirst);
    let to: Vec<_> = slot.routed().iter().copied().filter(wanted).collect();
    let better = behind || router.targets.len() != to.len() || to.iter().any(|unit| !router.targets.contains(unit));
    if (on(Rule::HealFirst) && !to.iter().any(is_ready)) || !better {
        return None;
    }
    let put = Effect::Put { to: Targets::Active, generation: state.routed.generation };
    if !behind || state.routed.units[..] != to[..] {
        return Some(Next::append(RouteReasserted { generation: state.generation + 1, to }));
    }
    (!waits(put, observed, now)).then_some(Next::Do(put))
}

/// Whether a workload that is down is due to be tried again.
pub(super) fn revives(state: &Workload, observed: &Observed, now: &Now) -> bool {
    state.down.is_some()
        && !observed.frozen
        && now.passed(state.heals.last, retry::heal_delay(state.heals.failed.max(1)))
}

/// When something here becomes due by itself, on the monotonic clock.
pub(super) fn due(state: &Workload, observed: &Observed, now: &Now) -> Option<u64> {
    let standby = state.standby.as_ref().map(|(slot, since)| now.deadline(*since, slot.plan.policy.standby_ms));
    let trouble = observed.answers.trouble.as_ref();
    let another = trouble.map(retry::soonest);
    let trouble = trouble.map(retry::next_try);
    let heal = (state.heals.failed > 0).then(|| now.deadline(state.heals.last, retry::heal_delay(state.heals.failed)));
    let down =
        observed.containers.iter().map(|seen| seen.down_ms).filter(|down| (1..DEAD_AFTER_MS).contains(down)).max();
    let dead = down.map(|down| now.mono_ms + DEAD_AFTER_MS - down);
    let standby = standby.filter(|_| !observed.frozen);
    let differs = drift::due(state, observed, now);
    [standby, trouble, another, heal, dead, differs].into_iter().flatten().filter(|at| *at > now.mono_ms).min()
}
