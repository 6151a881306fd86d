//! What an engine that died has left of people's programs: records without an end, and containers without a person. And
//! programs of a workload that is torn down.

use cutover_domain::workload::Teardown;
use cutover_events::errand::ErrandEnd;

use super::super::Execution;

impl Execution {
    /// Records as unknown the end of everything that this engine did not begin, removes containers of their own that belong
    /// to nothing that runs, and ends what is run of workloads that are torn down. Repeated for ever: a late create may come
    /// at any time. Whoever is held does nothing of it: the log may not be the one that these containers are from.
    pub(in crate::execution) async fn end_lost_errands(&self) {
        if self.is_held() {
            return;
        }
        for (id, cell) in self.commands.live().cells() {
            // Looked at in this order: what is begun meanwhile is ours before it is recorded.
            let state = cell.state();
            let ours = self.errands.ours.lock().clone();
            for errand in &state.errands {
                match ours.get(&errand.errand) {
                    Some(torn_down) if state.teardown != Teardown::No => torn_down.cancel(),
                    Some(_) => (),
                    None => self.record_end(id, (errand.errand, ErrandEnd::Unknown), None).await,
                }
            }
        }
        let Ok(all) = self.attaches.alone(self.log).await else { return };
        let ours = self.errands.ours.lock().clone();
        for (container, _) in all.into_iter().filter(|(_, errand)| !ours.contains_key(errand)) {
            self.take_alone_away(Some(container)).await;
        }
    }

    /// Containers of people's programs that nobody is at, for the doctor: how many.
    pub(in crate::execution) async fn stray_errands(&self) -> Result<usize, String> {
        let all = self.attaches.alone(self.log).await.map_err(|error| error.to_string())?;
        let ours = self.errands.ours.lock().clone();
        Ok(all.iter().filter(|(_, errand)| !ours.contains_key(errand)).count())
    }
}
