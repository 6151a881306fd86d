//! One look at the world for one workload: complete, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use cutover_domain::deployment::probed;
use cutover_domain::observed::{Answers, Behind, DockerId, Effect, Observed, Phase, Probe, RouterSeen, Seen};
use cutover_domain::plan::container_name;
use cutover_domain::workload::{Open, Workload};
use cutover_events::UnitId;
use cutover_events::deployment::Cut;
use cutover_events::plan::Plan;
use cutover_proxy::wire::{Entry, Place, Table};
use tokio::task::JoinSet;

use super::Execution;
use super::lane::Lane;
use super::probing::Probes;
use super::seeking::{Resolved, Search};
use crate::adapters::runtime::{Container, Service};
use crate::projections::{ContainerRow, RouteRow, ServiceRow, World};

/// What a lane remembers between looks.
#[derive(Default)]
pub(super) struct Sight {
    pub(super) observed: Observed,
    pub(super) containers: Vec<Container>,
    pub(super) table: Option<Table>,
    pub(super) resolved: Option<Resolved>,
    pub(super) search: Search,
    pub(super) probes: Probes,
    pub(super) removals: JoinSet<(UnitId, Effect, Result<(), super::perform::Failed>)>,
    /// Removals that have ended and were not taken in yet.
    pub(super) removed: Vec<(Effect, Result<(), super::perform::Failed>)>,
    down_since: BTreeMap<DockerId, u64>,
    paused_since: BTreeMap<DockerId, u64>,
    apart_since: BTreeMap<DockerId, u64>,
    /// Start of the newest run that was seen, and how often it was another one before.
    runs: BTreeMap<DockerId, (String, u32)>,
    witnessed: BTreeMap<DockerId, bool>,
    /// Those that had not ended when Docker was last seen before it went away, with the start of the run they were in.
    at_risk: BTreeMap<DockerId, String>,
    /// Those of which a run has ended while Docker was away.
    lost: BTreeSet<DockerId>,
    /// How often Docker had gone away by the newest look.
    outages: u64,
}

impl Sight {
    /// Where the proxy reaches a unit, while it runs.
    pub(super) fn place(&self, unit: UnitId) -> Option<Place> {
        let container = self.containers.iter().find(|container| container.unit == unit)?;
        let folder = || container.folder.clone().map(Place::Folder);
        container.address.map(|address| Place::Address(address.into())).or_else(folder)
    }

    /// How long until a probe is due, ms.
    pub(super) fn next_probe(&self, now_ms: u64) -> u64 {
        self.probes.next_due(now_ms)
    }

    /// Returns when a probe, a removal or the search for an image has ended; never, when none is under way.
    pub(super) async fn something_ended(&mut self) {
        let removal = async {
            match self.removals.join_next().await {
                Some(ended) => Some(ended),
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = removal => ended,
            () = self.probes.ended() => None,
            () = self.search.ended() => None,
        };
        if let Some(Ok((unit, effect, result))) = ended {
            self.observed.answers.under_way.retain(|other| *other != unit);
            self.removed.push((effect, result));
        }
    }
}

impl Execution {
    /// Looks at Docker and the router. Their answers are younger than `state`.
    pub(super) async fn look(&self, lane: &mut Lane, state: &Workload) -> Result<(), String> {
        let (containers, table) = tokio::join!(self.runtime.list(self.log, Some(lane.id)), self.router.table());
        let outages = self.outages.load(Ordering::Relaxed);
        if containers.is_err() || lane.sight.outages != outages {
            lane.sight.risk();
        }
        lane.sight.outages = outages;
        let mut containers = containers.map_err(|error| error.to_string())?;
        for container in containers.iter_mut().filter(|container| !container.services.is_empty()) {
            container.address = state.plan_with(container.unit).and_then(|plan| routed_service(plan, container));
        }
        let table = table.inspect_err(|error| tracing::debug!(%error, "the proxy does not answer")).ok();
        let now_ms = self.clock.mono_ms();
        let sight = &mut lane.sight;
        sight.forget(state, &containers);
        sight.probes.take_in(&containers);
        sight.count_losses(&containers);
        let mut seen = Vec::with_capacity(containers.len());
        for container in &containers {
            let witnessed = self.witnessed(sight, container).await;
            let plan = state.plan_with(container.unit);
            let limits = plan.map_or(container.limits, |plan| plan.part(container.unit).limits);
            let own = plan.map(|plan| own_name(plan, container));
            let routed = table.as_ref().and_then(|table| routed_at(table, (container, plan.map(|plan| &**plan))));
            seen.push(Seen {
                witnessed,
                resized: limits != container.limits,
                renamed: own.is_some_and(|own| own != container.name),
                apart_ms: sight.apart_ms(container, routed, now_ms),
                ..sight.seen(container, now_ms)
            });
        }
        seen.sort_by_key(|seen| seen.unit);
        sight.observed.containers = seen;
        sight.observed.frozen = self.commands.live().engine().freeze_of(lane.id).is_some();
        let entry =
            table.as_ref().map(|table| table.entries.iter().find(|entry| entry.workload == lane.id.to_string()));
        sight.observed.behind = self.behind(state);
        sight.observed.router = entry.map(|entry| entry.map(router_seen).unwrap_or_default());
        sight.containers = containers;
        sight.table = table;
        let asked = probed(state, &sight.observed);
        let running = |unit: &UnitId| sight.containers.iter().find(|c| c.unit == *unit && c.phase == Phase::Running);
        let targets = asked.iter().filter_map(|unit| Some((running(unit)?, state.plan_with(*unit)?.clone())));
        sight.probes.ask(&self.prober, &targets.collect::<Vec<_>>(), now_ms);
        self.show(lane);
        Ok(())
    }

    /// Of the workloads that the open deployment comes after and still waits for, those that are not ready.
    #[must_use]
    pub fn behind(&self, state: &Workload) -> Vec<Behind> {
        let waits = |open: &&Open| open.before_pivot() && open.recorded == 0;
        let plan = state.open.as_ref().filter(waits).and_then(|open| open.plan.as_ref());
        let Some(plan) = plan.filter(|plan| !plan.after.is_empty()) else { return Vec::new() };
        let registry = self.commands.live().registry();
        let mut behind = Vec::new();
        for name in &plan.after {
            let id = name.split_once('/').and_then(|(project, name)| registry.find(project, name));
            let other = id.map(|id| (self.world.of(id), self.commands.live().cell(id).state()));
            let ready = other.as_ref().is_some_and(|(seen, other)| {
                other.stands() && other.routed.units.iter().any(|unit| World::runs(seen, *unit))
            });
            if !ready {
                let coming = other.is_some_and(|(_, other)| other.is_coming());
                behind.push(Behind { name: name.as_str().into(), coming });
            }
        }
        behind
    }

    /// Whether the log holds what the container's label says it was planned at.
    async fn witnessed(&self, sight: &mut Sight, container: &Container) -> bool {
        if let Some(known) = sight.witnessed.get(&container.id) {
            return *known;
        }
        let Some(witness) = container.witness else { return false };
        match self.commands.log().chain_at(witness.position).await {
            Ok(chain) => {
                let known = chain == Some(witness.chain);
                sight.witnessed.insert(container.id, known);
                known
            }
            Err(_) => false,
        }
    }

    fn show(&self, lane: &Lane) {
        let now_ms = self.clock.stamp().wall_ms;
        let rows = lane.sight.containers.iter().map(|c| ContainerRow {
            id: hex::encode(c.id.0),
            name: c.name.clone(),
            unit: c.unit,
            phase: if c.paused { "paused" } else { phase_word(c.phase) },
            restarts: c.restarts,
            address: c.address,
            folder: c.folder.clone(),
            services: c.services.iter().map(|service| service_row(service, now_ms)).collect(),
        });
        let route = lane.sight.observed.router.as_ref().map(|seen| RouteRow {
            generation: seen.generation,
            targets: seen.targets.clone(),
            busy: seen.busy.clone(),
        });
        self.world.saw(lane.id, rows.collect(), route);
    }
}

impl Sight {
    /// Forgets what belongs to deployments and containers that are over.
    fn forget(&mut self, state: &Workload, containers: &[Container]) {
        let seeks = state.seeks().map(|intent| intent.deployment);
        self.resolved = self.resolved.take().filter(|resolved| Some(resolved.deployment) == seeks);
        self.observed.answers.keep_for(seeks);
        let here = |id: &DockerId| containers.iter().any(|container| container.id == *id);
        self.down_since.retain(|id, _| here(id));
        self.witnessed.retain(|id, _| here(id));
        self.paused_since.retain(|id, _| here(id));
        self.apart_since.retain(|id, _| here(id));
        self.runs.retain(|id, _| here(id));
        self.lost.retain(here);
        self.search.keep_for(seeks);
        let Answers { captured, .. } = &mut self.observed.answers;
        captured.retain(|unit| containers.iter().any(|container| container.unit == *unit));
    }

    /// Docker went away: what ends until it is seen again ends with it, as far as anybody can tell.
    fn risk(&mut self) {
        for container in self.containers.iter().filter(|container| container.phase.goes_on()) {
            self.at_risk.entry(container.id).or_insert_with(|| container.started_at.clone());
        }
    }

    /// Docker is there again: which runs have ended meanwhile. One that was only created may have been started, by an
    /// answer that was lost.
    fn count_losses(&mut self, containers: &[Container]) {
        for (id, started_at) in std::mem::take(&mut self.at_risk) {
            let Some(container) = containers.iter().find(|container| container.id == id) else { continue };
            let anew = !started_at.is_empty() && container.started_at != started_at;
            if !container.phase.goes_on() || anew {
                self.lost.insert(id);
            }
        }
    }

    fn seen(&mut self, container: &Container, now_ms: u64) -> Seen {
        let down_ms = if container.phase.goes_on() {
            self.down_since.remove(&container.id);
            0
        } else {
            now_ms - *self.down_since.entry(container.id).or_insert(now_ms) + 1
        };
        let paused_ms = self.paused_ms(container, now_ms);
        let probe: Probe = self.probes.newest(container);
        Seen {
            unit: container.unit,
            id: container.id,
            phase: container.phase,
            restart: container.restart,
            restarts: container.restarts.saturating_add(self.started_anew(container)),
            exit_code: container.exit_code,
            up_ms: container.up_ms,
            age_ms: container.age_ms,
            down_ms,
            health: container.health,
            probe,
            witnessed: false,
            paused_ms,
            apart_ms: 0,
            renamed: false,
            resized: false,
            lost: self.lost.contains(&container.id),
            folder: container.folder.is_some(),
        }
    }

    /// How long a running container has been seen off its network, or at another address than it is routed at, ms.
    fn apart_ms(&mut self, container: &Container, routed: Option<Ipv4Addr>, now_ms: u64) -> u64 {
        let elsewhere = routed.is_some() && routed != container.address;
        if container.phase == Phase::Running && (!container.connected || elsewhere) {
            return lasted(&mut self.apart_since, container.id, now_ms);
        }
        self.apart_since.remove(&container.id);
        0
    }

    /// How long a container has been seen paused, ms.
    fn paused_ms(&mut self, container: &Container, now_ms: u64) -> u64 {
        if container.paused {
            return lasted(&mut self.paused_since, container.id, now_ms);
        }
        self.paused_since.remove(&container.id);
        0
    }

    /// How often a person has started it anew since the engine looks: Docker counts its own restarts only.
    fn started_anew(&mut self, container: &Container) -> u32 {
        if container.started_at.is_empty() {
            return 0;
        }
        let (start, restarts) = (container.started_at.clone(), container.restarts);
        let (known, anew) = self.runs.entry(container.id).or_insert((start.clone(), 0));
        if *known != start {
            *known = start;
            *anew += u32::from(restarts == 0);
        }
        *anew
    }
}

fn service_row(service: &Service, now_ms: u64) -> ServiceRow {
    ServiceRow {
        seen_ms: if service.containers.is_empty() { 0 } else { now_ms },
        name: service.name.clone(),
        state: service.state,
        health: service.health,
        exit_code: service.exit_code,
    }
}

/// How long something has been seen so, counted from one, ms.
fn lasted(since: &mut BTreeMap<DockerId, u64>, id: DockerId, now_ms: u64) -> u64 {
    now_ms - *since.entry(id).or_insert(now_ms) + 1
}

/// The name that a container was created with.
pub(super) fn own_name(plan: &Plan, container: &Container) -> String {
    container_name((&container.full_name, plan.part(container.unit).process), container.unit)
}

/// Where the service of a stack is that routes lead to. A stack that nothing leads to is nowhere in particular: requests
/// never go there.
fn routed_service(plan: &Plan, container: &Container) -> Option<Ipv4Addr> {
    let Some(route) = plan.routes.first() else { return Some(Ipv4Addr::UNSPECIFIED) };
    container.services.iter().find(|service| service.name == route.service)?.address
}

/// The address that the router has for a container, or for a service of it that is elsewhere by now.
fn routed_at(table: &Table, (container, plan): (&Container, Option<&Plan>)) -> Option<Ipv4Addr> {
    let (workload, unit) = (container.workload.to_string(), container.unit.to_string());
    let entry = table.entries.iter().find(|entry| entry.workload == workload)?;
    let target = entry.targets.iter().find(|target| target.unit == unit)?;
    let address = |address| match address {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    };
    let service = |route: &&cutover_events::workload::Route| {
        let known = entry.routes.iter().find(|known| known.host == route.host && known.path == route.path)?;
        let service = container.services.iter().find(|service| service.name == route.service)?;
        known.address.and_then(address).filter(|known| Some(*known) != service.address)
    };
    let astray = plan.and_then(|plan| plan.routes.iter().find_map(|route| service(&route)));
    astray.or_else(|| address(target.place.address()?))
}

fn router_seen(entry: &Entry) -> RouterSeen {
    let unit = |text: &String| text.parse::<UnitId>().ok();
    let open = entry.draining.iter().filter(|drain| !drain.done).filter_map(|drain| unit(&drain.unit));
    let cut = entry.draining.iter().fold(Cut::default(), |sum, drain| Cut {
        requests: sum.requests + drain.cut_requests,
        upgraded: sum.upgraded + drain.cut_upgraded,
        streams: sum.streams + drain.cut_streams,
    });
    RouterSeen {
        generation: entry.generation,
        targets: entry.targets.iter().filter_map(|target| unit(&target.unit)).collect(),
        busy: open.collect(),
        cut,
    }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Created => "created",
        Phase::Running => "running",
        Phase::Exited => "exited",
        Phase::Restarting => "restarting",
        Phase::Removing => "removing",
    }
}
