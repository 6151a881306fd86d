//! A stack in place of the one before, which Compose brings about as a whole: what is the same in both goes on. Only the
//! note of the one before is taken away, because its project is that of its successor.

use cutover_events::plan::{Plan, PlannedStep, Step, Why};

use super::{Ask, Ids, recreate};
use crate::observed::Observed;
use crate::workload::Workload;

/// How long a stack may take to come up before the deployment fails, ms: images are pulled and built meanwhile, and the
/// command of an engine that has died is waited for. Compose itself is ended earlier.
const UP_MS: u64 = 30 * 60 * 1000;

/// The plan of the open deployment.
pub(super) fn plan(state: &Workload, ask: Ask, observed: &Observed, (why, ids): (Why, &mut dyn Ids)) -> Plan {
    patient(recreate::plan(state, ask, observed, (why, ids)))
}

/// The plan with the time that a stack needs.
pub(super) fn patient(made: Plan) -> Plan {
    let steps = made.steps.into_iter().map(|planned| match planned.step {
        Step::Start(_) => PlannedStep { timeout_ms: UP_MS, ..planned },
        _ => planned,
    });
    Plan { steps: steps.collect(), ..made }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::lint::tests::good;

    #[test]
    fn only_the_start_of_a_stack_takes_long() {
        let plain = good();
        let made = patient(plain.clone());
        for (planned, before) in made.steps.iter().zip(&plain.steps) {
            let starts = matches!(planned.step, Step::Start(_));
            assert_eq!(planned.timeout_ms, if starts { UP_MS } else { before.timeout_ms });
            assert_eq!((planned.step, planned.undo), (before.step, before.undo));
        }
    }
}
