//! What may happen when somebody asks for it.

use std::sync::Arc;

use cutover_events::deployment::{
    Accepted, DeploymentBegun, DeploymentFailed, DeploymentPlanned, DriftSeen, IntentCancelled, IntentQueued, Reason,
    ReasonKind, ReleaseResolved, RestorePlanned, Resumed, Wish,
};
use cutover_events::errand::{ErrandBegun, ErrandEnded};
use cutover_events::plan::Plan;
use cutover_events::{DeploymentId, ErrandId, Event, ReleaseId};

use super::{gate, lists, waits};
use crate::errand;
use crate::protocol::{Rule, on};
use crate::rejected::is_automatic;
use crate::workload::{Closed, Open, Phase, Teardown, Workload};

/// Something that is asked of one workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A wish.
    Queue(IntentQueued),
    /// A wish that was made looking at this version of the workload's stream: refused when more has happened since.
    QueueAt(u64, IntentQueued),
    /// A repair that the world asks for.
    Heal(DriftSeen, IntentQueued),
    /// An end of a wish by a person.
    Cancel(DeploymentId, Insist),
    /// A person lets a parked deployment go on.
    Resume(DeploymentId),
    /// A person runs a program in a container.
    BeginErrand(ErrandBegun),
    /// It is over.
    EndErrand(ErrandEnded),
    /// A person lets changes from outside deploy the image of this release again, or every image that is rejected.
    Accept(Option<ReleaseId>),
    /// The image of the open deployment is waited for, at most so long, ms.
    Await(DeploymentId, u64),
    /// The lane goes to a wish, which keeps this spec revision.
    Begin(DeploymentId, u32),
    /// The reference of the open deployment means this.
    Resolved(ReleaseResolved),
    /// The open deployment will do this.
    Planned(DeploymentId, Box<Plan>),
    /// The open deployment, which has failed, will restore what was by this.
    Restore(DeploymentId, Box<Plan>),
}

/// Whether a person ends also what is better left to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insist {
    /// What runs its release command is left to it.
    No,
    /// It ends, whatever its release command has done by then.
    Yes,
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
    /// Its release command runs.
    #[error(
        "the release command of {0} runs: it is left to its end, or ended in the middle by `cutover cancel {0} --force`"
    )]
    Commands(DeploymentId),
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
    /// It is stopped, or is about to be.
    #[error("it was stopped by {0}: `cutover start` or a deploy brings it back")]
    Stopped(Arc<str>),
    /// It is not stopped.
    #[error("it is not stopped")]
    NotStopped,
    /// As many programs of people run in its containers as may.
    #[error("people run {0} programs in its containers already: end one of them first")]
    TooManyErrands(usize),
    /// It is over, or never was.
    #[error("{0} does not run")]
    NoSuchErrand(ErrandId),
    /// Nothing of it, or not this, is rejected.
    #[error("{}", match .0 {
        Some(release) => format!("{release} is not rejected"),
        None => "none of its images is rejected".to_owned(),
    })]
    NotRejected(Option<ReleaseId>),
}

/// The events that a command comes to.
///
/// # Errors
/// What was asked may not happen, and why.
pub fn decide(state: &Workload, command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Queue(intent) => queue(state, intent),
        Command::QueueAt(version, intent) if state.version == version => queue(state, intent),
        Command::Heal(drift, intent) if state.open.is_none() && state.queue.is_empty() => {
            let news = !state.drifts.contains(&(drift.unit, drift.drift));
            Ok(news.then(|| drift.into()).into_iter().chain([intent.into()]).collect())
        }
        Command::Cancel(id, insist) => cancel(state, id, insist),
        Command::Resume(id) => match &state.open {
            Some(open) if open.id() == id && open.parked => Ok(vec![Resumed { deployment: id }.into()]),
            Some(open) if open.id() == id => Err(Rejection::NotParked(id)),
            _ => Err(Rejection::NotOpen(id)),
        },
        Command::Begin(id, revision) if (state.open.is_none() || !on(Rule::Lane)) && state.is_open(id) => {
            Ok(vec![DeploymentBegun { deployment: id, revision }.into()])
        }
        Command::Resolved(event) if unplanned(state, event.deployment) => Ok(resolved(state, event)),
        Command::Accept(release) => accept(state, release),
        Command::BeginErrand(event) => errand::begin(state, event),
        Command::EndErrand(event) => errand::end(state, event),
        Command::Await(deployment, wait_ms) => waits::waits(state, deployment, wait_ms),
        Command::Planned(deployment, plan) if prepares(state, deployment) || plans_again(state, deployment) => {
            let again = state.open.as_ref().is_some_and(|open| open.plan.is_some());
            Ok(vec![DeploymentPlanned { deployment, plan: *plan, again }.into()])
        }
        Command::Restore(deployment, plan) => restore(state, deployment, *plan),
        Command::QueueAt(..) | Command::Heal(..) | Command::Begin(..) | Command::Resolved(_) | Command::Planned(..) => {
            Err(Rejection::MovedOn)
        }
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
    if let Some(closed) = state.closed().filter(|_| !intent.person && matches!(intent.wish, Wish::Deploy(_))) {
        return Err(match closed {
            Closed::Leaving => Rejection::Leaving,
            Closed::Stopped(by) => Rejection::Stopped(by),
        });
    }
    let stopped = || state.stopped.as_ref().map(|stopped| Rejection::Stopped(stopped.by.clone()));
    match &intent.wish {
        Wish::Restart | Wish::Heal | Wish::Stop { .. } if idle(state) && state.stopped.is_some() => {
            return Err(stopped().unwrap_or(Rejection::NothingRuns));
        }
        Wish::Stop { .. } if idle(state) => return Err(Rejection::NothingRuns),
        Wish::Start if !is_stopping(state) => return Err(Rejection::NotStopped),
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
        Wish::Deploy(_)
        | Wish::Rollback(_)
        | Wish::Restart
        | Wish::Heal
        | Wish::Teardown
        | Wish::Stop { .. }
        | Wish::Start => (),
    }
    Ok(vec![intent.into()])
}

/// Whether nothing of it runs, is to run, or is wished.
fn idle(state: &Workload) -> bool {
    let runs = state.active.is_some() || state.down.is_some() || state.open.is_some();
    !runs && state.queue.is_empty() && state.waiting.is_none()
}

/// Whether it is stopped, or cannot be kept from it any more.
fn is_stopping(state: &Workload) -> bool {
    let stops = |open: &Open| matches!(open.intent.wish, Wish::Stop { .. }) && !open.before_pivot();
    state.stopped.as_ref().is_some_and(|stopped| stopped.release.is_some()) || state.open.as_ref().is_some_and(stops)
}

/// What a reference was found to mean is recorded; an image that was rejected ends a deployment that a change from
/// outside asked for.
fn resolved(state: &Workload, event: ReleaseResolved) -> Vec<Event> {
    let open = state.open.as_ref().filter(|open| is_automatic(&open.intent));
    let rejected = state.rejected.iter().find(|rejected| *rejected.image == *event.image);
    let (Some(open), Some(rejected)) = (open, rejected) else { return vec![event.into()] };
    let text = format!("{}: `cutover accept NAME {}` lets it", rejected.why(), rejected.release);
    let reason = gate::reason(ReasonKind::Rejected, text);
    let lists = lists::undone(state, open);
    vec![DeploymentFailed { deployment: open.id(), reason, routed_back: false, lists }.into()]
}

fn accept(state: &Workload, release: Option<ReleaseId>) -> Result<Vec<Event>, Rejection> {
    let meant = state.rejected.iter().filter(|rejected| release.is_none_or(|release| rejected.release == release));
    let accepted: Vec<Event> = meant.map(|rejected| Accepted { release: rejected.release }.into()).collect();
    if accepted.is_empty() { Err(Rejection::NotRejected(release)) } else { Ok(accepted) }
}

fn cancel(state: &Workload, id: DeploymentId, insist: Insist) -> Result<Vec<Event>, Rejection> {
    let awaited = state.waiting.iter().map(|awaited| &awaited.intent);
    if state.queue.iter().chain(awaited).any(|intent: &Arc<IntentQueued>| intent.deployment == id) {
        return Ok(vec![IntentCancelled { deployment: id, lists: None }.into()]);
    }
    match &state.open {
        Some(open) if open.id() != id => Err(Rejection::NotOpen(id)),
        Some(open) if open.commands() && !open.parked && insist == Insist::No => Err(Rejection::Commands(id)),
        Some(open) if open.before_pivot() => {
            Ok(vec![IntentCancelled { deployment: id, lists: Some(lists::undone(state, open)) }.into()])
        }
        Some(_) => Err(Rejection::PastPivot(id)),
        None => Err(Rejection::NotOpen(id)),
    }
}
