//! Files that must survive, and files that must go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// Replaces a file so that after a power cut either the old or the new content is there, whole: written beside,
/// synced, renamed, folder synced.
///
/// # Errors
/// Any of these steps failed; the old content is still there.
pub fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), sync_folder)
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
