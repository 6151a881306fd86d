//! Makes plans, and checks them.

mod blue_green;
mod command;
mod folder;
mod lint;
mod lower;
mod recreate;

use std::net::Ipv4Addr;

use cutover_events::deployment::Wish;
use cutover_events::plan::{Plan, PlannedStep, ProcessPlan, Step, Strategy, Template, Undo, UnitPlan, Why};
use cutover_events::workload::{Health, Policy, Process, ReleaseCommand, Route};
use cutover_events::{ReleaseId, UnitId};

pub use lint::{Violation, lint};
pub use lower::{ask, former, networked};
pub use recreate::restore;

use crate::observed::{Observed, Phase, Restart};
use crate::protocol::{Rule, on};
use crate::strategy::{Choice, beside};
use crate::workload::Workload;

/// How long Docker may take to create or start one container before the deployment fails, ms.
const CONTAINER_MS: u64 = 120_000;

/// What a plan is made from.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The release that shall serve; `None` for a teardown.
    pub release: Option<ReleaseId>,
    /// The full name, which container names begin with.
    pub full_name: String,
    /// The strategy of the spec by itself: [`crate::strategy::effective`].
    pub choice: Choice,
    /// What all containers have in common.
    pub template: Template,
    /// What leads to them.
    pub routes: Vec<Route>,
    /// How readiness is probed.
    pub health: Option<Health>,
    /// Times and counts.
    pub policy: Policy,
    /// Containers of the workload itself.
    pub replicas: u16,
    /// Its other processes.
    pub processes: Vec<Process>,
    /// Full names of the workloads that it comes after.
    pub after: Vec<String>,
    /// What runs once before anything of the release serves.
    pub release_command: Option<ReleaseCommand>,
}

/// The ids and addresses that a plan needs.
pub trait Ids {
    /// A unit id that no other unit has.
    fn unit(&mut self) -> UnitId;
    /// An address on the project's network that nothing has had for ten minutes.
    fn address(&mut self) -> Ipv4Addr;
}

/// The plan of the open deployment.
#[must_use]
pub fn plan(state: &Workload, mut ask: Ask, observed: &Observed, ids: &mut dyn Ids) -> Plan {
    let command = ask.release_command.take().filter(|_| ask.release.is_some() && command::runs(state));
    let full_name = ask.full_name.clone();
    let made = match strategy(state, &ask) {
        choice if ask.template.serves_files() => folder::plan(state, ask, observed, (choice, ids)),
        (Strategy::BlueGreen, why) => blue_green::plan(state, ask, observed, (why, ids)),
        (Strategy::Recreate, why) => recreate::plan(state, ask, observed, (why, ids)),
    };
    match command {
        Some(command) => command::first(made, command, &full_name, ids),
        None => made,
    }
}

/// How the workload is replaced, and why so. A plan that is made again past its point of no return keeps its strategy.
fn strategy(state: &Workload, ask: &Ask) -> (Strategy, Why) {
    let open = state.open.as_ref().filter(|open| !open.before_pivot());
    if let Some(plan) = open.and_then(|open| open.plan.as_ref()) {
        return (plan.strategy, plan.why);
    }
    if ask.release.is_none() {
        return (Strategy::BlueGreen, Why::Default);
    }
    let running = state.active.as_ref().map(|slot| &*slot.plan);
    let Choice { strategy, why } = match (ask.choice.strategy, ask.template.exclusive()) {
        (Strategy::BlueGreen, Some(why)) => Choice { strategy: Strategy::Recreate, why },
        (Strategy::BlueGreen, None) | (Strategy::Recreate, _) => beside(ask.choice, running),
    };
    (strategy, why)
}

/// New units of one process, named after the workload and the process; the first has this number.
fn mint((full_name, process): (&str, &str), numbers: std::ops::Range<usize>, ids: &mut dyn Ids) -> Vec<UnitPlan> {
    let mut units = Vec::with_capacity(numbers.len());
    for replica in numbers {
        let unit = ids.unit();
        let name = container_name((full_name, process), unit);
        units.push(UnitPlan { unit, name, replica: replica as u16, address: ids.address() });
    }
    units
}

/// The name of a unit's container, reserved for it for ever: after the workload and its process.
#[must_use]
pub fn container_name((full_name, process): (&str, &str), unit: UnitId) -> String {
    let (workload, suffix) = (full_name.replace('/', "-"), unit.suffix());
    match process {
        "" => format!("cutover-{workload}-{suffix}"),
        process => format!("cutover-{workload}-{process}-{suffix}"),
    }
}

/// The units of a slot: what is created, what runs in the end, and which process each unit belongs to.
#[derive(Default)]
struct Filled {
    units: Vec<UnitPlan>,
    slot: Vec<UnitId>,
    processes: Vec<ProcessPlan>,
}

impl Filled {
    /// Takes in the next process: what is kept of it, and new units for what is missing.
    fn take(&mut self, kept: Vec<UnitId>, new: Vec<UnitPlan>) -> Vec<UnitId> {
        let mut units = kept;
        units.extend(new.iter().map(|unit| unit.unit));
        self.slot.extend(&units);
        self.units.extend(new);
        units
    }
}

/// A slot with `kept` in it, and with new units for what each process lacks. `former` says which process a kept unit
/// belongs to.
fn fill(ask: &Ask, (former, kept): (Option<&Plan>, &[UnitId]), ids: &mut dyn Ids) -> Filled {
    let of = |process: &str| -> Vec<UnitId> {
        let belongs = |unit: &UnitId| former.is_some_and(|plan| plan.part(*unit).process == process);
        kept.iter().copied().filter(belongs).collect()
    };
    let mut filled = Filled::default();
    let mut of_process = |process: &str, wanted: u16, ids: &mut dyn Ids| {
        let kept = of(process);
        let new = mint((&ask.full_name, process), kept.len()..usize::from(wanted), ids);
        filled.take(kept, new)
    };
    of_process("", ask.replicas, ids);
    let mut processes = Vec::with_capacity(ask.processes.len());
    for process in &ask.processes {
        let units = of_process(&process.name, process.replicas, ids);
        processes.push(ProcessPlan {
            name: process.name.clone(),
            units,
            command: process.command.clone(),
            limits: process.limits,
            health: process.health.clone(),
        });
    }
    Filled { processes, ..filled }
}

/// What a plan that starts containers waits for. A repair waits for nothing: what it replaces ran already.
fn after(state: &Workload, ask: &Ask) -> Vec<String> {
    let repairs = state.open.as_ref().is_some_and(|open| open.intent.wish == Wish::Heal);
    if repairs || ask.release.is_none() { Vec::new() } else { ask.after.clone() }
}

/// The step that waits for them, before anything is created and before anything is taken away.
fn awaits(after: &[String], policy: &Policy) -> Option<PlannedStep> {
    let step = PlannedStep { step: Step::Await, undo: Undo::Nothing, timeout_ms: policy.gate_timeout_ms };
    (!after.is_empty()).then_some(step)
}

/// Containers that do not run and that Docker may still revive.
fn dead(blue: &[UnitId], observed: &Observed) -> Vec<UnitId> {
    let revivable = |unit: &&UnitId| {
        observed.seen(**unit).is_some_and(|seen| seen.phase != Phase::Running && seen.restart == Restart::Always)
    };
    blue.iter().filter(|unit| on(Rule::Retire) && revivable(unit)).copied().collect()
}
