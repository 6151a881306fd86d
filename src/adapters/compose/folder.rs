//! The files of a project: one folder below the data folder, for the engine's user alone, and always at the same path,
//! because Compose makes containers anew when it changes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{ComposeError, Project, Volumes};
use crate::store::files::{make_folder, replace_durably};

/// Bytes of all files of one project: compose files are small, and what is mounted from beside them is, too.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The list of what the engine has written into a folder. A line for each; no path has a line end.
const NOTE: &str = ".cutover";
/// Levels of folders within a project.
const MAX_DEPTH: usize = 8;

/// The folder of a project. The name is checked here once more: a path is made of it.
pub(super) fn of(root: &Path, name: &str) -> Result<PathBuf, ComposeError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if begins && name.len() <= cutover_compose::MAX_NAME_CHARS && name.bytes().all(inner) {
        return Ok(root.join(name));
    }
    Err(ComposeError::Unusable("the name of the project is none that Compose takes".to_owned()))
}

/// Puts the files of a project into its folder. What is the same is not written again, what does not belong goes.
pub(super) fn write(folder: &Path, project: &Project) -> Result<(), ComposeError> {
    let bytes: usize = project.files.values().map(Vec::len).sum();
    if bytes > MAX_BYTES {
        let text = format!("the files of the stack have {bytes} bytes; at most {MAX_BYTES} are kept");
        return Err(ComposeError::Unusable(text));
    }
    for path in project.files.keys() {
        plain(path)?;
    }
    if project.order.is_empty() || project.order.iter().any(|name| !project.files.contains_key(name)) {
        return Err(ComposeError::Unusable("the stack has no compose file".to_owned()));
    }
    put(folder, project).map_err(|error| {
        ComposeError::Unavailable(format!("the files of the stack cannot be written to {}: {error}", folder.display()))
    })
}

/// A path that stays within the folder, and that no program takes for a flag.
fn plain(path: &str) -> Result<(), ComposeError> {
    let parts: Vec<Component<'_>> = Path::new(path).components().collect();
    let normal = parts.iter().all(|part| matches!(part, Component::Normal(_)));
    if normal
        && (1..=MAX_DEPTH).contains(&parts.len())
        && !path.starts_with('-')
        && path != NOTE
        && !path.contains(char::is_control)
    {
        return Ok(());
    }
    Err(ComposeError::Unusable(format!("the file {path:?} of the stack does not lie in its folder")))
}

fn put(folder: &Path, project: &Project) -> io::Result<()> {
    make_folder(folder)?;
    // Noted before they are written: what is noted and not there is no harm, the other way round stays for ever.
    let former = noted(folder)?;
    let all: BTreeSet<String> = former.iter().chain(project.files.keys()).cloned().collect();
    note(folder, &former, &all)?;
    for (path, content) in &project.files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        // A link would lead out of the folder.
        let same = path.symlink_metadata().is_ok_and(|meta| meta.is_file()) && std::fs::read(&path)? == *content;
        if !same {
            replace_durably(&path, content)?;
        }
    }
    let now: BTreeSet<String> = project.files.keys().cloned().collect();
    for gone in former.difference(&now) {
        absent(std::fs::remove_file(folder.join(gone)))?;
    }
    note(folder, &all, &now)
}

/// The files that the engine has written here: what services keep beside them is not its own to remove.
fn noted(folder: &Path) -> io::Result<BTreeSet<String>> {
    match std::fs::read_to_string(folder.join(NOTE)) {
        Ok(text) => Ok(text.lines().filter(|path| plain(path).is_ok()).map(str::to_owned).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn note(folder: &Path, before: &BTreeSet<String>, files: &BTreeSet<String>) -> io::Result<()> {
    if before == files {
        return Ok(());
    }
    let text: String = files.iter().flat_map(|path| [path.as_str(), "\n"]).collect();
    replace_durably(&folder.join(NOTE), text.as_bytes())
}

/// What is not there need not go.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes the folder of a project: with everything in it, or only what the engine has written and folders that are
/// empty then. One that is not there is as good.
pub(super) fn remove(folder: &Path, volumes: Volumes) -> Result<(), ComposeError> {
    let removed = match volumes {
        Volumes::Remove => absent(std::fs::remove_dir_all(folder)),
        Volumes::Keep => remove_own(folder),
    };
    removed.map_err(|error| ComposeError::Unavailable(format!("{} cannot be removed: {error}", folder.display())))
}

fn remove_own(folder: &Path) -> io::Result<()> {
    for path in noted(folder)? {
        let path = folder.join(path);
        absent(std::fs::remove_file(&path))?;
        let below = path.ancestors().skip(1).take_while(|parent| parent.starts_with(folder) && *parent != folder);
        below.for_each(remove_empty);
    }
    absent(std::fs::remove_file(folder.join(NOTE)))?;
    remove_empty(folder);
    Ok(())
}

/// A folder that holds something stays.
fn remove_empty(folder: &Path) {
    if let Err(error) = std::fs::remove_dir(folder) {
        tracing::debug!(folder = %folder.display(), %error, "a folder of a stack stays");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::Anew;
    use super::*;

    fn project(files: &[(&str, &str)]) -> Project {
        Project {
            name: "a".to_owned(),
            order: vec!["compose.yml".to_owned()],
            files: files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect(),
            variables: BTreeMap::new(),
            profiles: Vec::new(),
            base: None,
            anew: Anew::Changed,
        }
    }

    #[test]
    fn files_are_private_and_written_only_when_they_change() {
        let root = tempfile::tempdir().unwrap();
        let folder = of(root.path(), "a").unwrap();
        let inode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().ino();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&folder, &project(&[("compose.yml", "one"), ("env/web.env", "A=1"), ("old.env", "")])).unwrap();
        assert_eq!(
            (mode(&folder), mode(&folder.join("compose.yml")), mode(&folder.join("env"))),
            (0o700, 0o600, 0o700)
        );
        let before = (inode("compose.yml"), inode("env/web.env"));
        std::fs::create_dir(folder.join("data")).unwrap();
        std::fs::write(folder.join("data/kept"), "of a service").unwrap();
        std::fs::write(folder.join("env/state"), "of a service").unwrap();
        write(&folder, &project(&[("compose.yml", "one"), ("env/web.env", "A=2")])).unwrap();
        assert_eq!(inode("compose.yml"), before.0);
        assert_ne!(inode("env/web.env"), before.1);
        assert!(
            !folder.join("old.env").exists() && folder.join("data/kept").exists() && folder.join("env/state").exists()
        );
        std::fs::remove_file(folder.join("env/state")).unwrap();
        remove(&folder, Volumes::Keep).unwrap();
        assert!(
            folder.join("data/kept").exists() && !folder.join("compose.yml").exists() && !folder.join("env").exists()
        );
        remove(&folder, Volumes::Remove).unwrap();
        remove(&folder, Volumes::Remove).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn nothing_is_written_elsewhere() {
        let root = tempfile::tempdir().unwrap();
        let folder = of(root.path(), "a").unwrap();
        for path in ["../x", "/etc/x", "-f", "a/../../x", "", "a/b/c/d/e/f/g/h/i"] {
            let bad = write(&folder, &project(&[("compose.yml", ""), (path, "")]));
            assert!(matches!(bad, Err(ComposeError::Unusable(_))), "{path}");
        }
        for name in ["", "..", "-p", "a/b", "A", "a.b", &"a".repeat(64)] {
            assert!(of(root.path(), name).is_err(), "{name}");
        }
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("link")).unwrap();
        let through = of(root.path(), "b").unwrap();
        make_folder(&through).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", through.join("compose.yml")).unwrap();
        write(&through, &project(&[("compose.yml", "ours")])).unwrap();
        assert!(through.join("compose.yml").symlink_metadata().unwrap().is_file());
    }
}
