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
