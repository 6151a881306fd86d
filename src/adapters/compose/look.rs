//! What Docker shows of a project: its containers and volumes, by the labels that Compose gives them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use cutover_domain::observed::DockerId;
use serde_json::Value;

use super::engine::Engine;
use super::{ComposeError, Healthy, Holder, ProjectVolume, Row, State};
use crate::adapters::runtime::{Labels, ServiceContainer};

/// The project of a container, network or volume.
const PROJECT: &str = "com.docker.compose.project";
/// The service of a container.
const SERVICE: &str = "com.docker.compose.service";
/// Whether a container was made by `run`, beside the services.
const ONE_OFF: &str = "com.docker.compose.oneoff";
/// What it says of one that was.
const IS_ONE_OFF: &str = "True";
/// By having it, a container is known to Compose as one that it has made: others it leaves alone, and with them the networks
/// that they are on.
const MADE: &str = "com.docker.compose.config-hash";
/// The hash of no configuration.
const NO_HASH: &str = "0";
/// Which container of its service one is.
const NUMBER: &str = "com.docker.compose.container-number";
/// The folder that a container was made from.
const FOLDER: &str = "com.docker.compose.project.working_dir";
/// The files that a container was made from, with commas between.
const FILES: &str = "com.docker.compose.project.config_files";

/// One row for each service that has containers.
pub(super) async fn rows(engine: &Engine, name: &str, folder: &Path) -> Result<Vec<Row>, ComposeError> {
    let all = engine.labelled("containers/json", &format!("{PROJECT}={name}")).await?;
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for container in all.as_array().into_iter().flatten() {
        let Some(one) = row(container, folder) else { continue };
        match rows.get_mut(&one.service) {
            Some(known) => join(known, one),
            None => {
                rows.insert(one.service.clone(), one);
            }
        }
    }
    Ok(rows.into_values().map(sorted).collect())
}

/// What every container of this Docker holds.
pub(super) async fn holders(engine: &Engine) -> Result<Vec<Holder>, ComposeError> {
    let all = engine.containers().await?;
    Ok(all.as_array().into_iter().flatten().map(holder).collect())
}

fn holder(container: &Value) -> Holder {
    let port = |port: &Value| {
        let host = u16::try_from(port["PublicPort"].as_u64()?).ok()?;
        let text = |key: &str| port[key].as_str().unwrap_or_default().to_owned();
        Some((text("IP"), host, text("Type")))
    };
    Holder {
        container: container["Names"][0].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
        project: container["Labels"][PROJECT].as_str().unwrap_or_default().to_owned(),
        ports: container["Ports"].as_array().into_iter().flatten().filter_map(port).collect(),
    }
}

fn sorted(mut row: Row) -> Row {
    row.containers.sort_by_key(|container| (container.number, container.id));
    row
}

/// The labels of a container that is made like one of a service and stands beside it, as Compose gives them to what its own
/// `run` makes: such a one is no part of the service, and goes with the project.
#[must_use]
pub fn beside(project: &str, service: &str) -> Labels {
    [(PROJECT, project), (SERVICE, service), (ONE_OFF, IS_ONE_OFF), (MADE, NO_HASH)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn container(found: &Value) -> Option<ServiceContainer> {
    let mut id = [0; 32];
    hex::decode_to_slice(found["Id"].as_str()?, &mut id).ok()?;
    let name = found["Names"][0].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
    let number = found["Labels"][NUMBER].as_str().and_then(|text| text.parse().ok()).unwrap_or(1);
    let runs = matches!(state(found["State"].as_str().unwrap_or_default()), State::Running | State::Paused);
    Some(ServiceContainer { id: DockerId(id), name, number, runs })
}

/// The worst of two containers of a service.
fn join(known: &mut Row, other: Row) {
    known.containers.extend(other.containers);
    let failed = |code: Option<i64>| code.is_some_and(|code| code != 0);
    if other.state > known.state || (other.state == known.state && failed(other.exit_code)) {
        known.exit_code = other.exit_code;
    }
    known.address = known.address.or(other.address);
    known.state = known.state.max(other.state);
    known.health = known.health.max(other.health);
    known.ours &= other.ours;
}

fn row(found: &Value, folder: &Path) -> Option<Row> {
    let label = |key: &str| found["Labels"][key].as_str();
    if label(ONE_OFF) == Some(IS_ONE_OFF) {
        return None;
    }
    let status = found["Status"].as_str().unwrap_or_default();
    let below = |path: &str| Path::new(path).starts_with(folder);
    let files = label(FILES).unwrap_or_default();
    Some(Row {
        service: label(SERVICE)?.to_owned(),
        containers: vec![container(found)?],
        state: state(found["State"].as_str().unwrap_or_default()),
        health: health(status),
        exit_code: exit_code(status),
        // The folder may be that of a source elsewhere; the files are always ours.
        ours: label(FOLDER).is_some_and(below) || (!files.is_empty() && files.split(',').all(below)),
        address: match found["HostConfig"]["NetworkMode"].as_str() {
            Some("host") => Some(Ipv4Addr::LOCALHOST),
            _ => address(&found["NetworkSettings"]["Networks"]),
        },
    })
}

/// On the first of its networks by name, where it has an address: only what runs does.
fn address(networks: &Value) -> Option<Ipv4Addr> {
    let networks: BTreeMap<_, _> = networks.as_object()?.iter().collect();
    networks.values().find_map(|network| network["IPAddress"].as_str()?.parse().ok())
}

fn state(word: &str) -> State {
    match word {
        "running" => State::Running,
        "created" => State::Created,
        "paused" => State::Paused,
        "restarting" => State::Restarting,
        "exited" => State::Exited,
        _ => State::Dead,
    }
}

/// Docker's `Up 5 minutes (healthy)`.
fn health(status: &str) -> Healthy {
    if status.contains("(healthy)") {
        Healthy::Yes
    } else if status.contains("(health: starting)") {
        Healthy::Starting
    } else if status.contains("(unhealthy)") {
        Healthy::No
    } else {
        Healthy::Unchecked
    }
}

/// Docker's `Exited (3) 5 minutes ago`.
fn exit_code(status: &str) -> Option<i64> {
    status.strip_prefix("Exited (")?.split(')').next()?.parse().ok()
}

/// The volumes of a project, with what they take of the disk where Docker knows it.
pub(super) async fn volumes(engine: &Engine, name: &str) -> Result<Vec<ProjectVolume>, ComposeError> {
    let found = engine.labelled("volumes", &format!("{PROJECT}={name}")).await?;
    let names = found["Volumes"].as_array().into_iter().flatten().filter_map(|one| one["Name"].as_str());
    let mut volumes: Vec<ProjectVolume> =
        names.map(|name| ProjectVolume { name: name.to_owned(), bytes: None }).collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    if volumes.is_empty() {
        return Ok(volumes);
    }
    // Without sizes the list is still worth having.
    match engine.usage().await {
        Ok(usage) => size(&mut volumes, &usage),
        Err(error) => tracing::warn!(project = name, %error, "the sizes of volumes are not known"),
    }
    Ok(volumes)
}

fn size(volumes: &mut [ProjectVolume], usage: &Value) {
    for one in usage["Volumes"].as_array().into_iter().flatten() {
        let known = volumes.iter_mut().find(|volume| one["Name"].as_str() == Some(&volume.name));
        if let Some(volume) = known {
            volume.bytes = one["UsageData"]["Size"].as_u64();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_docker_says_becomes_a_row() {
        let container = |state: &str, status: &str, files: &str| {
            let labels = json!({ SERVICE: "web", FOLDER: "/elsewhere", FILES: files, NUMBER: "2" });
            let networks = json!({ "a_none": { "IPAddress": "" }, "a_web": { "IPAddress": "172.20.0.2" } });
            let settings = json!({ "Networks": networks });
            let container = json!({
                "Id": "ab".repeat(32), "Names": ["/a-web-2"], "State": state, "Status": status, "Labels": labels,
                "NetworkSettings": settings
            });
            row(&container, Path::new("/d/compose/a"))
        };
        let good = container("running", "Up 5 minutes (healthy)", "/d/compose/a/compose.yml").unwrap();
        assert_eq!((good.state, good.health, good.ours), (State::Running, Healthy::Yes, true));
        assert_eq!(good.address, Some([172, 20, 0, 2].into()));
        let one = ServiceContainer { id: DockerId([0xab; 32]), name: "a-web-2".into(), number: 2, runs: true };
        assert_eq!(good.containers, [one]);
        let bad = container("exited", "Exited (3) 5 minutes ago", "/d/compose/ab/compose.yml").unwrap();
        assert_eq!(
            (bad.state, bad.health, bad.exit_code, bad.ours),
            (State::Exited, Healthy::Unchecked, Some(3), false)
        );
        let mut both = good.clone();
        join(&mut both, bad);
        assert_eq!((both.state, both.health, both.exit_code, both.ours), (State::Exited, Healthy::Yes, Some(3), false));
        let labels = beside("a", "web");
        assert_eq!(row(&json!({ "Id": "ab".repeat(32), "Labels": labels }), Path::new("/")), None);
        assert_eq!(row(&json!({ "Id": "abc", "Labels": {} }), Path::new("/")), None);
    }
}
