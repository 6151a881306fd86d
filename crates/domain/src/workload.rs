//! The state of one workload: the fold of its stream, and nothing else.

use std::sync::Arc;

use cutover_events::deployment::{BuiltFrom, Drift, IntentQueued, Lists, Reason, SlotRef, Wish};
use cutover_events::errand::ErrandBegun;
use cutover_events::plan::Plan;
use cutover_events::{DeploymentId, ReleaseId, UnitId};

use crate::observed::Mark;
use crate::protocol::{Rule, on};
use crate::rejected::Rejected;

/// One workload. Cheap to copy: lists are shared, plans are shared.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Workload {
    /// Version of the stream that this is the fold of.
    pub version: u64,
    /// Wishes that wait for the lane, oldest first.
    pub queue: Vec<Arc<IntentQueued>>,
    /// The wish that waits for its image, without the lane: older than every other one.
    pub waiting: Option<Waiting>,
    /// The deployment that holds the lane.
    pub open: Option<Open>,
    /// What serves.
    pub active: Option<Slot>,
    /// A former blue that still runs, and since when.
    pub standby: Option<(Slot, Mark)>,
    /// Units that go, until they are seen gone.
    pub removal: Vec<UnitId>,
    /// Of those that go, how long they may take to end when that is not Docker's default, ms.
    pub graces: Vec<(UnitId, u64)>,
    /// Of those that go, the containers of release commands: they never had what one container at a time may have.
    pub commands: Vec<UnitId>,
    /// The last good release of an exclusive workload that does not run any more: it is tried again, with a back-off.
    pub down: Option<ReleaseId>,
    /// A person took it out of service.
    pub stopped: Option<Stopped>,
    /// Images that no change from outside deploys.
    pub rejected: Arc<Vec<Rejected>>,
    /// The highest route generation that the log has given out.
    pub generation: u64,
    /// The generation that the router must have taken before anything on the removal list is touched: given out when the
    /// list last grew. A log that has lost that commit meets a router which is ahead of it, and touches nothing.
    pub sealed: u64,
    /// What the router must show.
    pub routed: Routed,
    /// Releases that were resolved, oldest first, at most `keep_releases` and those in use.
    pub releases: Arc<Vec<Release>>,
    /// What has become of repairs.
    pub heals: Heals,
    /// Differences that were recorded and are not over.
    pub drifts: Vec<(UnitId, Drift)>,
    /// Since when what is active is known to run.
    pub runs_since: Mark,
    /// Of those that were started anew since: when that was recorded.
    pub runs: Vec<(UnitId, Mark)>,
    /// The running deployment before this one was superseded: this one is not, so that steady pushes end.
    pub shielded: bool,
    /// Whether it is being torn down.
    pub teardown: Teardown,
    /// What people run in its containers, oldest first.
    pub errands: Vec<Arc<ErrandBegun>>,
}

/// A wish whose image is not in its registry yet.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Waiting {
    /// The wish.
    pub intent: Arc<IntentQueued>,
    /// Since when it waits.
    pub since: Mark,
    /// How long at most, ms.
    pub wait_ms: u64,
}

/// A person took a workload out of service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stopped {
    /// Who, as people know them.
    pub by: Arc<str>,
    /// By which deployment.
    pub deployment: DeploymentId,
    /// What ran before.
    pub release: Option<ReleaseId>,
}

/// Why no wish from outside is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// A person tore it down, or is about to.
    Leaving,
    /// A person stopped it, or is about to; by whom.
    Stopped(Arc<str>),
}

/// Whether a workload is being torn down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Teardown {
    /// It is there, or was never applied.
    #[default]
    No,
    /// This deployment has succeeded, and removals are left.
    Removing(DeploymentId),
    /// Nothing of it is left, until the next wish.
    Done,
}

/// The deployment that holds the lane.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Open {
    /// What was wished.
    pub intent: Arc<IntentQueued>,
    /// The spec revision that it keeps.
    pub revision: u32,
    /// When it took the lane.
    pub begun: Mark,
    /// What it makes current, once known.
    pub release: Option<ReleaseId>,
    /// Its plan, once made.
    pub plan: Option<Arc<Plan>>,
    /// How many steps are recorded as done.
    pub recorded: usize,
    /// When the last step was recorded, or the plan made.
    pub step_since: Mark,
    /// How far it is.
    pub phase: Phase,
    /// Whether it waits for a person.
    pub parked: bool,
    /// What an exclusive deployment has taken away: what a restore brings back.
    pub was: Option<Slot>,
    /// Why a step failed after the downtime was opened: a restore or the end comes next.
    pub failed: Option<Arc<Reason>>,
    /// Why what was is being restored: the deployment will end as failed.
    pub restores: Option<Arc<Reason>>,
    /// How many plans it had: each later one because the host or Docker took the green of the former along.
    pub plans: u8,
    /// How often the router has refused a swap that is tried again, and when it did so last.
    pub refusals: (u8, Mark),
    /// How far its release command is.
    pub ran: Ran,
}

/// How far the release command of a deployment is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ran {
    /// It was not started, or there is none.
    #[default]
    NotYet,
    /// Since then it runs, has ended, or nobody knows.
    Started(Mark),
    /// As before, and a person lets it run again unless its end becomes known.
    Again(Mark),
    /// It ended with this exit code.
    Ended(i32),
}

/// How far a deployment is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Before its pivot: may be superseded, cancelled, undone.
    Preparing,
    /// DowntimeOpened: the route will lead nowhere at this generation.
    Opened(u64),
    /// Unrouted: requests that are still open to blue may end.
    Unrouted,
    /// Blue has no connections left: it goes, and the rest of the plan follows.
    Down,
    /// SwapCommitted: the route will show the slot at this generation, or be fenced.
    Committed(u64),
    /// SwapRefused: nothing that was sent before may move the route any more.
    Fencing(u64, Reason, Toward),
    /// The route shows the slot.
    Swapped {
        /// Since when: the bake.
        since: Mark,
        /// Whether blue's connections have ended.
        drained: bool,
    },
    /// RouteBackCommitted: the route will show blue at this generation.
    RoutingBack(u64, Reason, Arc<[UnitId]>),
}

/// Where a refused route write wanted to go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Toward {
    /// To green.
    Green,
    /// Back to blue.
    Blue,
}

/// The units of one release.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slot {
    /// The release.
    pub release: ReleaseId,
    /// The deployment whose plan it is.
    pub deployment: DeploymentId,
    /// Routes, gate and policy.
    pub plan: Arc<Plan>,
    /// Its units: those of the workload itself first, then those of its processes.
    pub units: Arc<[UnitId]>,
}

/// What the router must show.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Routed {
    /// The generation that the log has seen there.
    pub generation: u64,
    /// The units.
    pub units: Arc<[UnitId]>,
}

impl Default for Routed {
    fn default() -> Self {
        Self { generation: 0, units: Arc::new([]) }
    }
}

/// An immutable resolved artifact with its spec revision.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The deployment that made it.
    pub deployment: DeploymentId,
    /// Its spec revision.
    pub revision: u32,
    /// The reference that was resolved.
    pub reference: Arc<str>,
    /// Local image id.
    pub image: Arc<str>,
    /// Digest in the registry, empty for an image that was made here.
    pub repo_digest: Arc<str>,
    /// The commit that it came from, empty without one.
    pub sha: Arc<str>,
    /// What it was built from, for an image that was.
    pub built: Option<Arc<BuiltFrom>>,
    /// Whether it has been active: only such a release can be rolled back to.
    pub proven: bool,
    /// The release command that ended well for it, for people; empty without one. What it changed stays, whatever is rolled
    /// back to.
    pub command: Arc<str>,
}

/// What has become of repairs: the next one waits longer after each that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Heals {
    /// In a row.
    pub failed: u32,
    /// When the last one failed.
    pub last: Mark,
}

impl Release {
    /// The commit that it is of: what it was built from, else that of the change that asked for it; empty without one.
    #[must_use]
    pub fn commit(&self) -> &str {
        let built = self.built.as_ref().map(|built| built.commit.as_str()).filter(|commit| !commit.is_empty());
        // What is made of files that came from no repository is of no commit, whatever asked for it.
        built.unwrap_or(if self.built.is_some() { "" } else { &self.sha })
    }
}

impl Workload {
    /// The release with this id.
    #[must_use]
    pub fn release(&self, id: ReleaseId) -> Option<&Release> {
        self.releases.iter().find(|release| release.id == id)
    }

    /// The release before the active one: what a rollback without a target goes to.
    #[must_use]
    pub fn previous_release(&self) -> Option<&Release> {
        if let Some((standby, _)) = &self.standby {
            return self.release(standby.release);
        }
        let current = self.current_release()?.id;
        let at = self.releases.iter().position(|release| release.id == current)?;
        self.releases[..at].iter().rev().find(|release| release.proven)
    }

    /// The release that is wished to run: the active one, the one that an exclusive workload is down with, or the one
    /// that a person has stopped.
    #[must_use]
    pub fn current_release(&self) -> Option<&Release> {
        let stopped = || self.stopped.as_ref().and_then(|stopped| stopped.release);
        self.release(self.active.as_ref().map(|slot| slot.release).or(self.down).or_else(stopped)?)
    }

    /// Why no wish from outside is taken: what a person has wished last decides, what it came to otherwise.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        let newest_first = self.queue.iter().rev().chain(self.open.iter().map(|open| &open.intent));
        let newest = newest_first.into_iter().find(|intent| intent.person);
        match newest.map(|intent| &intent.wish) {
            Some(Wish::Teardown) => Some(Closed::Leaving),
            Some(Wish::Stop { by }) => Some(Closed::Stopped(by.as_str().into())),
            Some(Wish::Deploy(_) | Wish::Rollback(_) | Wish::Restart | Wish::Heal | Wish::Start) => None,
            None if self.teardown != Teardown::No => Some(Closed::Leaving),
            None => self.stopped.as_ref().map(|stopped| Closed::Stopped(stopped.by.clone())),
        }
    }

    /// The deployment whose image may be found out, pulled or built now: the one that holds the lane, or the one that waits for its
    /// image.
    #[must_use]
    pub fn seeks(&self) -> Option<&Arc<IntentQueued>> {
        let awaited = self.waiting.as_ref().map(|awaited| &awaited.intent);
        self.open.as_ref().map(|open| &open.intent).or(awaited)
    }

    /// What requests are led to: green once the route was seen on it, what is active otherwise.
    #[must_use]
    pub fn serving(&self) -> Option<(ReleaseId, Arc<Plan>)> {
        let swapped = self.open.as_ref().filter(|open| matches!(open.phase, Phase::Swapped { .. }));
        let green = swapped
            .and_then(|open| open.plan.clone())
            .filter(|plan| !plan.slot.is_empty())
            .and_then(|plan| Some((plan.release?, plan)));
        green.or_else(|| self.active.as_ref().map(|slot| (slot.release, slot.plan.clone())))
    }

    /// Whether others may come after it: it is active, and routed where it can be.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.active.is_some() && !self.routed.units.is_empty()
    }

    /// Whether a deployment of it waits or is under way, so that it may come to stand by itself.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        !self.queue.is_empty() || self.open.as_ref().is_some_and(|open| !open.parked && !open.is_teardown())
    }

    /// How long a unit that goes may take to end, ms.
    #[must_use]
    pub fn grace(&self, unit: UnitId) -> Option<u64> {
        self.graces.iter().find(|(known, _)| *known == unit).map(|(_, grace)| *grace)
    }

    /// Whether a wish of this id waits or runs.
    #[must_use]
    pub fn is_open(&self, id: DeploymentId) -> bool {
        self.queue.iter().any(|intent| intent.deployment == id)
            || self.waiting.as_ref().is_some_and(|awaited| awaited.intent.deployment == id)
            || self.open.as_ref().is_some_and(|open| open.intent.deployment == id)
    }

    /// The plan of a unit that some list or the open deployment knows.
    #[must_use]
    pub fn plan_of(&self, unit: UnitId) -> Option<&Arc<Plan>> {
        let open = self.open.as_ref().and_then(|open| open.plan.as_ref());
        let slots = self.active.iter().chain(self.standby.iter().map(|(slot, _)| slot)).map(|slot| &slot.plan);
        open.into_iter().chain(slots).find(|plan| plan.unit(unit).is_some())
    }

    /// The plan of the slot that a unit serves in, or will: its gate and its routes.
    #[must_use]
    pub fn plan_with(&self, unit: UnitId) -> Option<&Arc<Plan>> {
        let open = self.open.as_ref().and_then(|open| open.plan.as_ref()).filter(|plan| plan.slot.contains(&unit));
        let slots = self.active.iter().chain(self.standby.iter().map(|(slot, _)| slot));
        open.or_else(|| slots.into_iter().find(|slot| slot.units.contains(&unit)).map(|slot| &slot.plan))
    }

    /// Whether a list or the open deployment knows the unit.
    #[must_use]
    pub fn knows(&self, unit: UnitId) -> bool {
        let standby = self.standby.iter().map(|(slot, _)| slot).filter(|_| on(Rule::KeepKept));
        let slots = self.active.iter().chain(standby);
        self.removal.contains(&unit)
            || slots.into_iter().any(|slot| slot.units.contains(&unit))
            || self.open.as_ref().and_then(|open| open.plan.as_ref()).is_some_and(|plan| plan.unit(unit).is_some())
    }

    /// Whether a unit stands by.
    #[must_use]
    pub fn is_standby(&self, unit: UnitId) -> bool {
        self.standby.as_ref().is_some_and(|(slot, _)| slot.units.contains(&unit))
    }

    /// The lists as they are.
    #[must_use]
    pub fn lists(&self) -> Lists {
        Lists {
            active: self.active.as_ref().map(Slot::reference),
            standby: self.standby.as_ref().map(|(slot, _)| slot.reference()),
            removal: self.removal.clone(),
        }
    }
}

impl Slot {
    /// The units that routes and the name lead to.
    #[must_use]
    pub fn routed(&self) -> &[UnitId] {
        self.plan.routed()
    }

    /// As events name it.
    #[must_use]
    pub fn reference(&self) -> SlotRef {
        SlotRef { release: self.release, deployment: self.deployment, units: self.units.to_vec() }
    }
}

impl Open {
    /// A deployment that has just taken the lane.
    #[must_use]
    pub fn begun(intent: Arc<IntentQueued>, revision: u32, at: Mark) -> Self {
        Self {
            intent,
            revision,
            begun: at,
            release: None,
            plan: None,
            recorded: 0,
            step_since: at,
            phase: Phase::Preparing,
            parked: false,
            was: None,
            failed: None,
            restores: None,
            plans: 0,
            refusals: (0, Mark::default()),
            ran: Ran::NotYet,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> DeploymentId {
        self.intent.deployment
    }

    /// Whether it can still be superseded or cancelled.
    #[must_use]
    pub fn before_pivot(&self) -> bool {
        matches!(self.phase, Phase::Preparing)
    }

    /// Whether its release command runs, as far as is known: nobody takes its lane away but a person who insists.
    #[must_use]
    pub fn commands(&self) -> bool {
        matches!(self.ran, Ran::Started(_) | Ran::Again(_))
    }

    /// The generation of the route write that is committed and was not seen yet.
    #[must_use]
    pub fn committed(&self) -> Option<u64> {
        match self.phase {
            Phase::Opened(generation)
            | Phase::Committed(generation)
            | Phase::Fencing(generation, ..)
            | Phase::RoutingBack(generation, ..) => Some(generation),
            Phase::Preparing | Phase::Unrouted | Phase::Down | Phase::Swapped { .. } => None,
        }
    }

    /// Whether blue is still served or drained although the downtime is open: until then nothing of it is removed.
    #[must_use]
    pub fn spares(&self, unit: UnitId) -> bool {
        let clears = matches!(self.phase, Phase::Opened(_) | Phase::Unrouted);
        clears && self.was.as_ref().is_some_and(|slot| slot.units.contains(&unit))
    }

    /// Whether it has taken over the standby.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.adopts)
    }

    /// Whether it is a teardown.
    #[must_use]
    pub fn is_teardown(&self) -> bool {
        self.intent.wish == Wish::Teardown
    }
}
