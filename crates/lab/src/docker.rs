//! What the lab itself asks of Docker: making images, counting what a run left behind, removing it.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Ipam, IpamConfig, NetworkCreateRequest,
    NetworkingConfig,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, EventsOptionsBuilder, ListContainersOptionsBuilder,
    ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions, StartContainerOptions,
};
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{Either, Full};

use crate::{Result, labels};

/// Longest wait for one answer of Docker, seconds; a start on a busy machine takes under two.
const ANSWER_SECONDS: u64 = 60;

/// Longest time that the stream of events is read: longer than any proof takes.
const WATCH: Duration = Duration::from_secs(3600);

/// A connection to the daemon of this machine.
pub(crate) struct Docker(pub(crate) bollard::Docker);

/// A container as a list shows it.
pub(crate) struct Listed {
    /// Full id.
    pub id: String,
    /// Name without the slash.
    pub name: String,
    /// `running`, `exited`, `created`, …
    pub state: String,
}

impl Listed {
    /// For a message.
    pub(crate) fn told(&self) -> String {
        format!("{} ({}, {})", self.name, &self.id[..self.id.len().min(12)], self.state)
    }
}

impl Docker {
    /// The daemon that `DOCKER_HOST`, or the usual socket, leads to.
    pub(crate) fn connect() -> Result<Self> {
        let docker = bollard::Docker::connect_with_local_defaults()
            .map_err(|error| format!("no Docker engine: {error}; run scripts/docker"))?;
        Ok(Self(docker.with_timeout(Duration::from_secs(ANSWER_SECONDS))))
    }

    /// The daemon behind this socket; without one, as [`Docker::connect`].
    pub(crate) fn at(socket: Option<&Path>) -> Result<Self> {
        let Some(socket) = socket else { return Self::connect() };
        let path = socket.to_str().ok_or("a socket has a readable path")?;
        Ok(Self(bollard::Docker::connect_with_unix(path, ANSWER_SECONDS, bollard::API_DEFAULT_VERSION)?))
    }

    /// Refuses with what to do when no daemon answers.
    pub(crate) async fn ping(&self) -> Result {
        let ping = tokio::time::timeout(Duration::from_secs(5), self.0.ping()).await;
        match ping {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("Docker does not answer: {error}; run scripts/docker").into()),
            Err(_) => Err("Docker does not answer within 5 s; run scripts/docker".into()),
        }
    }

    /// How many images builds of this log have left.
    pub(crate) async fn built_images(&self, log: &str) -> Result<usize> {
        let wanted = HashMap::from([("label", vec![format!("{}={log}", labels::BUILT)])]);
        let options = ListImagesOptionsBuilder::new().filters(&wanted).build();
        Ok(self.0.list_images(Some(options)).await?.len())
    }

    /// The value of a label of an image, `None` when the image or the label is not there.
    pub(crate) async fn image_label(&self, reference: &str, label: &str) -> Option<String> {
        let image = self.0.inspect_image(reference).await.ok()?;
        image.config?.labels?.get(label).cloned()
    }

    /// Whether an image of that reference is there.
    pub(crate) async fn has_image(&self, reference: &str) -> bool {
        self.0.inspect_image(reference).await.is_ok()
    }

    /// Makes an image of one layer; `changes` are Dockerfile instructions.
    pub(crate) async fn import(&self, reference: &str, changes: Vec<String>, tar: Vec<u8>) -> Result {
        let (repo, tag) = reference.rsplit_once(':').ok_or("an image reference needs a tag")?;
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repo).tag(tag).changes(changes).build();
        let body = Either::Left(Full::new(Bytes::from(tar)));
        let mut answers = std::pin::pin!(self.0.create_image(Some(options), Some(body), None));
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| format!("Docker does not import {reference}: {error}"))?;
        }
        Ok(())
    }

    /// Every container that carries the label with that value, ended ones too.
    pub(crate) async fn containers(&self, label: &str, value: &str) -> Result<Vec<Listed>> {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.0.list_containers(Some(options)).await?;
        Ok(found
            .into_iter()
            .map(|container| Listed {
                id: container.id.unwrap_or_default(),
                name: container.names.unwrap_or_default().join(",").trim_start_matches('/').into(),
                state: container.state.map(|state| format!("{state:?}").to_lowercase()).unwrap_or_default(),
            })
            .collect())
    }

    /// Ids of the networks that carry the label with that value.
    pub(crate) async fn networks(&self, label: &str, value: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = self.0.list_networks(Some(options)).await?;
        Ok(found.into_iter().filter_map(|network| network.id).collect())
    }

    /// The value of a label on a network that carries another label with that value.
    pub(crate) async fn network_label(&self, label: &str, value: &str, wanted: &str) -> Result<Option<String>> {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = self.0.list_networks(Some(options)).await?;
        Ok(found.into_iter().find_map(|network| network.labels?.get(wanted).cloned()))
    }

    /// Starts and ends of containers that carry the label with that value, from now on: when (ns), what, and the id.
    pub(crate) fn events(
        &self,
        label: &str,
        value: &str,
    ) -> impl futures_util::Stream<Item = (i64, String, String)> + Send + 'static {
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("event", vec!["start".to_owned(), "die".to_owned()]),
            ("label", vec![format!("{label}={value}")]),
        ]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let docker = self.0.clone().with_timeout(WATCH);
        docker.events(Some(options)).filter_map(|event| async move {
            let event = event.ok()?;
            Some((event.time_nano?, event.action?, event.actor?.id?))
        })
    }

    /// Whether a volume of that name is there.
    pub(crate) async fn has_volume(&self, name: &str) -> bool {
        self.0.inspect_volume(name).await.is_ok()
    }

    /// Removes every volume that carries the label with that value.
    pub(crate) async fn sweep_volumes(&self, label: &str, value: &str) -> Result {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        for volume in self.0.list_volumes(Some(options)).await?.volumes.unwrap_or_default() {
            self.0.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await?;
        }
        Ok(())
    }

    /// Removes every container and network that carries the label with that value; how many there were.
    pub(crate) async fn sweep(&self, label: &str, value: &str) -> Result<usize> {
        let containers = self.containers(label, value).await?;
        let networks = self.networks(label, value).await?;
        for container in &containers {
            self.remove(&container.id).await?;
        }
        for network in &networks {
            self.0.remove_network(network).await?;
        }
        Ok(containers.len() + networks.len())
    }

    /// Removes a container, running or not; gone already is success.
    pub(crate) async fn remove(&self, id: &str) -> Result {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        match self.0.remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates and starts a container of the image on a network, at that address, and returns its id: the floor that
    /// deployments are measured against.
    pub(crate) async fn start_bare(&self, bare: &Bare<'_>) -> Result<String> {
        let address = Some(bare.address.to_owned()).filter(|address| !address.is_empty());
        let endpoint = EndpointSettings {
            ipam_config: address
                .map(|address| EndpointIpamConfig { ipv4_address: Some(address), ..Default::default() }),
            ..Default::default()
        };
        let mut marks = HashMap::from([(labels::LAB.to_owned(), bare.run.to_owned())]);
        marks.extend(bare.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let body = ContainerCreateBody {
            image: Some(bare.image.into()),
            labels: Some(marks),
            host_config: Some(HostConfig { network_mode: Some(bare.network.into()), ..Default::default() }),
            networking_config: Some(NetworkingConfig {
                endpoints_config: Some(HashMap::from([(bare.network.to_owned(), endpoint)])),
            }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(bare.name).build();
        let id = self.0.create_container(Some(options), body).await?.id;
        self.0.start_container(&id, None::<StartContainerOptions>).await?;
        Ok(id)
    }

    /// The lowest port that an image exposes; pulls it when it is not here.
    pub(crate) async fn first_port(&self, reference: &str) -> Result<u16> {
        if self.0.inspect_image(reference).await.is_err() {
            let options = CreateImageOptionsBuilder::new().from_image(reference).build();
            let mut answers = std::pin::pin!(self.0.create_image(Some(options), None, None));
            while let Some(answer) = answers.next().await {
                answer.map_err(|error| format!("Docker does not pull {reference}: {error}"))?;
            }
        }
        let config = self.0.inspect_image(reference).await?.config;
        let exposed = config.and_then(|config| config.exposed_ports).unwrap_or_default();
        let ports = exposed.iter().filter_map(|port| port.strip_suffix("/tcp")?.parse().ok());
        ports.min().ok_or_else(|| format!("{reference} exposes no port; the quickstart needs to know one").into())
    }

    /// Makes a network of the lab's own with a subnet of its own; its id and an address on it.
    pub(crate) async fn make_network(&self, run: &str) -> Result<(String, Ipv4Addr)> {
        let mut refused = String::new();
        // Another network may hold a subnet; Docker says so, and the next one is tried.
        for third in 0..=255_u8 {
            let request = NetworkCreateRequest {
                name: format!("{run}-floor"),
                labels: Some(HashMap::from([(labels::LAB.to_owned(), run.to_owned())])),
                ipam: Some(Ipam {
                    config: Some(vec![IpamConfig {
                        subnet: Some(format!("10.247.{third}.0/24")),
                        ..Default::default()
                    }]),
                    ..Default::default()
                }),
                ..Default::default()
            };
            match self.0.create_network(request).await {
                Ok(made) => return Ok((made.id, Ipv4Addr::new(10, 247, third, 77))),
                Err(error) => refused = error.to_string(),
            }
        }
        Err(format!("Docker makes no network: {refused}").into())
    }
}

/// A container that the lab starts by itself.
pub(crate) struct Bare<'a> {
    /// Name.
    pub name: &'a str,
    /// Reference or id.
    pub image: &'a str,
    /// Id of the network.
    pub network: &'a str,
    /// Address on it; empty: Docker's choice.
    pub address: &'a str,
    /// Marks what this run made.
    pub run: &'a str,
    /// More labels.
    pub labels: &'a [(&'a str, &'a str)],
}
