//! Secrets of a project: names, versions and keyed hashes. Values are in sealed blobs and never in an event.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// A secret that a spec names, and how what runs of it gets the value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SecretUse {
    /// Its name within the project.
    pub name: String,
    /// How.
    pub way: SecretWay,
}

/// How a value is handed over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum SecretWay {
    /// A file in `/run/secrets`, on a tmpfs of the host.
    File,
    /// Inside a value of the environment: whoever may inspect the container sees it.
    Env,
    /// A file that steps of a build may read while they run.
    Build,
    /// What opens a registry.
    Login,
}

/// The version of a secret that something was made with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SecretUsed {
    /// Its name within the project.
    pub name: String,
    /// Counts from 1, and is never given to another value.
    pub version: u32,
    /// Keyed hash of the value: equal for equal values of one project.
    pub mac: [u8; 16],
    /// How it was handed over.
    pub way: SecretWay,
}

/// A secret has a new value.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SecretSet {
    /// Whose.
    pub project: String,
    /// Its name within the project.
    pub name: String,
    /// The last one + 1, also where it was removed in between.
    pub version: u32,
    /// The sealed blob that holds the value.
    pub sealed: Digest,
    /// Keyed hash of the value.
    pub mac: [u8; 16],
    /// Older versions whose values are kept no longer.
    pub dropped: Vec<u32>,
}

/// A secret is gone, with all of its versions.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SecretRemoved {
    /// Whose.
    pub project: String,
    /// Its name within the project.
    pub name: String,
}

/// The versions of a secret are sealed anew, with another identity; the values are the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SecretRekeyed {
    /// Whose.
    pub project: String,
    /// Its name within the project.
    pub name: String,
    /// Each version that is kept, with the blob that holds it from here on.
    pub sealed: Vec<(u32, Digest)>,
}
