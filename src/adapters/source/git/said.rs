//! What git's words mean. It has one exit code for everything, so its words are all there is; `LC_ALL=C` keeps them so.

use super::{GitError, Remote};

/// Longest text of git that goes into an error, characters.
const TEXT: usize = 300;

/// The host of a repository shows another key than at first.
const OTHER_KEY: [&str; 2] = ["host key verification failed", "remote host identification has changed"];
/// The remote was not reached, or was lost.
const AWAY: [&str; 17] = [
    "could not resolve host",
    "unable to look up",
    "failed to connect",
    "couldn't connect",
    "unable to connect",
    "connection refused",
    "connection timed out",
    "operation timed out",
    "operation too slow",
    "no route to host",
    "network is unreachable",
    "connection reset",
    "connection closed by",
    "ssl",
    "the requested url returned error: 5",
    "early eof",
    "returned error: 429",
];
/// The remote has refused.
const DENIED: [&str; 13] = [
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
    "repository not found",
    "access denied or repository not exported",
    "does not appear to be a git repository",
    "not found",
    "could not be found",
    "not valid: is this a git repository",
];
/// The remote does not have this commit, or does not give commits by their numbers.
const NO_COMMIT: [&str; 4] = ["not our ref", "unadvertised object", "couldn't find remote ref", "upload-pack: not our"];
/// What stands at the start of lines that say nothing by themselves.
const NOISE: [&str; 6] = [
    "please make sure",
    "and the repository exists",
    "warning: permanently added",
    "remote: ",
    "hint:",
    "cloning into",
];

/// Whether the remote would have to be asked for branches instead.
pub(super) fn no_commit(said: &str) -> bool {
    says(said, &NO_COMMIT)
}

/// What a call to a remote that failed with these words comes to.
pub(super) fn meaning(said: &str, remote: &Remote, wanted: &str) -> GitError {
    let address = remote.address.to_string();
    let why = shortened(said);
    if says(said, &OTHER_KEY) {
        let why = "it shows another key than at first; if that is right, remove its line from known_hosts".to_owned();
        return GitError::Unreachable { remote: place(remote), why };
    }
    if no_commit(said) {
        return GitError::NoReference { remote: address, reference: wanted.to_owned() };
    }
    if says(said, &AWAY) {
        return GitError::Unreachable { remote: place(remote), why };
    }
    if says(said, &DENIED) {
        return GitError::NotAllowed { remote: address, why };
    }
    if said.to_ascii_lowercase().contains("not allowed") {
        return GitError::Failed(format!("{why}: it, or a submodule of it, has an address that is not taken here"));
    }
    GitError::Failed(why)
}

/// The remote as a place: host and port, or the folder.
pub(super) fn place(remote: &Remote) -> String {
    match remote.address.endpoint() {
        Some((host, port)) => format!("{host}:{port}"),
        None => remote.address.to_string(),
    }
}

fn says(said: &str, words: &[&str]) -> bool {
    let said = said.to_ascii_lowercase();
    words.iter().any(|word| said.contains(word))
}

/// The lines that say something, as one.
fn shortened(said: &str) -> String {
    let noise = |line: &str| NOISE.iter().any(|noise| line.to_ascii_lowercase().starts_with(noise));
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty() && !noise(line)).collect();
    let text = if lines.is_empty() { "it says nothing".to_owned() } else { lines.join("; ") };
    let clean = text.chars().filter(|c| !c.is_control()).take(TEXT);
    clean.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Credential;
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let remote = Remote { address: "https://h.example/a.git".parse().unwrap(), credential: Credential::None };
        let of = |said: &str| meaning(said, &remote, "c0ffee");
        for away in [
            "fatal: unable to access 'https://h.example/a.git/': Could not resolve host: h.example",
            "fatal: unable to access 'x': Failed to connect to h port 443 after 1 ms: Couldn't connect to server",
            "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
            "error: RPC failed; curl 28 Operation too slow. Less than 1000 bytes/sec\nfatal: early EOF",
        ] {
            assert!(matches!(of(away), GitError::Unreachable { .. }), "{away}: {:?}", of(away));
        }
        for denied in [
            "fatal: could not read Username for 'https://h.example': terminal prompts disabled",
            "remote: Repository not found.\nfatal: repository 'https://h.example/a.git/' not found",
            "fatal: Authentication failed for 'https://h.example/a.git/'",
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            "fatal: remote error: access denied or repository not exported: /a",
        ] {
            assert!(matches!(of(denied), GitError::NotAllowed { .. }), "{denied}: {:?}", of(denied));
        }
        let none = of("fatal: remote error: upload-pack: not our ref c0ffee");
        assert_eq!(none.to_string(), "https://h.example/a.git has no branch, tag or commit c0ffee");
        assert!(
            of("Host key verification failed.")
                .to_string()
                .contains("h.example:443 cannot be reached: it shows another key")
        );
        assert_eq!(of("hint: x\n\n fatal: y\n"), GitError::Failed("fatal: y".to_owned()));
    }
}
