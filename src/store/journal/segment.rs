//! The segment that is written to: zeros ahead, one write and one sync for each group.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cutover_events::Digest;

use super::frame::Group;
use crate::store::files::{PRIVATE_FILE, sync_folder};

/// A segment is closed when it has grown beyond this, bytes: large enough to be few, small enough to archive.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Zeros written ahead, bytes: a sync then need not write the length, and "no room" is met here (facts: storage).
const AHEAD_BYTES: u64 = 1024 * 1024;
/// Begins every segment.
pub(super) const MAGIC: [u8; 8] = *b"CutJrnl1";
/// Magic 8, first position 8, chain value before it 32, checksum of these 4, zeros.
pub(super) const HEAD_BYTES: usize = 64;

/// Why a group was not written.
#[derive(Debug)]
pub(in crate::store) enum JournalError {
    /// No room was left ahead; nothing was written, trying again can help.
    NoRoom,
    /// Final for this process.
    Failed(io::Error),
}

/// What a segment is written through: the one place that a test makes fail.
pub(in crate::store) trait Disk: Send + 'static {
    /// Writes all of it at this offset.
    ///
    /// # Errors
    /// As the system says.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The real one.
#[derive(Debug)]
pub(in crate::store) struct SystemDisk;

impl Disk for SystemDisk {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// The journal as it is written.
pub(in crate::store) struct Journal {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    number: u64,
    open: Option<Open>,
    repeat: Option<(Group, Digest)>,
}

struct Open {
    file: File,
    at: u64,
    allocated: u64,
}

impl Journal {
    /// A journal whose next segment has this number. The last group, with the chain value before it, is repeated at
    /// the beginning of that segment: only that one can have been left unsynced by a failed sync whose pages stayed in
    /// memory. Nothing is written yet.
    #[must_use]
    pub(in crate::store) fn new(
        folder: &Path,
        number: u64,
        repeat: Option<(Group, Digest)>,
        disk: Box<dyn Disk>,
    ) -> Self {
        Self { folder: folder.to_owned(), disk, number, open: None, repeat }
    }

    /// Writes the last group once more, unless that was done.
    ///
    /// # Errors
    /// As for [`Self::write`]; after [`JournalError::NoRoom`] it is tried again before the next group.
    pub(in crate::store) fn repeat(&mut self) -> Result<(), JournalError> {
        let Some((group, before)) = self.repeat.take() else { return Ok(()) };
        let written = self.put(&group, before);
        if written.is_err() {
            self.repeat = Some((group, before));
        }
        written
    }

    /// Writes a group and makes it durable; `before` is the chain value before it.
    ///
    /// # Errors
    /// No room, or a failure that is final for this process.
    pub(in crate::store) fn write(&mut self, group: &Group, before: Digest) -> Result<(), JournalError> {
        self.repeat()?;
        self.put(group, before)
    }

    fn put(&mut self, group: &Group, before: Digest) -> Result<(), JournalError> {
        let frame = group.frame();
        if self.open.as_ref().is_some_and(|open| open.at >= SEGMENT_BYTES) {
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(group.first, before)?,
        };
        let room = self.allocate(&mut open, frame.len() as u64);
        let written = room.and_then(|()| {
            let put = self.disk.write(&open.file, &frame, open.at).and_then(|()| self.disk.sync(&open.file));
            put.map_err(JournalError::Failed)
        });
        if written.is_ok() {
            open.at += frame.len() as u64;
        }
        self.open = Some(open);
        written
    }

    /// A new segment with its head, its name durable.
    fn begin(&mut self, first: u64, before: Digest) -> Result<Open, JournalError> {
        let path = self.folder.join(format!("{:010}-{first:020}.{}", self.number, super::EXTENSION));
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&MAGIC);
        head[8..16].copy_from_slice(&first.to_le_bytes());
        head[16..48].copy_from_slice(&before.0);
        let sum = crc32c::crc32c(&head[..48]);
        head[48..52].copy_from_slice(&sum.to_le_bytes());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(PRIVATE_FILE);
        let file = options.open(&path).map_err(sorted)?;
        let mut open = Open { file, at: 0, allocated: 0 };
        self.allocate(&mut open, HEAD_BYTES as u64)?;
        self.disk.write(&open.file, &head, 0).map_err(sorted)?;
        open.at = HEAD_BYTES as u64;
        sync_folder(&self.folder).map_err(JournalError::Failed)?;
        self.number += 1;
        Ok(open)
    }

    /// Zeros for `bytes` more, at least [`AHEAD_BYTES`] at a time.
    fn allocate(&self, open: &mut Open, bytes: u64) -> Result<(), JournalError> {
        static ZEROS: [u8; AHEAD_BYTES as usize] = [0; AHEAD_BYTES as usize];
        while open.at + bytes > open.allocated {
            self.disk.write(&open.file, &ZEROS, open.allocated).map_err(sorted)?;
            open.allocated += AHEAD_BYTES;
        }
        Ok(())
    }
}

/// No room is the one failure that goes away by itself.
fn sorted(error: io::Error) -> JournalError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::NoRoom,
        _ => JournalError::Failed(error),
    }
}
