//! What must hold, whatever happened: the simulation checks it after every move, `cutover doctor` on the real thing.
//!
//! [`always`] needs the log alone, [`seen`] also one look at the world, [`at_rest`] a workload with nothing left to do.

use std::fmt;

use cutover_events::UnitId;
use cutover_events::deployment::{Drift, Handling};

use crate::deployment::{handling, serves};
use crate::observed::{Observed, Phase as Doing, Seen};
use crate::workload::{Open, Teardown, Workload};

/// A sentence that does not hold, and for which unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// What should be so.
    pub sentence: &'static str,
    /// The unit that it is about, if it is about one.
    pub unit: Option<UnitId>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Some(unit) => write!(f, "{}: {unit}", self.sentence),
            None => f.write_str(self.sentence),
        }
    }
}

#[derive(Default)]
struct Breaches(Vec<Breach>);

impl Breaches {
    fn broken(&mut self, sentence: &'static str) {
        self.0.push(Breach { sentence, unit: None });
    }

    fn each<'a>(&mut self, wrong: impl IntoIterator<Item = &'a UnitId>, sentence: &'static str) {
        self.0.extend(wrong.into_iter().map(|unit| Breach { sentence, unit: Some(*unit) }));
    }
}

/// What holds of a fold at any time.
#[must_use]
pub fn always(state: &Workload) -> Vec<Breach> {
    let mut found = Breaches::default();
    let removal = &state.removal;
    let used = || {
        let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot));
        let green = state.open.iter().filter_map(|open| open.plan.as_ref()).flat_map(|plan| plan.slot.iter());
        slots.flat_map(|slot| slot.units.iter()).chain(green)
    };
    found.each(used().filter(|unit| removal.contains(unit)), "a unit that goes is not in use");
    let twice = removal.iter().enumerate().filter(|(at, unit)| removal[..*at].contains(unit)).map(|(_, unit)| unit);
    found.each(twice, "a unit goes once");
    if let (Some(active), Some((standby, _))) = (&state.active, &state.standby) {
        found.each(active.units.iter().filter(|unit| standby.units.contains(unit)), "the standby is another slot");
    }
    if state.active.as_ref().is_some_and(|slot| slot.units.is_empty()) {
        found.broken("an active slot has units");
    }
    if state.stopped.is_some() && (state.active.is_some() || state.down.is_some()) {
        found.broken("what is stopped does not run");
    }
    if state.waiting.as_ref().is_some_and(|awaited| awaited.intent.person) {
        found.broken("no wish of a person waits for an image");
    }
    if state.routed.generation > state.generation {
        found.broken("no route is newer than the log");
    }
    if state.open.as_ref().and_then(Open::committed) > Some(state.generation) {
        found.broken("no commitment is newer than the log");
    }
    let current = state.active.as_ref().is_none_or(|slot| state.release(slot.release).is_some_and(|r| r.proven));
    if !current {
        found.broken("the active release is known and has been live");
    }
    let torn = state.teardown == Teardown::Done && (state.open.is_some() || state.active.is_some());
    if torn {
        found.broken("what is torn down does not run");
    }
    found.0
}

/// What holds of the log and one look at any time while the log is whole.
#[must_use]
pub fn seen(state: &Workload, observed: &Observed) -> Vec<Breach> {
    let mut found = Breaches::default();
    if observed.router.as_ref().is_some_and(|router| router.generation > state.generation) {
        found.broken("the router is not ahead of the log");
    }
    let twins = observed.containers.windows(2).filter(|pair| pair[0].unit == pair[1].unit).map(|pair| &pair[0].unit);
    found.each(twins, "a unit has one container");
    found.each(&beside(state, observed), "an exclusive workload runs alone");
    found.0
}

/// Containers that run beside those of a plan which takes everything else away first, or beside what must be alone. A
/// release folder is none, and takes nothing that another unit could need.
fn beside(state: &Workload, observed: &Observed) -> Vec<UnitId> {
    let open = state.open.as_ref().and_then(|open| open.plan.as_ref());
    let open = open.filter(|plan| plan.takes_turns());
    let active = state.active.as_ref().map(|slot| &slot.plan).filter(|plan| plan.template.exclusive().is_some());
    let Some(plan) = open.or(active) else { return Vec::new() };
    let runs = |seen: &&Seen| {
        let command = state.commands.contains(&seen.unit) || plan.runs_command_in(seen.unit);
        matches!(seen.phase, Doing::Running | Doing::Restarting) && !command && !seen.folder
    };
    let (ours, others): (Vec<_>, Vec<_>) =
        observed.containers.iter().filter(runs).map(|seen| seen.unit).partition(|unit| plan.slot.contains(unit));
    if ours.is_empty() { Vec::new() } else { others }
}

/// Whether a workload has nothing to do: no wish, not even one that waits for its image, no open deployment, no removal, and what serves runs.
#[must_use]
pub fn rests(state: &Workload, observed: &Observed) -> bool {
    let alive = |unit: &UnitId| serves(observed, *unit) || left_alone(state, observed, *unit);
    state.open.is_none()
        && state.queue.iter().all(|intent| observed.frozen && !intent.person)
        && (observed.frozen || state.waiting.is_none())
        && state.down.is_none()
        && state.removal.is_empty()
        && state.active.as_ref().is_none_or(|slot| slot.units.iter().all(alive))
        && !matches!(state.teardown, Teardown::Removing(_))
}

/// Whether a unit is not as it should be, and left so on purpose.
fn left_alone(state: &Workload, observed: &Observed, unit: UnitId) -> bool {
    let noted = state.drifts.iter().any(|(known, drift)| *known == unit && *drift != Drift::Restarted);
    noted && handling(state, observed) != Handling::Repair
}

/// What holds of a workload that rests.
#[must_use]
pub fn at_rest(state: &Workload, observed: &Observed) -> Vec<Breach> {
    let mut found = Breaches::default();
    let active: &[UnitId] = state.active.as_ref().map_or(&[], |slot| &slot.units);
    let standby: &[UnitId] = state.standby.as_ref().map_or(&[], |(slot, _)| &slot.units);
    let running = |unit: &UnitId| serves(observed, *unit) || left_alone(state, observed, *unit);
    let orphans = observed.containers.iter().map(|seen| &seen.unit);
    let known = |unit: &UnitId| active.contains(unit) || standby.contains(unit) || left_alone(state, observed, *unit);
    let orphans = orphans.filter(|unit| !known(unit));
    found.each(orphans, "every container of ours is active or stands by");
    found.each(active.iter().filter(|unit| !running(unit)), "every active container runs");
    found.each(standby.iter().filter(|unit| !running(unit)), "every standby container runs");
    match &observed.router {
        None => found.broken("the router answers"),
        Some(router) => {
            let routed: &[UnitId] = state.active.as_ref().map_or(&[], |slot| slot.routed());
            found.each(
                routed.iter().filter(|unit| !router.targets.contains(unit) && !left_alone(state, observed, **unit)),
                "the route leads to all active units that it should",
            );
            // A route to what is gone stays while nothing can take its place: a write that leads nowhere could land
            // after a person has brought back what is active. Nothing else gets the address meanwhile; a late create may
            // put a container of its name there, which is only reported.
            let left = !active.is_empty() && active.iter().all(|unit| left_alone(state, observed, *unit));
            let gone = |unit: &UnitId| left && (observed.seen(*unit).is_none() || left_alone(state, observed, *unit));
            found.each(
                router.targets.iter().filter(|unit| !routed.contains(unit) && !gone(unit)),
                "the route leads to active units only",
            );
            // What is left as it is may not be fit to be routed to.
            let routable = active.iter().any(|unit| !left_alone(state, observed, *unit));
            let behind = routable && router.generation < state.routed.generation;
            if behind {
                found.broken("the router is not behind the log");
            }
        }
    }
    if state.teardown == Teardown::Done && !observed.containers.is_empty() {
        found.broken("nothing is left after a teardown");
    }
    found.0
}
