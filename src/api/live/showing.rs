//! Status, releases, specs and output, from the folds and the last look.

use cutover_domain::file::Canonical;
use cutover_domain::workload::{Open, Phase, Teardown, Workload};
use cutover_events::workload::{Access, Mount, MountFrom, PublishedPort, Source, Spec, Transport};
use cutover_events::{Event, StreamId, UnitId, WorkloadId};

use super::LiveBackend;
use crate::api::backend::{Refusal, WorkloadName};
use crate::api::time::rfc3339;
use crate::api::views::{
    ContainerView, HeldView, HeldWord, LogsView, OutputView, PortView, RejectedView, ReleaseView, ReleasesView, Role,
    RollbackCost, ServiceView, ShowView, StatusView, VolumeView, WorkloadState, WorkloadView,
};
use crate::projections::{ContainerRow, Rows, ServiceRow};

impl LiveBackend {
    pub(super) fn shown(&self, name: &WorkloadName, revision: Option<u32>) -> Result<ShowView, Refusal> {
        let id = self.find(name)?;
        let registry = self.registry();
        let registered = registry.workloads.get(&id).ok_or_else(|| Refusal::Internal("unregistered".into()))?;
        let newest = registered.revision();
        let revision = revision.unwrap_or(newest);
        let unknown = || {
            Refusal::UnknownName(format!(
                "{} has no revision {revision}: the newest is {newest}",
                registered.full_name()
            ))
        };
        let spec = registry.spec(id, revision).ok_or_else(unknown)?;
        let spec = super::spec::shown(&Canonical::of(&registered.project, &registered.name, spec))?;
        Ok(ShowView { workload: registered.full_name(), revision, newest, spec })
    }

    pub(super) async fn status_of(&self, name: Option<&WorkloadName>) -> Result<StatusView, Refusal> {
        let live = self.commands.live();
        let wanted = name.map(|name| self.find(name)).transpose()?;
        let position = self.commands.log().head().position;
        let mut workloads = Vec::new();
        let registry = self.registry();
        for id in registry.workloads.keys().filter(|id| wanted.is_none_or(|wanted| wanted == **id)) {
            let view = self.workload(*id).await?;
            if wanted.is_some() || view.state != WorkloadState::TornDown {
                workloads.push(view);
            }
        }
        let held = live
            .engine()
            .held
            .iter()
            .map(|(cause, text)| HeldView { cause: held_word(*cause), text: text.clone() })
            .collect();
        let frozen = self.freezes(wanted).await;
        Ok(StatusView { position, held, frozen, workloads })
    }

    async fn workload(&self, id: WorkloadId) -> Result<WorkloadView, Refusal> {
        let live = self.commands.live();
        let (state, registry) = (live.cell(id).state(), self.registry());
        let seen = self.world.of(id);
        let word = state_word(&state, &seen);
        let (rows, route) = seen;
        let spec = registry.workloads.get(&id).and_then(|registered| registered.revisions.last());
        let release = state.active.as_ref().and_then(|slot| state.release(slot.release));
        let open = state.open.as_ref().map(Open::id);
        let last = live.with_deployments(|all| all.last_ended(id));
        let told = |id| async move { self.told(id).await.ok() };
        let deployment = match open {
            Some(id) => told(id).await,
            None => None,
        };
        let last = match last {
            Some(id) => told(id).await,
            None => None,
        };
        let live_since = self.live_since(&state).await;
        let build = open.and_then(|open| self.doing(id, open));
        Ok(WorkloadView {
            workload: self.full_name(id),
            id: id.to_string(),
            state: word,
            revision: registry.workloads.get(&id).map_or(0, |registered| registered.revision()),
            strategy: spec
                .map(|spec| super::foretelling::replaced(super::foretelling::choice(spec, Some(&state))))
                .unwrap_or_default(),
            release: release.map(|release| release.id.to_string()),
            reference: release.map(|release| release.reference.to_string()),
            image: release.map(|release| release.image.to_string()),
            live_since,
            generation: state.routed.generation,
            routes: spec
                .map(|spec| spec.routes.iter().map(|r| format!("{}{}", r.host, r.path)).collect())
                .unwrap_or_default(),
            volumes: spec.map(|spec| volumes(spec)).unwrap_or_default(),
            ports: spec.map(|spec| spec.ports.iter().map(port).collect()).unwrap_or_default(),
            replicas: spec.map_or(0, |spec| containers(spec)),
            containers: rows.iter().map(|row| container(&state, row)).collect(),
            services: services(&state, &self.full_name(id), &rows),
            deployment,
            queued: state.queue.iter().map(|intent| intent.deployment.to_string()).collect(),
            waits: super::waiting::waits(
                &state,
                &(rows, route),
                (&self.execution.behind(&state), self.freeze_of(id).await.as_ref(), build.as_deref()),
                (self.clock.stamp(), self.execution.started_ms),
            ),
            stopped_by: state.stopped.as_ref().map(|stopped| stopped.by.to_string()),
            rejected: state.rejected.iter().map(rejected).collect(),
            last,
        })
    }

    /// When the route moved to what serves.
    async fn live_since(&self, state: &Workload) -> Option<String> {
        let slot = state.active.as_ref()?;
        let begins = self.commands.live().with_deployments(|all| all.begins(slot.deployment))?;
        let commits = self.commands.log().read(StreamId::Workload(begins.workload), begins.version, 64).await.ok()?;
        let swap = commits.iter().find(|sealed| {
            sealed.commit.events.iter().any(|e| matches!(e, Event::Swapped(e) if e.deployment == slot.deployment))
        })?;
        Some(rfc3339(swap.commit.at.wall_ms))
    }

    pub(super) async fn releases_of(&self, name: &WorkloadName) -> Result<ReleasesView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let mut releases = Vec::new();
        for release in state.releases.iter().rev() {
            let begins = self.commands.live().with_deployments(|all| all.begins(release.deployment));
            let queued = match begins {
                Some(begins) => self.commands.log().read(StreamId::Workload(id), begins.version, 1).await?.pop(),
                None => None,
            };
            let change = queued.as_ref().and_then(|sealed| {
                sealed.commit.events.iter().find_map(|event| match event {
                    Event::IntentQueued(e) if e.deployment == release.deployment => e.change.clone(),
                    _ => None,
                })
            });
            releases.push(ReleaseView {
                release: release.id.to_string(),
                deployment_id: release.deployment.to_string(),
                time: queued.map(|sealed| rfc3339(sealed.commit.at.wall_ms)).unwrap_or_default(),
                revision: release.revision,
                reference: release.reference.to_string(),
                image: release.image.to_string(),
                repo_digest: release.repo_digest.to_string(),
                sha: change.map(|change| change.sha).unwrap_or_default(),
                rollback: self.cost(&state, release).await,
            });
        }
        Ok(ReleasesView { workload: self.full_name(id), releases })
    }

    pub(super) async fn cost(&self, state: &Workload, release: &cutover_domain::workload::Release) -> RollbackCost {
        let is = |slot: &cutover_domain::workload::Slot| slot.release == release.id;
        if state.active.as_ref().is_some_and(is) {
            return RollbackCost::Live;
        }
        if state.standby.as_ref().is_some_and(|(slot, _)| is(slot)) {
            return RollbackCost::Instant;
        }
        match self.execution.has_image(&release.image).await {
            _ if !release.proven => RollbackCost::Impossible,
            true => RollbackCost::Start,
            false if release.repo_digest.is_empty() => RollbackCost::Impossible,
            false => RollbackCost::Pull,
        }
    }

    pub(super) async fn output_of(&self, name: &WorkloadName, lines: usize) -> Result<LogsView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let (rows, _) = self.world.of(id);
        let mut outputs = Vec::new();
        for row in &rows {
            let text = self.execution.output(id, &row.id, lines).await;
            outputs.push(self.present(
                &state,
                row,
                &text.unwrap_or_else(|error| format!("(cannot be read: {error})")),
                lines,
            ));
        }
        outputs.extend(self.output_of_services(id, lines).await);
        if let Some(last) = self.commands.live().with_deployments(|all| all.last_ended(id))
            && let Some(kept) = self.told(last).await?.output
        {
            outputs.push(kept);
        }
        Ok(LogsView { workload: self.full_name(id), outputs })
    }

    fn present(&self, state: &Workload, row: &ContainerRow, text: &str, lines: usize) -> OutputView {
        let all: Vec<_> = text.lines().map(str::to_owned).collect();
        let seen = container(state, row);
        OutputView {
            container: row.name.clone(),
            role: role_word(seen.role).into(),
            deployment_id: seen.deployment_id,
            time: String::new(),
            lines: all[all.len().saturating_sub(lines)..].to_vec(),
        }
    }
}

fn container(state: &Workload, row: &ContainerRow) -> ContainerView {
    let (role, slot) = role(state, row.unit);
    ContainerView {
        id: row.id.clone(),
        name: row.name.clone(),
        process: state.plan_with(row.unit).map(|plan| plan.part(row.unit).process.to_owned()).unwrap_or_default(),
        role,
        unit: row.unit.to_string(),
        release: slot.unwrap_or_default(),
        deployment_id: slot_deployment(state, row.unit),
        phase: row.phase.into(),
        ready: row.phase == "running" && matches!(role, Role::Active | Role::Standby),
        restarts: row.restarts,
        address: row.address.map(|address| address.to_string()).unwrap_or_default(),
        folder: row.folder.as_ref().map(|folder| folder.display().to_string()),
    }
}

/// The services of what serves, or of what is about to; of what goes there is none to be told.
fn services(state: &Workload, full_name: &str, rows: &[ContainerRow]) -> Vec<ServiceView> {
    let with = |wanted: Role| rows.iter().find(|row| !row.services.is_empty() && role(state, row.unit).0 == wanted);
    let name = full_name.rsplit('/').next().unwrap_or(full_name);
    let view = |service: &ServiceRow| ServiceView {
        id: format!("{name}:{}", service.name),
        service: service.name.clone(),
        state: service.state.to_owned(),
        health: service.health.to_owned(),
        exit_code: service.exit_code,
        seen: Some(service.seen_ms).filter(|ms| *ms > 0).map(rfc3339),
    };
    let row = with(Role::Active).or_else(|| with(Role::Green));
    row.map(|row| row.services.iter().map(view).collect()).unwrap_or_default()
}

fn role(state: &Workload, unit: UnitId) -> (Role, Option<String>) {
    let release = |slot: &cutover_domain::workload::Slot| Some(slot.release.to_string());
    if state.removal.contains(&unit) {
        return (Role::Removing, None);
    }
    if let Some(slot) = state.active.as_ref().filter(|slot| slot.units.contains(&unit)) {
        return (Role::Active, release(slot));
    }
    if let Some((slot, _)) = state.standby.as_ref().filter(|(slot, _)| slot.units.contains(&unit)) {
        return (Role::Standby, release(slot));
    }
    let open = state.open.as_ref().and_then(|open| open.release).map(|release| release.to_string());
    if state.knows(unit) { (Role::Green, open) } else { (Role::Removing, None) }
}

fn slot_deployment(state: &Workload, unit: UnitId) -> String {
    let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot));
    let of_slot = slots.into_iter().find(|slot| slot.units.contains(&unit)).map(|slot| slot.deployment);
    of_slot.or_else(|| state.open.as_ref().map(Open::id)).map(|id| id.to_string()).unwrap_or_default()
}

/// Containers of one release: of the workload itself and of its processes.
fn containers(spec: &Spec) -> u16 {
    spec.processes.iter().map(|process| process.replicas).sum::<u16>().saturating_add(spec.replicas)
}

/// What of the host its containers see.
fn volumes(spec: &Spec) -> Vec<VolumeView> {
    let storage = if let Source::Static(site) = &spec.source { site.storage.as_ref() } else { None };
    let view = |mount: &Mount| {
        let (volume, folder) = match &mount.from {
            MountFrom::Volume(name) => (name.clone(), String::new()),
            MountFrom::Folder(path) => (String::new(), path.clone()),
        };
        let access = match mount.access {
            Access::Exclusive => "exclusive",
            Access::Shared => "shared",
            Access::ReadOnly => "read-only",
        };
        VolumeView { volume, folder, target: mount.target.clone(), access: Some(access.to_owned()) }
    };
    spec.mounts.iter().chain(storage).map(view).collect()
}

fn port(port: &PublishedPort) -> PortView {
    let transport = match port.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    PortView {
        address: Some(port.address.to_string()),
        host: port.host.into(),
        container: port.container.into(),
        transport: Some(transport.to_owned()),
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Active => "active",
        Role::Green => "green",
        Role::Standby => "standby",
        Role::Removing => "removing",
    }
}

fn state_word(state: &Workload, (rows, route): &Rows) -> WorkloadState {
    match state.teardown {
        Teardown::Done => return WorkloadState::TornDown,
        Teardown::Removing(_) => return WorkloadState::TearingDown,
        Teardown::No => (),
    }
    if state.open.as_ref().is_some_and(Open::is_teardown) {
        return WorkloadState::TearingDown;
    }
    let Some(slot) = &state.active else {
        let open = state.open.as_ref();
        return match open.map(|open| &open.phase) {
            Some(Phase::Swapped { .. }) => WorkloadState::Running,
            _ if state.down.is_some() || open.is_some_and(|open| open.was.is_some()) => WorkloadState::Down,
            _ if state.stopped.is_some() => WorkloadState::Stopped,
            _ => WorkloadState::New,
        };
    };
    let runs = |unit: &&UnitId| rows.iter().any(|row| row.unit == **unit && row.phase == "running");
    let led_to = |unit: &UnitId| route.as_ref().is_none_or(|route| route.targets.contains(unit));
    let routed = |unit: &&UnitId| !slot.routed().contains(unit) || led_to(unit);
    if slot.routed().iter().any(|unit| runs(&unit)) && !slot.routed().iter().any(|unit| runs(&unit) && led_to(unit)) {
        return WorkloadState::Unready;
    }
    if !slot.routed().iter().any(|unit| runs(&unit)) {
        return WorkloadState::Down;
    }
    match slot.units.iter().filter(|unit| runs(unit) && routed(unit)).count() {
        some if some < slot.units.len() => WorkloadState::Degraded,
        _ => WorkloadState::Running,
    }
}

/// An image that only a person deploys.
pub(super) fn rejected(rejected: &cutover_domain::rejected::Rejected) -> RejectedView {
    let digest = if rejected.repo_digest.is_empty() { &rejected.image } else { &rejected.repo_digest };
    RejectedView {
        release: rejected.release.to_string(),
        reference: rejected.reference.to_string(),
        digest: digest.to_string(),
        sha: rejected.sha.to_string(),
        why: rejected.why(),
    }
}

fn held_word(cause: cutover_events::engine::HeldCause) -> HeldWord {
    use cutover_events::engine::HeldCause;
    match cause {
        HeldCause::LogWentBack => HeldWord::LogWentBack,
        HeldCause::DaemonChanged => HeldWord::DaemonChanged,
        HeldCause::RouterAhead => HeldWord::RouterAhead,
    }
}
