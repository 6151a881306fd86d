//! The doctor's look: the invariants of the simulation, on the real thing.

use std::time::Duration;

use cutover_domain::invariants::{self, Breach};
use cutover_domain::observed::{DockerId, Phase};
use cutover_domain::workload::{Teardown, Workload};

use super::Execution;
use super::lane::Lane;
use super::look::Sight;
use crate::adapters::runtime::gateway;

/// Bytes of present output that are read for one container at most.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Looks at a workload whose state keeps changing meanwhile, a count: a busy deployment records a step within each.
const LOOKS: usize = 4;
/// Looks at a workload at rest that is not as it should be, a count: the engine may be about to see and repair it.
const SECOND_LOOKS: usize = 3;
/// Between two looks at something that is not as it should be, ms: longer than the engine takes to notice and to act.
const PAUSE_MS: u64 = 700;

/// What one check has shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Examined {
    /// What it is about.
    pub name: String,
    /// Whether the sentences hold.
    pub verdict: Verdict,
    /// One line for a person.
    pub text: String,
}

/// Whether what must hold does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every sentence does.
    Holds,
    /// What can be said now does; a workload that is busy cannot be judged wholly.
    Busy,
    /// A sentence does not.
    Broken,
}

impl Execution {
    /// Looks at every workload anew and checks every sentence.
    ///
    /// # Errors
    /// Docker does not answer: nothing can be said.
    pub async fn examine(&self) -> Result<Vec<Examined>, String> {
        let mut found = Vec::new();
        let registry = self.commands.live().registry();
        let known = self.commands.live().cells().into_iter().filter(|(id, _)| registry.workloads.contains_key(id));
        for (id, cell) in known {
            let name = self.full_name(id);
            let mut lane = Lane::new(id, cell, self.clock.mono_ms());
            found.extend(self.examine_one(&mut lane, &name).await?);
        }
        found.extend(self.strangers().await?);
        found.extend(self.nameless().await?);
        found.extend(self.abandoned().await?);
        Ok(found)
    }

    /// Containers of people's programs that nobody is at any more and that are still there.
    async fn abandoned(&self) -> Result<Option<Examined>, String> {
        for _ in 1..SECOND_LOOKS {
            if self.stray_errands().await? == 0 {
                return Ok(None);
            }
            self.end_lost_errands().await;
            tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        }
        let left = self.stray_errands().await?;
        let text = format!("{left} containers of `cutover run` are left that nobody is at; they cannot be removed");
        Ok((left > 0).then(|| Examined { name: "run".into(), verdict: Verdict::Broken, text }))
    }

    /// Projects whose names are not answered.
    async fn nameless(&self) -> Result<Vec<Examined>, String> {
        let table = self.router.table().await.map_err(|error| error.to_string())?;
        let engine = self.commands.live().engine();
        let project = |address| {
            let made = engine.networks.values().find(|made| gateway(&made.subnet).is_some_and(|at| at.0 == address));
            made.map_or_else(|| format!("names on {address}"), |made| format!("names of {}", made.project))
        };
        let problems = table.gateways.into_iter().filter_map(|gateway| Some((gateway.address, gateway.problem?)));
        Ok(problems.map(|(at, text)| Examined { name: project(at), verdict: Verdict::Broken, text }).collect())
    }

    /// Why the names of a project are not answered, or will not be once it has a network; `None`: no reason is known.
    pub async fn nameless_project(&self, project: &str) -> Option<String> {
        let network = self.commands.live().engine().networks.get(project).cloned();
        let Some(made) = network else {
            let holder = tokio::task::spawn_blocking(cutover_proxy::names::holder_of_the_port).await.ok().flatten()?;
            return Some(format!("names of its workloads will not be answered: {holder}"));
        };
        let (address, _) = gateway(&made.subnet)?;
        let table = self.router.table().await.ok()?;
        table.gateways.into_iter().find(|gateway| gateway.address == address)?.problem
    }

    /// One workload: what is broken is looked at again, because the engine may be about to repair it.
    async fn examine_one(&self, lane: &mut Lane, name: &str) -> Result<Vec<Examined>, String> {
        for _ in 1..SECOND_LOOKS {
            let found = self.judged(lane, name).await?;
            if found.iter().all(|examined| examined.verdict != Verdict::Broken) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(PAUSE_MS)).await;
        }
        self.judged(lane, name).await
    }

    /// A look that no event fell into, judged.
    async fn judged(&self, lane: &mut Lane, name: &str) -> Result<Vec<Examined>, String> {
        for _ in 0..LOOKS {
            let state = lane.cell.state();
            self.look(lane, &state).await?;
            if lane.cell.state().version == state.version {
                return Ok(judge(name, &state, &lane.sight));
            }
        }
        let (name, text) =
            (name.to_owned(), "changes faster than it can be looked at: look again when it rests".into());
        Ok(vec![Examined { name, verdict: Verdict::Busy, text }])
    }

    /// Containers with our log id that belong to no workload of the log.
    async fn strangers(&self) -> Result<Vec<Examined>, String> {
        let all = self.runtime.list(self.log, None).await.map_err(|error| error.to_string())?;
        let registry = self.commands.live().registry();
        let unknown = all.into_iter().filter(|container| !registry.workloads.contains_key(&container.workload));
        let text = |name: &str| {
            format!("this container carries our log id and belongs to no workload of the log: `docker rm -f {name}`")
        };
        Ok(unknown.map(|c| Examined { name: c.name.clone(), verdict: Verdict::Broken, text: text(&c.name) }).collect())
    }

    /// Whether an image is here; an engine without Docker says no.
    pub async fn has_image(&self, image: &str) -> bool {
        self.runtime.has_image(image).await.unwrap_or(false)
    }

    /// Present output of a container of a workload, by Docker's full id, without values of secrets.
    ///
    /// # Errors
    /// Docker does not answer, or the container is gone.
    pub async fn output(&self, workload: cutover_events::WorkloadId, id: &str, lines: usize) -> Result<String, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(id, &mut bytes).map_err(|error| error.to_string())?;
        let text = self.runtime.output(DockerId(bytes), OUTPUT_BYTES).await.map_err(|error| error.to_string())?;
        let text = self.redactor(workload).text(&text);
        let all: Vec<_> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}

/// The sentences of one look that belongs to `state`: those of a workload at rest, where it rests.
fn judge(name: &str, state: &Workload, sight: &Sight) -> Vec<Examined> {
    let observed = &sight.observed;
    let rests = invariants::rests(state, observed);
    let mut broken = [invariants::always(state), invariants::seen(state, observed)].concat();
    if rests {
        broken.extend(invariants::at_rest(state, observed));
    }
    if broken.is_empty() {
        let (verdict, text) = match busy(state, sight) {
            Some(why) if !rests => (Verdict::Busy, format!("{why}; what must hold meanwhile holds")),
            _ => (Verdict::Holds, at_rest(state, sight)),
        };
        return vec![Examined { name: name.to_owned(), verdict, text }];
    }
    let examined = |breach: &Breach| Examined {
        name: name.to_owned(),
        verdict: Verdict::Broken,
        text: format!("{}; `cutover timeline {name}` shows whether it is being repaired", told(breach, sight)),
    };
    broken.iter().map(examined).collect()
}

/// A broken sentence with the container that breaks it.
fn told(breach: &Breach, sight: &Sight) -> String {
    let container = breach.unit.map(|unit| {
        let found = sight.containers.iter().find(|container| container.unit == unit);
        found.map_or_else(|| unit.to_string(), |container| container.name.clone())
    });
    match container {
        Some(container) => format!("it does not hold for {container} that {}", breach.sentence),
        None => format!("it does not hold that {}", breach.sentence),
    }
}

/// Why a workload does not rest.
fn busy(state: &Workload, sight: &Sight) -> Option<String> {
    if let Some(open) = &state.open {
        let how = if open.parked { "is parked and waits for a person" } else { "is under way" };
        return Some(format!("{} {how}", open.id()));
    }
    if let Some(awaited) = &state.waiting {
        return Some(format!("{} waits for its image", awaited.intent.deployment));
    }
    if let Some(intent) = state.queue.first() {
        return Some(format!("{} is about to begin", intent.deployment));
    }
    if !state.removal.is_empty() || matches!(state.teardown, Teardown::Removing(_)) {
        return Some(format!("containers are being removed: {}", state.removal.len()));
    }
    let running =
        |unit: &&cutover_events::UnitId| sight.observed.seen(**unit).is_some_and(|seen| seen.phase == Phase::Running);
    let units = state.active.as_ref().map_or(&[][..], |slot| &slot.units);
    let down = units.iter().find(|unit| !running(unit))?;
    let container = sight.containers.iter().find(|container| container.unit == *down);
    let name = container.map_or_else(|| down.to_string(), |container| container.name.clone());
    Some(format!("{name} should run and does not: it is about to be repaired"))
}

/// What holds of a workload at rest, with what was looked at.
fn at_rest(state: &Workload, sight: &Sight) -> String {
    let containers = match sight.containers.len() {
        0 => return "at rest: nothing runs, as the log says".into(),
        1 => "1 container".to_owned(),
        many => format!("{many} containers"),
    };
    format!("at rest: {containers} and route generation {} are as the log says", state.routed.generation)
}
