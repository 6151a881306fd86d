//! One state of the walk: the fold of the log, what the engine remembers, the world, and what may still happen.

use std::hash::Hash;
use std::sync::Arc;

use cutover_domain::deployment::{Command, evolve};
use cutover_domain::observed::{Answers, DockerId, Effect, Mark, Now};
use cutover_domain::workload::{Open, Workload};
use cutover_domain::{invariants, observed::Restart};
use cutover_events::{BootId, DeploymentId, Event, UnitId, WorkloadId};
use cutover_world::{Request, World};

use crate::budget::{Budget, Fault};
use crate::digest::{Digester, EPOCH_MS, digest};
use crate::log::Log;
use crate::scenario::Scenario;
use crate::watch::Course;

/// The one workload of a walk.
pub(crate) const WORKLOAD: WorkloadId = WorkloadId([1; 16]);
/// Position of every witness that the log knows.
pub(crate) const HEAD: u64 = 1;

/// A sentence that does not hold.
pub(crate) type Lie = String;

/// What does not change in a walk.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    /// Of the run and of the scenario together.
    pub(crate) budget: Budget,
    pub(crate) deadlines: Deadlines,
    /// Of every trouble: the domain never reads it.
    pub(crate) text: Arc<str>,
}

/// Ages that make a difference, sorted, ms: to what the log says, to what the engine remembers, to containers.
#[derive(Debug)]
pub(crate) struct Deadlines {
    fold: Vec<u64>,
    mind: Vec<u64>,
    world: Vec<u64>,
}

/// For resolving, for a step that is refused again and again, between two repairs: see the domain. Policies come to it.
const FOLD_MS: [u64; 7] = [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 900_000];
/// Between two tries, and for the first probes: see the domain.
const MIND_MS: [u64; 8] = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000];
/// Between two questions for an image that is not in its registry yet: see the domain.
const IMAGE_MS: [u64; 3] = [2_000, 4_000, 8_000];
/// After which a container counts as dead: see the domain, where it is counted from one. Liveness windows come to it.
const WORLD_MS: [u64; 1] = [2_999];

/// A state. Equal states have equal futures.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) work: Arc<Workload>,
    /// Digest of `work` at the present time.
    sum: u128,
    pub(crate) log: Log,
    pub(crate) world: World,
    pub(crate) mind: Mind,
    pub(crate) left: Budget,
    pub(crate) course: Course,
}

/// What the engine remembers; all of it is lost in a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mind {
    pub(crate) step: Step,
    pub(crate) answers: Answers,
    pub(crate) resolved: Option<DeploymentId>,
    pub(crate) removals: Vec<Removal>,
    /// The units that the newest look wants to be probed.
    pub(crate) probing: Vec<UnitId>,
    /// Since when it has been looking without a break.
    pub(crate) start_ms: u64,
    pub(crate) epoch: u64,
    pub(crate) boot: BootId,
    /// A witness knows more than the log: nothing is done until a person has decided.
    pub(crate) held: bool,
}

/// What the lane is about to do.
#[expect(clippy::large_enum_variant, reason = "boxed, it would be allocated at every look that asks for something")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To look.
    Look,
    /// To write this, unless something else comes first.
    Append(Arc<Vec<Event>>),
    /// To write what this comes to.
    Decide(Arc<Command>),
    /// To ask for this.
    Do(Effect, Sending),
    /// To wait for a change, or for this time.
    Wait(Option<u64>),
}

/// What an effect sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sending {
    /// To Docker or to the proxy.
    Request(Request),
    /// To a registry.
    Resolve(DeploymentId),
    /// Nothing: a target does not run.
    NoTarget,
}

/// A removal beside the lane: policy `no`, stop, remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Removal {
    pub(crate) unit: UnitId,
    pub(crate) id: DockerId,
    pub(crate) stage: u8,
}

impl Removal {
    /// What its present stage asks for.
    pub(crate) fn request(&self) -> Request {
        match self.stage {
            0 => Request::SetRestart(self.id, Restart::No),
            1 => Request::Stop(self.id),
            _ => Request::Remove(self.id),
        }
    }
}

impl Hash for Step {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Look => (),
            Self::Append(events) => events.hash(state),
            Self::Decide(command) => hash_command(command, state),
            Self::Do(effect, sending) => (effect, sending).hash(state),
            Self::Wait(until) => until.hash(state),
        }
    }
}

/// Only what a lane itself decides is ever held.
fn hash_command<H: std::hash::Hasher>(command: &Command, state: &mut H) {
    std::mem::discriminant(command).hash(state);
    match command {
        Command::Queue(intent) | Command::QueueAt(_, intent) => intent.hash(state),
        Command::Accept(release) => release.hash(state),
        Command::Await(id, wait_ms) => (id, wait_ms).hash(state),
        Command::Heal(drift, intent) => (drift, intent).hash(state),
        Command::Begin(id, revision) => (id, revision).hash(state),
        Command::Resolved(event) => event.hash(state),
        Command::Planned(id, plan) | Command::Restore(id, plan) => (id, plan).hash(state),
        Command::Cancel(id, _) | Command::Resume(id) => id.hash(state),
        Command::BeginErrand(event) => event.hash(state),
        Command::EndErrand(event) => event.hash(state),
    }
}

impl Mind {
    /// An engine that has just started.
    pub(crate) fn fresh(start_ms: u64, epoch: u64, boot: BootId) -> Self {
        Self {
            step: Step::Look,
            answers: Answers::default(),
            resolved: None,
            removals: Vec::new(),
            probing: Vec::new(),
            start_ms,
            epoch,
            boot,
            held: false,
        }
    }

    /// Something has changed: a lane that waits looks again.
    pub(crate) fn hint(&mut self) {
        if matches!(self.step, Step::Wait(_)) {
            self.step = Step::Look;
        }
    }
}

impl Case {
    /// A scenario under a budget.
    pub(crate) fn new(scenario: Scenario, budget: Budget) -> Self {
        let sorted = |mut ages: Vec<u64>| {
            ages.retain(|ms| *ms > 0);
            ages.sort_unstable();
            ages.dedup();
            ages
        };
        let policies: Vec<_> = scenario.settings.iter().map(crate::scenario::Settings::policy).collect();
        let waits = policies.iter().flat_map(|p| [p.gate_timeout_ms, p.bake_ms, p.standby_ms]);
        let late = scenario.is_late();
        let images = policies.iter().map(|p| p.wait_for_image_ms).filter(|_| late);
        let asked = IMAGE_MS.into_iter().filter(|_| late);
        let windows = scenario.settings.iter().filter(|one| !one.health).map(|one| one.policy().liveness_ms);
        let deadlines = Deadlines {
            fold: sorted(waits.chain(images).chain(FOLD_MS).collect()),
            mind: sorted(asked.chain(MIND_MS).collect()),
            world: sorted(windows.chain(WORLD_MS).collect()),
        };
        Self { scenario, budget, deadlines, text: "as the walk wants it".into() }
    }
}

impl Scene {
    /// Nothing was ever wished, nothing runs.
    pub(crate) fn empty(case: &Case) -> Self {
        let mut world = World::new();
        world.advance(EPOCH_MS);
        let mind = Mind::fresh(world.now_ms(), 1, BootId([1; 16]));
        let mut scene = Self {
            work: Arc::default(),
            sum: 0,
            log: Log::default(),
            world,
            mind,
            left: Budget::default(),
            course: Course::default(),
        };
        scene.note_time(case);
        scene
    }

    /// What this state is known by.
    pub(crate) fn sum(&self, case: &Case) -> u128 {
        let mut digester = Digester::new(self.world.now_ms(), &case.deadlines.world);
        self.sum.hash(&mut digester);
        self.world.hash(&mut digester);
        digester.judge_by(&case.deadlines.mind);
        self.mind.hash(&mut digester);
        self.left.hash(&mut digester);
        self.course.hash(&mut digester);
        digester.sum()
    }

    /// The time that a decision is made at.
    pub(crate) fn now(&self) -> Now {
        Now { boot: self.mind.boot, mono_ms: self.world.now_ms(), engine_start_ms: self.mind.start_ms }
    }

    /// The stamp of a commit.
    pub(crate) fn mark(&self) -> Mark {
        Mark { boot: self.mind.boot, mono_ms: self.world.now_ms() }
    }

    /// The deployment that holds the lane.
    pub(crate) fn open(&self) -> Option<DeploymentId> {
        self.work.open.as_ref().map(Open::id)
    }

    /// Time goes on.
    pub(crate) fn advance(&mut self, case: &Case, ms: u64) {
        self.world.advance(ms);
        self.note_time(case);
    }

    /// The fold or the time has changed.
    fn note_time(&mut self, case: &Case) {
        self.sum = digest(&*self.work, self.world.now_ms(), &case.deadlines.fold);
    }

    /// Writes one commit of the workload's stream.
    pub(crate) fn append(&mut self, case: &Case, events: Arc<Vec<Event>>) -> Result<(), Lie> {
        let at = self.mark();
        let mut work = Workload::clone(&self.work);
        for event in events.iter() {
            self.course.before(&work, &self.log, event)?;
            self.shown(case, event)?;
            let active = work.active.as_ref().map(|slot| slot.release);
            evolve(&mut work, event, at).map_err(|lie| lie.to_string())?;
            self.course.after(active, &work, event)?;
        }
        // The number of events so far makes no difference to what comes.
        work.version = 0;
        if let Some(breach) = invariants::always(&work).first() {
            return Err(breach.to_string());
        }
        self.log = self.log.with(events, at);
        self.replace(case, work);
        Ok(())
    }

    /// A swap is noted only when the proxy has shown it; since then only a restart can have made it forget.
    fn shown(&self, case: &Case, event: &Event) -> Result<(), Lie> {
        let kept = self.left.untouched(&case.budget, &[Fault::Router, Fault::Reboot, Fault::Tail]);
        match event {
            Event::Swapped(e) if kept && self.generation() < e.generation => Err(format!(
                "Swapped to generation {} is noted, and the proxy shows {}",
                e.generation,
                self.generation()
            )),
            _ => Ok(()),
        }
    }

    /// From here on the log says this.
    pub(crate) fn replace(&mut self, case: &Case, work: Workload) {
        self.work = Arc::new(work);
        self.note_time(case);
    }

    /// The log, folded anew, says what the engine has in memory.
    pub(crate) fn replays(&self) -> Result<(), Lie> {
        let work = self.log.fold()?;
        if work == *self.work { Ok(()) } else { Err("the fold of the log is not the live state".into()) }
    }
}
