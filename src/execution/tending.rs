//! What concerns more than one workload: the general look, wakes by Docker's events, claims and networks that nothing
//! needs any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cutover_domain::workload::Teardown;
use cutover_events::engine::NetworkRemoved;
use cutover_events::workload::VolumesRemoved;
use cutover_events::{Cause, DeploymentId, Event, WorkloadId};
use cutover_proxy::wire::Table;
use tokio_util::sync::CancellationToken;

use super::Execution;
use super::planning::claims_needed;
use crate::adapters::runtime::{Container, Hint};
use crate::commands::{By, Error};
use crate::crash;

/// Between two general looks, ms: events are hints, the listing is the truth (facts: docker §6).
const LOOK_MS: u64 = 10_000;
/// Between two looks whether the proxy is still the same process, ms: one that came back without its table routes
/// nothing until the lanes have written it anew, and nobody else says so.
const PROXY_MS: u64 = 1_000;

/// Between two looks for images that nothing needs any more, ms: they take room and nothing else.
const IMAGES_MS: u64 = 60_000;

/// What a general look compares: a difference wakes the lane.
type Picture = BTreeMap<WorkloadId, Vec<u8>>;

impl Execution {
    pub(super) async fn tend(self: Arc<Self>, stop: CancellationToken) {
        let mut hints = self.runtime.clone().hints(self.log);
        let mut before = Picture::new();
        let mut proxy = String::new();
        // Hints come as they like, and put neither off.
        let mut looks = tokio::time::interval(Duration::from_millis(LOOK_MS));
        let mut proxy_looks = tokio::time::interval(Duration::from_millis(PROXY_MS));
        let mut images = tokio::time::interval(Duration::from_millis(IMAGES_MS));
        looks.reset();
        self.end_lost_errands().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                hint = hints.recv() => match hint {
                    Some(Hint::Workload(id)) => self.wake(id),
                    Some(Hint::LookAtAll) => self.wake_all(),
                    Some(Hint::Lost) => drop(self.outages.fetch_add(1, Ordering::Relaxed)),
                    None => hints = self.runtime.clone().hints(self.log),
                },
                () = self.leftovers.notified(), if !self.is_held() => {
                    self.tidy_up().await;
                    self.tidy_images().await;
                }
                _ = images.tick() => if !self.is_held() {
                    self.tidy_images().await;
                    self.tidy_files().await;
                },
                _ = proxy_looks.tick() => self.look_at_proxy(&mut proxy).await,
                _ = looks.tick() => {
                    self.look_at_all(&mut before).await;
                    if !self.is_held() {
                        self.tidy_up().await;
                    }
                    self.end_lost_errands().await;
                }
            }
        }
    }

    fn wake(&self, id: WorkloadId) {
        self.commands.live().cell(id).changed.notify_one();
    }

    fn wake_all(&self) {
        for (_, cell) in self.commands.live().cells() {
            cell.changed.notify_one();
        }
    }

    /// A proxy that is another process than before may lack what its predecessor had: every lane looks.
    async fn look_at_proxy(&self, before: &mut String) {
        let Ok(table) = self.router.table().await else { return };
        if table.router_boot != *before {
            before.clone_from(&table.router_boot);
            self.wake_all();
        }
    }

    async fn look_at_all(&self, before: &mut Picture) {
        let (containers, table) = tokio::join!(self.runtime.list(self.log, None), self.router.table());
        let (Ok(containers), Ok(table)) = (containers, table) else { return };
        let known = self.commands.live().cells();
        let now: Picture = known.iter().map(|(id, _)| (*id, picture(*id, &containers, &table))).collect();
        for (id, cell) in known {
            if now.get(&id) != before.get(&id) {
                cell.changed.notify_one();
            }
        }
        *before = now;
    }

    /// Frees claims that no release holds, and removes networks of projects that are torn down.
    async fn tidy_up(&self) {
        let live = self.commands.live();
        let registry = live.registry();
        for (id, cell) in live.cells() {
            let needed = claims_needed(&registry, id, &cell.state());
            if registry.free(id, &needed).is_none() {
                continue;
            }
            if let Err(error) = self.commands.free_claims(id, &needed).await {
                tracing::warn!(%error, "claims could not be freed; trying again");
            }
        }
        for (id, teardown) in &registry.unwanted {
            if let Err(why) = self.remove_volumes(*id, *teardown).await {
                tracing::warn!(workload = %self.full_name(*id), why, "volumes cannot be removed yet; trying again");
            }
        }
        let gone = |id: &WorkloadId| {
            let state = live.cell(*id).state();
            state.version == 0 || (state.teardown == Teardown::Done && state.queue.is_empty())
        };
        for (project, network) in &live.engine().networks {
            let mut members = registry.workloads.iter().filter(|(_, workload)| workload.project == *project);
            if members.all(|(id, _)| gone(id)) {
                self.remove_network(project, &network.network).await;
            }
        }
    }

    /// The volumes that were made for a workload, once its teardown is over; those that others mount stay.
    async fn remove_volumes(&self, id: WorkloadId, teardown: DeploymentId) -> Result<(), String> {
        let live = self.commands.live();
        let state = live.cell(id).state();
        let last = live.with_deployments(|all| all.last_ended(id));
        if state.teardown != Teardown::Done || !state.queue.is_empty() || last != Some(teardown) {
            return Ok(());
        }
        let all = self.runtime.volumes(self.log).await.map_err(|error| error.to_string())?;
        let registry = live.registry();
        let mut gone = Vec::new();
        for volume in all.into_iter().filter(|volume| volume.workload == id) {
            if !registry.mounted_by_others(id, &volume.name) {
                let point = crash::before(|| "RemoveVolume".into());
                self.runtime.remove_volume(self.log, &volume.name).await.map_err(|error| error.to_string())?;
                point.after();
                gone.push(volume.name);
            }
        }
        let removed = VolumesRemoved { workload: id, volumes: gone };
        let noted = self.commands.note(By::engine(Cause::Deployment(teardown)), removed.into()).await;
        noted.map(drop).map_err(|error| error.to_string())
    }

    /// Volumes that go with the units of a workload, with their bytes where Docker knows.
    ///
    /// # Errors
    /// Docker does not answer: one line for a person.
    pub async fn own_volumes(&self, workload: WorkloadId) -> Result<Vec<(String, Option<u64>)>, String> {
        self.runtime.own_volumes(self.log, workload).await.map_err(|error| error.to_string())
    }

    /// Has the leftovers of teardowns looked for now, and not at the next general look.
    pub fn look_for_leftovers(&self) {
        self.leftovers.notify_one();
    }

    async fn remove_network(&self, project: &str, network: &str) {
        let point = crash::before(|| "RemoveNetwork".into());
        if let Err(error) = self.runtime.remove_network(network).await {
            tracing::info!(project, %error, "a network cannot be removed yet; trying again");
            return;
        }
        point.after();
        let removed = NetworkRemoved { project: project.into(), network: network.into() };
        let by = By::engine(Cause::Engine);
        let written = self.commands.engine(by, |engine| {
            let known = engine.networks.get(project).is_some_and(|made| made.network == network);
            Ok::<Vec<Event>, Error>(if known { vec![removed.into()] } else { Vec::new() })
        });
        if let Err(error) = written.await {
            tracing::warn!(project, %error, "the removal of a network could not be recorded");
        }
    }
}

/// Everything of a workload whose change a lane should see; times and counts that always move are left out.
fn picture(id: WorkloadId, containers: &[Container], table: &Table) -> Vec<u8> {
    let mut ours: Vec<_> = containers.iter().filter(|container| container.workload == id).collect();
    ours.sort_by_key(|container| container.id);
    let state = |c: &Container| (c.phase, c.paused, c.restart, c.restarts, c.limits);
    let seen = ours.iter().map(|c| (c.id, state(c), &c.name, &c.started_at, c.address));
    let entry = table.entries.iter().find(|entry| entry.workload == id.to_string());
    let route = entry.map(|entry| (entry.generation, entry.targets.iter().map(|t| &t.unit).collect::<Vec<_>>()));
    format!("{:?}{:?}{}", seen.collect::<Vec<_>>(), route, table.router_boot).into_bytes()
}
