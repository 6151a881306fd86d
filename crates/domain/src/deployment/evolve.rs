//! One total fold for replay and live. An impossible pair of state and event is [`CorruptLog`].

use std::sync::Arc;

use cutover_events::deployment::{
    DeploymentFailed, DeploymentPlanned, DowntimeOpened, Drift, DriftEnded, DriftSeen, Handling, IntentQueued, Lists,
    ReleaseResolved, RestorePlanned, RouteBackCommitted, StepFailed, SwapRefused, Swapped, Unrouted, Wish,
};
use cutover_events::plan::Plan;
use cutover_events::workload::Policy;
use cutover_events::{DeploymentId, Event, ReleaseId, UnitId};

use super::{release, waits};
use crate::errand;
use crate::observed::Mark;
use crate::rejected;
use crate::workload::{Open, Phase, Ran, Release, Routed, Slot, Stopped, Teardown, Toward, Workload};

/// The log holds an event that cannot have happened: a bug, or a log put together by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be true: {event} {what}")]
pub struct CorruptLog {
    /// Name of the event.
    pub event: &'static str,
    /// What does not fit.
    pub what: String,
}

pub(super) type Evolved = Result<(), CorruptLog>;

/// The state after one more event of the workload's stream.
///
/// # Errors
/// The event cannot have happened in this state.
pub fn evolve(state: &mut Workload, event: &Event, at: Mark) -> Evolved {
    let (leaving, generation) = (state.removal.len(), state.generation);
    let command = release::planned(state);
    state.version += 1;
    happened(state, event, at)?;
    if state.removal.len() > leaving {
        state.commands.extend(command.filter(|unit| state.removal.contains(unit) && !state.commands.contains(unit)));
        state.generation = state.generation.max(generation + 1);
        state.sealed = state.generation;
    }
    Ok(())
}

fn happened(state: &mut Workload, event: &Event, at: Mark) -> Evolved {
    match event {
        Event::IntentQueued(e) => queued(state, e),
        Event::IntentSuperseded(e) => {
            ended(state, event, e.deployment, e.lists.as_ref(), at).map(|open| state.shielded |= open)
        }
        Event::IntentCancelled(e) => {
            ended(state, event, e.deployment, e.lists.as_ref(), at).map(|open| state.shielded &= !open)
        }
        Event::DeploymentBegun(e) => begun(state, event, (e.deployment, e.revision), at),
        Event::ReleaseResolved(e) => resolved(state, event, e),
        Event::DeploymentPlanned(e) => planned(state, event, e, at),
        Event::StepSucceeded(e) => on_open(state, event, e.deployment, |open| {
            open.recorded = usize::from(e.index) + 1;
            open.step_since = at;
        }),
        Event::StepFailed(e) => step_failed(state, event, e),
        Event::DowntimeOpened(e) => downtime(state, event, e),
        Event::Unrouted(e) => unrouted(state, event, e),
        Event::RestorePlanned(e) => restore(state, event, e, at),
        Event::SwapCommitted(e) => commit(state, event, (e.deployment, e.generation), Phase::Committed(e.generation)),
        Event::Swapped(e) => swapped(state, event, e, at),
        Event::SwapRefused(e) => refused(state, event, e, at),
        Event::RouteBackCommitted(e) => route_back(state, event, e),
        Event::BlueDrained(e) => drained(state, event, e.deployment, at),
        Event::DeploymentSucceeded(e) => succeeded(state, event, (e.deployment, &e.lists), at),
        Event::DeploymentFailed(e) => failed(state, event, e, at),
        Event::UnitRemoved(e) => removed(state, event, e.unit),
        Event::RouteReasserted(e) => raise(state, event, e.generation).map(|()| {
            state.routed = Routed { generation: e.generation, units: e.to.as_slice().into() };
        }),
        Event::DriftSeen(e) => drifted(state, e, at),
        Event::DriftEnded(e) => drift_ended(state, event, e, at),
        Event::StandbyExpired(_) => expire(state, event),
        Event::WorkloadTornDown(_) => torn_down(state),
        Event::Parked(e) => on_open(state, event, e.deployment, |open| open.parked = true),
        Event::Resumed(e) => release::resumed(state, event, e.deployment, at),
        Event::ReleaseCommandStarted(e) => release::started(state, event, e, at),
        Event::ReleaseCommandEnded(e) => release::ended(state, event, e),
        Event::ImageAwaited(e) => waits::awaited(state, event, e, at),
        Event::Accepted(e) => accepted(state, event, e.release),
        Event::ErrandBegun(e) => errand::begun(state, event, e),
        Event::ErrandEnded(e) => errand::ended(state, event, e.errand),
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
        | Event::Frozen(_)
        | Event::Thawed(_)
        | Event::WorkloadRegistered(_)
        | Event::SpecRevised(_)
        | Event::ClaimsFreed(_)
        | Event::VolumesUnwanted(_)
        | Event::VolumesRemoved(_)
        | Event::SecretSet(_)
        | Event::SecretRemoved(_)
        | Event::SecretRekeyed(_)
        | Event::DeliveryReceived(_)
        | Event::DeliveryDecided(_) => corrupt(event, "does not belong to a workload's stream"),
    }
}

pub(super) fn corrupt<T>(event: &Event, what: impl Into<String>) -> Result<T, CorruptLog> {
    Err(CorruptLog { event: event.kind().name, what: what.into() })
}

pub(super) fn on_open(
    state: &mut Workload,
    event: &Event,
    id: DeploymentId,
    change: impl FnOnce(&mut Open),
) -> Evolved {
    match &mut state.open {
        Some(open) if open.id() == id => {
            change(open);
            Ok(())
        }
        _ => corrupt(event, format!("is about {id}, which does not hold the lane")),
    }
}

fn queued(state: &mut Workload, intent: &IntentQueued) -> Evolved {
    if state.teardown == Teardown::Done {
        state.teardown = Teardown::No;
    }
    state.queue.push(Arc::new(intent.clone()));
    Ok(())
}

/// Ends a wish before its pivot; true when it held the lane.
fn ended(
    state: &mut Workload,
    event: &Event,
    id: DeploymentId,
    lists: Option<&Lists>,
    at: Mark,
) -> Result<bool, CorruptLog> {
    if let Some(at) = state.queue.iter().position(|intent| intent.deployment == id) {
        state.queue.remove(at);
        return Ok(false);
    }
    if waits::over(state, id) {
        return Ok(false);
    }
    match (&state.open, lists) {
        (Some(open), Some(lists)) if open.id() == id && open.before_pivot() => {
            close(state, event, lists, at).map(|_| true)
        }
        _ => corrupt(event, format!("ends {id}, which neither waits nor is before its point of no return")),
    }
}

fn begun(state: &mut Workload, event: &Event, (id, revision): (DeploymentId, u32), at: Mark) -> Evolved {
    if state.open.is_some() {
        return corrupt(event, "while another deployment holds the lane");
    }
    let awaited = state.waiting.take_if(|awaited| awaited.intent.deployment == id).map(|awaited| awaited.intent);
    let queued = state.queue.iter().position(|intent| intent.deployment == id);
    let Some(intent) = awaited.or_else(|| queued.map(|index| state.queue.remove(index))) else {
        return corrupt(event, format!("begins {id}, which does not wait"));
    };
    state.teardown = Teardown::No;
    state.open = Some(Open::begun(intent, revision, at));
    Ok(())
}

fn resolved(state: &mut Workload, event: &Event, e: &ReleaseResolved) -> Evolved {
    on_open(state, event, e.deployment, |open| open.release = Some(e.release))?;
    if state.release(e.release).is_none() {
        let known = || state.releases.iter().rev().find(|release| *release.image == *e.image);
        let commit = e.built.as_ref().map(|built| built.commit.as_str()).filter(|commit| !commit.is_empty());
        let sha = match e.change.as_ref().map(|change| change.sha.as_str()).or(commit) {
            Some(sha) => sha.into(),
            None => known().map(|release| release.sha.clone()).unwrap_or_default(),
        };
        Arc::make_mut(&mut state.releases).push(Release {
            id: e.release,
            deployment: e.deployment,
            revision: e.revision,
            reference: e.reference.as_str().into(),
            image: e.image.as_str().into(),
            repo_digest: e.repo_digest.as_str().into(),
            sha,
            built: e.built.clone().map(Arc::new),
            proven: false,
            command: "".into(),
        });
    }
    Ok(())
}

/// What an earlier plan of the same deployment created goes.
fn planned(state: &mut Workload, event: &Event, e: &DeploymentPlanned, at: Mark) -> Evolved {
    on_open(state, event, e.deployment, |open| open.release = e.plan.release)?;
    plan_again(state, &e.plan, at);
    Ok(())
}

fn plan_again(state: &mut Workload, plan: &Plan, at: Mark) {
    let Some(open) = &mut state.open else { return };
    (open.recorded, open.step_since, open.refusals) = (0, at, (0, Mark::default()));
    open.plans = open.plans.saturating_add(1);
    // What has ended well is not done again; what is not known to have ended is.
    open.ran = if open.ran == Ran::Ended(0) { open.ran } else { Ran::NotYet };
    let former = open.plan.replace(Arc::new(plan.clone()));
    for plan in former.iter() {
        let units: Vec<_> = plan.units.iter().map(|unit| unit.unit).collect();
        leave(state, &units, plan);
    }
}

/// Units go to the removal list, with the time that their plan gives them to end.
fn leave(state: &mut Workload, units: &[UnitId], plan: &Plan) {
    for unit in units {
        if !state.removal.contains(unit) {
            state.removal.push(*unit);
        }
        grant(state, *unit, plan);
    }
}

fn grant(state: &mut Workload, unit: UnitId, plan: &Plan) {
    let usual = Policy::default().stop_timeout_ms;
    if plan.policy.stop_timeout_ms != usual && state.grace(unit).is_none() {
        state.graces.push((unit, plan.policy.stop_timeout_ms));
    }
}

/// Past the point of no return of an exclusive deployment a failure is not the end: a restore may follow.
fn step_failed(state: &mut Workload, event: &Event, e: &StepFailed) -> Evolved {
    on_open(state, event, e.deployment, |open| {
        if !open.before_pivot() {
            open.failed = Some(Arc::new(e.reason.clone()));
        }
    })
}

fn downtime(state: &mut Workload, event: &Event, e: &DowntimeOpened) -> Evolved {
    if !state.open.as_ref().is_some_and(Open::before_pivot) {
        return corrupt(event, "opens a downtime past the point of no return");
    }
    commit(state, event, (e.deployment, e.generation), Phase::Opened(e.generation))?;
    retire_standby(state);
    let was = state.active.take();
    if let Some(slot) = &was {
        forget_drifts(state, &slot.units);
        leave(state, &slot.units, &slot.plan);
    }
    on_open(state, event, e.deployment, |open| open.was = was)
}

fn unrouted(state: &mut Workload, event: &Event, e: &Unrouted) -> Evolved {
    if state.open.as_ref().map(|open| &open.phase) != Some(&Phase::Opened(e.generation)) {
        return corrupt(event, "without a downtime that was opened at its generation");
    }
    state.routed = Routed { generation: e.generation, units: Arc::new([]) };
    on_open(state, event, e.deployment, |open| {
        open.phase = if open.was.is_some() { Phase::Unrouted } else { Phase::Down };
    })
}

fn restore(state: &mut Workload, event: &Event, e: &RestorePlanned, at: Mark) -> Evolved {
    if state.open.as_ref().is_none_or(|open| open.was.is_none()) {
        return corrupt(event, "restores what was never taken away");
    }
    on_open(state, event, e.deployment, |open| {
        (open.failed, open.restores) = (None, Some(Arc::new(e.reason.clone())));
        open.phase = Phase::Down;
    })?;
    plan_again(state, &e.plan, at);
    Ok(())
}

fn raise(state: &mut Workload, event: &Event, generation: u64) -> Evolved {
    if generation != state.generation + 1 {
        return corrupt(event, format!("has generation {generation}, but {} was the last", state.generation));
    }
    state.generation = generation;
    Ok(())
}

fn commit(state: &mut Workload, event: &Event, (id, generation): (DeploymentId, u64), phase: Phase) -> Evolved {
    raise(state, event, generation)?;
    on_open(state, event, id, |open| open.phase = phase)
}

fn swapped(state: &mut Workload, event: &Event, e: &Swapped, at: Mark) -> Evolved {
    let committed = state.open.as_ref().and_then(Open::committed);
    if committed != Some(e.generation) {
        return corrupt(event, format!("has generation {}, but {committed:?} was committed", e.generation));
    }
    state.routed = Routed { generation: e.generation, units: e.to.as_slice().into() };
    on_open(state, event, e.deployment, |open| match open.phase {
        Phase::RoutingBack(..) | Phase::Fencing(_, _, Toward::Blue) => (),
        Phase::Preparing
        | Phase::Opened(_)
        | Phase::Unrouted
        | Phase::Down
        | Phase::Committed(_)
        | Phase::Fencing(..)
        | Phase::Swapped { .. } => {
            open.phase = Phase::Swapped { since: at, drained: false };
        }
    })
}

fn drained(state: &mut Workload, event: &Event, id: DeploymentId, at: Mark) -> Evolved {
    on_open(state, event, id, |open| match &mut open.phase {
        Phase::Swapped { drained, .. } => *drained = true,
        Phase::Unrouted => (open.phase, open.step_since) = (Phase::Down, at),
        Phase::Preparing
        | Phase::Opened(_)
        | Phase::Down
        | Phase::Committed(_)
        | Phase::Fencing(..)
        | Phase::RoutingBack(..) => (),
    })
}

fn refused(state: &mut Workload, event: &Event, e: &SwapRefused, at: Mark) -> Evolved {
    on_open(state, event, e.deployment, |open| open.refusals = (open.refusals.0.saturating_add(1), at))?;
    let toward = match state.open.as_ref().map(|open| &open.phase) {
        Some(Phase::RoutingBack(..)) => Toward::Blue,
        _ => Toward::Green,
    };
    commit(state, event, (e.deployment, e.generation), Phase::Fencing(e.generation, e.reason.clone(), toward))
}

fn route_back(state: &mut Workload, event: &Event, e: &RouteBackCommitted) -> Evolved {
    let phase = Phase::RoutingBack(e.generation, e.reason.clone(), e.to.as_slice().into());
    commit(state, event, (e.deployment, e.generation), phase)
}

/// Ends the open deployment and takes over the lists.
fn close(state: &mut Workload, event: &Event, lists: &Lists, at: Mark) -> Result<Open, CorruptLog> {
    let Some(open) = state.open.take() else { return corrupt(event, "without an open deployment") };
    let slot_of = |state: &Workload, reference: &cutover_events::deployment::SlotRef| {
        let from = |slot: &Slot| (slot.units[..] == reference.units[..]).then(|| slot.plan.clone());
        let planned = open.plan.as_ref().filter(|plan| plan.slot == reference.units).cloned();
        let known =
            state.active.as_ref().and_then(from).or_else(|| state.standby.as_ref().and_then(|(slot, _)| from(slot)));
        let plan = if reference.deployment == open.id() { planned.or(known) } else { known.or(planned) };
        plan.map(|plan| Slot {
            release: reference.release,
            deployment: reference.deployment,
            plan,
            units: reference.units.as_slice().into(),
        })
    };
    let active = lists.active.as_ref().map(|reference| slot_of(state, reference));
    let standby = lists.standby.as_ref().map(|reference| slot_of(state, reference));
    if active.as_ref().is_some_and(Option::is_none) || standby.as_ref().is_some_and(Option::is_none) {
        return corrupt(event, "names a slot that no plan knows");
    }
    let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot)).cloned();
    let (slots, before): (Vec<_>, _) = (slots.collect(), state.removal.clone());
    let was = state.active.as_ref().map(|slot| slot.units.clone());
    state.active = active.flatten();
    state.standby = match (state.standby.take(), standby.flatten()) {
        (Some((old, since)), Some(new)) if old.units == new.units => Some((new, since)),
        (_, new) => new.map(|slot| (slot, at)),
    };
    state.removal.clone_from(&lists.removal);
    keep_known(state, was.as_ref(), at);
    for unit in lists.removal.iter().filter(|unit| !before.contains(unit)) {
        let slot = slots.iter().find(|slot| slot.units.contains(unit)).map(|slot| &slot.plan);
        if let Some(plan) = slot.or(open.plan.as_ref()) {
            grant(state, *unit, plan);
        }
    }
    consistent(state, event)?;
    Ok(open)
}

/// What is active now is known to run since now, unless it was active before; what is in no slot any more is forgotten.
fn keep_known(state: &mut Workload, before: Option<&Arc<[UnitId]>>, at: Mark) {
    let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot));
    let used: Vec<_> = slots.flat_map(|slot| slot.units.iter()).copied().collect();
    state.drifts.retain(|(unit, drift)| used.contains(unit) || *drift == Drift::Orphan);
    if state.active.as_ref().map(|slot| &slot.units) != before {
        state.runs_since = at;
        state.runs.clear();
    }
}

/// A unit that is to be removed and also in use is a lie.
fn consistent(state: &Workload, event: &Event) -> Evolved {
    let used = |unit: &UnitId| {
        state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot)).any(|slot| slot.units.contains(unit))
    };
    match state.removal.iter().find(|unit| used(unit)) {
        Some(unit) => corrupt(event, format!("lists {unit} for removal while it is in use")),
        None => Ok(()),
    }
}

fn succeeded(state: &mut Workload, event: &Event, (id, lists): (DeploymentId, &Lists), at: Mark) -> Evolved {
    on_open(state, event, id, |_| ())?;
    let former = state.current_release().map(|release| release.id);
    let open = close(state, event, lists, at)?;
    state.shielded = false;
    (state.down, state.stopped) = (None, None);
    let former = open.was.as_ref().map(|slot| slot.release).or(former);
    match &open.intent.wish {
        Wish::Teardown => state.teardown = Teardown::Removing(id),
        Wish::Stop { by } => {
            state.stopped = Some(Stopped { by: by.as_str().into(), deployment: id, release: former });
        }
        Wish::Deploy(_) | Wish::Rollback(_) | Wish::Restart | Wish::Heal | Wish::Start => {
            state.heals = Default::default();
        }
    }
    rejected::succeeded(state, &open, former);
    let active = state.active.as_ref().map(|slot| slot.release);
    if let Some(release) = Arc::make_mut(&mut state.releases).iter_mut().find(|release| Some(release.id) == active) {
        release.proven = true;
    }
    keep_releases(state, &open);
    Ok(())
}

/// The newest of those that have been live, and of those that have not: a row of failures pushes no release out that
/// can be gone back to.
fn keep_releases(state: &mut Workload, ended: &Open) {
    let Some(plan) = &ended.plan else { return };
    let keep = usize::from(plan.policy.keep_releases.max(1));
    let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot));
    let stopped = state.stopped.as_ref().and_then(|stopped| stopped.release);
    let used: Vec<_> = slots.map(|slot| slot.release).chain(state.down).chain(stopped).collect();
    let releases = Arc::make_mut(&mut state.releases);
    let count = |proven| releases.iter().filter(|release| release.proven == proven).count().saturating_sub(keep);
    let (mut proven, mut failed) = (count(true), count(false));
    releases.retain(|release| {
        let surplus = if release.proven { &mut proven } else { &mut failed };
        let drop = *surplus > 0 && !used.contains(&release.id);
        *surplus -= usize::from(drop);
        !drop
    });
}

fn failed(state: &mut Workload, event: &Event, e: &DeploymentFailed, at: Mark) -> Evolved {
    if waits::over(state, e.deployment) {
        return Ok(());
    }
    on_open(state, event, e.deployment, |_| ())?;
    let open = close(state, event, &e.lists, at)?;
    rejected::failed(state, &open, e.reason.kind);
    state.shielded = false;
    state.down = match (&state.active, &open.was) {
        (Some(_), _) => None,
        (None, Some(was)) => Some(was.release),
        (None, None) => state.down,
    };
    keep_releases(state, &open);
    if open.intent.wish == Wish::Heal || state.down.is_some() {
        state.heals.failed += 1;
        state.heals.last = at;
    }
    Ok(())
}

fn removed(state: &mut Workload, event: &Event, unit: UnitId) -> Evolved {
    let before = state.removal.len();
    state.removal.retain(|listed| *listed != unit);
    state.graces.retain(|(listed, _)| *listed != unit);
    state.commands.retain(|listed| *listed != unit);
    if state.removal.len() == before {
        corrupt(event, format!("is about {unit}, which is not to be removed"))
    } else {
        Ok(())
    }
}

fn drifted(state: &mut Workload, e: &DriftSeen, at: Mark) -> Evolved {
    match (e.drift, e.handling) {
        (Drift::Orphan, Handling::Repair) => {
            forget_drifts(state, &[e.unit]);
            state.removal.push(e.unit);
            return Ok(());
        }
        (Drift::StandbyDead, Handling::Repair) => {
            retire_standby(state);
            return Ok(());
        }
        // What ended is not paused any more, nor anything else.
        (Drift::Gone | Drift::Dead, _) => forget_drifts(state, &[e.unit]),
        (Drift::Restarted, _) => runs(state, e.unit, at),
        _ => (),
    }
    if !state.drifts.contains(&(e.unit, e.drift)) {
        state.drifts.push((e.unit, e.drift));
    }
    Ok(())
}

fn accepted(state: &mut Workload, event: &Event, release: ReleaseId) -> Evolved {
    match rejected::accepted(state, release) {
        true => Ok(()),
        false => corrupt(event, format!("is about {release}, which is not rejected")),
    }
}

fn torn_down(state: &mut Workload) -> Evolved {
    state.teardown = Teardown::Done;
    Ok(())
}

fn drift_ended(state: &mut Workload, event: &Event, e: &DriftEnded, at: Mark) -> Evolved {
    let Some(index) = state.drifts.iter().position(|noted| *noted == (e.unit, e.drift)) else {
        return corrupt(event, format!("ends a difference of {} that was not recorded", e.unit));
    };
    state.drifts.remove(index);
    // What was dead and runs again has been started by a person.
    if matches!(e.drift, Drift::Restarted | Drift::Dead | Drift::Gone) {
        runs(state, e.unit, at);
    }
    Ok(())
}

/// From here on the unit is known to run.
fn runs(state: &mut Workload, unit: UnitId, at: Mark) {
    state.runs.retain(|(known, _)| *known != unit);
    state.runs.push((unit, at));
}

fn forget_drifts(state: &mut Workload, units: &[UnitId]) {
    state.drifts.retain(|(unit, _)| !units.contains(unit));
}

fn retire_standby(state: &mut Workload) {
    if let Some((slot, _)) = state.standby.take() {
        forget_drifts(state, &slot.units);
        leave(state, &slot.units, &slot.plan);
    }
}

fn expire(state: &mut Workload, event: &Event) -> Evolved {
    if state.standby.is_none() || state.open.as_ref().is_some_and(Open::adopts) {
        return corrupt(event, "without a standby that may go");
    }
    retire_standby(state);
    Ok(())
}
