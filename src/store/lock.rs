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
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(NotLocked::Io(error.into()));
        }
        let mut holder = String::new();
        file.read_to_string(&mut holder).map_err(NotLocked::Io)?;
        return Err(NotLocked::HeldBy(holder.trim().to_owned()));
    }
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    match write() {
        // A full disk keeps nobody from starting: the lock holds, only the number is missing.
        Err(error) if error.kind() != io::ErrorKind::StorageFull => Err(NotLocked::Io(error)),
        _ => Ok(Lock { _file: file }),
    }
}
