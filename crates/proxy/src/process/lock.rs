//! The lock on the folder: held by parent and child together, so that it ends with the last of them.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{ProcessError, io};

/// Takes the lock, or says who holds it.
pub(super) fn take(path: &Path) -> Result<File, ProcessError> {
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(io("open its lock"))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        file.read_to_string(&mut pid).map_err(io("read its lock"))?;
        return Err(ProcessError::Locked { pid: pid.trim().to_owned(), path: path.to_owned() });
    }
    Ok(file)
}

/// Writes the pid that a second proxy names: that of the process which calls.
pub(super) fn sign(lock: OwnedFd) -> Result<File, ProcessError> {
    let mut file = File::from(lock);
    let mut write = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write().map_err(io("sign its lock"))?;
    Ok(file)
}
