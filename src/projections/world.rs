//! The newest look at the world, for people and programs that ask: never for decisions.

use std::collections::BTreeMap;

use cutover_events::{DeploymentId, UnitId, WorkloadId};
use parking_lot::RwLock;

/// What was seen last.
#[derive(Debug, Default)]
pub struct World {
    rows: RwLock<BTreeMap<WorkloadId, Rows>>,
    /// What builds are doing, by the deployments that they are for.
    builds: RwLock<BTreeMap<WorkloadId, (DeploymentId, String)>>,
}

/// A build is shown for as long as this lives.
#[derive(Debug)]
pub struct Building<'a> {
    world: &'a World,
    workload: WorkloadId,
    deployment: DeploymentId,
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        let mut builds = self.world.builds.write();
        // Another one of the same workload may have begun.
        if builds.get(&self.workload).is_some_and(|(deployment, _)| *deployment == self.deployment) {
            builds.remove(&self.workload);
        }
    }
}

/// Containers and route of one workload.
pub type Rows = (Vec<ContainerRow>, Option<RouteRow>);

/// A container as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContainerRow {
    /// Docker's full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: UnitId,
    /// What it does, in one word.
    pub phase: &'static str,
    /// Whether Docker restarts it by itself, and how often it has.
    pub restarts: u32,
    /// Its address.
    pub address: Option<std::net::Ipv4Addr>,
    /// The release folder that it is, while it serves and where it is one.
    pub folder: Option<std::path::PathBuf>,
    /// The services of a stack.
    pub services: Vec<ServiceRow>,
}

/// A service of a stack as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRow {
    /// Its name.
    pub name: String,
    /// What it does, in one word; `missing` where nothing of it is there.
    pub state: &'static str,
    /// What its checks say, in one word; empty without one.
    pub health: &'static str,
    /// How it ended, where it has.
    pub exit_code: Option<i64>,
    /// When it was there last, ms since 1970; 0 where it never was.
    pub seen_ms: u64,
}

/// The router's entry as it was seen last.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteRow {
    /// Highest generation taken.
    pub generation: u64,
    /// What it routes to.
    pub targets: Vec<UnitId>,
    /// What is open or draining.
    pub busy: Vec<UnitId>,
}

fn services((containers, _): &Rows) -> Vec<ServiceRow> {
    containers.iter().flat_map(|row| row.services.clone()).collect()
}

impl World {
    /// Takes in a look at one workload.
    pub fn saw(&self, workload: WorkloadId, mut containers: Vec<ContainerRow>, route: Option<RouteRow>) {
        let mut rows = self.rows.write();
        let before: Vec<ServiceRow> = rows.get(&workload).map(services).unwrap_or_default();
        for service in containers.iter_mut().flat_map(|row| &mut row.services).filter(|service| service.seen_ms == 0) {
            let known = before.iter().find(|known| known.name == service.name);
            service.seen_ms = known.map_or(0, |known| known.seen_ms);
        }
        rows.insert(workload, (containers, route));
    }

    /// Whether a unit was seen running.
    #[must_use]
    pub fn runs(seen: &Rows, unit: UnitId) -> bool {
        seen.0.iter().any(|row| row.unit == unit && row.phase == "running")
    }

    /// What was seen of a workload.
    #[must_use]
    pub fn of(&self, workload: WorkloadId) -> Rows {
        self.rows.read().get(&workload).cloned().unwrap_or_default()
    }

    /// The build for a deployment is shown from here on.
    #[must_use = "it is shown for as long as this lives"]
    pub fn building(&self, workload: WorkloadId, deployment: DeploymentId) -> Building<'_> {
        self.builds.write().insert(workload, (deployment, String::new()));
        Building { world: self, workload, deployment }
    }

    /// What the build for a deployment does now, one line; nothing, when another one is shown meanwhile.
    pub fn builds(&self, workload: WorkloadId, deployment: DeploymentId, doing: &str) {
        if let Some((of, text)) = self.builds.write().get_mut(&workload)
            && *of == deployment
        {
            doing.clone_into(text);
        }
    }

    /// What the build for a deployment does now; `None` when none goes on.
    #[must_use]
    pub fn build_of(&self, workload: WorkloadId, deployment: DeploymentId) -> Option<String> {
        let builds = self.builds.read();
        builds.get(&workload).filter(|(of, text)| *of == deployment && !text.is_empty()).map(|(_, text)| text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &'static str, seen_ms: u64) -> ContainerRow {
        let service = ServiceRow { name: "web".into(), state, health: "", exit_code: None, seen_ms };
        ContainerRow {
            id: String::new(),
            name: String::new(),
            unit: UnitId([1; 16]),
            phase: "running",
            restarts: 0,
            address: None,
            folder: None,
            services: vec![service],
        }
    }

    #[test]
    fn a_service_that_is_missing_was_seen_when_it_was_there() {
        let (world, workload) = (World::default(), WorkloadId([1; 16]));
        let seen = || world.of(workload).0[0].services[0].seen_ms;
        world.saw(workload, vec![row("missing", 0)], None);
        assert_eq!(seen(), 0);
        world.saw(workload, vec![row("running", 7)], None);
        world.saw(workload, vec![row("missing", 0)], None);
        assert_eq!(seen(), 7);
    }
}
