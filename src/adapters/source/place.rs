//! From a place as a workload file names it to what can be fetched: a folder as it really is, or exactly one commit.

use std::path::PathBuf;

use cutover_domain::context::{Context, Repository};
use cutover_events::Digest;

use super::git::{Commit, Credential, GitError, Reference, Remote};
use super::{Origin, Source};

/// What a repository itself has as its default.
const DEFAULT: &str = "HEAD";

/// A place that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// What can be fetched.
    pub origin: Origin,
    /// The same in the words of a workload file, with the commit instead of a branch or a tag.
    pub place: String,
    /// The commit; empty for files of this machine.
    pub commit: String,
}

impl Found {
    /// A folder or an archive of this machine, which really is at `real`.
    #[must_use]
    pub fn here(place: &Context, real: PathBuf) -> Self {
        let origin = if matches!(place, Context::Tarball(_)) { Origin::Archive(real) } else { Origin::Folder(real) };
        Self { origin, place: place.to_string(), commit: String::new() }
    }

    /// An archive that a person sent.
    #[must_use]
    pub fn sent(upload: Digest, archive: PathBuf) -> Self {
        Self { origin: Origin::Archive(archive), place: format!("upload:{upload}"), commit: String::new() }
    }

    /// The commit that a repository means now.
    ///
    /// # Errors
    /// The address is not taken, the reference is not there, the remote does not answer.
    pub async fn at(source: &dyn Source, repository: &Repository, credential: &Credential) -> Result<Self, GitError> {
        let remote = Remote { address: repository.url.parse()?, credential: credential.clone() };
        let commit = match repository.reference.parse::<Commit>() {
            Ok(commit) => commit,
            Err(_) => {
                let name = Some(repository.reference.as_str()).filter(|name| !name.is_empty()).unwrap_or(DEFAULT);
                source.resolve(&remote, &name.parse::<Reference>()?).await?
            }
        };
        let text = commit.to_string();
        let exact = Repository { reference: text.clone(), ..repository.clone() };
        let origin = Origin::Git { remote, commit, folder: repository.folder.clone() };
        Ok(Self { origin, place: Context::Git(exact).to_string(), commit: text })
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemorySources;
    use super::*;

    const SHA: &str = "0123456789012345678901234567890123456789";

    async fn at(text: &str) -> Result<Found, GitError> {
        let scratch = tempfile::tempdir().unwrap();
        let sources = MemorySources::new(scratch.path().to_owned());
        let commit = SHA.parse().unwrap();
        for reference in ["main", "HEAD"] {
            sources.commit("https://git.test/shop.git", reference, &commit, &[("Dockerfile", "FROM scratch")]);
        }
        let Context::Git(repository) = Context::parse(text).unwrap() else { panic!("{text} is no repository") };
        Found::at(&sources, &repository, &Credential::None).await
    }

    #[tokio::test]
    async fn a_branch_is_its_commit() {
        for (branch, folder) in [("#main:api", ":api"), ("#main", ""), ("", ""), (&format!("#{SHA}:api"), ":api")] {
            let found = at(&format!("https://git.test/shop.git{branch}")).await.unwrap();
            assert_eq!(found.commit, SHA);
            assert_eq!(found.place, format!("https://git.test/shop.git#{SHA}{folder}"));
        }
        let none = at("https://git.test/shop.git#other").await.unwrap_err();
        assert!(matches!(none, GitError::NoReference { .. }), "{none}");
    }

    #[test]
    fn an_archive_is_no_folder() {
        let here = |text: &str| Found::here(&Context::parse(text).unwrap(), "/real".into());
        assert!(matches!(here("/srv/api").origin, Origin::Folder(_)));
        assert!(matches!(here("/srv/api.tgz").origin, Origin::Archive(_)));
    }
}
