//! The table on disk: the last one known good, restored at a start.
//!
//! One line `cutover-table 1 <checksum>`, then JSON. Written beside, fsynced, renamed, the folder fsynced.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::wire;

/// Name and version of the format.
const FORMAT: &str = "cutover-table 1";

/// What is kept of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Whose table.
    pub log: Option<String>,
    /// Highest writer epoch seen.
    pub writer_epoch: u64,
    /// The newest witness.
    pub witness: Option<wire::Witness>,
    /// Entries, tombstones too.
    pub entries: Vec<StoredEntry>,
}

/// What is kept of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredEntry {
    /// Whose.
    pub workload: String,
    /// `project/name`.
    pub name: String,
    /// Highest generation taken.
    pub generation: u64,
    /// Hosts and paths.
    pub routes: Vec<wire::Route>,
    /// What it is found by.
    #[serde(default)]
    pub names: Option<wire::Names>,
    /// What serves.
    pub targets: Vec<wire::Target>,
    /// Releases from before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<wire::Former>,
    /// Times.
    pub policy: wire::RoutePolicy,
}

/// Why the table on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is there and is not what was written.
    #[error(
        "the route table {} is damaged ({what}). Nothing is served from it. Move it away and start again: the engine \
         writes every route anew; or put a good copy in its place", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be read or written.
    #[error("the route table {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Stored {
    /// What of a table is kept.
    #[must_use]
    pub fn of(table: &Snapshot) -> Self {
        let entries = table.entries.values().map(|entry| StoredEntry {
            workload: entry.workload.clone(),
            name: entry.name.clone(),
            generation: entry.generation,
            routes: entry.routes.clone(),
            names: entry.names.clone(),
            targets: entry
                .targets
                .iter()
                .map(|target| wire::Target { unit: target.unit.clone(), place: target.place() })
                .collect(),
            former: entry.former.iter().map(|former| former.asked.clone()).collect(),
            policy: entry.policy.clone(),
        });
        Self {
            log: table.log.clone(),
            writer_epoch: table.writer_epoch,
            witness: table.witness.clone(),
            entries: entries.collect(),
        }
    }

    /// Reads the file; without one the table is empty.
    ///
    /// # Errors
    /// When it is there and cannot be read or is not what was written.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
        };
        let damaged = |what: &str| StoreError::Damaged { path: path.to_owned(), what: what.to_owned() };
        let end = text.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it has no first line"))?;
        let (head, body) = (&text[..end], &text[end + 1..]);
        let sum = std::str::from_utf8(head)
            .ok()
            .and_then(|head| head.strip_prefix(FORMAT))
            .ok_or_else(|| damaged("its first line is not that of a table"))?;
        if sum.trim() != format!("{:016x}", checksum(body)) {
            return Err(damaged("its checksum does not fit"));
        }
        serde_json::from_slice(body).map_err(|e| damaged(&e.to_string()))
    }

    /// Makes the table durable: on return it is what a start will find.
    ///
    /// # Errors
    /// When any step fails; then the former file is still in place, or the new one is and may not survive a power cut.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let body = serde_json::to_vec(self).map_err(|e| io(e.into()))?;
        let beside = path.with_extension("json.new");
        let mut file = File::create(&beside).map_err(io)?;
        writeln!(file, "{FORMAT} {:016x}", checksum(&body)).map_err(io)?;
        file.write_all(&body).map_err(io)?;
        file.sync_all().map_err(io)?;
        fs::rename(&beside, path).map_err(io)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

/// FNV-1a, 64 bits: against rot and cut files, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, b| (sum ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Stored {
        let targets = vec![
            wire::Target { unit: "u1".into(), place: wire::Place::Address([10, 0, 0, 2].into()) },
            wire::Target { unit: "u2".into(), place: wire::Place::Folder("/d/sites/w/u2".into()) },
        ];
        let policy = wire::RoutePolicy { drain_ms: 5, half_close: true };
        let entry = StoredEntry {
            workload: "w".into(),
            name: "p/w".into(),
            generation: 3,
            routes: Vec::new(),
            names: Some(wire::Names { gateway: [10, 0, 0, 1].into(), prefix: 24, names: vec!["w".into()] }),
            targets,
            former: vec![wire::Former { folder: "/d/sites/w/u1".into(), for_ms: 7 }],
            policy,
        };
        Stored { log: Some("log_1".into()), writer_epoch: 9, witness: None, entries: vec![entry] }
    }

    #[test]
    fn a_table_from_before_names_and_folders_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.json");
        let body =
            br#"{"log":"l","writer_epoch":1,"witness":null,"entries":[{"workload":"w","name":"p/w","generation":3,
            "routes":[],"targets":[{"unit":"u","address":"10.0.0.2"}],"policy":{"drain_ms":5,"half_close":false}}]}"#;
        let head = format!("{FORMAT} {:016x}\n", checksum(body));
        fs::write(&path, [head.as_bytes(), body].concat()).unwrap();
        let read = Stored::read(&path).unwrap();
        assert_eq!((&read.entries[0].names, &read.entries[0].former), (&None, &Vec::new()));
        assert_eq!(read.entries[0].targets[0].place, wire::Place::Address([10, 0, 0, 2].into()));
    }

    #[test]
    fn what_was_written_is_read_and_any_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.json");
        assert_eq!(Stored::read(&path).unwrap(), Stored::default());
        sample().write(&path).unwrap();
        assert_eq!(Stored::read(&path).unwrap(), sample());
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let error = Stored::read(&path).unwrap_err();
            assert!(error.to_string().contains("damaged"), "byte {at}: {error}");
        }
        for end in 0..good.len() {
            fs::write(&path, &good[..end]).unwrap();
            assert!(Stored::read(&path).is_err(), "cut at {end}");
        }
    }
}
