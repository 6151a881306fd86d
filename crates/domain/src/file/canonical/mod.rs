//! The canonical form of a workload: what the API takes and `show` prints, with every default filled in.

mod source;

use std::collections::BTreeMap;

use cutover_events::workload::{
    Access, Check, Hardening, Health, Limits, Mount, MountFrom, OnCrash, Policy, PublishedPort, ReleaseCommand, Route,
    Source, Spec, Transport, Trigger,
};
use serde::{Deserialize, Serialize};

use super::source::Sourced;
use super::strict::Fault;
use super::{DEFAULT_PROJECT, Declared, Values, after, check, health, limits, policy, ports, processes};
use super::{release, routes, secrets, triggers, volumes, whole, workload};
pub use source::{
    CanonicalBuild, CanonicalCompose, CanonicalDockerfile, CanonicalImage, CanonicalSource, CanonicalStatic,
};

/// One workload. A key that is missing has its default; an unknown one is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canonical {
    /// The namespace and network.
    #[serde(default = "default_project")]
    pub project: String,
    /// The name within the project.
    pub name: String,
    /// Where it comes from.
    pub source: CanonicalSource,
    /// What leads to it from outside.
    #[serde(default)]
    pub routes: Vec<CanonicalRoute>,
    /// The environment; `null` is a value that is not shown, and is refused when it is sent.
    #[serde(default)]
    pub env: BTreeMap<String, Option<String>>,
    /// Replaces the command of the image.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// What is mounted.
    #[serde(default)]
    pub volumes: Vec<CanonicalVolume>,
    /// Ports of the host that lead to it, past the proxy.
    #[serde(default)]
    pub ports: Vec<CanonicalPort>,
    /// What its containers may use.
    #[serde(default)]
    pub limits: CanonicalLimits,
    /// `default` or `strict`.
    #[serde(default = "default_hardening")]
    pub hardening: String,
    /// How readiness is probed.
    #[serde(default)]
    pub health: Option<CanonicalHealth>,
    /// Containers of one release.
    #[serde(default = "default_replicas")]
    pub replicas: i64,
    /// Which changes from outside deploy it.
    #[serde(default)]
    pub triggers: Vec<CanonicalTrigger>,
    /// Times and counts.
    #[serde(default)]
    pub policy: CanonicalPolicy,
    /// Other commands of the same release, by name.
    #[serde(default)]
    pub processes: BTreeMap<String, CanonicalProcess>,
    /// Names of workloads of the same project that must be ready first.
    #[serde(default)]
    pub after: Vec<String>,
    /// Names of secrets of the project that become files in `/run/secrets`.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What runs once before anything of a new release serves.
    #[serde(default)]
    pub release: Option<CanonicalRelease>,
}

/// What runs once in a container of a new release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalRelease {
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// How long it may run, ms.
    #[serde(default = "default_release_timeout")]
    pub timeout_ms: u64,
    /// What follows when nobody knows how it ended: `ask` or `again`.
    #[serde(default = "default_on_crash")]
    pub on_crash: String,
}

/// Another command of the same release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalProcess {
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// Its containers of one release.
    #[serde(default = "default_replicas")]
    pub replicas: i64,
    /// What each of its containers may use.
    #[serde(default)]
    pub limits: CanonicalLimits,
    /// How readiness is probed.
    #[serde(default)]
    pub health: Option<CanonicalHealth>,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalRoute {
    /// DNS name, or `*.` and a DNS name.
    pub host: String,
    /// Path prefix.
    #[serde(default = "default_path")]
    pub path: String,
    /// Port inside the container; 0 where the proxy serves the files itself.
    #[serde(default)]
    pub port: i64,
    /// Whether the prefix is cut off.
    #[serde(default)]
    pub strip: bool,
    /// Service of a stack; empty for all other sources.
    #[serde(default)]
    pub service: String,
}

/// Something of the host inside a container: exactly one of `volume` and `folder` is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalVolume {
    /// Name of a volume of Docker; empty for a folder.
    #[serde(default)]
    pub volume: String,
    /// Absolute path of a folder of the host; empty for a volume.
    #[serde(default)]
    pub folder: String,
    /// Absolute path inside the container.
    pub target: String,
    /// `exclusive`, `shared` or `read-only`.
    #[serde(default = "default_access")]
    pub access: String,
}

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalPort {
    /// Address of the host.
    #[serde(default = "default_address")]
    pub address: String,
    /// Port of the host.
    pub host: i64,
    /// Port inside the container.
    pub container: i64,
    /// `tcp` or `udp`.
    #[serde(default = "default_transport")]
    pub transport: String,
}

/// What a container may use; `null` is without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanonicalLimits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_milli: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// How readiness is probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalHealth {
    /// What is asked.
    pub check: CanonicalCheck,
    /// Port inside the container.
    pub port: i64,
    /// Between two probes, ms.
    #[serde(default = "default_interval")]
    pub interval_ms: u64,
    /// For one probe, ms.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum CanonicalCheck {
    /// `GET path`.
    Http {
        /// Begins with `/`.
        path: String,
        /// `Host` header; empty for the address.
        #[serde(default)]
        host: String,
        /// Lowest status that is ready.
        #[serde(default = "default_low")]
        low: u16,
        /// Highest status that is ready.
        #[serde(default = "default_high")]
        high: u16,
    },
    /// The port accepts a connection.
    Tcp,
}

/// Which changes deploy it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalTrigger {
    /// Name of the hook.
    pub hook: String,
    /// `owner/name`, empty for any.
    #[serde(default)]
    pub repo: String,
    /// Branch pattern.
    #[serde(default)]
    pub branch: String,
    /// Tag pattern.
    #[serde(default)]
    pub tag: String,
    /// Image repository.
    #[serde(default)]
    pub image: String,
    /// Patterns of paths; empty for all.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// Times and counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanonicalPolicy {
    /// Until ready, ms.
    pub gate_timeout_ms: u64,
    /// How long a container without a health check must stay up, ms.
    pub liveness_ms: u64,
    /// How long requests to blue may go on, ms.
    pub drain_ms: u64,
    /// How long green is watched, ms.
    pub bake_ms: u64,
    /// How long blue keeps running afterwards, ms.
    pub standby_ms: u64,
    /// Between the stop signal and the kill, ms.
    pub stop_timeout_ms: u64,
    /// As in `SIGTERM`; empty for the image's own.
    pub stop_signal: String,
    /// Releases that stay known.
    pub keep_releases: i64,
    /// For the old release of an exclusive workload to become ready again, ms.
    pub restore_timeout_ms: u64,
    /// For an image that a change from outside names to be in its registry, ms.
    pub wait_for_image_ms: u64,
    /// What follows when its containers are not as they should be: `repair` or `report`.
    pub drift: String,
}

fn default_project() -> String {
    DEFAULT_PROJECT.to_owned()
}

fn default_hardening() -> String {
    name_of(workload::HARDENINGS, Hardening::default())
}

fn default_replicas() -> i64 {
    1
}

fn default_path() -> String {
    "/".to_owned()
}

fn default_access() -> String {
    name_of(volumes::ACCESSES, Access::Exclusive)
}

fn default_address() -> String {
    ports::DEFAULT_ADDRESS.to_string()
}

fn default_transport() -> String {
    name_of(ports::TRANSPORTS, Transport::Tcp)
}

fn default_interval() -> u64 {
    health::DEFAULT_INTERVAL_MS.into()
}

fn default_timeout() -> u64 {
    health::DEFAULT_TIMEOUT_MS.into()
}

fn default_release_timeout() -> u64 {
    release::DEFAULT_TIMEOUT_MS
}

fn default_on_crash() -> String {
    name_of(release::ON_CRASH, OnCrash::default())
}

fn default_low() -> u16 {
    health::DEFAULT_STATUS.0
}

fn default_high() -> u16 {
    health::DEFAULT_STATUS.1
}

impl Default for CanonicalPolicy {
    fn default() -> Self {
        Self::from(&Policy::default())
    }
}

fn name_of<T: PartialEq>(words: &[(&'static str, T)], value: T) -> String {
    words.iter().find(|(_, known)| *known == value).map_or_else(String::new, |(word, _)| (*word).to_owned())
}

impl From<&Declared> for Canonical {
    fn from(declared: &Declared) -> Self {
        let env = declared.values.env.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        let shown = Self::of(&declared.project, &declared.name, &declared.spec);
        Self { env, source: shown.source.with(&declared.values), ..shown }
    }
}

impl Canonical {
    /// The form of a recorded spec: its environment has names, and `null` for each value.
    #[must_use]
    pub fn of(project: &str, name: &str, spec: &Spec) -> Self {
        Self {
            project: project.to_owned(),
            name: name.to_owned(),
            source: CanonicalSource::from(&spec.source),
            routes: spec.routes.iter().map(CanonicalRoute::from).collect(),
            env: spec.env.iter().map(|variable| (variable.name.clone(), None)).collect(),
            command: spec.command.clone(),
            volumes: spec.mounts.iter().map(CanonicalVolume::from).collect(),
            ports: spec.ports.iter().map(CanonicalPort::from).collect(),
            limits: CanonicalLimits::from(spec.limits),
            hardening: name_of(workload::HARDENINGS, spec.hardening),
            health: spec.health.as_ref().map(CanonicalHealth::from),
            replicas: spec.replicas.into(),
            triggers: spec.triggers.iter().map(CanonicalTrigger::from).collect(),
            policy: CanonicalPolicy::from(&spec.policy),
            processes: spec.processes.iter().map(|one| (one.name.clone(), CanonicalProcess::from(one))).collect(),
            after: spec.after.clone(),
            release: spec.release.as_ref().map(CanonicalRelease::from),
            secrets: secrets::files(spec),
        }
    }
}

impl From<Limits> for CanonicalLimits {
    fn from(limits: Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes, cpu_milli: limits.cpu_milli.map(u64::from), pids: limits.pids }
    }
}

impl From<&Route> for CanonicalRoute {
    fn from(route: &Route) -> Self {
        let Route { host, path, port, strip, service } = route.clone();
        Self { host, path, port: port.into(), strip, service }
    }
}

impl From<&Mount> for CanonicalVolume {
    fn from(mount: &Mount) -> Self {
        let (volume, folder) = match &mount.from {
            MountFrom::Volume(name) => (name.clone(), String::new()),
            MountFrom::Folder(path) => (String::new(), path.clone()),
        };
        Self { volume, folder, target: mount.target.clone(), access: name_of(volumes::ACCESSES, mount.access) }
    }
}

impl From<&PublishedPort> for CanonicalPort {
    fn from(port: &PublishedPort) -> Self {
        Self {
            address: port.address.to_string(),
            host: port.host.into(),
            container: port.container.into(),
            transport: name_of(ports::TRANSPORTS, port.transport),
        }
    }
}

impl From<&Health> for CanonicalHealth {
    fn from(health: &Health) -> Self {
        let check = match &health.check {
            Check::Http { path, host, low, high } => {
                CanonicalCheck::Http { path: path.clone(), host: host.clone(), low: *low, high: *high }
            }
            Check::Tcp => CanonicalCheck::Tcp,
        };
        Self {
            check,
            port: health.port.into(),
            interval_ms: health.interval_ms.into(),
            timeout_ms: health.timeout_ms.into(),
        }
    }
}

impl From<&ReleaseCommand> for CanonicalRelease {
    fn from(release: &ReleaseCommand) -> Self {
        Self {
            command: release.command.clone(),
            timeout_ms: release.timeout_ms,
            on_crash: name_of(release::ON_CRASH, release.on_crash),
        }
    }
}

impl From<&Trigger> for CanonicalTrigger {
    fn from(trigger: &Trigger) -> Self {
        let Trigger { hook, repo, branch, tag, image, paths } = trigger.clone();
        Self { hook, repo, branch, tag, image, paths }
    }
}

impl From<&Policy> for CanonicalPolicy {
    fn from(policy: &Policy) -> Self {
        Self {
            gate_timeout_ms: policy.gate_timeout_ms,
            liveness_ms: policy.liveness_ms,
            drain_ms: policy.drain_ms,
            bake_ms: policy.bake_ms,
            standby_ms: policy.standby_ms,
            stop_timeout_ms: policy.stop_timeout_ms,
            stop_signal: policy::signal_name(policy.stop_signal),
            keep_releases: policy.keep_releases.into(),
            restore_timeout_ms: policy.restore_timeout_ms,
            wait_for_image_ms: policy.wait_for_image_ms,
            drift: name_of(policy::DRIFTS, policy.drift),
        }
    }
}

/// Turns "what is wrong" into a fault of a key.
pub(super) fn of_key<'a>(key: &'a str) -> impl Fn(String) -> Fault + 'a {
    move |text| Fault::new(key, text)
}

impl TryFrom<Canonical> for Declared {
    type Error = Fault;

    fn try_from(given: Canonical) -> Result<Self, Fault> {
        let project = check::name(&given.project).map_err(of_key("project"))?;
        let name = check::name(&given.name).map_err(of_key("name"))?;
        let Sourced { source, args, compose_yaml, note } = source::judged(given.source)?;
        let env = given.env.into_iter().map(|one| variable("env", one, check::env_value)).collect::<Result<_, _>>()?;
        let secrets = secrets::used(secrets::judged(given.secrets)?, &env)?;
        let spec = Spec {
            routes: routes_of(given.routes, &source)?,
            source,
            env: Vec::new(),
            command: given.command.map(command).transpose()?,
            mounts: volumes_of(given.volumes)?,
            ports: ports_of(given.ports)?,
            limits: limits_of(given.limits)?,
            hardening: check::word(&given.hardening, workload::HARDENINGS).map_err(of_key("hardening"))?,
            health: given.health.map(health_of).transpose()?,
            replicas: replicas(given.replicas)?,
            triggers: triggers_of(given.triggers)?,
            policy: policy_of(&given.policy)?,
            processes: processes::judged(given.processes, &name)?,
            after: after::judged(&given.after, &name)?,
            release: given.release.map(release::judged).transpose()?,
            secrets,
        };
        let values = Values { env, args, compose_yaml };
        whole::check(&spec, &values)?;
        let warnings = note.into_iter().chain(whole::warnings(&spec)).collect();
        Ok(Self { project, name, spec, values, warnings })
    }
}

fn routes_of(given: Vec<CanonicalRoute>, source: &Source) -> Result<Vec<Route>, Fault> {
    let mut out = Vec::new();
    for (index, given) in given.into_iter().enumerate() {
        let key = |part: &str| format!("routes[{index}]{}{part}", if part.is_empty() { "" } else { "." });
        let port = if given.port == 0 { Ok(0) } else { check::port(given.port) };
        let route = Route {
            host: check::host(&given.host).map_err(of_key(&key("host")))?,
            path: check::path(&given.path).map_err(of_key(&key("path")))?,
            port: port.map_err(of_key(&key("port")))?,
            strip: given.strip,
            service: given.service,
        };
        let route = routes::judged(route, source).map_err(|(part, text)| Fault::new(key(part), text))?;
        routes::add(&mut out, route).map_err(of_key(&key("")))?;
    }
    Ok(out)
}

fn volumes_of(given: Vec<CanonicalVolume>) -> Result<Vec<Mount>, Fault> {
    let mut out = Vec::new();
    for (index, one) in given.into_iter().enumerate() {
        let key = |part: &str| format!("volumes[{index}]{part}");
        let from = match (one.volume.as_str(), one.folder.as_str()) {
            (name, "") => volumes::volume(name).map_err(of_key(&key(".volume")))?,
            ("", path) => volumes::folder(path).map_err(of_key(&key(".folder")))?,
            _ => return Err(Fault::new(key(""), "exactly one of volume and folder is needed")),
        };
        let mount = Mount {
            from,
            target: check::target(&one.target).map_err(of_key(&key(".target")))?,
            access: check::word(&one.access, volumes::ACCESSES).map_err(of_key(&key(".access")))?,
        };
        volumes::add(&mut out, mount).map_err(of_key(&key("")))?;
    }
    Ok(out)
}

fn ports_of(given: Vec<CanonicalPort>) -> Result<Vec<PublishedPort>, Fault> {
    let mut out = Vec::new();
    for (index, one) in given.into_iter().enumerate() {
        let key = |part: &str| format!("ports[{index}]{part}");
        let port = PublishedPort {
            address: ports::address(&one.address).map_err(of_key(&key(".address")))?,
            host: check::port(one.host).map_err(of_key(&key(".host")))?,
            container: check::port(one.container).map_err(of_key(&key(".container")))?,
            transport: check::word(&one.transport, ports::TRANSPORTS).map_err(of_key(&key(".transport")))?,
        };
        ports::add(&mut out, port).map_err(of_key(&key("")))?;
    }
    Ok(out)
}

pub(super) fn command(given: Vec<String>) -> Result<Vec<String>, Fault> {
    let count = given.len();
    if count == 0 || count > workload::MAX_ARGUMENTS {
        return Err(Fault::new("command", format!("{count} arguments; allowed is 1 to {}", workload::MAX_ARGUMENTS)));
    }
    given.iter().map(|argument| check::value(argument).map_err(of_key("command"))).collect()
}

pub(super) fn limits_of(given: CanonicalLimits) -> Result<Limits, Fault> {
    Ok(Limits {
        memory_bytes: given.memory_bytes.map(limits::memory).transpose().map_err(of_key("limits.memory_bytes"))?,
        cpu_milli: given.cpu_milli.map(limits::cpu).transpose().map_err(of_key("limits.cpu_milli"))?,
        pids: given.pids.map(limits::pids).transpose().map_err(of_key("limits.pids"))?,
    })
}

pub(super) fn health_of(given: CanonicalHealth) -> Result<Health, Fault> {
    let check = match given.check {
        CanonicalCheck::Tcp => Check::Tcp,
        CanonicalCheck::Http { path, host, low, high } => {
            let (low, high) = health::statuses(low, high).map_err(of_key("health.check.low"))?;
            let empty = host.is_empty();
            let host = if empty { Ok(host) } else { health::host_header(&host) };
            Check::Http {
                path: check::health_path(&path).map_err(of_key("health.check.path"))?,
                host: host.map_err(of_key("health.check.host"))?,
                low,
                high,
            }
        }
    };
    Ok(Health {
        check,
        port: check::port(given.port).map_err(of_key("health.port"))?,
        interval_ms: health::interval(given.interval_ms).map_err(of_key("health.interval_ms"))?,
        timeout_ms: health::interval(given.timeout_ms).map_err(of_key("health.timeout_ms"))?,
    })
}

pub(super) fn replicas(given: i64) -> Result<u16, Fault> {
    let good = (1..=workload::MAX_REPLICAS).contains(&given).then(|| u16::try_from(given).ok()).flatten();
    good.ok_or_else(|| {
        Fault::new("replicas", format!("{given} is out of range; allowed is 1 to {}", workload::MAX_REPLICAS))
    })
}

fn triggers_of(given: Vec<CanonicalTrigger>) -> Result<Vec<Trigger>, Fault> {
    if given.len() > triggers::MAX_TRIGGERS {
        return Err(Fault::new(
            "triggers",
            format!("{} triggers; at most {} are allowed", given.len(), triggers::MAX_TRIGGERS),
        ));
    }
    let judge = |(index, given): (usize, CanonicalTrigger)| {
        let CanonicalTrigger { hook, repo, branch, tag, image, paths } = given;
        triggers::judged(Trigger { hook, repo, branch, tag, image, paths }).map_err(|(key, why)| {
            let dot = if key.is_empty() { "" } else { "." };
            Fault::new(format!("triggers[{index}]{dot}{key}"), why)
        })
    };
    given.into_iter().enumerate().map(judge).collect()
}

fn policy_of(given: &CanonicalPolicy) -> Result<Policy, Fault> {
    let mut out = Policy {
        gate_timeout_ms: given.gate_timeout_ms,
        liveness_ms: given.liveness_ms,
        drain_ms: given.drain_ms,
        bake_ms: given.bake_ms,
        standby_ms: given.standby_ms,
        stop_timeout_ms: given.stop_timeout_ms,
        stop_signal: policy::signal(&given.stop_signal).map_err(of_key("policy.stop_signal"))?,
        keep_releases: policy::keep_releases(given.keep_releases).map_err(of_key("policy.keep_releases"))?,
        restore_timeout_ms: given.restore_timeout_ms,
        wait_for_image_ms: given.wait_for_image_ms,
        drift: check::word(&given.drift, policy::DRIFTS).map_err(of_key("policy.drift"))?,
    };
    for time in &policy::TIMES {
        let ms = *(time.place)(&mut out);
        time.within(ms).map_err(of_key(&format!("policy.{}_ms", time.key)))?;
    }
    Ok(out)
}

fn variable(
    of: &str,
    (name, value): (String, Option<String>),
    judge: fn(&str) -> Result<String, String>,
) -> Result<(String, String), Fault> {
    check::env_name(&name).map_err(of_key(of))?;
    let key = format!("{of}.{name}");
    let value = value.ok_or_else(|| Fault::new(&*key, "null is a value that is not shown; a text is needed"))?;
    let value = judge(&value).map_err(of_key(&key))?;
    Ok((name, value))
}
