//! Files that a command makes: run unless a release of the same files, command and environment is there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cutover_events::{Digest, WorkloadId};
use sha2::Digest as _;

use super::{Build, BuildCommand};
use crate::adapters::source::context::Context;

/// What the key begins with; another form of it is another number.
const FORM: &[u8] = b"cutover command 1\0";
/// Where it is noted which release a command has made, in the data folder.
const NOTES: &str = "made";

/// The same for commands that would make the same files, as far as that can be known before: what they fetch is not in it.
/// `fresh` asks for that. Values of the environment are in it by their keyed hash.
pub(super) fn key(build: &Build, command: &BuildCommand, context: &Context) -> Digest {
    let mut hash = sha2::Sha256::new();
    hash.update(FORM);
    hash.update(context.digest().0);
    hash.update(command.mac);
    let mut text = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    text(&command.image);
    text(&command.output);
    text(&command.command.len().to_string());
    command.command.iter().for_each(|word| text(word));
    let settings = &build.settings;
    let fallback = settings.fallback.as_deref().unwrap_or_default();
    for part in [&settings.index, &settings.not_found, fallback] {
        text(part);
    }
    Digest(hash.finalize().into())
}

/// Which release a command has made.
#[derive(Clone, Debug)]
pub(super) struct Notes(PathBuf);

impl Notes {
    pub(super) fn of(data: &Path) -> Self {
        Self(data.join(NOTES))
    }

    /// Notes that a release, which is whole, was made so. A crash before it means that it is made once more.
    pub(super) fn write(&self, workload: WorkloadId, key: Digest, image: &str) -> io::Result<()> {
        let folder = self.0.join(workload.to_string());
        fs::create_dir_all(&folder)?;
        let beside = folder.join(format!("{key}.new"));
        fs::write(&beside, image)?;
        fs::rename(beside, folder.join(key.to_string()))
    }

    /// The image of the release that was made so.
    pub(super) fn find(&self, workload: WorkloadId, key: Digest) -> Option<String> {
        fs::read_to_string(self.0.join(workload.to_string()).join(key.to_string())).ok()
    }

    /// Forgets what was made into a release that goes.
    pub(super) fn forget(&self, workload: WorkloadId, image: &str) -> io::Result<()> {
        let folder = self.0.join(workload.to_string());
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut left = 0;
        for entry in entries {
            let path = entry?.path();
            match fs::read_to_string(&path)? == image {
                true => fs::remove_file(path)?,
                false => left += 1,
            }
        }
        if left == 0 { fs::remove_dir(folder) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKLOAD: WorkloadId = WorkloadId([1; 16]);

    #[test]
    fn what_was_made_is_found_until_its_release_goes() {
        let data = tempfile::tempdir().unwrap();
        let notes = Notes::of(data.path());
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(notes.find(WORKLOAD, one), None);
        notes.forget(WORKLOAD, "site:w/a").unwrap();
        notes.write(WORKLOAD, one, "site:w/a").unwrap();
        notes.write(WORKLOAD, two, "site:w/b").unwrap();
        assert_eq!(notes.find(WORKLOAD, one).as_deref(), Some("site:w/a"));
        assert_eq!(notes.find(WorkloadId([2; 16]), one), None);
        notes.forget(WORKLOAD, "site:w/a").unwrap();
        assert_eq!((notes.find(WORKLOAD, one), notes.find(WORKLOAD, two).as_deref()), (None, Some("site:w/b")));
        notes.forget(WORKLOAD, "site:w/b").unwrap();
        assert_eq!(fs::read_dir(data.path().join("made")).unwrap().count(), 0);
    }
}
