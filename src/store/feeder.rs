//! The feeder: takes what is durable from memory into sled, in small batches, for as long as the writer lives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::indexed::Indexed;
use super::journal::Group;
use super::recent::{Fault, Recent};

/// A round at most this often: large batches cost sled less than many small ones.
const FEED_EVERY: Duration = Duration::from_millis(50);
/// One batch, bytes: a large one holds gigabytes (facts: storage).
const FEED_BYTES: usize = 64 * 1024;
/// Free space on the disk that sled is not made to use, bytes. sled does not survive a full disk, the journal does: so
/// the journal is stopped before sled would meet it. A batch and what sled buffers (two of its segments) fit in.
const RESERVE_BYTES: u64 = 2 * 1024 * 1024;

/// What the thread owns.
pub(super) struct Feeder {
    index: Indexed,
    recent: Arc<Recent>,
    dir: PathBuf,
}

impl Feeder {
    /// A feeder of the index of the data folder `dir`.
    pub(super) fn new(index: Indexed, recent: Arc<Recent>, dir: &Path) -> Self {
        Self { index, recent, dir: dir.to_owned() }
    }

    /// Runs until the writer has ended and everything is taken in. When sled fails, appends are refused from then on.
    pub(super) fn run(self) {
        let why = match catch_unwind(AssertUnwindSafe(|| self.feed())) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "sled panicked".to_owned(),
        };
        tracing::error!(error = why, "the index cannot be written; a restart mends it from the journal");
        self.recent.set_fault(Some(Fault::Failed(format!("the index: {why}"))));
    }

    fn feed(&self) -> Result<(), sled::Error> {
        while let Some(first) = self.recent.oldest(FEED_BYTES) {
            if !self.round(first)? {
                return Ok(());
            }
            self.recent.rest(FEED_EVERY);
        }
        Ok(())
    }

    /// Takes in what there is; `false` when the log was closed while there was no room for it.
    fn round(&self, first: Vec<Arc<Group>>) -> Result<bool, sled::Error> {
        let mut ready = Some(first);
        while let Some(groups) = ready {
            if !self.wait_for_room() {
                return Ok(false);
            }
            self.index.apply(&groups)?;
            self.recent.applied(groups.len());
            ready = self.recent.ready(FEED_BYTES);
        }
        Ok(true)
    }

    /// Waits until sled has room to write; `false` when the log was closed meanwhile: the journal has everything.
    fn wait_for_room(&self) -> bool {
        let mut short = false;
        while free_bytes(&self.dir) < RESERVE_BYTES {
            if !short {
                tracing::warn!("almost no space is left for the log; appends are refused until there is some");
                self.recent.set_fault(Some(Fault::NoRoom));
                short = true;
            }
            if self.recent.rest(FEED_EVERY) {
                return false;
            }
        }
        if short {
            tracing::info!("there is space for the log again");
            self.recent.set_fault(None);
        }
        true
    }
}

/// Free space where a folder lies; a system that does not say is taken to have enough.
fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}
