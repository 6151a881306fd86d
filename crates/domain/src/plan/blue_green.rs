//! Green beside blue, then the route moves.

use cutover_events::UnitId;
use cutover_events::deployment::Wish;
use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Undo, UnitPlan, Why};

use super::{Ask, CONTAINER_MS, Ids, dead, mint};
use crate::deployment::serves;
use crate::observed::Observed;
use crate::protocol::{Rule, on};
use crate::workload::{Slot, Workload};

/// The plan of the open deployment.
pub(super) fn plan(state: &Workload, ask: Ask, observed: &Observed, (why, ids): (Why, &mut dyn Ids)) -> Plan {
    let blue = state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default();
    let wish = state.open.as_ref().map(|open| &open.intent.wish);
    let adopted = adoptable(state, &ask, wish, observed).map(|slot| slot.units.to_vec());
    let adopts = adopted.is_some();
    let kept = match wish {
        Some(Wish::Heal) => blue.iter().copied().filter(|unit| serves(observed, *unit)).collect(),
        _ => adopted.unwrap_or_default(),
    };
    let whole = wish == Some(&Wish::Heal) && !blue.is_empty() && kept.len() == blue.len();
    let wanted = if ask.release.is_some() && !adopts { usize::from(ask.replicas) } else { 0 };
    let missing = if whole { 0 } else { wanted.saturating_sub(kept.len()) };
    let mut units = mint(&ask.full_name, missing, ids);
    for unit in &mut units {
        unit.replica += kept.len() as u16;
    }
    let slot: Vec<_> = kept.iter().copied().chain(units.iter().map(|unit| unit.unit)).collect();
    let dead = if wish == Some(&Wish::Heal) { dead(&blue, observed) } else { Vec::new() };
    let steps = if whole { Vec::new() } else { steps(&dead, &units, &slot, &ask) };
    Plan {
        release: ask.release,
        strategy: Strategy::BlueGreen,
        why,
        units,
        slot,
        blue,
        adopts,
        template: ask.template,
        routes: ask.routes,
        health: ask.health,
        policy: ask.policy,
        steps,
    }
}

/// The standby, when the wish is to go back to it and it still runs as a whole.
fn adoptable<'a>(state: &'a Workload, ask: &Ask, wish: Option<&Wish>, observed: &Observed) -> Option<&'a Slot> {
    let (slot, _) = state.standby.as_ref()?;
    let wanted = matches!(wish, Some(Wish::Rollback(_))) && ask.release == Some(slot.release);
    let runs = |unit: &UnitId| serves(observed, *unit) || !on(Rule::CheckPhase);
    (wanted && slot.units.iter().all(runs)).then_some(slot)
}

fn steps(dead: &[UnitId], units: &[UnitPlan], slot: &[UnitId], ask: &Ask) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    let mut add = |step, undo, timeout_ms| steps.push(PlannedStep { step, undo, timeout_ms });
    for unit in dead {
        add(Step::Retire(*unit), Undo::ByLists, CONTAINER_MS);
    }
    for unit in units {
        add(Step::Create(unit.unit), Undo::Remove(unit.unit), CONTAINER_MS);
        add(Step::Start(unit.unit), Undo::Nothing, CONTAINER_MS);
    }
    if !slot.is_empty() {
        add(Step::Gate, Undo::Nothing, ask.policy.gate_timeout_ms);
        add(Step::Keep, Undo::ByLists, CONTAINER_MS);
    }
    add(Step::Swap, Undo::RouteBack, 0);
    add(Step::Settle, Undo::RouteBack, ask.policy.bake_ms.max(ask.policy.drain_ms));
    steps
}
