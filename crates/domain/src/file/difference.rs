//! Two specs, told apart for people. Variables are named, their values are not.

use std::collections::BTreeMap;
use std::fmt::Debug;

use cutover_events::workload::{Check, Health, Limits, Policy, Process, Route, Source, Spec, Trigger};

use super::quantity::{show_bytes, show_duration};
use super::{policy, ports, volumes};

/// What differs, one line each, as `key: before -> after`; none when both mean the same.
#[must_use]
pub fn difference(old: &Spec, new: &Spec) -> Vec<String> {
    let (before, after) = (show(old), show(new));
    let before: BTreeMap<&str, &str> = before.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut lines = Vec::new();
    let mut seen = Vec::new();
    for (key, value) in &after {
        seen.push(key.as_str());
        match before.get(key.as_str()) {
            None => lines.push(format!("{key}: added {value}")),
            Some(was) if was != value => lines.push(format!("{key}: {was} -> {value}")),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(key, _)| !seen.contains(key));
    lines.extend(gone.map(|(key, value)| format!("{key}: removed {value}")));
    lines.extend(variables(old, new));
    lines
}

fn variables(old: &Spec, new: &Spec) -> Vec<String> {
    let macs =
        |spec: &Spec| -> BTreeMap<String, [u8; 16]> { spec.env.iter().map(|v| (v.name.clone(), v.mac)).collect() };
    let (before, after) = (macs(old), macs(new));
    let mut lines = Vec::new();
    for (name, mac) in &after {
        match before.get(name) {
            None => lines.push(format!("env {name}: added")),
            Some(was) if was != mac => lines.push(format!("env {name}: changed")),
            Some(_) => {}
        }
    }
    lines.extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("env {name}: removed")));
    lines
}

/// The keys of a spec with their values as people write them, without the environment. Keys are unique; one without a
/// value is left out.
#[must_use]
pub fn show(spec: &Spec) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: String| out.push((key.to_owned(), value));
    let Source::Image(image) = &spec.source;
    put("image", image.reference.clone());
    put("pull", word(&image.pull));
    if !image.platform.is_empty() {
        put("platform", image.platform.clone());
    }
    if !image.deploy_strategy.is_empty() {
        put("deploy_strategy", image.deploy_strategy.clone());
    }
    for route in &spec.routes {
        put(&format!("route {}{}", route.host, route.path), route_text(route));
    }
    if let Some(command) = &spec.command {
        put("command", format!("{command:?}"));
    }
    for mount in &spec.mounts {
        put(&format!("volume on {}", mount.target), volumes::show(mount));
    }
    for port in &spec.ports {
        put(&format!("port {}", ports::show(port)), "published".to_owned());
    }
    limits(spec.limits, &mut put);
    put("hardening", word(&spec.hardening));
    if let Some(health) = &spec.health {
        put("health", health_text(health));
    }
    put("replicas", spec.replicas.to_string());
    for (index, trigger) in spec.triggers.iter().enumerate() {
        put(&format!("trigger {}", index + 1), trigger_text(trigger));
    }
    times(&spec.policy, &mut put);
    for process in &spec.processes {
        put(&format!("process {}", process.name), process_text(process));
    }
    if !spec.after.is_empty() {
        put("after", spec.after.join(", "));
    }
    out
}

/// The name of a variant, as files write it.
fn word(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn route_text(route: &Route) -> String {
    let strip = if route.strip { ", prefix cut off" } else { "" };
    format!("port {}{strip}", route.port)
}

fn limits(limits: Limits, put: &mut impl FnMut(&str, String)) {
    if let Some(bytes) = limits.memory_bytes {
        put("memory", show_bytes(bytes));
    }
    if let Some(milli) = limits.cpu_milli {
        put("cpus", format!("{}.{:03}", milli / 1000, milli % 1000));
    }
    if let Some(pids) = limits.pids {
        put("pids", pids.to_string());
    }
}

fn health_text(health: &Health) -> String {
    let check = match &health.check {
        Check::Tcp => format!("tcp:{}", health.port),
        Check::Http { path, host, low, high } => {
            let host = if host.is_empty() { String::new() } else { format!(", Host {host}") };
            format!("{path} on port {}, status {low}-{high}{host}", health.port)
        }
    };
    let (interval, timeout) = (show_duration(health.interval_ms.into()), show_duration(health.timeout_ms.into()));
    format!("{check}, every {interval}, timeout {timeout}")
}

fn process_text(process: &Process) -> String {
    let mut parts = vec![format!("{:?}", process.command), format!("replicas {}", process.replicas)];
    limits(process.limits, &mut |key, value| parts.push(format!("{key} {value}")));
    parts.extend(process.health.as_ref().map(|health| format!("health {}", health_text(health))));
    parts.join(", ")
}

fn trigger_text(trigger: &Trigger) -> String {
    let Trigger { hook, repo, branch, tag, image } = trigger;
    let parts = [("repo", repo), ("branch", branch), ("tag", tag), ("image", image)];
    let given = parts.into_iter().filter(|(_, value)| !value.is_empty());
    given.fold(format!("hook {hook}"), |text, (key, value)| format!("{text}, {key} {value}"))
}

fn times(given: &Policy, put: &mut impl FnMut(&str, String)) {
    let mut copy = *given;
    for time in &policy::TIMES {
        put(time.key, show_duration(*(time.place)(&mut copy)));
    }
    if given.stop_signal != 0 {
        put("stop_signal", policy::signal_name(given.stop_signal));
    }
    put("keep_releases", given.keep_releases.to_string());
}
