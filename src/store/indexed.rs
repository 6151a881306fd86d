//! sled: the same commits, keyed for queries. Derived from the journal, rebuilt from it whenever it disagrees.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use cutover_events::{Digest, Sealed, StreamId, codec};

use super::journal::{Group, entries};
use super::{Head, ReadError, keys};

/// sled's cache, bytes: it bounds nothing by itself, but the default of 1 GB lets memory grow with the log.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Position and chain value up to which sled holds the log.
const HEAD: &[u8] = &[keys::META, b'h'];

/// The one tree.
#[derive(Clone, Debug)]
pub(super) struct Indexed {
    db: sled::Db,
}

/// Damage in sled is mended by a rebuild: what was wrong, for the report.
pub(super) type Broken = String;

impl Indexed {
    /// Opens the folder; panics of sled on damaged files are errors like any other.
    pub(super) fn open(folder: &Path) -> Result<Self, Broken> {
        remove_half_snapshots(folder).map_err(|error| error.to_string())?;
        let open = || sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).open();
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok(db)) => Ok(Self { db }),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("sled panicked on its files".into()),
        }
    }

    /// Sets a broken folder aside.
    pub(super) fn set_aside(folder: &Path) -> io::Result<()> {
        let aside = folder.with_extension("broken");
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        if folder.exists() { fs::rename(folder, aside) } else { Ok(()) }
    }

    /// Up to where it holds the log.
    pub(super) fn head(&self) -> Result<Head, Broken> {
        let read = catch_unwind(AssertUnwindSafe(|| self.db.get(HEAD)));
        let value = read.map_err(|_| "sled panicked on its files")?.map_err(|error| error.to_string())?;
        let Some(value) = value else { return Ok(Head::default()) };
        let (position, chain) = codec::decode(&value).map_err(|error| error.to_string())?;
        Ok(Head { position, chain })
    }

    /// Takes in groups as one batch.
    pub(super) fn apply(&self, groups: &[Arc<Group>]) -> Result<(), sled::Error> {
        let mut batch = sled::Batch::default();
        for group in groups {
            batch.insert(keys::group(group.first), &group.body[..]);
            for commit in &group.commits {
                let position = commit.position.to_be_bytes();
                keys::index(commit).into_iter().for_each(|key| batch.insert(key, &position));
            }
        }
        if let Some(last) = groups.last().and_then(|group| group.commits.last()) {
            batch.insert(HEAD, codec::encode(&(last.last, last.chain)).unwrap_or_default());
        }
        self.db.apply_batch(batch)
    }

    /// Makes durable what was taken in; the journal does not need it, a start is quicker with it.
    pub(super) fn flush(&self) -> Result<(), sled::Error> {
        self.db.flush().map(drop)
    }

    pub(super) fn key(&self, key: &[u8; 16]) -> Result<Option<u64>, ReadError> {
        Ok(self.db.get(keys::idempotency(key)).map_err(unreadable)?.and_then(|value| number(&value)))
    }

    /// Positions of the commits of a stream whose last version is at least `from`, at most `limit`.
    pub(super) fn of_stream(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<u64>, ReadError> {
        let prefix = keys::stream_prefix(stream);
        let at_or_before = self.db.range(prefix.clone()..=keys::version(stream, from)).next_back();
        let start = match at_or_before {
            Some(entry) => entry.map_err(unreadable)?.0.to_vec(),
            None => prefix.clone(),
        };
        let range = self.db.range(start..=keys::version(stream, u64::MAX)).take(limit + 1);
        range.map(|entry| entry.map_err(unreadable).map(|(_, value)| number(&value).unwrap_or(0))).collect()
    }

    /// Commits from the group that holds `position`, until `enough` says so.
    pub(super) fn commits_from(&self, position: u64, enough: &mut dyn FnMut(Sealed) -> bool) -> Result<(), ReadError> {
        let start = match self.db.range(keys::group(0)..=keys::group(position)).next_back() {
            Some(entry) => entry.map_err(unreadable)?.0.to_vec(),
            None => keys::group(0),
        };
        for entry in self.db.range(start..=keys::group(u64::MAX)) {
            let (_, body) = entry.map_err(unreadable)?;
            if give(&body, enough)? {
                break;
            }
        }
        Ok(())
    }

    /// The commit that holds a position.
    pub(super) fn commit_at(&self, position: u64) -> Result<Option<Sealed>, ReadError> {
        let mut found = None;
        self.commits_from(position, &mut |sealed| {
            let over = sealed.commit.last_position() >= position;
            if over && sealed.commit.position <= position {
                found = Some(sealed);
            }
            over
        })?;
        Ok(found)
    }

    /// The chain value after the commit that holds a position.
    pub(super) fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError> {
        Ok(self.commit_at(position)?.map(|sealed| sealed.chain))
    }
}

/// Gives the commits of a group until it is enough; says whether it was.
fn give(body: &[u8], enough: &mut dyn FnMut(Sealed) -> bool) -> Result<bool, ReadError> {
    for sealed in decoded(body) {
        if enough(sealed?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The commits of the body of a group.
pub(super) fn decoded(body: &[u8]) -> impl Iterator<Item = Result<Sealed, ReadError>> + '_ {
    entries(body).map(|entry| {
        let (range, chain) = entry.ok_or_else(|| ReadError::Damaged("a stored group is cut off".into()))?;
        let body = body[range].to_vec();
        let commit = codec::decode_commit(&body).map_err(|error| ReadError::Damaged(error.to_string()))?;
        Ok(Sealed { commit, body, chain })
    })
}

fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

fn unreadable(error: sled::Error) -> ReadError {
    ReadError::Io(format!("the index: {error}; restart the engine, the index is rebuilt from the journal"))
}

/// A half-written snapshot left by a kill makes a later open fail (facts: storage).
fn remove_half_snapshots(folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
