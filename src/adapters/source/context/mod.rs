//! Build contexts: what a build is given, as one archive whose digest says whether anything changed.
//!
//! | file | holds |
//! |---|---|
//! | `name` | which names an archive may hold, and where links may lead |
//! | `ignore`, `glob` | `.dockerignore`, by Docker's own rules |
//! | `digest` | what makes two contexts the same |
//! | `walk` | which files of a folder are sent |
//! | `pack` | the archive, made of a folder |
//! | `program` | the Dockerfile of a site's own program |
//! | `unpack` | a folder, made of an archive that somebody sent |
//! | `send` | the archive that a person sends |

mod digest;
mod glob;
mod ignore;
mod name;
mod pack;
mod program;
mod send;
#[cfg(test)]
mod tests;
mod unpack;
mod walk;

use std::path::PathBuf;

pub use digest::{Kind, Listing};
pub use ignore::{BadPattern, Ignore};
pub use name::{Name, NameRefused, link_stays};
pub(in crate::adapters) use pack::nameless;
pub use pack::{Context, Dockerfile, Packing, has_dockerfile, pack};
pub use send::{Sends, Sent};
pub use unpack::unpack;

/// Most files, folders and links of a context: ten times a large `node_modules`. What is beyond is a folder that was
/// meant to be in `.dockerignore`.
pub const MAX_ENTRIES: u64 = 500_000;

/// Most bytes of a context, unpacked: 4 GiB. It is written to the disk once, and sent to Docker as a whole.
pub const MAX_BYTES: u64 = 4 << 30;

/// How much a context may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextLimits {
    /// Files, folders and links.
    pub entries: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self { entries: MAX_ENTRIES, bytes: MAX_BYTES }
    }
}

/// Why there is no context. Each is one line for the person who wrote the workload file.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no such folder.
    #[error("there is no folder {}: correct the context of the workload", .0.display())]
    NoFolder(PathBuf),
    /// The Dockerfile is not in it.
    #[error(
        "there is no {file} in the context: name the Dockerfile with `file`, from the folder of the context; nothing outside \
         of that folder is sent"
    )]
    NoDockerfile {
        /// As asked for.
        file: String,
    },
    /// Something in it has a name or kind that is not taken.
    #[error("{name}: {why}")]
    Refused {
        /// What, for a person.
        name: String,
        /// Why.
        why: NameRefused,
    },
    /// More than a context may hold.
    #[error("the context holds more than {limit}: leave out what the build does not need by a .dockerignore")]
    TooLarge {
        /// With its unit.
        limit: String,
    },
    /// A pattern cannot be read.
    #[error("{file}: {why}")]
    Pattern {
        /// The file with the patterns.
        file: String,
        /// Why.
        why: BadPattern,
    },
    /// It is not an archive, or ends in the middle.
    #[error("this is not a tar archive, plain or gzip: {0}")]
    Archive(String),
    /// It was changed while it was read.
    #[error("{0} changed while it was read: deploy again when nothing writes into the folder")]
    Changed(String),
    /// The file system says no.
    #[error("{what}: {error}")]
    Io {
        /// What was done, and to what.
        what: String,
        /// The answer.
        error: std::io::Error,
    },
}

impl ContextError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}

/// What is counted while a context is read.
#[derive(Clone, Copy, Debug)]
struct Room {
    limits: ContextLimits,
    entries: u64,
    bytes: u64,
}

impl Room {
    fn new(limits: ContextLimits) -> Self {
        Self { limits, entries: 0, bytes: 0 }
    }

    /// Counts an entry of this many bytes.
    fn take(&mut self, bytes: u64) -> Result<(), ContextError> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > self.limits.entries {
            return Err(ContextError::TooLarge { limit: format!("{} files", self.limits.entries) });
        }
        if self.bytes > self.limits.bytes {
            return Err(ContextError::TooLarge { limit: format!("{} bytes", self.limits.bytes) });
        }
        Ok(())
    }
}
