//! What variables stand for, in the order in which sources are asked.

use std::collections::{BTreeMap, BTreeSet};

/// Variables by name.
pub type Values = BTreeMap<String, String>;

/// The sources of variables: the workload's own, then the environment of the command, then `.env`.
#[derive(Clone, Default)]
pub struct Variables {
    /// The workload's `env` and secrets.
    pub given: Values,
    /// The environment of `check` or `apply`.
    pub environment: Values,
    /// What `.env` beside the file says; [`crate::judge`] adds what it reads.
    pub dotenv: Values,
}

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let layers = [&self.given, &self.environment, &self.dotenv];
        layers.into_iter().find_map(|layer| layer.get(name)).map(String::as_str)
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |values: &Values| values.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("Variables")
            .field("given", &names(&self.given))
            .field("environment", &names(&self.environment))
            .field("dotenv", &names(&self.dotenv))
            .finish()
    }
}

/// What a reading asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Variables that were looked up.
    pub(crate) names: BTreeSet<String>,
    /// Variables that were not set, where nothing stood in for them.
    pub(crate) unset: BTreeSet<String>,
}
