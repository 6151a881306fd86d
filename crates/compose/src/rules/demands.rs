//! What a server would have to allow: everything by which a stack reaches beyond its own containers and its folder.

use std::collections::BTreeSet;

use super::Whole;
use crate::load::joined;
use crate::model::{Origin, Service};
use crate::tree::{Node, Value};

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// A path of the host outside of the stack's folder.
    Folder,
    /// The socket of Docker: whoever has it is root, read-only or not.
    DockerSocket,
    /// All that root may.
    Privileged,
    /// The network of the host.
    HostNetwork,
    /// Processes, memory or names of the host.
    HostNamespace,
    /// A device.
    Device,
    /// What Docker takes from containers by default: a capability, or a filter of calls.
    Capability,
    /// A container, network, volume or secret that is not the stack's own.
    Foreign,
    /// A program of the host.
    Program,
}

impl Asks {
    /// What a server can allow by a word; folders are allowed one by one.
    pub const BY_WORD: [(&'static str, Self); 8] = [
        ("docker-socket", Self::DockerSocket),
        ("privileged", Self::Privileged),
        ("host-network", Self::HostNetwork),
        ("host-namespaces", Self::HostNamespace),
        ("devices", Self::Device),
        ("capabilities", Self::Capability),
        ("foreign", Self::Foreign),
        ("programs", Self::Program),
    ];

    /// Its word; `None` for folders.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        Self::BY_WORD.iter().find(|(_, asks)| *asks == self).map(|(word, _)| *word)
    }
}

/// One thing that a server would have to allow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demand {
    /// What kind of thing.
    pub asks: Asks,
    /// Which one: a path, a device, a name; empty where the kind says it all.
    pub what: String,
    /// The services that need it; empty for the stack.
    pub services: BTreeSet<String>,
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = &self.what;
        match self.asks {
            Asks::Folder => write!(f, "the path {what} of the host")?,
            Asks::DockerSocket => write!(f, "the socket of Docker, with which a container is root on the host")?,
            Asks::Privileged => write!(f, "privileged mode, in which a container is root on the host")?,
            Asks::HostNetwork => write!(f, "the network of the host")?,
            Asks::HostNamespace => write!(f, "the host's own {what}")?,
            Asks::Device => write!(f, "the device {what}")?,
            Asks::Capability => write!(f, "{what}")?,
            Asks::Foreign => write!(f, "{what}, which is not the stack's own")?,
            Asks::Program => write!(f, "a program of the host: {what}")?,
        }
        let names: Vec<&str> = self.services.iter().map(String::as_str).collect();
        if names.is_empty() { Ok(()) } else { write!(f, " ({})", names.join(", ")) }
    }
}

/// Paths behind which Docker answers.
const SOCKETS: [&str; 4] = ["/var/run", "/run", "/var/run/docker.sock", "/run/docker.sock"];
/// What Docker gives each container.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Drivers of networks that are on the network of the host.
const HOST_DRIVERS: [&str; 3] = ["host", "macvlan", "ipvlan"];
/// Keys that are `host` or `container:NAME`, and what they share.
const NAMESPACES: [(&str, &str); 5] =
    [("pid", "processes"), ("ipc", "shared memory"), ("uts", "name"), ("userns_mode", "users"), ("cgroup", "groups")];

struct Found(Vec<Demand>);

impl Found {
    fn add(&mut self, asks: Asks, what: impl Into<String>, service: &str) {
        let what = what.into();
        let own = (!service.is_empty()).then(|| service.to_owned());
        match self.0.iter_mut().find(|known| known.asks == asks && known.what == what) {
            Some(known) => known.services.extend(own),
            None => self.0.push(Demand { asks, what, services: own.into_iter().collect() }),
        }
    }

    fn path(&mut self, path: &str, service: &str) {
        let joined = joined("", path);
        let plain = joined.trim_end_matches('/');
        if SOCKETS.contains(&plain) || plain.is_empty() || plain.ends_with("/docker.sock") {
            self.add(Asks::DockerSocket, "", service);
        } else if leaves(&joined) {
            self.add(Asks::Folder, path, service);
        }
    }
}

/// Whether a path leads out of the folder of the stack.
pub(crate) fn leaves(joined: &str) -> bool {
    joined.starts_with(['/', '~']) || joined == ".." || joined.starts_with("../") || joined.contains('\\')
}

pub(super) fn of(whole: &Whole<'_>) -> Vec<Demand> {
    let mut found = Found(Vec::new());
    for (service, node) in whole.active() {
        reach(&mut found, service, node);
        powers(&mut found, &service.name, node);
        files(&mut found, service, node);
    }
    declared(&mut found, whole);
    found.0.sort();
    found.0
}

/// Mounts, namespaces and other containers.
fn reach(found: &mut Found, service: &Service, node: &Node) {
    let own = &service.name;
    for mount in service.mounts.iter().filter(|mount| mount.from == Origin::Host) {
        found.path(&mount.source, own);
    }
    match node.text_of("network_mode") {
        Some("host") => found.add(Asks::HostNetwork, "", own),
        Some(mode) if mode.starts_with("container:") => found.add(Asks::Foreign, mode, own),
        Some(mode) if !mode.starts_with("service:") && !["none", "bridge", "default"].contains(&mode) => {
            found.add(Asks::Foreign, format!("the network {mode}"), own);
        }
        _ => {}
    }
    for (key, what) in NAMESPACES {
        match node.text_of(key) {
            Some("host") => found.add(Asks::HostNamespace, what, own),
            Some(mode) if mode.starts_with("container:") => found.add(Asks::Foreign, mode, own),
            _ => {}
        }
    }
    for one in node.items("volumes_from").iter().filter_map(Node::as_str) {
        if let Some(name) = one.strip_prefix("container:") {
            found.add(Asks::Foreign, format!("the container {}", name.split(':').next().unwrap_or(name)), own);
        }
    }
    for one in node.items("external_links").iter().filter_map(Node::as_str) {
        found.add(Asks::Foreign, format!("the container {}", one.split(':').next().unwrap_or(one)), own);
    }
    if node.get("provider").is_some() {
        let kind = node.get("provider").and_then(|provider| provider.text_of("type")).unwrap_or("a provider");
        found.add(Asks::Program, kind, own);
    }
}

/// What a container may do to the kernel.
fn powers(found: &mut Found, own: &str, node: &Node) {
    let says = |node: &Node, key: &str| node.get(key).is_some_and(Node::is_true);
    let hooks = ["post_start", "pre_start", "pre_stop"].iter().flat_map(|key| node.items(key));
    let build = node.get("build");
    if says(node, "privileged")
        || hooks.into_iter().any(|hook| says(hook, "privileged"))
        || build.is_some_and(|build| says(build, "privileged") || !build.items("entitlements").is_empty())
    {
        found.add(Asks::Privileged, "", own);
    }
    if says(node, "use_api_socket") {
        found.add(Asks::DockerSocket, "", own);
    }
    if build.and_then(|build| build.text_of("network")) == Some("host") {
        found.add(Asks::HostNetwork, "", own);
    }
    let more = |capability: &&str| {
        let name = capability.to_ascii_uppercase();
        !DEFAULT_CAPABILITIES.contains(&name.strip_prefix("CAP_").unwrap_or(&name))
    };
    for capability in node.items("cap_add").iter().filter_map(Node::as_str).filter(more) {
        found.add(Asks::Capability, format!("the capability {capability}"), own);
    }
    for option in node.items("security_opt").iter().filter_map(Node::as_str) {
        if !option.starts_with("no-new-privileges") {
            found.add(Asks::Capability, format!("the security option {option}"), own);
        }
    }
    for device in node.items("devices") {
        let path = device.as_str().or_else(|| device.text_of("source")).unwrap_or_default();
        found.add(Asks::Device, path.split(':').next().unwrap_or(path), own);
    }
    if !node.items("device_cgroup_rules").is_empty() {
        found.add(Asks::Device, "that a rule of cgroups names", own);
    }
    let reserved = node.get("deploy").and_then(|deploy| deploy.get("resources")?.get("reservations")?.get("devices"));
    if node.get("gpus").is_some() || reserved.is_some() {
        found.add(Asks::Device, "GPU", own);
    }
    for key in ["cgroup_parent", "runtime"] {
        if let Some(value) = node.text_of(key) {
            found.add(Asks::Capability, format!("{key} {value}"), own);
        }
    }
}

/// Files that are read on the host, and folders that images are built from.
fn files(found: &mut Found, service: &Service, node: &Node) {
    let own = &service.name;
    for key in ["env_file", "label_file"] {
        for file in node.items(key) {
            if let Some(path) = file.as_str().or_else(|| file.text_of("path"))
                && leaves(&joined("", path))
            {
                found.add(Asks::Folder, path, own);
            }
        }
    }
    let Some(build) = &service.build else { return };
    let more = node.get("build").map(|build| crate::load::pairs_of(build, "additional_contexts")).unwrap_or_default();
    let contexts = more.values().filter_map(Node::as_str).chain([build.context.as_str()]);
    for context in contexts {
        let remote = context.contains("://") || context.starts_with("git@");
        if !remote && leaves(&joined("", context)) {
            found.add(Asks::Folder, context, own);
        }
    }
}

/// Volumes, networks, secrets and configs.
fn declared(found: &mut Found, whole: &Whole<'_>) {
    for part in ["networks", "volumes", "secrets", "configs"] {
        for (name, node) in whole.tree.entries(part) {
            let external = node.get("external");
            if external.is_some_and(|one| one.is_true() || matches!(one.value, Value::Map(_))) {
                let what = part.strip_suffix('s').unwrap_or(part);
                found.add(Asks::Foreign, format!("the {what} {}", node.text_of("name").unwrap_or(name)), "");
            }
            if let Some(path) = node.text_of("file") {
                found.path(path, "");
            }
            let options = node.get("driver_opts");
            match (part, node.text_of("driver")) {
                ("networks", Some(driver)) if HOST_DRIVERS.contains(&driver) => found.add(Asks::HostNetwork, "", ""),
                ("volumes", Some(driver)) if driver != "local" => {
                    found.add(Asks::Program, format!("the volume driver {driver}"), "");
                }
                ("volumes", _) => {
                    options
                        .and_then(|options| options.text_of("device"))
                        .into_iter()
                        .for_each(|path| found.path(path, ""));
                }
                _ => {}
            }
        }
    }
}
