//! What the values of one spec may be together.

use std::collections::BTreeMap;

use cutover_events::workload::{Access, Source, Spec};

use super::strict::Fault;
use super::workload::{MAX_REPLICAS, MAX_VARIABLES};
use super::{policy, ports, quantity, volumes};
use crate::reference;

/// Bytes of all texts of a spec: with the claims of its routes it has to fit into an event of 64 KiB, and into a plan
/// that repeats it.
const MAX_SPEC_BYTES: usize = 40 * 1024;
/// Bytes that a variable takes beside its name: the digest of its sealed value and its keyed hash.
const VARIABLE_BYTES: usize = 52;
/// Bytes that a port takes at most: an address of IPv6, two numbers, and tags.
const PORT_BYTES: usize = 32;

/// Refuses values that contradict one another, and a spec that does not fit into the log.
pub(super) fn check(spec: &Spec, env: &BTreeMap<String, String>) -> Result<(), Fault> {
    if env.len() > MAX_VARIABLES {
        return Err(Fault::new("env", format!("{} variables; at most {MAX_VARIABLES} are allowed", env.len())));
    }
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
    let bytes = size(spec, env);
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

/// Refuses what needs two containers at a time of a workload that has only one.
fn alone(spec: &Spec) -> Result<(), Fault> {
    let Source::Image(image) = &spec.source;
    let found = exclusive(spec);
    if let (Some(Exclusive { key, what, change }), "blue-green") = (&found, image.deploy_strategy.as_str()) {
        let text =
            format!("{what}, and blue-green needs two; write strategy = \"recreate\" or leave it out, or {change}");
        return Err(Fault::new(key.clone(), text));
    }
    if let (Some(Exclusive { what, change, .. }), Some(process)) = (&found, spec.processes.first()) {
        let text = format!("{what}, and with the process {} there are two; leave it out, or {change}", process.name);
        return Err(Fault::new(format!("processes.{}", process.name), text));
    }
    if let (Some(process), "recreate") =
        (spec.processes.iter().find(|process| process.replicas > 1), image.deploy_strategy.as_str())
    {
        let text = format!(
            "{} replicas, but \"recreate\" has one container of a process at a time; write replicas = 1 or another strategy",
            process.replicas
        );
        return Err(Fault::new(format!("processes.{}.replicas", process.name), text));
    }
    if spec.replicas == 1 {
        return Ok(());
    }
    let text = match found {
        Some(Exclusive { what, change, .. }) => {
            format!("{} replicas, but {what}; write replicas = 1, or {change}", spec.replicas)
        }
        None if image.deploy_strategy == "recreate" => {
            format!(
                "{} replicas, but \"recreate\" has one container at a time; write replicas = 1 or another strategy",
                spec.replicas
            )
        }
        None => return Ok(()),
    };
    Err(Fault::new("replicas", text))
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

fn size(spec: &Spec, env: &BTreeMap<String, String>) -> usize {
    let variables: usize = env.keys().map(|name| name.len() + VARIABLE_BYTES).sum();
    // Twice: once in the spec, once as a claim.
    let routes: usize = spec.routes.iter().map(|route| 2 * (route.host.len() + route.path.len() + 8)).sum();
    let commands = spec.command.iter().chain(spec.processes.iter().map(|process| &process.command));
    let arguments: usize = commands.flatten().map(|argument| argument.len() + 4).sum();
    let names: usize = spec.after.iter().map(|name| 2 * name.len() + 8).sum();
    let texts = |t: &cutover_events::workload::Trigger| {
        t.hook.len() + t.repo.len() + t.branch.len() + t.tag.len() + t.image.len()
    };
    let triggers: usize = spec.triggers.iter().map(|trigger| texts(trigger) + 10).sum();
    // Twice, as routes are; a port is a few numbers.
    let mounts: usize =
        spec.mounts.iter().map(|mount| 2 * volumes::show_from(&mount.from).len() + mount.target.len() + 100).sum();
    names + variables + routes + arguments + triggers + mounts + 2 * PORT_BYTES * spec.ports.len()
}

/// What was probably not meant so.
pub(super) fn warnings(spec: &Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    let Source::Image(image) = &spec.source;
    let open = reference::placeholders(&image.reference).unwrap_or_default();
    if let (Some(word), true) = (open.first(), spec.triggers.is_empty()) {
        warnings.push(format!("nothing fills {word} in the image: there is no deploy and no trigger"));
    }
    if spec.routes.iter().any(|route| route.strip && route.path == "/") {
        warnings.push("strip has no effect on the path \"/\"".to_owned());
    }
    let found = exclusive(spec);
    if let (Some(Exclusive { key, what, change }), "") = (&found, image.deploy_strategy.as_str()) {
        warnings.push(format!(
            "{key}: {what}, so every deployment stops the old container before the new one starts (recreate): write strategy = \"recreate\" when that is meant; otherwise {change}"
        ));
    }
    let recreated = found.is_some() || image.deploy_strategy == "recreate";
    if recreated && spec.policy.standby_ms != 0 {
        warnings.push("policy.standby has no effect: nothing stands by beside an exclusive workload".to_owned());
    }
    warnings
}
