//! The access log: one JSON object a line, written by one thread.
//!
//! Requests append to a shared buffer; when the writer does not keep up, lines are dropped and counted.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::config::{AccessLog, MAX_LOG_BACKLOG};
use crate::metrics::ProcessFigures;

/// How long lines gather before they are written, ms.
const GATHER: Duration = Duration::from_millis(200);
/// Size at which they are written earlier, bytes.
const FULL: usize = 64 * 1024;
/// Room kept for one line, bytes.
const LINE_ROOM: usize = 768;
/// Size beyond which a log file is put aside and a new one begun, bytes: with the one before, kept as `<name>.1`, a log
/// never takes more than twice this of the disk.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Line buffers kept per thread: as many as requests are usually open on it.
const SPARE_LINES: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Where lines go.
#[derive(Debug)]
pub struct Journal {
    shared: Option<Arc<Shared>>,
    writer: Option<JoinHandle<()>>,
    figures: Arc<ProcessFigures>,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Vec<u8>>,
    wake: Condvar,
    ended: AtomicBool,
}

impl Journal {
    /// Opens the log and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not be started.
    pub fn open(to: &AccessLog, figures: Arc<ProcessFigures>) -> std::io::Result<Self> {
        let out: Box<dyn Write + Send> = match to {
            AccessLog::Off => return Ok(Self { shared: None, writer: None, figures }),
            AccessLog::Stdout => Box::new(std::io::stdout()),
            AccessLog::File(path) => Box::new(Rotated::open(path.clone(), MAX_FILE)?),
        };
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        let writer =
            std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write_all(&writer, out))?;
        Ok(Self { shared: Some(shared), writer: Some(writer), figures })
    }

    /// An empty line to write into; `None` when there is no log.
    #[must_use]
    pub fn line(&self) -> Option<Vec<u8>> {
        self.shared.as_ref()?;
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
        Some(spare.unwrap_or_else(|| Vec::with_capacity(LINE_ROOM)))
    }

    /// Takes a finished line.
    pub fn push(&self, mut line: Vec<u8>) {
        let Some(shared) = &self.shared else { return };
        let (was, is) = {
            let mut lines = shared.lines.lock();
            let was = lines.len();
            if was + line.len() <= MAX_LOG_BACKLOG {
                lines.extend_from_slice(&line);
            }
            (was, lines.len())
        };
        if was == is {
            self.figures.log_dropped.fetch_add(1, Ordering::Relaxed);
        } else if was == 0 || (was < FULL && is >= FULL) {
            shared.wake.notify_one();
        }
        line.clear();
        SPARE
            .try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < SPARE_LINES {
                    spare.push(line);
                }
            })
            .unwrap_or_default();
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            let lines = shared.lines.lock();
            shared.ended.store(true, Ordering::SeqCst);
            shared.wake.notify_one();
            drop(lines);
        }
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the access log panicked");
        }
    }
}

/// A file that is put aside when it is full.
struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Rotated {
    fn open(path: PathBuf, limit: u64) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, limit })
    }

    /// The file of before is lost; this one becomes it.
    fn put_aside(&mut self) -> std::io::Result<()> {
        let mut aside = OsString::from(&self.path);
        aside.push(".1");
        std::fs::rename(&self.path, aside)?;
        *self = Self::open(std::mem::take(&mut self.path), self.limit)?;
        Ok(())
    }
}

impl Write for Rotated {
    /// Takes whole lines, all or nothing of a batch into one file.
    fn write(&mut self, batch: &[u8]) -> std::io::Result<usize> {
        if self.size > 0 && self.size + batch.len() as u64 > self.limit {
            self.put_aside()?;
        }
        self.file.write_all(batch)?;
        self.size += batch.len() as u64;
        Ok(batch.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn write_all(shared: &Shared, mut out: Box<dyn Write + Send>) {
    let mut batch = Vec::new();
    let mut failing = false;
    loop {
        let ended = {
            let mut lines = shared.lines.lock();
            while lines.is_empty() && !shared.ended.load(Ordering::SeqCst) {
                shared.wake.wait(&mut lines);
            }
            if lines.len() < FULL && !shared.ended.load(Ordering::SeqCst) {
                shared.wake.wait_for(&mut lines, GATHER);
            }
            std::mem::swap(&mut *lines, &mut batch);
            shared.ended.load(Ordering::SeqCst)
        };
        let written = out.write_all(&batch).and_then(|()| out.flush());
        if let (Err(e), false) = (&written, failing) {
            tracing::warn!(error = %e, "cannot write the access log; lines are lost until it works again");
        }
        failing = written.is_err();
        batch.clear();
        if ended {
            return;
        }
    }
}

/// Appends `,"key":"value"` with the value escaped; bytes that are not UTF-8 as U+FFFD.
pub fn push_text(line: &mut Vec<u8>, key: &str, value: &[u8]) {
    push_key(line, key);
    line.push(b'"');
    push_escaped(line, value);
    line.push(b'"');
}

/// Appends `,"key":value`.
pub fn push_number(line: &mut Vec<u8>, key: &str, value: u64) {
    push_key(line, key);
    push_decimal(line, value);
}

/// Appends `,"key":` for a value that follows.
pub fn push_key(line: &mut Vec<u8>, key: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(key.as_bytes());
    line.extend_from_slice(b"\":");
}

/// Appends a number.
pub fn push_decimal(line: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[at..]);
}

fn push_escaped(line: &mut Vec<u8>, value: &[u8]) {
    let plain = |b: u8| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if value.iter().all(|b| plain(*b)) {
        line.extend_from_slice(value);
        return;
    }
    for part in String::from_utf8_lossy(value).chars() {
        match part {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                line.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
            }
            c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_make_a_line_that_parses() {
        let mut line = b"{\"a\":0".to_vec();
        push_text(&mut line, "uri", b"/\"\\\n\xff\x7f\xc3\xa4");
        push_number(&mut line, "n", 1_020);
        line.push(b'}');
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["uri"], "/\"\\\n\u{fffd}\u{7f}ä");
        assert_eq!(value["n"], 1_020);
    }

    #[test]
    fn a_full_file_is_put_aside_and_only_the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, b"of before\n").unwrap();
        let mut log = Rotated::open(path.clone(), 16).unwrap();
        for line in [&b"first\n"[..], b"second\n", b"third, beyond the limit\n", b"last\n"] {
            log.write_all(line).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"last\n");
        assert_eq!(std::fs::read(folder.path().join("access.log.1")).unwrap(), b"third, beyond the limit\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn lines_reach_the_file_and_beyond_the_backlog_they_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let figures = Arc::new(ProcessFigures::default());
        let journal = Journal::open(&AccessLog::File(path.clone()), Arc::clone(&figures)).unwrap();
        journal.push(vec![b'x'; MAX_LOG_BACKLOG + 1]);
        journal.push(b"one\n".to_vec());
        drop(journal);
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n");
        assert_eq!(figures.log_dropped.load(Ordering::Relaxed), 1);
    }
}
