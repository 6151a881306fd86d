//! The release command before everything else of a plan: blue serves, nothing of green is there.

use cutover_events::deployment::Wish;
use cutover_events::plan::{CommandPlan, Plan, PlannedStep, RELEASE, Step, Undo, UnitPlan};
use cutover_events::workload::ReleaseCommand;

use super::{CONTAINER_MS, Ids, container_name};
use crate::workload::{Ran, Workload};

/// Whether the open deployment runs a release command: it makes something new current, and has not run it.
pub(super) fn runs(state: &Workload) -> bool {
    let due = |wish: &Wish| matches!(wish, Wish::Deploy(_));
    state.open.as_ref().is_some_and(|open| due(&open.intent.wish) && open.ran != Ran::Ended(0))
}

/// The plan with the release command in front, after what it waits for.
pub(super) fn first(plan: Plan, command: ReleaseCommand, full_name: &str, ids: &mut dyn Ids) -> Plan {
    let unit = ids.unit();
    let (name, address) = (container_name((full_name, RELEASE), unit), ids.address());
    let steps = [
        PlannedStep { step: Step::Create(unit), undo: Undo::Remove(unit), timeout_ms: CONTAINER_MS },
        PlannedStep { step: Step::Run(unit), undo: Undo::Nothing, timeout_ms: command.timeout_ms },
    ];
    let at = plan.steps.iter().take_while(|planned| planned.step == Step::Await).count();
    let mut made = plan;
    made.steps.splice(at..at, steps);
    made.units.push(UnitPlan { unit, name, replica: 0, address });
    let ReleaseCommand { command, on_crash, .. } = command;
    Plan { release_command: Some(CommandPlan { unit, command, on_crash }), ..made }
}
