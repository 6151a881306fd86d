//! Two specs, told apart for people. Variables are named, their values are not.

use std::collections::BTreeMap;
use std::fmt::Debug;

use cutover_events::workload::{
    Check, EnvVar, Health, Limits, Policy, Process, ReleaseCommand, Route, Source, Spec, Trigger,
};

use super::quantity::{show_bytes, show_duration};
use super::{policy, ports, secrets, volumes};

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

/// What differs in values that are sealed: they are named, and compared by their keyed hash.
fn variables(old: &Spec, new: &Spec) -> Vec<String> {
    let (before, after) = (sealed(old), sealed(new));
    let mut lines = Vec::new();
    for (name, mac) in &after {
        match before.get(name) {
            None => lines.push(format!("{name}: added")),
            Some(was) if was != mac => lines.push(format!("{name}: changed")),
            Some(_) => {}
        }
    }
    lines.extend(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("{name}: removed")));
    lines
}

fn sealed(spec: &Spec) -> BTreeMap<String, [u8; 16]> {
    let (args, text) = match &spec.source {
        Source::Dockerfile(build) => (&build.args[..], None),
        Source::Compose(stack) => (&[][..], stack.text.as_ref()),
        Source::Image(_) | Source::Static(_) => (&[][..], None),
    };
    let named = |what: &'static str| move |var: &EnvVar| (format!("{what} {}", var.name), var.mac);
    let env = spec.env.iter().map(named("env")).chain(args.iter().map(named("arg")));
    env.chain(text.map(|text| ("compose_yaml".to_owned(), text.mac))).collect()
}

/// The keys of a spec with their values as people write them, without the environment. Keys are unique; one without a
/// value is left out.
#[must_use]
pub fn show(spec: &Spec) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: String| out.push((key.to_owned(), value));
    source(&spec.source, &mut |key, value| {
        if !value.is_empty() {
            put(key, value);
        }
    });
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
    if let Some(release) = &spec.release {
        put("release", release_text(release));
    }
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
    let files = secrets::files(spec);
    if !files.is_empty() {
        put("secrets", files.join(", "));
    }
    out
}

fn source(source: &Source, put: &mut impl FnMut(&str, String)) {
    match source {
        Source::Image(image) => {
            put("image", image.reference.clone());
            put("pull", word(&image.pull));
            put("platform", image.platform.clone());
            put("credentials", image.credentials.clone());
        }
        Source::Dockerfile(build) => {
            put("dockerfile", build.context.clone());
            put("file", build.file.clone());
            put("target", build.target.clone());
            put("build secrets", build.secrets.join(", "));
            put("credentials", build.credentials.clone());
        }
        Source::Static(site) => {
            put("static", site.path.clone());
            put("mode", word(&site.mode));
            put("storage", site.storage.as_ref().map(volumes::show).unwrap_or_default());
            if let Some(build) = &site.build {
                put("build", format!("{:?} in {}, files in {}", build.command, build.image, build.output));
            }
            put("index", site.index.clone());
            put("not_found", site.not_found.clone());
            put("fallback", site.fallback.clone());
            put("assets_grace", show_duration(site.assets_grace_ms));
            put("credentials", site.credentials.clone());
        }
        Source::Compose(stack) => {
            put("compose", stack.file.clone());
            put("compose_project_name", stack.project_name.clone());
            put("adopt", if stack.adopt { "true".to_owned() } else { String::new() });
            put("credentials", stack.credentials.clone());
        }
    }
    put("deploy_strategy", source.deploy_strategy().to_owned());
}

/// The name of a variant, as files write it.
fn word(value: &impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

fn route_text(route: &Route) -> String {
    let strip = if route.strip { ", prefix cut off" } else { "" };
    match (route.service.as_str(), route.port) {
        ("", 0) => format!("the files{strip}"),
        ("", port) => format!("port {port}{strip}"),
        (service, port) => format!("service {service}, port {port}{strip}"),
    }
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

fn release_text(release: &ReleaseCommand) -> String {
    let timeout = show_duration(release.timeout_ms);
    format!("{:?}, at most {timeout}, on_crash {}", release.command, word(&release.on_crash))
}

fn trigger_text(trigger: &Trigger) -> String {
    let Trigger { hook, repo, branch, tag, image, paths } = trigger;
    let paths = paths.join(" ");
    let parts = [("repo", repo), ("branch", branch), ("tag", tag), ("image", image), ("paths", &paths)];
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
