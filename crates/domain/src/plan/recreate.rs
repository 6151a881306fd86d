//! Blue goes, then green starts: never two at a time.

use std::sync::Arc;

use cutover_events::UnitId;
use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Undo, UnitPlan, Why};

use super::{Ask, CONTAINER_MS, Ids, dead, mint};
use crate::observed::Observed;
use crate::workload::Workload;

/// The plan of the open deployment, which takes away what runs.
pub(super) fn plan(state: &Workload, ask: Ask, observed: &Observed, (why, ids): (Why, &mut dyn Ids)) -> Plan {
    let blue = state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default();
    let units = mint(&ask.full_name, usize::from(ask.replicas), ids);
    let steps = steps(&dead(&blue, observed), &units, ask.policy.gate_timeout_ms);
    Plan {
        release: ask.release,
        strategy: Strategy::Recreate,
        why,
        slot: units.iter().map(|unit| unit.unit).collect(),
        units,
        blue,
        adopts: false,
        template: ask.template,
        routes: ask.routes,
        health: ask.health,
        policy: ask.policy,
        steps,
    }
}

/// The plan that brings back what the open deployment has taken away, in containers of their own; `None` when it took
/// nothing.
#[must_use]
pub fn restore(state: &Workload, full_name: &str, ids: &mut dyn Ids) -> Option<Plan> {
    let open = state.open.as_ref()?;
    let was = open.was.as_ref()?;
    let units = mint(full_name, was.units.len(), ids);
    let former = Arc::clone(&was.plan);
    Some(Plan {
        release: Some(was.release),
        strategy: Strategy::Recreate,
        why: open.plan.as_ref().map_or(former.why, |plan| plan.why),
        slot: units.iter().map(|unit| unit.unit).collect(),
        steps: steps(&[], &units, former.policy.restore_timeout_ms),
        units,
        blue: Vec::new(),
        adopts: false,
        template: former.template.clone(),
        routes: former.routes.clone(),
        health: former.health.clone(),
        policy: former.policy,
    })
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
