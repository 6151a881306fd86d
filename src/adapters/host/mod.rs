//! The port to the host itself: folders that are mounted into containers, and ports that programs hold.

mod memory;
mod real;

use std::path::{Path, PathBuf};

use cutover_events::workload::PublishedPort;

pub use memory::MemoryHost;
pub use real::RealHost;

/// The key of the configuration that says which folders may be mounted, for messages.
const KEY: &str = "[limits] bind";

/// Why a folder is not mounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderRefused {
    /// The configuration does not allow it.
    #[error("the folder {} may not be mounted: {KEY} in the configuration of the engine allows {allowed}", path.display())]
    Outside {
        /// As written.
        path: PathBuf,
        /// What is allowed, for a person.
        allowed: String,
    },
    /// It is below an allowed folder by its name, and leads elsewhere.
    #[error("the folder {} may not be mounted: it leads to {}, which is outside of {KEY} in the configuration of the engine", path.display(), real.display())]
    LeadsOut {
        /// As written.
        path: PathBuf,
        /// Where it is.
        real: PathBuf,
    },
    /// There is none.
    #[error("there is no folder {} on the host: make it first, with the owner that the program needs", path.display())]
    Missing {
        /// As written.
        path: PathBuf,
    },
    /// It holds what would make a workload root.
    #[error("the folder {} is never mounted: it holds {}, with which a workload would have the whole host", path.display(), kept.display())]
    Kept {
        /// As written.
        path: PathBuf,
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

    /// Why a port cannot be had now; `None` when nobody is seen to have it.
    fn taken(&self, port: &PublishedPort) -> Option<Taken>;
}

/// Where folders may be mounted from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// Folders that may be mounted, with everything below them.
    pub allowed: Vec<PathBuf>,
    /// Sockets and folders that never are, nor anything above or below them.
    pub kept: Vec<PathBuf>,
}

impl Bounds {
    /// What a folder comes to, `real` being where a path leads.
    fn judge(&self, path: &Path, real: impl Fn(&Path) -> Option<PathBuf>) -> Result<PathBuf, FolderRefused> {
        let written = path.to_owned();
        // What is outside by its name is not looked for: a refusal says nothing about what is there.
        if !self.allowed.iter().any(|folder| path.starts_with(folder)) {
            return Err(FolderRefused::Outside { path: written, allowed: self.told() });
        }
        let Some(found) = real(path) else { return Err(FolderRefused::Missing { path: written }) };
        let inside = |folder: &PathBuf| real(folder).is_some_and(|folder| found.starts_with(folder));
        if !self.allowed.iter().any(inside) {
            return Err(FolderRefused::LeadsOut { path: written, real: found });
        }
        let meets = |kept: &&PathBuf| {
            let kept = real(kept).unwrap_or_else(|| (*kept).clone());
            kept.starts_with(&found) || found.starts_with(&kept)
        };
        match self.kept.iter().find(meets) {
            Some(kept) => Err(FolderRefused::Kept { path: written, kept: kept.clone() }),
            None => Ok(found),
        }
    }

    fn told(&self) -> String {
        if self.allowed.is_empty() {
            return "none; add the folder there".to_owned();
        }
        let all: Vec<String> = self.allowed.iter().map(|folder| folder.display().to_string()).collect();
        format!("only what is below {}", all.join(", "))
    }
}
