//! Files that must survive, and files that must go.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Mode of files that only the engine's user may read.
pub(crate) const PRIVATE_FILE: u32 = 0o600;
/// Mode of folders that only the engine's user may enter.
const PRIVATE_FOLDER: u32 = 0o700;

/// Makes a folder, and those above it, for this user alone; one that exists is left as it is.
///
/// # Errors
/// Those of the file system.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)
}

/// Replaces a file so that after a power cut either the old or the new content is there, whole: written beside,
/// synced, renamed, folder synced. Only this user may read it.
///
/// # Errors
/// Any of these steps failed; the old content is still there.
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let put = write_new(&beside, content).and_then(|()| fs::rename(&beside, path));
    put.inspect_err(|_| discard(&beside))?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// A name of its own for each writer: two may write the same content at once.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE_FILE).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// What was half written must not take room; that it cannot be removed changes nothing for the caller.
fn discard(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::debug!(path = %path.display(), %error, "a half-written file stays behind");
    }
}

/// Makes the names in a folder durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes the files of a folder that were last written more than `age` before `now_ms` (wall clock, ms); says how
/// many went. A folder that is not there holds nothing.
///
/// # Errors
/// The folder cannot be read, or a file not removed.
pub fn remove_older(folder: &Path, age: Duration, now_ms: u64) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let limit = Duration::from_millis(now_ms).saturating_sub(age);
    let mut gone = 0;
    for entry in entries {
        let entry = entry?;
        let meta = entry.metadata()?;
        let written = meta.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        if meta.is_file() && written < limit {
            fs::remove_file(entry.path())?;
            gone += 1;
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_by_many_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.age");
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let path = &path;
                scope.spawn(move || replace_durably(path, &[thread; 5_000]).unwrap());
            }
        });
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 5_000);
        assert!(content.iter().all(|byte| *byte == content[0]), "a mixture of two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_files_beyond_their_age_go() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let now = Duration::from_secs(1_000_000_000);
        for (name, age) in [("new", hour / 2), ("old", hour * 2)] {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + now - age).unwrap();
        }
        assert_eq!(remove_older(dir.path(), hour, now.as_millis() as u64).unwrap(), 1);
        assert!(dir.path().join("new").exists() && !dir.path().join("old").exists());
        assert_eq!(remove_older(&dir.path().join("missing"), hour, 0).unwrap(), 0);
    }
}
