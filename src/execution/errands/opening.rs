//! From what a person asks to a program that runs: the container is found or made, and the beginning recorded before.

use std::net::Ipv4Addr;
use std::sync::Arc;

use cutover_domain::deployment::{Command, Rejection};
use cutover_domain::errand::program_name;
use cutover_domain::observed::{DockerId, Phase};
use cutover_domain::workload::Workload;
use cutover_events::errand::{ErrandBegun, ErrandEnd, ErrandEnded, Place};
use cutover_events::plan::Plan;
use cutover_events::workload::{Access, MountFrom};
use cutover_events::{Actor, Cause, DeploymentId, ErrandId, ReleaseId, UnitId, WorkloadId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::Execution;
use super::{Asked, NotBegun, Where, Wire, size};
use crate::adapters::runtime::{Alone, Attached, CreateContainer, Program, RuntimeError, Witness};
use crate::commands::By;
use crate::crash;

/// A person's program that runs.
pub(super) struct Errand {
    pub(super) id: ErrandId,
    pub(super) workload: WorkloadId,
    /// Its name, as it is recorded.
    pub(super) program: String,
    pub(super) attached: Attached,
    /// The container that goes with it.
    pub(super) own: Option<DockerId>,
    pub(super) begun_ms: u64,
    /// For the person.
    pub(super) notes: Vec<String>,
    pub(super) held: Held,
}

/// One of the places, and the word that this engine looks after the errand; both are given back when it is dropped.
pub(super) struct Held {
    /// Cancelled when its workload is torn down.
    pub(super) torn_down: CancellationToken,
    shell: Arc<Execution>,
    id: ErrandId,
    _place: OwnedSemaphorePermit,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shell.errands.ours.lock().remove(&self.id);
    }
}

/// Where it will run.
struct Found {
    begun: ErrandBegun,
    inside: Option<DockerId>,
    plan: Arc<Plan>,
}

impl Execution {
    /// Begins what a person asks for, and serves it on the connection that comes once this has returned.
    ///
    /// # Errors
    /// It was not begun; where that is known only after its beginning was recorded, its end is too.
    pub async fn errand(
        self: &Arc<Self>,
        actor: Actor,
        workload: WorkloadId,
        (asked, wire): (Asked, Wire),
    ) -> Result<(), NotBegun> {
        if self.errands.stop.is_cancelled() {
            return Err(NotBegun::Stopping);
        }
        if self.is_held() {
            return Err(NotBegun::Held);
        }
        let (answer, answered) = oneshot::channel();
        let shell = self.clone();
        // A task of its own: a request that is given up half way must not leave a program that nobody looks after.
        self.errands.tasks.spawn(async move {
            match shell.open(actor, workload, asked).await {
                Err(why) => drop(answer.send(Err(why))),
                Ok(errand) => {
                    drop(answer.send(Ok(())));
                    shell.serve(errand, wire).await;
                }
            }
        });
        answered.await.unwrap_or(Err(NotBegun::Stopping))
    }

    async fn open(self: &Arc<Self>, actor: Actor, workload: WorkloadId, asked: Asked) -> Result<Errand, NotBegun> {
        let place = self.errands.places.clone().try_acquire_owned().map_err(|_| NotBegun::TooMany)?;
        let id = ErrandId::from_ulid(self.clock.ulid());
        let torn_down = CancellationToken::new();
        self.errands.ours.lock().insert(id, torn_down.clone());
        let held = Held { torn_down, shell: self.clone(), id, _place: place };
        let state = self.commands.live().cell(workload).state();
        let found = self.place(workload, &state, (id, &asked)).await?;
        let by = By { cause: Cause::Person, actor, key: None };
        let receipt = self.commands.workload(workload, by, Command::BeginErrand(found.begun.clone())).await?;
        let begun_ms = self.clock.mono_ms();
        let witness = Witness { position: receipt.position, chain: receipt.chain };
        let (begun, own) = match found.inside {
            Some(container) => {
                let program = Program { command: asked.command, terminal: asked.terminal.map(size) };
                (self.attaches.exec(container, &program).await, None)
            }
            None => self.begin_alone(workload, &found, (asked, witness)).await,
        };
        let notes = if found.inside.is_none() { left_out(&found.plan) } else { Vec::new() };
        match begun {
            Ok(attached) => {
                Ok(Errand { id, workload, program: found.begun.program, attached, own, begun_ms, notes, held })
            }
            Err(error) => {
                self.take_alone_away(own).await;
                self.record_end(workload, (id, ErrandEnd::Refused(error.to_string())), Some(begun_ms)).await;
                Err(error.into())
            }
        }
    }

    async fn begin_alone(
        &self,
        workload: WorkloadId,
        found: &Found,
        (asked, witness): (Asked, Witness),
    ) -> (Result<Attached, RuntimeError>, Option<DockerId>) {
        let terminal = asked.terminal.map(size);
        let alone = match self.alone_of(workload, found, (asked, witness)).await {
            Ok(alone) => alone,
            Err(text) => return (Err(RuntimeError::Refused(text)), None),
        };
        let point = crash::before(|| "CreateAlone".into());
        let made = self.attaches.create_alone(self.log, &alone).await;
        point.after();
        match made {
            Ok(container) => (self.attaches.start_alone(container, terminal).await, Some(container)),
            Err(error) => (Err(error), None),
        }
    }

    /// Image, environment, network and limits of what serves; of its volumes those that several may write or nobody may.
    /// Its ports of the host and its name stay with it.
    async fn alone_of(
        &self,
        workload: WorkloadId,
        found: &Found,
        (asked, witness): (Asked, Witness),
    ) -> Result<Alone, String> {
        let Found { begun, plan, .. } = found;
        let template = &plan.template;
        // What the containers that serve have, and not a release command.
        let unit = plan.routed().first().copied().unwrap_or(UnitId(begun.errand.0));
        let env = self.environment(workload, plan).map_err(|failed| failed.text)?;
        let mut mounts = self.mounts(plan, unit).await.map_err(|failed| failed.text)?;
        mounts.retain(|mount| mount.access != Access::Exclusive);
        let container = CreateContainer {
            name: begun.container.clone(),
            unit: UnitId(begun.errand.0),
            workload,
            full_name: self.full_name(workload),
            release: begun.release,
            deployment: DeploymentId(begun.errand.0),
            witness,
            image: template.image.clone(),
            network: template.network.clone(),
            // From the half of the network that the engine never assigns from, so that no route can lead to it.
            address: Ipv4Addr::UNSPECIFIED,
            alias: None,
            mounts,
            ports: Vec::new(),
            dns: self.dns(plan),
            env,
            command: Some(asked.command),
            limits: template.limits,
            hardening: template.hardening,
            stop_signal: plan.policy.stop_signal,
        };
        Ok(Alone { errand: begun.errand, container, terminal: asked.terminal.is_some() })
    }

    async fn place(
        &self,
        workload: WorkloadId,
        state: &Workload,
        (errand, asked): (ErrandId, &Asked),
    ) -> Result<Found, NotBegun> {
        let name = self.full_name(workload);
        let Some((release, plan)) = state.serving() else {
            let stopped = state.stopped.as_ref().map(|stopped| Rejection::Stopped(stopped.by.clone()));
            let why = stopped.unwrap_or(Rejection::NothingRuns);
            return Err(NotBegun::NothingRuns(format!("{name}: {why}")));
        };
        if self.runtime.folder(&plan.template.image).is_some() {
            return Err(NotBegun::NothingRuns(format!(
                "{name} has no container that a program could run in: the proxy serves its files by itself"
            )));
        }
        let (container, place, inside) = match &asked.place {
            Where::Alone => (format!("cutover-{}-run-{}", name.replace('/', "-"), errand.suffix()), Place::Own, None),
            Where::Inside(process, replica) => {
                let units = units_of(&plan, &name, process.as_deref())?;
                let wanted = wanted(&units, (&name, process.as_deref()), *replica)?;
                let all = self.runtime.list(self.log, Some(workload)).await?;
                let runs = |unit: &&UnitId| all.iter().find(|c| c.unit == **unit && c.phase == Phase::Running);
                let container = wanted.iter().find_map(|unit| runs(&unit)).ok_or_else(|| {
                    NotBegun::NothingRuns(format!(
                        "{name}: the container does not run; `cutover status {name}` says why"
                    ))
                })?;
                (container.name.clone(), Place::Unit(container.unit), Some(container.id))
            }
        };
        let begun = begun((errand, release), (asked, place), container);
        Ok(Found { begun, inside, plan })
    }

    /// Removes the container that a program has had for itself; one that cannot be removed now is swept later.
    pub(super) async fn take_alone_away(&self, own: Option<DockerId>) {
        let Some(container) = own else { return };
        let point = crash::before(|| "RemoveAlone".into());
        match self.attaches.remove_alone(container).await {
            Ok(()) => point.after(),
            Err(error) => tracing::warn!(%error, "the container of a person's program cannot be removed; trying again"),
        }
    }

    /// Records an end; where the log does not take it, the next look does, as one that nobody saw.
    pub(super) async fn record_end(
        &self,
        workload: WorkloadId,
        (errand, end): (ErrandId, ErrandEnd),
        begun_ms: Option<u64>,
    ) {
        let lasted_ms = begun_ms.map(|begun_ms| self.clock.mono_ms().saturating_sub(begun_ms));
        let event = ErrandEnded { errand, end, lasted_ms };
        let written = self.commands.workload(workload, By::engine(Cause::Engine), Command::EndErrand(event)).await;
        if let Err(error) = written {
            tracing::warn!(%errand, %error, "the end of a person's program could not be recorded");
        }
    }
}

fn begun((errand, release): (ErrandId, ReleaseId), (asked, place): (&Asked, Place), container: String) -> ErrandBegun {
    let program = program_name(asked.command.first().map_or("", String::as_str));
    ErrandBegun { errand, program, place, container, release, terminal: asked.terminal.is_some() }
}

/// The units of a process; of the workload itself without one.
fn units_of(plan: &Plan, name: &str, process: Option<&str>) -> Result<Vec<UnitId>, NotBegun> {
    let Some(process) = process else { return Ok(plan.routed().to_vec()) };
    let found = plan.processes.iter().find(|known| known.name == process);
    found.map(|found| found.units.clone()).ok_or_else(|| {
        let known: Vec<_> = plan.processes.iter().map(|process| process.name.as_str()).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        NotBegun::Unknown(format!(
            "{name} has no process {process}: {known}; without --process it is the workload itself"
        ))
    })
}

/// The replica that is asked for; all of them where none is.
fn wanted(
    units: &[UnitId],
    (name, process): (&str, Option<&str>),
    replica: Option<u16>,
) -> Result<Vec<UnitId>, NotBegun> {
    let Some(number) = replica else { return Ok(units.to_vec()) };
    let unit = usize::from(number).checked_sub(1).and_then(|index| units.get(index));
    unit.map(|unit| vec![*unit]).ok_or_else(|| {
        let what = process.map_or_else(|| name.to_owned(), |process| format!("{process} of {name}"));
        NotBegun::Unknown(format!("{what} has no replica {number}: it has {}, counted from 1", units.len()))
    })
}

/// What a container of its own does not have, in a line for the person.
fn left_out(plan: &Plan) -> Vec<String> {
    let exclusive = plan.template.mounts.iter().filter(|mount| mount.access == Access::Exclusive);
    let named = exclusive.map(|mount| match &mount.from {
        MountFrom::Volume(name) | MountFrom::Folder(name) => format!("{name} ({})", mount.target),
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        return Vec::new();
    }
    vec![format!("without {}: only one container may write there; `cutover exec` runs in that one", named.join(", "))]
}
