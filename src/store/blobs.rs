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

    /// Removes content that nothing names any more; what is not there is removed already.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, digest: Digest) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => files::sync_folder(&self.dir),
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_by_its_digest_and_nothing_else_is_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
        let digest = blobs.keep(b"content").unwrap();
        assert_eq!(blobs.keep(b"content").unwrap(), digest, "keeping it again is harmless");
        assert_eq!(blobs.read(digest).unwrap(), b"content");
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 1, "nothing stays beside it");
        fs::write(dir.path().join("blobs").join(digest.to_string()), b"other").unwrap();
        assert_eq!(blobs.read(digest).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(blobs.read(Digest([1; 32])).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
