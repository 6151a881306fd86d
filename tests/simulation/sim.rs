//! One run: a world, a log, an engine that may die, and everything that happens to them.

use std::collections::BTreeMap;

use cutover::crash;
use cutover_domain::observed::{Answers, Behind, Now, Observed};
use cutover_domain::workload::Workload;
use cutover_domain::{deployment::Next, invariants};
use cutover_events::plan::Plan;
use cutover_events::{BootId, DeploymentId, Event, Stamp, UnitId, WorkloadId};
use cutover_world::World;

use crate::drill::Drill;
use crate::journal::Journal;
use crate::random::Random;
use crate::shop::{Program, Shop, Spec};
use crate::swarm::Swarm;
use crate::watch::Watch;

/// A process of a simulated workload.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// The workload itself.
    Itself,
    /// The other one.
    Worker,
    /// The release command.
    Command,
}

/// What a unit runs.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    /// Index of the program.
    pub(crate) program: usize,
    /// Of which process it is.
    pub(crate) process: Process,
    /// Whether it is ready when it is up for long enough, whatever it answers.
    pub(crate) unprobed: bool,
}

impl Runs {
    /// How the container of a unit will behave.
    fn of(plan: &Plan, unit: UnitId, program: usize) -> Self {
        let part = plan.part(unit);
        let process = match part.process {
            "" => Process::Itself,
            _ if plan.runs_command_in(unit) => Process::Command,
            _ => Process::Worker,
        };
        Self { program, process, unprobed: part.health.is_none() && part.port.is_none() }
    }
}

pub(crate) struct Sim {
    pub(crate) random: Random,
    pub(crate) world: World,
    pub(crate) journal: Journal,
    pub(crate) shops: Vec<Shop>,
    pub(crate) programs: Vec<Program>,
    /// Which program the source made at the time of a wish that builds it.
    pub(crate) built: BTreeMap<DeploymentId, usize>,
    /// Which program a unit runs.
    pub(crate) runs: BTreeMap<UnitId, Runs>,
    pub(crate) swarm: Swarm,
    pub(crate) drill: Drill,
    pub(crate) engine: Engine,
    pub(crate) host: Host,
    pub(crate) watch: Watch,
    pub(crate) minted: u64,
    /// No fault comes any more, and what is ill gets well.
    pub(crate) calm: bool,
    pub(crate) violation: Option<String>,
    pub(crate) trace: Option<Vec<String>>,
    /// Appends and effects as the crash points of the engine are named, in the order in which they were met.
    pub(crate) met: Vec<String>,
}

/// All of it is lost in a crash.
pub(crate) struct Engine {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) removals: Vec<Removal>,
    pub(crate) epoch: u64,
    pub(crate) start_ms: u64,
}

#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) state: Workload,
    pub(crate) answers: Answers,
    pub(crate) resolved: Option<(DeploymentId, usize)>,
    pub(crate) held: Option<Held>,
    pub(crate) wake_ms: u64,
    pub(crate) probed_ms: u64,
    /// Position of the commit that planned last.
    pub(crate) planned: u64,
    /// Steps since time moved.
    pub(crate) spins: u32,
    /// The last step came to a wait.
    pub(crate) waits: bool,
}

/// What was decided and not done yet.
pub(crate) struct Held {
    pub(crate) next: Next,
    pub(crate) version: u64,
    pub(crate) observed: Observed,
}

/// A removal beside the lane.
pub(crate) struct Removal {
    pub(crate) lane: usize,
    pub(crate) unit: UnitId,
    pub(crate) id: cutover_domain::observed::DockerId,
    pub(crate) stage: u8,
}

/// The machine that it all runs on.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) boots: u8,
    pub(crate) boot_ms: u64,
    pub(crate) docker_back_ms: u64,
    pub(crate) router_back_ms: u64,
    /// When drains began.
    pub(crate) drains: BTreeMap<UnitId, u64>,
    /// Creates that cannot be inspected before this time.
    pub(crate) hidden: Vec<(UnitId, u64)>,
}

impl Sim {
    pub(crate) fn new(seed: u64, specs: &[Spec]) -> Self {
        let shop = |(index, spec): (usize, &Spec)| Shop {
            id: WorkloadId([index as u8 + 1; 16]),
            specs: vec![*spec],
            spoilt: false,
        };
        let lanes = specs.iter().map(|_| Lane::default()).collect();
        let mut sim = Self {
            random: Random::new(seed),
            world: World::new(),
            journal: Journal::default(),
            shops: specs.iter().enumerate().map(shop).collect(),
            programs: Vec::new(),
            built: BTreeMap::new(),
            runs: BTreeMap::new(),
            swarm: Swarm::default(),
            drill: Drill::default(),
            engine: Engine { lanes, removals: Vec::new(), epoch: 0, start_ms: 0 },
            host: Host::default(),
            watch: Watch::new(specs.len()),
            minted: 0,
            calm: false,
            violation: None,
            trace: None,
            met: Vec::new(),
        };
        sim.engine.epoch = sim.journal.started();
        sim
    }

    /// `CLOCK_MONOTONIC` of this boot.
    pub(crate) fn mono(&self) -> u64 {
        self.world.now_ms() - self.host.boot_ms
    }

    pub(crate) fn boot(&self) -> BootId {
        BootId([self.host.boots; 16])
    }

    pub(crate) fn now(&self) -> Now {
        Now { boot: self.boot(), mono_ms: self.mono(), engine_start_ms: self.engine.start_ms }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { wall_ms: self.world.now_ms(), boot: self.boot(), mono_ms: self.mono() }
    }

    pub(crate) fn lane_of(&self, workload: WorkloadId) -> Option<usize> {
        self.shops.iter().position(|shop| shop.id == workload)
    }

    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.say(|| format!("VIOLATION: {what}"));
        self.violation.get_or_insert(what);
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        let now = self.world.now_ms();
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now:>8} {}", what()));
        }
    }

    /// Something about this workload changed: its lane looks again, unless the hint is lost.
    pub(crate) fn hint(&mut self, lane: usize) {
        if self.calm || self.random.chance(900) {
            self.engine.lanes[lane].wake_ms = 0;
        }
    }

    /// Whether a request to this workload would be answered now.
    pub(crate) fn serves(&self, lane: usize) -> bool {
        let targets = self.world.targets(self.shops[lane].id);
        self.world.router_answers() && targets.iter().any(|unit| self.is_well(unit))
    }

    /// Whether a unit does its work, as far as anybody can tell: what is not probed counts when it runs.
    pub(crate) fn is_well(&self, unit: UnitId) -> bool {
        let unprobed = self.runs.get(&unit).is_some_and(|runs| runs.unprobed);
        self.world.unit(unit).is_some_and(|body| body.ready() || (unprobed && body.runs()))
    }

    /// One complete look, with what the engine remembers.
    pub(crate) fn observe(&self, lane: usize) -> Observed {
        let mut observed = self.world.observed(self.shops[lane].id, self.journal.head());
        observed.answers = self.engine.lanes[lane].answers.clone();
        observed.behind = self.behind(lane);
        observed
    }

    /// As the shell finds them: of those that the open deployment comes after, what is not ready.
    fn behind(&self, lane: usize) -> Vec<Behind> {
        let open = self.engine.lanes[lane].state.open.as_ref();
        let waits = open.filter(|open| open.before_pivot() && open.recorded == 0);
        let names = waits.and_then(|open| open.plan.as_ref()).map_or(&[][..], |plan| &plan.after);
        let not_ready = |name: &String| {
            let at: usize = name.trim_start_matches("s/").parse().ok()?;
            let other = self.engine.lanes.get(at).map(|lane| &lane.state);
            let runs = |unit: &UnitId| self.world.unit(*unit).is_some_and(|body| body.runs());
            let ready = other.is_some_and(|other| other.stands() && other.routed.units.iter().any(runs));
            let coming = other.is_some_and(Workload::is_coming);
            (!ready).then(|| Behind { name: name.as_str().into(), coming })
        };
        names.iter().filter_map(not_ready).collect()
    }

    /// Writes one commit, as far as the log lets it; false when the engine died of it, or has to try again.
    pub(crate) fn write(&mut self, lane: usize, events: Vec<Event>) -> bool {
        use crate::swarm::Fault;
        if self.swarm.strikes(Fault::NoRoom, &mut self.random) {
            self.engine.lanes[lane].wake_ms = self.mono() + 500;
            return false;
        }
        let dies = self.swarm.strikes(Fault::Append, &mut self.random);
        if (dies && self.random.chance(500)) || self.drill.dies_before(self.journal.commits().len()) {
            self.crash();
            return false;
        }
        let at = self.stamp();
        self.met.push(crash::append(&events));
        for event in &events {
            self.say(|| format!("w{lane} append {}", brief(event)));
        }
        let version = self.engine.lanes[lane].state.version + 1;
        let position = self.journal.append(self.shops[lane].id, version, at, events.clone());
        for event in &events {
            self.take_in(lane, event, position);
        }
        if self.random.chance(20) && !self.journal.newest_survives_the_codec() {
            self.fail("a commit does not survive its stored form");
        }
        let breaches = invariants::always(&self.engine.lanes[lane].state);
        if let Some(breach) = breaches.first() {
            self.fail(breach.to_string());
        }
        let due = self.drill.dies_after(self.journal.commits().len());
        if dies || due {
            self.crash();
            return false;
        }
        true
    }

    fn take_in(&mut self, lane: usize, event: &Event, position: u64) {
        let at = self.stamp().into();
        if let Err(lie) = self.watch.event(lane, event, &self.engine.lanes[lane].state) {
            self.fail(lie);
        }
        if let Some((_, plan)) = event.plan() {
            self.engine.lanes[lane].planned = position;
            let image = plan.template.image.rsplit(':').next().unwrap_or_default();
            let program = image.parse().unwrap_or(usize::MAX);
            self.runs.extend(plan.units.iter().map(|unit| (unit.unit, Runs::of(plan, unit.unit, program))));
            for broken in cutover_domain::plan::lint(plan) {
                self.fail(format!("lint: {}", broken.0));
            }
        }
        let state = &mut self.engine.lanes[lane].state;
        if let Err(lie) = cutover_domain::deployment::evolve(state, event, at) {
            self.fail(lie.to_string());
        }
        if let Err(lie) = self.watch.evolved(lane, &self.engine.lanes[lane].state) {
            self.fail(lie);
        }
    }

    /// The engine dies and starts again: everything but log and world is gone.
    pub(crate) fn crash(&mut self) {
        self.say(|| "the engine dies and starts again".into());
        for lane in 0..self.shops.len() {
            match self.journal.fold(self.shops[lane].id) {
                Ok(state) if state == self.engine.lanes[lane].state => {
                    let planned = self.engine.lanes[lane].planned;
                    self.engine.lanes[lane] = Lane { state, planned, ..Lane::default() };
                }
                Ok(_) => self.fail("the fold of the log is not the live state"),
                Err(lie) => self.fail(lie.to_string()),
            }
        }
        self.engine.removals.clear();
        self.engine.epoch = self.journal.started();
        self.engine.start_ms = self.mono();
        self.world.forget_probes();
    }
}

/// One event, short enough for a trace.
fn brief(event: &Event) -> String {
    match event {
        Event::DeploymentPlanned(e) => {
            let steps: Vec<_> = e.plan.steps.iter().map(|step| step.step).collect();
            format!("DeploymentPlanned slot {:?} blue {:?} {steps:?}", e.plan.slot, e.plan.blue)
        }
        other => format!("{other:?}"),
    }
}
