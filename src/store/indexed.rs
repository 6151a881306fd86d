//! sled: the same commits, keyed for queries. Derived from the journal, rebuilt from it whenever it disagrees.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use cutover_events::codec::{CodecError, Placed as Place};
use cutover_events::{Digest, Sealed, StreamId, codec};

use super::journal::{Group, entries};
use super::runs::{RUN_KEYS, Runs};
use super::{Head, ReadError, keys};

/// sled's cache, bytes: it bounds nothing by itself, but the default of 1 GB lets memory grow with the log.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// sled syncs its file so often, ms, and cleans up: each sync holds up one of the journal's on the same disk, and all it
/// saves is that so much is read again from the journal after a kill. By default it is every half second.
const FLUSH_EVERY_MS: u64 = 2_000;
/// Position and chain value up to which sled holds the log.
const HEAD: &[u8] = &[keys::META, b'h'];

/// Which layout this is; one of another is rebuilt.
const LAYOUT: &[u8] = &[keys::META, b'l'];
/// Blocks and spans of batches, runs of keys.
const CURRENT: &[u8] = &[2];
/// Commits one after the other are one value up to so many bytes: what sled stores best (facts: storage), and few enough
/// to find one among.
const BLOCK_BYTES: usize = 7 * 1024;

/// The one tree.
#[derive(Clone, Debug)]
pub(super) struct Indexed {
    db: sled::Db,
    runs: Arc<Runs>,
}

/// Damage in sled is mended by a rebuild: what was wrong, for the report.
pub(super) type Broken = String;

impl Indexed {
    /// Opens the folder; panics of sled on damaged files are errors like any other.
    pub(super) fn open(folder: &Path) -> Result<Self, Broken> {
        remove_half_snapshots(folder).map_err(|error| error.to_string())?;
        catch_unwind(AssertUnwindSafe(|| Self::opened(folder))).map_err(|_| "sled panicked on its files")?
    }

    fn opened(folder: &Path) -> Result<Self, Broken> {
        let told = |error: sled::Error| error.to_string();
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(Some(FLUSH_EVERY_MS));
        let db = config.open().map_err(told)?;
        if db.get(HEAD).map_err(told)?.is_none() {
            db.insert(LAYOUT, CURRENT).map_err(told)?;
        } else if db.get(LAYOUT).map_err(told)?.is_none_or(|layout| layout != CURRENT) {
            return Err("it has the layout of another version".into());
        }
        let runs = Arc::new(Runs::open(&db, RUN_KEYS)?);
        Ok(Self { db, runs })
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
        let commits = || groups.iter().flat_map(|group| &group.commits);
        let Some(last) = commits().last() else { return Ok(()) };
        let mut batch = sled::Batch::default();
        for (first, block) in blocks(groups) {
            batch.insert(keys::block(first), block);
        }
        for (stream, span) in keys::spans(commits()) {
            batch.insert(
                keys::version(stream, span.version),
                [span.first, span.last].map(u64::to_be_bytes).as_flattened(),
            );
        }
        batch.insert(HEAD, codec::encode(&(last.last, last.chain)).unwrap_or_default());
        self.db.apply_batch(batch)?;
        self.add_keys(groups)
    }

    /// Position up to which the keys of commits need not be added after a start.
    pub(super) fn keyed(&self) -> u64 {
        self.runs.sealed()
    }

    /// Adds the keys of commits that were taken in before this start.
    pub(super) fn add_keys(&self, groups: &[Arc<Group>]) -> Result<(), sled::Error> {
        let commits = || groups.iter().flat_map(|group| &group.commits);
        let Some(last) = commits().last() else { return Ok(()) };
        self.runs.add(commits().filter_map(|commit| Some((commit.key?, commit.position))), last.last)
    }

    pub(super) fn key(&self, key: &[u8; 16]) -> Result<Option<u64>, ReadError> {
        self.runs.find(key)
    }

    /// Commits of a stream whose last version is at least `from`, at most `limit`.
    pub(super) fn of_stream(&self, stream: StreamId, from: u64, limit: usize) -> Result<Vec<Sealed>, ReadError> {
        let prefix = keys::stream_prefix(stream);
        let at_or_before = self.db.range(prefix.clone()..=keys::version(stream, from)).next_back();
        let start = match at_or_before {
            Some(entry) => entry.map_err(unreadable)?.0.to_vec(),
            None => prefix,
        };
        let mut found = Vec::new();
        for entry in self.db.range(start..=keys::version(stream, u64::MAX)) {
            if found.len() >= limit {
                break;
            }
            let (_, value) = entry.map_err(unreadable)?;
            let (first, last) = positions(&value)?;
            self.bodies_from(first, &mut |place, count, sealed| {
                let inside = first <= place.position && place.position <= last;
                let fits = inside && place.stream == stream && place.version + count > from;
                found.extend(fits.then(sealed).transpose()?);
                Ok(place.position >= last || found.len() >= limit)
            })?;
        }
        Ok(found)
    }

    /// Commits from the block that holds `position`, until `enough` says so.
    pub(super) fn commits_from(&self, position: u64, enough: &mut dyn FnMut(Sealed) -> bool) -> Result<(), ReadError> {
        self.bodies_from(position, &mut |place, count, sealed| {
            // What stands before the position in its block need not be decoded.
            if place.position + count <= position { Ok(false) } else { Ok(enough(sealed()?)) }
        })
    }

    /// Gives what stands in the log from the block that holds `position` on, until `enough` says so.
    fn bodies_from(&self, position: u64, enough: &mut Enough<'_>) -> Result<(), ReadError> {
        let start = match self.db.range(keys::block(0)..=keys::block(position)).next_back() {
            Some(entry) => entry.map_err(unreadable)?.0.to_vec(),
            None => keys::block(0),
        };
        for entry in self.db.range(start..=keys::block(u64::MAX)) {
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
            found = Some(sealed).filter(|sealed| sealed.commit.position <= position);
            true
        })?;
        Ok(found)
    }

    /// The chain value after the commit that holds a position.
    pub(super) fn chain_at(&self, position: u64) -> Result<Option<Digest>, ReadError> {
        Ok(self.commit_at(position)?.map(|sealed| sealed.chain))
    }
}

/// Says whether it is enough after a commit: its place, how many events it has, and itself, decoded when asked for.
type Enough<'a> = dyn FnMut(Place, u64, &dyn Fn() -> Result<Sealed, ReadError>) -> Result<bool, ReadError> + 'a;

/// Gives the commits of a block until it is enough; says whether it was.
fn give(body: &[u8], enough: &mut Enough<'_>) -> Result<bool, ReadError> {
    for entry in entries(body) {
        let (range, chain) = entry.ok_or_else(cut_off)?;
        let (place, _, events) = codec::place(&body[range.clone()]).map_err(damaged)?;
        if enough(place, u64::from(events), &|| sealed(&body[range.clone()], chain))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The commits of the body of a group.
pub(super) fn decoded(body: &[u8]) -> impl Iterator<Item = Result<Sealed, ReadError>> + '_ {
    entries(body).map(|entry| {
        let (range, chain) = entry.ok_or_else(cut_off)?;
        sealed(&body[range], chain)
    })
}

fn sealed(body: &[u8], chain: Digest) -> Result<Sealed, ReadError> {
    Ok(Sealed { commit: codec::decode_commit(body).map_err(damaged)?, body: body.to_vec(), chain })
}

/// Commits as values of sled, some together, with the first position of each value.
fn blocks(groups: &[Arc<Group>]) -> Vec<(u64, Vec<u8>)> {
    let mut blocks: Vec<(u64, Vec<u8>)> = Vec::new();
    for group in groups {
        let mut start = 0;
        for commit in &group.commits {
            let entry = &group.body[start..commit.range.end];
            start = commit.range.end;
            match blocks.last_mut() {
                Some((_, block)) if block.len() + entry.len() <= BLOCK_BYTES => block.extend_from_slice(entry),
                _ => {
                    let mut block = Vec::with_capacity(BLOCK_BYTES.max(entry.len()));
                    block.extend_from_slice(entry);
                    blocks.push((commit.position, block));
                }
            }
        }
    }
    blocks
}

/// The positions of the first and last commit of a span.
fn positions(value: &[u8]) -> Result<(u64, u64), ReadError> {
    match value.as_chunks() {
        ([first, last], []) => Ok((u64::from_be_bytes(*first), u64::from_be_bytes(*last))),
        _ => Err(ReadError::Damaged("an entry of the index is cut off; restart the engine, it is rebuilt".into())),
    }
}

fn cut_off() -> ReadError {
    ReadError::Damaged("a stored group is cut off".into())
}

fn damaged(error: CodecError) -> ReadError {
    ReadError::Damaged(error.to_string())
}

pub(super) fn unreadable(error: sled::Error) -> ReadError {
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
