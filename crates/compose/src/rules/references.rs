//! Names lead to something: volumes, networks, secrets, configs and other services.

use std::collections::BTreeMap;

use cutover_domain::file::strict::{nearest, quoted};
use cutover_domain::order;

use super::Whole;
use crate::fault::Code;
use crate::load::Loader;
use crate::model::{Origin, Service};
use crate::tree::{At, Node};
use crate::verdict::MAX_FAULTS;

/// Names among which a near one is looked for.
const MAX_NEAR: usize = 1000;
/// The network that each stack has.
const DEFAULT_NETWORK: &str = "default";
/// Keys whose value may be `service:NAME`.
const SHARED: [&str; 3] = ["network_mode", "ipc", "pid"];

pub(super) fn judge(loader: &mut Loader<'_>, whole: &Whole<'_>) {
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (service, node) in whole.active() {
        volumes(loader, whole, service, node);
        networks(loader, whole, service, node);
        for part in ["secrets", "configs"] {
            given(loader, whole, service, node, part);
        }
        order.insert(service.name.clone(), others(loader, whole, service, node));
    }
    let borrowed: order::After<'_> = order.iter().map(|(name, after)| (name.as_str(), &after[..])).collect();
    if let Some(found) = order::circle(&borrowed) {
        let at = found.first().and_then(|name| whole.tree.get("services")?.get(name)).map_or(At::default(), |n| n.at);
        let text =
            format!("services wait for one another in a circle, so none of them would start: {}", order::told(&found));
        loader.fault(Code::Conflict, at, text);
    }
}

fn missing(loader: &mut Loader<'_>, whole: &Whole<'_>, at: At, service: &str, (part, name): (&str, &str)) {
    let known = whole.tree.get(part).and_then(Node::as_map);
    // Looking for a near name costs; of many faults only the first are told.
    let known = known.filter(|known| loader.faults.len() < MAX_FAULTS && known.len() <= MAX_NEAR);
    let near = known.and_then(|known| nearest(name, known.keys().map(String::as_str)));
    let hint = near.map(|near| format!("; did you mean {}?", quoted(near))).unwrap_or_default();
    let what = part.strip_suffix('s').unwrap_or(part);
    let text = format!("service {service}: the {what} {} is not declared below \"{part}:\"{hint}", quoted(name));
    loader.fault(Code::Missing, at, text);
}

fn volumes(loader: &mut Loader<'_>, whole: &Whole<'_>, service: &Service, node: &Node) {
    for mount in service.mounts.iter().filter(|mount| mount.from == Origin::Volume) {
        if !whole.declares("volumes", &mount.source) {
            let written = |one: &&Node| one.as_str().is_some_and(|text| text.starts_with(&mount.source));
            let at = node.items("volumes").iter().find(written).map_or(node.at, |one| one.at);
            missing(loader, whole, at, &service.name, ("volumes", &mount.source));
        }
    }
}

fn networks(loader: &mut Loader<'_>, whole: &Whole<'_>, service: &Service, node: &Node) {
    let Some(networks) = node.get("networks") else { return };
    if node.get("network_mode").is_some() && !networks.is_null() {
        let text = format!("service {}: \"network_mode\" and \"networks\" cannot be together", service.name);
        loader.fault(Code::Conflict, networks.at, text);
    }
    let list = networks.as_list().unwrap_or_default().iter().filter_map(|one| Some((one.as_str()?, one.at)));
    let map = networks.as_map().into_iter().flatten().map(|(name, one)| (name.as_str(), one.at));
    for (name, at) in list.chain(map) {
        if name != DEFAULT_NETWORK && !whole.declares("networks", name) {
            missing(loader, whole, at, &service.name, ("networks", name));
        }
    }
}

/// Secrets and configs.
fn given(loader: &mut Loader<'_>, whole: &Whole<'_>, service: &Service, node: &Node, part: &str) {
    for one in node.items(part) {
        let Some(name) = one.as_str().or_else(|| one.text_of("source")) else {
            let text = format!("service {}: \"source\" is missing in {part}", service.name);
            loader.fault(Code::Shape, one.at, text);
            continue;
        };
        if !whole.declares(part, name) {
            missing(loader, whole, one.at, &service.name, (part, name));
        }
    }
}

/// The services that one needs; tells of those that are not there, or not started.
fn others(loader: &mut Loader<'_>, whole: &Whole<'_>, service: &Service, node: &Node) -> Vec<String> {
    let mut needed: Vec<(&str, String, At)> = Vec::new();
    if let Some(after) = node.get("depends_on") {
        let list = after.as_list().unwrap_or_default().iter().filter_map(|one| Some((one.as_str()?, one.at)));
        // What is not required may lack its profile, and must be there all the same.
        let inactive = |name: &str| whole.services.get(name).is_some_and(|other| !other.active);
        let required = |how: &Node| how.get("required").is_none_or(Node::is_true);
        let map = after.as_map().into_iter().flatten().filter(|(name, how)| required(how) || !inactive(name));
        let map = map.map(|(name, how)| (name.as_str(), how.at));
        needed.extend(list.chain(map).map(|(name, at)| ("depends_on", name.to_owned(), at)));
    }
    for key in SHARED {
        let shared = node.get(key).and_then(|one| Some((one.as_str()?.strip_prefix("service:")?, one.at)));
        needed.extend(shared.map(|(name, at)| (key, name.to_owned(), at)));
    }
    for key in ["links", "volumes_from"] {
        let named = node.items(key).iter().filter_map(|one| Some((one.as_str()?.split(':').next()?, one.at)));
        let named = named.filter(|(name, _)| *name != "container");
        needed.extend(named.map(|(name, at)| (key, name.to_owned(), at)));
    }
    let mut found = Vec::new();
    for (key, name, at) in needed {
        match whole.services.get(&name) {
            Some(other) if other.active => found.push(name),
            Some(other) => {
                let (own, profiles) = (&service.name, other.profiles.join(", "));
                let text = format!(
                    "service {own}: {key} names {}, which starts with the profile {profiles} only",
                    quoted(&name)
                );
                loader.fault(Code::Missing, at, text);
            }
            None => {
                let text =
                    format!("service {}: {key} names the service {}, which is not there", service.name, quoted(&name));
                loader.fault(Code::Missing, at, text);
            }
        }
    }
    found
}
