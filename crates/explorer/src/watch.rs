//! What a history as a whole must keep: ends, names, generations, supersedes, releases. It reads events only.

use cutover_domain::workload::{Ran, Workload};
use cutover_events::deployment::{ImageWish, IntentQueued, IntentSuperseded, Wish};
use cutover_events::plan::Plan;
use cutover_events::workload::OnCrash;
use cutover_events::{DeploymentId, Event, ReleaseId, UnitId};

use crate::ids;
use crate::log::Log;
use crate::scene::Lie;

/// More wishes than any scenario has.
pub(crate) const WISHES: usize = 8;

/// What became of a wish.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum End {
    /// Not yet accepted, or not yet over.
    #[default]
    None,
    /// Not accepted: it made no sense when it was asked.
    Refused,
    Succeeded,
    Failed,
    Superseded,
    Cancelled,
    /// Accepted, and gone with the tail of the log.
    Gone,
}

/// Where the image that comes late is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Late {
    /// Still being built.
    #[default]
    Built,
    /// In its registry.
    Pushed,
}

/// What is remembered of a history, beside its fold.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is remembered, and they are never arguments")]
pub(crate) struct Course {
    /// How many wishes were asked and heard of.
    pub(crate) asked: u8,
    /// Wishes that were accepted, one bit each: what the log knows by key.
    pub(crate) accepted: u8,
    pub(crate) ends: [End; WISHES],
    /// Where the image that comes late is.
    pub(crate) late: Late,
    /// The newest settings, counted from 1.
    pub(crate) revision: u8,
    /// Generations that may lead nowhere, one bit each.
    farewells: u128,
    /// The deployment that ended last held the lane and was superseded by something else than what ends the service.
    superseded: bool,
    /// The number of the commit that the newest write to the proxy witnesses.
    pub(crate) witnessed: u32,
    /// Whether a person is at work.
    pub(crate) frozen: bool,
    /// How often the tail of the log went.
    pub(crate) tails: u8,
    /// How often the release command of a wish was started, and may be: once, and again for each person who lets it, or
    /// plan that says so.
    ran: [u8; WISHES],
    may_run: [u8; WISHES],
}

impl Course {
    /// An event is about to change this state.
    pub(crate) fn before(&mut self, work: &Workload, log: &Log, event: &Event) -> Result<(), Lie> {
        match event {
            Event::IntentQueued(e) => self.accept(e),
            Event::IntentSuperseded(e) => self.supersede(work, e),
            Event::IntentCancelled(e) => {
                self.over(work, e.deployment);
                self.end(e.deployment, End::Cancelled)
            }
            Event::DeploymentSucceeded(e) => {
                self.over(work, e.deployment);
                self.end(e.deployment, End::Succeeded)?;
                succeeded(work, e.deployment, e.lists.active.as_ref().map(|slot| slot.release))
            }
            Event::DeploymentFailed(e) => {
                self.over(work, e.deployment);
                self.end(e.deployment, End::Failed)
            }
            Event::ReleaseResolved(e) => {
                let rejected = work.rejected.iter().any(|rejected| *rejected.image == *e.image);
                let automatic = work.open.as_ref().is_some_and(|open| !open.intent.person);
                if rejected && automatic {
                    Err(format!("{} brings back what was rejected", e.deployment))
                } else {
                    Ok(())
                }
            }
            Event::DeploymentPlanned(e) => {
                let former = work.open.as_ref().and_then(|open| open.plan.as_ref());
                let first = former.is_none_or(|plan| plan.release_command.is_none());
                let command = e.plan.release_command.as_ref();
                let more = command.filter(|command| first || command.on_crash == OnCrash::Again);
                self.may_run(e.deployment, u8::from(more.is_some()));
                plan_is_sound(&e.plan, log)
            }
            Event::Resumed(e) => {
                self.may_run(e.deployment, 1);
                Ok(())
            }
            Event::RestorePlanned(e) => {
                let was = work.open.as_ref().and_then(|open| open.was.as_ref()).map(|slot| slot.release);
                if work.open.as_ref().is_some_and(|open| open.restores.is_some() && open.failed.is_some()) {
                    return Err("a restore that has failed is repeated".into());
                }
                if e.plan.release != was {
                    return Err(format!("{:?} is restored, and {was:?} ran", e.plan.release));
                }
                plan_is_sound(&e.plan, log)
            }
            Event::DowntimeOpened(e) => {
                has_run(work, event)?;
                self.farewell(e.generation, &[]);
                Ok(())
            }
            Event::SwapCommitted(e) => {
                has_run(work, event)?;
                self.farewell(e.generation, &e.to);
                Ok(())
            }
            Event::RouteBackCommitted(e) => {
                if work.active.is_none() {
                    self.farewell(e.generation, &e.to);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An event has changed the state to this; `active` ran before.
    pub(crate) fn after(&mut self, active: Option<ReleaseId>, work: &Workload, event: &Event) -> Result<(), Lie> {
        let runs = work.active.as_ref().map(|slot| slot.release);
        let right = match event {
            Event::DeploymentSucceeded(_) => true,
            Event::DowntimeOpened(_) => runs.is_none(),
            // What a restore has brought back.
            Event::DeploymentFailed(_) => active.is_none() && runs.is_some_and(|id| proven(work, id)),
            _ => false,
        };
        if runs == active || right {
            return Ok(());
        }
        Err(format!("{} changes what runs from {active:?} to {runs:?}", event.kind().name))
    }

    fn accept(&mut self, intent: &IntentQueued) -> Result<(), Lie> {
        let Some(n) = ids::wish(intent.deployment) else { return Ok(()) };
        if self.accepted & 1 << n != 0 {
            return Err(format!("{} is accepted twice", intent.deployment));
        }
        self.accepted |= 1 << n;
        Ok(())
    }

    fn may_run(&mut self, id: DeploymentId, more: u8) {
        if let Some(times) = ids::wish(id).and_then(|n| self.may_run.get_mut(n)) {
            *times += more;
        }
    }

    /// The release command of the n-th wish is started.
    pub(crate) fn begins(&mut self, n: usize) -> Result<(), Lie> {
        self.ran[n] += 1;
        let allowed = self.ran[n] <= self.may_run[n];
        allowed.then_some(()).ok_or_else(|| format!("the release command of wish {n} runs again, and nobody let it"))
    }

    fn over(&mut self, work: &Workload, id: DeploymentId) {
        if work.open.as_ref().is_some_and(|open| open.id() == id) {
            self.superseded = false;
        }
    }

    fn end(&mut self, id: DeploymentId, end: End) -> Result<(), Lie> {
        let Some(slot) = ids::wish(id).and_then(|n| self.ends.get_mut(n)) else { return Ok(()) };
        match std::mem::replace(slot, end) {
            End::None => Ok(()),
            before => Err(format!("{id} ends twice: {before:?}, then {end:?}")),
        }
    }

    fn supersede(&mut self, work: &Workload, e: &IntentSuperseded) -> Result<(), Lie> {
        let holds = work.open.as_ref().filter(|open| open.id() == e.deployment).map(|open| &open.intent);
        let at = |id: DeploymentId| work.queue.iter().position(|intent| intent.deployment == id);
        let newer = at(e.by).map(|at| &work.queue[at]).ok_or_else(|| format!("{} does not wait", e.by))?;
        let awaited =
            work.waiting.as_ref().map(|awaited| &awaited.intent).filter(|held| held.deployment == e.deployment);
        let older = holds.or(awaited).or_else(|| at(e.deployment).map(|at| &work.queue[at]));
        let older = older.ok_or_else(|| format!("{} neither waits nor runs", e.deployment))?;
        if older.person && !newer.person {
            return Err(format!("the automatic {} supersedes a person's {}", e.by, e.deployment));
        }
        if holds.is_none() && awaited.is_none() && at(e.by) < at(e.deployment) {
            return Err(format!("{} is older than {}, which it supersedes", e.by, e.deployment));
        }
        if work.open.as_ref().is_some_and(|open| holds.is_some() && open.commands()) {
            return Err(format!("{} is superseded while its release command runs", e.deployment));
        }
        if holds.is_some() {
            if self.superseded && !newer.wish.ends_service() {
                return Err(format!("{} is superseded right after another one was", e.deployment));
            }
            self.superseded = true;
        }
        self.end(e.deployment, End::Superseded)
    }

    /// The tail of the log is gone, and with it what was superseded last.
    pub(crate) fn tail_gone(&mut self) {
        self.tails += 1;
        self.superseded = false;
    }

    /// From this generation on the route may lead nowhere.
    fn farewell(&mut self, generation: u64, to: &[UnitId]) {
        if to.is_empty() && generation < 128 {
            self.farewells |= 1 << generation;
        }
    }

    /// Whether the write of this generation may end the service.
    pub(crate) fn may_unroute(&self, generation: u64) -> bool {
        generation < 128 && self.farewells & 1 << generation != 0
    }
}

/// The release command is over before anything serves or goes.
fn has_run(work: &Workload, event: &Event) -> Result<(), Lie> {
    let open = work.open.as_ref().filter(|open| open.ran != Ran::Ended(0));
    let due = open.and_then(|open| open.plan.as_ref()).is_some_and(|plan| plan.release_command.is_some());
    if due { Err(format!("{} comes before the release command has ended well", event.kind().name)) } else { Ok(()) }
}

fn proven(work: &Workload, id: ReleaseId) -> bool {
    work.release(id).is_some_and(|release| release.proven)
}

fn plan_is_sound(plan: &Plan, log: &Log) -> Result<(), Lie> {
    if let Some(broken) = cutover_domain::plan::lint(plan).first() {
        return Err(format!("lint: {}", broken.0));
    }
    let twice = plan.units.iter().find(|unit| log.planned(unit.unit).is_some());
    twice.map_or(Ok(()), |unit| Err(format!("{} is planned a second time", unit.unit)))
}

fn succeeded(work: &Workload, id: DeploymentId, active: Option<ReleaseId>) -> Result<(), Lie> {
    let Some(open) = work.open.as_ref().filter(|open| open.id() == id) else { return Ok(()) };
    let former = work.active.as_ref().or(open.was.as_ref()).map(|slot| slot.release).or(work.down);
    let former = former.or_else(|| work.stopped.as_ref().and_then(|stopped| stopped.release));
    let right = match &open.intent.wish {
        Wish::Deploy(ImageWish::Reference { .. } | ImageWish::Built { .. }) => active == Some(ReleaseId(id.0)),
        Wish::Deploy(ImageWish::Current) => active == Some(ReleaseId(id.0)) || active == former,
        Wish::Rollback(Some(release)) => active == Some(*release),
        Wish::Rollback(None) => active.is_some_and(|id| work.release(id).is_some_and(|release| release.proven)),
        Wish::Restart | Wish::Heal | Wish::Start => active == former,
        Wish::Teardown | Wish::Stop { .. } => active.is_none(),
    };
    if right { Ok(()) } else { Err(format!("{id} succeeded, and {active:?} runs")) }
}
