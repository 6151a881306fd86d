//! The registry: what is named, what should run, and what must be unique over all workloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use std::net::{IpAddr, Ipv4Addr};

use cutover_events::plan::Strategy;
use cutover_events::workload::{
    Access, Claim, ClaimsFreed, MountFrom, PublishedPort, Source, Spec, SpecRevised, Transport, WorkloadRegistered,
};
use cutover_events::{DeploymentId, Digest, Event, WorkloadId};

use crate::order::{self, After, circle};
use crate::secret::{SecretRefused, Vault};
use crate::strategy;

/// The fold of the stream `registry`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registry {
    /// Version of the stream.
    pub version: u64,
    /// Every workload that was ever named.
    pub workloads: BTreeMap<WorkloadId, Registered>,
    /// Who holds what.
    pub claims: BTreeMap<Claim, WorkloadId>,
    /// Whose volumes go, and after which teardown.
    pub unwanted: BTreeMap<WorkloadId, DeploymentId>,
    /// Secrets of projects.
    pub secrets: Vault,
}

/// One workload as registered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The namespace and network.
    pub project: String,
    /// The name within it.
    pub name: String,
    /// Every revision, from 1.
    pub revisions: Vec<Arc<Spec>>,
    /// Whether the newest revision wants a deployment.
    pub wanted: bool,
}

/// Why an apply is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyRejected {
    /// Another workload holds a claim.
    #[error("{claim} belongs to {holder}: remove it there first, or choose another one")]
    Claimed {
        /// What, for a person.
        claim: String,
        /// Full name of who holds it.
        holder: String,
    },
    /// Another workload of the project mounts it, and one of both wants it for itself.
    #[error(
        "{claim} is mounted by {holder}, and one of both wants it for itself: write :shared or :ro in both, or choose another one"
    )]
    NotShared {
        /// What, for a person.
        claim: String,
        /// Full name of who mounts it.
        holder: String,
    },
    /// A secret that it needs is not there.
    #[error("{workload}: {why}")]
    Secret {
        /// Full name of who needs it.
        workload: String,
        /// What is missing.
        why: SecretRefused,
    },
}

/// Why workloads cannot come after one another as they say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disorder {
    /// There is no such workload, or not any more.
    #[error("{workload} comes after {name}, which does not exist: apply it first or together, or correct the name")]
    Unknown {
        /// Full name of who comes after it.
        workload: String,
        /// Full name of what is not there.
        name: String,
    },
    /// They wait for one another.
    #[error("a circle, so none of them would ever begin: {circle}")]
    Circle {
        /// Each comes after the next.
        circle: String,
    },
}

/// What is applied.
#[derive(Clone, Debug)]
pub struct Apply {
    /// Its id: a new one, or that of the name.
    pub workload: WorkloadId,
    /// The namespace.
    pub project: String,
    /// The name within it.
    pub name: String,
    /// The whole spec, values sealed.
    pub spec: Spec,
    /// Whether a deployment is wanted when something changed.
    pub deploy: bool,
}

impl Registry {
    /// The state after one more event of the stream; events of other streams change nothing but the version.
    pub fn evolve(&mut self, event: &Event) {
        self.version += 1;
        if let Event::WorkloadRegistered(WorkloadRegistered { workload, project, name }) = event {
            let registered =
                Registered { project: project.clone(), name: name.clone(), revisions: Vec::new(), wanted: false };
            self.workloads.insert(*workload, registered);
        }
        if let Event::SpecRevised(e) = event {
            self.unwanted.remove(&e.workload);
            self.claims.extend(e.claims.iter().map(|claim| (claim.clone(), e.workload)));
            if let Some(registered) = self.workloads.get_mut(&e.workload) {
                registered.revisions.push(Arc::new(e.spec.clone()));
                registered.wanted = e.deploy;
            }
        }
        if let Event::VolumesUnwanted(e) = event {
            self.unwanted.insert(e.workload, e.deployment);
        }
        if let Event::SecretSet(e) = event {
            self.secrets.set_done(e, self.version);
        }
        if let Event::SecretRemoved(e) = event {
            self.secrets.removed(e);
        }
        if let Event::SecretRekeyed(e) = event {
            self.secrets.rekeyed(e);
        }
        if let Event::VolumesRemoved(e) = event {
            self.unwanted.remove(&e.workload);
        }
        if let Event::ClaimsFreed(e) = event {
            self.claims.retain(|claim, holder| *holder != e.workload || !e.claims.contains(claim));
        }
    }

    /// The workload of a full name.
    #[must_use]
    pub fn find(&self, project: &str, name: &str) -> Option<WorkloadId> {
        self.workloads.iter().find(|(_, w)| w.project == project && w.name == name).map(|(id, _)| *id)
    }

    /// The full name of a workload.
    #[must_use]
    pub fn full_name(&self, workload: WorkloadId) -> Option<String> {
        self.workloads.get(&workload).map(Registered::full_name)
    }

    /// A revision of a spec; revisions count from 1.
    #[must_use]
    pub fn spec(&self, workload: WorkloadId, revision: u32) -> Option<&Arc<Spec>> {
        self.workloads.get(&workload)?.revisions.get((revision as usize).checked_sub(1)?)
    }

    /// What an apply comes to: nothing, when nothing changed and every claim is held.
    ///
    /// # Errors
    /// Another workload holds a claim of the spec, or a secret that it needs is not there.
    pub fn apply(&self, apply: Apply) -> Result<Vec<Event>, ApplyRejected> {
        let needed = apply.spec.needed_secrets().map(|(name, _)| name);
        if let Err(why) = self.secrets.has(&apply.project, needed) {
            return Err(ApplyRejected::Secret { workload: format!("{}/{}", apply.project, apply.name), why });
        }
        let wanted = claims(&apply.project, &apply.name, &apply.spec);
        if let Some((claim, holder)) = self.taken(&wanted, apply.workload) {
            let same_project = holder.split_once('/').is_some_and(|(project, _)| project == apply.project);
            let (shareable, claim) = (matches!(claim, Claim::Volume { .. }), told(claim));
            return Err(if shareable && same_project {
                ApplyRejected::NotShared { claim, holder }
            } else {
                ApplyRejected::Claimed { claim, holder }
            });
        }
        let new: Vec<_> = wanted.into_iter().filter(|claim| !self.claims.contains_key(claim)).collect();
        let known = self.workloads.get(&apply.workload);
        let current = known.and_then(|registered| registered.revisions.last());
        if new.is_empty() && current.is_some_and(|spec| same(spec, &apply.spec)) {
            return Ok(Vec::new());
        }
        let revision = known.map_or(0, |registered| registered.revisions.len()) as u32 + 1;
        let workload = apply.workload;
        let mut events = Vec::new();
        if known.is_none() {
            events.push(WorkloadRegistered { workload, project: apply.project, name: apply.name }.into());
        }
        events.push(SpecRevised { workload, revision, spec: apply.spec, claims: new, deploy: apply.deploy }.into());
        Ok(events)
    }

    /// Whether what is applied together can come after what it says, with what is registered already.
    ///
    /// # Errors
    /// A name that nothing has, or a circle.
    pub fn in_order(&self, applied: &[Apply]) -> Result<(), Disorder> {
        let full = |project: &str, name: &str| format!("{project}/{name}");
        let mut after: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let held = self.workloads.values().filter(|known| self.claims.contains_key(&Claim::Name(known.full_name())));
        for known in held {
            let names = known.revisions.last().map_or(&[][..], |spec| &spec.after);
            after.insert(known.full_name(), names.iter().map(|name| full(&known.project, name)).collect());
        }
        for apply in applied {
            let names = apply.spec.after.iter().map(|name| full(&apply.project, name));
            after.insert(full(&apply.project, &apply.name), names.collect());
        }
        for apply in applied {
            let workload = full(&apply.project, &apply.name);
            let missing = after.get(&workload).and_then(|names| names.iter().find(|name| !after.contains_key(*name)));
            if let Some(name) = missing.cloned() {
                return Err(Disorder::Unknown { workload, name });
            }
        }
        let edges: After<'_> = after.iter().map(|(name, all)| (name.as_str(), &all[..])).collect();
        circle(&edges).map_or(Ok(()), |found| Err(Disorder::Circle { circle: order::told(&found) }))
    }

    fn taken<'a>(&self, wanted: &'a [Claim], workload: WorkloadId) -> Option<(&'a Claim, String)> {
        wanted.iter().find_map(|claim| {
            let holder = self.holders(claim).find(|holder| **holder != workload)?;
            Some((claim, self.full_name(*holder).unwrap_or_default()))
        })
    }

    /// Who holds what contradicts a claim.
    fn holders<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = &'a WorkloadId> {
        let least = match claim {
            Claim::Name(_) | Claim::Route { .. } | Claim::Stack(_) => claim.clone(),
            Claim::Volume { .. } => Claim::Volume {
                name: String::new(),
                project: String::new(),
                by: String::new(),
                access: Access::Exclusive,
            },
            Claim::Port { .. } => {
                Claim::Port { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0, transport: Transport::Tcp }
            }
        };
        // Claims are in the order of their kinds: names, routes and stacks are found by themselves, the few volumes and ports
        // are gone through.
        let kind = std::mem::discriminant(claim);
        let exact = matches!(claim, Claim::Name(_) | Claim::Route { .. } | Claim::Stack(_));
        let of_kind = self
            .claims
            .range(least..)
            .take_while(move |(held, _)| if exact { *held == claim } else { std::mem::discriminant(*held) == kind });
        of_kind.filter(move |(held, _)| clash(held, claim)).map(|(_, holder)| holder)
    }

    /// Whether a workload holds a port of the host, or one that contradicts it.
    #[must_use]
    pub fn holds_port(&self, workload: WorkloadId, port: &PublishedPort) -> bool {
        let claim = port_claim(port);
        self.holders(&claim).any(|holder| *holder == workload)
    }

    /// Whether a workload other than this one mounts a volume.
    #[must_use]
    pub fn mounted_by_others(&self, workload: WorkloadId, volume: &str) -> bool {
        let mounts = |claim: &Claim| matches!(claim, Claim::Volume { name, .. } if name == volume);
        self.claims.iter().any(|(claim, holder)| *holder != workload && mounts(claim))
    }

    /// Full names of the workloads of a project whose newest spec needs a secret; those that are torn down need nothing.
    #[must_use]
    pub fn users(&self, project: &str, secret: &str) -> Vec<(WorkloadId, String)> {
        let needs = |known: &Registered| {
            let spec = known.revisions.last();
            known.project == project && spec.is_some_and(|spec| spec.needed_secrets().any(|(name, _)| name == secret))
        };
        let holds = |known: &Registered| self.claims.contains_key(&Claim::Name(known.full_name()));
        let users = self.workloads.iter().filter(|(_, known)| needs(known) && holds(known));
        users.map(|(id, known)| (*id, known.full_name())).collect()
    }

    /// Frees what a workload holds beyond `needed`: the claims of every revision that a release of it still uses.
    #[must_use]
    pub fn free(&self, workload: WorkloadId, needed: &[Claim]) -> Option<ClaimsFreed> {
        let held = self.claims.iter().filter(|(_, holder)| **holder == workload).map(|(claim, _)| claim);
        let claims: Vec<_> = held.filter(|claim| !needed.contains(claim)).cloned().collect();
        (!claims.is_empty()).then_some(ClaimsFreed { workload, claims })
    }
}

impl Registered {
    /// `project/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }

    /// The newest revision, from 1; 0 before the first.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revisions.len() as u32
    }
}

/// Everything that a spec claims.
#[must_use]
pub fn claims(project: &str, name: &str, spec: &Spec) -> Vec<Claim> {
    let routes = spec.routes.iter().map(|route| Claim::Route { host: route.host.clone(), path: route.path.clone() });
    let full_name = format!("{project}/{name}");
    let volume = |mount: &cutover_events::workload::Mount| Claim::Volume {
        name: match &mount.from {
            MountFrom::Volume(name) | MountFrom::Folder(name) => name.clone(),
        },
        project: project.to_owned(),
        by: full_name.clone(),
        access: mount.access,
    };
    // One volume may be mounted on several targets.
    let mut volumes: Vec<Claim> = spec.mounted().map(volume).collect();
    volumes.sort();
    volumes.dedup();
    let ports = spec.ports.iter().map(port_claim);
    let stack = match &spec.source {
        Source::Compose(stack) if !stack.project_name.is_empty() => Some(Claim::Stack(stack.project_name.clone())),
        Source::Compose(_) | Source::Image(_) | Source::Dockerfile(_) | Source::Static(_) => None,
    };
    let first = std::iter::once(Claim::Name(full_name.clone()));
    first.chain(routes).chain(volumes).chain(ports).chain(stack).collect()
}

fn port_claim(port: &PublishedPort) -> Claim {
    Claim::Port { address: port.address, port: port.host, transport: port.transport }
}

/// Whether never two containers of a spec run at the same time: it is recreated, for whatever reason.
#[must_use]
pub fn alone(spec: &Spec) -> bool {
    strategy::effective(spec).strategy == Strategy::Recreate
}

/// Whether two published ports cannot both be had: the same number and transport, on the same address, or on all
/// addresses for one of them.
#[must_use]
pub fn same_port(a: &PublishedPort, b: &PublishedPort) -> bool {
    clash(&port_claim(a), &port_claim(b))
}

/// Whether two workloads cannot both hold these claims.
///
/// A volume belongs to one project, and within it to one workload unless both leave it to others too. A folder of the
/// host, whose name is a path, may be read or shared by all, but nobody has it, or what is below it, for itself beside
/// another.
#[must_use]
pub fn clash(a: &Claim, b: &Claim) -> bool {
    match (a, b) {
        (
            Claim::Volume { name, project, access, by },
            Claim::Volume { name: other, project: of, access: other_access, by: other_by },
        ) => {
            let alone = *access == Access::Exclusive || *other_access == Access::Exclusive;
            let folder = name.starts_with('/');
            let meet = if folder { nested(name, other) } else { name == other };
            meet && by != other_by && (alone || (!folder && project != of))
        }
        (Claim::Port { address, port, transport }, Claim::Port { address: other, port: number, transport: spoken }) => {
            let meet = address == other || address.is_unspecified() || other.is_unspecified();
            port == number && transport == spoken && meet
        }
        (Claim::Name(_) | Claim::Route { .. } | Claim::Volume { .. } | Claim::Port { .. } | Claim::Stack(_), _) => {
            a == b
        }
    }
}

/// Whether one of two paths is the other, or lies below it.
fn nested(a: &str, b: &str) -> bool {
    let below = |path: &str, folder: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    below(a, b) || below(b, a)
}

/// Whether two specs wish the same: sealed values are compared by their keyed hash.
#[must_use]
pub fn same(a: &Spec, b: &Spec) -> bool {
    unsealed(a) == unsealed(b)
}

/// A spec without the places of its sealed values: the same value may be sealed twice.
fn unsealed(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    let none = Digest::default();
    spec.env.iter_mut().for_each(|variable| variable.sealed = none);
    match &mut spec.source {
        Source::Dockerfile(build) => build.args.iter_mut().for_each(|variable| variable.sealed = none),
        Source::Compose(stack) => stack.text.iter_mut().for_each(|text| text.sealed = none),
        Source::Image(_) | Source::Static(_) => {}
    }
    spec
}

/// A published port for a person.
#[must_use]
pub fn told_port(port: &PublishedPort) -> String {
    told(&port_claim(port))
}

/// A claim for a person.
#[must_use]
pub fn told(claim: &Claim) -> String {
    match claim {
        Claim::Volume { name, .. } if name.starts_with('/') => format!("the folder {name}"),
        Claim::Volume { name, .. } => format!("the volume {name}"),
        Claim::Port { address, port, transport } => {
            let transport = match transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            };
            format!("the port {}/{transport}", std::net::SocketAddr::new(*address, *port))
        }
        Claim::Name(name) => format!("the name {name}"),
        Claim::Route { host, path } if path == "/" => format!("the host {host}"),
        Claim::Route { host, path } => format!("the route {host}{path}"),
        Claim::Stack(name) => format!("the compose project {name}"),
    }
}

#[cfg(test)]
mod tests {
    use cutover_events::workload::{SpecRevised, VolumesRemoved, VolumesUnwanted};

    use super::*;
    use crate::file;

    const A: WorkloadId = WorkloadId([1; 16]);
    const B: WorkloadId = WorkloadId([2; 16]);

    fn apply(id: WorkloadId, full_name: &str, lines: &str) -> Apply {
        let (project, name) = full_name.split_once('/').unwrap();
        let text = format!("project = \"{project}\"\n[workloads.{name}]\nimage = \"x\"\n{lines}\n");
        let spec = file::read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0).spec;
        Apply { workload: id, project: project.into(), name: name.into(), spec, deploy: true }
    }

    /// A registry in which `shop/a` has these lines.
    fn held(lines: &str) -> Registry {
        let mut registry = Registry::default();
        for event in registry.apply(apply(A, "shop/a", lines)).unwrap() {
            registry.evolve(&event);
        }
        registry
    }

    #[test]
    fn volumes_and_ports_belong_to_one() {
        let refused = [
            ("volumes = [\"v:/v\"]", "shop/b", "volumes = [\"v:/v\"]", "the volume v is mounted by shop/a"),
            ("volumes = [\"v:/v\"]", "shop/b", "volumes = [\"v:/v:ro\"]", ":shared"),
            ("volumes = [\"v:/v:shared\"]", "shop/b", "volumes = [\"v:/v\"]", ":shared"),
            ("volumes = [\"v:/v:shared\"]", "else/b", "volumes = [\"v:/v:shared\"]", "the volume v belongs to shop/a"),
            ("volumes = [\"v:/v:ro\"]", "else/b", "volumes = [\"v:/v:ro\"]", "belongs to shop/a"),
            ("volumes = [\"/s/a:/v\"]", "shop/b", "volumes = [\"/s/a/b:/v:shared\"]", "the folder /s/a/b"),
            ("volumes = [\"/s/a/b:/v:shared\"]", "else/b", "volumes = [\"/s/a:/v\"]", "the folder /s/a"),
            ("ports = [\"1:1\"]", "shop/b", "ports = [\"1:2\"]", "the port 127.0.0.1:1/tcp belongs to shop/a"),
            ("ports = [\"1:1\"]", "else/b", "ports = [\"0.0.0.0:1:2\"]", "shop/a"),
            ("ports = [\"[::]:1:1\"]", "else/b", "ports = [\"1:2\"]", "shop/a"),
        ];
        for (before, name, lines, word) in refused {
            let bad = held(before).apply(apply(B, name, lines)).expect_err(lines).to_string();
            assert!(bad.contains(word), "{before}, {lines}: {bad}");
        }
        let taken = [
            ("volumes = [\"v:/v:shared\"]", "shop/b", "volumes = [\"v:/v:ro\"]"),
            ("volumes = [\"v:/v\"]", "else/b", "volumes = [\"w:/v\"]"),
            ("volumes = [\"/s/a:/v:ro\"]", "else/b", "volumes = [\"/s/a:/v:shared\"]"),
            ("volumes = [\"/s/a:/v\"]", "shop/b", "volumes = [\"/s/ab:/v\"]"),
            ("ports = [\"1:1\"]", "shop/b", "ports = [\"1:1/udp\", \"2:1\", \"127.0.0.2:1:1\", \"[::1]:1:1\"]"),
        ];
        for (before, name, lines) in taken {
            assert_eq!(
                held(before).apply(apply(B, name, lines)).map(|events| events.len()),
                Ok(2),
                "{before}, {lines}"
            );
        }
    }

    #[test]
    fn what_comes_after_another_finds_it_and_never_itself() {
        let registry = held("after = [\"b\"]");
        let told = |applied: &[Apply]| registry.in_order(applied).map_err(|why| why.to_string());
        assert_eq!(told(&[apply(B, "shop/b", "")]), Ok(()));
        let circle = told(&[apply(B, "shop/b", "after = [\"a\"]")]).unwrap_err();
        assert!(circle.contains("shop/a comes after shop/b comes after shop/a"), "{circle}");
        let unknown = told(&[apply(B, "shop/b", "after = [\"db\"]")]).unwrap_err();
        assert!(unknown.starts_with("shop/b comes after shop/db, which does not exist"), "{unknown}");
        let elsewhere = told(&[apply(B, "else/b", "after = [\"a\"]")]).unwrap_err();
        assert!(elsewhere.contains("else/a"), "{elsewhere}");
        let (x, y) = (WorkloadId([3; 16]), WorkloadId([4; 16]));
        let both = [apply(x, "shop/x", "after = [\"y\", \"a\"]"), apply(y, "shop/y", "")];
        assert_eq!(told(&both), Ok(()), "the order within one apply does not matter");
        let mut gone = registry.clone();
        gone.claims.clear();
        assert!(gone.in_order(&[apply(B, "shop/b", "after = [\"a\"]")]).is_err(), "what is torn down is not there");
    }

    #[test]
    fn a_workload_is_never_in_its_own_way() {
        let registry = held("volumes = [\"v:/v\"]\nports = [\"1:1\"]");
        let wider = apply(A, "shop/a", "volumes = [\"v:/v:shared\"]\nports = [\"0.0.0.0:1:1\"]");
        assert_eq!(registry.apply(wider).map(|events| events.len()), Ok(1));
        let port = |host| file::read("f", format!("[workloads.x]\nimage = \"x\"\nports = [\"{host}:1\"]").as_bytes());
        let port = |host: u16| port(host).unwrap().remove(0).spec.ports[0];
        assert!(
            registry.holds_port(A, &port(1)) && !registry.holds_port(A, &port(2)) && !registry.holds_port(B, &port(1))
        );
        assert!(registry.mounted_by_others(B, "v") && !registry.mounted_by_others(A, "v"));
    }

    #[test]
    fn volumes_are_unwanted_until_they_are_gone_or_the_workload_comes_back() {
        let mut registry = held("volumes = [\"v:/v\"]");
        let deployment = DeploymentId([3; 16]);
        registry.evolve(&VolumesUnwanted { workload: A, deployment }.into());
        assert_eq!(registry.unwanted.get(&A), Some(&deployment));
        let mut back = registry.clone();
        let spec = apply(A, "shop/a", "").spec;
        back.evolve(&SpecRevised { workload: A, revision: 2, spec, claims: Vec::new(), deploy: true }.into());
        registry.evolve(&VolumesRemoved { workload: A, volumes: Vec::new() }.into());
        assert!(registry.unwanted.is_empty() && back.unwanted.is_empty());
    }
}
