//! What may happen when somebody asks for it.

use std::sync::Arc;

use cutover_events::deployment::{
    DeploymentBegun, DeploymentPlanned, DriftSeen, IntentCancelled, IntentQueued, Reason, ReleaseResolved,
    RestorePlanned, Resumed, Wish,
};
use cutover_events::plan::Plan;
use cutover_events::{DeploymentId, Event, ReleaseId};

use super::lists;
use crate::protocol::{Rule, on};
use crate::workload::{Open, Phase, Teardown, Workload};

/// Something that is asked of one workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A wish.
    Queue(IntentQueued),
    /// A repair that the world asks for.
    Heal(DriftSeen, IntentQueued),
    /// An end of a wish by a person.
    Cancel(DeploymentId),
    /// A person lets a parked deployment go on.
    Resume(DeploymentId),
    /// The lane goes to a wish, which keeps this spec revision.
    Begin(DeploymentId, u32),
    /// The reference of the open deployment means this.
    Resolved(ReleaseResolved),
    /// The open deployment will do this.
    Planned(DeploymentId, Box<Plan>),
    /// The open deployment, which has failed, will restore what was by this.
    Restore(DeploymentId, Box<Plan>),
}

/// Why something that was asked for does not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The workload runs nothing.
    #[error("nothing of it runs: deploy it first")]
    NothingRuns,
    /// There is no such release, or it never succeeded.
    #[error("there is no release {0} that has been live")]
    NoSuchRelease(ReleaseId),
    /// There is no earlier release.
    #[error("there is no earlier release to go back to")]
    NothingBefore,
    /// No such deployment waits or runs.
    #[error("{0} neither waits nor runs: it has ended, or never was")]
    NotOpen(DeploymentId),
    /// The swap is committed.
    #[error("{0} is past its point of no return: it finishes; roll back afterwards if you want the old release")]
    PastPivot(DeploymentId),
    /// The deployment does not wait for a person.
    #[error("{0} is not parked")]
    NotParked(DeploymentId),
    /// The state has moved on since it was asked.
    #[error("the workload has moved on")]
    MovedOn,
    /// There is nothing to tear down.
    #[error("it is torn down already")]
    TornDown,
    /// It is torn down, or is about to be.
    #[error("it is torn down, or is about to be: apply or deploy it yourself to bring it back")]
    Leaving,
}

/// The events that a command comes to.
///
/// # Errors
/// What was asked may not happen, and why.
pub fn decide(state: &Workload, command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Queue(intent) => queue(state, intent),
        Command::Heal(drift, intent) if state.open.is_none() && state.queue.is_empty() => {
            let news = !state.drifts.contains(&(drift.unit, drift.drift));
            Ok(news.then(|| drift.into()).into_iter().chain([intent.into()]).collect())
        }
        Command::Cancel(id) => cancel(state, id),
        Command::Resume(id) => match &state.open {
            Some(open) if open.id() == id && open.parked => Ok(vec![Resumed { deployment: id }.into()]),
            Some(open) if open.id() == id => Err(Rejection::NotParked(id)),
            _ => Err(Rejection::NotOpen(id)),
        },
        Command::Begin(id, revision) if (state.open.is_none() || !on(Rule::Lane)) && state.is_open(id) => {
            Ok(vec![DeploymentBegun { deployment: id, revision }.into()])
        }
        Command::Resolved(event) if unplanned(state, event.deployment) => Ok(vec![event.into()]),
        Command::Planned(deployment, plan) if prepares(state, deployment) || plans_again(state, deployment) => {
            Ok(vec![DeploymentPlanned { deployment, plan: *plan }.into()])
        }
        Command::Restore(deployment, plan) => restore(state, deployment, *plan),
        Command::Heal(..) | Command::Begin(..) | Command::Resolved(_) | Command::Planned(..) => Err(Rejection::MovedOn),
    }
}

fn prepares(state: &Workload, id: DeploymentId) -> bool {
    state.open.as_ref().is_some_and(|open| open.id() == id && open.before_pivot())
}

/// Whether a deployment that is past its downtime may be planned again: its green ended with the host.
fn plans_again(state: &Workload, id: DeploymentId) -> bool {
    let down = |open: &Open| open.id() == id && open.phase == Phase::Down;
    state.open.as_ref().is_some_and(|open| down(open) && open.failed.is_none() && open.restores.is_none())
}

fn restore(state: &Workload, deployment: DeploymentId, plan: Plan) -> Result<Vec<Event>, Rejection> {
    let open = state.open.as_ref().filter(|open| open.id() == deployment && open.was.is_some());
    let why = open.and_then(|open| open.restores.as_ref().or(open.failed.as_ref()));
    let reason = why.map(|why| Reason::clone(why)).ok_or(Rejection::MovedOn)?;
    Ok(vec![RestorePlanned { deployment, plan, reason }.into()])
}

fn unplanned(state: &Workload, id: DeploymentId) -> bool {
    prepares(state, id) && state.open.as_ref().is_some_and(|open| open.plan.is_none())
}

fn queue(state: &Workload, intent: IntentQueued) -> Result<Vec<Event>, Rejection> {
    match &intent.wish {
        Wish::Restart | Wish::Heal if state.active.is_none() && state.down.is_none() => {
            return Err(Rejection::NothingRuns);
        }
        Wish::Rollback(None) if state.previous_release().is_none() => return Err(Rejection::NothingBefore),
        Wish::Rollback(Some(id)) if !state.release(*id).is_some_and(|release| release.proven) => {
            return Err(Rejection::NoSuchRelease(*id));
        }
        Wish::Teardown if state.teardown == Teardown::Done && state.queue.is_empty() => {
            return Err(Rejection::TornDown);
        }
        Wish::Deploy(_) if !intent.person && leaves(state) => return Err(Rejection::Leaving),
        Wish::Deploy(_) | Wish::Rollback(_) | Wish::Restart | Wish::Heal | Wish::Teardown => (),
    }
    Ok(vec![intent.into()])
}

/// Whether a person has decided that the workload goes: only a person brings it back.
fn leaves(state: &Workload) -> bool {
    let newest_first = state.queue.iter().rev().chain(state.open.iter().map(|open| &open.intent));
    let newest = newest_first.into_iter().find(|intent| intent.person);
    newest.map_or(state.teardown != Teardown::No, |intent| intent.wish == Wish::Teardown)
}

fn cancel(state: &Workload, id: DeploymentId) -> Result<Vec<Event>, Rejection> {
    if state.queue.iter().any(|intent: &Arc<IntentQueued>| intent.deployment == id) {
        return Ok(vec![IntentCancelled { deployment: id, lists: None }.into()]);
    }
    match &state.open {
        Some(open) if open.id() != id => Err(Rejection::NotOpen(id)),
        Some(open) if open.before_pivot() => {
            Ok(vec![IntentCancelled { deployment: id, lists: Some(lists::undone(state, open)) }.into()])
        }
        Some(_) => Err(Rejection::PastPivot(id)),
        None => Err(Rejection::NotOpen(id)),
    }
}
