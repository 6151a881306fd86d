//! Workload files: what people write (TOML) and what programs send (the canonical JSON) become one spec.
//!
//! [`read`] parses a file; [`Canonical`] is the JSON form; [`difference`] tells two specs apart for people. [`check`]
//! holds what one value may be, [`whole`] what values may be together, so that both forms mean the same.

mod after;
mod canonical;
pub mod check;
mod compose;
mod difference;
mod dockerfile;
mod fits;
mod health;
mod image;
mod limits;
mod policy;
mod ports;
mod processes;
pub mod quantity;
mod release;
mod routes;
pub mod schema;
mod secrets;
mod site;
mod source;
pub mod strict;
#[cfg(test)]
mod tests;
mod triggers;
mod volumes;
mod whole;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use cutover_events::workload::{Claim, Spec};

pub use canonical::{Canonical, CanonicalHealth, CanonicalLimits, CanonicalPolicy, CanonicalRelease, CanonicalRoute};
pub use canonical::{CanonicalBuild, CanonicalCompose, CanonicalDockerfile, CanonicalImage, CanonicalStatic};
pub use canonical::{
    CanonicalCheck, CanonicalPort, CanonicalProcess, CanonicalSource, CanonicalTrigger, CanonicalVolume,
};
pub use compose::project_name;
pub use difference::{difference, show};
pub use secrets::FOLDER as SECRETS_FOLDER;
pub use strict::{BadFile, Fault};
use strict::{Section, Words};

use crate::context::Context;
use crate::registry;

/// Bytes of a workload file: a thousand workloads fit, and nothing of that size takes noticeable time.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;
/// Workloads of one file: one apply is judged as a whole, within a second (`scripts/bench sources`).
pub const MAX_WORKLOADS: usize = 1_024;
/// The project of a file that names none.
pub const DEFAULT_PROJECT: &str = "default";

/// One workload as declared: what is recorded, and the values that are sealed before it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Declared {
    /// The namespace and network.
    pub project: String,
    /// The name within the project.
    pub name: String,
    /// The spec, without the values that are sealed before they are named.
    pub spec: Spec,
    /// Those values.
    pub values: Values,
    /// What was probably not meant so, one line each.
    pub warnings: Vec<String>,
}

/// What may hold secrets: sealed before it is recorded, in no message, and in no debug output.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Values {
    /// The environment, by name.
    pub env: BTreeMap<String, String>,
    /// Arguments of a build, by name.
    pub args: BTreeMap<String, String>,
    /// The text of a stack.
    pub compose_yaml: Option<String>,
}

impl Declared {
    /// `project/name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.project, self.name)
    }

    /// What the configuration of a server must allow for it, one line each: who judges a file without a server tells it,
    /// and a server refuses what it does not allow.
    #[must_use]
    pub fn asked_of_the_server(&self) -> Vec<String> {
        whole::of_the_server(&self.spec)
    }

    /// The same, seen from everywhere: what is relative in its source is meant from `base`, an absolute path.
    #[must_use]
    pub fn below(mut self, base: &str) -> Self {
        if let Some(place) = source::place(&mut self.spec.source)
            && let Ok(context) = Context::parse(place)
        {
            *place = context.below(base).to_string();
        }
        self
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values")
            .field("env", &self.env.keys())
            .field("args", &self.args.keys())
            .field("compose_yaml", &self.compose_yaml.as_ref().map(String::len))
            .finish()
    }
}

pub(crate) const TOP: Words = Words { known: &["project", "workloads"], later: &[] };

/// Reads a workload file: all of its workloads, in the order of the file, or the first fault.
///
/// # Errors
/// Anything that is not understood completely. The error is one line, and never repeats a value of the environment.
pub fn read(path_name: &str, bytes: &[u8]) -> Result<Vec<Declared>, BadFile> {
    strict::parse(path_name, bytes, MAX_FILE_BYTES, |top| workloads(&top))
}

fn workloads(top: &Section<'_>) -> Result<Vec<Declared>, Fault> {
    top.expect(TOP)?;
    let project = top.read("project", |entry| entry.text(check::name))?;
    let project = project.unwrap_or_else(|| DEFAULT_PROJECT.to_owned());
    let found = top.read("workloads", |entry| Ok((entry.clone(), entry.section()?.entries())))?;
    let Some((workloads, entries)) = found.filter(|(_, entries)| !entries.is_empty()) else {
        return Err(top.fault(format!(
            "no workload; expected at least one [workloads.NAME] with its source: {}",
            source::SOURCES
        )));
    };
    if entries.len() > MAX_WORKLOADS {
        return Err(workloads
            .key_fault(format!("{} workloads; at most {MAX_WORKLOADS} are allowed in one file", entries.len())));
    }
    let places = entries.clone();
    let mut held = BTreeSet::new();
    let mut claimed = Claimed::default();
    let mut declared = Vec::with_capacity(entries.len());
    for entry in entries {
        let one = workload::read(&entry, &project)?;
        for route in &one.spec.routes {
            if !held.insert((route.host.clone(), route.path.clone())) {
                let text = format!("{}{} is routed to another workload of this file too", route.host, route.path);
                return Err(entry.key_fault(text));
            }
        }
        claimed.take(&one).map_err(|text| entry.key_fault(text))?;
        declared.push(one);
    }
    after::judge(&declared).map_err(|(name, text)| match places.iter().find(|entry| entry.name == name) {
        Some(entry) => {
            entry.section().map_or_else(|fault| fault, |section| section.fault_below(&Fault::new("after", text)))
        }
        None => workloads.key_fault(text),
    })?;
    Ok(declared)
}

/// What the workloads of a file take of the host, by the name of a volume or the number of a port.
#[derive(Default)]
struct Claimed(BTreeMap<String, Vec<(Claim, String)>>);

impl Claimed {
    /// Takes what one more workload needs; refuses what another one has for itself.
    fn take(&mut self, one: &Declared) -> Result<(), String> {
        for claim in registry::claims(&one.project, &one.name, &one.spec) {
            let of = match &claim {
                Claim::Name(_) | Claim::Route { .. } => continue,
                Claim::Stack(name) => name.clone(),
                // Of two folders one may lie below the other.
                Claim::Volume { name, .. } if name.starts_with('/') => "/".to_owned(),
                Claim::Volume { name, .. } => name.clone(),
                Claim::Port { port, .. } => port.to_string(),
            };
            let holders = self.0.entry(of).or_default();
            if let Some((_, holder)) = holders.iter().find(|(other, _)| registry::clash(other, &claim)) {
                return Err(format!(
                    "{} is needed by {holder} of this file too, and both cannot have it",
                    registry::told(&claim)
                ));
            }
            holders.push((claim, one.name.clone()));
        }
        Ok(())
    }
}
