//! Green beside blue, then the route moves.

use cutover_events::UnitId;
use cutover_events::deployment::Wish;
use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Undo, Why};

use super::{Ask, CONTAINER_MS, Filled, Ids, after, awaits, dead, fill};
use crate::deployment::serves;
use crate::observed::Observed;
use crate::protocol::{Rule, on};
use crate::workload::{Slot, Workload};

/// The plan of the open deployment.
pub(super) fn plan(state: &Workload, ask: Ask, observed: &Observed, (why, ids): (Why, &mut dyn Ids)) -> Plan {
    let blue = state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default();
    let wish = state.open.as_ref().map(|open| &open.intent.wish);
    let adopted = adoptable(state, &ask, wish, observed);
    let heals = wish == Some(&Wish::Heal);
    let kept: Vec<_> = match adopted {
        _ if heals => blue.iter().copied().filter(|unit| serves(observed, *unit)).collect(),
        Some(slot) => slot.units.to_vec(),
        None => Vec::new(),
    };
    let whole = heals && !blue.is_empty() && kept.len() == blue.len();
    let former = if heals { state.active.as_ref() } else { adopted }.map(|slot| &*slot.plan);
    let filled = match former {
        // What is there is all that there will be.
        Some(former) if whole || adopted.is_some() => {
            Filled { units: Vec::new(), slot: former.slot.clone(), processes: former.processes.clone() }
        }
        _ if ask.release.is_none() => Filled::default(),
        _ => fill(&ask, (former, &kept), ids),
    };
    let adopts = adopted.is_some();
    let dead = if heals { dead(&blue, observed) } else { Vec::new() };
    let after = after(state, &ask);
    let steps = if whole { Vec::new() } else { steps(&dead, &filled, &after, &ask) };
    let Filled { units, slot, processes } = filled;
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
        processes,
        after,
        release_command: None,
    }
}

/// The standby, when the wish is to go back to it and it still runs as a whole.
fn adoptable<'a>(state: &'a Workload, ask: &Ask, wish: Option<&Wish>, observed: &Observed) -> Option<&'a Slot> {
    let (slot, _) = state.standby.as_ref()?;
    let wanted = matches!(wish, Some(Wish::Rollback(_))) && ask.release == Some(slot.release);
    let runs = |unit: &UnitId| serves(observed, *unit) || !on(Rule::CheckPhase);
    (wanted && slot.units.iter().all(runs)).then_some(slot)
}

fn steps(dead: &[UnitId], filled: &Filled, after: &[String], ask: &Ask) -> Vec<PlannedStep> {
    let mut steps: Vec<_> = awaits(after, &ask.policy).into_iter().collect();
    let mut add = |step, undo, timeout_ms| steps.push(PlannedStep { step, undo, timeout_ms });
    for unit in dead {
        add(Step::Retire(*unit), Undo::ByLists, CONTAINER_MS);
    }
    for unit in &filled.units {
        add(Step::Create(unit.unit), Undo::Remove(unit.unit), CONTAINER_MS);
        add(Step::Start(unit.unit), Undo::Nothing, CONTAINER_MS);
    }
    if !filled.slot.is_empty() {
        add(Step::Gate, Undo::Nothing, ask.policy.gate_timeout_ms);
        add(Step::Keep, Undo::ByLists, CONTAINER_MS);
    }
    add(Step::Swap, Undo::RouteBack, 0);
    add(Step::Settle, Undo::RouteBack, ask.policy.bake_ms.max(ask.policy.drain_ms));
    steps
}
