//! Last output of containers that failed: kept beside the log, never in it, and never sent outside.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use cutover_events::UnitId;

/// The folder `output/` of the data folder.
#[derive(Clone, Debug)]
pub struct Outputs {
    dir: PathBuf,
}

impl Outputs {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// Keeps the last output of a unit; what was kept before is replaced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, unit: UnitId, text: &str) -> io::Result<()> {
        std::fs::write(self.path(unit), text)
    }

    /// What was kept, `None` when nothing was, or it was removed by age.
    #[must_use]
    pub fn read(&self, unit: UnitId) -> Option<String> {
        std::fs::read_to_string(self.path(unit)).ok()
    }

    /// Removes what is older than `age` at the time `now_ms` (wall clock, ms); says how many files went.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn remove_older(&self, age: Duration, now_ms: u64) -> io::Result<usize> {
        crate::store::files::remove_older(&self.dir, age, now_ms)
    }

    fn path(&self, unit: UnitId) -> PathBuf {
        self.dir.join(format!("{unit}.log"))
    }
}
