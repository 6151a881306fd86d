//! A folder, made of an archive that somebody sent: nothing in it can reach, or be, anything outside.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::pack::nameless;
use super::{ContextError, ContextLimits, Name, NameRefused, Room, link_stays};

/// What gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What an archive spends on an entry beside its bytes, at most: header, padding, and a long name with its own.
const OVERHEAD: u64 = 16 << 10;
/// Longest name or attribute that an archive gives in an entry of its own, bytes: they are held in memory.
const MAX_EXTENSION: u64 = 64 << 10;

/// Unpacks a tar archive, plain or gzip, into an empty folder. Files keep their bytes and whether their owner may execute
/// them. Blocks for as long as it takes; what was unpacked before an error is left for the caller to remove.
///
/// # Errors
/// It is no archive, holds more than the limits, or a name, link or kind of entry that is not taken.
pub fn unpack(archive: impl Read, folder: &Path, limits: ContextLimits) -> Result<(), ContextError> {
    let mut plain = spooled(archive, folder, limits)?;
    judge_extensions(&mut plain)?;
    rewind(&mut plain)?;
    let mut archive = Archive::new(BufReader::new(&plain));
    let mut unpacking = Unpacking { folder, room: Room::new(limits), links: Vec::new() };
    for entry in archive.entries().map_err(broken)? {
        unpacking.take(&mut entry.map_err(broken)?)?;
    }
    if unpacking.room.entries == 0 {
        return Err(ContextError::Archive("it holds nothing".to_owned()));
    }
    unpacking.finish()
}

fn broken(error: io::Error) -> ContextError {
    ContextError::Archive(error.to_string())
}

/// The archive without its compression, bounded, in a file.
fn spooled(archive: impl Read, folder: &Path, limits: ContextLimits) -> Result<File, ContextError> {
    let what = "the archive cannot be written to the disk";
    let file = nameless(folder).map_err(ContextError::io(what))?;
    let mut archive = BufReader::new(archive);
    let zipped = archive.fill_buf().map_err(broken)?.starts_with(&GZIP);
    let most = limits.bytes.saturating_add(limits.entries.saturating_mul(OVERHEAD));
    let mut writer = BufWriter::new(&file);
    let length = if zipped {
        io::copy(&mut MultiGzDecoder::new(archive).take(most + 1), &mut writer)
    } else {
        io::copy(&mut archive.take(most + 1), &mut writer)
    };
    if length.map_err(broken)? > most {
        return Err(ContextError::TooLarge { limit: format!("{} bytes", limits.bytes) });
    }
    writer.flush().map_err(ContextError::io(what))?;
    drop(writer);
    Ok(file)
}

fn rewind(file: &mut File) -> Result<(), ContextError> {
    file.seek(SeekFrom::Start(0)).map(|_| ()).map_err(broken)
}

/// Refuses names of gigabytes before anything holds them.
fn judge_extensions(file: &mut File) -> Result<(), ContextError> {
    rewind(file)?;
    let mut archive = Archive::new(BufReader::new(&*file));
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let entry = entry.map_err(broken)?;
        let extends = matches!(
            entry.header().entry_type(),
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if extends && entry.size() > MAX_EXTENSION {
            return Err(ContextError::TooLarge { limit: format!("{MAX_EXTENSION} bytes for one name") });
        }
    }
    Ok(())
}

struct Unpacking<'a> {
    folder: &'a Path,
    room: Room,
    /// Made at the end, so that nothing is written through one.
    links: Vec<(Name, Vec<u8>)>,
}

impl Unpacking<'_> {
    fn take(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<(), ContextError> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let raw = entry.path_bytes().into_owned();
        let told = String::from_utf8_lossy(&raw).chars().take(200).collect::<String>();
        let refused = |why| ContextError::Refused { name: told.clone(), why };
        self.room.take(entry.size())?;
        let Some(name) = Name::read(&raw).map_err(refused)? else { return Ok(()) };
        let path = self.folder.join(name.path());
        match kind {
            EntryType::Directory => self.make_folder(&path).map_err(|error| clash(&name, error)),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.write(entry, &path).map_err(|error| clash(&name, error))
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
                if !link_stays(&name, &target) {
                    return Err(refused(NameRefused::LeadsOut));
                }
                self.links.push((name, target));
                Ok(())
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
                let target = Name::read(&target).map_err(refused)?.ok_or_else(|| refused(NameRefused::LeadsOut))?;
                self.copy(&target, &path).map_err(|error| clash(&name, error))
            }
            _ => Err(refused(NameRefused::Device)),
        }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn write(&self, entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let mode = if entry.header().mode()? & 0o100 == 0 { 0o644 } else { 0o755 };
        let mut file = self.fresh(path, mode)?;
        io::copy(entry, &mut file).map(|_| ())
    }

    /// A second name of a file is a file of its own: the bytes are what counts.
    fn copy(&mut self, target: &Name, path: &Path) -> io::Result<()> {
        let target = self.folder.join(target.path());
        let meta = fs::symlink_metadata(&target)?;
        if !meta.is_file() || target == path {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.room.take(meta.len()).map_err(io::Error::other)?;
        if path.exists() {
            fs::remove_file(path)?;
        }
        self.above(path)?;
        fs::copy(&target, path).map(|_| ())
    }

    /// A new file; the last one of a name counts, as for tar itself.
    fn fresh(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.above(path)?;
        let open = || fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        match open() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(path)?;
                open()
            }
            opened => opened,
        }
    }

    fn above(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), fs::create_dir_all)
    }

    fn finish(self) -> Result<(), ContextError> {
        for (name, target) in &self.links {
            let path = self.folder.join(name.path());
            let target = PathBuf::from(std::ffi::OsStr::from_bytes(target));
            // A link that stands above this one would lead it elsewhere.
            let real = self.really_inside(&path);
            let made = if real { symlink(target, &path) } else { Err(io::ErrorKind::AlreadyExists.into()) };
            made.map_err(|error| clash(name, error))?;
        }
        Ok(())
    }

    /// Makes the folders above a path, unless one of them is a link or a file.
    fn really_inside(&self, path: &Path) -> bool {
        let Ok(inside) = path.strip_prefix(self.folder) else { return false };
        let mut at = self.folder.to_owned();
        for part in inside.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            let folder = match fs::symlink_metadata(&at) {
                Ok(meta) => meta.is_dir(),
                Err(error) => error.kind() == io::ErrorKind::NotFound && fs::create_dir(&at).is_ok(),
            };
            if !folder {
                return false;
            }
        }
        true
    }
}

/// Two entries that cannot both be there, or the file system's own trouble.
fn clash(name: &Name, error: io::Error) -> ContextError {
    use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            ContextError::Refused { name: name.text(), why: NameRefused::Twice }
        }
        NotFound => ContextError::Archive(format!("{} is a second name of what comes later, or never", name.text())),
        UnexpectedEof => broken(error),
        _ => ContextError::Io { what: format!("{} cannot be unpacked", name.text()), error },
    }
}
