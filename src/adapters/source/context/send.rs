//! A folder of a person's machine as the archive that is sent to an engine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use cutover_events::Digest;
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;

use super::pack::{nameless, written};
use super::walk::{Found, patterns, walk};
use super::{ContextError, ContextLimits, Ignore, Name, Room};

/// What a site never sends, because it would never be served: names with a dot in front, but for `.well-known`.
const OF_A_SITE: &str = "**/.*\n!.well-known";
/// What no stack needs of its folder.
const GIT: &str = ".git";
/// How much is read at once, bytes.
const CHUNK: usize = 256 << 10;

/// What a folder is sent for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sends<'a> {
    /// A build by this Dockerfile in it: all but what `.dockerignore` leaves out.
    Context(&'a str),
    /// A site: all but names with a dot in front.
    Site,
    /// A stack with this compose file in it, or one whose text the engine has: all but what `.dockerignore` leaves out, and
    /// git's own.
    Stack(Option<&'a str>),
}

/// An archive that is ready to be sent, in a file that nobody else finds.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Read from its beginning.
    pub file: Arc<File>,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub length: u64,
}

impl Sent {
    /// What is in a folder, always the same bytes for the same content. Blocks for as long as reading and writing takes.
    ///
    /// # Errors
    /// No folder, a file missing that it is sent for, patterns that cannot be read, more than the limits, devices.
    pub fn folder(folder: &Path, sends: Sends<'_>, scratch: &Path) -> Result<Self, ContextError> {
        if !folder.is_dir() {
            return Err(ContextError::NoFolder(folder.to_owned()));
        }
        let needed = match sends {
            Sends::Context(file) => Some(file),
            Sends::Stack(file) => file,
            Sends::Site => None,
        };
        let missing = |file: &str| match sends {
            Sends::Stack(_) => gone(format!("the compose file {file} in {}", folder.display())),
            Sends::Context(_) | Sends::Site => ContextError::NoDockerfile { file: file.to_owned() },
        };
        let needed =
            needed.map(|file| Name::read(file.as_bytes()).ok().flatten().ok_or_else(|| missing(file))).transpose()?;
        let found = walk(folder, &left_out(folder, sends, needed.as_ref())?, &mut Room::new(ContextLimits::default()))?;
        if let Some(needed) = needed.filter(|needed| !matches!(found.get(needed), Some(Found::File { .. }))) {
            return Err(missing(&needed.text()));
        }
        if found.is_empty() {
            return Err(gone(format!("something to send in {}", folder.display())));
        }
        let archive = written(folder, found, scratch, &CancellationToken::new())?;
        Self::file(archive.file)
    }

    /// What a reader gives, written to the disk: it may come once only, and is sent again when a connection breaks.
    ///
    /// # Errors
    /// It cannot be read, or not be written, or it has nothing.
    pub fn spooled(mut from: impl Read, scratch: &Path) -> Result<Self, ContextError> {
        let what = "the archive cannot be written to the disk";
        let file = nameless(scratch).map_err(ContextError::io(what))?;
        io::copy(&mut from, &mut &file).map_err(ContextError::io("the archive cannot be read"))?;
        Self::file(Arc::new(file))
    }

    /// A file as it is.
    ///
    /// # Errors
    /// It cannot be read, or it has nothing.
    pub fn file(file: Arc<File>) -> Result<Self, ContextError> {
        let unreadable = "the archive cannot be read";
        let mut reader = &*file;
        reader.seek(SeekFrom::Start(0)).map_err(ContextError::io(unreadable))?;
        let (mut hash, mut length, mut chunk) = (sha2::Sha256::new(), 0_u64, vec![0; CHUNK]);
        loop {
            match reader.read(&mut chunk).map_err(ContextError::io(unreadable))? {
                0 => break,
                read => {
                    hash.update(&chunk[..read]);
                    length += read as u64;
                }
            }
        }
        if length == 0 {
            return Err(ContextError::Archive("it is empty".to_owned()));
        }
        Ok(Self { file, digest: Digest(hash.finalize().into()), length })
    }
}

fn gone(what: String) -> ContextError {
    ContextError::io(what)(io::ErrorKind::NotFound.into())
}

fn left_out(folder: &Path, sends: Sends<'_>, needed: Option<&Name>) -> Result<Ignore, ContextError> {
    let bad = |why| ContextError::Pattern { file: "the patterns of sites".to_owned(), why };
    match (sends, needed) {
        (Sends::Site, _) => Ignore::read(OF_A_SITE).map_err(bad),
        (Sends::Context(_), Some(file)) => patterns(folder, file),
        (Sends::Stack(_) | Sends::Context(_), file) => {
            let mut ignore = match file {
                Some(file) => patterns(folder, file)?,
                None => Ignore::default(),
            };
            ignore.leave_out(GIT);
            Ok(ignore)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::super::unpack;
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("of {name}")).unwrap();
        }
        folder
    }

    fn names(at: &Path, below: &str, into: &mut BTreeSet<String>) {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                names(&entry.path(), &format!("{name}/"), into);
            } else {
                into.insert(name);
            }
        }
    }

    /// The files that an engine has of it.
    fn arrived(from: &Path, sends: Sends<'_>) -> Vec<String> {
        let (scratch, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sent = Sent::folder(from, sends, scratch.path()).unwrap();
        let again = Sent::folder(from, sends, scratch.path()).unwrap();
        assert_eq!((sent.digest, sent.length), (again.digest, again.length), "the same content is the same upload");
        let mut file = &*sent.file;
        file.seek(SeekFrom::Start(0)).unwrap();
        unpack(file, there.path(), ContextLimits::default()).unwrap();
        let mut all = BTreeSet::new();
        names(there.path(), "", &mut all);
        all.into_iter().collect()
    }

    #[test]
    fn each_source_sends_what_it_is_made_of() {
        let from = folder(&[
            "Dockerfile",
            "src/a",
            "src/.env",
            "target/b",
            ".git/HEAD",
            ".env",
            ".well-known/x",
            "compose.yml",
            "index.html",
        ]);
        fs::write(from.path().join(".dockerignore"), "target\n.env\n").unwrap();
        let of = |sends| arrived(from.path(), sends);
        assert_eq!(
            of(Sends::Context("Dockerfile")),
            [
                ".dockerignore",
                ".git/HEAD",
                ".well-known/x",
                "Dockerfile",
                "compose.yml",
                "index.html",
                "src/.env",
                "src/a"
            ]
        );
        assert_eq!(of(Sends::Site), [".well-known/x", "Dockerfile", "compose.yml", "index.html", "src/a", "target/b"]);
        let stack = of(Sends::Stack(Some("compose.yml")));
        assert!(stack.contains(&"compose.yml".to_owned()) && !stack.iter().any(|name| name.starts_with(".git/")));
        assert!(of(Sends::Stack(None)).contains(&".env".to_owned()));
    }

    #[test]
    fn what_cannot_be_deployed_is_not_sent() {
        let (from, scratch) = (folder(&["a"]), tempfile::tempdir().unwrap());
        let refused = |sends| Sent::folder(from.path(), sends, scratch.path()).unwrap_err().to_string();
        assert!(refused(Sends::Context("Dockerfile")).contains("no Dockerfile in the context"));
        assert!(refused(Sends::Context("../Dockerfile")).contains("../Dockerfile"));
        let nothing = tempfile::tempdir().unwrap();
        assert!(Sent::folder(nothing.path(), Sends::Site, scratch.path()).is_err());
        assert!(Sent::folder(&from.path().join("b"), Sends::Site, scratch.path()).is_err());
        assert!(Sent::spooled(&b""[..], scratch.path()).is_err());
        assert_eq!(Sent::spooled(&b"abc"[..], scratch.path()).unwrap().digest, Digest::of(b"abc"));
    }
}
