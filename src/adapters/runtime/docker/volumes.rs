//! What is mounted and published, and the volumes that were made for it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, Mount as DockerMount, MountBindOptions, MountPoint, MountType, MountVolumeOptions,
    PortBinding,
};
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};
use cutover_events::LogId;
use cutover_events::workload::{Access, Mount, MountFrom, PublishedPort, Transport};

use super::super::labels as keys;
use super::super::{Mounted, Volume};
use super::client::{classify, status, within};
use super::{CreateContainer, DockerRuntime, RuntimeError, names};

/// Listing volumes reads a folder for each.
const LIST: Duration = Duration::from_secs(20);
/// Removing one deletes its files: many of them take long.
const REMOVE: Duration = Duration::from_secs(120);
/// Hex digits of the name that Docker gives to a volume which nobody named.
const ANONYMOUS: usize = 64;

/// Ports as Docker keys them: `5432/tcp`.
type Bindings = HashMap<String, Option<Vec<PortBinding>>>;

impl DockerRuntime {
    /// The volumes that carry this log id.
    pub(super) async fn volumes_of(&self, log: LogId) -> Result<Vec<Volume>, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let filters = HashMap::from([("label", vec![format!("{}={log}", keys::LOG)])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let listed = within("list volumes", LIST, docker.list_volumes(Some(options))).await?;
        let listed = listed.map_err(classify("list volumes"))?.volumes.unwrap_or_default();
        let volume = |volume: bollard::models::Volume| {
            Some(Volume {
                workload: volume.labels.get(keys::WORKLOAD)?.parse().ok()?,
                project: volume.labels.get(keys::PROJECT)?.clone(),
                name: volume.name,
            })
        };
        Ok(listed.into_iter().filter_map(volume).collect())
    }

    /// Gone; refused for one that does not carry this log id.
    pub(super) async fn drop_volume(&self, log: LogId, name: &str) -> Result<(), RuntimeError> {
        let docker = self.client.docker()?;
        let found = match within("inspect", LIST, docker.inspect_volume(names::checked(name)?)).await? {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(()),
            Err(error) => return Err(classify("look at the volume")(error)),
        };
        if found.labels.get(keys::LOG) != Some(&log.to_string()) {
            return Err(RuntimeError::Refused(format!("the volume {name} was not made by this engine, and is kept")));
        }
        match within("remove", REMOVE, docker.remove_volume(name, None::<RemoveVolumeOptions>)).await? {
            Err(error) if status(&error) == Some(404) => Ok(()),
            other => other.map_err(classify("remove the volume")),
        }
    }
}

/// What a create says of mounts. A volume that is missing is made by Docker in the same call, with these labels and a
/// copy of what the image has at the target; one that is there is used as it is.
pub(super) fn mounts(log: LogId, container: &CreateContainer) -> Option<Vec<DockerMount>> {
    let project = container.full_name.split('/').next().unwrap_or_default();
    let labels = [
        (keys::LOG, log.to_string()),
        (keys::PROJECT, project.to_owned()),
        (keys::WORKLOAD, container.workload.to_string()),
    ];
    let labels = HashMap::from(labels.map(|(key, value)| (key.to_owned(), value)));
    let mount = |mount: &Mount| {
        let (typ, source) = match &mount.from {
            MountFrom::Volume(name) => (MountType::VOLUME, name),
            MountFrom::Folder(path) => (MountType::BIND, path),
        };
        let options = MountVolumeOptions { labels: Some(labels.clone()), ..MountVolumeOptions::default() };
        let folder = matches!(mount.from, MountFrom::Folder(_));
        // A folder that has gone meanwhile is an error, not a new one that belongs to root.
        let bind = MountBindOptions { create_mountpoint: Some(false), ..MountBindOptions::default() };
        DockerMount {
            target: Some(mount.target.clone()),
            source: Some(source.clone()),
            typ: Some(typ),
            read_only: Some(mount.access == Access::ReadOnly),
            volume_options: (!folder).then_some(options),
            bind_options: folder.then_some(bind),
            ..DockerMount::default()
        }
    };
    (!container.mounts.is_empty()).then(|| container.mounts.iter().map(mount).collect())
}

/// The container's side of published ports: Docker publishes only what is exposed.
pub(super) fn exposed(ports: &[PublishedPort]) -> Option<Vec<String>> {
    (!ports.is_empty()).then(|| ports.iter().map(inner).collect())
}

/// What a create says of ports.
pub(super) fn bindings(ports: &[PublishedPort]) -> Option<Bindings> {
    let mut all = Bindings::new();
    for port in ports {
        let binding = PortBinding { host_ip: Some(port.address.to_string()), host_port: Some(port.host.to_string()) };
        all.entry(inner(port)).or_default().get_or_insert_default().push(binding);
    }
    (!all.is_empty()).then_some(all)
}

fn inner(port: &PublishedPort) -> String {
    let transport = match port.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    format!("{}/{transport}", port.container)
}

/// What an inspection says of mounts.
pub(super) fn mounted(found: &ContainerInspectResponse) -> Vec<Mounted> {
    let one = |mount: &MountPoint| {
        let from = match mount.typ.as_deref()? {
            "volume" => MountFrom::Volume(mount.name.clone().filter(|name| named(name))?),
            "bind" => MountFrom::Folder(mount.source.clone()?),
            _ => return None,
        };
        Some(Mounted { from, target: mount.destination.clone()?, writable: mount.rw.unwrap_or(true) })
    };
    let mut all: Vec<Mounted> = found.mounts.iter().flatten().filter_map(one).collect();
    all.sort_by(|a, b| a.target.cmp(&b.target));
    all
}

/// Whether a person, or we, chose the name of a volume.
pub(super) fn named(name: &str) -> bool {
    name.len() != ANONYMOUS || !name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What an inspection says of ports, as they were asked for: of a container that does not run, too.
pub(super) fn published(found: &ContainerInspectResponse) -> Vec<PublishedPort> {
    let Some(bindings) = found.host_config.as_ref().and_then(|host| host.port_bindings.as_ref()) else {
        return Vec::new();
    };
    let of_one = |(inner, outer): (&String, &Option<Vec<PortBinding>>)| {
        let (container, transport) = inner.split_once('/')?;
        let (container, transport) = (container.parse().ok()?, transport_of(transport)?);
        let port = |binding: &PortBinding| {
            Some(PublishedPort {
                address: binding.host_ip.as_deref()?.parse().ok()?,
                host: binding.host_port.as_deref()?.parse().ok()?,
                container,
                transport,
            })
        };
        Some(outer.iter().flatten().filter_map(port).collect::<Vec<_>>())
    };
    let mut all: Vec<PublishedPort> = bindings.iter().filter_map(of_one).flatten().collect();
    all.sort_unstable();
    all
}

fn transport_of(text: &str) -> Option<Transport> {
    match text {
        "tcp" => Some(Transport::Tcp),
        "udp" => Some(Transport::Udp),
        _ => None,
    }
}
