//! Writes the files of a release.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Limits, MAX_HIDDEN, MakeError, sync_folder};
use crate::manifest::{self, Manifest, Settings};
use crate::path::{self, Name};
use crate::rules::MAX_FILE;
use crate::site::{FILES, MANIFEST};

/// Files up to this size are compared with the former release before they are written, bytes.
const IN_MEMORY: usize = 1024 * 1024;
/// Bytes of one read.
const CHUNK: usize = 256 * 1024;
/// Beyond so many files and folders one sync of the whole file system is cheaper than one for each, which cost a few
/// milliseconds apiece.
const SYNC_EACH: usize = 128;

/// A release that is being written.
pub(super) struct Writer {
    folder: PathBuf,
    limits: Limits,
    former: Option<Former>,
    files: Vec<manifest::File>,
    names: BTreeSet<String>,
    folders: BTreeSet<PathBuf>,
    bytes: u64,
    kept: usize,
    hidden: Vec<String>,
    unsynced: Vec<PathBuf>,
    chunk: Vec<u8>,
    /// Text of `_redirects`.
    pub(super) redirects: String,
    /// Text of `_headers`.
    pub(super) headers: String,
}

/// What the newest release has, by digest.
struct Former {
    files: PathBuf,
    by_digest: HashMap<String, String>,
}

/// A release that is written and durable, under a name of its own.
pub(super) struct Written {
    pub(super) manifest: Manifest,
    pub(super) kept: usize,
    pub(super) hidden: Vec<String>,
}

impl Writer {
    /// Makes the folder, which must not be there.
    pub(super) fn begin(folder: &Path, limits: Limits, former: Option<(PathBuf, Manifest)>) -> Result<Self, MakeError> {
        let files = folder.join(FILES);
        fs::create_dir(folder).and_then(|()| fs::create_dir(&files)).map_err(MakeError::io(&files))?;
        let former = former.map(|(files, manifest)| Former {
            files,
            by_digest: manifest.files.into_iter().map(|file| (file.sha256, file.path)).collect(),
        });
        Ok(Self {
            folder: folder.to_owned(),
            limits,
            former,
            files: Vec::new(),
            names: BTreeSet::new(),
            folders: BTreeSet::from([files]),
            bytes: 0,
            kept: 0,
            hidden: Vec::new(),
            unsynced: Vec::new(),
            chunk: vec![0; CHUNK],
            redirects: String::new(),
            headers: String::new(),
        })
    }

    /// What it may hold.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Judges a name of the source; `None`: it is left out, and that is told.
    pub(super) fn judge(&mut self, raw: &[u8]) -> Result<Option<String>, MakeError> {
        let shown = || String::from_utf8_lossy(raw).into_owned();
        match path::judge(raw).map_err(|why| MakeError::file(shown().escape_debug().to_string(), why))? {
            Name::Kept(path) => Ok(Some(path)),
            Name::Hidden => {
                if self.hidden.len() < MAX_HIDDEN {
                    self.hidden.push(shown());
                }
                Ok(None)
            }
        }
    }

    /// Takes a file in. `name` is a path that [`Writer::judge`] has let pass.
    pub(super) fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), MakeError> {
        if name.is_empty() || !self.names.insert(name.to_owned()) {
            return Err(MakeError::file(name, "it is there twice"));
        }
        if self.names.len() > self.limits.files {
            let text = format!("a site of more than {} files; leave out what is not served", self.limits.files);
            return Err(MakeError::Source(text));
        }
        match name {
            "_redirects" => self.redirects = rules_file(name, content)?,
            "_headers" => self.headers = rules_file(name, content)?,
            "_worker.js" | "_routes.json" => self.hidden.push(name.to_owned()),
            _ => self.store(name, content)?,
        }
        Ok(())
    }

    fn store(&mut self, name: &str, content: &mut dyn Read) -> Result<(), MakeError> {
        let target = self.folder.join(FILES).join(name);
        self.make_folder(name, &target)?;
        let mut head = Vec::new();
        let limit = u64::try_from(IN_MEMORY).unwrap_or(u64::MAX) + 1;
        content.take(limit).read_to_end(&mut head).map_err(|e| MakeError::file(name, e.to_string()))?;
        let mut seen = Seen::default();
        self.count(&head, &mut seen)?;
        let file = if head.len() <= IN_MEMORY {
            let file = seen.finish(name);
            if !self.link(&file.sha256, &target) {
                self.write_whole(name, &target, &head)?;
            }
            file
        } else {
            self.write_long(name, &target, &head, (content, seen))?
        };
        self.files.push(file);
        Ok(())
    }

    /// Counts bytes against the limit and into the digest.
    fn count(&mut self, bytes: &[u8], seen: &mut Seen) -> Result<(), MakeError> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.bytes > self.limits.bytes {
            let text =
                format!("a site of more than {} bytes; large files belong to a store of objects", self.limits.bytes);
            return Err(MakeError::Source(text));
        }
        seen.add(bytes);
        Ok(())
    }

    fn make_folder(&mut self, name: &str, target: &Path) -> Result<(), MakeError> {
        let Some(folder) = target.parent().filter(|folder| !self.folders.contains(*folder)) else { return Ok(()) };
        fs::create_dir_all(folder).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                MakeError::file(name, "a part of its path is a file too")
            }
            _ => MakeError::Io { path: folder.to_owned(), source: e },
        })?;
        let files = self.folder.join(FILES);
        let made = folder.ancestors().take_while(|above| above.starts_with(&files)).map(Path::to_owned);
        self.folders.extend(made);
        Ok(())
    }

    /// Links the content from the former release; whether it has it.
    fn link(&mut self, sha256: &str, target: &Path) -> bool {
        let Some(former) = &self.former else { return false };
        let Some(path) = former.by_digest.get(sha256) else { return false };
        let linked = fs::hard_link(former.files.join(path), target).is_ok();
        self.kept += usize::from(linked);
        linked
    }

    fn write_whole(&mut self, name: &str, target: &Path, content: &[u8]) -> Result<(), MakeError> {
        let mut file = create(name, target)?;
        file.write_all(content).map_err(MakeError::io(target))?;
        self.unsynced.push(target.to_owned());
        Ok(())
    }

    fn write_long(
        &mut self,
        name: &str,
        target: &Path,
        head: &[u8],
        (content, mut seen): (&mut dyn Read, Seen),
    ) -> Result<manifest::File, MakeError> {
        let mut file = create(name, target)?;
        file.write_all(head).map_err(MakeError::io(target))?;
        let mut chunk = std::mem::take(&mut self.chunk);
        loop {
            let read = content.read(&mut chunk).map_err(|e| MakeError::file(name, e.to_string()))?;
            if read == 0 {
                break;
            }
            self.count(&chunk[..read], &mut seen)?;
            file.write_all(&chunk[..read]).map_err(MakeError::io(target))?;
        }
        self.chunk = chunk;
        let file = seen.finish(name);
        let known = self.former.as_ref().is_some_and(|former| former.by_digest.contains_key(&file.sha256));
        let aside = self.folder.join("long");
        if known && fs::rename(target, &aside).is_ok() {
            if self.link(&file.sha256, target) {
                fs::remove_file(&aside).map_err(MakeError::io(&aside))?;
                return Ok(file);
            }
            fs::rename(&aside, target).map_err(MakeError::io(target))?;
        }
        self.unsynced.push(target.to_owned());
        Ok(file)
    }

    /// Refuses a release without this file.
    pub(super) fn require(&self, path: &str, why: &str) -> Result<(), MakeError> {
        if self.files.iter().any(|file| file.path == path) {
            return Ok(());
        }
        Err(super::absent(path, why))
    }

    /// Writes the manifest; on return everything is on the disk.
    pub(super) fn finish(self, settings: Settings) -> Result<Written, MakeError> {
        let manifest = Manifest::new(settings, self.redirects, self.headers, self.files);
        let path = self.folder.join(MANIFEST);
        let text = serde_json::to_vec(&manifest).map_err(|e| MakeError::Source(e.to_string()))?;
        let mut file = create(MANIFEST, &path)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(MakeError::io(&path))?;
        if self.unsynced.len() + self.folders.len() > SYNC_EACH {
            let folder = File::open(&self.folder).map_err(MakeError::io(&self.folder))?;
            rustix::fs::syncfs(&folder).map_err(|e| MakeError::Io { path: self.folder.clone(), source: e.into() })?;
        } else {
            for path in &self.unsynced {
                File::open(path).and_then(|file| file.sync_all()).map_err(MakeError::io(path))?;
            }
            for folder in self.folders.iter().rev().chain([&self.folder]) {
                sync_folder(folder).map_err(MakeError::io(folder))?;
            }
        }
        Ok(Written { manifest, kept: self.kept, hidden: self.hidden })
    }
}

fn create(name: &str, path: &Path) -> Result<File, MakeError> {
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            MakeError::file(name, "it is a folder too")
        }
        _ => MakeError::Io { path: path.to_owned(), source: e },
    })
}

fn rules_file(name: &str, content: &mut dyn Read) -> Result<String, MakeError> {
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    content.take(limit + 1).read_to_end(&mut text).map_err(|e| MakeError::file(name, e.to_string()))?;
    if text.len() > MAX_FILE {
        return Err(MakeError::file(name, format!("it is larger than {MAX_FILE} bytes")));
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(text);
    String::from_utf8(text).map_err(|_| MakeError::file(name, "it is not UTF-8"))
}

/// What is learned of a file while its bytes go by.
struct Seen {
    sum: Sha256,
    length: u64,
    utf8: bool,
    /// A character that the bytes so far end in the middle of.
    open: Vec<u8>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { sum: Sha256::new(), length: 0, utf8: true, open: Vec::new() }
    }
}

impl Seen {
    fn add(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if !self.utf8 {
            return;
        }
        let joined;
        let text = if self.open.is_empty() {
            bytes
        } else {
            joined = [self.open.as_slice(), bytes].concat();
            &joined
        };
        self.open = match std::str::from_utf8(text) {
            Ok(_) => Vec::new(),
            Err(e) if e.error_len().is_none() => text[e.valid_up_to()..].to_vec(),
            Err(_) => {
                self.utf8 = false;
                Vec::new()
            }
        };
    }

    fn finish(self, path: &str) -> manifest::File {
        manifest::File {
            path: path.to_owned(),
            length: self.length,
            sha256: hex::encode(self.sum.finalize()),
            utf8: self.utf8 && self.open.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_wherever_it_is_cut() {
        let text = "aé€𝄞z".as_bytes();
        for cut in 0..=text.len() {
            let mut seen = Seen::default();
            seen.add(&text[..cut]);
            seen.add(&text[cut..]);
            assert!(seen.finish("a").utf8, "{cut}");
        }
        for bad in [&b"\xff"[..], b"a\xe2\x82", b"\xe2\x82a"] {
            let mut seen = Seen::default();
            bad.iter().for_each(|b| seen.add(&[*b]));
            assert!(!seen.finish("a").utf8, "{bad:?}");
        }
    }
}
