//! A person at work: freezes, what they hold back, and the words for it.

use std::sync::Arc;

use cutover_domain::engine::Freeze;
use cutover_events::engine::{Frozen, Thawed};
use cutover_events::{Event, StreamId, WorkloadId};

use super::{LiveBackend, by};
use crate::api::backend::{Asker, Refusal, WorkloadName};
use crate::api::time::rfc3339;
use crate::api::told::who;
use crate::api::views::{FreezeView, StatusView};

impl LiveBackend {
    /// From here on nothing is done by itself; the same freeze again changes nothing.
    pub(super) async fn frozen(
        &self,
        asker: Asker,
        name: Option<WorkloadName>,
        reason: String,
    ) -> Result<StatusView, Refusal> {
        let workload = name.as_ref().map(|name| self.find(name)).transpose()?;
        self.commands
            .engine(by(&asker), |engine| {
                let known = engine.frozen.get(&workload).is_some_and(|freeze| freeze.reason == reason);
                let event = || Event::from(Frozen { workload, reason: reason.clone() });
                Ok::<_, Refusal>((!known).then(event).into_iter().collect())
            })
            .await?;
        self.told_all(name.as_ref()).await
    }

    /// It goes on by itself, unless everything is frozen; what is not frozen stays as it is.
    pub(super) async fn thawed(&self, asker: Asker, name: Option<WorkloadName>) -> Result<StatusView, Refusal> {
        let workload = name.as_ref().map(|name| self.find(name)).transpose()?;
        self.commands
            .engine(by(&asker), |engine| {
                let known = engine.frozen.contains_key(&workload);
                Ok::<_, Refusal>(known.then(|| Event::from(Thawed { workload })).into_iter().collect())
            })
            .await?;
        self.told_all(name.as_ref()).await
    }

    /// Every lane looks again, now.
    async fn told_all(&self, name: Option<&WorkloadName>) -> Result<StatusView, Refusal> {
        for (_, cell) in self.commands.live().cells() {
            cell.changed.notify_one();
        }
        self.status_of(name).await
    }

    /// Every freeze that concerns one workload, or all of them.
    pub(super) async fn freezes(&self, wanted: Option<WorkloadId>) -> Vec<FreezeView> {
        let engine = self.commands.live().engine();
        let mut found = Vec::new();
        for (workload, freeze) in &engine.frozen {
            if workload.is_none() || wanted.is_none() || *workload == wanted {
                found.push(self.freeze(*workload, freeze).await);
            }
        }
        found
    }

    /// What holds a workload back: its own freeze, or that of everything.
    pub(super) async fn freeze_of(&self, workload: WorkloadId) -> Option<FreezeView> {
        let engine: Arc<_> = self.commands.live().engine();
        match (engine.frozen.get(&Some(workload)), engine.frozen.get(&None)) {
            (Some(own), _) => Some(self.freeze(Some(workload), own).await),
            (None, Some(all)) => Some(self.freeze(None, all).await),
            (None, None) => None,
        }
    }

    /// Who and when are in the commit.
    async fn freeze(&self, workload: Option<WorkloadId>, freeze: &Freeze) -> FreezeView {
        let commit =
            self.commands.log().read(StreamId::Engine, freeze.version, 1).await.ok().and_then(|mut all| all.pop());
        let commit = commit.map(|sealed| sealed.commit);
        FreezeView {
            workload: workload.map(|id| self.full_name(id)),
            by: commit.as_ref().map(|commit| who(&commit.actor)).unwrap_or_default(),
            since: commit.map(|commit| rfc3339(commit.at.wall_ms)).unwrap_or_default(),
            reason: freeze.reason.clone(),
        }
    }
}

/// Who froze it, and why.
pub(super) fn told(freeze: &FreezeView) -> String {
    let what = if freeze.workload.is_some() { "frozen" } else { "everything is frozen" };
    let reason = if freeze.reason.is_empty() { String::new() } else { format!(" ({})", freeze.reason) };
    format!("{what} by {}{reason}: nothing is repaired, and pushes wait", freeze.by)
}

/// How a person ends it.
pub(super) fn thaw(freeze: &FreezeView) -> String {
    let name = freeze.workload.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("`cutover thaw{name}` lets it go on by itself")
}
