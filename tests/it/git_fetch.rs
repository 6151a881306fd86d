//! Git as a source, against git's own servers.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cutover::adapters::source::git::{Commit, Credential, Git, GitConfig, GitError, Reach, Remote, folder_of};
use tempfile::TempDir;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::git_support::{Repository, daemon, git, http};

const TOKEN: &str = "t0ken-value";
/// `deploy:t0ken-value`, as it goes over the wire.
const HEADER: &str = "Basic ZGVwbG95OnQwa2VuLXZhbHVl";

struct Stand {
    root: TempDir,
    git: Git,
}

fn stand() -> Stand {
    stand_with(|_| {})
}

fn stand_with(change: impl FnOnce(&mut GitConfig)) -> Stand {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("served")).unwrap();
    let mut config = GitConfig::below(&root.path().join("data"), root.path().join("keys"));
    config.reach = Reach::Plain;
    change(&mut config);
    Stand { git: Git::open(config).unwrap(), root }
}

impl Stand {
    fn served(&self) -> std::path::PathBuf {
        self.root.path().join("served")
    }

    async fn fetched(&self, remote: &Remote, commit: &str) -> Result<TempDir, GitError> {
        let into = tempfile::tempdir().unwrap();
        self.git.fetch(remote, &commit.parse().unwrap(), into.path()).await?;
        Ok(into)
    }

    /// Nothing of a question or of a key stays.
    fn assert_clean(&self) {
        for folder in ["data/git/scratch", "keys"] {
            // That of keys is made by the first key.
            assert_eq!(fs::read_dir(self.root.path().join(folder)).map_or(0, Iterator::count), 0, "{folder}");
        }
    }
}

fn public(address: String) -> Remote {
    Remote { address: address.parse().unwrap(), credential: Credential::None }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn exactly_one_commit_comes() {
    let stand = stand();
    let repository = Repository::new(&stand.served(), "shop");
    let first = repository.commit(&[("a", "1"), ("web/Dockerfile", "FROM scratch")]);
    let second = repository.commit(&[("a", "2"), ("b", "2")]);
    std::os::unix::fs::symlink("/etc", repository.work().join("web/out")).unwrap();
    let third = repository.commit(&[]);
    let (http, daemon) = (http(&stand.served(), None).await, daemon(&stand.served()).await);
    for address in [format!("http://{}/shop.git", http.address), format!("git://{}/shop.git", daemon.address)] {
        let remote = public(address);
        // One that is no longer at the end of a branch.
        let folder = stand.fetched(&remote, &first).await.unwrap();
        assert_eq!(names(folder.path()), BTreeSet::from(["a".to_owned(), "web".to_owned()]));
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "1");
        let folder = stand.fetched(&remote, &second).await.unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "2");
        let folder = stand.fetched(&remote, &third).await.unwrap();
        let commit: Commit = third.parse().unwrap();
        let web = folder_of(folder.path(), &commit, "./web/").unwrap();
        assert_eq!(web, folder.path().join("web"));
        assert_eq!(folder_of(folder.path(), &commit, "").unwrap(), folder.path());
        for bad in ["none", "web/out", "../", "/etc", "a", "web/Dockerfile"] {
            assert!(matches!(folder_of(folder.path(), &commit, bad), Err(GitError::NoFolder { .. })), "{bad}");
        }
    }
    stand.assert_clean();
}

#[tokio::test]
async fn references_are_resolved_to_commits() {
    let stand = stand();
    let repository = Repository::new(&stand.served(), "shop");
    let first = repository.commit(&[("a", "1")]);
    git(&repository.work(), &["tag", "-a", "v1", "-m", "one"]);
    git(&repository.work(), &["tag", "light"]);
    git(&repository.work(), &["push", "--quiet", "origin", "--tags"]);
    git(&repository.work(), &["checkout", "--quiet", "-b", "feature/x"]);
    let second = repository.commit(&[("a", "2")]);
    let served = http(&stand.served(), None).await;
    let remote = public(format!("http://{}/shop.git", served.address));
    let wanted = [
        ("main", &first),
        ("v1", &first),
        ("light", &first),
        ("feature/x", &second),
        ("refs/heads/main", &first),
        ("HEAD", &first),
    ];
    for (reference, commit) in wanted {
        let found = stand.git.resolve(&remote, &reference.parse().unwrap()).await.unwrap();
        assert_eq!(found.as_str(), commit, "{reference}");
    }
    let none = stand.git.resolve(&remote, &"nowhere".parse().unwrap()).await.unwrap_err();
    assert_eq!(none.to_string(), format!("{} has no branch, tag or commit nowhere", remote.address));
    let missing = "0".repeat(40);
    let none = stand.fetched(&remote, &missing).await.unwrap_err();
    assert_eq!(none, GitError::NoReference { remote: remote.address.to_string(), reference: missing });
    stand.assert_clean();
}

#[tokio::test]
async fn changed_paths_are_asked_of_git() {
    let stand = stand();
    let repository = Repository::new(&stand.served(), "shop");
    let first = repository.commit(&[("api/a.rs", "1"), ("web/ä ö.css", "1"), ("docs/x", "1")]);
    fs::rename(repository.work().join("docs/x"), repository.work().join("docs/y")).unwrap();
    repository.commit(&[]);
    let third = repository.commit(&[("web/ä ö.css", "2")]);
    let served = http(&stand.served(), None).await;
    let remote = public(format!("http://{}/shop.git", served.address));
    let changed = async |from: &str, to: &str| {
        let names = stand.git.changed(&remote, &from.parse().unwrap(), &to.parse().unwrap()).await;
        names.map(|names| names.iter().map(|name| name.text()).collect::<Vec<_>>())
    };
    assert_eq!(changed(&first, &third).await.unwrap(), ["docs/x", "docs/y", "web/ä ö.css"]);
    assert_eq!(changed(&third, &third).await.unwrap(), Vec::<String>::new());
    // A commit that was pushed over, and that nobody keeps any more.
    assert!(matches!(changed(&"1".repeat(40), &third).await, Err(GitError::NoReference { .. })));
    stand.assert_clean();
}

#[tokio::test]
async fn submodules_come_with_their_commit() {
    let stand = stand();
    let library = Repository::new(&stand.served(), "library");
    library.commit(&[("lib.rs", "old")]);
    let shop = Repository::new(&stand.served(), "shop");
    git(&shop.work(), &["submodule", "--quiet", "add", "../library.git", "deps/library"]);
    let commit = shop.commit(&[("a", "1")]);
    library.commit(&[("lib.rs", "new")]);
    let served = http(&stand.served(), Some(HEADER)).await;
    let token = Credential::Token { user: "deploy".to_owned(), token: Zeroizing::new(TOKEN.to_owned()) };
    let remote = Remote { address: format!("http://{}/shop.git", served.address).parse().unwrap(), credential: token };
    let folder = stand.fetched(&remote, &commit).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("deps/library/lib.rs")).unwrap(), "old");
    assert_eq!(names(&folder.path().join("deps/library")), BTreeSet::from(["lib.rs".to_owned()]));
    // A submodule that leads to this machine reaches no further than the repository may.
    git(&shop.work(), &["config", "-f", ".gitmodules", "submodule.deps/library.url", "file:///etc"]);
    let evil = shop.commit(&[]);
    let refused = stand.fetched(&remote, &evil).await.unwrap_err().to_string();
    assert!(refused.contains("not allowed"), "{refused}");
    stand.assert_clean();
}

#[tokio::test]
async fn a_token_opens_what_is_private_and_is_told_to_nobody_else() {
    let stand = stand();
    let repository = Repository::new(&stand.served(), "shop");
    let commit = repository.commit(&[("a", "1")]);
    let served = http(&stand.served(), Some(HEADER)).await;
    let address = format!("http://{}/shop.git", served.address);
    let of = |token: &str| {
        let token = Zeroizing::new(token.to_owned());
        Remote { address: address.parse().unwrap(), credential: Credential::Token { user: "deploy".to_owned(), token } }
    };
    stand.fetched(&of(TOKEN), &commit).await.unwrap();
    assert!(served.asked.lock().iter().any(|line| line.ends_with(" with")));
    for remote in [public(address.clone()), of("wrong")] {
        let refused = stand.fetched(&remote, &commit).await.unwrap_err();
        let said = refused.to_string();
        assert!(matches!(refused, GitError::NotAllowed { .. }), "{said}");
        assert!(!said.contains("wrong"), "{said}");
    }
    // Who wants none is given one without harm.
    let other = http(&stand.served(), None).await;
    let elsewhere = Remote { address: format!("http://{}/shop.git", other.address).parse().unwrap(), ..of(TOKEN) };
    stand.fetched(&elsewhere, &commit).await.unwrap();
    let remote = public(format!("http://{}/none.git", other.address));
    let missing = stand.git.resolve(&remote, &"main".parse().unwrap()).await.unwrap_err();
    assert!(matches!(missing, GitError::NotAllowed { .. }), "{missing}");
    stand.assert_clean();
}

/// No server of ssh is needed to see what one would be asked with: a program in the place of ssh tells, and does what a
/// server does, which is to run the command.
#[tokio::test]
async fn a_deploy_key_is_all_that_ssh_gets() {
    let root = tempfile::tempdir().unwrap();
    let (program, told) = (root.path().join("the ssh"), root.path().join("told"));
    let script = format!(
        "#!/bin/sh\nfor word; do\n  echo \"$word\"\n  case $word in IdentityFile=*) key=${{word#*=}} ;; UserKnown*) known=${{word#*=}} ;; esac\ndone > '{0}'\n\
         key=${{key#?}} key=${{key%?}}\nstat -c %a \"$key\" >> '{0}'\ncat \"$key\" >> '{0}'\nenv >> '{0}'\n\
         known=${{known#?}} known=${{known%?}}\necho 'h.test ssh-ed25519 AAAA' > \"$known\"\neval \"$word\"\n",
        told.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let stand = stand_with(|config| config.ssh = program);
    let repository = Repository::new(&stand.served(), "shop");
    let commit = repository.commit(&[("a", "1")]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("ssh://git@{}{}/shop.git", listener.local_addr().unwrap(), stand.served().display());
    let key = Credential::Key(Zeroizing::new(b"PRIVATE KEY".to_vec()));
    let remote = Remote { address: address.parse().unwrap(), credential: key };
    stand.fetched(&remote, &commit).await.unwrap();
    let told = fs::read_to_string(told).unwrap();
    for line in [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=accept-new",
        "600",
        "PRIVATE KEY",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    let known = format!("UserKnownHostsFile=\"{}\"", stand.root.path().join("data/git/known_hosts").display());
    assert!(told.contains(&known), "{told}");
    assert!(!told.contains("CARGO") && !told.contains("SSH_AUTH_SOCK"), "{told}");
    // A host that is trusted for the first time is told, once.
    let pinned = stand.git.pinned();
    assert!(pinned.len() == 1 && pinned[0].contains("h.test was not known"), "{pinned:?}");
    stand.fetched(&remote, &commit).await.unwrap();
    assert_eq!(stand.git.pinned(), Vec::<String>::new());
    stand.assert_clean();
}

#[tokio::test]
async fn a_remote_that_is_away_is_named_with_the_time() {
    let stand = stand_with(|config| config.connect = Duration::from_millis(200));
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let gone = public(format!("http://{closed}/a.git"));
    let error = stand.git.resolve(&gone, &"main".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("{closed} cannot be reached: ")), "{error}");
    // Not for the internet: a name that can exist nowhere.
    let unknown = public("http://no-such-host.invalid/a.git".to_owned());
    let error = stand.git.resolve(&unknown, &"main".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().starts_with("no-such-host.invalid:80 cannot be reached: "), "{error}");
    let local = public(format!("file://{}/shop.git", stand.served().display()));
    let error = stand.git.resolve(&local, &"main".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("file:// is not allowed"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_not_kept() {
    let stand = stand_with(|config| config.max_bytes = 100_000);
    let repository = Repository::new(&stand.served(), "shop");
    // Small as git stores it, and large once it is checked out.
    let commit = repository.commit(&[("a", &"x".repeat(100_001))]);
    let small = repository.commit(&[("a", &"x".repeat(30_000))]);
    let served = http(&stand.served(), None).await;
    let remote = public(format!("http://{}/shop.git", served.address));
    assert_eq!(stand.fetched(&remote, &commit).await.unwrap_err(), GitError::TooLarge { limit: 100_000 });
    stand.fetched(&remote, &small).await.unwrap();
}

/// A remote that takes connections and never answers: git is ended with all that it has started.
#[tokio::test]
async fn who_stops_waiting_leaves_no_git_behind() {
    let stand = stand();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let remote = public(format!("http://{address}/a.git"));
    let into = tempfile::tempdir().unwrap();
    let commit = "0".repeat(40).parse().unwrap();
    let fetching = stand.git.fetch(&remote, &commit, into.path());
    let accepted = async {
        // The first connection is the look whether anybody is there, the second one is git's.
        let look = silent.accept().await.unwrap();
        let git = silent.accept().await.unwrap();
        drop(look);
        git
    };
    let _connection = tokio::select! {
        answer = fetching => panic!("an answer from nobody: {answer:?}"),
        connection = accepted => connection,
    };
    let port = address.port().to_string();
    let deadline = Instant::now() + Duration::from_secs(10);
    while running(&port) {
        assert!(Instant::now() < deadline, "git still runs");
        tokio::task::yield_now().await;
    }
    stand.assert_clean();
}

/// Whether a process has the port of the test in its arguments, as git's helper for http has.
fn running(port: &str) -> bool {
    let alive = |entry: &fs::DirEntry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("remote-http") && line.contains(&format!(":{port}/"))
    };
    fs::read_dir("/proc").unwrap().flatten().any(|entry| alive(&entry))
}
