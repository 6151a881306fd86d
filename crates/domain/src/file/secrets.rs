//! What a workload is given of the secrets of its project: as files, and inside of values of its environment.

use std::collections::{BTreeMap, BTreeSet};

use cutover_events::secret::{SecretUse, SecretWay};
use cutover_events::workload::Spec;

use super::check;
use super::strict::{Entry, Fault};
use crate::secret;

/// Secrets that one workload is given, files and references together: many times of what workloads have, and all of them
/// are in each of its plans.
pub(super) const MAX_USED: usize = 64;
/// Where their files are in a container.
pub const FOLDER: &str = "/run/secrets";

/// The key `secrets`: names, each of which becomes a file.
pub(super) fn read(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for one in entry.elements(MAX_USED)? {
        let name = one.text(check::secret)?;
        if names.contains(&name) {
            return Err(one.fault(format!("{name} is named twice")));
        }
        names.push(name);
    }
    Ok(names)
}

/// The same names from a program.
pub(super) fn judged(given: Vec<String>) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for (index, name) in given.into_iter().enumerate() {
        let key = format!("secrets[{index}]");
        let name = check::secret(&name).map_err(|text| Fault::new(&*key, text))?;
        if names.contains(&name) {
            return Err(Fault::new(key, format!("{name} is named twice")));
        }
        names.push(name);
    }
    Ok(names)
}

/// Everything that a workload is given, sorted.
pub(super) fn used(files: Vec<String>, env: &BTreeMap<String, String>) -> Result<Vec<SecretUse>, Fault> {
    let file = |name: String| SecretUse { name, way: SecretWay::File };
    let mut all: BTreeSet<SecretUse> = files.into_iter().map(file).collect();
    for (variable, value) in env {
        let names = secret::names(value).map_err(|text| Fault::new(format!("env.{variable}"), text))?;
        all.extend(names.into_iter().map(|name| SecretUse { name: name.to_owned(), way: SecretWay::Env }));
    }
    if all.len() > MAX_USED {
        return Err(Fault::new("secrets", format!("{} secrets; at most {MAX_USED} are allowed", all.len())));
    }
    Ok(all.into_iter().collect())
}

/// The names of those that become files.
pub(super) fn files(spec: &Spec) -> Vec<String> {
    spec.secrets.iter().filter(|used| used.way == SecretWay::File).map(|used| used.name.clone()).collect()
}

/// Refuses a mount where the files of secrets are.
pub(super) fn beside_mounts(spec: &Spec) -> Result<(), Fault> {
    let within =
        |target: &str| target.strip_prefix(FOLDER).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let at = spec.mounts.iter().position(|mount| within(&mount.target));
    match at.filter(|_| !files(spec).is_empty()) {
        Some(at) => Err(Fault::new(
            format!("volumes[{at}]"),
            format!("{FOLDER} is where the files of secrets are: mount it elsewhere"),
        )),
        None => Ok(()),
    }
}
