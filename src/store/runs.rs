//! Idempotency keys to positions, for ever and exactly, in sorted runs.
//!
//! A key is looked up by a hash. One entry of sled each would touch a leaf each, anywhere in the tree: in a storm that
//! costs more than all the rest, in time and in memory. So the newest keys are held here, and when there are enough of
//! them they go to sled together, sorted, some hundreds to an entry. A filter in memory tells for each run whether it
//! can have a key at all; only then is sled asked, and what sled has decides.
//!
//! After a start the keys that no run has yet come from the journal, as everything here would without sled.

use std::collections::HashMap;

use cutover_events::codec;
use parking_lot::RwLock;

use super::ReadError;
use super::indexed::{Broken, unreadable};
use super::keys;

/// A run has so many keys: some 3 MiB of memory until then, 128 KiB for its filter afterwards. In tests there are several
/// runs of a few keys.
pub(super) const RUN_KEYS: usize = if cfg!(test) { 256 } else { 64 * 1024 };
/// Keys in one entry of sled: 6 KiB, about what it stores best (facts: storage).
const CHUNK_KEYS: usize = 256;
/// Entries that go to sled in one batch: below the 64 KiB of a round of the feeder.
const BATCH_CHUNKS: usize = 8;
/// A key and its position.
const ENTRY_BYTES: usize = 24;
/// Keys that share one block of a filter: 16 bits each, one key in some 500 is taken for one that may be there.
const BLOCK_KEYS: usize = 32;
/// Bits of a block that one key sets.
const PROBES: u32 = 7;
/// Position up to which the runs have all keys, and how many keys each has.
const RUNS: &[u8] = &[keys::META, b'k'];

/// Every key that sled's head covers.
#[derive(Debug)]
pub(super) struct Runs {
    db: sled::Db,
    run_keys: usize,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Those that are in no run yet.
    loose: HashMap<[u8; 16], u64>,
    filters: Vec<Filter>,
    sealed: Sealed,
}

/// What is stored about the runs.
#[derive(Clone, Debug, Default)]
struct Sealed {
    position: u64,
    counts: Vec<u64>,
}

/// What tells that a run does not have a key.
#[derive(Debug)]
struct Filter(Vec<[u64; 8]>);

impl Runs {
    /// The runs in sled, counted. What a run that was never finished has left is removed.
    pub(super) fn open(db: &sled::Db, run_keys: usize) -> Result<Self, Broken> {
        let told = |error: sled::Error| error.to_string();
        let sealed = match db.get(RUNS).map_err(told)? {
            Some(value) => codec::decode::<(u64, Vec<u64>)>(&value).map_err(|error| error.to_string())?,
            None => (0, Vec::new()),
        };
        let sealed = Sealed { position: sealed.0, counts: sealed.1 };
        let mut filters: Vec<Filter> = sealed.counts.iter().map(|count| Filter::for_keys(*count as usize)).collect();
        let mut found = vec![0; filters.len()];
        for entry in db.scan_prefix([keys::KEYS]) {
            let (name, chunk) = entry.map_err(told)?;
            let run = keys::run_of(&name).ok_or("it has an entry of keys without a run")?;
            let Some(filter) = filters.get_mut(run) else {
                db.remove(name).map_err(told)?;
                continue;
            };
            let (entries, _) = chunk.as_chunks::<ENTRY_BYTES>();
            found[run] += entries.len() as u64;
            entries.iter().for_each(|entry| filter.add(&halves(entry).0));
        }
        if found != sealed.counts {
            return Err(format!("its runs of keys hold {found:?} keys, not {:?}", sealed.counts));
        }
        let state = RwLock::new(State { loose: HashMap::new(), filters, sealed });
        Ok(Self { db: db.clone(), run_keys, state })
    }

    /// Position up to which every key is in a run; the keys of what follows are to be added once more after a start.
    pub(super) fn sealed(&self) -> u64 {
        self.state.read().sealed.position
    }

    /// Adds the keys of commits up to a position, and makes a run of them when they are many.
    pub(super) fn add(&self, new: impl Iterator<Item = ([u8; 16], u64)>, position: u64) -> Result<(), sled::Error> {
        let many = {
            let mut state = self.state.write();
            state.loose.extend(new);
            state.loose.len() >= self.run_keys
        };
        if many { self.seal(position) } else { Ok(()) }
    }

    /// Where a key was used.
    pub(super) fn find(&self, key: &[u8; 16]) -> Result<Option<u64>, ReadError> {
        let state = self.state.read();
        if let Some(position) = state.loose.get(key) {
            return Ok(Some(*position));
        }
        for (run, filter) in state.filters.iter().enumerate().rev() {
            if filter.may_have(key)
                && let Some(position) = self.find_in(run, key)?
            {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn find_in(&self, run: usize, key: &[u8; 16]) -> Result<Option<u64>, ReadError> {
        let range = keys::chunk(run, &[0; 16])..=keys::chunk(run, key);
        let Some(entry) = self.db.range(range).next_back() else { return Ok(None) };
        let (_, chunk) = entry.map_err(unreadable)?;
        let (entries, _) = chunk.as_chunks::<ENTRY_BYTES>();
        let at = entries.binary_search_by(|entry| halves(entry).0.cmp(key));
        Ok(at.ok().map(|at| halves(&entries[at]).1))
    }

    /// Makes a run of the loose keys. It counts from the last batch on, which says so; until then they stay loose.
    fn seal(&self, position: u64) -> Result<(), sled::Error> {
        let (run, mut entries, mut sealed) = {
            let state = self.state.read();
            let entries: Vec<_> = state.loose.iter().map(|(key, position)| entry(key, *position)).collect();
            (state.filters.len(), entries, state.sealed.clone())
        };
        entries.sort_unstable();
        let mut filter = Filter::for_keys(entries.len());
        entries.iter().for_each(|entry| filter.add(&halves(entry).0));
        for part in entries.chunks(CHUNK_KEYS * BATCH_CHUNKS) {
            let mut batch = sled::Batch::default();
            for chunk in part.chunks(CHUNK_KEYS) {
                batch.insert(keys::chunk(run, &halves(&chunk[0]).0), chunk.as_flattened());
            }
            self.db.apply_batch(batch)?;
        }
        sealed.position = position;
        sealed.counts.push(entries.len() as u64);
        let told = codec::encode(&(sealed.position, &sealed.counts)).unwrap_or_default();
        self.db.insert(RUNS, told)?;
        let mut state = self.state.write();
        state.filters.push(filter);
        state.sealed = sealed;
        state.loose.clear();
        Ok(())
    }
}

impl Filter {
    fn for_keys(count: usize) -> Self {
        Self(vec![[0; 8]; count.div_ceil(BLOCK_KEYS).max(1)])
    }

    fn add(&mut self, key: &[u8; 16]) {
        let (block, bits) = self.place(key);
        bits.for_each(|(word, bit)| self.0[block][word] |= bit);
    }

    fn may_have(&self, key: &[u8; 16]) -> bool {
        let (block, mut bits) = self.place(key);
        bits.all(|(word, bit)| self.0[block][word] & bit != 0)
    }

    /// A key is a hash: one half of it chooses the block, nine bits of the other each of its bits there.
    fn place(&self, key: &[u8; 16]) -> (usize, impl Iterator<Item = (usize, u64)> + use<>) {
        let whole = u128::from_le_bytes(*key);
        let block = ((whole >> 64) * self.0.len() as u128) >> 64;
        let bits = (0..PROBES).map(move |probe| {
            let at = (whole >> (9 * probe)) as usize;
            (at & 7, 1 << ((at >> 3) & 63))
        });
        (block as usize, bits)
    }
}

fn entry(key: &[u8; 16], position: u64) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..16].copy_from_slice(key);
    entry[16..].copy_from_slice(&position.to_be_bytes());
    entry
}

fn halves(entry: &[u8; ENTRY_BYTES]) -> ([u8; 16], u64) {
    let (mut key, mut position) = ([0; 16], [0; 8]);
    key.copy_from_slice(&entry[..16]);
    position.copy_from_slice(&entry[16..]);
    (key, u64::from_be_bytes(position))
}

#[cfg(test)]
mod tests {
    use cutover_events::Digest;

    use super::*;

    fn key(number: u64) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&Digest::of(&number.to_le_bytes()).0[..16]);
        half
    }

    fn fill(runs: &Runs, from: u64, to: u64) {
        for first in (from..to).step_by(100) {
            let last = (first + 100).min(to);
            runs.add((first..last).map(|number| (key(number), number)), last - 1).unwrap();
        }
    }

    fn db(dir: &std::path::Path) -> sled::Db {
        sled::Config::new().path(dir).open().unwrap()
    }

    #[test]
    fn every_key_is_found_and_no_other_whatever_run_it_is_in() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(&db(dir.path()), 1_000).unwrap();
        fill(&runs, 1, 5_501);
        assert_eq!(runs.state.read().filters.len(), 5);
        for _ in 0..2 {
            assert!((1..5_501).all(|number| runs.find(&key(number)).unwrap() == Some(number)));
            assert!((5_501..60_000).all(|number| runs.find(&key(number)).unwrap().is_none()));
            let state = runs.state.read();
            let taken = (5_501..60_000).filter(|n| state.filters.iter().any(|filter| filter.may_have(&key(*n))));
            assert!(taken.count() < 54_500 / 30, "the filters keep hardly anything from sled");
        }
        let loose = runs.state.read().loose.len();
        drop(runs);
        let runs = Runs::open(&db(dir.path()), 1_000).unwrap();
        let sealed = runs.sealed();
        assert_eq!(loose as u64, 5_500 - sealed);
        assert!((1..=sealed).all(|number| runs.find(&key(number)).unwrap() == Some(number)));
        assert!((sealed + 1..=5_500).all(|number| runs.find(&key(number)).unwrap().is_none()));
    }

    #[test]
    fn an_unfinished_run_is_made_again_with_what_has_come_since() {
        let dir = tempfile::tempdir().unwrap();
        let runs = Runs::open(&db(dir.path()), 1_000).unwrap();
        fill(&runs, 1, 1_501);
        let chunk: Vec<u8> = [1_200_u64, 1_300].iter().flat_map(|n| entry(&key(*n), *n)).collect();
        runs.db.insert(keys::chunk(1, &key(1_200)), chunk).unwrap();
        drop(runs);
        let runs = Runs::open(&db(dir.path()), 1_000).unwrap();
        fill(&runs, runs.sealed() + 1, 2_501);
        assert!((1..2_501).all(|number| runs.find(&key(number)).unwrap() == Some(number)));
    }

    #[test]
    fn a_run_that_lost_keys_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let db = db(dir.path());
        fill(&Runs::open(&db, 1_000).unwrap(), 1, 2_001);
        let (name, _) = db.scan_prefix([keys::KEYS]).nth(2).unwrap().unwrap();
        db.remove(name).unwrap();
        let broken = Runs::open(&db, 1_000).unwrap_err();
        assert!(broken.contains("runs of keys hold"), "{broken}");
    }
}
