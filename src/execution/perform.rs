//! Effects: each is one call or two, may be repeated, and is addressed to the Docker id that was seen.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::deployment;
use cutover_domain::observed::{Class, DockerId, Effect, Restart, Targets};
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::deployment::{ReasonKind, Wish};
use cutover_events::plan::{Former, Plan};
use cutover_events::workload::{Check, Mount, MountFrom};
use cutover_events::{UnitId, WorkloadId};
use cutover_proxy::wire;

use super::Execution;
use super::lane::Lane;
use super::look::own_name;
use crate::adapters::host::FolderRefused;
use crate::adapters::router::RouterError;
use crate::adapters::runtime::{CreateContainer, Renewal, RuntimeError, Witness, gateway, host_resolvers};
use crate::crash;

/// The last output of a container that failed: this much of it is kept, bytes.
const OUTPUT_BYTES: usize = 16 * 1024;
/// For a removal whose plan is no longer known, ms: Docker's own default.
const STOP_MS: u64 = 10_000;
/// How long a start counts among the effects that run at once, ms: Docker takes less for a container.
const START_TURN_MS: u64 = 10_000;
/// The router's probe of a port, ms.
const PORT_PROBE_MS: u64 = 1_000;

/// What becomes of the volumes that a unit has by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OwnVolumes {
    Kept,
    /// A person tears the workload down with them.
    GivenUp,
}

/// Why an effect did not happen.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) class: Class,
    pub(super) kind: ReasonKind,
    pub(super) text: String,
}

impl From<RuntimeError> for Failed {
    fn from(error: RuntimeError) -> Self {
        let (class, kind) = match &error {
            RuntimeError::Unavailable(_) | RuntimeError::Busy(_) => (Class::Transient, ReasonKind::Unavailable),
            RuntimeError::ImageMissing(_) => (Class::Permanent, ReasonKind::ImageMissing),
            RuntimeError::NotPushed(_) => (Class::NotYet, ReasonKind::ImageMissing),
            RuntimeError::NotFound(_) => (Class::Transient, ReasonKind::Vanished),
            RuntimeError::Refused(_) | RuntimeError::NameTaken(_) => (Class::Permanent, ReasonKind::Refused),
        };
        Self { class, kind, text: error.to_string() }
    }
}

impl From<RouterError> for Failed {
    fn from(error: RouterError) -> Self {
        use wire::RefusedCode as Code;
        let (class, kind) = match &error {
            RouterError::Unavailable(_) => (Class::Transient, ReasonKind::Unavailable),
            RouterError::Refused(refused) => match refused.code {
                Code::Probe => (Class::ProbeRefused, ReasonKind::NotReady),
                Code::Disk | Code::RouterBoot | Code::Generation => (Class::Transient, ReasonKind::Unavailable),
                Code::WriterEpoch | Code::OtherLog | Code::Claimed | Code::Invalid => {
                    (Class::Permanent, ReasonKind::Refused)
                }
            },
        };
        Self { class, kind, text: error.to_string() }
    }
}

impl Execution {
    pub(super) async fn perform(
        self: &Arc<Self>,
        lane: &mut Lane,
        state: &Workload,
        effect: Effect,
    ) -> Result<(), Failed> {
        if let Effect::Remove(unit, id) = effect {
            self.remove(lane, state, (unit, id));
            return Ok(());
        }
        if let Effect::Start(unit, id) = effect {
            self.start(lane, (unit, id));
            return Ok(());
        }
        let _permit =
            self.effects.acquire().await.map_err(|_| Failed::for_good(ReasonKind::Unavailable, "the engine ends"))?;
        let point = crash::before(|| crash::effect(&effect));
        let done = match effect {
            Effect::Create(unit) => self.create(lane, state, unit).await,
            Effect::SetRestart(_, id, restart) => Ok(self.runtime.set_restart(id, restart).await?),
            Effect::Unpause(_, id) => Ok(self.runtime.unpause(id).await?),
            Effect::Rename(unit, id) => self.rename(lane, state, (unit, id)).await,
            Effect::SetLimits(unit, id) => match state.plan_with(unit) {
                Some(plan) => Ok(self.runtime.set_limits(id, plan.part(unit).limits).await?),
                None => Ok(()),
            },
            Effect::Capture(unit, id) => self.capture(lane, unit, id).await,
            Effect::Put { to, generation } => self.put(lane, state, (to, generation)).await,
            Effect::Fence { generation } => self.fence(lane, generation).await,
            Effect::Start(..) | Effect::Remove(..) | Effect::Plan(_) | Effect::Resolve(_) => Ok(()),
        };
        point.after();
        done
    }

    /// Its own name back, which is reserved for it.
    async fn rename(&self, lane: &Lane, state: &Workload, (unit, id): (UnitId, DockerId)) -> Result<(), Failed> {
        let container = lane.sight.containers.iter().find(|container| container.id == id);
        let (Some(container), Some(plan)) = (container, state.plan_with(unit)) else { return Ok(()) };
        Ok(self.runtime.rename(id, &own_name(plan, container)).await?)
    }

    async fn create(&self, lane: &Lane, state: &Workload, unit: UnitId) -> Result<(), Failed> {
        let (Some(open), Some(plan)) = (&state.open, state.plan_of(unit)) else { return Ok(()) };
        let (Some(planned), Some(release)) = (plan.unit(unit), plan.release) else { return Ok(()) };
        self.image_here((lane.id, state), plan).await?;
        let witness = lane.cell.planned();
        let env = self.environment(lane.id, plan)?;
        let mut mounts = self.mounts(plan.mounts(unit).cloned().collect()).await?;
        mounts.extend(self.given_files((lane.id, unit), plan).await?);
        let part = plan.part(unit);
        let container = CreateContainer {
            name: planned.name.clone(),
            unit,
            workload: lane.id,
            full_name: self.full_name(lane.id),
            release,
            deployment: open.id(),
            witness: Witness { position: witness.position, chain: witness.chain },
            image: plan.template.image.clone(),
            network: plan.template.network.clone(),
            address: planned.address,
            alias: Some(part.alias.to_owned()).filter(|alias| !alias.is_empty()),
            mounts,
            ports: part.ports.to_vec(),
            dns: self.dns(plan),
            env,
            command: part.command.map(<[String]>::to_vec),
            limits: part.limits,
            hardening: plan.template.hardening,
            stop_signal: plan.policy.stop_signal,
            renewal: if open.intent.wish == Wish::Restart { Renewal::All } else { Renewal::Changed },
        };
        self.runtime.create(self.log, &container).await?;
        Ok(())
    }

    /// What is mounted, with the real paths of folders: they are judged again, because links can have moved since the
    /// apply.
    pub(super) async fn mounts(&self, mounts: Vec<Mount>) -> Result<Vec<Mount>, Failed> {
        let host = self.host.clone();
        let real = move |mount: Mount| match &mount.from {
            MountFrom::Volume(_) => Ok(mount),
            MountFrom::Folder(path) => {
                let found = host.folder(Path::new(path))?;
                Ok(Mount { from: MountFrom::Folder(found.to_string_lossy().into_owned()), ..mount })
            }
        };
        let judged = tokio::task::spawn_blocking(move || mounts.into_iter().map(real).collect::<Result<_, _>>()).await;
        match judged {
            Ok(judged) => judged.map_err(|why: FolderRefused| Failed::for_good(ReasonKind::Refused, why.to_string())),
            Err(_) => Err(Failed::for_good(ReasonKind::Unavailable, "the engine ends")),
        }
    }

    /// The gateway of the project's network, where the proxy answers names, then the host's resolvers.
    pub(super) fn dns(&self, plan: &Plan) -> Vec<Ipv4Addr> {
        let gateway = self.gateway(plan).map(|(address, _)| address);
        gateway.into_iter().chain(host_resolvers()).collect()
    }

    /// The host's end of the network that the plan's containers are on, and the bits of its prefix.
    fn gateway(&self, plan: &Plan) -> Option<(Ipv4Addr, u8)> {
        let engine = self.commands.live().engine();
        let made = engine.networks.values().find(|made| made.network == plan.template.network)?;
        gateway(&made.subnet)
    }

    /// What the others of its project find the workload by, also while nothing of it serves: its name alone, because one
    /// with a dot could be somebody's outside. A teardown's plan is on no network, and takes the name away.
    fn names(&self, workload: WorkloadId, plan: &Plan) -> Option<wire::Names> {
        let registry = self.commands.live().registry();
        let name = registry.workloads.get(&workload)?.name.clone();
        let (gateway, prefix) = self.gateway(plan)?;
        Some(wire::Names { gateway, prefix, names: vec![name] })
    }

    /// An image that was pruned meanwhile is fetched again by its digest.
    async fn image_here(&self, (id, state): (WorkloadId, &Workload), plan: &Plan) -> Result<(), Failed> {
        if self.runtime.has_image(&plan.template.image).await? {
            return Ok(());
        }
        let release = plan.release.and_then(|release| state.release(release));
        match release.map(|release| release.repo_digest.to_string()).filter(|digest| !digest.is_empty()) {
            Some(digest) => self.fetched_again((id, plan), &digest).await,
            None => Err(Failed::for_good(
                ReasonKind::ImageMissing,
                "the image of this release was made on this machine and is gone: build it again and deploy",
            )),
        }
    }

    async fn capture(&self, lane: &mut Lane, unit: UnitId, id: DockerId) -> Result<(), Failed> {
        let text = match self.runtime.output(id, OUTPUT_BYTES).await {
            Ok(text) => self.redactor(lane.id).text(&text),
            Err(error) => format!("(its output cannot be read: {error})"),
        };
        if let Err(error) = self.outputs.keep(unit, &text) {
            tracing::warn!(%unit, %error, "the last output cannot be kept");
        }
        lane.sight.observed.answers.captured.push(unit);
        Ok(())
    }

    /// Beside the lane, which goes on looking: a stack pulls its images meanwhile. What takes longer than a container does
    /// lets others have its turn.
    fn start(self: &Arc<Self>, lane: &mut Lane, (unit, id): (UnitId, DockerId)) {
        let (shell, effect) = (self.clone(), Effect::Start(unit, id));
        lane.sight.observed.answers.under_way.push(unit);
        lane.sight.removals.spawn(async move {
            let permit = shell.effects.acquire().await;
            let point = crash::before(|| crash::effect(&effect));
            let starting = shell.runtime.start(id);
            tokio::pin!(starting);
            let done = match tokio::time::timeout(Duration::from_millis(START_TURN_MS), &mut starting).await {
                Ok(done) => done,
                Err(_) => {
                    drop(permit);
                    starting.await
                }
            };
            point.after();
            (unit, effect, done.map_err(Failed::from))
        });
    }

    /// Policy `no`, stop, remove: beside the lane, because a container may take its whole grace to end.
    fn remove(self: &Arc<Self>, lane: &mut Lane, state: &Workload, (unit, id): (UnitId, DockerId)) {
        let planned = state.plan_of(unit).map(|plan| plan.policy.stop_timeout_ms);
        let grace = state.grace(unit).or(planned).unwrap_or(STOP_MS);
        let shell = self.clone();
        let teardown = if let Teardown::Removing(teardown) = state.teardown { Some(teardown) } else { None };
        let unwanted =
            teardown.is_some() && self.commands.live().registry().unwanted.get(&lane.id) == teardown.as_ref();
        let volumes = if unwanted { OwnVolumes::GivenUp } else { OwnVolumes::Kept };
        lane.sight.observed.answers.under_way.push(unit);
        lane.sight.removals.spawn(async move {
            (unit, Effect::Remove(unit, id), shell.take_away((unit, id), volumes, Duration::from_millis(grace)).await)
        });
    }

    async fn take_away(
        &self,
        (unit, id): (UnitId, DockerId),
        volumes: OwnVolumes,
        grace: Duration,
    ) -> Result<(), Failed> {
        let [policy, stop, remove] = crash::REMOVAL;
        if volumes == OwnVolumes::GivenUp {
            self.runtime.give_up_volumes(id).await?;
        }
        let point = crash::before(|| policy.into());
        match self.runtime.set_restart(id, Restart::No).await {
            Ok(()) | Err(RuntimeError::NotFound(_) | RuntimeError::Refused(_)) => point.after(),
            Err(error) => return Err(error.into()),
        }
        let point = crash::before(|| stop.into());
        self.runtime.stop(id, grace).await?;
        point.after();
        self.take_back(unit);
        let point = crash::before(|| remove.into());
        self.runtime.remove(id).await?;
        point.after();
        Ok(())
    }

    async fn put(&self, lane: &Lane, state: &Workload, (to, generation): (Targets, u64)) -> Result<(), Failed> {
        let Some(table) = &lane.sight.table else { return Ok(()) };
        let units = deployment::targets(state, to);
        let plan = plan_of(state, to, units);
        let target = |unit: &UnitId| Some(wire::Target { unit: unit.to_string(), place: lane.sight.place(*unit)? });
        let found: Option<Vec<_>> = units.iter().map(target).collect();
        let Some(targets) = found else {
            return Err(Failed {
                class: Class::ProbeRefused,
                kind: ReasonKind::Vanished,
                text: "a target is nowhere: it does not run".into(),
            });
        };
        let routes = match plan.filter(|_| to != Targets::Nothing) {
            Some(plan) => routes(plan, lane, units)?,
            None => Vec::new(),
        };
        let head = self.commands.log().head();
        let put = wire::Put {
            workload: lane.id.to_string(),
            name: self.full_name(lane.id),
            log: self.log.to_string(),
            generation,
            router_boot: table.router_boot.clone(),
            writer_epoch: self.epoch,
            witness: wire::Witness { position: head.position, chain: head.chain.to_string() },
            routes,
            targets,
            former: plan.filter(|_| !units.is_empty()).map(|plan| self.former(plan)).unwrap_or_default(),
            probe: plan.filter(|_| !units.is_empty()).and_then(probe),
            names: plan.and_then(|plan| self.names(lane.id, plan)),
            policy: wire::RoutePolicy { drain_ms: plan.map_or(0, |plan| plan.policy.drain_ms), half_close: false },
        };
        Ok(self.router.put(&put).await?)
    }

    /// The release folders from before whose files are still answered.
    fn former(&self, plan: &Plan) -> Vec<wire::Former> {
        let now_ms = self.clock.stamp().wall_ms;
        let one = |former: &Former| {
            let for_ms = former.until_ms.checked_sub(now_ms)?;
            Some(wire::Former { folder: self.runtime.folder(&former.image)?, for_ms })
        };
        plan.template.former.iter().filter_map(one).collect()
    }

    async fn fence(&self, lane: &Lane, generation: u64) -> Result<(), Failed> {
        let Some(table) = &lane.sight.table else { return Ok(()) };
        let fence = wire::Fence {
            workload: lane.id.to_string(),
            log: self.log.to_string(),
            generation,
            router_boot: table.router_boot.clone(),
            writer_epoch: self.epoch,
        };
        Ok(self.router.fence(&fence).await?)
    }
}

/// The plan whose routes, probe and policy a route write carries: that of the slot which it leads to.
fn plan_of<'a>(state: &'a Workload, to: Targets, units: &[UnitId]) -> Option<&'a Plan> {
    let green = state.open.as_ref().and_then(|open| open.plan.as_deref());
    let active = state.active.as_ref().map(|slot| &*slot.plan);
    let was = state.open.as_ref().and_then(|open| open.was.as_ref()).map(|slot| &*slot.plan);
    match to {
        Targets::Nothing | Targets::Green => green.or(active),
        Targets::Held => was.or(green),
        Targets::Blue => active,
        Targets::Active => {
            green.filter(|plan| !units.is_empty() && units.iter().all(|unit| plan.slot.contains(unit))).or(active)
        }
    }
}

/// The routes of a plan. Where they lead to several services of a unit, each says where its own is.
fn routes(plan: &Plan, lane: &Lane, units: &[UnitId]) -> Result<Vec<wire::Route>, Failed> {
    let container = lane.sight.containers.iter().find(|container| units.contains(&container.unit));
    let services = container.map_or(&[][..], |container| &container.services);
    let route = |route: &cutover_events::workload::Route| {
        let service = services.iter().find(|service| service.name == route.service);
        let address = service.and_then(|service| service.address);
        if address.is_none() && !services.is_empty() {
            return Err(Failed {
                class: Class::ProbeRefused,
                kind: ReasonKind::Vanished,
                text: format!("the service {} of the stack is nowhere: it does not run", route.service),
            });
        }
        Ok(wire::Route {
            host: route.host.clone(),
            path: route.path.clone(),
            port: route.port,
            strip: route.strip,
            address: address.map(Into::into),
        })
    };
    plan.routes.iter().map(route).collect()
}

fn probe(plan: &Plan) -> Option<wire::Probe> {
    let port = |port, timeout_ms| wire::Probe { port, path: None, host: String::new(), low: 0, high: 0, timeout_ms };
    match &plan.health {
        None => plan.template.port.map(|number| port(number, PORT_PROBE_MS)),
        Some(health) => match &health.check {
            Check::Tcp => Some(port(health.port, u64::from(health.timeout_ms))),
            Check::Http { path, host, low, high } => Some(wire::Probe {
                port: health.port,
                path: Some(path.clone()),
                host: host.clone(),
                low: *low,
                high: *high,
                timeout_ms: u64::from(health.timeout_ms),
            }),
        },
    }
}
