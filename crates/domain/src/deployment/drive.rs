//! What the deployment that holds the lane must do next.

use std::sync::Arc;

use cutover_events::UnitId;
use cutover_events::deployment::{
    BlueDrained, DeploymentFailed, DeploymentSucceeded, ImageWish, Parked, Reason, RouteBackCommitted, RouteReasserted,
    StepFailed, StepSucceeded, SwapCommitted, SwapRefused, Swapped,
};
use cutover_events::plan::{Plan, Step};

use super::drift::{began_after, may_begin};
use super::gate::{behind, broken, failing, fresh, named, not_ready, ready, reason, serves};
use super::lists;
use super::next::{Decision, Next};
use crate::observed::{Class, Effect, Mark, Now, Observed, Phase as Doing, Restart, Seen, Targets, Trouble};
use crate::protocol::{Rule, on};
use crate::rejected::is_automatic;
use crate::retry;
use crate::workload::{Open, Phase, Toward, Workload};
use cutover_events::deployment::ReasonKind;

/// For finding out what a reference means, all tries together, ms (design §4).
pub(super) const RESOLVE_MS: u64 = 30_000;
/// How often a build is tried while Docker or the remote is away, a count: the pauses between add up to half a minute, as
/// long as a registry is asked.
const BUILD_TRIES: u32 = 12;
/// How often an image is asked for at least, a count: one pull may take longer than the deadline of all tries, and a connection
/// that is lost in its end must not be the end of the deployment.
const PULL_TRIES: u32 = 3;
/// For an effect of a step that Docker refuses again and again, ms: longer than any restart of a daemon takes.
const STEP_MS: u64 = 120_000;

/// What an engine that has just started, or stood still, takes to probe once, ms: before it, nobody is condemned.
const FIRST_PROBES_MS: u64 = 5_000;

/// Plans of one deployment at most: a release that takes the host or Docker down whenever it starts must not do so for
/// ever. Restarts of either in the minutes of one deployment are rare enough for four of them.
pub(super) const MOST_PLANS: u8 = 5;

/// One view on everything that a decision may use.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub state: &'a Workload,
    pub open: &'a Open,
    pub observed: &'a Observed,
    pub now: &'a Now,
}

pub(super) fn drive(look: Look<'_>) -> Next {
    if look.open.parked {
        return Next::Wait(None);
    }
    let Some(plan) = look.open.plan.clone() else { return prepare(look) };
    if let Some(why) = &look.open.failed {
        return look.after_failure(&plan, why);
    }
    if look.lost_its_host(&plan) {
        return match &look.open.restores {
            Some(why) => look.restore(&plan, why),
            None => look.replan(),
        };
    }
    match &look.open.phase {
        Phase::Preparing => look.steps(&plan),
        Phase::Opened(generation) => look.unroute(*generation),
        Phase::Unrouted => look.empty(),
        Phase::Down => look.holds().unwrap_or_else(|| look.steps(&plan)),
        Phase::Committed(generation) => look.swap(&plan, *generation),
        Phase::Fencing(generation, reason, toward) => look.fence(&plan, *generation, (reason, *toward)),
        Phase::Swapped { since, drained } => look.settle(&plan, (*since, *drained)),
        Phase::RoutingBack(generation, reason, to) => look.route_back(&plan, *generation, (reason, to)),
    }
}

/// Before the plan: what will run must be known.
fn prepare(look: Look<'_>) -> Next {
    let (open, answers) = (look.open, &look.observed.answers);
    let Some(sought) = open.intent.wish.seeks().filter(|_| open.release.is_none()) else { return look.replan() };
    if answers.resolved == Some(open.id()) {
        return Next::Decide(Decision::Resolved);
    }
    if answers.resolving == Some(open.id()) {
        // It goes on beside the lane; its end wakes the lane up.
        return Next::Wait(None);
    }
    match answers.about(Effect::Resolve(open.id())) {
        Some(trouble) if trouble.class == Class::NotYet && is_automatic(&open.intent) => Next::Decide(Decision::Await),
        Some(trouble) if look.seeks_no_more(trouble, sought) => {
            look.fail(None, reason(trouble.kind, trouble.text.to_string()))
        }
        _ => look.attempt(Effect::Resolve(open.id())),
    }
}

impl Look<'_> {
    /// Makes the plan, anew where there is one.
    pub(super) fn replan(self) -> Next {
        match self.observed.answers.about(Effect::Plan(self.open.id())) {
            Some(trouble) if self.gives_up(trouble, self.open.begun, STEP_MS) => {
                self.fail(None, reason(trouble.kind, trouble.text.to_string()))
            }
            Some(trouble) if retry::next_try(trouble) > self.now.mono_ms => Next::Wait(Some(retry::next_try(trouble))),
            _ => Next::Decide(Decision::Plan),
        }
    }

    /// Whether the host or Docker restarted under a green that was not routed yet: that ended it, not a fault of its own,
    /// unless it goes so every time.
    fn lost_its_host(self, plan: &Plan) -> bool {
        let rebooted = self.open.step_since.boot != self.now.boot;
        (self.open.before_pivot() || self.open.phase == Phase::Down)
            && self.open.plans < MOST_PLANS
            && plan
                .units
                .iter()
                .filter(|unit| !plan.runs_command_in(unit.unit))
                .filter_map(|unit| self.observed.seen(unit.unit))
                .any(|seen| seen.lost || (rebooted && !seen.phase.goes_on()))
    }

    /// Performs an effect, unless the last try failed and the time for the next one has not come.
    pub(super) fn attempt(self, effect: Effect) -> Next {
        match self.observed.answers.about(effect).map(retry::next_try) {
            Some(at) if at > self.now.mono_ms => Next::Wait(Some(at)),
            _ => Next::Do(effect),
        }
    }

    /// Whether an effect will not be tried again. A deadline counts only for a try that came back later than it: an
    /// engine or a daemon that stood still condemns nobody.
    fn gives_up(self, trouble: &Trouble, since: Mark, wait_ms: u64) -> bool {
        trouble.class != Class::Transient || trouble.at_ms >= self.now.deadline(since, wait_ms)
    }

    /// Whether an image is not sought any more. A build may take an hour and still lose its Docker at the end: what counts
    /// there is how often it was tried.
    fn seeks_no_more(self, trouble: &Trouble, sought: &ImageWish) -> bool {
        match sought {
            ImageWish::Built { .. } => trouble.class != Class::Transient || trouble.tries >= BUILD_TRIES,
            ImageWish::Reference { .. } | ImageWish::Current => {
                let tried = trouble.class != Class::Transient || trouble.tries >= PULL_TRIES;
                tried && self.gives_up(trouble, self.open.begun, RESOLVE_MS)
            }
        }
    }

    /// Before the pivot: the first step that is not seen done decides.
    pub(super) fn steps(self, plan: &Arc<Plan>) -> Next {
        for (index, planned) in plan.steps.iter().enumerate() {
            let next = match planned.step {
                Step::Retire(unit) => self.retire(unit),
                Step::Create(unit) => self.create(plan, unit, index),
                Step::Start(unit) => self.start(plan, unit),
                Step::Run(unit) => self.run(plan, unit, index),
                Step::Clear => self.clear(plan, index),
                Step::Await => self.others(plan, index),
                Step::Gate => self.gate(plan, index),
                Step::Keep => self.keep(plan),
                Step::Swap => Ok(Some(self.pivot(plan, index))),
                Step::Settle => Ok(None),
            };
            match next {
                Ok(None) => (),
                Ok(Some(Next::Do(effect))) => return self.step_effect(index, planned.step, effect),
                Ok(Some(next)) => return next,
                Err((unit, why)) => return self.step_failed((index, planned.step), unit, why),
            }
        }
        self.succeed(plan, plan.steps.len())
    }

    fn retire(self, unit: UnitId) -> Stepped {
        Ok(self
            .observed
            .seen(unit)
            .filter(|seen| seen.restart != Restart::No && seen.phase != Doing::Removing)
            .map(|seen| Next::Do(Effect::SetRestart(unit, seen.id, Restart::No))))
    }

    fn create(self, plan: &Plan, unit: UnitId, index: usize) -> Stepped {
        match self.observed.seen(unit) {
            None if self.has_run_in(plan, unit) => Ok(None),
            None if index < self.open.recorded => Err((None, broken(plan, self.observed, unit).unwrap_or_else(gone))),
            None => Ok(Some(Next::Do(Effect::Create(unit)))),
            Some(_) => Ok(None),
        }
    }

    fn start(self, plan: &Plan, unit: UnitId) -> Stepped {
        match self.observed.seen(unit) {
            Some(seen) if seen.phase == Doing::Created || (!on(Rule::SingleUse) && seen.phase == Doing::Exited) => {
                Ok(Some(Next::Do(Effect::Start(unit, seen.id))))
            }
            _ => broken(plan, self.observed, unit).map_or(Ok(None), |why| Err((Some(unit), why))),
        }
    }

    /// Those that it comes after are ready, once: what becomes of them later is theirs. While a deployment of one of them
    /// is under way, no deadline passes.
    fn others(self, plan: &Plan, index: usize) -> Stepped {
        if index < self.open.recorded {
            return Ok(None);
        }
        let others = &self.observed.behind;
        if others.is_empty() {
            return Ok(Some(Next::Append(self.done_until(plan, index + 1))));
        }
        let wait_ms = plan.steps.get(index).map_or(plan.policy.gate_timeout_ms, |planned| planned.timeout_ms);
        let deadline = self.now.deadline(self.open.step_since, wait_ms);
        let deadline = deadline.max(self.now.engine_start_ms.saturating_add(FIRST_PROBES_MS));
        if others.iter().any(|one| one.coming) {
            return Ok(Some(Next::Wait(None)));
        }
        if self.now.mono_ms >= deadline {
            return Err((None, behind(others, wait_ms)));
        }
        Ok(Some(Next::Wait(Some(deadline))))
    }

    fn gate(self, plan: &Plan, index: usize) -> Stepped {
        let mut green = fresh(plan);
        if let Some((unit, why)) = fresh(plan).find_map(|unit| Some((*unit, broken(plan, self.observed, *unit)?))) {
            return Err((Some(unit), why));
        }
        let unready = green.find(|unit| !self.observed.seen(**unit).is_some_and(|seen| ready(plan, seen)));
        let Some(unit) = unready.filter(|_| on(Rule::Gate)) else { return Ok(None) };
        if self.open.recorded < index {
            return Ok(Some(Next::Append(self.done_until(plan, index))));
        }
        let wait_ms = plan.steps.get(index).map_or(plan.policy.gate_timeout_ms, |planned| planned.timeout_ms);
        let deadline = self.now.deadline(self.open.step_since, wait_ms);
        let deadline = deadline.max(self.now.engine_start_ms.saturating_add(FIRST_PROBES_MS));
        if self.now.mono_ms >= deadline {
            return Err((Some(*unit), not_ready(self.observed, *unit, wait_ms)));
        }
        Ok(Some(Next::Wait(Some(deadline))))
    }

    fn keep(self, plan: &Plan) -> Stepped {
        let seen = plan.slot.iter().filter_map(|unit| self.observed.seen(*unit));
        Ok(seen
            .into_iter()
            .find(|seen| seen.restart != Restart::Always)
            .map(|seen| Next::Do(Effect::SetRestart(seen.unit, seen.id, Restart::Always))))
    }

    fn pivot(self, plan: &Plan, index: usize) -> Next {
        let shown = self.observed.router.as_ref().is_some_and(|router| same(&router.targets, plan.routed()));
        if !on(Rule::SwapEv) && !shown {
            let to = if plan.slot.is_empty() { Targets::Nothing } else { Targets::Green };
            return self.attempt(Effect::Put { to, generation: self.state.generation + 1 });
        }
        let mut events = self.done_until(plan, index);
        events.push(
            SwapCommitted {
                deployment: self.open.id(),
                generation: self.state.generation + 1,
                from: self.state.routed.units.to_vec(),
                to: plan.routed().to_vec(),
            }
            .into(),
        );
        Next::Append(events)
    }

    /// Steps before `index` that are done and not recorded yet.
    pub(super) fn done_until(self, plan: &Plan, index: usize) -> Vec<cutover_events::Event> {
        let deployment = self.open.id();
        let done = plan.steps.iter().enumerate().take(index).skip(self.open.recorded);
        done.map(|(index, planned)| StepSucceeded { deployment, index: index as u16, step: planned.step }.into())
            .collect()
    }

    /// An effect of a step before the pivot: refused for good, or for too long, it fails the deployment.
    fn step_effect(self, index: usize, step: Step, effect: Effect) -> Next {
        match self.observed.answers.about(effect) {
            Some(trouble) if self.gives_up(trouble, self.open.step_since, STEP_MS) => {
                let unit = match effect {
                    Effect::Start(unit, _) => Some(unit),
                    _ => None,
                };
                self.step_failed((index, step), unit, reason(trouble.kind, trouble.text.to_string()))
            }
            _ => self.attempt(effect),
        }
    }

    /// The last output of the container that failed is kept first, while it is still there.
    pub(super) fn step_failed(self, (index, step): (usize, Step), unit: Option<UnitId>, why: Reason) -> Next {
        if let Some(next) = self.capture(unit) {
            return next;
        }
        let why = named(self.open.plan.as_deref(), unit, why);
        self.fail(Some(StepFailed { deployment: self.open.id(), index: index as u16, step, reason: why.clone() }), why)
    }

    pub(super) fn capture(self, unit: Option<UnitId>) -> Option<Next> {
        let seen = self.observed.seen(unit?).filter(|seen| seen.phase != Doing::Removing)?;
        let kept = self.observed.answers.captured.contains(&seen.unit);
        (!kept).then_some(Next::Do(Effect::Capture(seen.unit, seen.id)))
    }

    fn fail(self, step: Option<StepFailed>, reason: Reason) -> Next {
        if !self.open.before_pivot() && self.is_exclusive() {
            return self.failed_down(step, reason);
        }
        let lists = lists::undone(self.state, self.open);
        let end = DeploymentFailed { deployment: self.open.id(), reason, routed_back: false, lists };
        Next::Append(step.map(Into::into).into_iter().chain([end.into()]).collect())
    }

    /// After SwapCommitted: only what the router shows counts.
    fn swap(self, plan: &Plan, generation: u64) -> Next {
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        let to = if plan.slot.is_empty() { Targets::Nothing } else { Targets::Green };
        let put = Effect::Put { to, generation };
        if router.generation >= generation || !on(Rule::SwappedAfter) {
            return match same(&router.targets, plan.routed()) || !on(Rule::SwappedAfter) {
                true => self.swapped(plan.routed().to_vec(), generation),
                false => self.refused(reason(ReasonKind::NotReady, "the router has moved on".into())),
            };
        }
        let asked = |failed: Effect| failed == put || (!on(Rule::Answer) && matches!(failed, Effect::Put { .. }));
        match self.observed.answers.trouble.as_ref().filter(|trouble| asked(trouble.effect)) {
            Some(trouble) if trouble.class != Class::Transient => {
                self.refused(reason(trouble.kind, trouble.text.to_string()))
            }
            _ => self.attempt(put),
        }
    }

    fn swapped(self, to: Vec<UnitId>, generation: u64) -> Next {
        let mut events = Vec::new();
        if let (Phase::Committed(_), Some(plan)) = (&self.open.phase, &self.open.plan)
            && let Some(index) = plan.steps.iter().position(|planned| planned.step == Step::Swap)
        {
            events.push(StepSucceeded { deployment: self.open.id(), index: index as u16, step: Step::Swap }.into());
        }
        events.push(Swapped { deployment: self.open.id(), generation, to }.into());
        Next::Append(events)
    }

    fn refused(self, reason: Reason) -> Next {
        if !on(Rule::Fence) {
            return self.fail(None, reason);
        }
        Next::append(SwapRefused { deployment: self.open.id(), generation: self.state.generation + 1, reason })
    }

    /// After SwapRefused: fence, read, then swapped or failed.
    fn fence(self, plan: &Arc<Plan>, generation: u64, (why, toward): (&Reason, Toward)) -> Next {
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        let fence = Effect::Fence { generation };
        let skipped = !on(Rule::FenceAlways) && !same(&router.targets, plan.routed());
        if router.generation < generation && !skipped {
            return match self.observed.answers.about(fence) {
                Some(trouble) if trouble.class == Class::Permanent && self.is_news(trouble) => self.park(trouble),
                _ => self.attempt(fence),
            };
        }
        match toward {
            Toward::Green if same(&router.targets, plan.routed()) => self.swapped(plan.routed().to_vec(), generation),
            Toward::Green if plan.slot.is_empty() => self.pivot_again(),
            Toward::Green if plan.has(Step::Clear) => self.gate_again(plan, why),
            Toward::Green => self.fail_captured(why.clone()),
            Toward::Blue => self.failed_back(plan, why.clone()),
        }
    }

    /// A teardown has nowhere to go back to: the fenced write is made anew.
    fn pivot_again(self) -> Next {
        Next::append(SwapCommitted {
            deployment: self.open.id(),
            generation: self.state.generation + 1,
            from: self.state.routed.units.to_vec(),
            to: Vec::new(),
        })
    }

    fn fail_captured(self, why: Reason) -> Next {
        let unit = self.open.plan.as_ref().and_then(|plan| plan.units.first()).map(|unit| unit.unit);
        self.capture(unit).unwrap_or_else(|| self.fail(None, why))
    }

    /// Whether a trouble came after the last answer of a person.
    pub(super) fn is_news(self, trouble: &Trouble) -> bool {
        self.open.step_since.boot != self.now.boot || trouble.at_ms > self.open.step_since.mono_ms
    }

    pub(super) fn park(self, trouble: &Trouble) -> Next {
        let text = format!("{}; resume it when that is mended: cutover resume {}", trouble.text, self.open.id());
        Next::append(Parked { deployment: self.open.id(), reason: reason(trouble.kind, text) })
    }

    /// Whether this deployment takes blue away before green starts.
    fn is_exclusive(self) -> bool {
        self.open.plan.as_ref().is_some_and(|plan| plan.has(Step::Clear))
    }

    /// After Swapped: the drain of blue and the bake of green, side by side.
    fn settle(self, plan: &Arc<Plan>, (since, drained): (Mark, bool)) -> Next {
        if !plan.has(Step::Settle) {
            return self.conclude(plan);
        }
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        if let Some(next) = self.watch(plan, &router.targets) {
            return next;
        }
        if router.generation < self.state.routed.generation && on(Rule::Reassert) {
            return self.route_again(plan);
        }
        let leaving = || plan.blue.iter().filter(|unit| !plan.slot.contains(unit));
        if !drained && leaving().next().is_some() {
            let busy = on(Rule::Drain) && leaving().any(|unit| router.busy.contains(unit));
            return if busy {
                Next::Wait(None)
            } else {
                Next::append(BlueDrained { deployment: self.open.id(), cut: router.cut })
            };
        }
        let hurried = self.state.queue.iter().any(|intent| may_begin(self.observed, intent));
        let baked = plan.slot.is_empty() || hurried || self.now.passed(since, plan.policy.bake_ms);
        if baked {
            self.succeed(plan, plan.steps.len())
        } else {
            Next::Wait(Some(self.now.deadline(since, plan.policy.bake_ms)))
        }
    }

    /// The router has forgotten the route to green: what is ready of it is routed again.
    fn route_again(self, plan: &Plan) -> Next {
        let is_ready = |unit: &UnitId| self.observed.seen(*unit).is_some_and(|seen| ready(plan, seen));
        let to: Vec<_> = plan.routed().iter().copied().filter(is_ready).collect();
        let generation = self.state.routed.generation;
        match () {
            () if plan.slot.is_empty() => self.attempt(Effect::Put { to: Targets::Nothing, generation }),
            () if to.is_empty() => Next::Wait(None),
            () if same(&to, &self.state.routed.units) => self.attempt(Effect::Put { to: Targets::Active, generation }),
            () => Next::append(RouteReasserted { generation: self.state.generation + 1, to }),
        }
    }

    /// Green while it is watched. Blue that still runs takes over again; without one, green stays as long as any of it
    /// runs and is routed, or may be, because no route is worse than a part of one.
    fn watch(self, plan: &Plan, routed: &[UnitId]) -> Option<Next> {
        let failures: Vec<_> = fresh(plan).filter_map(|unit| Some((*unit, self.failing(plan, *unit)?))).collect();
        let (unit, why) = failures.first()?;
        let blue: Vec<_> = self.state.active.as_ref().map(|slot| slot.routed().to_vec()).unwrap_or_default();
        let alive: Vec<_> = blue.into_iter().filter(|unit| self.takes_over(plan, *unit)).collect();
        let is_ready = |unit: &UnitId| self.observed.seen(*unit).is_some_and(|seen| ready(plan, seen));
        let stays = |unit: &UnitId| serves(self.observed, *unit) && (routed.contains(unit) || is_ready(unit));
        if alive.is_empty() && plan.routed().iter().any(stays) {
            return None;
        }
        if self.repairs_the_route(plan, stays) && failures.iter().all(|(unit, _)| !plan.routed().contains(unit)) {
            return None;
        }
        if let Some(next) = self.capture(Some(*unit)) {
            return Some(next);
        }
        Some(Next::append(RouteBackCommitted {
            deployment: self.open.id(),
            generation: self.state.generation + 1,
            to: alive,
            reason: named(Some(plan), Some(*unit), why.clone()),
        }))
    }

    /// Why a unit of green counts as failed, if so: also when a person has restarted it since the swap, while nobody
    /// looked.
    fn failing(self, plan: &Plan, unit: UnitId) -> Option<Reason> {
        let again = |seen: &&Seen| match self.open.phase {
            Phase::Swapped { since, .. } => since.boot == self.now.boot && began_after(seen, since, self.now),
            _ => false,
        };
        failing(plan, self.observed, unit).or_else(|| {
            self.observed.seen(unit).filter(|seen| seen.phase == Doing::Running).filter(again)?;
            Some(reason(ReasonKind::Restarted, "the container was started again after the swap".into()))
        })
    }

    /// Whether a repair has brought back a part of what is routed: that is not given up for a worker, which the next repair
    /// sees to.
    fn repairs_the_route(self, plan: &Plan, stays: impl Fn(&UnitId) -> bool) -> bool {
        let kept = plan.slot.iter().any(|unit| plan.blue.contains(unit));
        kept && plan.routed().iter().any(|unit| !plan.blue.contains(unit) && stays(unit))
    }

    /// Whether a unit of blue runs, and is not known to be ill: what a repair has kept is probed with its green.
    fn takes_over(self, plan: &Plan, unit: UnitId) -> bool {
        let kept = plan.slot.contains(&unit);
        self.observed.seen(unit).is_some_and(|seen| serves(self.observed, unit) && (!kept || ready(plan, seen)))
    }

    /// After RouteBackCommitted.
    fn route_back(self, plan: &Plan, generation: u64, (why, to): (&Reason, &Arc<[UnitId]>)) -> Next {
        let Some(router) = &self.observed.router else { return Next::Wait(None) };
        let put = match (to.is_empty(), &self.state.active) {
            (false, _) => Effect::Put { to: Targets::Blue, generation },
            (true, None) => Effect::Put { to: Targets::Nothing, generation },
            // Blue is dead too, and its heal will move the route: until then what Docker revives of green may serve.
            (true, Some(_)) => Effect::Fence { generation },
        };
        if router.generation >= generation {
            let shown = same(&router.targets, to);
            let back = Swapped { deployment: self.open.id(), generation, to: to.to_vec() };
            return match (shown, self.failed_back(plan, why.clone())) {
                (true, Next::Append(end)) => Next::Append([vec![back.into()], end].concat()),
                (_, next) => next,
            };
        }
        match self.observed.answers.about(put) {
            Some(trouble) if trouble.class != Class::Transient => self.refused(why.clone()),
            _ => self.attempt(put),
        }
    }

    /// The end after the swap. Where blue could not take over, the route still leads to what runs of green, and that is
    /// told.
    fn failed_back(self, plan: &Plan, reason: Reason) -> Next {
        let lists = lists::undone(self.state, self.open);
        let stays = |unit: &UnitId| self.observed.router.as_ref().is_some_and(|router| router.targets.contains(unit));
        let routed_back = !fresh(plan).any(stays);
        Next::append(DeploymentFailed { deployment: self.open.id(), reason, routed_back, lists })
    }

    pub(super) fn succeed(self, plan: &Plan, steps: usize) -> Next {
        let mut events = self.done_until(plan, steps);
        let lists = lists::done(self.state, self.open, plan, self.observed);
        events.push(DeploymentSucceeded { deployment: self.open.id(), lists }.into());
        Next::Append(events)
    }
}

/// A step is done, says what comes next, or has failed, perhaps because of a unit.
pub(super) type Stepped = Result<Option<Next>, (Option<UnitId>, Reason)>;

fn gone() -> Reason {
    reason(ReasonKind::Vanished, "the container is gone: somebody removed it".into())
}

/// Whether two lists hold the same units.
fn same(a: &[UnitId], b: &[UnitId]) -> bool {
    a.len() == b.len() && a.iter().all(|unit| b.contains(unit))
}
