//! Archives that people send to be deployed: by their digest, whole or not there, and for as long as somebody may need them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cutover_events::Digest;
use sha2::Digest as _;

use super::files::{PRIVATE_FILE, make_folder, sync_folder};

/// How files are called that are not whole yet.
const PART: &str = ".part";

/// A folder with a file for each archive.
#[derive(Clone, Debug)]
pub struct Uploads {
    folder: PathBuf,
    most: u64,
}

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is larger than one may be.
    #[error(
        "the upload has more than {most} bytes: leave out what is not needed by a .dockerignore, or raise [limits] upload of \
         the engine"
    )]
    TooLarge {
        /// Bytes.
        most: u64,
    },
    /// It is not what its sender said.
    #[error("the upload is not what was announced: it has the digest {is}; send it again")]
    Other {
        /// What came.
        is: Digest,
    },
    /// The file system says no.
    #[error("the upload cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Uploads {
    /// Makes the folder for archives of at most `most` bytes each, and removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: PathBuf, most: u64) -> io::Result<Self> {
        make_folder(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().ends_with(PART) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder, most })
    }

    /// Where an archive is once it is here.
    #[must_use]
    pub fn path(&self, upload: Digest) -> PathBuf {
        self.folder.join(upload.to_string())
    }

    /// Whether an archive may be sent that has so many bytes.
    ///
    /// # Errors
    /// It has too many.
    pub fn room(&self, bytes: u64) -> Result<(), NotTaken> {
        if bytes > self.most { Err(NotTaken::TooLarge { most: self.most }) } else { Ok(()) }
    }

    /// Bytes of an archive that is here, whose age begins anew; `None` when it is not.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn find(&self, upload: Digest, now_ms: u64) -> io::Result<Option<u64>> {
        let file = match OpenOptions::new().append(true).open(self.path(upload)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        file.set_modified(time(now_ms))?;
        Ok(Some(file.metadata()?.len()))
    }

    /// Begins to take one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin(&self) -> io::Result<Incoming> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}{PART}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = self.folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_FILE).open(&path)?;
        Ok(Incoming { part: Part(path), file, hash: sha2::Sha256::new(), bytes: 0, most: self.most })
    }

    /// Gives an archive its name: it is here from now on, after a power cut too.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep(&self, whole: &Whole, upload: Digest) -> io::Result<()> {
        fs::rename(whole.path(), self.path(upload))?;
        sync_folder(&self.folder)
    }

    /// Bytes of everything that is here whole.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn bytes(&self) -> io::Result<u64> {
        Ok(self.by_age()?.iter().map(|(_, _, bytes)| bytes).sum())
    }

    /// Removes one; not being there is success.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(&self, upload: Digest) -> io::Result<()> {
        match fs::remove_file(self.path(upload)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what was asked for longest ago, until the rest has at most so many bytes; says how many.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not removed.
    pub fn remove_beyond(&self, bytes: u64) -> io::Result<usize> {
        let all = self.by_age()?;
        let mut too_many = all.iter().map(|(_, _, bytes)| bytes).sum::<u64>().saturating_sub(bytes);
        let mut gone = 0;
        for (_, upload, bytes) in all {
            if too_many == 0 {
                break;
            }
            self.remove(upload)?;
            too_many = too_many.saturating_sub(bytes);
            gone += 1;
        }
        Ok(gone)
    }

    /// What is here whole, by when it was asked for last, and its bytes.
    fn by_age(&self) -> io::Result<Vec<(SystemTime, Digest, u64)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let upload = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            // What goes meanwhile is not here.
            if let (Some(upload), Ok(meta)) = (upload, entry.metadata()) {
                all.push((meta.modified()?, upload, meta.len()));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Removes archives that nobody has asked for within `age`, but for those that are needed; says how many.
    ///
    /// # Errors
    /// The folder cannot be read, or a file not removed.
    pub fn remove_older(&self, age: Duration, now_ms: u64, needed: &BTreeSet<Digest>) -> io::Result<usize> {
        let limit = time(now_ms).checked_sub(age).unwrap_or(UNIX_EPOCH);
        let mut gone = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let upload = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            let old = || -> io::Result<bool> { Ok(entry.metadata()?.modified()? < limit) };
            if upload.is_some_and(|upload| !needed.contains(&upload)) && old()? {
                fs::remove_file(entry.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }
}

fn time(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

/// A file without its name yet, gone with this unless it got one.
#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %self.0.display(), %error, "an unfinished upload stays until the next start");
            }
            _ => {}
        }
    }
}

/// An archive that is on its way.
#[derive(Debug)]
pub struct Incoming {
    part: Part,
    file: File,
    hash: sha2::Sha256,
    bytes: u64,
    most: u64,
}

impl Incoming {
    /// Takes the next bytes of it.
    ///
    /// # Errors
    /// It becomes too large, or the file system says no.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most {
            return Err(NotTaken::TooLarge { most: self.most });
        }
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// It has come to its end, and is on the disk.
    ///
    /// # Errors
    /// It is not what was announced, or the file system says no.
    pub fn finish(self, announced: Digest) -> Result<Whole, NotTaken> {
        let is = Digest(self.hash.finalize().into());
        if is != announced {
            return Err(NotTaken::Other { is });
        }
        self.file.sync_all()?;
        Ok(Whole { part: self.part, bytes: self.bytes })
    }
}

/// An archive that has come whole, and has no name yet.
#[derive(Debug)]
pub struct Whole {
    part: Part,
    bytes: u64,
}

impl Whole {
    /// Where it lies for the moment.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.part.0
    }

    /// How much it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uploads: &Uploads, content: &[u8]) -> Digest {
        let mut incoming = uploads.begin().unwrap();
        content.chunks(3).for_each(|chunk| incoming.write(chunk).unwrap());
        let digest = Digest::of(content);
        uploads.keep(&incoming.finish(digest).unwrap(), digest).unwrap();
        digest
    }

    #[test]
    fn an_upload_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Uploads::open(folder.path().join("uploads"), 10).unwrap();
        let uploads = open();
        let digest = taken(&uploads, b"0123456789");
        assert_eq!(uploads.find(digest, 1_000_000).unwrap(), Some(10));
        assert_eq!(std::fs::read(uploads.path(digest)).unwrap(), b"0123456789");
        assert_eq!(taken(&uploads, b"0123456789"), digest, "sent twice at once, it is there once");
        let count = || std::fs::read_dir(folder.path().join("uploads")).unwrap().count();
        let mut large = uploads.begin().unwrap();
        assert!(matches!(large.write(&[0; 11]), Err(NotTaken::TooLarge { most: 10 })));
        drop(large);
        let mut other = uploads.begin().unwrap();
        other.write(b"other").unwrap();
        assert!(matches!(other.finish(digest), Err(NotTaken::Other { .. })));
        assert_eq!(count(), 1, "nothing half is left");
        std::mem::forget(uploads.begin().unwrap());
        assert_eq!(count(), 2);
        open();
        assert_eq!(count(), 1, "what a killed process left goes at the next start");
        assert!(uploads.room(10).is_ok() && uploads.room(11).is_err());
    }

    #[test]
    fn an_upload_goes_by_its_age_unless_it_is_needed_or_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(folder.path().to_owned(), 100).unwrap();
        let [needed, old, asked] = [&b"needed"[..], b"old", b"asked"].map(|content| taken(&uploads, content));
        let hour = 3_600_000;
        for upload in [needed, old, asked] {
            uploads.find(upload, hour).unwrap();
        }
        uploads.find(asked, 3 * hour).unwrap();
        let keep = BTreeSet::from([needed]);
        assert_eq!(uploads.remove_older(Duration::from_millis(hour), 3 * hour, &keep).unwrap(), 1);
        let there = |upload| uploads.find(upload, hour).unwrap().is_some();
        assert!(there(needed) && there(asked) && !there(old));
    }

    #[test]
    fn beyond_a_size_what_was_asked_for_longest_ago_goes() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(folder.path().to_owned(), 100).unwrap();
        let all = [&b"1234"[..], b"12345", b"123456"].map(|content| taken(&uploads, content));
        for (at, upload) in [3_000, 1_000, 2_000].into_iter().zip(all) {
            uploads.find(upload, at).unwrap();
        }
        assert_eq!((uploads.bytes().unwrap(), uploads.remove_beyond(15).unwrap()), (15, 0));
        assert_eq!((uploads.remove_beyond(9).unwrap(), uploads.bytes().unwrap()), (2, 4));
        assert!(uploads.find(all[0], 0).unwrap().is_some());
        uploads.remove(all[0]).unwrap();
        uploads.remove(all[0]).unwrap();
        assert_eq!(uploads.bytes().unwrap(), 0);
    }
}
