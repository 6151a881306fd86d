//! Events of the registry and of the engine.

use cutover_events::engine::{EngineStarted, HeldCause, LogBegun};
use cutover_events::secret::{SecretRekeyed, SecretSet, SecretUse, SecretUsed, SecretWay};
use cutover_events::workload::{
    Check, Claim, Hardening, HookAdded, Process, Provider, Pull, ReleaseCommand, Source, Spec, SpecRevised, StaticMode,
};
use serde_json::{Value, json};

use super::plan;

pub(super) fn log_begun(e: &LogBegun) -> Value {
    json!({"log_id": e.log.to_string()})
}

pub(super) fn engine_started(e: &EngineStarted) -> Value {
    json!({
        "instance": e.instance.to_string(),
        "log_id": e.log.to_string(),
        "boot": hex::encode(e.boot.0),
        "daemon": e.daemon,
        "router": e.router.map(|router| router.to_string()),
        "version": e.version,
    })
}

pub(super) fn held(cause: HeldCause) -> &'static str {
    match cause {
        HeldCause::LogWentBack => "log-went-back",
        HeldCause::DaemonChanged => "daemon-changed",
        HeldCause::RouterAhead => "router-ahead",
    }
}

pub(super) fn hook_added(e: &HookAdded) -> Value {
    let (provider, header) = match &e.provider {
        Provider::GitHub => ("github", "x-hub-signature-256"),
        Provider::Generic { header } => ("generic", header.as_str()),
    };
    json!({"hook_id": e.hook.to_string(), "name": e.name, "provider": provider, "header": header})
}

pub(super) fn secret_set(e: &SecretSet) -> Value {
    json!({
        "project": e.project,
        "secret": e.name,
        "version": e.version,
        "hash": hex::encode(e.mac),
        "dropped": e.dropped,
    })
}

pub(super) fn secret_rekeyed(e: &SecretRekeyed) -> Value {
    let versions: Vec<u32> = e.sealed.iter().map(|(version, _)| *version).collect();
    json!({"project": e.project, "secret": e.name, "versions": versions})
}

/// The versions of secrets that something was made with: a hash is keyed, and says only whether a value is the same.
pub(super) fn secrets_used(used: &[SecretUsed]) -> Vec<Value> {
    let one = |used: &SecretUsed| {
        let hash = hex::encode(used.mac);
        json!({"secret": used.name, "version": used.version, "hash": hash, "way": way(used.way)})
    };
    used.iter().map(one).collect()
}

pub(in crate::api) const fn way(way: SecretWay) -> &'static str {
    match way {
        SecretWay::File => "file",
        SecretWay::Env => "env",
        SecretWay::Build => "build",
        SecretWay::Login => "login",
    }
}

fn secret(used: &SecretUse) -> Value {
    json!({"secret": used.name, "way": way(used.way)})
}

pub(super) fn spec_revised(e: &SpecRevised) -> Value {
    json!({
        "workload_id": e.workload.to_string(),
        "revision": e.revision,
        "deploy": e.deploy,
        "claims": claims(&e.claims),
        "spec": spec(&e.spec),
    })
}

pub(in crate::api) fn claims(claims: &[Claim]) -> Vec<String> {
    let text = |claim: &Claim| match claim {
        Claim::Name(name) => format!("name:{name}"),
        Claim::Stack(name) => format!("stack:{name}"),
        Claim::Route { host, path } => format!("route:{host}{path}"),
        Claim::Volume { name, access, .. } => format!("volume:{name}:{}", plan::access(*access)),
        Claim::Port { address, port, transport } => {
            format!("port:{}/{}", std::net::SocketAddr::new(*address, *port), plan::transport(*transport))
        }
    };
    claims.iter().map(text).collect()
}

/// The spec as recorded: of the environment only the names.
fn spec(spec: &Spec) -> Value {
    let triggers = spec.triggers.iter().map(|t| {
        json!({
            "hook": t.hook, "repo": t.repo, "branch": t.branch, "tag": t.tag, "image": t.image, "paths": t.paths,
        })
    });
    json!({
        "source": source(&spec.source),
        "routes": plan::routes(&spec.routes),
        "env": spec.env.iter().map(|var| var.name.as_str()).collect::<Vec<_>>(),
        "command": spec.command,
        "volumes": plan::mounts(&spec.mounts),
        "ports": plan::ports(&spec.ports),
        "limits": plan::limits(&spec.limits),
        "hardening": hardening(spec.hardening),
        "health": spec.health.as_ref().map(health),
        "replicas": spec.replicas,
        "triggers": triggers.collect::<Vec<_>>(),
        "policy": plan::policy(&spec.policy),
        "processes": spec.processes.iter().map(process).collect::<Vec<_>>(),
        "after": spec.after,
        "release": spec.release.as_ref().map(release),
        "secrets": spec.secrets.iter().map(secret).collect::<Vec<_>>(),
    })
}

fn release(release: &ReleaseCommand) -> Value {
    json!({"command": release.command, "timeout_ms": release.timeout_ms, "on_crash": plan::on_crash(release.on_crash)})
}

/// The source as recorded: of build arguments only the names, of a stack's text only whether there is one.
fn source(source: &Source) -> Value {
    match source {
        Source::Image(image) => json!({
            "kind": "image",
            "image": image.reference,
            "pull": pull(image.pull),
            "platform": image.platform,
            "credentials": image.credentials,
            "deploy_strategy": image.deploy_strategy,
        }),
        Source::Dockerfile(build) => json!({
            "kind": "dockerfile",
            "context": build.context,
            "file": build.file,
            "target": build.target,
            "args": build.args.iter().map(|arg| arg.name.as_str()).collect::<Vec<_>>(),
            "secrets": build.secrets,
            "credentials": build.credentials,
            "deploy_strategy": build.deploy_strategy,
        }),
        Source::Static(site) => json!({
            "kind": "static",
            "path": site.path,
            "mode": mode(site.mode),
            "storage": site.storage.as_ref().map(|mount| plan::mounts(std::slice::from_ref(mount))),
            "build": site.build.as_ref().map(|build| json!({
                "image": build.image, "command": build.command, "output": build.output,
            })),
            "index": site.index,
            "not_found": site.not_found,
            "fallback": site.fallback,
            "assets_grace_ms": site.assets_grace_ms,
            "credentials": site.credentials,
            "deploy_strategy": site.deploy_strategy,
        }),
        Source::Compose(stack) => json!({
            "kind": "compose",
            "file": stack.file,
            "compose_yaml": stack.text.is_some(),
            "compose_project_name": stack.project_name,
            "adopt": stack.adopt,
            "credentials": stack.credentials,
            "deploy_strategy": stack.deploy_strategy,
        }),
    }
}

fn mode(mode: StaticMode) -> &'static str {
    match mode {
        StaticMode::Files => "files",
        StaticMode::Deno => "deno",
    }
}

fn process(process: &Process) -> Value {
    json!({
        "name": process.name,
        "command": process.command,
        "replicas": process.replicas,
        "limits": plan::limits(&process.limits),
        "health": process.health.as_ref().map(health),
    })
}

fn pull(pull: Pull) -> &'static str {
    match pull {
        Pull::Missing => "missing",
        Pull::Always => "always",
        Pull::Never => "never",
    }
}

pub(super) fn hardening(hardening: Hardening) -> &'static str {
    match hardening {
        Hardening::Default => "default",
        Hardening::Strict => "strict",
    }
}

pub(super) fn health(health: &cutover_events::workload::Health) -> Value {
    let check = match &health.check {
        Check::Http { path, host, low, high } => {
            json!({"kind": "http", "path": path, "host": host, "low": low, "high": high})
        }
        Check::Tcp => json!({"kind": "tcp"}),
    };
    json!({
        "check": check,
        "port": health.port,
        "interval_ms": health.interval_ms,
        "timeout_ms": health.timeout_ms,
    })
}
