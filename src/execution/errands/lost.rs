//! What an engine that died has left of people's programs: records without an end, and containers without a person.

use cutover_events::errand::ErrandEnd;

use super::super::Execution;

impl Execution {
    /// Records as unknown the end of everything that this engine did not begin, and removes containers of their own that
    /// belong to nothing that runs. Repeated for ever: a late create may come at any time.
    pub(in crate::execution) async fn end_lost_errands(&self) {
        let ours = || self.errands.ours.lock().clone();
        for (id, cell) in self.commands.live().cells() {
            // Looked at in this order: what is begun meanwhile is ours before it is recorded.
            let open = cell.state().errands.clone();
            let known = ours();
            for errand in open.iter().filter(|errand| !known.contains(&errand.errand)) {
                self.record_end(id, (errand.errand, ErrandEnd::Unknown), None).await;
            }
        }
        // Whoever is held touches nothing that it might not know any more.
        if !self.commands.live().engine().held.is_empty() {
            return;
        }
        let Ok(all) = self.attaches.alone(self.log).await else { return };
        let known = ours();
        for (container, _) in all.into_iter().filter(|(_, errand)| !known.contains(errand)) {
            self.take_alone_away(Some(container)).await;
        }
    }

    /// Containers of people's programs that nobody is at, for the doctor: how many.
    pub(in crate::execution) async fn stray_errands(&self) -> Result<usize, String> {
        let all = self.attaches.alone(self.log).await.map_err(|error| error.to_string())?;
        let known = self.errands.ours.lock().clone();
        Ok(all.iter().filter(|(_, errand)| !known.contains(errand)).count())
    }
}
