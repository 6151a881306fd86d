//! The twin of sources: repositories and folders whose files a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::context::{Context, ContextLimits, Name, Packing, pack};
use super::git::{Commit, GitError, Reference, Remote};
use super::{Origin, Source, SourceError};

/// Files by name.
type Files = BTreeMap<String, String>;

/// Sources in memory. Contexts of folders are packed where they are, so they are the same as those of the real thing.
#[derive(Debug)]
pub struct MemorySources {
    scratch: PathBuf,
    commits: Mutex<BTreeMap<(String, Commit), Files>>,
    references: Mutex<BTreeMap<(String, String), Commit>>,
    away: Mutex<BTreeSet<String>>,
}

impl MemorySources {
    /// Writes what it packs below this folder.
    #[must_use]
    pub fn new(scratch: PathBuf) -> Self {
        Self { scratch, commits: Mutex::default(), references: Mutex::default(), away: Mutex::default() }
    }

    /// A repository has this commit, and the reference names it.
    pub fn commit(&self, address: &str, reference: &str, commit: &Commit, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect();
        self.commits.lock().insert((address.to_owned(), commit.clone()), files);
        self.references.lock().insert((address.to_owned(), reference.to_owned()), commit.clone());
    }

    /// A repository cannot be reached from now on.
    pub fn cut_off(&self, address: &str) {
        self.away.lock().insert(address.to_owned());
    }

    fn reach(&self, remote: &Remote) -> Result<(), GitError> {
        let remote = remote.address.to_string();
        let away = self.away.lock().contains(&remote);
        if away { Err(GitError::Unreachable { remote, why: "it is cut off".to_owned() }) } else { Ok(()) }
    }

    fn files(&self, remote: &Remote, commit: &Commit) -> Result<Files, GitError> {
        self.reach(remote)?;
        let files = self.commits.lock().get(&(remote.address.to_string(), commit.clone())).cloned();
        files.ok_or_else(|| GitError::NoReference { remote: remote.address.to_string(), reference: commit.to_string() })
    }

    fn packed(&self, folder: &Path, file: &str, stop: &CancellationToken) -> Result<Context, SourceError> {
        let limits = ContextLimits::default();
        let packing = Packing { file: file.to_owned(), scratch: self.scratch.clone(), limits, stop: stop.clone() };
        Ok(pack(folder, &packing)?)
    }

    fn checked_out(&self, files: &Files, commit: &Commit) -> io::Result<PathBuf> {
        let folder = self.scratch.join(commit.as_str());
        for (name, content) in files {
            let path = folder.join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, content)?;
        }
        Ok(folder)
    }
}

#[async_trait]
impl Source for MemorySources {
    async fn context(&self, origin: &Origin, file: &str, stop: &CancellationToken) -> Result<Context, SourceError> {
        if stop.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        match origin {
            Origin::Folder(folder) => self.packed(folder, file, stop),
            Origin::Archive(archive) => {
                Err(GitError::Failed(format!("{} is not unpacked here", archive.display())).into())
            }
            Origin::Git { remote, commit, folder } => {
                let files = self.files(remote, commit)?;
                let failed = |error: io::Error| GitError::Failed(error.to_string());
                let checkout = self.checked_out(&files, commit).map_err(failed)?;
                let context = super::git::folder_of(&checkout, commit, folder).map_err(SourceError::from);
                let context = context.and_then(|folder| self.packed(&folder, file, stop));
                std::fs::remove_dir_all(&checkout).map_err(failed)?;
                context
            }
        }
    }

    async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, GitError> {
        self.reach(remote)?;
        let commit = self.references.lock().get(&(remote.address.to_string(), reference.to_string())).cloned();
        commit.ok_or_else(|| GitError::NoReference {
            remote: remote.address.to_string(),
            reference: reference.to_string(),
        })
    }

    async fn changed(&self, remote: &Remote, from: &Commit, to: &Commit) -> Result<Vec<Name>, GitError> {
        let (before, after) = (self.files(remote, from)?, self.files(remote, to)?);
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let differ = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        Ok(differ.filter_map(|name| Name::read(name.as_bytes()).ok().flatten()).collect())
    }
}
