//! Which files of a folder are sent to a build.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{ContextError, Ignore, Name, NameRefused, Room};

/// The file with the patterns, at the top of the folder; `NAME.dockerignore` beside a Dockerfile called NAME comes first.
const IGNORE: &str = ".dockerignore";
/// Largest file with patterns, bytes.
const MAX_IGNORE: u64 = 1 << 20;
/// The bit of a file's mode that lets its owner execute it.
const OWNER_EXECUTES: u32 = 0o100;

/// What was found under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Folder,
    File { executable: bool, size: u64 },
    Link { target: Vec<u8> },
}

impl Found {
    fn bytes(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Folder | Self::Link { .. } => 0,
        }
    }
}

/// Everything of `folder` that its patterns leave in, by name, with the folders above it. Links are not followed, sockets
/// are passed over as Docker does.
pub(super) fn walk(folder: &Path, ignore: &Ignore, room: &mut Room) -> Result<BTreeMap<Name, Found>, ContextError> {
    let mut all = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        for entry in list(&folder.join(&inside))? {
            let below = inside.join(&entry);
            let Ok(Some(name)) = Name::read(below.as_os_str().as_bytes()) else { continue };
            let out = ignore.excludes(&name.text());
            let path = folder.join(&below);
            let meta =
                fs::symlink_metadata(&path).map_err(ContextError::io(format!("{} cannot be read", name.text())))?;
            if meta.is_dir() && (!out || ignore.reaches_below(&name.text())) {
                open.push(below);
            }
            if out {
                continue;
            }
            if let Some(found) = look(&path, &meta, &name)? {
                room.take(found.bytes())?;
                all.insert(name, found);
            }
        }
    }
    add_folders(&mut all, room)?;
    Ok(all)
}

fn list(folder: &Path) -> Result<Vec<std::ffi::OsString>, ContextError> {
    let what = || format!("the folder {} cannot be read", folder.display());
    let entries = fs::read_dir(folder).map_err(ContextError::io(what()))?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(ContextError::io(what()))).collect()
}

fn look(path: &Path, meta: &Metadata, name: &Name) -> Result<Option<Found>, ContextError> {
    let kind = meta.file_type();
    if kind.is_dir() {
        return Ok(Some(Found::Folder));
    }
    if kind.is_file() {
        let executable = meta.permissions().mode() & OWNER_EXECUTES != 0;
        return Ok(Some(Found::File { executable, size: meta.len() }));
    }
    if kind.is_symlink() {
        let target =
            fs::read_link(path).map_err(ContextError::io(format!("the link {} cannot be read", name.text())))?;
        return Ok(Some(Found::Link { target: target.as_os_str().as_bytes().to_vec() }));
    }
    if kind.is_socket() {
        return Ok(None);
    }
    Err(ContextError::Refused { name: name.text(), why: NameRefused::Device })
}

/// The folders above what exceptions took back.
fn add_folders(all: &mut BTreeMap<Name, Found>, room: &mut Room) -> Result<(), ContextError> {
    let mut missing = BTreeMap::new();
    for name in all.keys() {
        let bytes = name.bytes();
        for at in (0..bytes.len()).filter(|at| bytes[*at] == b'/') {
            if let Ok(Some(above)) = Name::read(&bytes[..at])
                && !all.contains_key(&above)
            {
                missing.insert(above, Found::Folder);
            }
        }
    }
    for _ in &missing {
        room.take(0)?;
    }
    all.extend(missing);
    Ok(())
}

/// The patterns for a folder and a Dockerfile in it. That Dockerfile and the file with the patterns are never left out;
/// a `.dockerignore` that another one has replaced is.
pub(super) fn patterns(folder: &Path, dockerfile: &Name) -> Result<Ignore, ContextError> {
    let special = format!("{}{IGNORE}", dockerfile.text());
    let (mut ignore, file) = match read(folder, &special)? {
        Some(mut ignore) => {
            ignore.leave_out(IGNORE);
            (ignore, special)
        }
        None => (read(folder, IGNORE)?.unwrap_or_default(), IGNORE.to_owned()),
    };
    ignore.keep(&dockerfile.text());
    ignore.keep(&file);
    Ok(ignore)
}

fn read(folder: &Path, name: &str) -> Result<Option<Ignore>, ContextError> {
    let path = folder.join(name);
    // One that is a link could be a file of somebody else.
    if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    let what = || format!("{name} cannot be read");
    let file = fs::File::open(&path).map_err(ContextError::io(what()))?;
    let mut text = String::new();
    let length = file.take(MAX_IGNORE + 1).read_to_string(&mut text).map_err(ContextError::io(what()))?;
    if length as u64 > MAX_IGNORE {
        return Err(ContextError::TooLarge { limit: format!("{MAX_IGNORE} bytes in {name}") });
    }
    Ignore::read(&text).map(Some).map_err(|why| ContextError::Pattern { file: name.to_owned(), why })
}
