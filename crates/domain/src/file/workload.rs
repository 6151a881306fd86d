//! One `[workloads.NAME]`.

use std::collections::BTreeMap;

use cutover_events::workload::{Hardening, Spec};

use super::source::Sourced;
use super::strict::{Entry, Fault, Words};
use super::{
    Declared, Values, after, check, fits, health, limits, policy, ports, processes, release, routes, source, triggers,
    volumes, whole,
};

/// Containers of one release on one host: a network of a project has room for a few such slots.
pub(super) const MAX_REPLICAS: i64 = 64;
/// Arguments of a command.
pub(super) const MAX_ARGUMENTS: usize = 256;
/// Variables of one workload.
pub(super) const MAX_VARIABLES: usize = 512;
/// What `hardening` may say.
pub(super) const HARDENINGS: &[(&str, Hardening)] = &[("default", Hardening::Default), ("strict", Hardening::Strict)];

pub(super) const WORDS: Words = Words {
    known: &[
        "image",
        "dockerfile",
        "static",
        "compose",
        "strategy",
        "host",
        "port",
        "routes",
        "env",
        "command",
        "volumes",
        "ports",
        "memory",
        "cpus",
        "pids",
        "hardening",
        "health",
        "replicas",
        "deploy",
        "triggers",
        "policy",
        "processes",
        "after",
        "release",
    ],
    later: &["env_file", "secrets", "after_deploy"],
};

pub(super) fn read(entry: &Entry<'_>, project: &str) -> Result<Declared, Fault> {
    let name = check::name(&entry.name).map_err(|text| entry.key_fault(text))?;
    let section = entry.section()?;
    section.expect(WORDS)?;
    let Sourced { source, args, compose_yaml, note } = source::read(&section)?;
    fits::keys(&section, &source)?;
    let port = section.read("port", routes::port)?;
    let routes = routes::read(&section, port, &source)?;
    let default_port = routes.first().map(|route| route.port).or(port);
    let limits = limits::read(&section)?;
    let processes = section.read("processes", |entry| processes::read(entry, &name, limits))?;
    let spec = Spec {
        source,
        health: section.read("health", |entry| health::read(entry, default_port))?,
        routes,
        env: Vec::new(),
        command: section.read("command", command)?,
        mounts: section.read("volumes", volumes::read)?.unwrap_or_default(),
        ports: section.read("ports", ports::read)?.unwrap_or_default(),
        limits,
        hardening: section.read("hardening", |e| e.text(|t| check::word(t, HARDENINGS)))?.unwrap_or_default(),
        replicas: section.read("replicas", replicas)?.unwrap_or(1),
        triggers: triggers::read(&section)?,
        policy: section.read("policy", policy::read)?.unwrap_or_default(),
        processes: processes.unwrap_or_default(),
        after: section.read("after", |entry| after::read(entry, &name))?.unwrap_or_default(),
        release: section.read("release", release::read)?,
    };
    let values = Values { env: section.read("env", variables)?.unwrap_or_default(), args, compose_yaml };
    whole::check(&spec, &values).map_err(|fault| section.fault_below(&fault))?;
    let mut warnings: Vec<String> = note.into_iter().chain(whole::warnings(&spec)).collect();
    if port.is_some() && spec.routes.is_empty() && spec.health.is_none() {
        warnings.push("port has no effect without host, routes or health".to_owned());
    }
    Ok(Declared { project: project.to_owned(), name, spec, values, warnings })
}

pub(super) fn replicas(entry: &Entry<'_>) -> Result<u16, Fault> {
    let number = entry.integer(1, MAX_REPLICAS)?;
    u16::try_from(number).map_err(|_| entry.fault("out of range"))
}

pub(super) fn command(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    if entry.as_string().is_some() {
        return Err(entry.fault("expected an array of strings, found a string; write [\"program\", \"argument\"], or [\"sh\", \"-c\", \"…\"] for a shell"));
    }
    let arguments = entry.elements(MAX_ARGUMENTS)?;
    if arguments.is_empty() {
        return Err(entry.fault("an empty command; leave the key out for the command of the image"));
    }
    arguments.iter().map(|argument| argument.text(check::value)).collect()
}

/// Variables of the environment, or arguments of a build: texts by name.
pub(super) fn variables(entry: &Entry<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut values = BTreeMap::new();
    for variable in entry.section()?.entries() {
        check::env_name(&variable.name).map_err(|text| variable.key_fault(text))?;
        if variable.as_string().is_none() {
            let quote = ["a whole number", "a number with a point", "true or false", "a date or time"]
                .contains(&variable.kind());
            let hint = if quote { "; put the value in quotes" } else { "" };
            return Err(variable.fault(format!("expected a string, found {}{hint}", variable.kind())));
        }
        values.insert(variable.name.clone(), variable.text(check::value)?);
    }
    Ok(values)
}
