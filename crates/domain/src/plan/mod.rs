//! Makes plans, and checks them.

mod blue_green;
mod lint;
mod recreate;

use std::net::Ipv4Addr;

use cutover_events::plan::{Plan, Strategy, Template, UnitPlan, Why};
use cutover_events::workload::{Health, Policy, Route};
use cutover_events::{ReleaseId, UnitId};

pub use lint::{Violation, lint};
pub use recreate::restore;

use crate::observed::{Observed, Phase, Restart};
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
    /// The strategy that the spec asks for; `None`: the default of the source.
    pub wanted: Option<Strategy>,
    /// What all containers have in common.
    pub template: Template,
    /// What leads to them.
    pub routes: Vec<Route>,
    /// How readiness is probed.
    pub health: Option<Health>,
    /// Times and counts.
    pub policy: Policy,
    /// Containers of the release.
    pub replicas: u16,
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
pub fn plan(state: &Workload, ask: Ask, observed: &Observed, ids: &mut dyn Ids) -> Plan {
    match strategy(state, &ask) {
        (Strategy::BlueGreen, why) => blue_green::plan(state, ask, observed, (why, ids)),
        (Strategy::Recreate, why) => recreate::plan(state, ask, observed, (why, ids)),
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
    let running = state.active.as_ref().and_then(|slot| slot.plan.template.exclusive());
    match (ask.template.exclusive(), ask.wanted, running) {
        (Some(why), _, _) => (Strategy::Recreate, why),
        (None, Some(Strategy::Recreate), _) => (Strategy::Recreate, Why::Asked),
        (None, _, Some(_)) => (Strategy::Recreate, Why::Blue),
        (None, Some(Strategy::BlueGreen), None) => (Strategy::BlueGreen, Why::Asked),
        (None, None, None) => (Strategy::BlueGreen, Why::Default),
    }
}

/// New units, named after the workload.
fn mint(full_name: &str, count: usize, ids: &mut dyn Ids) -> Vec<UnitPlan> {
    let mut units = Vec::with_capacity(count);
    for replica in 0..count {
        let unit = ids.unit();
        let name = container_name(full_name, unit);
        units.push(UnitPlan { unit, name, replica: replica as u16, address: ids.address() });
    }
    units
}

/// The name of a unit's container, reserved for it for ever.
#[must_use]
pub fn container_name(full_name: &str, unit: UnitId) -> String {
    format!("cutover-{}-{}", full_name.replace('/', "-"), unit.suffix())
}

/// Containers that do not run and that Docker may still revive.
fn dead(blue: &[UnitId], observed: &Observed) -> Vec<UnitId> {
    let revivable = |unit: &&UnitId| {
        observed.seen(**unit).is_some_and(|seen| seen.phase != Phase::Running && seen.restart == Restart::Always)
    };
    blue.iter().filter(revivable).copied().collect()
}
