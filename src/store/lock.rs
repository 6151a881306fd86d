//! One engine for each data folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held for as long as it lives; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// This process holds it.
    HeldBy(String),
    /// The file cannot be used.
    Io(io::Error),
}

/// Takes the lock and writes our process id into it, so that the next one can name us.
pub(super) fn take(dir: &Path) -> Result<Lock, NotLocked> {
    let path = dir.join("lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(NotLocked::Io)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(NotLocked::Io)?;
        return Err(NotLocked::HeldBy(holder.trim().to_owned()));
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(NotLocked::Io)?;
    Ok(Lock { _file: file })
}
