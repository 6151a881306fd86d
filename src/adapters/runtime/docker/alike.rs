//! Containers that are made like one that is there: somebody else has said what is in it, and Docker tells it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerConfig, ContainerCreateBody, ContainerInspectResponse, EndpointSettings, HealthConfig, HostConfig,
    HostConfigLogConfig, MountType, NetworkConnectRequest, NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use cutover_domain::observed::DockerId;
use cutover_events::LogId;

use super::client::{classify, within};
use super::create::{CREATE, made};
use super::{DockerRuntime, RuntimeError, labels, names, volumes};
use crate::adapters::runtime::attach::{Alone, Like};

/// Joining a network waits for the lock of its container.
const JOIN: Duration = Duration::from_secs(20);
/// Characters of its id that Docker gives to a container as the name of its host.
const OWN_HOST: usize = 12;
/// The networks of containers that have none of their own.
const NO_NETWORKS: [&str; 2] = ["host", "none"];
/// What switches off the check of an image.
const NO_CHECK: &str = "NONE";

impl DockerRuntime {
    /// A container for one program, made like another one. Docker before 1.44 takes one network with a create, so the others
    /// are joined before it is started.
    pub(super) async fn create_like(&self, log: LogId, alone: &Alone, like: &Like) -> Result<DockerId, RuntimeError> {
        let name = names::checked(&alone.container.name)?;
        self.client.ping().await?;
        let found = self.inspect_raw(&names::container(like.container)).await?;
        let found = found.ok_or_else(|| RuntimeError::NotFound("the container that it is made like".to_owned()))?;
        let image = found.image.clone().unwrap_or_default();
        let (mut body, others) = alike(found)?;
        body.cmd.clone_from(&alone.container.command);
        body.tty = Some(alone.terminal);
        let own = labels::write_alone(log, alone);
        body.labels = Some(like.labels.clone().into_iter().chain(own).collect());
        let docker = self.client.docker()?;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let created = within("create", CREATE, docker.create_container(Some(options), body)).await?;
        let id = made(created, &image)?;
        if let Err(error) = self.join(id, &others).await {
            // It is no container that anybody asked for; one that stays is swept.
            if let Err(stays) = self.remove_container(id).await {
                tracing::debug!(error = %stays, "a container without its networks stays for a while");
            }
            return Err(error);
        }
        Ok(id)
    }

    async fn join(&self, id: DockerId, networks: &[String]) -> Result<(), RuntimeError> {
        let docker = self.client.docker()?;
        for network in networks {
            let request = NetworkConnectRequest { container: names::container(id), endpoint_config: None };
            let call = docker.connect_network(names::checked(network)?, request);
            within("join a network", JOIN, call).await?.map_err(classify("join a network"))?;
        }
        Ok(())
    }
}

/// What a create says to have a container made like this one, and the networks that are joined afterwards.
fn alike(found: ContainerInspectResponse) -> Result<(ContainerCreateBody, Vec<String>), RuntimeError> {
    let partial = |what: &str| RuntimeError::Unavailable(format!("an inspection came without {what}"));
    let config = found.config.ok_or_else(|| partial("a configuration"))?;
    let host = found.host_config.ok_or_else(|| partial("a configuration of the host"))?;
    let image = found.image.ok_or_else(|| partial("an image"))?;
    let mode = host.network_mode.clone().unwrap_or_default();
    let of_itself = !NO_NETWORKS.contains(&mode.as_str()) && !mode.contains(':');
    let ends = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let mut names: Vec<String> = ends.into_keys().filter(|_| of_itself).collect();
    // That of its mode first: it is the one that is in the create.
    names.sort_by_key(|name| (*name != mode, name.clone()));
    let mut names = names.into_iter();
    let networking = names.next().map(|first| NetworkingConfig {
        endpoints_config: Some(HashMap::from([(first, EndpointSettings::default())])),
    });
    let own_host = found.id.as_deref().and_then(|id| id.get(..OWN_HOST));
    let body = ContainerCreateBody {
        image: Some(image),
        hostname: config.hostname.clone().filter(|name| Some(name.as_str()) != own_host),
        host_config: Some(of_host(host)),
        networking_config: networking,
        ..of_config(config)
    };
    Ok((body, names.collect()))
}

/// What is in it. Its check is left out: what a person does there is looked at by that person.
fn of_config(config: ContainerConfig) -> ContainerCreateBody {
    ContainerCreateBody {
        domainname: config.domainname,
        user: config.user,
        env: config.env,
        volumes: config.volumes,
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        healthcheck: Some(HealthConfig { test: Some(vec![NO_CHECK.to_owned()]), ..HealthConfig::default() }),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        ..ContainerCreateBody::default()
    }
}

/// What it may do and what is mounted in it. Ports of the host can be had once, a volume without a name belongs to one
/// container, and what a person does there is nobody else's, on no disk either.
fn of_host(host: HostConfig) -> HostConfig {
    let named = |bind: &String| volumes::named(bind.split(':').next().unwrap_or_default());
    let kept = |mount: &bollard::models::Mount| {
        mount.typ != Some(MountType::VOLUME) || volumes::named(mount.source.as_deref().unwrap_or_default())
    };
    HostConfig {
        binds: host.binds.map(|binds| binds.into_iter().filter(named).collect()),
        mounts: host.mounts.map(|mounts| mounts.into_iter().filter(kept).collect()),
        port_bindings: None,
        publish_all_ports: None,
        links: None,
        container_id_file: None,
        auto_remove: None,
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..host
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{Mount, NetworkSettings, PortBinding};

    use super::*;

    fn texts(all: &[&str]) -> Option<Vec<String>> {
        Some(all.iter().map(|text| (*text).to_owned()).collect())
    }

    fn found(mode: &str, networks: &[&str]) -> ContainerInspectResponse {
        let bound = HashMap::from([("80/tcp".to_owned(), None::<Vec<PortBinding>>)]);
        let volume = |source: &str| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(source.to_owned()),
            target: Some("/b".to_owned()),
            ..Mount::default()
        };
        let host = HostConfig {
            network_mode: Some(mode.to_owned()),
            binds: texts(&["shop_data:/data:rw", &format!("{}:/cache", "0f".repeat(32)), "/srv/a:/a:ro"]),
            mounts: Some(vec![volume("named"), volume(&"0f".repeat(32))]),
            port_bindings: Some(bound),
            auto_remove: Some(true),
            memory: Some(7),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::ALWAYS),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        };
        let config = ContainerConfig {
            hostname: Some("0123456789ab".to_owned()),
            env: texts(&["A=1"]),
            entrypoint: texts(&["/app"]),
            cmd: texts(&["serve"]),
            labels: Some(HashMap::from([("com.docker.compose.service".to_owned(), "web".to_owned())])),
            ..ContainerConfig::default()
        };
        let end = EndpointSettings { aliases: texts(&["web"]), ..EndpointSettings::default() };
        let networks = networks.iter().map(|name| ((*name).to_owned(), end.clone())).collect();
        ContainerInspectResponse {
            id: Some("0123456789abcdef".to_owned()),
            image: Some("sha256:00".to_owned()),
            config: Some(config),
            host_config: Some(host),
            network_settings: Some(NetworkSettings { networks: Some(networks), ..NetworkSettings::default() }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn what_can_be_had_once_stays_where_it_is() {
        let (body, others) = alike(found("shop_back", &["a_front", "shop_back"])).unwrap();
        assert_eq!((body.image.as_deref(), body.hostname), (Some("sha256:00"), None));
        assert_eq!((body.env, body.entrypoint), (texts(&["A=1"]), texts(&["/app"])));
        assert_eq!((body.cmd, body.labels), (None, None));
        let ends = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(ends, HashMap::from([("shop_back".to_owned(), EndpointSettings::default())]), "without its names");
        assert_eq!(others, ["a_front"]);
        let host = body.host_config.unwrap();
        assert_eq!(host.binds, texts(&["shop_data:/data:rw", "/srv/a:/a:ro"]));
        assert_eq!(host.mounts.unwrap().len(), 1);
        assert_eq!((host.port_bindings, host.auto_remove, host.memory), (None, None, Some(7)));
        assert_eq!(host.restart_policy.unwrap().name, Some(RestartPolicyNameEnum::NO));
    }

    #[test]
    fn a_container_without_networks_of_its_own_joins_none() {
        for mode in ["host", "none", "container:0123"] {
            let (body, others) = alike(found(mode, &["host"])).unwrap();
            assert_eq!((body.networking_config, others.len()), (None, 0), "{mode}");
            assert_eq!(body.host_config.unwrap().network_mode.as_deref(), Some(mode));
        }
    }

    #[test]
    fn a_name_of_its_host_that_was_given_is_kept_and_half_an_inspection_is_none() {
        let mut named = found("shop_back", &["shop_back"]);
        named.config.as_mut().unwrap().hostname = Some("db".to_owned());
        assert_eq!(alike(named).unwrap().0.hostname.as_deref(), Some("db"));
        let half = ContainerInspectResponse { config: None, ..found("shop_back", &[]) };
        assert!(matches!(alike(half), Err(RuntimeError::Unavailable(_))));
    }
}
