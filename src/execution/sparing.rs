//! Images and release folders that nothing needs any more: those of releases that are no longer kept, and of workloads that
//! are gone.

use std::collections::BTreeSet;
use std::time::Duration;

use cutover_domain::workload::{Teardown, Workload};

use super::Execution;
use crate::adapters::builder::{Keep, tidy};

impl Execution {
    /// Removes what builds have made and no release names. While an image is looked for nothing goes: it may be found among
    /// those, and is named only once that is recorded.
    pub(super) async fn tidy_images(&self) {
        match self.builder.sweep(self.log).await {
            Ok(0) => (),
            Ok(containers) => tracing::info!(containers, "containers of commands that nobody waits for are removed"),
            Err(error) => tracing::debug!(%error, "containers of commands cannot be looked at; trying again"),
        }
        let mut named = BTreeSet::new();
        for (_, cell) in self.commands.live().cells() {
            let state = cell.state();
            if seeks(&state) {
                return;
            }
            named.extend(needed(&state));
        }
        let keep = Keep { named, newest: 0, age: Duration::MAX };
        match tidy(&*self.builder, self.log, &keep, self.clock.stamp().wall_ms).await {
            Ok(gone) if gone.is_empty() => (),
            Ok(gone) => tracing::info!(images = gone.len(), "images that no release needs are removed"),
            Err(error) => tracing::debug!(%error, "images cannot be looked at; trying again"),
        }
    }
}

/// Whether an image is looked for, or was found and is not recorded yet.
pub(crate) fn seeks(state: &Workload) -> bool {
    state.open.as_ref().is_some_and(|open| open.release.is_none() && !open.parked)
}

/// The images that a workload needs: of the releases that it keeps, of what runs, and of what is still answered for.
pub(crate) fn needed(state: &Workload) -> BTreeSet<String> {
    if state.teardown == Teardown::Done && state.queue.is_empty() {
        return BTreeSet::new();
    }
    let open = state.open.as_ref();
    let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot));
    let slots = slots.chain(open.and_then(|open| open.was.as_ref()));
    let plans = slots.map(|slot| &slot.plan).chain(open.and_then(|open| open.plan.as_ref()));
    let of_plans = plans.flat_map(|plan| {
        let former = plan.template.former.iter().map(|former| former.image.clone());
        former.chain([plan.template.image.clone()])
    });
    state.releases.iter().map(|release| release.image.to_string()).chain(of_plans).collect()
}
