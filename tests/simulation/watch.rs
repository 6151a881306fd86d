//! What the run as a whole must keep: ends, names, generations, supersedes, releases. It reads events only.

use std::collections::{BTreeMap, BTreeSet};

use cutover_domain::workload::{Ran, Workload};
use cutover_events::deployment::{ImageWish, IntentQueued, IntentSuperseded, ReleaseResolved, Wish};
use cutover_events::plan::Plan;
use cutover_events::{DeploymentId, Event, ReleaseId, UnitId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Succeeded,
    Failed,
    Superseded,
    Cancelled,
}

pub(crate) struct Accepted {
    pub(crate) lane: usize,
    pub(crate) intent: IntentQueued,
    pub(crate) order: u64,
    pub(crate) end: Option<End>,
}

/// What is remembered of one workload.
#[derive(Default)]
struct Story {
    generation: u64,
    router: u64,
    /// Generations that may lead nowhere.
    farewells: BTreeSet<u64>,
    /// The deployment that ended last held the lane and was superseded by something else than what ends the service.
    superseded: bool,
    open: Option<DeploymentId>,
    active: Option<ReleaseId>,
    /// What a downtime took away.
    was: Option<ReleaseId>,
}

pub(crate) struct Watch {
    pub(crate) accepted: BTreeMap<DeploymentId, Accepted>,
    planned: BTreeSet<UnitId>,
    stories: Vec<Story>,
    /// Deployments that took the lane.
    pub(crate) begun: u64,
    /// How often each kind of event was written.
    pub(crate) kinds: BTreeMap<&'static str, u64>,
}

impl Watch {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            accepted: BTreeMap::new(),
            planned: BTreeSet::new(),
            stories: (0..lanes).map(|_| Story::default()).collect(),
            begun: 0,
            kinds: BTreeMap::new(),
        }
    }

    /// An event is about to change this state.
    pub(crate) fn event(&mut self, lane: usize, event: &Event, state: &Workload) -> Result<(), String> {
        *self.kinds.entry(event.kind().name).or_default() += 1;
        match event {
            Event::IntentQueued(e) => self.accept(lane, e),
            Event::IntentSuperseded(e) => self.superseded(lane, e),
            Event::IntentCancelled(e) => {
                if self.stories[lane].open == Some(e.deployment) {
                    (self.stories[lane].open, self.stories[lane].superseded) = (None, false);
                }
                self.ended(e.deployment, End::Cancelled)
            }
            Event::DeploymentSucceeded(e) => {
                (self.stories[lane].open, self.stories[lane].superseded) = (None, false);
                self.ended(e.deployment, End::Succeeded)?;
                self.succeeded(lane, e.deployment, e.lists.active.as_ref().map(|slot| slot.release), state)
            }
            Event::DeploymentFailed(e) => {
                (self.stories[lane].open, self.stories[lane].superseded) = (None, false);
                self.failed(lane, e.lists.active.as_ref().map(|slot| slot.release))?;
                self.ended(e.deployment, End::Failed)
            }
            Event::DeploymentBegun(e) => {
                self.begun += 1;
                self.stories[lane].open = Some(e.deployment);
                Ok(())
            }
            Event::ImageAwaited(e) => {
                let waits = &self.accepted[&e.deployment].intent;
                self.stories[lane].open = None;
                if waits.person {
                    Err(format!("w{lane}: a person's {} waits for its image", e.deployment))
                } else {
                    Ok(())
                }
            }
            Event::ReleaseResolved(e) => self.resolved(lane, e, state),
            Event::DeploymentPlanned(e) => self.planned(lane, &e.plan),
            Event::DowntimeOpened(e) => {
                has_run(lane, event, state)?;
                self.stories[lane].was = self.stories[lane].active.take();
                self.farewell(lane, e.generation, &[]);
                self.raise(lane, e.generation)
            }
            Event::RestorePlanned(e) => {
                if e.plan.release != self.stories[lane].was {
                    return Err(format!("w{lane} restores {:?}, and {:?} ran", e.plan.release, self.stories[lane].was));
                }
                self.planned(lane, &e.plan)
            }
            Event::SwapCommitted(e) => {
                has_run(lane, event, state)?;
                self.farewell(lane, e.generation, &e.to);
                self.raise(lane, e.generation)
            }
            Event::RouteBackCommitted(e) => {
                if state.active.is_none() {
                    self.farewell(lane, e.generation, &e.to);
                }
                self.raise(lane, e.generation)
            }
            Event::SwapRefused(e) => self.raise(lane, e.generation),
            Event::RouteReasserted(e) => self.raise(lane, e.generation),
            _ => Ok(()),
        }
    }

    /// What was rejected comes only by a person's wish.
    fn resolved(&self, lane: usize, e: &ReleaseResolved, state: &Workload) -> Result<(), String> {
        let intent = &self.accepted[&e.deployment].intent;
        let known = state.rejected.iter().any(|rejected| *rejected.image == *e.image);
        let automatic = !intent.person && intent.wish.seeks().is_some();
        if known && automatic {
            Err(format!("w{lane}: {} brings back what was rejected", e.deployment))
        } else {
            Ok(())
        }
    }

    fn planned(&mut self, lane: usize, plan: &Plan) -> Result<(), String> {
        let twice = plan.units.iter().find(|unit| !self.planned.insert(unit.unit));
        twice.map_or(Ok(()), |unit| Err(format!("w{lane} plans {} a second time", unit.unit)))
    }

    /// A deployment that failed leaves what ran, or what it has restored.
    fn failed(&mut self, lane: usize, active: Option<ReleaseId>) -> Result<(), String> {
        let story = &mut self.stories[lane];
        let was = story.was.take();
        if active != story.active && (active.is_none() || active != was) {
            return Err(format!("w{lane} runs {active:?} after a failure"));
        }
        story.active = active;
        Ok(())
    }

    /// An event has changed the state to this.
    pub(crate) fn evolved(&mut self, lane: usize, state: &Workload) -> Result<(), String> {
        let active = state.active.as_ref().map(|slot| slot.release);
        if active == self.stories[lane].active {
            return Ok(());
        }
        Err(format!("w{lane} runs {active:?}, and the last success was about {:?}", self.stories[lane].active))
    }

    fn accept(&mut self, lane: usize, intent: &IntentQueued) -> Result<(), String> {
        let order = self.accepted.len() as u64;
        let accepted = Accepted { lane, intent: intent.clone(), order, end: None };
        match self.accepted.insert(intent.deployment, accepted) {
            None => Ok(()),
            Some(_) => Err(format!("w{lane} accepts {} twice", intent.deployment)),
        }
    }

    fn ended(&mut self, id: DeploymentId, end: End) -> Result<(), String> {
        let Some(accepted) = self.accepted.get_mut(&id) else {
            return Err(format!("{id} ends, and was never accepted"));
        };
        match accepted.end.replace(end) {
            None => Ok(()),
            Some(before) => Err(format!("{id} ends twice: {before:?}, then {end:?}")),
        }
    }

    fn superseded(&mut self, lane: usize, e: &IntentSuperseded) -> Result<(), String> {
        let (Some(older), Some(newer)) = (self.accepted.get(&e.deployment), self.accepted.get(&e.by)) else {
            return Err(format!("w{lane} supersedes what was never accepted"));
        };
        if older.intent.person && !newer.intent.person {
            return Err(format!("w{lane}: the automatic {} supersedes a person's {}", e.by, e.deployment));
        }
        if newer.order < older.order {
            return Err(format!("w{lane}: {} is older than {}, which it supersedes", e.by, e.deployment));
        }
        let story = &mut self.stories[lane];
        if story.open == Some(e.deployment) {
            if story.superseded && !newer.intent.wish.ends_service() {
                return Err(format!("w{lane}: {} is superseded right after another one was", e.deployment));
            }
            (story.open, story.superseded) = (None, true);
        }
        self.ended(e.deployment, End::Superseded)
    }

    fn succeeded(
        &mut self,
        lane: usize,
        id: DeploymentId,
        active: Option<ReleaseId>,
        state: &Workload,
    ) -> Result<(), String> {
        let stopped = state.stopped.as_ref().and_then(|stopped| stopped.release);
        let former = self.stories[lane].active.or(self.stories[lane].was.take()).or(state.down).or(stopped);
        let right = match &self.accepted[&id].intent.wish {
            Wish::Deploy(ImageWish::Reference { .. } | ImageWish::Built { .. }) => active == Some(ReleaseId(id.0)),
            Wish::Deploy(ImageWish::Current) => active == Some(ReleaseId(id.0)) || active == former,
            Wish::Rollback(Some(release)) => active == Some(*release),
            Wish::Rollback(None) => active.is_some_and(|id| state.release(id).is_some_and(|release| release.proven)),
            Wish::Restart | Wish::Heal | Wish::Start => active == former,
            Wish::Teardown | Wish::Stop { .. } => active.is_none(),
        };
        self.stories[lane].active = active;
        if right { Ok(()) } else { Err(format!("w{lane}: {id} succeeded, and {active:?} runs")) }
    }

    /// From this generation on the route may lead nowhere.
    fn farewell(&mut self, lane: usize, generation: u64, to: &[UnitId]) {
        if to.is_empty() {
            self.stories[lane].farewells.insert(generation);
        }
    }

    fn raise(&mut self, lane: usize, generation: u64) -> Result<(), String> {
        let story = &mut self.stories[lane];
        if generation <= story.generation {
            return Err(format!("w{lane} gives out generation {generation} after {}", story.generation));
        }
        story.generation = generation;
        Ok(())
    }

    /// The router has taken a write and shows this generation.
    pub(crate) fn router(&mut self, lane: usize, generation: u64) -> Result<(), String> {
        let before = std::mem::replace(&mut self.stories[lane].router, generation);
        if generation > before {
            Ok(())
        } else {
            Err(format!("w{lane}: the router went from {before} to {generation}"))
        }
    }

    /// The router has lost its table.
    pub(crate) fn router_lost(&mut self) {
        for story in &mut self.stories {
            story.router = 0;
        }
    }

    pub(crate) fn may_unroute(&self, lane: usize, generation: u64) -> bool {
        self.stories[lane].farewells.contains(&generation)
    }

    /// Whether every accepted wish of this lane has its one end.
    pub(crate) fn without_end(&self, lane: usize) -> Option<DeploymentId> {
        let mut open = self.accepted.iter().filter(|(_, accepted)| accepted.lane == lane && accepted.end.is_none());
        open.next().map(|(id, _)| *id)
    }
}

/// The release command is over before anything serves or goes.
fn has_run(lane: usize, event: &Event, state: &Workload) -> Result<(), String> {
    let open = state.open.as_ref().filter(|open| open.ran != Ran::Ended(0));
    let due = open.and_then(|open| open.plan.as_ref()).is_some_and(|plan| plan.release_command.is_some());
    if due { Err(format!("w{lane}: {} comes before the release command", event.kind().name)) } else { Ok(()) }
}
