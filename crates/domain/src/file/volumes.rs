//! `volumes`: `"NAME:/target"`, `"/folder:/target:ro"`, or tables with all keys.

use cutover_events::workload::{Access, Mount, MountFrom};

use super::check;
use super::strict::{Entry, Fault, Section, Words, choice, quoted};

/// Mounts of one workload: many times of what programs need, and small enough for the plan that repeats them.
pub(super) const MAX_VOLUMES: usize = 32;
/// Parts of the short form: what, where to, and who may write.
const PARTS: std::ops::RangeInclusive<usize> = 2..=3;

/// What `access` may say.
pub(super) const ACCESSES: &[(&str, Access)] =
    &[("exclusive", Access::Exclusive), ("shared", Access::Shared), ("read-only", Access::ReadOnly)];
/// What the short form may end with; nothing is the first.
const SUFFIXES: &[(&str, Access)] = &[("rw", Access::Exclusive), ("shared", Access::Shared), ("ro", Access::ReadOnly)];

pub(super) const WORDS: Words = Words { known: &["volume", "folder", "target", "access"], later: &[] };

/// All mounts, in the order of the file.
pub(super) fn read(entry: &Entry<'_>) -> Result<Vec<Mount>, Fault> {
    let mut mounts = Vec::new();
    for one in entry.values(MAX_VOLUMES)? {
        let mount = match one.as_section() {
            Some(section) => table(&section)?,
            None if one.as_string().is_none() => {
                return Err(one.wrong("\"NAME:/target\" or a table { volume, target, access }"));
            }
            None => one.text(short)?,
        };
        add(&mut mounts, mount).map_err(|text| one.fault(text))?;
    }
    Ok(mounts)
}

fn short(text: &str) -> Result<Mount, String> {
    let parts: Vec<&str> = text.split(':').collect();
    if !PARTS.contains(&parts.len()) {
        return Err(format!(
            "{} is not a volume; expected \"NAME:/target\", \"NAME:/target:shared\" or \"/folder:/target:ro\"",
            quoted(text)
        ));
    }
    let access = match parts.get(2) {
        Some(suffix) => suffix_of(suffix)?,
        None => Access::Exclusive,
    };
    let from = if parts[0].starts_with(['/', '.', '~']) { folder(parts[0])? } else { volume(parts[0])? };
    Ok(Mount { from, target: check::target(parts[1])?, access })
}

fn suffix_of(text: &str) -> Result<Access, String> {
    let known = SUFFIXES.iter().find(|(suffix, _)| *suffix == text).map(|(_, access)| *access);
    known.ok_or_else(|| {
        let all: Vec<&str> = SUFFIXES.iter().map(|(suffix, _)| *suffix).collect();
        format!("{} is not who may write; allowed is {}", quoted(text), choice(&all))
    })
}

fn table(section: &Section<'_>) -> Result<Mount, Fault> {
    section.expect(WORDS)?;
    let named = section.read("volume", |entry| entry.text(volume))?;
    let folder = section.read("folder", |entry| entry.text(folder))?;
    let from = match (named, folder) {
        (Some(from), None) | (None, Some(from)) => from,
        _ => return Err(section.fault("exactly one of volume = \"NAME\" and folder = \"/PATH\" is needed")),
    };
    let Some(target) = section.read("target", |entry| entry.text(check::target))? else {
        return Err(section.fault("\"target\" is missing; expected an absolute path inside the container"));
    };
    let access = section.read("access", |entry| entry.text(|text| check::word(text, ACCESSES)))?;
    Ok(Mount { from, target, access: access.unwrap_or(Access::Exclusive) })
}

/// A volume of Docker.
pub(super) fn volume(text: &str) -> Result<MountFrom, String> {
    check::volume(text).map(MountFrom::Volume)
}

/// A folder of the host.
pub(super) fn folder(text: &str) -> Result<MountFrom, String> {
    check::folder(text).map(MountFrom::Folder)
}

/// Adds a mount whose target is not taken yet.
pub(super) fn add(mounts: &mut Vec<Mount>, mount: Mount) -> Result<(), String> {
    if mounts.iter().any(|other| other.target == mount.target) {
        return Err(format!("something is mounted on {} twice", mount.target));
    }
    if mounts.iter().any(|other| other.from == mount.from && other.access != mount.access) {
        return Err(format!("{} is mounted twice, and not for the same access", show_from(&mount.from)));
    }
    if mounts.len() >= MAX_VOLUMES {
        return Err(format!("more than {MAX_VOLUMES} volumes"));
    }
    mounts.push(mount);
    Ok(())
}

/// What is mounted, as files write it.
pub(super) fn show_from(from: &MountFrom) -> &str {
    match from {
        MountFrom::Volume(name) | MountFrom::Folder(name) => name,
    }
}

/// The short form; what is the default is left out.
pub(super) fn show(mount: &Mount) -> String {
    let suffix = match mount.access {
        Access::Exclusive => "",
        Access::Shared => ":shared",
        Access::ReadOnly => ":ro",
    };
    format!("{}:{}{suffix}", show_from(&mount.from), mount.target)
}
