//! Listing and inspecting: the truth about containers. Complete, or an error.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, ContainerSummary, EndpointSettings,
    HealthStatusEnum, HostConfig, RestartPolicyNameEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use cutover_domain::observed::{ImageHealth, Phase, Restart};
use cutover_events::workload::Limits;
use cutover_events::{LogId, WorkloadId};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::labels as keys;
use super::client::{classify, status, within};
use super::create::NANOS_PER_MILLI;
use super::labels::Identity;
use super::{Container, DockerRuntime, RuntimeError, age, labels, names, volumes};

/// A list of a hundred containers takes tens of ms; a busy host is given two orders more.
const LIST: Duration = Duration::from_secs(10);
/// An inspection waits for the lock of its container, which a start or a clean-up can hold for half a second.
const INSPECT: Duration = Duration::from_secs(10);
/// Inspections at once: more only add latency on two cores.
const AT_ONCE: usize = 4;

impl DockerRuntime {
    /// Every container that carries this log id, in no order; one that vanishes meanwhile is left out.
    pub(super) async fn look_at_all(
        &self,
        log: LogId,
        workload: Option<WorkloadId>,
    ) -> Result<Vec<Container>, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let mut wanted = vec![format!("{}={log}", keys::LOG)];
        wanted.extend(workload.map(|workload| format!("{}={workload}", keys::WORKLOAD)));
        let filters = HashMap::from([("label", wanted)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = within("list", LIST, docker.list_containers(Some(options))).await?;
        let listed = listed.map_err(classify("list containers"))?;
        let errand = |summary: &ContainerSummary| {
            summary.labels.as_ref().is_some_and(|labels| labels.contains_key(keys::ERRAND))
        };
        let ids = listed.into_iter().filter(|summary| !errand(summary)).filter_map(|summary| summary.id);
        let looks = stream::iter(ids).map(|id| async move { self.look_at(&id).await });
        let found: Vec<Option<Container>> = looks.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// One container; `None` when it is gone, or is not one that we made.
    pub(super) async fn look_at(&self, id: &str) -> Result<Option<Container>, RuntimeError> {
        let Some(found) = self.inspect_raw(id).await? else { return Ok(None) };
        let Some(who) = found.config.as_ref().and_then(|config| config.labels.as_ref()).and_then(labels::read) else {
            tracing::warn!(container = id, "a container carries our log id and not the labels that belong to it");
            return Ok(None);
        };
        self.container(found, &who).map(Some)
    }

    /// What Docker says of a container, by id or name; `None` for a 404.
    pub(super) async fn inspect_raw(&self, id: &str) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        let docker = self.client.docker()?;
        let call = docker.inspect_container(names::checked(id)?, None::<InspectContainerOptions>);
        match within("inspect", INSPECT, call).await? {
            Ok(found) => Ok(Some(found)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(classify("inspect a container")(error)),
        }
    }

    fn container(&self, found: ContainerInspectResponse, who: &Identity) -> Result<Container, RuntimeError> {
        let partial = |what: &str| RuntimeError::Unavailable(format!("an inspection came without {what}"));
        let id = found.id.as_deref().and_then(labels::docker_id).ok_or_else(|| partial("an id"))?;
        let address = address(&found);
        let (mounts, ports) = (volumes::mounted(&found), volumes::published(&found));
        let state = found.state.ok_or_else(|| partial("a state"))?;
        let phase = phase(&state).ok_or_else(|| partial("a known state"))?;
        let started_at = age::started_at(state.started_at.clone());
        let runs = phase == Phase::Running;
        let limits = found.host_config.as_ref().map(limits).unwrap_or_default();
        let connected = address.is_some();
        let policy = found.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
        Ok(Container {
            id,
            name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            full_name: who.full_name.clone(),
            unit: who.unit,
            workload: who.workload,
            release: who.release,
            deployment: who.deployment,
            witness: who.witness,
            phase,
            paused: state.paused.unwrap_or(false),
            connected,
            limits,
            restart: restart(policy),
            restarts: found.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
            exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
            oom_killed: state.oom_killed.unwrap_or(false),
            up_ms: if runs { age::up_ms(&started_at, state.pid.unwrap_or(0), self.clock.stamp()) } else { 0 },
            age_ms: if runs { age::age_ms(&started_at, state.pid.unwrap_or(0), self.clock.stamp()) } else { 0 },
            started_at,
            health: health(&state),
            address,
            folder: None,
            services: Vec::new(),
            mounts,
            ports,
        })
    }
}

/// What a container may use; Docker writes 0 or −1 for "without a limit".
pub(super) fn limits(host: &HostConfig) -> Limits {
    let above_0 =
        |figure: Option<i64>| figure.and_then(|figure| u64::try_from(figure).ok()).filter(|figure| *figure > 0);
    let milli = |nanos: u64| u32::try_from(nanos / NANOS_PER_MILLI.unsigned_abs()).ok();
    Limits {
        memory_bytes: above_0(host.memory),
        cpu_milli: above_0(host.nano_cpus).and_then(milli),
        pids: above_0(host.pids_limit).and_then(|pids| u32::try_from(pids).ok()),
    }
}

/// A dead container is one whose removal failed half-way; a paused one has a process that lives.
fn phase(state: &ContainerState) -> Option<Phase> {
    match state.status? {
        Status::CREATED => Some(Phase::Created),
        Status::RUNNING | Status::PAUSED | Status::STOPPING => Some(Phase::Running),
        Status::RESTARTING => Some(Phase::Restarting),
        Status::EXITED => Some(Phase::Exited),
        Status::REMOVING | Status::DEAD => Some(Phase::Removing),
        Status::EMPTY => None,
    }
}

/// Whatever a person has set, Docker restarts the container by itself or it does not.
fn restart(policy: Option<RestartPolicyNameEnum>) -> Restart {
    match policy {
        None | Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) => Restart::No,
        Some(_) => Restart::Always,
    }
}

fn health(state: &ContainerState) -> ImageHealth {
    match state.health.as_ref().and_then(|health| health.status) {
        None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE) => ImageHealth::None,
        Some(HealthStatusEnum::STARTING) => ImageHealth::Starting,
        Some(HealthStatusEnum::HEALTHY) => ImageHealth::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => ImageHealth::Unhealthy,
    }
}

/// On the network that the container was created on; of one that does not run, the address that it will ask for.
fn address(found: &ContainerInspectResponse) -> Option<Ipv4Addr> {
    let mode = found.host_config.as_ref()?.network_mode.as_deref()?;
    let networks = found.network_settings.as_ref()?.networks.as_ref()?;
    let own =
        |(name, end): &(&String, &EndpointSettings)| name.as_str() == mode || end.network_id.as_deref() == Some(mode);
    // Before the first start Docker gives the network's name and not its id: the only one is ours then.
    let only = || networks.iter().next().filter(|_| networks.len() == 1);
    let (_, end) = networks.iter().find(own).or_else(only)?;
    let asked = end.ipam_config.as_ref().and_then(|config| config.ipv4_address.as_deref());
    let given = end.ip_address.as_deref().filter(|given| !given.is_empty());
    given.or(asked)?.parse().ok()
}
