//! The log of a build, by deployment: bounded, followed while it grows, searched.
//!
//! A log is a folder of parts, each named by its offset in the whole. The first one is the head; behind it the newest ones
//! are kept and what lies between is dropped, part by part. Bytes are never written twice and never moved, so that a reader
//! needs no lock.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cutover_events::DeploymentId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Redaction, Redactor};
use crate::store::files::{PRIVATE_FILE, make_folder};

/// Bytes of a log that are kept from its beginning: 1 MiB holds the context, the first steps and their versions.
const HEAD: u64 = 1 << 20;
/// Bytes of a log that are kept from its end, at least: the step that failed, and what led to it.
const TAIL: u64 = 4 << 20;
/// Bytes of one part behind the head: what is dropped at once.
const PART: u64 = 1 << 20;
/// Most bytes that are read at once.
const READ: u64 = 64 << 10;
/// Most lines that a search gives.
pub const MAX_FOUND: usize = 1_000;
/// Longest line that a search gives, characters.
const MAX_LINE: usize = 500;

/// How much of a log is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogBounds {
    /// Bytes of the beginning.
    pub head: u64,
    /// Bytes of the end, at least.
    pub tail: u64,
    /// Bytes that are dropped at once.
    pub part: u64,
}

impl Default for LogBounds {
    fn default() -> Self {
        Self { head: HEAD, tail: TAIL, part: PART }
    }
}

/// The logs of all builds.
#[derive(Clone, Debug)]
pub struct BuildLogs {
    dir: PathBuf,
    bounds: LogBounds,
    /// Those that grow, with their lengths.
    open: Arc<Mutex<BTreeMap<DeploymentId, watch::Receiver<u64>>>>,
}

/// A stretch of a log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// Where it begins in the whole: later than asked for where bytes were left out.
    pub at: u64,
    /// How many bytes before it were left out.
    pub left_out: u64,
    /// Its bytes; none at the end.
    pub bytes: Vec<u8>,
}

impl Piece {
    /// Where the next one begins.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

/// A line that was searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it begins in the whole.
    pub at: u64,
    /// The line, cut where it is very long.
    pub line: String,
}

impl BuildLogs {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(dir: PathBuf, bounds: LogBounds) -> io::Result<Self> {
        make_folder(&dir)?;
        Ok(Self { dir, bounds, open: Arc::default() })
    }

    /// Begins the log of a deployment, or goes on with it: a build that was interrupted is told in the same one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, deployment: DeploymentId, redactor: &Redactor) -> io::Result<BuildLog> {
        let dir = self.path(deployment);
        make_folder(&dir)?;
        let parts = parts(&dir)?;
        let length = parts.last().map_or(0, |part| part.start + part.length);
        let (sender, receiver) = watch::channel(length);
        self.open.lock().insert(deployment, receiver);
        let redaction = redactor.stream();
        let logs = self.clone();
        Ok(BuildLog { logs, deployment, dir, redaction, parts, file: None, length, sender })
    }

    /// The bytes from `from` on, a bounded number of them. A log that is not there is empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, deployment: DeploymentId, from: u64) -> io::Result<Piece> {
        let dir = self.path(deployment);
        // A part that is dropped while it is looked for has left a gap: the next look finds it.
        loop {
            match read_part(&dir, from) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && dir.exists() => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Piece { at: from, ..Piece::default() });
                }
                read => return read,
            }
        }
    }

    /// As [`Self::read`], but waits while the log grows and has nothing yet; an empty piece is the end of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn follow(&self, deployment: DeploymentId, from: u64) -> io::Result<Piece> {
        let growing = self.open.lock().get(&deployment).cloned();
        if let Some(mut length) = growing {
            // An error says that it has ended: what there is is read below.
            let ended = length.wait_for(|length| *length > from).await.is_err();
            tracing::trace!(%deployment, ended, "a log is followed");
        }
        self.read(deployment, from)
    }

    /// The lines that hold `text`, upper and lower case alike, first ones first, at most `limit` and [`MAX_FOUND`].
    ///
    /// # Errors
    /// It cannot be read.
    pub fn search(&self, deployment: DeploymentId, text: &str, limit: usize) -> io::Result<Vec<Found>> {
        let wanted = text.to_lowercase();
        let mut found = Vec::new();
        let mut lines = Lines::default();
        let mut from = 0;
        while found.len() < limit.min(MAX_FOUND) {
            let piece = self.read(deployment, from)?;
            let ended = piece.bytes.is_empty();
            from = piece.next();
            let mut keep = |at, line: &str| {
                let hit = line.to_lowercase().contains(&wanted);
                found.extend(hit.then(|| Found { at, line: line.chars().take(MAX_LINE).collect() }));
            };
            lines.take(&piece, &mut keep);
            if ended {
                break;
            }
        }
        found.truncate(limit.min(MAX_FOUND));
        Ok(found)
    }

    /// Removes logs that were last written more than `age` before `now_ms` (wall clock, ms), never one that grows; says
    /// how many went.
    ///
    /// # Errors
    /// The folder cannot be read, or a log not removed.
    pub fn remove_older(&self, age: Duration, now_ms: u64) -> io::Result<usize> {
        let limit = Duration::from_millis(now_ms).saturating_sub(age);
        let mut gone = 0;
        for entry in fs::read_dir(&self.dir)? {
            let dir = entry?.path();
            let growing = self.open.lock().keys().any(|deployment| self.path(*deployment) == dir);
            let written =
                parts(&dir)?.last().map(|part| fs::metadata(dir.join(part.name())).and_then(|meta| meta.modified()));
            let written = written.transpose()?.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
            if !growing && written.unwrap_or_default() < limit {
                fs::remove_dir_all(&dir)?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Whether there is a log of this deployment.
    #[must_use]
    pub fn holds(&self, deployment: DeploymentId) -> bool {
        self.path(deployment).is_dir()
    }

    /// The last lines, oldest first: of what is kept of the end of the log.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn last(&self, deployment: DeploymentId, lines: usize) -> io::Result<Vec<String>> {
        let dir = self.path(deployment);
        let parts = if dir.is_dir() { parts(&dir)? } else { Vec::new() };
        let end = parts.last().map_or(0, |part| part.start + part.length);
        let (mut text, mut from) = (Vec::new(), end.saturating_sub(READ));
        loop {
            let piece = self.read(deployment, from)?;
            if piece.bytes.is_empty() {
                break;
            }
            from = piece.next();
            text.extend(piece.bytes);
        }
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        let cut = |line: &&str| line.chars().take(MAX_LINE).collect();
        Ok(all[all.len().saturating_sub(lines)..].iter().map(cut).collect())
    }

    fn path(&self, deployment: DeploymentId) -> PathBuf {
        self.dir.join(deployment.to_string())
    }
}

/// A log that grows. It ends when this is dropped; who follows it is told.
#[derive(Debug)]
pub struct BuildLog {
    logs: BuildLogs,
    deployment: DeploymentId,
    dir: PathBuf,
    redaction: Redaction,
    parts: Vec<Part>,
    /// The newest part.
    file: Option<File>,
    length: u64,
    sender: watch::Sender<u64>,
}

impl BuildLog {
    /// Adds output. What may be the beginning of a secret value is written with the next one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let decided = self.redaction.push(bytes);
        self.put(&decided)
    }

    /// Writes what was held back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<()> {
        let rest = self.redaction.finish();
        self.put(&rest)
    }

    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let bounds = self.logs.bounds;
            let room = self.parts.last().map_or(0, |part| bounds.of(part.start).saturating_sub(part.length));
            if room == 0 {
                self.next_part()?;
                continue;
            }
            let now = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
            self.newest()?.write_all(now)?;
            if let Some(part) = self.parts.last_mut() {
                part.length += now.len() as u64;
            }
            self.length += now.len() as u64;
            bytes = &bytes[now.len()..];
        }
        self.sender.send_replace(self.length);
        Ok(())
    }

    fn newest(&mut self) -> io::Result<&mut File> {
        let Some(part) = self.parts.last() else { return Err(io::ErrorKind::NotFound.into()) };
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().append(true).create(true).mode(PRIVATE_FILE).open(self.dir.join(part.name()))?,
        };
        Ok(self.file.insert(file))
    }

    /// Begins a part, and drops those behind the head that the end no longer needs.
    fn next_part(&mut self) -> io::Result<()> {
        self.file = None;
        self.parts.push(Part { start: self.length, length: 0 });
        while self.parts.get(2).is_some_and(|kept| self.length - kept.start >= self.logs.bounds.tail) {
            let part = self.parts.remove(1);
            fs::remove_file(self.dir.join(part.name()))?;
        }
        Ok(())
    }
}

impl Drop for BuildLog {
    fn drop(&mut self) {
        let mut open = self.logs.open.lock();
        // Another one of the same deployment may have begun.
        if open.get(&self.deployment).is_some_and(|receiver| receiver.same_channel(&self.sender.subscribe())) {
            open.remove(&self.deployment);
        }
    }
}

impl LogBounds {
    /// Most bytes of the part that begins at `start`.
    fn of(self, start: u64) -> u64 {
        if start == 0 { self.head } else { self.part }
    }
}

/// A part that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Part {
    start: u64,
    length: u64,
}

impl Part {
    fn name(self) -> String {
        format!("{:020}.log", self.start)
    }
}

/// The parts of a log, in order.
fn parts(dir: &Path) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let start = name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|start| start.parse().ok());
        if let Some(start) = start {
            match entry.metadata() {
                Ok(meta) => parts.push(Part { start, length: meta.len() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    parts.sort_unstable_by_key(|part| part.start);
    Ok(parts)
}

fn read_part(dir: &Path, from: u64) -> io::Result<Piece> {
    let parts = parts(dir)?;
    let Some(part) = parts.iter().find(|part| part.start + part.length > from) else {
        return Ok(Piece { at: from, ..Piece::default() });
    };
    let at = from.max(part.start);
    let mut file = File::open(dir.join(part.name()))?;
    file.seek(SeekFrom::Start(at - part.start))?;
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes)?;
    Ok(Piece { at, left_out: at - from, bytes })
}

/// Lines put together from pieces.
#[derive(Debug, Default)]
struct Lines {
    at: u64,
    held: Vec<u8>,
}

impl Lines {
    /// Gives every line that ends in the piece; an empty piece ends the last one, as does a gap.
    fn take(&mut self, piece: &Piece, keep: &mut impl FnMut(u64, &str)) {
        if piece.left_out > 0 || piece.bytes.is_empty() {
            self.give(keep);
        }
        if self.held.is_empty() {
            self.at = piece.at;
        }
        for byte in &piece.bytes {
            if *byte == b'\n' {
                self.held.push(*byte);
                self.give(keep);
            } else {
                self.held.push(*byte);
            }
        }
    }

    fn give(&mut self, keep: &mut impl FnMut(u64, &str)) {
        if !self.held.is_empty() {
            keep(self.at, String::from_utf8_lossy(&self.held).trim_end());
            self.at += self.held.len() as u64;
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: LogBounds = LogBounds { head: 10, tail: 20, part: 8 };

    fn id(n: u8) -> DeploymentId {
        DeploymentId([n; 16])
    }

    fn logs(bounds: LogBounds) -> (tempfile::TempDir, BuildLogs) {
        let dir = tempfile::tempdir().unwrap();
        let logs = BuildLogs::open(dir.path().join("builds"), bounds).unwrap();
        (dir, logs)
    }

    fn nothing() -> Redactor {
        Redactor::new([])
    }

    fn whole(logs: &BuildLogs, deployment: DeploymentId) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut from = 0;
        loop {
            let piece = logs.read(deployment, from).unwrap();
            if piece.bytes.is_empty() {
                return pieces;
            }
            from = piece.next();
            pieces.push(piece);
        }
    }

    proptest! {
        /// The beginning and the end are there, every byte at its place, and what is missing is told.
        #[test]
        fn head_and_tail_are_kept(lengths in proptest::collection::vec(0..30_usize, 0..12), again in any::<bool>()) {
            let (_dir, logs) = logs(SMALL);
            let text: Vec<u8> = (0..lengths.iter().sum()).map(|n: usize| b'a' + (n % 26) as u8).collect();
            let mut log = logs.begin(id(1), &nothing()).unwrap();
            let mut at = 0;
            for length in lengths {
                log.write(&text[at..at + length]).unwrap();
                at += length;
                if again {
                    // An engine that was killed goes on where it was.
                    drop(log);
                    log = logs.begin(id(1), &nothing()).unwrap();
                }
            }
            log.end().unwrap();
            let pieces = whole(&logs, id(1));
            let mut next = 0;
            for piece in &pieces {
                prop_assert_eq!(piece.at - next, piece.left_out);
                let from = usize::try_from(piece.at).unwrap();
                prop_assert_eq!(&piece.bytes[..], &text[from..from + piece.bytes.len()]);
                next = piece.next();
            }
            prop_assert_eq!(next, text.len() as u64);
            let kept: u64 = pieces.iter().map(|piece| piece.bytes.len() as u64).sum();
            let (head, most) = (SMALL.head, SMALL.head + SMALL.tail + 2 * SMALL.part);
            prop_assert!(kept <= most);
            if text.len() as u64 <= head + SMALL.tail {
                prop_assert_eq!(kept, text.len() as u64);
            } else {
                prop_assert!(kept >= head + SMALL.tail);
                prop_assert!(pieces[0].at == 0 && pieces[0].bytes.len() as u64 == head);
            }
        }
    }

    async fn followed(logs: BuildLogs) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let piece = logs.follow(id(1), all.len() as u64).await.unwrap();
            if piece.bytes.is_empty() {
                return all;
            }
            all.extend(piece.bytes);
        }
    }

    async fn written(mut log: BuildLog) {
        for chunk in ["step 1\npass", "word hunt", "er22\n", "hunt"] {
            log.write(chunk.as_bytes()).unwrap();
            tokio::task::yield_now().await;
        }
        log.end().unwrap();
    }

    #[tokio::test]
    async fn a_log_is_followed_while_it_grows() {
        let (_dir, logs) = logs(LogBounds::default());
        let log = logs.begin(id(1), &Redactor::new([&b"hunter22"[..]])).unwrap();
        let (all, ()) = tokio::join!(followed(logs.clone()), written(log));
        assert_eq!(String::from_utf8(all).unwrap(), "step 1\npassword [secret]\nhunt");
        // One that has ended, and one that never was.
        assert_eq!(logs.follow(id(1), 29).await.unwrap().bytes, Vec::<u8>::new());
        assert_eq!(logs.follow(id(2), 5).await.unwrap(), Piece { at: 5, ..Piece::default() });
    }

    #[test]
    fn lines_are_found_over_the_borders_of_parts() {
        let (_dir, logs) = logs(SMALL);
        let mut log = logs.begin(id(1), &nothing()).unwrap();
        log.write(b"one two\nthree Error: x\nfour\n").unwrap();
        log.end().unwrap();
        assert_eq!(logs.search(id(1), "error", 5).unwrap(), [Found { at: 8, line: "three Error: x".to_owned() }]);
        assert_eq!(logs.search(id(1), "o", 1).unwrap().len(), 1);
        assert_eq!(logs.search(id(1), "", 9).unwrap().len(), 3);
        assert!(logs.search(id(2), "o", 9).unwrap().is_empty());
        // What was left out between two pieces ends a line.
        let mut log = logs.begin(id(3), &nothing()).unwrap();
        log.write("x".repeat(60).as_bytes()).unwrap();
        log.end().unwrap();
        let lengths: Vec<usize> = logs.search(id(3), "x", 9).unwrap().iter().map(|found| found.line.len()).collect();
        assert!(lengths.len() == 2 && lengths[0] == 10 && lengths[1] < 50, "{lengths:?}");
    }

    #[test]
    fn only_old_logs_that_have_ended_go() {
        let (_dir, logs) = logs(LogBounds::default());
        let mut ended = logs.begin(id(1), &nothing()).unwrap();
        ended.write(b"x").unwrap();
        ended.end().unwrap();
        let mut growing = logs.begin(id(2), &nothing()).unwrap();
        growing.write(b"x").unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(logs.remove_older(hour, 0).unwrap(), 0);
        assert_eq!(logs.remove_older(hour, u64::MAX / 2).unwrap(), 1);
        assert!(whole(&logs, id(1)).is_empty());
        assert_eq!(whole(&logs, id(2)).len(), 1);
    }
}
