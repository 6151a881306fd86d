//! Creating containers: name and labels come with the create, so the same call may be made again after any failure.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
    RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use cutover_domain::observed::DockerId;
use cutover_events::LogId;
use cutover_events::workload::{Hardening, Limits};
use tokio::time::{Instant, sleep};

use super::client::{classify, status, text, within};
use super::{CreateContainer, DockerRuntime, RuntimeError, labels, names, volumes};

/// A create takes 9 to 40 ms; a host that writes back a pull takes seconds.
pub(super) const CREATE: Duration = Duration::from_secs(60);
/// After a 409 the winner cannot be inspected for up to 76 ms (measured); past this the name is held by a create that
/// hangs.
const WINNER: Duration = Duration::from_secs(2);
/// Between two looks at the winner.
const WINNER_PAUSE: Duration = Duration::from_millis(20);
/// Output kept per container: 3 files of 10 MB, so that a chatty one cannot fill the disk.
const LOG_FILES: &str = "3";
/// Size of one of those files.
const LOG_FILE_SIZE: &str = "10m";
/// What `/tmp` of a read-only container holds, in memory that counts as its own.
const STRICT_TMP: &str = "rw,nosuid,nodev,mode=1777,size=64m";
/// The resolver's default, said only because an option that is given keeps those of the host away: with a host's
/// `ndots` Docker would not ask anybody for a name without a dot.
const RESOLVER_OPTION: &str = "attempts:2";
/// Of a thousandth of a core.
pub(super) const NANOS_PER_MILLI: i64 = 1_000_000;

/// The id of what a create has made, or why it made nothing.
pub(super) fn made(
    answer: Result<bollard::models::ContainerCreateResponse, bollard::errors::Error>,
    image: &str,
) -> Result<DockerId, RuntimeError> {
    match answer {
        Ok(made) => labels::docker_id(&made.id)
            .ok_or_else(|| RuntimeError::Unavailable("a create was answered without an id".to_owned())),
        Err(error) if status(&error) == Some(404) && text(&error).to_lowercase().contains("image") => {
            Err(RuntimeError::ImageMissing(format!("the image {image} is not here any more: {}", text(&error))))
        }
        Err(error) => Err(classify("create the container")(error)),
    }
}

impl DockerRuntime {
    /// 201: done. 409: whoever holds the name is looked at, and adopted when unit and log are the same.
    pub(super) async fn create_or_adopt(
        &self,
        log: LogId,
        container: &CreateContainer,
    ) -> Result<DockerId, RuntimeError> {
        names::checked(&container.name)?;
        names::checked(&container.network)?;
        names::reference(&container.image)?;
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let options = CreateContainerOptionsBuilder::new().name(&container.name).build();
        let call = docker.create_container(Some(options), body(log, container));
        match within("create", CREATE, call).await? {
            Err(error) if status(&error) == Some(409) => self.adopt(log, container).await,
            answer => made(answer, &container.image),
        }
    }

    async fn adopt(&self, log: LogId, container: &CreateContainer) -> Result<DockerId, RuntimeError> {
        let deadline = Instant::now() + WINNER;
        loop {
            if let Some(found) = self.inspect_raw(&container.name).await? {
                let who = found.config.and_then(|config| config.labels).as_ref().and_then(labels::read);
                let ours = who.is_some_and(|who| who.log == log && who.unit == container.unit);
                let id = found.id.as_deref().and_then(labels::docker_id);
                return id.filter(|_| ours).ok_or_else(|| RuntimeError::NameTaken(container.name.clone()));
            }
            if Instant::now() >= deadline {
                let name = &container.name;
                return Err(RuntimeError::Unavailable(format!("the name {name} is taken by nothing that can be seen")));
            }
            sleep(WINNER_PAUSE).await;
        }
    }
}

pub(super) fn body(log: LogId, container: &CreateContainer) -> ContainerCreateBody {
    let env = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ContainerCreateBody {
        image: Some(container.image.clone()),
        cmd: container.command.clone(),
        env: Some(env),
        labels: Some(labels::write(log, container)),
        stop_signal: (container.stop_signal != 0).then(|| container.stop_signal.to_string()),
        exposed_ports: volumes::exposed(&container.ports),
        host_config: Some(HostConfig {
            mounts: volumes::mounts(log, container),
            port_bindings: volumes::bindings(&container.ports),
            ..host_config(container)
        }),
        networking_config: Some(networking(container)),
        ..ContainerCreateBody::default()
    }
}

/// One network, under its id, with an alias only where one is asked for; 0.0.0.0 lets Docker choose the address.
fn networking(container: &CreateContainer) -> NetworkingConfig {
    let address = (!container.address.is_unspecified()).then(|| EndpointIpamConfig {
        ipv4_address: Some(container.address.to_string()),
        ..EndpointIpamConfig::default()
    });
    let aliases = container.alias.clone().map(|alias| vec![alias]);
    let end = EndpointSettings { ipam_config: address, aliases, ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(container.network.clone(), end)])) }
}

/// Memory in bytes and processor time in billionths of a core, as Docker takes them.
pub(super) fn limits(limits: Limits) -> (Option<i64>, Option<i64>) {
    let memory = limits.memory_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    (memory, limits.cpu_milli.map(|milli| i64::from(milli) * NANOS_PER_MILLI))
}

fn host_config(container: &CreateContainer) -> HostConfig {
    let (memory, nano_cpus) = limits(container.limits);
    let strict = container.hardening == Hardening::Strict;
    let log = [("max-size", LOG_FILE_SIZE), ("max-file", LOG_FILES)];
    HostConfig {
        network_mode: Some(container.network.clone()),
        // Policy `always` comes once the gate has passed: until then a death must be seen as one.
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        memory,
        // The same figure: memory and swap together.
        memory_swap: memory,
        nano_cpus,
        pids_limit: container.limits.pids.map(i64::from),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        cap_drop: strict.then(|| vec!["ALL".to_owned()]),
        readonly_rootfs: Some(strict),
        tmpfs: strict.then(|| HashMap::from([("/tmp".to_owned(), STRICT_TMP.to_owned())])),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(log.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        }),
        dns: (!container.dns.is_empty()).then(|| container.dns.iter().map(ToString::to_string).collect()),
        dns_options: (!container.dns.is_empty()).then(|| vec![RESOLVER_OPTION.to_owned()]),
        ..HostConfig::default()
    }
}
