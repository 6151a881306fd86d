//! The release command: started once, and nothing else until it has ended well.
//!
//! A request to start is never repeated: one that got no answer may be carried out at any later time, and Docker starts again
//! what has ended. Whoever has recorded the start may ask for it once, as long as he lives
//! ([`Answers::may_start`](crate::observed::Answers::may_start)). Where nobody can know any more whether it ran, or how it
//! ended, a person is asked, or it runs anew in a container of its own, as the plan says.

use std::sync::Arc;

use cutover_events::deployment::{Parked, ReasonKind};
use cutover_events::plan::Plan;
use cutover_events::release::{ReleaseCommandEnded, ReleaseCommandStarted};
use cutover_events::workload::OnCrash;
use cutover_events::{DeploymentId, Event, UnitId};

use super::drive::{Look, MOST_PLANS, Stepped};
use super::evolve::{Evolved, corrupt, on_open};
use super::gate::reason;
use super::next::Next;
use crate::observed::{Class, Effect, Mark, Phase as Doing, Seen};
use crate::protocol::{Rule, on};
use crate::workload::{Ran, Workload};

impl Look<'_> {
    /// The step that runs it.
    pub(super) fn run(self, plan: &Arc<Plan>, unit: UnitId, index: usize) -> Stepped {
        match self.open.ran {
            Ran::NotYet => {
                let mut events = self.done_until(plan, index);
                events.push(ReleaseCommandStarted { deployment: self.open.id(), unit }.into());
                Ok(Some(Next::Append(events)))
            }
            Ran::Started(since) => {
                let planned = plan.release_command.as_ref().map_or_else(OnCrash::default, |command| command.on_crash);
                // One that takes the host along whenever it runs must not do so for ever.
                let then = if self.open.plans < MOST_PLANS { planned } else { OnCrash::Ask };
                self.runs((unit, index), plan, (since, then))
            }
            Ran::Again(since) => self.runs((unit, index), plan, (since, OnCrash::Again)),
            Ran::Ended(0) => Ok(None),
            Ran::Ended(code) => Err((Some(unit), failed(format!("ended with exit code {code}")))),
        }
    }

    fn runs(self, (unit, index): (UnitId, usize), plan: &Plan, (since, then): (Mark, OnCrash)) -> Stepped {
        let Some(seen) = self.observed.seen(unit) else { return Ok(Some(self.unknown("its container is gone", then))) };
        match seen.phase {
            Doing::Created => self.starts(seen, then),
            Doing::Running | Doing::Restarting => {
                let wait_ms = plan.steps.get(index).map_or(0, |planned| planned.timeout_ms);
                let deadline = self.now.deadline(since, wait_ms);
                if self.now.mono_ms < deadline {
                    return Ok(Some(Next::Wait(Some(deadline))));
                }
                Err((Some(unit), failed(format!("was still running after {} s", wait_ms.div_ceil(1000)))))
            }
            Doing::Exited if seen.exit_code == 0 || !self.ended_with_its_host(seen, since) => {
                Ok(Some(self.ended(seen, since)))
            }
            Doing::Exited => Ok(Some(self.unknown("the host or Docker restarted while it ran", then))),
            Doing::Removing => Ok(Some(self.unknown("somebody removes its container", then))),
        }
    }

    /// Only who has recorded the start asks for it, and once.
    fn starts(self, seen: &Seen, then: OnCrash) -> Stepped {
        if self.observed.answers.under_way.contains(&seen.unit) {
            // It goes on beside the lane; its end wakes the lane up.
            return Ok(Some(Next::Wait(None)));
        }
        let start = Effect::Start(seen.unit, seen.id);
        match self.observed.answers.about(start) {
            Some(trouble) if trouble.class == Class::Permanent => {
                Err((Some(seen.unit), reason(trouble.kind, trouble.text.to_string())))
            }
            _ if self.observed.answers.may_start == Some(seen.unit) || !on(Rule::RunOnce) => Ok(Some(Next::Do(start))),
            _ => Ok(Some(self.unknown("the engine or Docker went away when it was to start", then))),
        }
    }

    /// Its output is kept first, while it is still there.
    fn ended(self, seen: &Seen, since: Mark) -> Next {
        let ended = ReleaseCommandEnded {
            deployment: self.open.id(),
            unit: seen.unit,
            exit_code: seen.exit_code,
            took_ms: if since.boot == self.now.boot { self.now.mono_ms.saturating_sub(since.mono_ms) } else { 0 },
        };
        self.capture(Some(seen.unit)).unwrap_or_else(|| Next::append(ended))
    }

    fn ended_with_its_host(self, seen: &Seen, since: Mark) -> bool {
        seen.lost || since.boot != self.now.boot
    }

    fn unknown(self, what: &str, then: OnCrash) -> Next {
        if then == OnCrash::Again {
            return self.replan();
        }
        let id = self.open.id();
        let text = format!(
            "{what}: nobody knows whether the release command ran, or how it ended; `cutover resume {id}` runs it again, \
             `cutover cancel {id}` gives the deployment up"
        );
        Next::append(Parked { deployment: id, reason: reason(ReasonKind::CommandFailed, text) })
    }

    /// Whether a unit needs no container any more: the release command in it was started before.
    pub(super) fn has_run_in(self, plan: &Plan, unit: UnitId) -> bool {
        self.open.ran != Ran::NotYet && plan.runs_command_in(unit)
    }
}

fn failed(how: String) -> cutover_events::deployment::Reason {
    reason(ReasonKind::CommandFailed, format!("the release command {how}"))
}

/// The container of the release command of the open deployment.
pub(super) fn planned(state: &Workload) -> Option<UnitId> {
    let plan = state.open.as_ref()?.plan.as_ref()?;
    plan.release_command.as_ref().map(|command| command.unit)
}

/// A person lets a parked deployment go on: a release command whose end is not known may run again.
pub(super) fn resumed(state: &mut Workload, event: &Event, id: DeploymentId, at: Mark) -> Evolved {
    on_open(state, event, id, |open| {
        (open.parked, open.step_since) = (false, at);
        if let Ran::Started(since) = open.ran {
            open.ran = Ran::Again(since);
        }
    })
}

pub(super) fn started(state: &mut Workload, event: &Event, e: &ReleaseCommandStarted, at: Mark) -> Evolved {
    let planned = state.open.as_ref().and_then(|open| open.plan.as_ref());
    if !planned.is_some_and(|plan| plan.runs_command_in(e.unit)) {
        return corrupt(event, format!("is about {}, which no plan has for it", e.unit));
    }
    on_open(state, event, e.deployment, |open| (open.ran, open.step_since) = (Ran::Started(at), at))
}

pub(super) fn ended(state: &mut Workload, event: &Event, e: &ReleaseCommandEnded) -> Evolved {
    let mut command = None;
    on_open(state, event, e.deployment, |open| {
        open.ran = Ran::Ended(e.exit_code);
        let plan = open.plan.as_ref().and_then(|plan| plan.release_command.as_ref());
        command = plan.zip(open.release).map(|(command, release)| (release, command.command.join(" ")));
    })?;
    let Some((release, command)) = command.filter(|_| e.exit_code == 0) else { return Ok(()) };
    let releases = Arc::make_mut(&mut state.releases).iter_mut();
    releases.filter(|known| known.id == release).for_each(|known| known.command = command.as_str().into());
    Ok(())
}
