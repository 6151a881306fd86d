//! What people and accidents do to containers that serve: recorded once, then repaired, unless somebody wants it left as
//! it is.
//!
//! A repair goes by the rules of every effect: what has ended is never started again but replaced; a paused process goes
//! on, because it never ended; what is off its network is replaced, because joining a network again would leave it with
//! connections that lead nowhere; name, policy and limits are set back. All of it is addressed to Docker's id.

use cutover_events::UnitId;
use cutover_events::deployment::{Drift, DriftEnded, DriftSeen, Handling, IntentQueued};
use cutover_events::workload::OnDrift;

use super::gate::{DEAD_AFTER_MS, serves, stands_by};
use super::next::{Decision, Next};
use super::tend::waits;
use crate::observed::{Effect, Mark, Now, Observed, Phase as Doing, Restart, Seen};
use crate::protocol::{Rule, on};
use crate::retry;
use crate::workload::Workload;

/// How long a container may stay paused before a repair lets it go on, ms: `docker commit` pauses what it copies, and
/// its seconds are no mistake.
const PAUSED_MS: u64 = 3_000;
/// How long a container that was started anew must run before the next such start is another occurrence, ms: one that
/// ends again and again is told once.
const SETTLED_MS: u64 = 60_000;
/// By how much the start of a container may seem later than it was, ms: the kernel counts in hundredths of a second.
const START_SLACK_MS: u64 = 100;

/// Whether a wish may take the lane now: while it is frozen only those of persons may.
#[must_use]
pub fn may_begin(observed: &Observed, intent: &IntentQueued) -> bool {
    !observed.frozen || intent.person
}

/// What follows from a difference now.
#[must_use]
pub fn handling(state: &Workload, observed: &Observed) -> Handling {
    let reports = |plan: &cutover_events::plan::Plan| plan.policy.drift == OnDrift::Report;
    match &state.active {
        _ if observed.frozen => Handling::Frozen,
        Some(slot) if reports(&slot.plan) => Handling::Report,
        _ => Handling::Repair,
    }
}

/// What is next about the active slot of a workload that nothing is wished of.
pub(super) fn tend(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let found = found(state, observed, now);
    let handling = handling(state, observed);
    let repairs = handling == Handling::Repair;
    let heals = found.iter().find(|(_, drift)| is_replaced(*drift) && repairs && heal_is_due(state, now));
    if let Some((unit, drift)) = heals {
        return Some(Next::Decide(Decision::Heal(*unit, *drift)));
    }
    let noted = |difference: &&(UnitId, Drift)| state.drifts.contains(difference);
    if let Some((unit, drift)) = found.iter().find(|difference| !noted(difference)) {
        return Some(Next::append(DriftSeen { unit: *unit, drift: *drift, handling }));
    }
    let over = state.drifts.iter().find(|noted| is_over(state, observed, &found, **noted));
    if let Some((unit, drift)) = over {
        return Some(Next::append(DriftEnded { unit: *unit, drift: *drift }));
    }
    let effects = found.iter().filter(|_| repairs).filter_map(|(unit, drift)| effect(observed, *unit, *drift));
    let due = effects.into_iter().find(|effect| !waits(*effect, observed, now));
    due.map(Next::Do)
}

/// Whether only a successor helps.
const fn is_replaced(drift: Drift) -> bool {
    matches!(drift, Drift::Gone | Drift::Dead | Drift::Disconnected)
}

fn heal_is_due(state: &Workload, now: &Now) -> bool {
    state.heals.failed == 0 || now.passed(state.heals.last, retry::heal_delay(state.heals.failed))
}

/// Every difference of the active slot.
fn found(state: &Workload, observed: &Observed, now: &Now) -> Vec<(UnitId, Drift)> {
    let Some(slot) = &state.active else { return Vec::new() };
    let of = |unit: &UnitId| -> Vec<Drift> {
        let Some(seen) = observed.seen(*unit) else { return vec![Drift::Gone] };
        match seen.phase {
            Doing::Removing => vec![Drift::Gone],
            Doing::Running => [
                (seen.apart_ms >= DEAD_AFTER_MS, Drift::Disconnected),
                (seen.paused_ms > 0, Drift::Paused),
                (seen.renamed, Drift::Renamed),
                (seen.restart != Restart::Always, Drift::Policy),
                (seen.resized, Drift::Limits),
                (ran_anew(state, seen, now), Drift::Restarted),
            ]
            .into_iter()
            .filter_map(|(is, drift)| is.then_some(drift))
            .collect(),
            Doing::Created | Doing::Exited | Doing::Restarting => {
                let dead = seen.down_ms >= DEAD_AFTER_MS || seen.restart == Restart::No;
                if dead { vec![Drift::Dead] } else { Vec::new() }
            }
        }
    };
    slot.units.iter().flat_map(|unit| of(unit).into_iter().map(|drift| (*unit, drift))).collect()
}

/// Whether the present run of a container began after the log last knew it to run. One that has settled since is told
/// apart from the next occurrence by the event that ends this one.
fn ran_anew(state: &Workload, seen: &Seen, now: &Now) -> bool {
    let noted = state.drifts.contains(&(seen.unit, Drift::Restarted));
    if noted {
        return seen.age_ms < SETTLED_MS;
    }
    let since = state.runs.iter().find(|(unit, _)| *unit == seen.unit).map_or(state.runs_since, |(_, since)| *since);
    began_after(seen, since, now)
}

/// Whether the present run of a container began after an instant: surely so after a restart of the host.
pub(super) fn began_after(seen: &Seen, since: Mark, now: &Now) -> bool {
    let began = now.mono_ms.saturating_sub(seen.age_ms);
    since.boot != now.boot || began > since.mono_ms.saturating_add(START_SLACK_MS)
}

/// Whether a recorded difference is none any more. One of a container that neither runs nor is gone is not judged.
fn is_over(state: &Workload, observed: &Observed, found: &[(UnitId, Drift)], (unit, drift): (UnitId, Drift)) -> bool {
    let seen = observed.seen(unit);
    match drift {
        Drift::Orphan => seen.is_none() || state.knows(unit),
        Drift::StandbyDead => !state.is_standby(unit) || stands_by(observed, unit),
        _ => seen.is_some_and(|seen| seen.phase == Doing::Running) && !found.contains(&(unit, drift)),
    }
}

/// What puts a difference right, where one effect does.
fn effect(observed: &Observed, unit: UnitId, drift: Drift) -> Option<Effect> {
    let seen = observed.seen(unit)?;
    match drift {
        Drift::Paused if seen.paused_ms >= PAUSED_MS => Some(Effect::Unpause(unit, seen.id)),
        Drift::Renamed => Some(Effect::Rename(unit, seen.id)),
        Drift::Policy => Some(Effect::SetRestart(unit, seen.id, Restart::Always)),
        Drift::Limits => Some(Effect::SetLimits(unit, seen.id)),
        Drift::Paused
        | Drift::Gone
        | Drift::Dead
        | Drift::Orphan
        | Drift::StandbyDead
        | Drift::Disconnected
        | Drift::Restarted => None,
    }
}

/// A container of ours that no list knows.
pub(super) fn orphan(state: &Workload, observed: &Observed) -> Option<Next> {
    let handling = handling(state, observed);
    let left = |unit| handling != Handling::Repair && state.drifts.contains(&(unit, Drift::Orphan));
    let known = |seen: &&Seen| (seen.witnessed || !on(Rule::Witness)) && !state.knows(seen.unit) && !left(seen.unit);
    let orphan = observed.containers.iter().find(known)?;
    on(Rule::SweepLoop).then(|| Next::append(DriftSeen { unit: orphan.unit, drift: Drift::Orphan, handling }))
}

/// A standby that does not run any more.
pub(super) fn standby(state: &Workload, observed: &Observed) -> Option<Next> {
    let (slot, _) = state.standby.as_ref()?;
    let handling = handling(state, observed);
    let left = |unit| handling != Handling::Repair && state.drifts.contains(&(unit, Drift::StandbyDead));
    let dead = slot.units.iter().find(|unit| !stands_by(observed, **unit) && !left(**unit))?;
    Some(Next::append(DriftSeen { unit: *dead, drift: Drift::StandbyDead, handling }))
}

/// When a difference becomes due by itself, on the monotonic clock.
pub(super) fn due(state: &Workload, observed: &Observed, now: &Now) -> Option<u64> {
    let slot = state.active.as_ref()?;
    let running = slot.units.iter().filter(|unit| serves(observed, **unit)).filter_map(|unit| observed.seen(*unit));
    let after = |ms: u64, limit: u64| (1..limit).contains(&ms).then(|| now.mono_ms + limit - ms);
    let settles = |seen: &Seen| {
        let noted = state.drifts.contains(&(seen.unit, Drift::Restarted)) && seen.age_ms < SETTLED_MS;
        noted.then(|| now.mono_ms + SETTLED_MS - seen.age_ms)
    };
    let of = |seen: &Seen| [after(seen.paused_ms, PAUSED_MS), after(seen.apart_ms, DEAD_AFTER_MS), settles(seen)];
    running.flat_map(of).flatten().min()
}
