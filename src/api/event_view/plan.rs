//! Plans and their steps.

use cutover_events::plan::{CommandPlan, Plan, PlannedStep, ProcessPlan, Step, Strategy, Undo, Why};
use cutover_events::workload::{
    Access, Limits, Mount, MountFrom, OnCrash, OnDrift, Policy, PublishedPort, Route, Transport,
};
use serde_json::{Value, json};

use super::registry::{hardening, health};
use super::texts;

pub(super) fn plan(plan: &Plan) -> Value {
    let units = plan.units.iter().map(|unit| {
        json!({
            "unit": unit.unit.to_string(),
            "name": unit.name,
            "process": plan.part(unit.unit).process,
            "replica": unit.replica,
            "address": unit.address.to_string(),
        })
    });
    json!({
        "release": plan.release.map(|release| release.to_string()),
        "strategy": match plan.strategy { Strategy::BlueGreen => "blue-green", Strategy::Recreate => "recreate" },
        "why": why(plan.why),
        "units": units.collect::<Vec<_>>(),
        "slot": texts(&plan.slot),
        "blue": texts(&plan.blue),
        "adopts": plan.adopts,
        "image": plan.template.image,
        "network": plan.template.network,
        "env": plan.template.env.iter().map(|var| var.name.as_str()).collect::<Vec<_>>(),
        "command": plan.template.command,
        "volumes": mounts(&plan.template.mounts),
        "ports": ports(&plan.template.ports),
        "alias": plan.template.alias,
        "limits": limits(&plan.template.limits),
        "hardening": hardening(plan.template.hardening),
        "routes": routes(&plan.routes),
        "health": plan.health.as_ref().map(health),
        "policy": policy(&plan.policy),
        "steps": plan.steps.iter().map(planned).collect::<Vec<_>>(),
        "processes": plan.processes.iter().map(process).collect::<Vec<_>>(),
        "after": plan.after,
        "release_command": plan.release_command.as_ref().map(release_command),
    })
}

fn release_command(command: &CommandPlan) -> Value {
    json!({"unit": command.unit.to_string(), "command": command.command, "on_crash": on_crash(command.on_crash)})
}

/// The word of a file for it.
pub(super) const fn on_crash(word: OnCrash) -> &'static str {
    match word {
        OnCrash::Ask => "ask",
        OnCrash::Again => "again",
    }
}

fn process(process: &ProcessPlan) -> Value {
    json!({
        "name": process.name,
        "units": texts(&process.units),
        "command": process.command,
        "limits": limits(&process.limits),
        "health": process.health.as_ref().map(health),
    })
}

fn planned(planned: &PlannedStep) -> Value {
    let undo = match planned.undo {
        Undo::Nothing => "nothing".to_owned(),
        Undo::Remove(unit) => format!("remove {unit}"),
        Undo::ByLists => "by_lists".to_owned(),
        Undo::RouteBack => "route_back".to_owned(),
        Undo::Restore => "restore".to_owned(),
    };
    json!({"step": step(planned.step), "undo": undo, "timeout_ms": planned.timeout_ms})
}

/// A step as text: its word, and the unit where it has one.
pub(super) fn step(step: Step) -> String {
    match step {
        Step::Retire(unit) => format!("retire {unit}"),
        Step::Create(unit) => format!("create {unit}"),
        Step::Start(unit) => format!("start {unit}"),
        Step::Gate => "gate".to_owned(),
        Step::Keep => "keep".to_owned(),
        Step::Swap => "swap".to_owned(),
        Step::Settle => "settle".to_owned(),
        Step::Clear => "clear".to_owned(),
        Step::Await => "await".to_owned(),
        Step::Run(unit) => format!("run {unit}"),
    }
}

pub(super) fn routes(routes: &[Route]) -> Vec<Value> {
    let route =
        |r: &Route| json!({"host": r.host, "path": r.path, "port": r.port, "strip": r.strip, "service": r.service});
    routes.iter().map(route).collect()
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Default => "default",
        Why::Asked => "asked",
        Why::Volume => "volume",
        Why::Port => "port",
        Why::Blue => "blue",
        Why::Storage => "storage",
    }
}

pub(super) fn mounts(mounts: &[Mount]) -> Vec<Value> {
    let one = |mount: &Mount| {
        let (kind, name) = match &mount.from {
            MountFrom::Volume(name) => ("volume", name),
            MountFrom::Folder(path) => ("folder", path),
        };
        json!({kind: name, "target": mount.target, "access": access(mount.access)})
    };
    mounts.iter().map(one).collect()
}

pub(super) fn access(access: Access) -> &'static str {
    match access {
        Access::Exclusive => "exclusive",
        Access::Shared => "shared",
        Access::ReadOnly => "read-only",
    }
}

pub(super) fn ports(ports: &[PublishedPort]) -> Vec<Value> {
    let one = |port: &PublishedPort| {
        json!({
            "address": port.address.to_string(),
            "host": port.host,
            "container": port.container,
            "transport": transport(port.transport),
        })
    };
    ports.iter().map(one).collect()
}

pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

pub(super) fn limits(limits: &Limits) -> Value {
    json!({"memory_bytes": limits.memory_bytes, "cpu_milli": limits.cpu_milli, "pids": limits.pids})
}

const fn on_drift(drift: OnDrift) -> &'static str {
    match drift {
        OnDrift::Repair => "repair",
        OnDrift::Report => "report",
    }
}

pub(super) fn policy(policy: &Policy) -> Value {
    json!({
        "gate_timeout_ms": policy.gate_timeout_ms,
        "liveness_ms": policy.liveness_ms,
        "drain_ms": policy.drain_ms,
        "bake_ms": policy.bake_ms,
        "standby_ms": policy.standby_ms,
        "stop_timeout_ms": policy.stop_timeout_ms,
        "stop_signal": policy.stop_signal,
        "keep_releases": policy.keep_releases,
        "restore_timeout_ms": policy.restore_timeout_ms,
        "wait_for_image_ms": policy.wait_for_image_ms,
        "drift": on_drift(policy.drift),
    })
}
