//! A folder as one archive, always the same bytes for the same content.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cutover_events::Digest;
use futures_util::{Stream, stream};
use rustix::fs::OFlags;
use sha2::Digest as _;
use tar::{Builder, EntryType, Header};
use tokio_util::sync::CancellationToken;

use super::walk::{Found, patterns, walk};
use super::{ContextError, ContextLimits, Kind, Listing, Name, Room, program};

/// Every entry is from 1980-01-02 (s since 1970): times are no content, and zip, wheels among them, knows none before 1980.
const TIME: u64 = 315_619_200;
/// How much of the archive is read at once, bytes: few enough to hold for each build, many enough to be worth a thread.
const CHUNK: usize = 256 << 10;

/// The Dockerfile of a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dockerfile {
    /// A file of the folder.
    Of(String),
    /// One that is written for the program of a site, whose files lie in a folder beside it.
    Program {
        /// What runs it.
        image: String,
        /// The folder that it may write to.
        storage: Option<String>,
    },
    /// None: the files are for a command, and lie in the same folder.
    Nothing,
}

impl Dockerfile {
    /// What it is called.
    fn name(&self) -> &str {
        match self {
            Self::Of(file) => file,
            Self::Program { .. } | Self::Nothing => "Dockerfile",
        }
    }

    /// The folder of the archive that the files lie in.
    fn below(&self) -> &'static str {
        match self {
            Self::Of(_) => "",
            Self::Program { .. } | Self::Nothing => program::BELOW,
        }
    }
}

/// How a folder is packed.
#[derive(Clone, Debug)]
pub struct Packing {
    /// The Dockerfile.
    pub file: Dockerfile,
    /// Where the archive is written; its file has no name from the beginning, and is gone with the last handle.
    pub scratch: PathBuf,
    /// How much it may hold.
    pub limits: ContextLimits,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// A build context: an archive that no longer depends on the folder that it was made of.
#[derive(Clone, Debug)]
pub struct Context {
    archive: Arc<File>,
    length: u64,
    digest: Digest,
    dockerfile: Name,
    entries: usize,
    bytes: u64,
}

impl Context {
    /// Of names, kinds, executable bits and bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The Dockerfile in it.
    #[must_use]
    pub fn dockerfile(&self) -> &Name {
        &self.dockerfile
    }

    /// Files, folders and links.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of the archive.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The archive from its beginning; any number of readers at once.
    pub fn stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let archive = Arc::clone(&self.archive);
        stream::try_unfold((archive, 0), |(archive, at)| async move {
            let reader = Arc::clone(&archive);
            let read = tokio::task::spawn_blocking(move || read_at(&reader, at)).await;
            let chunk = read.map_err(io::Error::other)??;
            let next = at + chunk.len() as u64;
            Ok((!chunk.is_empty()).then_some((chunk, (archive, next))))
        })
    }
}

fn read_at(file: &File, at: u64) -> io::Result<Bytes> {
    let mut chunk = vec![0; CHUNK];
    let length = file.read_at(&mut chunk, at)?;
    chunk.truncate(length);
    Ok(chunk.into())
}

/// Packs what the patterns of a folder leave in. Blocks for as long as reading and writing takes.
///
/// # Errors
/// No folder, no Dockerfile in it, patterns that cannot be read, more than the limits, or a folder that changes meanwhile.
pub fn pack(folder: &Path, packing: &Packing) -> Result<Context, ContextError> {
    if !folder.is_dir() {
        return Err(ContextError::NoFolder(folder.to_owned()));
    }
    let missing = || ContextError::NoDockerfile { file: packing.file.name().to_owned() };
    let dockerfile = Name::read(packing.file.name().as_bytes()).ok().flatten().ok_or_else(missing)?;
    let ignore = patterns(folder, &dockerfile)?;
    let mut room = Room::new(packing.limits);
    let found = walk(folder, &ignore, &mut room)?;
    let text = match &packing.file {
        Dockerfile::Of(_) if !matches!(found.get(&dockerfile), Some(Found::File { .. })) => return Err(missing()),
        Dockerfile::Of(_) | Dockerfile::Nothing => None,
        Dockerfile::Program { image, storage } => Some(program::dockerfile((image, storage.as_deref()), &found)?),
    };
    let beside = Beside { below: packing.file.below(), dockerfile: text.as_deref().map(|text| (&dockerfile, text)) };
    let Written { file: archive, listing, bytes } = written((folder, found), beside, &packing.scratch, &packing.stop)?;
    let unreadable = "the archive of the context cannot be read";
    let length = archive.metadata().map_err(ContextError::io(unreadable))?.len();
    let (digest, entries) = (listing.digest(), listing.len());
    Ok(Context { archive, length, digest, dockerfile, entries, bytes })
}

/// An archive, and what is in it.
pub(super) struct Written {
    pub(super) file: Arc<File>,
    pub(super) listing: Listing,
    pub(super) bytes: u64,
}

/// What is in an archive beside the files of a folder.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// The folder of the archive that the files lie in; empty for none.
    below: &'static str,
    /// A Dockerfile that was written for them.
    dockerfile: Option<(&'a Name, &'a str)>,
}

/// Writes what was found as an archive whose file nobody else finds.
pub(super) fn written(
    (folder, found): (&Path, BTreeMap<Name, Found>),
    beside: Beside<'_>,
    scratch: &Path,
    stop: &CancellationToken,
) -> Result<Written, ContextError> {
    let what = "the archive of the context cannot be written";
    let file = Arc::new(nameless(scratch).map_err(ContextError::io(what))?);
    let out = BufWriter::new(Arc::clone(&file));
    let below = Path::new(beside.below);
    let mut writer = Writer { tar: Builder::new(out), below, listing: Listing::default(), bytes: 0 };
    writer.begin(beside.dockerfile).map_err(ContextError::io(what))?;
    for (name, found) in found {
        if stop.is_cancelled() {
            return Err(ContextError::io("packing was ended")(io::ErrorKind::Interrupted.into()));
        }
        writer.add(folder, name, found)?;
    }
    let Writer { tar, listing, bytes, .. } = writer;
    tar.into_inner().and_then(|mut rest| rest.flush()).map_err(ContextError::io(what))?;
    Ok(Written { file, listing, bytes })
}

/// Whether a folder has this Dockerfile; nothing else of it is looked at.
///
/// # Errors
/// It has not, or it is a link.
pub fn has_dockerfile(folder: &Path, file: &str) -> Result<(), ContextError> {
    let name = Name::read(file.as_bytes()).ok().flatten();
    let found = name.is_some_and(|_| folder.join(file).symlink_metadata().is_ok_and(|meta| meta.is_file()));
    if found { Ok(()) } else { Err(ContextError::NoDockerfile { file: file.to_owned() }) }
}

/// A file that nobody else finds, and that is gone when it is closed.
pub(in crate::adapters) fn nameless(folder: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!(".context-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(name);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

struct Writer<'a> {
    tar: Builder<BufWriter<Arc<File>>>,
    /// The folder of the archive that the files lie in.
    below: &'a Path,
    listing: Listing,
    bytes: u64,
}

impl Writer<'_> {
    /// What is in the archive beside the files: their folder, and a Dockerfile that was written for them.
    fn begin(&mut self, dockerfile: Option<(&Name, &str)>) -> io::Result<()> {
        if !self.below.as_os_str().is_empty() {
            self.tar.append_data(&mut header(EntryType::Directory, 0o755, 0), self.below, io::empty())?;
        }
        let Some((name, text)) = dockerfile else { return Ok(()) };
        let mut header = header(EntryType::Regular, 0o644, text.len() as u64);
        self.tar.append_data(&mut header, name.path(), text.as_bytes())?;
        let kind = Kind::File { executable: false, content: Digest::of(text.as_bytes()) };
        // Under a name that no file can have: what they are called is theirs.
        self.listing.add(Name::written(name), kind);
        Ok(())
    }

    fn add(&mut self, folder: &Path, name: Name, found: Found) -> Result<(), ContextError> {
        let written = |error| ContextError::Io { what: format!("{} cannot be packed", name.text()), error };
        let path = self.below.join(name.path());
        let kind = match found {
            Found::Folder => {
                let mut header = header(EntryType::Directory, 0o755, 0);
                self.tar.append_data(&mut header, &path, io::empty()).map_err(written)?;
                Kind::Folder
            }
            Found::Link { target } => {
                let mut header = header(EntryType::Symlink, 0o777, 0);
                let to = Path::new(std::ffi::OsStr::from_bytes(&target));
                self.tar.append_link(&mut header, &path, to).map_err(written)?;
                Kind::Link { target }
            }
            Found::File { executable, size } => {
                let mut content = Hashed::open(&folder.join(name.path()), size).map_err(written)?;
                let mut header = header(EntryType::Regular, if executable { 0o755 } else { 0o644 }, size);
                self.tar.append_data(&mut header, &path, &mut content).map_err(written)?;
                if content.length != size {
                    return Err(ContextError::Changed(name.text()));
                }
                self.bytes += size;
                Kind::File { executable, content: Digest(content.hash.finalize().into()) }
            }
        };
        self.listing.add(name, kind);
        Ok(())
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A file, hashed as it is read, and never more of it than it had when it was found.
struct Hashed {
    file: io::Take<File>,
    hash: sha2::Sha256,
    length: u64,
}

impl Hashed {
    fn open(path: &Path, size: u64) -> io::Result<Self> {
        // What has become a link meanwhile is not followed.
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        Ok(Self { file: file.take(size), hash: sha2::Sha256::new(), length: 0 })
    }
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(into)?;
        self.hash.update(&into[..length]);
        self.length += length as u64;
        Ok(length)
    }
}
