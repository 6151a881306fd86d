//! Where sources are worked on: folders of the data folder, and a tmpfs for keys.

use std::io;
use std::path::PathBuf;

use cutover_events::LogId;

use crate::adapters::source::context::ContextLimits;
use crate::adapters::source::git::{Git, GitConfig, Reach};
use crate::adapters::source::{Sources, SourcesConfig};
use crate::config::{Config, GitAddresses};
use crate::store::uploads::Uploads;

/// What is in memory alone on every Linux, for root and for everybody else.
const TMPFS: [&str; 2] = ["/run/cutover", "/dev/shm"];

/// Opens them, empty, and what people have sent; or says which folder it was.
pub(super) fn open(config: &Config, log: LogId) -> Result<(Sources, Uploads), (&'static str, io::Error)> {
    let (dir, what) = (&config.data_dir, "the folders of sources");
    let reach = match config.limits.git {
        GitAddresses::Safe => Reach::Safe,
        GitAddresses::Plain => Reach::Plain,
    };
    let git = Git::open(GitConfig { reach, ..GitConfig::below(dir, keys(log)) }).map_err(|error| (what, error))?;
    let own = SourcesConfig { scratch: dir.join("sources"), limits: ContextLimits::default() };
    let sources = Sources::open(own, git).map_err(|error| (what, error))?;
    let uploads = Uploads::open(dir.join("uploads"), config.limits.upload_bytes);
    Ok((sources, uploads.map_err(|error| ("the folder of uploads", error))?))
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
