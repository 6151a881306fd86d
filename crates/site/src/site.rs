//! A release folder that was read: everything that an answer needs, in memory, but the bytes of its files.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, IoSliceMut, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use rustix::fs::{Mode, OFlags};
use rustix::io::ReadWriteFlags;

use crate::kinds::{self, Text};
use crate::manifest::{Manifest, Settings, VERSION};
use crate::rules::{HeaderRules, Redirects};

/// Name of the manifest in a release folder.
pub const MANIFEST: &str = "manifest.json";
/// Name of the folder with the files in it.
pub const FILES: &str = "files";
/// Bytes of a manifest: [`crate::release::MAX_FILES`] files with paths of usual length are a quarter of it.
const MAX_MANIFEST: u64 = 128 * 1024 * 1024;

/// A release that can be served. Holds its folder open: what was read stays readable when the folder is renamed or removed,
/// except for files that were not opened before that.
#[derive(Debug)]
pub struct Site {
    folder: PathBuf,
    digest: String,
    settings: Settings,
    redirects: Redirects,
    headers: HeaderRules,
    files: Vec<File>,
    ways: HashMap<Box<str>, Way>,
    handle: rustix::fd::OwnedFd,
}

/// A file of a site.
#[derive(Debug)]
pub struct File {
    /// Without a slash in front.
    pub path: Box<str>,
    /// Bytes.
    pub length: u64,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Strong, quoted.
    pub etag: HeaderValue,
    /// Its type.
    pub kind: HeaderValue,
    /// The same content compressed, the smallest first; each smaller than the file itself.
    pub variants: Vec<(Encoding, usize)>,
}

/// How the bytes of a file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Brotli, `.br`.
    Brotli,
    /// Zstandard, `.zst`.
    Zstd,
    /// Gzip, `.gz`.
    Gzip,
}

impl Encoding {
    /// All, in the order in which they are preferred at the same size.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Way {
    File(usize),
    /// To the one address of this page.
    Moved(usize),
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, by its number.
    File(usize),
    /// A page that has another address: this one, decoded, with a slash in front.
    Moved(String),
    /// Nothing.
    Nothing,
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its manifest is not one.
    #[error("{} is damaged ({what}); deploy the site again", path.display())]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads the manifest of a release folder.
///
/// # Errors
/// When it is not there, cannot be read, or is not what was written.
pub fn manifest(folder: &Path) -> Result<Manifest, OpenError> {
    let path = folder.join(MANIFEST);
    let io = |source| OpenError::Io { path: path.clone(), source };
    let damaged = |what: String| OpenError::Damaged { path: path.clone(), what };
    let mut text = Vec::new();
    fs::File::open(&path).and_then(|file| file.take(MAX_MANIFEST + 1).read_to_end(&mut text)).map_err(io)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_MANIFEST {
        return Err(damaged(format!("it is larger than {MAX_MANIFEST} bytes")));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
    if manifest.version != VERSION {
        return Err(damaged(format!("it is of version {}, this program reads {VERSION}", manifest.version)));
    }
    if manifest.content_digest() != manifest.digest {
        return Err(damaged("its digest does not fit".to_owned()));
    }
    Ok(manifest)
}

impl Site {
    /// Reads a release folder. On return its manifest is whole and its index, if it has one, is there.
    ///
    /// # Errors
    /// When it cannot be read or is not what was written.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let manifest = manifest(folder)?;
        let path = folder.join(FILES);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&path, flags, Mode::empty())
            .map_err(|e| OpenError::Io { path: path.clone(), source: e.into() })?;
        let files = files(&manifest).map_err(|what| OpenError::Damaged { path: folder.join(MANIFEST), what })?;
        let ways = ways(&files, &manifest.settings.index);
        let site = Self {
            folder: folder.to_owned(),
            digest: manifest.digest,
            settings: manifest.settings,
            redirects: Redirects::parse(&manifest.redirects).0,
            headers: HeaderRules::parse(&manifest.headers).0,
            files,
            ways,
            handle,
        };
        if let Place::File(index) = site.find("/") {
            let path = path.join(&*site.files[index].path);
            site.open_file(index).map_err(|source| OpenError::Io { path, source })?;
        }
        Ok(site)
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Of all that it serves.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How it is served.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its `_redirects`.
    #[must_use]
    pub fn redirects(&self) -> &Redirects {
        &self.redirects
    }

    /// Its `_headers`.
    #[must_use]
    pub fn headers(&self) -> &HeaderRules {
        &self.headers
    }

    /// How many files it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file by the number that [`Site::find`] gave; `None` for a number of another site.
    #[must_use]
    pub fn file(&self, number: usize) -> Option<&File> {
        self.files.get(number)
    }

    /// What stands at a decoded path with its slash in front. `/a` is `a` or `a.html`, `/a/` is `a/index.html`; each page
    /// has one address, at the others it is moved.
    #[must_use]
    pub fn find(&self, path: &str) -> Place {
        match path.strip_prefix('/').and_then(|path| self.ways.get(path)) {
            Some(Way::File(number)) => Place::File(*number),
            Some(Way::Moved(number)) => match self.files.get(*number) {
                Some(file) => Place::Moved(format!("/{}", address(&file.path, &self.settings.index))),
                None => Place::Nothing,
            },
            None => Place::Nothing,
        }
    }

    /// The page that is sent instead of what is not found: the one of the folder, or of one above it.
    #[must_use]
    pub fn not_found(&self, path: &str) -> Option<usize> {
        let mut folder = path.strip_prefix('/').unwrap_or(path);
        loop {
            folder = folder.rsplit_once('/').map_or("", |(above, _)| above);
            let slash = if folder.is_empty() { "" } else { "/" };
            if let Some(number) = self.literal(&format!("{folder}{slash}{}", self.settings.not_found)) {
                return Some(number);
            }
            if folder.is_empty() {
                return None;
            }
        }
    }

    /// The page of a single-page application.
    #[must_use]
    pub fn fallback(&self) -> Option<usize> {
        self.literal(self.settings.fallback.as_deref()?)
    }

    fn literal(&self, path: &str) -> Option<usize> {
        self.files.binary_search_by(|file| (*file.path).cmp(path)).ok()
    }

    /// Opens a file for reading; links are not followed. Refuses one that has not the length of the manifest.
    ///
    /// # Errors
    /// When it is not there, or not what was written.
    pub fn open_file(&self, number: usize) -> std::io::Result<fs::File> {
        let file = self.files.get(number).ok_or(ErrorKind::NotFound)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&self.handle, &*file.path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&opened)?;
        if u64::try_from(stat.st_size).ok() != Some(file.length) {
            return Err(std::io::Error::new(ErrorKind::InvalidData, "it has not the length of its manifest"));
        }
        Ok(opened.into())
    }
}

/// Fills the front of a buffer from `at` on without waiting for a disk and returns how much that was; `None` when nothing
/// of it is in memory, or when the file system cannot say.
///
/// # Errors
/// Those of reading, and an end before the first byte.
pub fn read_at_once(file: &fs::File, at: u64, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
    let wanted = buffer.len();
    match rustix::io::preadv2(file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT) {
        Ok(0) if wanted > 0 => Err(ErrorKind::UnexpectedEof.into()),
        Ok(read) => Ok(Some(read)),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Fills a buffer from `at` on, waiting for a disk if need be.
///
/// # Errors
/// Those of reading, and an end before the last byte.
pub fn read_waiting(file: &fs::File, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
    file.read_exact_at(buffer, at)
}

fn files(manifest: &Manifest) -> Result<Vec<File>, String> {
    let mut files = Vec::with_capacity(manifest.files.len());
    for known in &manifest.files {
        let kept = crate::path::judge(known.path.as_bytes());
        if kept != Ok(crate::path::Name::Kept(known.path.clone())) {
            return Err(format!("{:?} is no path of a release", known.path));
        }
        let mut digest = [0; 32];
        hex::decode_to_slice(&known.sha256, &mut digest).map_err(|_| format!("{} has no digest", known.path))?;
        let etag = format!("\"{}\"", &known.sha256[..32]);
        files.push(File {
            path: known.path.as_str().into(),
            length: known.length,
            digest,
            etag: HeaderValue::try_from(etag).map_err(|e| e.to_string())?,
            kind: kinds::of(&known.path, if known.utf8 { Text::Utf8 } else { Text::Other }),
            variants: Vec::new(),
        });
    }
    if !files.is_sorted_by(|a, b| a.path < b.path) {
        return Err("its files are not in order".to_owned());
    }
    find_variants(&mut files);
    Ok(files)
}

fn find_variants(files: &mut [File]) {
    for encoding in Encoding::ALL {
        for n in 0..files.len() {
            let Some(plain) = files[n].path.strip_suffix(encoding.ending()) else { continue };
            let Ok(of) = files.binary_search_by(|file| (*file.path).cmp(plain)) else { continue };
            if files[n].length < files[of].length {
                files[of].variants.push((encoding, n));
            }
        }
    }
    for n in 0..files.len() {
        let mut variants = std::mem::take(&mut files[n].variants);
        variants.sort_by_key(|(_, number)| files[*number].length);
        files[n].variants = variants;
    }
}

/// Everything that a request can name. Files have their own paths, then pages get their addresses, where these are free.
fn ways(files: &[File], index: &str) -> HashMap<Box<str>, Way> {
    let is_page = |file: &File| *address(&file.path, index) != *file.path;
    let mut ways = HashMap::with_capacity(files.len() * 2);
    for (n, file) in files.iter().enumerate().filter(|(_, file)| !is_page(file)) {
        ways.insert(file.path.clone(), Way::File(n));
    }
    for (n, file) in files.iter().enumerate().filter(|(_, file)| is_page(file)) {
        let address: Box<str> = address(&file.path, index).into();
        let taken = ways.contains_key(&address);
        ways.insert(file.path.clone(), if taken { Way::File(n) } else { Way::Moved(n) });
        if !taken {
            ways.insert(address, Way::File(n));
        }
    }
    // With and without the slash people mean the same page, where it is not another one.
    for (n, file) in files.iter().enumerate().filter(|(_, file)| is_page(file)) {
        let address = address(&file.path, index);
        let other = match address.strip_suffix('/') {
            Some(without) => without.to_owned(),
            None if address.is_empty() => continue,
            None => format!("{address}/"),
        };
        ways.entry(other.into()).or_insert(Way::Moved(n));
    }
    for (n, file) in files.iter().enumerate() {
        let Some(stem) = file.path.strip_suffix(".html").filter(|_| is_page(file)) else { continue };
        ways.entry(stem.into()).or_insert(Way::Moved(n));
    }
    ways
}

/// The one address of a page, without a slash in front: that of its folder, or its name without the ending; of anything
/// else its path.
fn address<'p>(path: &'p str, index: &str) -> &'p str {
    match path.strip_suffix(index) {
        Some("") => return "",
        Some(folder) if folder.ends_with('/') => return folder,
        _ => {}
    }
    match path.strip_suffix(".html") {
        Some(page) if !page.is_empty() && !page.ends_with('/') => page,
        _ => path,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest;

    /// A site of empty files, without a folder: for what is decided without reading.
    pub(crate) fn site(files: &[(&str, u64)], settings: Settings, rules: (&str, &str)) -> Site {
        let file = |(path, length): &(&str, u64)| manifest::File {
            path: (*path).into(),
            length: *length,
            sha256: hex::encode(<sha2::Sha256 as sha2::Digest>::digest(path)),
            utf8: true,
        };
        let manifest = Manifest::new(settings, rules.0.into(), rules.1.into(), files.iter().map(file).collect());
        let files = super::files(&manifest).unwrap();
        let ways = ways(&files, &manifest.settings.index);
        let (redirects, notes) = Redirects::parse(rules.0);
        assert_eq!(notes, []);
        let (headers, notes) = HeaderRules::parse(rules.1);
        assert_eq!(notes, []);
        let handle = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        Site {
            folder: "/".into(),
            digest: manifest.digest,
            settings: manifest.settings,
            redirects,
            headers,
            files,
            ways,
            handle,
        }
    }

    fn found(site: &Site, path: &str) -> String {
        match site.find(path) {
            Place::File(n) => site.files[n].path.to_string(),
            Place::Moved(to) => format!("-> {to}"),
            Place::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn each_page_has_one_address() {
        let names = ["index.html", "about.html", "docs/index.html", "a.css", "b", "b.html", "c.html", "c/index.html"];
        let site = site(&names.map(|name| (name, 1)), Settings::default(), ("", ""));
        for (path, wanted) in [
            ("/", "index.html"),
            ("/index.html", "-> /"),
            ("/index", "-> /"),
            ("/docs/index", "-> /docs/"),
            ("/about", "about.html"),
            ("/about.html", "-> /about"),
            ("/about/", "-> /about"),
            ("/docs/", "docs/index.html"),
            ("/docs", "-> /docs/"),
            ("/docs/index.html", "-> /docs/"),
            ("/a.css", "a.css"),
            ("/a.css/", "nothing"),
            ("/b", "b"),
            ("/b.html", "b.html"),
            ("/c", "c.html"),
            ("/c/", "c/index.html"),
            ("//", "nothing"),
            ("/docs//", "nothing"),
        ] {
            assert_eq!(found(&site, path), wanted, "{path}");
        }
    }

    #[test]
    fn variants_are_smaller_files_beside_the_file() {
        let names = [("a.js", 100), ("a.js.br", 30), ("a.js.gz", 40), ("a.js.zst", 100), ("b.gz", 1)];
        let site = site(&names, Settings::default(), ("", ""));
        let variants = &site.files[site.literal("a.js").unwrap()].variants;
        let named: Vec<_> = variants.iter().map(|(encoding, n)| (encoding.token(), &*site.files[*n].path)).collect();
        assert_eq!(named, [("br", "a.js.br"), ("gzip", "a.js.gz")]);
    }

    #[test]
    fn the_nearest_page_stands_for_what_is_not_found() {
        let names = [("404.html", 1), ("docs/404.html", 1)];
        let site = site(&names, Settings::default(), ("", ""));
        let page = |path| site.not_found(path).map(|n| site.files[n].path.to_string());
        assert_eq!(page("/x").as_deref(), Some("404.html"));
        assert_eq!(page("/docs/a/b").as_deref(), Some("docs/404.html"));
        assert_eq!(page("/docs/").as_deref(), Some("docs/404.html"));
        assert_eq!(page("/docs").as_deref(), Some("404.html"));
    }
}
