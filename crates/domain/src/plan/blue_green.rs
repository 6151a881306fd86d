//! Green beside blue, then the route moves.

use cutover_events::UnitId;
use cutover_events::deployment::Wish;
use cutover_events::plan::{Plan, PlannedStep, Step, Undo, UnitPlan};

use super::{Ask, Ids};
use crate::deployment::serves;
use crate::observed::{Observed, Phase, Restart};
use crate::protocol::{Rule, on};
use crate::workload::{Slot, Workload};

/// How long Docker may take to create or start one container before the deployment fails, ms.
const CONTAINER_MS: u64 = 120_000;

/// The plan of the open deployment.
#[must_use]
pub fn plan(state: &Workload, ask: Ask, observed: &Observed, ids: &mut dyn Ids) -> Plan {
    let blue = state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default();
    let wish = state.open.as_ref().map(|open| &open.intent.wish);
    let adopted = adoptable(state, &ask, wish, observed).map(|slot| slot.units.to_vec());
    let adopts = adopted.is_some();
    let kept = match wish {
        Some(Wish::Heal) => blue.iter().copied().filter(|unit| serves(observed, *unit)).collect(),
        _ => adopted.unwrap_or_default(),
    };
    let whole = wish == Some(&Wish::Heal) && kept.len() == blue.len();
    let wanted = if ask.release.is_some() && !adopts { usize::from(ask.replicas) } else { 0 };
    let missing = if whole { 0 } else { wanted.saturating_sub(kept.len()) };
    let mut units = Vec::with_capacity(missing);
    for replica in 0..missing {
        let unit = ids.unit();
        let name = format!("cutover-{}-{}", ask.full_name.replace('/', "-"), unit.suffix());
        units.push(UnitPlan { unit, name, replica: (kept.len() + replica) as u16, address: ids.address() });
    }
    let slot: Vec<_> = kept.iter().copied().chain(units.iter().map(|unit| unit.unit)).collect();
    let dead = if wish == Some(&Wish::Heal) { dead(&blue, observed) } else { Vec::new() };
    let steps = if whole { Vec::new() } else { steps(&dead, &units, &slot, &ask) };
    Plan {
        release: ask.release,
        strategy: ask.strategy.0,
        why: ask.strategy.1,
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

/// Containers that Docker may still revive.
fn dead(blue: &[UnitId], observed: &Observed) -> Vec<UnitId> {
    let revivable = |unit: &&UnitId| {
        observed.seen(**unit).is_some_and(|seen| seen.phase != Phase::Running && seen.restart == Restart::Always)
    };
    blue.iter().filter(revivable).copied().collect()
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
