//! Values as files that containers have mounted: a folder for each unit, on a tmpfs of the host, so that they are on no
//! disk and do not outlive a restart of the host. They go with the container.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cutover_events::{LogId, UnitId};
use zeroize::Zeroizing;

/// What is in memory alone on every Linux: for root, and for everybody.
const MEMORY: [&str; 2] = ["/run", "/dev/shm"];
/// The magic numbers of file systems that are in memory alone: tmpfs and ramfs (`man 2 statfs`).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// Mode of the folder that all units are in: nobody else on the host enters it, whatever is below.
const CLOSED: u32 = 0o700;
/// Mode of the folder of a unit, as the container sees it: its program may be any user.
const ENTERED: u32 = 0o755;
/// Mode of a file, as the container sees it.
const READ: u32 = 0o444;

/// Where the folder may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// On a file system that is in memory alone.
    Memory,
    /// Anywhere: for a world in which no container reads them.
    Anywhere,
}

/// The folder of the files that containers have mounted.
#[derive(Clone, Debug)]
pub struct SecretFiles {
    root: PathBuf,
    place: Where,
}

impl SecretFiles {
    /// For a log: below `/run` for root, where that is a tmpfs, otherwise below `/dev/shm`. Nothing is made yet.
    #[must_use]
    pub fn of(log: LogId) -> Self {
        let user = rustix::process::geteuid();
        let [run, shared] = MEMORY.map(Path::new);
        let folder = match user.is_root() && is_in_memory(run) {
            true => run.join("cutover"),
            false => shared.join(format!("cutover-{}", user.as_raw())),
        };
        Self { root: folder.join(format!("secrets-{log}")), place: Where::Memory }
    }

    /// In this folder.
    #[must_use]
    pub fn below(root: PathBuf, place: Where) -> Self {
        Self { root, place }
    }

    /// The folder of a unit, with exactly these files in it. One that is mounted already keeps its identity.
    ///
    /// # Errors
    /// Those of the file system; the folder is on a disk, or others may enter it.
    pub fn put(&self, unit: UnitId, files: &[(String, Zeroizing<Vec<u8>>)]) -> io::Result<PathBuf> {
        self.make_root()?;
        let folder = self.folder(unit);
        make(&folder, ENTERED)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(ENTERED))?;
        let wanted: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| wanted.contains(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        for (name, value) in files {
            write(&folder, name, value)?;
        }
        Ok(folder)
    }

    /// Whether a unit has a folder.
    #[must_use]
    pub fn has(&self, unit: UnitId) -> bool {
        self.folder(unit).is_dir()
    }

    /// The folder of a unit is gone.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, unit: UnitId) -> io::Result<()> {
        match fs::remove_dir_all(self.folder(unit)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the folders of all other units; says how many went.
    ///
    /// # Errors
    /// The folder cannot be read, or one not removed.
    pub fn keep_only(&self, keep: &BTreeSet<UnitId>) -> io::Result<usize> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut gone = 0;
        for entry in entries {
            let entry = entry?;
            let unit = entry.file_name().to_str().and_then(|name| name.parse::<UnitId>().ok());
            if unit.is_some_and(|unit| !keep.contains(&unit)) {
                fs::remove_dir_all(entry.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    fn folder(&self, unit: UnitId) -> PathBuf {
        self.root.join(unit.to_string())
    }

    /// Makes the folder of all units where it is missing. Somebody else may have made it before us in a place that is open
    /// to all: then it is not used.
    fn make_root(&self) -> io::Result<()> {
        let parents = self.root.parent().into_iter().chain([&*self.root]);
        for folder in parents.filter(|folder| self.place == Where::Memory || **folder == *self.root) {
            make(folder, CLOSED)?;
            let found = fs::symlink_metadata(folder)?;
            let own = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
            if !own {
                return Err(refused(folder, "belongs to somebody else: remove it"));
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(CLOSED))?;
        }
        match self.place == Where::Anywhere || is_in_memory(&self.root) {
            true => Ok(()),
            false => {
                Err(refused(&self.root, "is not on a tmpfs, and secrets are put on no disk: mount one at /dev/shm"))
            }
        }
    }
}

fn refused(folder: &Path, why: &str) -> io::Error {
    io::Error::other(format!("the folder {} {why}", folder.display()))
}

/// Makes a folder; one that is there is left as it is.
fn make(folder: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Written beside and renamed: a program that reads it meanwhile sees the whole of one value.
fn write(folder: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|there| Zeroizing::new(there).as_slice() == value) {
        return Ok(());
    }
    let beside = folder.join(format!(".{name}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(READ).open(&beside)?;
    file.write_all(value)?;
    file.set_permissions(fs::Permissions::from_mode(READ))?;
    fs::rename(&beside, &path)
}

fn is_in_memory(folder: &Path) -> bool {
    // The type of the number differs between machines.
    let kind = rustix::fs::statfs(folder).ok().and_then(|found| u64::try_from(found.f_type).ok());
    kind.is_some_and(|kind| IN_MEMORY.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitId = UnitId([1; 16]);
    const OTHER: UnitId = UnitId([2; 16]);

    fn files(all: &[(&str, &str)]) -> Vec<(String, Zeroizing<Vec<u8>>)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new(value.as_bytes().to_vec()))).collect()
    }

    #[test]
    fn a_unit_has_exactly_its_files_and_nobody_else_enters() {
        let dir = tempfile::tempdir().unwrap();
        let given = SecretFiles::below(dir.path().join("given"), Where::Anywhere);
        let folder = given.put(UNIT, &files(&[("a", "one"), ("b", "two")])).unwrap();
        let before = fs::metadata(&folder).unwrap().ino();
        assert_eq!(given.put(UNIT, &files(&[("a", "one"), ("c", "three")])).unwrap(), folder);
        assert_eq!(fs::metadata(&folder).unwrap().ino(), before, "what is mounted stays mounted");
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(fs::read(folder.join("c")).unwrap(), b"three");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("given")), mode(&folder), mode(&folder.join("a"))), (CLOSED, ENTERED, READ));
    }

    #[test]
    fn folders_go_with_their_units() {
        let dir = tempfile::tempdir().unwrap();
        let given = SecretFiles::below(dir.path().join("given"), Where::Anywhere);
        assert_eq!(given.keep_only(&BTreeSet::new()).unwrap(), 0);
        for unit in [UNIT, OTHER] {
            given.put(unit, &files(&[("a", "one")])).unwrap();
        }
        assert_eq!(given.keep_only(&BTreeSet::from([UNIT])).unwrap(), 1);
        assert!(given.has(UNIT) && !given.has(OTHER));
        given.remove(UNIT).unwrap();
        given.remove(UNIT).unwrap();
        assert!(!given.has(UNIT));
    }

    #[test]
    fn nothing_is_written_to_a_disk_or_into_a_link() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        if !is_in_memory(dir.path()) {
            let given = SecretFiles::below(dir.path().join("given"), Where::Memory);
            let refused = given.put(UNIT, &files(&[("a", "hunter2")])).unwrap_err().to_string();
            assert!(refused.contains("tmpfs") && !refused.contains("hunter2"), "{refused}");
            assert!(!given.has(UNIT));
        }
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        let given = SecretFiles::below(dir.path().join("link"), Where::Anywhere);
        assert!(given.put(UNIT, &files(&[("a", "x")])).is_err());
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_usual_place_is_in_memory() {
        let log = LogId([0xfe; 16]);
        let given = SecretFiles::of(log);
        let folder = given.put(UNIT, &files(&[("a", "one")])).unwrap();
        assert!(is_in_memory(&folder));
        given.remove(UNIT).unwrap();
        fs::remove_dir(folder.parent().unwrap()).unwrap();
    }
}
