//! Folders for one piece of work, gone with it; what a killed process left goes at the next start.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder for one piece of work.
#[derive(Debug)]
pub(in crate::adapters) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below a folder that this process has to itself.
    pub(in crate::adapters) fn make(below: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        make_private(below)?;
        let path = below.join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(in crate::adapters) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!(path = %self.0.display(), %error, "a scratch folder stays until the next start");
        }
    }
}

/// A folder for this user alone, and those above it.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a folder for this user alone, and removes what is in it.
pub(super) fn make_empty(folder: &Path) -> io::Result<()> {
    remove(folder)?;
    make_private(folder)
}

/// Removes a folder with what is in it; that there is none is success.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
