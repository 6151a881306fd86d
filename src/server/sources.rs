//! Where sources are worked on: folders of the data folder, and a tmpfs for keys.

use std::io;
use std::path::{Path, PathBuf};

use cutover_events::LogId;

use crate::adapters::source::context::ContextLimits;
use crate::adapters::source::git::{Git, GitConfig, Reach};
use crate::adapters::source::{Sources, SourcesConfig};

/// What is in memory alone on every Linux, for root and for everybody else.
const TMPFS: [&str; 2] = ["/run/cutover", "/dev/shm"];

/// Opens them, empty.
pub(super) fn open(dir: &Path, log: LogId, reach: Reach) -> io::Result<Sources> {
    let git = Git::open(GitConfig { reach, ..GitConfig::below(dir, keys(log)) })?;
    Sources::open(SourcesConfig { scratch: dir.join("sources"), limits: ContextLimits::default() }, git)
}

/// Where keys lie while git uses them: on no disk, and in a folder that only this engine has. It is made by the first key.
fn keys(log: LogId) -> PathBuf {
    let user = rustix::process::geteuid();
    let [of_root, shared] = TMPFS.map(PathBuf::from);
    let own = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    let folder = match (user.is_root(), own.is_dir()) {
        (true, _) => of_root,
        (false, true) => own.join("cutover"),
        (false, false) => shared,
    };
    folder.join(format!("keys-{log}"))
}
