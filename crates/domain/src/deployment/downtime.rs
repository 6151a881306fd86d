//! An exclusive deployment past its point of no return: nothing is served until one container of the workload is ready
//! again, the new one or, once, one of the release of before.

use std::sync::Arc;

use cutover_events::deployment::{
    BlueDrained, DeploymentFailed, DowntimeOpened, Lists, Reason, SlotRef, StepFailed, Unrouted,
};
use cutover_events::plan::{Plan, Step};
use cutover_events::{Event, UnitId};

use super::drive::{Look, Stepped};
use super::gate::{reason, serves};
use super::lists::add;
use super::next::{Decision, Next};
use crate::observed::{Class, Effect, Seen, Targets};
use crate::protocol::{Rule, on};
use crate::retry;
use crate::workload::Phase;

/// Refusals of the router's probe after which a container counts as not ready although the gate has passed.
const REFUSALS: u8 = 5;

impl Look<'_> {
    /// The pivot of an exclusive plan.
    pub(super) fn open_downtime(self, plan: &Plan, index: usize) -> Next {
        let mut events = self.done_until(plan, index);
        events.push(
            DowntimeOpened {
                deployment: self.open.id(),
                generation: self.state.generation + 1,
                from: self.state.routed.units.to_vec(),
            }
            .into(),
        );
        Next::Append(events)
    }

    /// After DowntimeOpened. The write is never skipped because things look right already: it fences what was sent before.
    pub(super) fn unroute(self, generation: u64) -> Next {
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        if router.generation >= generation && router.targets.is_empty() {
            return Next::append(Unrouted { deployment: self.open.id(), generation });
        }
        let put = Effect::Put { to: Targets::Held, generation };
        match self.observed.answers.about(put) {
            Some(trouble) if trouble.class == Class::Permanent && self.is_news(trouble) => self.park(trouble),
            _ => self.attempt(put),
        }
    }

    /// After Unrouted: blue's requests end, at the latest at their deadline in the router.
    pub(super) fn empty(self) -> Next {
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        let mut blue = self.open.was.iter().flat_map(|slot| slot.units.iter());
        if blue.any(|unit| router.busy.contains(unit)) {
            return Next::Wait(None);
        }
        Next::append(BlueDrained { deployment: self.open.id(), cut: router.cut })
    }

    /// The step that clears the way: before the pivot it opens the downtime, afterwards it waits until nothing else is left.
    pub(super) fn clear(self, plan: &Plan, index: usize) -> Stepped {
        if self.open.before_pivot() {
            return Ok(Some(self.open_downtime(plan, index)));
        }
        let other = |seen: &Seen| plan.unit(seen.unit).is_none();
        if on(Rule::Clear) && self.observed.containers.iter().any(other) {
            return Ok(Some(Next::Wait(None)));
        }
        let news = self.open.recorded <= index;
        Ok(news.then(|| Next::Append(self.done_until(plan, index + 1))))
    }

    /// Requests wait at the routes of what was: a router that has forgotten them is told again.
    pub(super) fn holds(self) -> Option<Next> {
        let router = self.observed.router.as_ref()?;
        let generation = self.state.routed.generation;
        let forgot = router.generation < generation && self.open.phase == Phase::Down;
        forgot.then(|| self.attempt(Effect::Put { to: Targets::Held, generation }))
    }

    /// A step has failed while nothing is served: this is recorded first, and decides what follows.
    pub(super) fn failed_down(self, step: Option<StepFailed>, why: Reason) -> Next {
        let Some(plan) = &self.open.plan else { return Next::Wait(None) };
        let index = self.open.recorded.min(plan.steps.len().saturating_sub(1));
        let here = plan.steps.get(index).map_or(Step::Clear, |planned| planned.step);
        let made = || StepFailed { deployment: self.open.id(), index: index as u16, step: here, reason: why };
        Next::append(step.unwrap_or_else(made))
    }

    /// After a failure: what was is restored, once; a restore that fails too ends the deployment.
    pub(super) fn after_failure(self, plan: &Plan, why: &Arc<Reason>) -> Next {
        let again = self.open.restores.is_some() && on(Rule::OneRestore);
        if again || self.open.was.is_none() {
            return self.end_down(plan, why);
        }
        self.restore(plan, why)
    }

    /// Plans the restore, anew where the host has restarted under it.
    pub(super) fn restore(self, plan: &Plan, why: &Arc<Reason>) -> Next {
        match self.observed.answers.about(Effect::Plan(self.open.id())) {
            Some(trouble) if trouble.class != Class::Transient => self.end_down(plan, why),
            Some(trouble) if retry::next_try(trouble) > self.now.mono_ms => Next::Wait(Some(retry::next_try(trouble))),
            _ => Next::Decide(Decision::Restore),
        }
    }

    /// The end of a deployment that has failed. A restore whose process lives is never killed: it is active, and routed as
    /// soon as it is ready.
    fn end_down(self, plan: &Plan, last: &Reason) -> Next {
        let restored = self.open.restores.as_ref();
        let lives = restored.is_some() && plan.slot.iter().all(|unit| serves(self.observed, *unit));
        let why = match restored {
            Some(first) => {
                let text = format!("{}; the release of before did not come back either: {}", first.text, last.text);
                reason(first.kind, text)
            }
            None => last.clone(),
        };
        Next::append(self.failure(why, lives.then_some(plan)))
    }

    /// After Swapped: what is routed is ready, and there is nothing to go back to.
    pub(super) fn conclude(self, plan: &Plan) -> Next {
        match &self.open.restores {
            Some(why) => Next::append(self.failure(Reason::clone(why), Some(plan))),
            None => self.succeed(plan, plan.steps.len()),
        }
    }

    /// The end, with the slot of this plan as what runs from here on, if any.
    fn failure(self, reason: Reason, runs: Option<&Plan>) -> Event {
        let slot = |plan: &Plan| {
            Some(SlotRef { release: plan.release?, deployment: self.open.id(), units: plan.slot.clone() })
        };
        let mut lists = Lists { active: runs.and_then(slot), standby: None, removal: self.state.removal.clone() };
        let made = self.open.plan.iter().filter(|_| lists.active.is_none()).flat_map(|plan| plan.units.iter());
        add(&mut lists.removal, made.map(|unit| unit.unit));
        DeploymentFailed { deployment: self.open.id(), reason, routed_back: false, lists }.into()
    }

    /// The router refused a container that the gate let pass: back to the gate, at a pace, at a new generation.
    pub(super) fn gate_again(self, plan: &Arc<Plan>, why: &Reason) -> Next {
        let (refusals, at) = self.open.refusals;
        if refusals >= REFUSALS {
            let unit: Option<UnitId> = plan.slot.first().copied();
            let index = plan.steps.iter().position(|planned| planned.step == Step::Gate).unwrap_or_default();
            return self.step_failed((index, Step::Gate), unit, why.clone());
        }
        let again = self.now.deadline(at, retry::gate_delay(refusals));
        if again > self.now.mono_ms { Next::Wait(Some(again)) } else { self.steps(plan) }
    }
}
