//! What the values of one spec may be together.

use cutover_events::plan::{Strategy, Why};
use cutover_events::workload::{Access, Mount, MountFrom, Source, Spec};

use super::strict::{Fault, choice};
use super::workload::{MAX_REPLICAS, MAX_VARIABLES};
use super::{Values, check, fits, policy, ports, quantity, secrets, source, volumes};
use crate::reference;
use crate::strategy::{self, Choice};

/// Bytes of all texts of a spec: with the claims of its routes it has to fit into an event of 64 KiB, and into a plan
/// that repeats it.
const MAX_SPEC_BYTES: usize = 40 * 1024;
/// Bytes that a variable takes beside its name: the digest of its sealed value and its keyed hash.
const VARIABLE_BYTES: usize = 52;
/// Bytes that a secret takes beside its name: its version, its keyed hash, and tags.
const SECRET_BYTES: usize = 32;
/// Bytes that a port takes at most: an address of IPv6, two numbers, and tags.
const PORT_BYTES: usize = 32;

/// Refuses values that contradict one another, and a spec that does not fit into the log.
pub(super) fn check(spec: &Spec, values: &Values) -> Result<(), Fault> {
    for (key, count) in [("env", values.env.len()), ("dockerfile.args", values.args.len())] {
        if count > MAX_VARIABLES {
            return Err(Fault::new(key, format!("{count} variables; at most {MAX_VARIABLES} are allowed")));
        }
    }
    fits::values(spec, values)?;
    source::opens_something(&spec.source)?;
    secrets::beside_mounts(spec)?;
    let times = &spec.policy;
    let alive = spec.health.is_none() || spec.processes.iter().any(|process| process.health.is_none());
    if alive && times.liveness_ms >= times.gate_timeout_ms {
        let (liveness, gate) =
            (quantity::show_duration(times.liveness_ms), quantity::show_duration(times.gate_timeout_ms));
        let text =
            format!("liveness ({liveness}) must be shorter than gate_timeout ({gate}), or nothing would ever be ready");
        return Err(Fault::new("policy", text));
    }
    if times.stop_signal != 0 && policy::signal_name(times.stop_signal).is_empty() {
        return Err(Fault::new("policy.stop_signal", "not a signal that is known here"));
    }
    alone(spec)?;
    containers(spec)?;
    let bytes = size(spec, values);
    if bytes > MAX_SPEC_BYTES {
        let text = format!(
            "{bytes} bytes of routes, names of variables, arguments, volumes and triggers; at most {MAX_SPEC_BYTES} are allowed"
        );
        return Err(Fault::new("", text));
    }
    Ok(())
}

/// Why two containers of a workload never run at the same time: the key that says so, what it takes, and what would
/// change that.
struct Exclusive {
    key: String,
    what: String,
    change: String,
}

/// What a spec has that only one container at a time may have.
fn exclusive(spec: &Spec) -> Option<Exclusive> {
    if let Some(mount) = storage(spec) {
        return Some(Exclusive {
            key: "static.storage".to_owned(),
            what: format!("one container at a time may write to {}", volumes::show_from(&mount.from)),
            change: format!("write volumes = [\"{}:shared\"] where several may write at once", volumes::show(mount)),
        });
    }
    let volume = spec.mounts.iter().position(|mount| mount.access == Access::Exclusive);
    if let Some((at, mount)) = volume.and_then(|at| Some((at, spec.mounts.get(at)?))) {
        let shown = volumes::show(mount);
        return Some(Exclusive {
            key: format!("volumes[{at}]"),
            what: format!("one container at a time may write to {}", volumes::show_from(&mount.from)),
            change: format!("write \"{shown}:shared\" where several may write at once, or \"{shown}:ro\""),
        });
    }
    spec.ports.first().map(|port| Exclusive {
        key: "ports[0]".to_owned(),
        what: format!("one container at a time can have the port {} of the host", ports::show(port)),
        change: "leave ports out and write host and port for what the proxy can serve".to_owned(),
    })
}

fn storage(spec: &Spec) -> Option<&Mount> {
    match &spec.source {
        Source::Static(site) => site.storage.as_ref(),
        Source::Image(_) | Source::Dockerfile(_) | Source::Compose(_) => None,
    }
}

/// Refuses what needs two containers at a time of a workload that has only one.
fn alone(spec: &Spec) -> Result<(), Fault> {
    let found = exclusive(spec);
    let asked = spec.source.deploy_strategy() == "blue-green";
    // Storage forces the other strategy, whatever is asked for; that is told, and not refused.
    if let (Some(Exclusive { key, what, change }), true, None) = (&found, asked, storage(spec)) {
        let text =
            format!("{what}, and blue-green needs two; write strategy = \"recreate\" or leave it out, or {change}");
        return Err(Fault::new(key.clone(), text));
    }
    if let (Some(Exclusive { what, change, .. }), Some(process)) = (&found, spec.processes.first()) {
        let text = format!("{what}, and with the process {} there are two; leave it out, or {change}", process.name);
        return Err(Fault::new(format!("processes.{}", process.name), text));
    }
    let several = spec.processes.iter().find(|process| process.replicas > 1);
    let recreated = strategy::effective(spec).strategy == Strategy::Recreate;
    if let (Some(process), true) = (several, recreated) {
        let text =
            format!("{} replicas, but {} of a process at a time; {}", process.replicas, one(spec), otherwise(spec));
        return Err(Fault::new(format!("processes.{}.replicas", process.name), text));
    }
    if spec.replicas == 1 {
        return Ok(());
    }
    let text = match found {
        Some(Exclusive { what, change, .. }) => {
            format!("{} replicas, but {what}; write replicas = 1, or {change}", spec.replicas)
        }
        None if recreated => format!("{} replicas, but {} at a time; {}", spec.replicas, one(spec), otherwise(spec)),
        None => return Ok(()),
    };
    Err(Fault::new("replicas", text))
}

/// What `recreate` has, and why it is the strategy.
fn one(spec: &Spec) -> String {
    match strategy::effective(spec).why {
        Why::Default => {
            format!("\"recreate\", the default of {}, has one container", spec.source.kind().word())
        }
        Why::Asked | Why::Volume | Why::Port | Why::Blue | Why::Storage => "\"recreate\" has one container".to_owned(),
    }
}

/// What to write where one container is not enough.
fn otherwise(spec: &Spec) -> String {
    let all = check::strategies(spec.source.kind());
    let others: Vec<&str> = all.iter().copied().filter(|word| *word != "recreate").collect();
    format!("write replicas = 1 or strategy = {}", choice(&others))
}

/// Refuses more containers of one release than a slot has room for.
fn containers(spec: &Spec) -> Result<(), Fault> {
    let others: i64 = spec.processes.iter().map(|process| i64::from(process.replicas)).sum();
    let all = others + i64::from(spec.replicas);
    if all <= MAX_REPLICAS {
        return Ok(());
    }
    Err(Fault::new("processes", format!("{all} containers of one release; at most {MAX_REPLICAS} are allowed")))
}

fn size(spec: &Spec, values: &Values) -> usize {
    let variables: usize = values.env.keys().chain(values.args.keys()).map(|name| name.len() + VARIABLE_BYTES).sum();
    // Twice: once in the spec, once as a claim.
    let routes: usize =
        spec.routes.iter().map(|route| 2 * (route.host.len() + route.path.len() + 8) + route.service.len()).sum();
    let commands = spec.command.iter().chain(spec.processes.iter().map(|process| &process.command));
    let arguments: usize = commands.flatten().map(|argument| argument.len() + 4).sum();
    let names: usize = spec.after.iter().map(|name| 2 * name.len() + 8).sum();
    let texts = |t: &cutover_events::workload::Trigger| {
        let paths: usize = t.paths.iter().map(|path| path.len() + 4).sum();
        t.hook.len() + t.repo.len() + t.branch.len() + t.tag.len() + t.image.len() + paths
    };
    let triggers: usize = spec.triggers.iter().map(|trigger| texts(trigger) + 10).sum();
    // Twice, as routes are; a port is a few numbers.
    let mounts: usize =
        spec.mounted().map(|mount| 2 * volumes::show_from(&mount.from).len() + mount.target.len() + 100).sum();
    let ports = 2 * PORT_BYTES * spec.ports.len();
    let secrets: usize = spec.secrets.iter().map(|used| used.name.len() + SECRET_BYTES).sum();
    secrets + names + variables + routes + arguments + triggers + mounts + ports + of_source(&spec.source)
}

/// Bytes of the texts of a source; names and places have bounds of their own, commands have none together.
fn of_source(source: &Source) -> usize {
    match source {
        Source::Image(image) => image.reference.len() + image.credentials.len(),
        Source::Dockerfile(build) => {
            let secrets: usize = build.secrets.iter().map(|name| name.len() + 4).sum();
            build.context.len() + build.file.len() + build.target.len() + build.credentials.len() + secrets
        }
        Source::Static(site) => {
            let command = site.build.iter().flat_map(|build| &build.command);
            let arguments: usize = command.map(|argument| argument.len() + 4).sum();
            site.path.len() + site.index.len() + site.not_found.len() + site.fallback.len() + arguments
        }
        Source::Compose(stack) => stack.file.len() + 2 * stack.project_name.len() + VARIABLE_BYTES,
    }
}

/// What was probably not meant so.
pub(super) fn warnings(spec: &Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    let open = spec.source.image().and_then(|image| reference::placeholders(&image.reference).ok()).unwrap_or_default();
    if let (Some(word), true) = (open.first(), spec.triggers.is_empty()) {
        warnings.push(format!("nothing fills {word} in the image: there is no deploy and no trigger"));
    }
    if spec.routes.iter().any(|route| route.strip && route.path == "/") {
        warnings.push("strip has no effect on the path \"/\"".to_owned());
    }
    if matches!(spec.source, Source::Static(_)) && spec.routes.is_empty() {
        warnings.push("nothing leads to the site: there is no host and no route".to_owned());
    }
    warnings.extend(of_the_strategy(spec));
    warnings
}

/// What follows from the strategy, where that is not what was written, or not the usual one.
fn of_the_strategy(spec: &Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    let Choice { strategy, why } = strategy::effective(spec);
    if let (Some(Exclusive { key, what, change }), true) = (exclusive(spec), unexpected(spec, why)) {
        let asked = spec.source.deploy_strategy();
        let end = match asked {
            "" => "write strategy = \"recreate\" when that is meant; otherwise".to_owned(),
            _ => format!("\"{asked}\" is not followed;"),
        };
        warnings.push(format!(
            "{key}: {what}, so every deployment stops the old container before the new one starts (recreate): {end} {change}"
        ));
    }
    if storage(spec).is_some() && fits::is_files(&spec.source) {
        warnings.push("static.storage: nothing writes to it in mode = \"files\", which runs no program".to_owned());
    }
    if strategy == Strategy::Recreate && spec.policy.standby_ms != 0 {
        warnings.push("policy.standby has no effect: nothing stands by beside an exclusive workload".to_owned());
    }
    warnings
}

/// What the configuration of a server must allow for a spec: folders of its host.
pub(super) fn of_the_server(spec: &Spec) -> Vec<String> {
    let folder = |mount: &Mount| match &mount.from {
        MountFrom::Folder(path) => Some(format!(
            "the server must allow the folder {path}: [limits] bind in its configuration names it, or one above it"
        )),
        MountFrom::Volume(_) => None,
    };
    spec.mounted().filter_map(folder).collect()
}

/// Whether the strategy is another one than the word, or without a word the default of the source, would make it; for
/// storage it is said in any case, but where it was asked for.
fn unexpected(spec: &Spec, why: Why) -> bool {
    match why {
        Why::Storage => true,
        Why::Volume | Why::Port => strategy::default_of(spec.source.kind()) == Strategy::BlueGreen,
        Why::Default | Why::Asked | Why::Blue => false,
    }
}
