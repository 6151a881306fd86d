//! What a plan needs from outside: the release, the spec, the network and addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use cutover_domain::deployment::{Aim, Command, aim};
use cutover_domain::observed::Class;
use cutover_domain::plan::{Ask, Ids, ask, former, lint, networked, plan, restore};
use cutover_domain::secret::Vault;
use cutover_domain::strategy::chosen;
use cutover_domain::workload::{Open, Workload};
use cutover_events::deployment::ReasonKind;
use cutover_events::engine::NetworkMade;
use cutover_events::plan::{Plan, Template};
use cutover_events::secret::{SecretUse, SecretUsed};
use cutover_events::workload::SourceKind;
use cutover_events::{Cause, Event, UnitId, WorkloadId};
use cutover_proxy::wire::{Place, TargetStatus};

use super::Execution;
use super::lane::Lane;
use super::perform::Failed;
use super::secrets::{kept, recorded};
use crate::adapters::runtime::{Network, assignable};
use crate::commands::{By, Error};
use crate::crash;

/// The range of what is on no network: it has no address.
const NOWHERE: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);

impl Execution {
    /// The command that plans the open deployment, or first names the release that it makes current.
    pub(super) async fn plan(&self, lane: &Lane, state: &Workload) -> Result<Command, Failed> {
        let Some(open) = &state.open else { return Err(moved_on()) };
        let release = match aim(state, open) {
            Aim::Nothing => return Ok(self.teardown(lane, state, open)),
            Aim::Anew(resolved) => return Ok(Command::Resolved(*resolved)),
            Aim::Release(release) => release,
            Aim::Missing => {
                return Err(Failed::for_good(ReasonKind::NoRelease, "there is no release to make current"));
            }
        };
        let registry = self.commands.live().registry();
        let (Some(spec), Some(registered)) =
            (registry.spec(lane.id, release.revision), registry.workloads.get(&lane.id))
        else {
            return Err(Failed::for_good(ReasonKind::NoPlan, "the spec revision of the release is not in the log"));
        };
        let (network, range) = match networked(spec) {
            true => {
                let network = self.network(&registered.project).await?;
                (network.id.clone(), range(&network)?)
            }
            false => (String::new(), NOWHERE),
        };
        let secrets = registry.secrets.chosen(&registered.project, &recorded(spec), kept(state));
        let secrets = secrets.map_err(|why| Failed::for_good(ReasonKind::NoPlan, why.to_string()))?;
        let running = state.active.as_ref().map(|slot| &*slot.plan);
        let former = former(running, (spec, &release.image), self.clock.stamp().wall_ms);
        let ask = ask((registered.full_name(), release), spec, &network, former, secrets);
        let mut ids = Minted::on(self, lane, range);
        let made = plan(state, ask, &lane.sight.observed, &mut ids);
        self.checked(open, made, ids)
    }

    fn checked(&self, open: &Open, made: Plan, ids: Minted<'_>) -> Result<Command, Failed> {
        let broken = lint(&made);
        if broken.is_empty() && !ids.exhausted {
            return Ok(Command::Planned(open.id(), Box::new(made)));
        }
        for unit in &ids.units {
            self.commands.live().with_addresses(|book| book.give_back(*unit));
        }
        let text = match broken.first() {
            _ if ids.exhausted => "no address is left on the project's network".into(),
            Some(violation) => format!("the plan is not sound ({}): please report this", violation.0),
            None => String::new(),
        };
        Err(Failed::for_good(ReasonKind::NoPlan, text))
    }

    fn teardown(&self, lane: &Lane, state: &Workload, open: &Open) -> Command {
        let policy = state.active.as_ref().map_or_else(Default::default, |slot| slot.plan.policy);
        let ask = Ask {
            release: None,
            full_name: self.full_name(lane.id),
            choice: chosen(None, SourceKind::Image),
            template: Template::default(),
            routes: Vec::new(),
            health: None,
            policy,
            replicas: 0,
            processes: Vec::new(),
            after: Vec::new(),
            release_command: None,
        };
        let mut ids = Minted::on(self, lane, NOWHERE);
        Command::Planned(open.id(), Box::new(plan(state, ask, &lane.sight.observed, &mut ids)))
    }

    /// The command that brings back what the open deployment has taken away.
    pub(super) async fn restore(&self, lane: &Lane, state: &Workload) -> Result<Command, Failed> {
        let Some(open) = &state.open else { return Err(moved_on()) };
        let project = self.project(lane.id);
        // Somebody may have removed the network that the former containers were on; what was on none needs none.
        let was_on_one = open.was.as_ref().is_some_and(|was| !was.plan.template.network.is_empty());
        let (network, range) = match was_on_one {
            true => {
                let network = self.network(&project).await?;
                (network.id.clone(), range(&network)?)
            }
            false => (String::new(), NOWHERE),
        };
        let mut ids = Minted::on(self, lane, range);
        let mut made = restore(state, &self.full_name(lane.id), &mut ids).ok_or_else(moved_on)?;
        made.template.network = network;
        let vault = &self.commands.live().registry().secrets;
        made.template.secrets = again(vault, &project, &made.template.secrets)?;
        match self.checked(open, made, ids)? {
            Command::Planned(id, plan) => Ok(Command::Restore(id, plan)),
            other => Ok(other),
        }
    }

    /// The network of a project, recorded when it is new.
    async fn network(&self, project: &str) -> Result<Network, Failed> {
        let point = crash::before(|| "EnsureNetwork".into());
        let network = self.runtime.ensure_network(self.log, project).await?;
        point.after();
        let made = NetworkMade { project: project.into(), network: network.id.clone(), subnet: network.subnet.clone() };
        let known = |engine: &cutover_domain::engine::Engine| engine.networks.get(project) == Some(&made);
        let by = By::engine(Cause::Engine);
        let recorded = self.commands.engine(by, |engine| {
            Ok::<Vec<Event>, Error>(if known(engine) { Vec::new() } else { vec![made.clone().into()] })
        });
        recorded.await.map_err(|error| Failed {
            class: Class::Transient,
            kind: ReasonKind::Unavailable,
            text: error.to_string(),
        })?;
        Ok(network)
    }
}

/// The versions that ran before; the newest one where that is kept no longer.
fn again(vault: &Vault, project: &str, before: &[SecretUsed]) -> Result<Vec<SecretUsed>, Failed> {
    let needed: Vec<_> = before.iter().map(|used| SecretUse { name: used.name.clone(), way: used.way }).collect();
    let chosen = vault.chosen(project, &needed, before);
    chosen.map_err(|why| Failed::for_good(ReasonKind::NoPlan, why.to_string()))
}

fn moved_on() -> Failed {
    Failed { class: Class::Transient, kind: ReasonKind::NoPlan, text: "the deployment has ended meanwhile".into() }
}

fn range(network: &Network) -> Result<(Ipv4Addr, Ipv4Addr), Failed> {
    assignable(&network.subnet)
        .ok_or_else(|| Failed::for_good(ReasonKind::NoPlan, format!("the subnet {} cannot be used", network.subnet)))
}

struct Minted<'a> {
    execution: &'a Execution,
    range: (Ipv4Addr, Ipv4Addr),
    /// Addresses that the proxy leads to. What was there may be gone: nothing else comes there while it does.
    routed: BTreeSet<Ipv4Addr>,
    units: Vec<UnitId>,
    exhausted: bool,
}

impl<'a> Minted<'a> {
    fn on(execution: &'a Execution, lane: &Lane, range: (Ipv4Addr, Ipv4Addr)) -> Self {
        let entries = lane.sight.table.iter().flat_map(|table| &table.entries);
        let address = |target: &TargetStatus| match target.place {
            Place::Address(IpAddr::V4(address)) => Some(address),
            Place::Address(IpAddr::V6(_)) | Place::Folder(_) => None,
        };
        let routed = entries.flat_map(|entry| &entry.targets).filter_map(address).collect();
        Self { execution, range, routed, units: Vec::new(), exhausted: false }
    }
}

impl Ids for Minted<'_> {
    fn unit(&mut self) -> UnitId {
        let unit = UnitId::from_ulid(self.execution.clock.ulid());
        self.units.push(unit);
        unit
    }

    fn address(&mut self) -> Ipv4Addr {
        let Some(unit) = self.units.last().copied().filter(|_| self.range != NOWHERE) else {
            return Ipv4Addr::UNSPECIFIED;
        };
        let (range, now) = (self.range, self.execution.clock.stamp());
        let taken = self.execution.commands.live().with_addresses(|book| book.take(range, (unit, now), &self.routed));
        self.exhausted |= taken.is_none();
        taken.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}

/// Whether anything of a workload needs its claims: asked before they are freed.
pub(super) fn claims_needed(
    registry: &cutover_domain::registry::Registry,
    id: WorkloadId,
    state: &Workload,
) -> Vec<cutover_events::workload::Claim> {
    let Some(registered) = registry.workloads.get(&id) else { return Vec::new() };
    if state.teardown == cutover_domain::workload::Teardown::Done && state.queue.is_empty() {
        return Vec::new();
    }
    let open = state.open.as_ref();
    let was = open.and_then(|open| open.was.as_ref());
    let slots = state.active.iter().chain(was).chain(state.standby.iter().map(|(slot, _)| slot));
    let used = slots.map(|slot| slot.release).chain(state.down);
    let revisions = used
        .filter_map(|release| state.release(release))
        .map(|release| release.revision)
        .chain(open.map(|open| open.revision))
        .chain([registered.revision()]);
    let claims = revisions.filter_map(|revision| registry.spec(id, revision));
    claims.flat_map(|spec| cutover_domain::registry::claims(&registered.project, &registered.name, spec)).collect()
}
