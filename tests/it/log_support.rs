//! A log in a folder of its own, and what tests do to its files.

use std::path::{Path, PathBuf};

use cutover::clock::Clock;
use cutover::store::{Append, Expected, Log, OpenError, OpenReport, Store};
use cutover_events::engine::TokenAdded;
use cutover_events::{Actor, Cause, Digest, Sealed, StreamId, TokenId, WorkloadId};

/// The stream that tests append to.
pub(crate) const STREAM: StreamId = StreamId::Workload(WorkloadId([7; 16]));

/// One event that says `text`.
pub(crate) fn append(text: &str) -> Append {
    let event = TokenAdded { token: TokenId([1; 16]), name: text.into(), hash: Digest::of(text.as_bytes()) };
    let events = vec![event.into()];
    Append { stream: STREAM, expected: Expected::Any, events, cause: Cause::Person, actor: Actor::Engine, key: None }
}

/// Opens the log of a folder; gives what was folded too.
pub(crate) async fn open(dir: &Path) -> Result<(Store, OpenReport, Vec<Sealed>), OpenError> {
    let (sender, folded) = std::sync::mpsc::channel();
    let fold = move |sealed| sender.send(sealed).map_err(|error| error.to_string());
    let (store, report) = Store::open(dir, Clock::system(), fold).await?;
    Ok((store, report, folded.try_iter().collect()))
}

/// A folder whose log holds `LogBegun` and `count` commits, each one group; closed.
pub(crate) async fn filled(count: usize) -> (tempfile::TempDir, Vec<Sealed>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, _) = open(dir.path()).await.unwrap();
    for number in 0..count {
        store.append(append(&format!("number {number}"))).await.unwrap();
    }
    let all = store.read_all(1, usize::MAX).await.unwrap();
    (dir, all)
}

/// The segments of a journal, in order.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// How many bytes of a segment hold something: all but the zeros at its end.
pub(crate) fn used(segment: &Path) -> usize {
    std::fs::read(segment).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// Changes one byte.
pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Cuts a file, then fills it up with zeros to its old length: what a write that was cut short leaves.
pub(crate) fn tear(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[offset..].fill(0);
    std::fs::write(path, bytes).unwrap();
}

/// A copy of what a backup holds: the journal.
pub(crate) fn copy_journal(from: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("journal")).unwrap();
    for segment in segments(from) {
        std::fs::copy(&segment, copy.path().join("journal").join(segment.file_name().unwrap())).unwrap();
    }
    copy
}
