//! Mounts: what keeps data, under the name that it has on Docker already.

use cutover_domain::file::check;

use super::One;
use crate::load::joined;
use crate::model::{Mount, Origin, Service};

/// Mounts that a workload may have.
const MAX_VOLUMES: usize = 32;

/// The mounts of a workload.
pub(super) struct Volumes {
    pub(super) mounts: Vec<String>,
    /// Whether one of them keeps data.
    pub(super) writable: bool,
}

pub(super) fn of(one: &mut One<'_>) -> Volumes {
    let mut volumes = Volumes { mounts: Vec::new(), writable: false };
    let service = one.service;
    for mount in &service.mounts {
        let Some(source) = source(one, mount) else { continue };
        if let Err(why) = check::target(&mount.target) {
            one.note(format!("the volume on {}: {why}", mount.target));
            continue;
        }
        if volumes.mounts.len() >= MAX_VOLUMES {
            one.note(format!("the volume on {}: a workload has at most {MAX_VOLUMES}", mount.target));
            continue;
        }
        let access = access(one, mount, &source);
        volumes.writable |= access != ":ro";
        volumes.mounts.push(format!("{source}:{}{access}", mount.target));
    }
    volumes
}

/// What is mounted; nothing, with a note, when it cannot be.
fn source(one: &mut One<'_>, mount: &Mount) -> Option<String> {
    let target = &mount.target;
    let (source, checked) = match mount.from {
        Origin::Volume => {
            let name = volume(one, &mount.source);
            (name.clone(), check::volume(&name).map(|_| ()))
        }
        Origin::Host if one.import.files.contains(&mount.source) => {
            one.note(format!("{} on {target}: it is a file; only folders are mounted", mount.source));
            return None;
        }
        Origin::Host => {
            let path = path(one, &mount.source);
            (path.clone(), check::folder(&path).map(|_| ()))
        }
        Origin::Anonymous => {
            one.note(format!(
                "the volume without a name on {target}: nothing is mounted there; name it to keep its data"
            ));
            return None;
        }
        Origin::Memory => {
            one.note(format!("the memory on {target}: nothing is mounted there"));
            return None;
        }
        Origin::Other => {
            one.note(format!("what is mounted on {target}: only volumes and folders are"));
            return None;
        }
    };
    match checked {
        Ok(()) => Some(source),
        Err(why) => {
            one.note(format!("the volume on {target}: {why}"));
            None
        }
    }
}

/// The name on Docker of a volume of the stack: its data stays.
fn volume(one: &One<'_>, key: &str) -> String {
    match one.verdict.volumes.get(key) {
        Some(Some(name)) => name.clone(),
        Some(None) => format!("{}_{key}", one.import.stack),
        // One that was made elsewhere.
        None => key.to_owned(),
    }
}

fn path(one: &One<'_>, source: &str) -> String {
    match source.strip_prefix('~') {
        Some(rest) => format!("{}{rest}", one.import.home),
        None => joined(&one.import.folder, source),
    }
}

/// Who may write: several may when another service, or the same one at another place, has it too.
fn access(one: &One<'_>, mount: &Mount, source: &str) -> &'static str {
    let same = |service: &Service, other: &Mount| -> bool {
        let kept = matches!(other.from, Origin::Volume | Origin::Host);
        let own = service.name == one.service.name && other.target == mount.target;
        kept && !own && one.names.contains_key(&service.name) && meets(source, &resolved(one, other))
    };
    let others =
        || one.verdict.services.values().flat_map(|service| service.mounts.iter().map(move |other| (service, other)));
    // A service that mounts one thing twice does so for the same access.
    let own = |(service, other): &(&Service, &Mount)| {
        service.name == one.service.name && resolved(one, other) == source && !other.read_only
    };
    let writes = !mount.read_only || others().any(|found| own(&found));
    match (writes, others().any(|(service, other)| same(service, other))) {
        (false, _) => ":ro",
        (true, true) => ":shared",
        (true, false) => "",
    }
}

fn resolved(one: &One<'_>, mount: &Mount) -> String {
    if mount.from == Origin::Volume { volume(one, &mount.source) } else { path(one, &mount.source) }
}

/// Whether two sources are the same, or one folder lies below the other.
fn meets(a: &str, b: &str) -> bool {
    let below = |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    a == b || (a.starts_with('/') && (below(a, b) || below(b, a)))
}
