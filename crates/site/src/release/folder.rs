//! A site out of a folder. It belongs to somebody else, who may change it meanwhile: each file is opened in one step that
//! cannot leave the folder, and judged by what was opened.

use std::fs::File;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::writer::Writer;
use super::{MAX_DEPTH, MakeError};

/// Copies everything that is served into the release.
pub(super) fn copy(folder: &Path, writer: &mut Writer) -> Result<(), MakeError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(folder, flags, Mode::empty()).map_err(|e| match e {
        Errno::NOENT => MakeError::Source(format!("there is no folder {}", folder.display())),
        Errno::NOTDIR => MakeError::Source(format!("{} is no folder", folder.display())),
        e => MakeError::Io { path: folder.to_owned(), source: e.into() },
    })?;
    let mut walk = Walk { root, writer };
    walk.folder(b"", 0)
}

struct Walk<'a> {
    root: OwnedFd,
    writer: &'a mut Writer,
}

impl Walk<'_> {
    fn folder(&mut self, path: &[u8], depth: usize) -> Result<(), MakeError> {
        if depth > MAX_DEPTH {
            let why = format!("more than {MAX_DEPTH} folders within folders; a link that leads back above itself?");
            return Err(MakeError::file(shown(path), why));
        }
        let mut names = self.names(path)?;
        names.sort_unstable();
        for name in names {
            let path = if path.is_empty() { name } else { [path, b"/", &name].concat() };
            self.entry(&path, depth)?;
        }
        Ok(())
    }

    fn names(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, MakeError> {
        let unread = |e: Errno| MakeError::file(shown(path), std::io::Error::from(e).to_string());
        let at = if path.is_empty() { &b"."[..] } else { path };
        let opened = self.open(at)?;
        let mut names = Vec::new();
        for entry in Dir::new(opened).map_err(unread)? {
            let name = entry.map_err(unread)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn entry(&mut self, path: &[u8], depth: usize) -> Result<(), MakeError> {
        let Some(kept) = self.writer.judge(path)? else { return Ok(()) };
        let unread = |e: Errno| MakeError::file(&kept, std::io::Error::from(e).to_string());
        // Opening a device can do something, so its kind is looked at first; what was opened is looked at again.
        let before = rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).map_err(unread)?;
        let kind = FileType::from_raw_mode(before.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Symlink) {
            return Err(MakeError::file(kept, special(kind)));
        }
        let opened = self.open(path)?;
        let stat = rustix::fs::fstat(&opened).map_err(unread)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.folder(path, depth + 1),
            FileType::RegularFile => self.writer.add(&kept, &mut File::from(opened)),
            other => Err(MakeError::file(kept, special(other))),
        }
    }

    /// Opens what lies in the folder, links followed as long as they do not leave it.
    fn open(&self, path: &[u8]) -> Result<OwnedFd, MakeError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve).map_err(|e| {
            let why = match e {
                Errno::XDEV => "it is a link that leads out of the folder".to_owned(),
                Errno::LOOP => "it is a link that leads to itself".to_owned(),
                Errno::NOENT => "it is a link to nothing, or was removed meanwhile".to_owned(),
                Errno::NOSYS => "it cannot be opened safely: Linux 5.6 or newer is needed".to_owned(),
                e => std::io::Error::from(e).to_string(),
            };
            MakeError::file(shown(path), why)
        })
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).escape_debug().to_string()
}

fn special(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "it is a pipe and no file",
        FileType::Socket => "it is a socket and no file",
        FileType::CharacterDevice | FileType::BlockDevice => "it is a device and no file",
        _ => "it is no file",
    }
}
