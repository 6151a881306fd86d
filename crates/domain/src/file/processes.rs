//! `[workloads.NAME.processes.PROCESS]`: other commands of the same release.

use cutover_events::workload::{Limits, Process};

use super::strict::{Entry, Fault, Words, quoted};
use super::{check, health, limits, workload};

/// Processes of one workload: a slot of them still fits a network of a project several times.
pub(super) const MAX_PROCESSES: usize = 16;

const WORDS: Words = Words {
    known: &["command", "replicas", "health", "memory", "cpus", "pids"],
    later: &["env", "hardening", "host", "port", "routes", "volumes", "ports", "release", "secrets"],
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
        health: section.read("health", |entry| health::read(entry, None))?,
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
    Ok(name)
}
