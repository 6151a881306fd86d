//! One network per project and log, found by label and exact name, spoken of by id.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{Ipam, IpamConfig, Network as Found, NetworkCreateRequest};
use bollard::query_parameters::{ListNetworksOptions, ListNetworksOptionsBuilder};
use cutover_events::LogId;

use super::super::labels as keys;
use super::client::{classify, status, text, within};
use super::subnet::{self, Cidr};
use super::{DockerRuntime, Network, RuntimeError, names};

/// Listing networks.
const LIST: Duration = Duration::from_secs(10);
/// Making or removing one sets up a bridge and packet filter rules.
const CHANGE: Duration = Duration::from_secs(30);
/// Subnets that are tried when Docker says that one overlaps with something that we could not see.
const TRIES: usize = 16;
/// Last characters of the log id in the name: the first ones are time and collide.
const LOG_CHARACTERS: usize = 8;

impl DockerRuntime {
    /// The network of a project, made when it is missing. Where an old daemon has given the name twice, the smallest id
    /// stays and the others, which are ours by label and empty, go.
    pub(super) async fn network_of(&self, log: LogId, project: &str) -> Result<Network, RuntimeError> {
        let name = network_name(log, project);
        names::checked(&name)?;
        let _one_writer = self.networks.lock().await;
        self.client.ping().await?;
        if let Some(found) = self.smallest(log, project, &name).await? {
            return Ok(found);
        }
        self.make_network(log, project, &name).await?;
        let made = self.smallest(log, project, &name).await?;
        made.ok_or_else(|| RuntimeError::Unavailable(format!("the network {name} was made and is not listed")))
    }

    /// Every network of this log.
    pub(super) async fn networks_of(&self, log: LogId) -> Result<Vec<Network>, RuntimeError> {
        self.client.ping().await?;
        Ok(self.ours(log).await?.into_iter().filter_map(|(_, network)| network).collect())
    }

    /// It is not there; refused while a container is on it.
    pub(super) async fn drop_network(&self, id: &str) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        match within("network remove", CHANGE, docker.remove_network(names::checked(id)?)).await? {
            Err(error) if status(&error) == Some(404) => Ok(()),
            other => other.map_err(classify("remove the network")),
        }
    }

    /// Names and descriptions of what carries our log id.
    async fn ours(&self, log: LogId) -> Result<Vec<(String, Option<Network>)>, RuntimeError> {
        let filters = HashMap::from([("label", vec![format!("{}={log}", keys::LOG)])]);
        let listed = self.list_networks(Some(ListNetworksOptionsBuilder::new().filters(&filters).build())).await?;
        Ok(listed.into_iter().map(|found| (found.name.clone().unwrap_or_default(), described(found))).collect())
    }

    async fn list_networks(&self, options: Option<ListNetworksOptions>) -> Result<Vec<Found>, RuntimeError> {
        let docker = self.client.docker()?;
        let listed = within("network list", LIST, docker.list_networks(options)).await?;
        listed.map_err(classify("list networks"))
    }

    async fn smallest(&self, log: LogId, project: &str, name: &str) -> Result<Option<Network>, RuntimeError> {
        let listed = self.ours(log).await?.into_iter();
        let mut found: Vec<Network> = listed
            .filter_map(|(its, network)| network.filter(|network| its == name && network.project == project))
            .collect();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        for extra in found.iter().skip(1) {
            tracing::warn!(network = extra.id, name, "a second network has the name: it is removed");
            self.drop_network(&extra.id).await?;
        }
        found.truncate(1);
        Ok(found.pop())
    }

    async fn make_network(&self, log: LogId, project: &str, name: &str) -> Result<(), RuntimeError> {
        let used = self.used().await?;
        let docker = self.client.docker()?;
        let mut last = "every subnet of ours is routed to by something else".to_owned();
        for subnet in subnet::free(&used).take(TRIES) {
            let call = docker.create_network(request(log, project, name, subnet));
            let error = match within("network create", CHANGE, call).await? {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            last = text(&error);
            if !last.to_ascii_lowercase().contains("overlap") {
                return match status(&error) {
                    // A name that somebody else holds; or ours, of an earlier call whose answer was lost.
                    Some(409) => self.held(log, name, &last).await,
                    _ => Err(classify("make the network")(error)),
                };
            }
        }
        Err(RuntimeError::Refused(format!("no free subnet for the network {name}: {last}")))
    }

    async fn held(&self, log: LogId, name: &str, said: &str) -> Result<(), RuntimeError> {
        let ours = self.ours(log).await?.into_iter().any(|(its, _)| its == name);
        let help = "it is not cutover's; rename or remove it";
        ours.then_some(())
            .ok_or_else(|| RuntimeError::Refused(format!("the network name {name} is taken ({said}): {help}")))
    }

    /// Every subnet that Docker's networks or the host's routes use.
    async fn used(&self) -> Result<Vec<Cidr>, RuntimeError> {
        let listed = self.list_networks(None).await?;
        let mut used: Vec<Cidr> = listed.iter().flat_map(subnets).filter_map(Cidr::parse).collect();
        // Docker on another kind of host: its own check is what is left.
        used.extend(subnet::host_routes(&std::fs::read_to_string("/proc/net/route").unwrap_or_default()));
        Ok(used)
    }
}

fn subnets(found: &Found) -> impl Iterator<Item = &str> {
    let configs = found.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| config.subnet.as_deref())
}

fn described(found: Found) -> Option<Network> {
    let project = found.labels.as_ref()?.get(keys::PROJECT)?.clone();
    let subnet = subnets(&found).next()?.to_owned();
    Some(Network { id: found.id?, project, subnet })
}

fn network_name(log: LogId, project: &str) -> String {
    let suffix = log.suffix();
    format!("cutover-{project}-{}", &suffix[suffix.len() - LOG_CHARACTERS..])
}

fn request(log: LogId, project: &str, name: &str, subnet: Cidr) -> NetworkCreateRequest {
    let range = IpamConfig {
        subnet: Some(subnet.to_string()),
        // Named, because Docker would take the gateway out of the range for dynamic addresses.
        gateway: Some(subnet.gateway().to_string()),
        ip_range: Some(subnet.dynamic().to_string()),
        auxiliary_addresses: None,
    };
    let labels =
        HashMap::from([(keys::LOG.to_owned(), log.to_string()), (keys::PROJECT.to_owned(), project.to_owned())]);
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
        labels: Some(labels),
        ..NetworkCreateRequest::default()
    }
}
