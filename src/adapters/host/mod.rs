//! The port to the host itself: folders that are mounted into containers, and ports that programs hold.

mod memory;
mod real;

use std::path::{Path, PathBuf};

use cutover_events::workload::PublishedPort;

pub use memory::MemoryHost;
pub use real::RealHost;

/// What a folder of the host is for: each use has a key of the configuration that allows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Use {
    /// To be mounted into containers.
    #[default]
    Mount,
    /// To be read as the source of what is deployed.
    Source,
}

impl Use {
    /// The key of the configuration, for messages.
    const fn key(self) -> &'static str {
        match self {
            Self::Mount => "[limits] bind",
            Self::Source => "[limits] sources",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Mount => "mounted",
            Self::Source => "read as a source",
        }
    }

    const fn missing(self) -> &'static str {
        match self {
            Self::Mount => "make it first, with the owner that the program needs",
            Self::Source => "correct the place in the workload file",
        }
    }
}

/// Why a folder of the host is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderRefused {
    /// The configuration does not allow it.
    #[error("{} may not be {}: {} in the configuration of the engine allows {allowed}", path.display(), of.done(), of.key())]
    Outside {
        /// As written.
        path: PathBuf,
        /// What for.
        of: Use,
        /// What is allowed, for a person.
        allowed: String,
    },
    /// It is below an allowed folder by its name, and leads elsewhere.
    #[error("{} may not be {}: it leads to {}, which is outside of {} in the configuration of the engine", path.display(), of.done(), real.display(), of.key())]
    LeadsOut {
        /// As written.
        path: PathBuf,
        /// What for.
        of: Use,
        /// Where it is.
        real: PathBuf,
    },
    /// There is none.
    #[error("there is no {} on the host: {}", path.display(), of.missing())]
    Missing {
        /// As written.
        path: PathBuf,
        /// What for.
        of: Use,
    },
    /// It holds what would make a workload root.
    #[error("{} is never {}: it holds {}, with which a workload would have the whole host", path.display(), of.done(), kept.display())]
    Kept {
        /// As written.
        path: PathBuf,
        /// What for.
        of: Use,
        /// What is kept from workloads.
        kept: PathBuf,
    },
}

/// Why a port cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// A program has it: what is known of it, for a person.
    By(String),
    /// The host does not have the address.
    NoSuchAddress,
}

/// The host that containers run on. Calls look and change nothing; they may block for as long as a file system does.
pub trait Host: Send + Sync + 'static {
    /// The real path of a folder, once it may be mounted: below an allowed folder, symbolic links resolved.
    ///
    /// # Errors
    /// It may not, or is not there.
    fn folder(&self, path: &Path) -> Result<PathBuf, FolderRefused>;

    /// The real path of a folder or an archive, once it may be read as a source.
    ///
    /// # Errors
    /// It may not, or is not there.
    fn source(&self, path: &Path) -> Result<PathBuf, FolderRefused>;

    /// Why a port cannot be had now; `None` when nobody is seen to have it.
    fn taken(&self, port: &PublishedPort) -> Option<Taken>;
}

/// Which folders of the host workloads may have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Folders that may be mounted, with everything below them.
    pub allowed: Vec<PathBuf>,
    /// Folders that sources may be read from, with everything below them.
    pub sources: Vec<PathBuf>,
    /// Sockets and folders that never are, nor anything above or below them.
    pub kept: Vec<PathBuf>,
}

impl Bounds {
    /// What a place comes to, `real` being where a path leads.
    fn judge(&self, of: Use, path: &Path, real: impl Fn(&Path) -> Option<PathBuf>) -> Result<PathBuf, FolderRefused> {
        let written = path.to_owned();
        let allowed = match of {
            Use::Mount => &self.allowed,
            Use::Source => &self.sources,
        };
        // What is outside by its name is not looked for: a refusal says nothing about what is there.
        if !allowed.iter().any(|folder| path.starts_with(folder)) {
            return Err(FolderRefused::Outside { path: written, of, allowed: told(allowed) });
        }
        let Some(found) = real(path) else { return Err(FolderRefused::Missing { path: written, of }) };
        let inside = |folder: &PathBuf| real(folder).is_some_and(|folder| found.starts_with(folder));
        if !allowed.iter().any(inside) {
            return Err(FolderRefused::LeadsOut { path: written, of, real: found });
        }
        let meets = |kept: &&PathBuf| {
            let kept = real(kept).unwrap_or_else(|| (*kept).clone());
            kept.starts_with(&found) || found.starts_with(&kept)
        };
        match self.kept.iter().find(meets) {
            Some(kept) => Err(FolderRefused::Kept { path: written, of, kept: kept.clone() }),
            None => Ok(found),
        }
    }
}

fn told(allowed: &[PathBuf]) -> String {
    if allowed.is_empty() {
        return "none; add the folder there".to_owned();
    }
    let all: Vec<String> = allowed.iter().map(|folder| folder.display().to_string()).collect();
    format!("only what is below {}", all.join(", "))
}
