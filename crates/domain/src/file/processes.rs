//! `[workloads.NAME.processes.PROCESS]`: other commands of the same release.

use std::collections::BTreeMap;

use cutover_events::plan::RELEASE;
use cutover_events::workload::{Health, Limits, Process};

use super::canonical::{self, CanonicalHealth, CanonicalLimits, CanonicalProcess, of_key};

use super::strict::{Entry, Fault, Words, quoted};
use super::{check, health, limits, workload};

/// Processes of one workload: a slot of them still fits a network of a project several times.
pub(super) const MAX_PROCESSES: usize = 16;

pub(super) const WORDS: Words = Words {
    known: &["command", "replicas", "health", "memory", "cpus", "pids"],
    later: &["env", "hardening", "host", "port", "routes", "volumes", "ports", "secrets"],
};

/// All processes, sorted by name. What a process does not say of its limits, the workload says for it.
pub(super) fn read(entry: &Entry<'_>, own: &str, shared: Limits) -> Result<Vec<Process>, Fault> {
    let entries = entry.section()?.entries();
    if entries.len() > MAX_PROCESSES {
        return Err(entry.key_fault(format!("{} processes; at most {MAX_PROCESSES} are allowed", entries.len())));
    }
    let mut processes = entries.iter().map(|entry| one(entry, own, shared)).collect::<Result<Vec<_>, _>>()?;
    processes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(processes)
}

fn one(entry: &Entry<'_>, own: &str, shared: Limits) -> Result<Process, Fault> {
    let name = name(&entry.name, own).map_err(|text| entry.key_fault(text))?;
    let section = entry.section()?;
    section.expect(WORDS)?;
    let Some(command) = section.read("command", workload::command)? else {
        return Err(
            entry.key_fault(format!("the process {name} has no command; write command = [\"program\", \"argument\"]"))
        );
    };
    let said = limits::read(&section)?;
    Ok(Process {
        name,
        command,
        replicas: section.read("replicas", workload::replicas)?.unwrap_or(1),
        limits: Limits {
            memory_bytes: said.memory_bytes.or(shared.memory_bytes),
            cpu_milli: said.cpu_milli.or(shared.cpu_milli),
            pids: said.pids.or(shared.pids),
        },
        health: section.read("health", probe)?,
    })
}

/// Nothing leads to a process, so that no port is known but the one that is written here.
fn probe(entry: &Entry<'_>) -> Result<Health, Fault> {
    health::read(entry, None).map_err(|fault| match fault.text == health::NEEDS_PORT {
        true => entry.fault("needs a port; write { http = \"/path\", port = NUMBER } or \"tcp:NUMBER\""),
        false => fault,
    })
}

/// The name of a process: another one than the workload's own, which is its first process.
pub(super) fn name(text: &str, own: &str) -> Result<String, String> {
    let name = check::name(text)?;
    if name == own {
        return Err(format!(
            "{} is the workload's own process, which its own command and replicas describe; choose another name",
            quoted(text)
        ));
    }
    if name == RELEASE {
        return Err(format!(
            "{} is what the container of a release command is called; choose another name",
            quoted(text)
        ));
    }
    Ok(name)
}

impl From<&Process> for CanonicalProcess {
    fn from(process: &Process) -> Self {
        Self {
            command: process.command.clone(),
            replicas: process.replicas.into(),
            limits: CanonicalLimits::from(process.limits),
            health: process.health.as_ref().map(CanonicalHealth::from),
        }
    }
}

/// All processes of the canonical form.
pub(super) fn judged(given: BTreeMap<String, CanonicalProcess>, own: &str) -> Result<Vec<Process>, Fault> {
    if given.len() > MAX_PROCESSES {
        let text = format!("{} processes; at most {} are allowed", given.len(), MAX_PROCESSES);
        return Err(Fault::new("processes", text));
    }
    given.into_iter().map(|one| process_of(one, own)).collect()
}

fn process_of((text, given): (String, CanonicalProcess), own: &str) -> Result<Process, Fault> {
    let key = format!("processes.{text}");
    let below = |fault: Fault| Fault::new(format!("{key}.{}", fault.key), fault.text);
    Ok(Process {
        name: name(&text, own).map_err(of_key(&key))?,
        command: canonical::command(given.command).map_err(below)?,
        replicas: canonical::replicas(given.replicas).map_err(below)?,
        limits: canonical::limits_of(given.limits).map_err(below)?,
        health: given.health.map(canonical::health_of).transpose().map_err(below)?,
    })
}
