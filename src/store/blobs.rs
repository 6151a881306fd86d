//! Content-addressed files: what is larger than an event, and sealed values.

use std::fs;
use std::io;
use std::path::PathBuf;

use cutover_events::Digest;

use super::files;

/// The folder `blobs/` of a data folder.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        files::make_folder(&dir)?;
        Ok(Self { dir })
    }

    /// Keeps content; it is durable when this returns, so that an event may name it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, content: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(content);
        let path = self.path(digest);
        if path.exists() {
            // Whoever wrote it may not have made its name durable yet.
            files::sync_folder(&self.dir)?;
        } else {
            files::replace_durably(&path, content)?;
        }
        Ok(digest)
    }

    /// The content of a digest.
    ///
    /// # Errors
    /// It is not there, or not what its name says.
    pub fn read(&self, digest: Digest) -> io::Result<Vec<u8>> {
        let content = fs::read(self.path(digest))?;
        if Digest::of(&content) == digest { Ok(content) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}
