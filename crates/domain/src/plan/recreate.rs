//! Blue goes, then green starts: never two at a time.

use std::sync::Arc;

use cutover_events::UnitId;
use cutover_events::plan::{Plan, PlannedStep, ProcessPlan, Step, Strategy, Undo, UnitPlan, Why};
use cutover_events::workload::Process;

use super::{Ask, CONTAINER_MS, Filled, Ids, after, awaits, dead, fill};
use crate::observed::Observed;
use crate::strategy::Choice;
use crate::workload::{Slot, Workload};

/// The plan of the open deployment, which takes away what runs.
pub(super) fn plan(state: &Workload, ask: Ask, observed: &Observed, (why, ids): (Why, &mut dyn Ids)) -> Plan {
    let blue = state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default();
    let Filled { units, slot, processes } = fill(&ask, (None, &[]), ids);
    let after = after(state, &ask);
    let first = awaits(&after, &ask.policy).into_iter();
    let steps = first.chain(steps(&dead(&blue, observed), &units, ask.policy.gate_timeout_ms)).collect();
    Plan {
        release: ask.release,
        strategy: Strategy::Recreate,
        why,
        slot,
        units,
        blue,
        adopts: false,
        template: ask.template,
        routes: ask.routes,
        health: ask.health,
        policy: ask.policy,
        steps,
        processes,
        after,
        release_command: None,
    }
}

/// The plan that brings back what the open deployment has taken away, in containers of their own; `None` when it took
/// nothing.
#[must_use]
pub fn restore(state: &Workload, full_name: &str, ids: &mut dyn Ids) -> Option<Plan> {
    let open = state.open.as_ref()?;
    let was = open.was.as_ref()?;
    let former = Arc::clone(&was.plan);
    let Filled { units, slot, processes } = fill(&again(full_name, was), (None, &[]), ids);
    Some(Plan {
        release: Some(was.release),
        strategy: Strategy::Recreate,
        why: open.plan.as_ref().map_or(former.why, |plan| plan.why),
        slot,
        steps: steps(&[], &units, former.policy.restore_timeout_ms),
        units,
        blue: Vec::new(),
        adopts: false,
        template: former.template.clone(),
        routes: former.routes.clone(),
        health: former.health.clone(),
        policy: former.policy,
        processes,
        after: Vec::new(),
        release_command: None,
    })
}

/// What the plan of a slot was made from, to be started again; it waits for nothing, because it ran already.
fn again(full_name: &str, was: &Slot) -> Ask {
    let former = &was.plan;
    let process = |process: &ProcessPlan| Process {
        name: process.name.clone(),
        command: process.command.clone(),
        replicas: process.units.len() as u16,
        limits: process.limits,
        health: process.health.clone(),
    };
    Ask {
        release: Some(was.release),
        full_name: full_name.to_owned(),
        choice: Choice { strategy: former.strategy, why: former.why },
        template: former.template.clone(),
        routes: former.routes.clone(),
        health: former.health.clone(),
        policy: former.policy,
        replicas: former.routed().len() as u16,
        processes: former.processes.iter().map(process).collect(),
        after: Vec::new(),
        release_command: None,
    }
}

fn steps(dead: &[UnitId], units: &[UnitPlan], gate_ms: u64) -> Vec<PlannedStep> {
    let step = |step, undo, timeout_ms| PlannedStep { step, undo, timeout_ms };
    let retire = dead.iter().map(|unit| step(Step::Retire(*unit), Undo::ByLists, CONTAINER_MS));
    let create = units.iter().map(|unit| step(Step::Create(unit.unit), Undo::Remove(unit.unit), CONTAINER_MS));
    let start = units.iter().map(|unit| step(Step::Start(unit.unit), Undo::Nothing, CONTAINER_MS));
    let clear = step(Step::Clear, Undo::Restore, 0);
    let rest = [
        step(Step::Gate, Undo::Nothing, gate_ms),
        step(Step::Keep, Undo::ByLists, CONTAINER_MS),
        step(Step::Swap, Undo::Restore, 0),
    ];
    retire.chain(create).chain([clear]).chain(start).chain(rest).collect()
}
