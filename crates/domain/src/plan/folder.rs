//! A release folder beside the one before, then the route moves. Nothing of it can fail once the proxy has read it, so it
//! is gated by being there and not watched afterwards.

use cutover_events::plan::{Plan, Strategy, Why};
use cutover_events::workload::Policy;

use super::{Ask, Ids, blue_green};
use crate::observed::Observed;
use crate::workload::Workload;

/// The plan of the open deployment, under the name of its strategy.
pub(super) fn plan(
    state: &Workload,
    ask: Ask,
    observed: &Observed,
    ((strategy, why), ids): ((Strategy, Why), &mut dyn Ids),
) -> Plan {
    let policy = Policy { liveness_ms: 0, bake_ms: 0, ..ask.policy };
    let made = blue_green::plan(state, Ask { policy, health: None, ..ask }, observed, (why, ids));
    Plan { strategy, ..made }
}
