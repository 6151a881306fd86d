//! What cannot be together in one stack, although each alone is right. Compose finds some of it only when it starts.

use std::collections::BTreeMap;

use cutover_domain::file::strict::quoted;

use super::Whole;
use crate::fault::Code;
use crate::load::Loader;
use crate::model::port::clash;
use crate::model::{Port, Service};
use crate::tree::Node;

/// Published ports, or ranges, of one stack: each is compared with all others.
const MAX_PORTS: usize = 4096;
/// Keys that mean the same, above and below `deploy`.
const SAME: [(&str, &[&str]); 5] = [
    ("mem_limit", &["resources", "limits", "memory"]),
    ("cpus", &["resources", "limits", "cpus"]),
    ("pids_limit", &["resources", "limits", "pids"]),
    ("mem_reservation", &["resources", "reservations", "memory"]),
    ("scale", &["replicas"]),
];

pub(super) fn judge(loader: &mut Loader<'_>, whole: &Whole<'_>) {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut taken: Vec<(&Port, &str)> = Vec::new();
    for (service, node) in whole.active() {
        let own = service.name.as_str();
        if let Some(name) = &service.container_name {
            if let Some(other) = names.insert(name, own) {
                let text = format!("the services {other} and {own} both want the container name {}", quoted(name));
                loader.fault(Code::Conflict, place(node, "container_name"), text);
            }
            if service.replicas > 1 {
                let text = format!("service {own}: {} containers cannot have one container name", service.replicas);
                loader.fault(Code::Conflict, place(node, "container_name"), text);
            }
        }
        ports(loader, service, node, &mut taken);
        targets(loader, service, node);
        same(loader, own, node);
    }
}

fn place(node: &Node, key: &str) -> crate::tree::At {
    node.get(key).map_or(node.at, |found| found.at)
}

fn ports<'w>(loader: &mut Loader<'_>, service: &'w Service, node: &Node, taken: &mut Vec<(&'w Port, &'w str)>) {
    // On the network of the host nothing is published.
    if node.text_of("network_mode") == Some("host") {
        return;
    }
    if taken.len() + service.ports.len() > MAX_PORTS {
        let text = format!("the services publish more than {MAX_PORTS} ports or ranges");
        loader.fault(Code::Limit, place(node, "ports"), text);
        return;
    }
    for port in &service.ports {
        if let Some((_, other)) = taken.iter().find(|(other, by)| *by != service.name && clash(other, port)) {
            let number = port.host.map_or(0, |host| host.0);
            let own = &service.name;
            let text =
                format!("the services {other} and {own} both publish port {number}/{} of the host", port.transport);
            loader.fault(Code::Conflict, place(node, "ports"), text);
        }
    }
    taken.extend(service.ports.iter().map(|port| (port, service.name.as_str())));
}

fn targets(loader: &mut Loader<'_>, service: &Service, node: &Node) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for mount in &service.mounts {
        if seen.insert(&mount.target, &mount.source).is_some_and(|before| before != mount.source) {
            let text = format!("service {}: two volumes are mounted on the same path", service.name);
            loader.fault(Code::Conflict, place(node, "volumes"), text);
        }
    }
}

fn same(loader: &mut Loader<'_>, own: &str, node: &Node) {
    let Some(deploy) = node.get("deploy") else { return };
    for (key, path) in SAME {
        let below = path.iter().try_fold(deploy, |node, part| node.get(part));
        let (Some(above), Some(below)) = (node.get(key), below) else { continue };
        if above.as_str() != below.as_str() {
            let text = format!("service {own}: {key} and deploy.{} mean the same and differ", path.join("."));
            loader.fault(Code::Conflict, above.at, text);
        }
    }
}
