//! Opening: verify the journal, fold while it is read, bring sled up to it, repeat the last group.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use cutover_events::engine::LogBegun;
use cutover_events::{Actor, Cause, Commit, Digest, LogId, Sealed, Stamp, StreamId, codec};

use super::indexed::Indexed;
use super::journal::{Damage, Disk, Group, Journal, JournalError, Placed, Scanned, entries, scan};
use super::journaled::{minted, replay};
use super::lock::{self, Lock, NotLocked};
use super::recent::Recent;
use super::{Head, ReadError, files, keys};

/// Groups that wait between the thread that verifies and the one that decodes.
const PIPE: usize = 256;
/// What sled lacks is fed in batches of this many bytes (facts: storage).
const FEED_BYTES: usize = 64 * 1024;

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error("an engine runs on this data folder already: process {pid}; stop it first, or choose another data_dir")]
    Held {
        /// Its process id.
        pid: String,
    },
    /// The stored bytes are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The events cannot be true, or are of a newer version.
    #[error("the log cannot be folded: {0}")]
    Folded(String),
    /// The files cannot be read or written.
    #[error("the log cannot be opened: {0}")]
    Io(String),
}

/// What opening has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Events in the log.
    pub events: u64,
    /// A half group that was never acknowledged was cut off: the segment, and what is good of it, bytes.
    pub torn: Option<(String, u64)>,
    /// Why the index was rebuilt.
    pub rebuilt: Option<String>,
}

/// An opened log, its threads not started yet.
pub(super) struct Opened {
    pub(super) lock: Lock,
    pub(super) journal: Journal,
    pub(super) index: Indexed,
    pub(super) recent: Recent,
    pub(super) head: Head,
    pub(super) versions: HashMap<StreamId, u64>,
    pub(super) id: LogId,
    pub(super) report: OpenReport,
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        Self::Folded(error.to_string())
    }
}

/// Opens the log in `dir`, giving every commit to `fold`; a new log begins with this id.
pub(super) fn open(
    dir: &Path,
    disk: Box<dyn Disk>,
    (log, at): (LogId, Stamp),
    mut fold: impl FnMut(Sealed) -> Result<(), String>,
) -> Result<Opened, OpenError> {
    let folder = dir.join("journal");
    files::make_folder(&folder)?;
    let lock = lock::take(dir).map_err(|error| match error {
        NotLocked::HeldBy(pid) => OpenError::Held { pid },
        NotLocked::Io(error) => error.into(),
    })?;
    let mut report = OpenReport::default();
    let sled = dir.join("log.sled");
    let (index, held) = match Indexed::open(&sled).and_then(|index| index.head().map(|head| (index, head))) {
        Ok(opened) => opened,
        Err(why) => (fresh(&sled, &mut report, why)?, Head::default()),
    };
    let mut reader = Reader::new(index, held);
    let mut scanned = read(&folder, &mut reader, &mut fold)?;
    if !reader.agrees {
        let why = format!("it holds position {} with another chain value than the journal", held.position);
        drop(reader);
        reader = Reader::new(fresh(&sled, &mut report, why)?, Head::default());
        scanned = read(&folder, &mut reader, &mut |_| Ok(()))?;
    }
    cut(&folder, &scanned, &mut report)?;
    let head = Head { position: scanned.position, chain: scanned.chain };
    report.events = scanned.position;
    if held == Head::default() && scanned.commits > 1 && report.rebuilt.is_none() {
        report.rebuilt = Some("it was missing or empty".into());
    }
    let last = scanned.last.map(|(first, body, before)| (Group { first, body, commits: Vec::new() }, before));
    let mut journal = Journal::new(&folder, scanned.number + 1, last, disk);
    match journal.repeat() {
        Ok(()) => {}
        Err(JournalError::NoRoom) => {
            tracing::warn!("no room is left for the log: it can be read, and appends wait for room");
        }
        Err(JournalError::Failed(error)) => return Err(error.into()),
    }
    let Reader { index, versions, id, .. } = reader;
    let recent = Recent::default();
    let mut opened = Opened { lock, journal, index, recent, head, versions, id: id.unwrap_or(log), report };
    if id.is_none() {
        fold(opened.begin(log, at)?).map_err(OpenError::Folded)?;
    }
    Ok(opened)
}

impl Opened {
    /// The first commit of a log: it mints the log id.
    fn begin(&mut self, log: LogId, at: Stamp) -> Result<Sealed, OpenError> {
        let commit = Commit {
            position: 1,
            stream: StreamId::Engine,
            version: 1,
            at,
            cause: Cause::Engine,
            actor: Actor::Engine,
            key: None,
            events: vec![LogBegun { log }.into()],
        };
        let body = codec::encode_commit(&commit).map_err(|error| OpenError::Io(error.to_string()))?;
        let chain = codec::chain(Digest::default(), &body);
        let sealed = Sealed { commit, body, chain };
        let mut group = Group::beginning_at(1);
        let range = group.push(&sealed.body, chain);
        group.commits.push(placed(&sealed, range));
        match self.journal.write(&group, Digest::default()) {
            Ok(()) => (),
            Err(JournalError::NoRoom) => return Err(OpenError::Io("no room is left for a new log".into())),
            Err(JournalError::Failed(error)) => return Err(error.into()),
        }
        self.recent.push(group);
        self.head = Head { position: 1, chain };
        self.versions.insert(StreamId::Engine, 1);
        Ok(sealed)
    }
}

/// Cuts what is not good, and the zeros ahead, off the last segment.
fn cut(folder: &Path, scanned: &Scanned, report: &mut OpenReport) -> io::Result<()> {
    if let Some(torn) = &scanned.torn {
        let name = torn.segment.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        tracing::warn!(
            segment = name,
            good = torn.good,
            "half a group at the end of the log was never acknowledged and is cut off"
        );
        report.torn = Some((name, torn.good));
        if torn.good == 0 {
            fs::remove_file(&torn.segment)?;
            return files::sync_folder(folder);
        }
    }
    if let Some((path, good)) = &scanned.end {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(*good)?;
        file.sync_all()?;
    }
    Ok(())
}

/// An empty index; a broken one is set aside.
fn fresh(sled: &Path, report: &mut OpenReport, why: String) -> Result<Indexed, OpenError> {
    tracing::warn!(why, "the index is set aside and rebuilt from the journal");
    report.rebuilt = Some(why);
    Indexed::set_aside(sled)?;
    Indexed::open(sled).map_err(OpenError::Io)
}

/// What reading the journal brings together.
struct Reader {
    index: Indexed,
    held: Head,
    /// Up to here the index knows the keys of commits without the journal.
    keyed: u64,
    agrees: bool,
    versions: HashMap<StreamId, u64>,
    id: Option<LogId>,
    behind: Vec<Arc<Group>>,
    bytes: usize,
}

/// Verifies on one thread, decodes and folds on this one.
fn read(
    folder: &Path,
    reader: &mut Reader,
    fold: &mut dyn FnMut(Sealed) -> Result<(), String>,
) -> Result<Scanned, OpenError> {
    let (sender, groups) = sync_channel::<(u64, Vec<u8>)>(PIPE);
    let known = reader.held.position;
    let scanned = std::thread::scope(|scope| {
        let scanner = scope.spawn(move || {
            scan(folder, known, &mut |first, body, _| {
                // When the other side has given up, its error is the one that counts.
                drop(sender.send((first, body.to_vec())));
            })
        });
        let folded = groups.into_iter().try_for_each(|(first, body)| reader.take(first, body, fold));
        let scanned = scanner.join().map_err(|_| OpenError::Io("the reader of the journal panicked".into()))?;
        folded?;
        Ok::<_, OpenError>(scanned?)
    })?;
    reader.feed()?;
    Ok(scanned)
}

impl Reader {
    fn new(index: Indexed, held: Head) -> Self {
        let agrees = held.position == 0;
        let keyed = index.keyed().min(held.position);
        Self { index, held, keyed, agrees, versions: HashMap::new(), id: None, behind: Vec::new(), bytes: 0 }
    }

    fn take(
        &mut self,
        first: u64,
        body: Vec<u8>,
        fold: &mut dyn FnMut(Sealed) -> Result<(), String>,
    ) -> Result<(), OpenError> {
        let mut group = Group { first, body, commits: Vec::new() };
        let mut last = 0;
        for (sealed, entry) in replay(&group.body).zip(entries(&group.body)) {
            let sealed = sealed?;
            let commit = &sealed.commit;
            last = commit.last_position();
            self.agrees |= (last, sealed.chain) == (self.held.position, self.held.chain);
            self.versions.insert(commit.stream, commit.last_version());
            self.id = self.id.or_else(|| minted(&sealed));
            if last > self.keyed {
                group.commits.push(placed(&sealed, entry.map_or(0..0, |(range, _)| range)));
            }
            fold(sealed).map_err(OpenError::Folded)?;
        }
        if last > self.held.position {
            self.bytes += group.body.len();
            self.behind.push(Arc::new(group));
        } else if last > self.keyed {
            self.index.add_keys(&[Arc::new(group)]).map_err(|error| OpenError::Io(error.to_string()))?;
        }
        if self.bytes >= FEED_BYTES { self.feed() } else { Ok(()) }
    }

    /// Takes what sled lacks into sled, unless it disagrees and is rebuilt anyway.
    fn feed(&mut self) -> Result<(), OpenError> {
        let behind = std::mem::take(&mut self.behind);
        self.bytes = 0;
        if self.agrees && !behind.is_empty() {
            self.index.apply(&behind).map_err(|error| OpenError::Io(error.to_string()))?;
        }
        Ok(())
    }
}

fn placed(sealed: &Sealed, range: std::ops::Range<usize>) -> Placed {
    let commit = &sealed.commit;
    Placed {
        position: commit.position,
        last: commit.last_position(),
        stream: commit.stream,
        version: commit.version,
        last_version: commit.last_version(),
        range,
        chain: sealed.chain,
        key: commit.key.as_ref().map(|key| keys::lookup(key, commit.stream)),
    }
}
