//! The lists after a deployment's end: what serves, what stands by, what goes.

use cutover_events::UnitId;
use cutover_events::deployment::{Lists, SlotRef, Wish};
use cutover_events::plan::Plan;

use super::gate::serves;
use crate::observed::Observed;
use crate::protocol::{Rule, on};
use crate::workload::{Open, Slot, Workload};

/// When it ended before its pivot, or was routed back: what it created goes, an adopted standby stands by again.
pub(super) fn undone(state: &Workload, open: &Open) -> Lists {
    let mut lists = state.lists();
    if let Some(plan) = open.plan.as_ref().filter(|_| on(Rule::Trash)) {
        add(&mut lists.removal, plan.units.iter().map(|unit| unit.unit));
    }
    lists
}

/// When it succeeded.
pub(super) fn done(state: &Workload, open: &Open, plan: &Plan, observed: &Observed) -> Lists {
    let blue = state.active.as_ref();
    let mut lists = Lists { active: None, standby: None, removal: state.removal.clone() };
    if let Some(release) = plan.release {
        let unchanged = blue.filter(|slot| slot.units[..] == plan.slot[..]);
        let deployment = unchanged.map_or(open.id(), |slot| slot.deployment);
        lists.active = Some(SlotRef { release, deployment, units: plan.slot.clone() });
    }
    lists.standby = standby(state, open, plan, observed);
    let left = blue.into_iter().chain(state.standby.iter().map(|(slot, _)| slot)).flat_map(|slot| slot.units.iter());
    let kept = |unit: &UnitId| lists.active.iter().chain(&lists.standby).any(|slot| slot.units.contains(unit));
    let gone: Vec<_> = left.filter(|unit| !kept(unit) && on(Rule::Trash)).copied().collect();
    add(&mut lists.removal, gone);
    let command = plan.release_command.as_ref().filter(|_| on(Rule::Trash));
    add(&mut lists.removal, command.map(|command| command.unit));
    lists
}

/// Blue stands by when the policy asks for it and it still runs as a whole; a repair and a teardown leave the standby
/// as it is, or take it along.
fn standby(state: &Workload, open: &Open, plan: &Plan, observed: &Observed) -> Option<SlotRef> {
    let former = state.standby.as_ref().map(|(slot, _)| slot);
    match open.intent.wish {
        Wish::Teardown | Wish::Stop { .. } => None,
        Wish::Heal => former.filter(|_| !plan.adopts).map(Slot::reference),
        Wish::Deploy(_) | Wish::Rollback(_) | Wish::Restart | Wish::Start => {
            let blue = state.active.as_ref()?;
            let whole = blue.units.iter().all(|unit| serves(observed, *unit) && !plan.slot.contains(unit));
            (plan.policy.standby_ms > 0 && whole).then(|| blue.reference())
        }
    }
}

pub(super) fn add(list: &mut Vec<UnitId>, units: impl IntoIterator<Item = UnitId>) {
    for unit in units {
        if !list.contains(&unit) {
            list.push(unit);
        }
    }
}
