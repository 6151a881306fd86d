//! Hosts of ssh that are trusted for the first time: that is said, with what a person can compare.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Notes that wait to be told, a count: more hosts are not met at once, and the log of the process has them all.
const WAITING: usize = 64;

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Pinned(Arc<Mutex<Vec<String>>>);

impl Pinned {
    /// Notes every host that is in the file and was not before.
    pub(super) fn note(&self, before: &str, known_hosts: &Path) {
        let after = read(known_hosts);
        let new = after.lines().filter(|line| !line.trim().is_empty() && !before.lines().any(|old| old == *line));
        for text in new.filter_map(told) {
            tracing::warn!(text, "a host of git is trusted for the first time");
            let mut waiting = self.0.lock();
            if waiting.len() < WAITING && !waiting.contains(&text) {
                waiting.push(text);
            }
        }
    }

    /// What was noted since the last time.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The hosts that are known; none where there is no file yet.
pub(super) fn read(known_hosts: &Path) -> String {
    fs::read_to_string(known_hosts).unwrap_or_default()
}

/// A line of the file for a person: the host, and its key as ssh shows it.
fn told(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (host, kind, key) = (words.next()?, words.next()?, words.next()?);
    let print = STANDARD_NO_PAD.encode(Sha256::digest(STANDARD.decode(key).ok()?));
    Some(format!(
        "the key of {host} was not known and is trusted from now on: {kind} SHA256:{print}; compare it with what the host \
         publishes, and remove its line from git/known_hosts if it is another one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_host_is_told_once_with_what_can_be_compared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let old = "old.test ssh-ed25519 AAAA\n";
        fs::write(
            &file,
            format!("{old}new.test ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n"),
        )
        .unwrap();
        let pinned = Pinned::default();
        pinned.note(old, &file);
        let said = pinned.take();
        // As github.com publishes it.
        assert!(said.len() == 1 && said[0].contains("new.test was not known"), "{said:?}");
        assert!(said[0].contains("SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"), "{said:?}");
        pinned.note(&read(&file), &file);
        assert!(pinned.take().is_empty());
    }
}
