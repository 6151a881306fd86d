//! One command at a time for a project. The command inherits the lock as its standard input, so that it is held for as
//! long as the command or anything that it started lives, also when the engine has died meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};

use super::ComposeError;
use crate::store::files::make_folder;

/// Between two tries: the end of a command is not announced to who did not start it.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// Digits of a process id, more than there can be.
const PID_DIGITS: u64 = 20;

/// Held while it lives, and while a command lives that inherited it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// A copy for a command: the same lock, and not another one.
    pub(super) fn inherit(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Notes whose command it is, for whoever finds it held.
    pub(super) fn sign(&mut self, pid: u32) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{pid}")
    }

    /// The file goes with the project. Who waits for it sees that, and makes a new one.
    pub(super) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// Takes the lock of a project, waiting for at most this time.
pub(super) async fn take(root: &Path, name: &str, wait: Duration) -> Result<Lock, ComposeError> {
    let until = Instant::now() + wait;
    loop {
        match attempt(root, name) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if Instant::now() < until => sleep(TRY_AGAIN).await,
            Ok(None) => return Err(ComposeError::Busy { pid: holder(root, name) }),
            Err(error) => {
                let text = format!("the lock of the project {name} cannot be taken: {error}");
                return Err(ComposeError::Unavailable(text));
            }
        }
    }
}

fn path_of(root: &Path, name: &str) -> PathBuf {
    // No project has a point in its name.
    root.join(format!("{name}.lock"))
}

fn attempt(root: &Path, name: &str) -> io::Result<Option<Lock>> {
    make_folder(root)?;
    let path = path_of(root, name);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Removed by who held it before: a lock on a file without a name keeps nobody away.
    let current = std::fs::metadata(&path).is_ok_and(|named| file.metadata().is_ok_and(|own| own.ino() == named.ino()));
    Ok(current.then_some(Lock { file, path }))
}

fn holder(root: &Path, name: &str) -> String {
    let mut text = String::new();
    let read = File::open(path_of(root, name)).and_then(|file| file.take(PID_DIGITS).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), pid) if !pid.is_empty() => pid.to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_inherits_it_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = take(root.path(), "a", Duration::ZERO).await.unwrap();
        lock.sign(4711).unwrap();
        let busy = take(root.path(), "a", Duration::ZERO).await.unwrap_err();
        assert_eq!(busy, ComposeError::Busy { pid: "4711".to_owned() });
        assert!(take(root.path(), "b", Duration::ZERO).await.is_ok());
        let inherited = lock.inherit().unwrap();
        drop(lock);
        assert!(take(root.path(), "a", Duration::ZERO).await.is_err());
        drop(inherited);
        let lock = take(root.path(), "a", Duration::ZERO).await.unwrap();
        lock.remove().unwrap();
        assert!(take(root.path(), "a", Duration::from_secs(5)).await.is_ok());
    }
}
