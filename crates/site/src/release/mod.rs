//! Release folders: made beside, synced, renamed; listed, removed.
//!
//! `<data>/sites/<workload>/<unit>/` holds `manifest.json` and `files/`. A folder of that name is whole: what is being made
//! is called `.new-<unit>`, what is being removed `.gone-<unit>`. A content that the newest other release of the workload
//! has as well is linked from there instead of being written again; nobody else may write below `sites/`.

mod archive;
mod folder;
mod writer;

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::manifest::{Manifest, Settings};
use crate::rules::{HeaderRules, Note, Redirects, Weight};
use crate::site::{self, FILES, MANIFEST};
use writer::Writer;

/// Files of one release: ten times what large sites have; each costs the proxy about 400 bytes of memory.
pub const MAX_FILES: usize = 100_000;
/// Bytes of one release: what is larger belongs to a store of objects, not to a site that is copied at each release.
pub const MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// Folders within folders; a link that leads back to a folder above it ends here.
pub const MAX_DEPTH: usize = 64;

const NEW: &str = ".new-";
const GONE: &str = ".gone-";

/// What a release may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: MAX_FILES, bytes: MAX_BYTES }
    }
}

/// Where a site comes from.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub enum Source<'a> {
    /// A folder. It may change while it is read; links in it are followed as long as they stay in it.
    Folder(&'a Path),
    /// A tar archive, plain or compressed with gzip. Links in it are refused.
    Archive(&'a mut dyn Read),
}

/// A release that was made, or was there already.
#[derive(Clone, Debug)]
pub struct Made {
    /// The release folder.
    pub folder: PathBuf,
    /// Of all that it serves: the same digest is the same site.
    pub digest: String,
    /// Files in it.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// How many of them an earlier release had as well.
    pub kept: usize,
    /// Names with a dot in front that were left out, at most [`MAX_HIDDEN`] of them.
    pub hidden: Vec<String>,
    /// Lines of `_redirects` and `_headers` that were left out, and what else a person should know.
    pub notes: Vec<Note>,
}

/// Hidden names that are told: a person needs to see that they were left out, not each of a repository's.
pub const MAX_HIDDEN: usize = 20;

/// Why no release was made. What had been written of it is removed.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A file of the source cannot be in a release.
    #[error("{name}: {why}")]
    File {
        /// Its name in the source.
        name: String,
        /// Why.
        why: String,
    },
    /// The source as a whole cannot be a release.
    #[error("{0}")]
    Source(String),
    /// A line of `_redirects` or `_headers` must not be left out.
    #[error("{0}")]
    Rule(Note),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl MakeError {
    fn file(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::File { name: name.into(), why: why.into() }
    }

    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What was found below `sites/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub workload: String,
    /// The unit.
    pub unit: String,
    /// Whether it can be served.
    pub state: FoundState,
}

/// What a folder below `sites/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundState {
    /// A release.
    Whole,
    /// What an interrupted making or removal has left: [`Sites::remove`] ends it.
    Half,
}

/// All release folders of a data folder.
#[derive(Clone, Debug)]
pub struct Sites {
    root: PathBuf,
    limits: Limits,
}

impl Sites {
    /// Those of this data folder, with the usual limits. Nothing is touched yet.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        Self { root: data.join("sites"), limits: Limits::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the release of a unit lies, or would lie.
    #[must_use]
    pub fn folder(&self, workload: &str, unit: &str) -> PathBuf {
        self.root.join(workload).join(unit)
    }

    /// Makes the release of a unit: on return its folder is whole and durable. One that is there already with the same
    /// content is used as it is. One call at a time for a workload.
    ///
    /// # Errors
    /// When the source cannot be a release, when the unit has a release with another content, or when the disk fails.
    /// Nothing of it is left then.
    pub fn make(&self, of: (&str, &str), source: Source<'_>, settings: &Settings) -> Result<Made, MakeError> {
        let (workload, unit) = of;
        check_id(workload)?;
        check_id(unit)?;
        check_settings(settings)?;
        let home = self.root.join(workload);
        fs::create_dir_all(&home).map_err(MakeError::io(&home))?;
        let beside = home.join(format!("{NEW}{unit}"));
        remove_all(&beside).map_err(MakeError::io(&beside))?;
        let made = self.fill(&beside, source, settings).and_then(|made| self.place(&beside, (workload, unit), made));
        if made.is_err() {
            // What failed is the reason; what is left here is found by the next listing.
            remove_all(&beside).unwrap_or_default();
        }
        made
    }

    /// Writes the files and the manifest into a folder, and syncs both.
    fn fill(&self, beside: &Path, source: Source<'_>, settings: &Settings) -> Result<Made, MakeError> {
        let mut writer = Writer::begin(beside, self.limits, self.newest_of(beside))?;
        match source {
            Source::Folder(folder) => folder::copy(folder, &mut writer)?,
            Source::Archive(stream) => archive::unpack(stream, &mut writer)?,
        }
        let mut notes = Redirects::parse(&writer.redirects).1;
        notes.extend(HeaderRules::parse(&writer.headers).1);
        if let Some(refused) = notes.iter().find(|note| note.weight == Weight::Refused) {
            return Err(MakeError::Rule(refused.clone()));
        }
        for (page, why) in pages(settings) {
            writer.require(page, why)?;
        }
        let written = writer.finish(settings.clone())?;
        let manifest = written.manifest;
        Ok(Made {
            folder: beside.to_owned(),
            files: manifest.files.len(),
            bytes: manifest.bytes(),
            digest: manifest.digest,
            kept: written.kept,
            hidden: written.hidden,
            notes,
        })
    }

    /// Gives a whole folder its name.
    fn place(&self, beside: &Path, of: (&str, &str), mut made: Made) -> Result<Made, MakeError> {
        let folder = self.folder(of.0, of.1);
        if folder.exists() {
            let digest = self.digest(of.0, of.1).map_err(|e| MakeError::Source(e.to_string()))?;
            if digest != made.digest {
                return Err(MakeError::Source(format!("{} is there with another content", folder.display())));
            }
            remove_all(beside).map_err(MakeError::io(beside))?;
            made.kept = made.files;
        } else {
            fs::rename(beside, &folder).map_err(MakeError::io(&folder))?;
            let home = self.root.join(of.0);
            sync_folder(&home).and_then(|()| sync_folder(&self.root)).map_err(MakeError::io(&home))?;
        }
        made.folder = folder;
        Ok(made)
    }

    /// The newest whole release beside a folder, to take over what did not change.
    fn newest_of(&self, beside: &Path) -> Option<(PathBuf, Manifest)> {
        let home = beside.parent()?;
        let made =
            |folder: &PathBuf| -> Option<SystemTime> { fs::metadata(folder.join(MANIFEST)).ok()?.modified().ok() };
        let whole = fs::read_dir(home).ok()?.flatten().map(|entry| entry.path()).filter(|folder| {
            folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| !name.starts_with('.'))
        });
        let newest = whole.filter_map(|folder| Some((made(&folder)?, folder))).max()?.1;
        let manifest = site::manifest(&newest).ok()?;
        Some((newest.join(FILES), manifest))
    }

    /// The content digest of a unit's release.
    ///
    /// # Errors
    /// When it is not there or damaged.
    pub fn digest(&self, workload: &str, unit: &str) -> Result<String, site::OpenError> {
        site::manifest(&self.folder(workload, unit)).map(|manifest| manifest.digest)
    }

    /// Everything below `sites/`, in order; nothing when there is no such folder.
    ///
    /// # Errors
    /// When a folder cannot be read: then nothing is known.
    pub fn list(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for workload in names(&self.root)? {
            let folders = names(&self.root.join(&workload))?;
            found.extend(folders.iter().map(|name| found_as(&workload, name)));
        }
        found.sort_by(|a, b| (&a.workload, &a.unit, a.state).cmp(&(&b.workload, &b.unit, b.state)));
        Ok(found)
    }

    /// Removes the release of a unit and what was left half of it; on return there is nothing of it. Files that are being
    /// sent are sent to their end. Harmless when it is not there.
    ///
    /// # Errors
    /// When the disk fails; call it again.
    pub fn remove(&self, workload: &str, unit: &str) -> io::Result<()> {
        check_id(workload).and_then(|()| check_id(unit)).map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
        let home = self.root.join(workload);
        let gone = home.join(format!("{GONE}{unit}"));
        remove_all(&home.join(format!("{NEW}{unit}")))?;
        remove_all(&gone)?;
        match fs::rename(home.join(unit), &gone) {
            Ok(()) => sync_folder(&home)?,
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        remove_all(&gone)?;
        match fs::remove_dir(&home) {
            Ok(()) => sync_folder(&self.root),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
            Err(e) => Err(e),
        }
    }
}

fn found_as(workload: &str, name: &str) -> Found {
    let half = name.strip_prefix(NEW).or_else(|| name.strip_prefix(GONE));
    let state = if half.is_some() { FoundState::Half } else { FoundState::Whole };
    Found { workload: workload.to_owned(), unit: half.unwrap_or(name).to_owned(), state }
}

/// An id is one name without a dot in front.
fn check_id(id: &str) -> Result<(), MakeError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if id.is_empty() || id.len() > crate::path::MAX_NAME - GONE.len() || !id.bytes().all(plain) {
        return Err(MakeError::Source(format!("{id:?} is no id")));
    }
    Ok(())
}

/// The pages that a site cannot be without, and why.
fn pages(settings: &Settings) -> Vec<(&str, &'static str)> {
    let index = "a site begins with its index page; is this the folder that the build makes?";
    let mut pages = vec![(settings.index.as_str(), index)];
    if settings.not_found != Settings::default().not_found {
        pages.push((&settings.not_found, "it is named as the page for what is not found"));
    }
    pages.extend(settings.fallback.as_deref().map(|page| (page, "it is named as the fallback")));
    pages
}

/// A folder has the pages that a site cannot be without: what else may be wrong with it is seen when it is copied.
///
/// # Errors
/// One is missing, or is no page of a site.
pub fn judge(folder: &Path, settings: &Settings) -> Result<(), MakeError> {
    check_settings(settings)?;
    let missing = pages(settings).into_iter().find(|(page, _)| !folder.join(page).is_file());
    missing.map_or(Ok(()), |(page, why)| Err(absent(page, why)))
}

fn absent(page: &str, why: &str) -> MakeError {
    MakeError::Source(format!("there is no {page}: {why}"))
}

fn check_settings(settings: &Settings) -> Result<(), MakeError> {
    let is_name = |name: &str| !name.contains('/');
    let kept = |path: &str| crate::path::judge(path.as_bytes()) == Ok(crate::path::Name::Kept(path.to_owned()));
    for (key, name) in [("index", &settings.index), ("not_found", &settings.not_found)] {
        if name.is_empty() || !is_name(name) || !kept(name) {
            return Err(MakeError::Source(format!("{key}: {name:?} is no name of a file")));
        }
    }
    match &settings.fallback {
        Some(path) if path.is_empty() || !kept(path) => {
            Err(MakeError::Source(format!("fallback: {path:?} is no path of a file of the site, as \"index.html\"")))
        }
        _ => Ok(()),
    }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
