//! The log of a history: a list that branches, newest first.

use std::sync::Arc;

use cutover_domain::deployment::evolve;
use cutover_domain::observed::Mark;
use cutover_domain::workload::Workload;
use cutover_events::plan::Plan;
use cutover_events::{DeploymentId, Event, UnitId};

use crate::scene::Lie;

/// The commits so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Option<Arc<Entry>>);

#[derive(Debug)]
struct Entry {
    before: Log,
    events: Arc<Vec<Event>>,
    at: Mark,
    count: u32,
}

impl Log {
    /// With one more commit.
    pub(crate) fn with(&self, events: Arc<Vec<Event>>, at: Mark) -> Self {
        Self(Some(Arc::new(Entry { before: self.clone(), events, at, count: self.count() + 1 })))
    }

    /// How many commits there are.
    pub(crate) fn count(&self) -> u32 {
        self.0.as_ref().map_or(0, |entry| entry.count)
    }

    /// Without the newest commit.
    pub(crate) fn shorter(&self) -> Option<Self> {
        self.0.as_ref().map(|entry| entry.before.clone())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::successors(self.0.as_deref(), |entry| entry.before.0.as_deref())
    }

    /// Every event, the newest first.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries().flat_map(|entry| entry.events.iter().rev())
    }

    /// The events of the newest commit.
    pub(crate) fn newest(&self) -> &[Event] {
        self.0.as_ref().map_or(&[], |entry| &entry.events)
    }

    /// Every plan, the newest first, with the number of its commit.
    pub(crate) fn plans(&self) -> impl Iterator<Item = (u32, DeploymentId, &Plan)> {
        self.entries().flat_map(|entry| {
            let plans = entry.events.iter().filter_map(Event::plan);
            plans.map(|(deployment, plan)| (entry.count, deployment, plan))
        })
    }

    /// The number of the commit that planned a unit.
    pub(crate) fn planned(&self, unit: UnitId) -> Option<u32> {
        self.plans().find(|(_, _, plan)| plan.unit(unit).is_some()).map(|(count, ..)| count)
    }

    /// The state that it comes to.
    pub(crate) fn fold(&self) -> Result<Workload, Lie> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.reverse();
        let mut work = Workload::default();
        for entry in entries {
            for event in entry.events.iter() {
                evolve(&mut work, event, entry.at).map_err(|lie| lie.to_string())?;
            }
        }
        work.version = 0;
        Ok(work)
    }
}
