//! Which keys say something to which source. A key that does not is refused by name, with the reason.

use cutover_events::workload::{Hardening, Limits, Source, Spec, StaticMode, StaticSource};

use super::strict::{Fault, Section};
use super::{Values, secrets};

/// What only containers have that Cutover makes itself.
pub(super) const OF_CONTAINERS: &[&str] = &[
    "command",
    "volumes",
    "ports",
    "memory",
    "cpus",
    "pids",
    "hardening",
    "health",
    "replicas",
    "processes",
    "port",
    "release",
    "secrets",
];

const SERVED_BY_THE_PROXY: &str =
    "the proxy serves the files itself, without a container; write mode = \"deno\" for a program of the site's own";
const NOTHING_READS_IT: &str =
    "no program of the site runs that could read it; it is for mode = \"deno\" and for a build";
const SAID_IN_THE_STACK: &str = "each service of a stack says it for itself, in the compose file";
const ROUTE_NEEDS_A_SERVICE: &str =
    "a stack has several services; write [[workloads.NAME.routes]] with host, service and port";

/// Refuses the first key of the table that says nothing to its source.
pub(super) fn keys(section: &Section<'_>, source: &Source) -> Result<(), Fault> {
    for entry in section.entries() {
        if let Some(why) = unfit(&entry.name, source) {
            return Err(entry.key_fault(why));
        }
    }
    Ok(())
}

/// Refuses the first value of a spec that says nothing to its source; what has its default was not said.
pub(super) fn values(spec: &Spec, values: &Values) -> Result<(), Fault> {
    let Limits { memory_bytes, cpu_milli, pids } = spec.limits;
    let said = [
        ("command", spec.command.is_some()),
        ("volumes", !spec.mounts.is_empty()),
        ("ports", !spec.ports.is_empty()),
        ("memory", memory_bytes.is_some()),
        ("cpus", cpu_milli.is_some()),
        ("pids", pids.is_some()),
        ("hardening", spec.hardening != Hardening::default()),
        ("health", spec.health.is_some()),
        ("replicas", spec.replicas != 1),
        ("processes", !spec.processes.is_empty()),
        ("release", spec.release.is_some()),
        ("env", !values.env.is_empty()),
        ("secrets", !secrets::files(spec).is_empty()),
    ];
    let found = said.into_iter().filter(|(_, said)| *said).find_map(|(key, _)| Some((key, unfit(key, &spec.source)?)));
    found.map_or(Ok(()), |(key, why)| Err(Fault::new(key, why)))
}

/// Whether the proxy serves it, and nothing of it ever runs.
pub(super) fn is_files(source: &Source) -> bool {
    matches!(source, Source::Static(StaticSource { mode: StaticMode::Files, .. }))
}

/// Why a key says nothing to a source.
fn unfit(key: &str, source: &Source) -> Option<String> {
    let contained = OF_CONTAINERS.contains(&key);
    let why = match source {
        Source::Image(_) | Source::Dockerfile(_) => None,
        Source::Static(site) if !site.mode.is_files() => None,
        Source::Static(_) if contained => Some(SERVED_BY_THE_PROXY),
        Source::Static(site) => (key == "env" && site.build.is_none()).then_some(NOTHING_READS_IT),
        Source::Compose(_) if matches!(key, "host" | "port") => Some(ROUTE_NEEDS_A_SERVICE),
        Source::Compose(_) => contained.then_some(SAID_IN_THE_STACK),
    };
    let of = match source {
        Source::Static(_) => "static, mode = \"files\"",
        other => other.kind().word(),
    };
    why.map(|why| format!("{key} has no meaning for {of}: {why}"))
}
