//! What a reference names, one commit as a folder, and what changed between two.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::credential::{Credential, KeyFile, header, ssh};
use super::run::{Answer, Call, Failed, size_of};
use super::said::{meaning, no_commit, place};
use super::{Commit, FETCH, Git, GitError, LOCAL, NAMES, Reference, Remote, pinned};
use crate::adapters::source::context::Name;
use crate::adapters::source::scratch::Scratch;

/// All branches and tags, for remotes that give no commit by its number.
const EVERYTHING: [&str; 2] = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
/// Where a repository lists its submodules.
const SUBMODULES: &str = ".gitmodules";

/// One call, in the words of this file.
struct Ask<'a> {
    remote: &'a Remote,
    folder: &'a Path,
    deadline: Duration,
    room: Option<(PathBuf, u64)>,
    wanted: &'a str,
}

impl Git {
    /// The commit of a branch, a tag or a full reference name; the branch where both have that name, the commit that an
    /// annotated tag is about.
    ///
    /// # Errors
    /// The remote is away or refuses, or has no such reference.
    pub async fn resolve(&self, remote: &Remote, reference: &Reference) -> Result<Commit, GitError> {
        if let Ok(commit) = reference.as_str().parse() {
            return Ok(commit);
        }
        self.reach(remote).await?;
        let scratch = self.scratch()?;
        let ask = Ask { remote, folder: scratch.path(), deadline: NAMES, room: None, wanted: reference.as_str() };
        let names = candidates(reference.as_str());
        let mut args = vec!["ls-remote", "--quiet", "--", remote.address.as_str()];
        args.extend(names.iter().map(String::as_str));
        let answer = self.ask(&ask, &args).await?;
        named(&String::from_utf8_lossy(&answer), &names).ok_or_else(|| GitError::NoReference {
            remote: remote.address.to_string(),
            reference: reference.to_string(),
        })
    }

    /// Puts the files of exactly one commit, with those of its submodules, into an empty folder, without any of git's own.
    ///
    /// # Errors
    /// The remote is away or refuses, has no such commit, or the commit is too large.
    pub async fn fetch(&self, remote: &Remote, commit: &Commit, into: &Path) -> Result<(), GitError> {
        self.reach(remote).await?;
        let most = self.config.max_bytes;
        // What git stores, and beside it the files.
        let room = Some((into.to_owned(), most.saturating_mul(2)));
        let ask = Ask { remote, folder: into, deadline: FETCH, room, wanted: commit.as_str() };
        self.begin(&ask, &["init", "--quiet", "--template="]).await?;
        self.bring(&ask, &[commit.as_str()], &["--depth=1"]).await?;
        let tree = self.ask(&ask, &["ls-tree", "-r", "-l", "-z", commit.as_str()]).await?;
        if checkout_size(&tree) > most {
            return Err(GitError::TooLarge { limit: most });
        }
        self.ask(&ask, &["checkout", "--quiet", "--force", "--detach", commit.as_str()]).await?;
        if fs::symlink_metadata(into.join(SUBMODULES)).is_ok_and(|meta| meta.is_file()) {
            self.ask(&ask, &["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]).await?;
        }
        let folder = into.to_owned();
        let done = tokio::task::spawn_blocking(move || (remove_git(&folder), size_of(&folder, most))).await;
        let (removed, size) = done.map_err(|error| GitError::Program(error.to_string()))?;
        removed.map_err(|error| GitError::Failed(format!("its own files cannot be removed: {error}")))?;
        if size > most { Err(GitError::TooLarge { limit: most }) } else { Ok(()) }
    }

    /// The paths that differ between two commits, in order; of a file that was renamed both.
    ///
    /// # Errors
    /// The remote is away or refuses, or no longer has one of the commits: then everything has to count as changed.
    pub async fn changed(&self, remote: &Remote, from: &Commit, to: &Commit) -> Result<Vec<Name>, GitError> {
        self.reach(remote).await?;
        let scratch = self.scratch()?;
        let room = Some((scratch.path().to_owned(), self.config.max_bytes));
        let ask = Ask { remote, folder: scratch.path(), deadline: FETCH, room, wanted: from.as_str() };
        self.begin(&ask, &["init", "--quiet", "--bare", "--template="]).await?;
        // Names are in the trees; the contents may stay where they are.
        self.bring(&ask, &[from.as_str(), to.as_str()], &["--depth=1", "--filter=blob:none"]).await?;
        let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", from.as_str(), to.as_str()];
        let answer = self.ask(&ask, &args).await?;
        let names = answer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.filter_map(|name| Name::read(name).ok().flatten()).collect())
    }

    fn scratch(&self) -> Result<Scratch, GitError> {
        Scratch::make(&self.config.scratch).map_err(|error| GitError::Failed(format!("no scratch folder: {error}")))
    }

    /// Whether the remote takes connections: git itself waits for minutes, or for ever.
    async fn reach(&self, remote: &Remote) -> Result<(), GitError> {
        self.config.reach.takes(&remote.address, &remote.credential)?;
        let Some(endpoint) = remote.address.endpoint() else { return Ok(()) };
        let limit = self.config.connect;
        let why = match timeout(limit, TcpStream::connect(endpoint)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", limit.as_secs_f32()),
        };
        Err(GitError::Unreachable { remote: place(remote), why })
    }

    /// A repository in an empty folder that knows its remote, to which addresses of submodules may be relative.
    async fn begin(&self, ask: &Ask<'_>, init: &[&str]) -> Result<(), GitError> {
        self.ask(ask, init).await?;
        self.ask(ask, &["config", "remote.origin.url", ask.remote.address.as_str()]).await?;
        Ok(())
    }

    /// Brings commits: by their numbers, or, where the remote does not do that, with everything that has a name.
    async fn bring(&self, ask: &Ask<'_>, commits: &[&str], options: &[&str]) -> Result<(), GitError> {
        let fixed = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let direct = [&fixed[..], options, &["origin"], commits].concat();
        match self.call(ask, &direct).await {
            Ok(_) => {}
            Err(Failed::Said(said)) if no_commit(&said) => {
                let more: Vec<&str> = options.iter().filter(|option| !option.starts_with("--depth")).copied().collect();
                self.ask(ask, &[&fixed[..], &more, &["origin"], &EVERYTHING].concat()).await?;
            }
            Err(failed) => return Err(self.told(ask, failed)),
        }
        for commit in commits {
            let ask = Ask { room: None, deadline: LOCAL, wanted: commit, ..*ask };
            let wanted = format!("{commit}^{{commit}}");
            let here = self.call(&ask, &["rev-parse", "--quiet", "--verify", &wanted]).await;
            if !here.is_ok_and(|answer| answer.trim_ascii() == commit.as_bytes()) {
                let remote = ask.remote.address.to_string();
                return Err(GitError::NoReference { remote, reference: (*commit).to_owned() });
            }
        }
        Ok(())
    }

    async fn ask(&self, ask: &Ask<'_>, args: &[&str]) -> Result<Answer, GitError> {
        self.call(ask, args).await.map_err(|failed| self.told(ask, failed))
    }

    fn told(&self, ask: &Ask<'_>, failed: Failed) -> GitError {
        match failed {
            Failed::Said(said) => meaning(&said, ask.remote, ask.wanted),
            Failed::Late => GitError::Unreachable {
                remote: place(ask.remote),
                why: format!("not done within {} s", ask.deadline.as_secs()),
            },
            Failed::Other(error) => error,
        }
    }

    async fn call(&self, ask: &Ask<'_>, args: &[&str]) -> Result<Answer, Failed> {
        let key = match &ask.remote.credential {
            Credential::Key(key) => Some(KeyFile::write(&self.config.keys, key)),
            Credential::None | Credential::Token { .. } => None,
        };
        let key = key.transpose().map_err(|error| Failed::Other(GitError::Program(error.to_string())))?;
        let settings: Vec<(String, Zeroizing<String>)> =
            header(&ask.remote.address, &ask.remote.credential).into_iter().collect();
        let call = Call {
            program: &self.config.program,
            folder: ask.folder,
            args: args.iter().map(OsString::from).collect(),
            protocols: self.config.reach.list(&ask.remote.address),
            settings,
            ssh: ssh(&self.config.ssh, key.as_ref(), &self.config.known_hosts),
            deadline: ask.deadline,
            room: ask.room.clone(),
        };
        let known = pinned::read(&self.config.known_hosts);
        let done = call.run().await;
        self.pinned.note(&known, &self.config.known_hosts);
        done
    }
}

/// The folder of a checkout, once no part of it is a link.
///
/// # Errors
/// It is not there, is a file, or leads out.
pub fn folder_of(checkout: &Path, commit: &Commit, folder: &str) -> Result<PathBuf, GitError> {
    let missing = || GitError::NoFolder { folder: folder.to_owned(), commit: commit.to_string() };
    let mut at = checkout.to_owned();
    if folder.is_empty() {
        return Ok(at);
    }
    let name = Name::read(folder.as_bytes()).map_err(|_| missing())?;
    for part in name.iter().flat_map(|name| name.path().components()) {
        at.push(part);
        if !fs::symlink_metadata(&at).is_ok_and(|meta| meta.is_dir()) {
            return Err(missing());
        }
    }
    Ok(at)
}

/// The full names that a reference may have, best first.
fn candidates(reference: &str) -> Vec<String> {
    if reference == "HEAD" || reference.starts_with("refs/") {
        return vec![reference.to_owned(), format!("{reference}^{{}}")];
    }
    vec![format!("refs/heads/{reference}"), format!("refs/tags/{reference}^{{}}"), format!("refs/tags/{reference}")]
}

/// The commit of the best name: what an annotated tag is about stands under its name and `^{}`.
fn named(answer: &str, names: &[String]) -> Option<Commit> {
    let of = |wanted: &str| {
        let line = answer.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == wanted);
        line.and_then(|(commit, _)| commit.parse().ok())
    };
    let peeled = names.iter().filter(|name| name.ends_with("^{}") && name.starts_with("refs/tags/"));
    let own = names.iter().filter(|name| !name.ends_with("^{}"));
    match names {
        // A branch comes before a tag.
        [branch, _, _] => of(branch).or_else(|| peeled.chain(own).find_map(|name| of(name))),
        names => names.iter().rev().find_map(|name| of(name)),
    }
}

/// Bytes of all files of a tree, as `ls-tree -l -z` lists it; what a submodule holds is not in it.
fn checkout_size(tree: &[u8]) -> u64 {
    let size = |entry: &[u8]| -> Option<u64> {
        let fields = entry.split(|byte| *byte == b'\t').next()?;
        std::str::from_utf8(fields).ok()?.split_ascii_whitespace().nth(3)?.parse().ok()
    };
    tree.split(|byte| *byte == 0).filter_map(size).fold(0, u64::saturating_add)
}

/// Removes what is git's own: the repository, and the files with which submodules point into it.
fn remove_git(folder: &Path) -> std::io::Result<()> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let path = entry.path();
            let is_folder = entry.file_type()?.is_dir();
            match (entry.file_name() == ".git", is_folder) {
                (true, true) => fs::remove_dir_all(&path)?,
                (true, false) => fs::remove_file(&path)?,
                (false, true) => open.push(path),
                (false, false) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_comes_before_a_tag_and_a_tag_is_about_a_commit() {
        let hex = |digit: char| digit.to_string().repeat(40);
        let line = |digit, name: &str| format!("{}\t{name}\n", hex(digit));
        let of = |answer: &str, reference: &str| named(answer, &candidates(reference)).map(|commit| commit.to_string());
        let both = [line('a', "refs/heads/v1"), line('b', "refs/tags/v1"), line('c', "refs/tags/v1^{}")].concat();
        assert_eq!(of(&both, "v1"), Some(hex('a')));
        assert_eq!(of(&both[both.find('b').unwrap()..], "v1"), Some(hex('c')));
        assert_eq!(of(&both, "refs/tags/v1"), Some(hex('c')));
        assert_eq!(of(&line('d', "HEAD"), "HEAD"), Some(hex('d')));
        // Git gives whatever ends like what was asked for.
        assert_eq!(of(&line('e', "refs/heads/refs/heads/v1"), "v1"), None);
        assert_eq!(of("", "v1"), None);
    }

    #[test]
    fn sizes_are_added_up() {
        let tree = b"100644 blob aa      12\ta b\x00100755 blob bb 1\tx\t9\x00160000 commit cc       -\tsub\0";
        assert_eq!(checkout_size(tree), 13);
        assert_eq!(checkout_size(b""), 0);
    }
}
