//! The twin of sources: repositories and folders whose files a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::context::{ContextLimits, Name, Packing, pack, unpack};
use super::git::{Commit, Credential, GitError, Reach, Reference, Remote};
use super::scratch::Scratch;
use super::{Content, Files, Origin, Source, SourceError, Wanted};

/// Contents by name.
type Texts = BTreeMap<String, String>;

/// Sources in memory. Contexts of folders are packed where they are, so they are the same as those of the real thing.
#[derive(Debug)]
pub struct MemorySources {
    scratch: PathBuf,
    commits: Mutex<BTreeMap<(String, Commit), Texts>>,
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

    fn files(&self, remote: &Remote, commit: &Commit) -> Result<Texts, GitError> {
        self.reach(remote)?;
        let files = self.commits.lock().get(&(remote.address.to_string(), commit.clone())).cloned();
        files.ok_or_else(|| GitError::NoReference { remote: remote.address.to_string(), reference: commit.to_string() })
    }

    fn given(&self, files: Files, wanted: Wanted<'_>, stop: &CancellationToken) -> Result<Content, SourceError> {
        let Wanted::Context(file) = wanted else { return Ok(Content::Files(files)) };
        let limits = ContextLimits::default();
        let packing = Packing { file: file.to_owned(), scratch: self.scratch.clone(), limits, stop: stop.clone() };
        Ok(Content::Context(pack(files.folder(), &packing)?))
    }

    fn checked_out(&self, files: &Texts) -> io::Result<Scratch> {
        std::fs::create_dir_all(&self.scratch)?;
        let scratch = Scratch::make(&self.scratch)?;
        for (name, content) in files {
            let path = scratch.path().join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, content)?;
        }
        Ok(scratch)
    }
}

#[async_trait]
impl Source for MemorySources {
    async fn gather(
        &self,
        origin: &Origin,
        wanted: Wanted<'_>,
        stop: &CancellationToken,
    ) -> Result<Content, SourceError> {
        if stop.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        match origin {
            Origin::Folder(folder) => self.given(Files::here(folder.clone()), wanted, stop),
            Origin::Archive(archive) => {
                let unreadable = |error: io::Error| GitError::Failed(error.to_string());
                let unpacked = self.checked_out(&Texts::new()).map_err(unreadable)?;
                let file = std::fs::File::open(archive).map_err(unreadable)?;
                unpack(file, unpacked.path(), ContextLimits::default())?;
                let folder = unpacked.path().to_owned();
                self.given(Files { folder, _scratch: Some(Arc::new(unpacked)) }, wanted, stop)
            }
            Origin::Git { remote, commit, folder } => {
                let texts = self.files(remote, commit)?;
                let checkout = self.checked_out(&texts).map_err(|error| GitError::Failed(error.to_string()))?;
                let folder = super::git::folder_of(checkout.path(), commit, folder)?;
                self.given(Files { folder, _scratch: Some(Arc::new(checkout)) }, wanted, stop)
            }
        }
    }

    fn takes(&self, address: &str) -> Result<(), GitError> {
        Ok(Reach::default().takes(&address.parse()?, &Credential::None)?)
    }

    fn pinned(&self) -> Vec<String> {
        Vec::new()
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
