//! Which Compose there is on this host.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// What a program may take to say its version; one in Python needs a second on a slow host.
const VERSION: Duration = Duration::from_secs(20);
/// Where packages put the plugin of Docker, which is a program of its own too.
const PLUGINS: [&str; 5] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/docker/cli-plugins",
];
/// Its name everywhere.
const NAME: &str = "docker-compose";
/// The oldest one that is used: older ones do not know the flags that are used.
const OLDEST: (u32, u32) = (1, 29);

/// Which of the two programs it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// The one in Python, 1.29.
    First,
    /// The one in Go, 2.x and later.
    Second,
}

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// What it calls itself.
    pub version: String,
    /// Which of the two it is.
    pub generation: Generation,
}

/// The newest Compose of this host: among the plugins of Docker, those in `home`, and what `path` leads to.
pub async fn find(path: &str, home: &Path) -> Option<Program> {
    let plugins = PLUGINS.iter().map(PathBuf::from).chain([home.join(".docker/cli-plugins")]);
    let folders = plugins.chain(path.split(':').filter(|folder| folder.starts_with('/')).map(PathBuf::from));
    let (mut best, mut asked): (Option<(Program, (u32, u32))>, _) = (None, BTreeSet::new());
    // Folders may be one and the same: /bin is /usr/bin on most systems.
    let mut is_another = |at: &PathBuf| std::fs::canonicalize(at).is_ok_and(|real| asked.insert(real));
    for candidate in folders.map(|folder| folder.join(NAME)).filter(|at| at.is_file() && is_another(at)) {
        let Some((program, number)) = ask(&candidate, path).await else { continue };
        if best.as_ref().is_none_or(|(_, known)| number > *known) {
            best = Some((program, number));
        }
    }
    best.map(|(program, _)| program)
}

/// What a program says of itself; nothing when it is not one that can be used.
pub(super) async fn ask(program: &Path, path: &str) -> Option<(Program, (u32, u32))> {
    let mut command = Command::new(program);
    command.args(["version", "--short"]).env_clear().env("PATH", path).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(VERSION, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().trim_start_matches('v').to_owned();
    let number = number(&version).filter(|number| output.status.success() && *number >= OLDEST)?;
    let generation = if number.0 == 1 { Generation::First } else { Generation::Second };
    Some((Program { path: program.to_owned(), version, generation }, number))
}

/// The first two numbers of a version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(folder: &Path, text: &str) {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join(NAME);
        // Written beside and renamed: a file that another test's child still has open cannot be run.
        std::fs::write(folder.join("new"), format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(folder.join("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(folder.join("new"), path).unwrap();
    }

    #[tokio::test]
    async fn the_newest_that_can_be_used_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        script(&at("old"), "echo 1.21.0");
        script(&at("bad"), "echo v9.9.9; exit 1");
        script(&at("odd"), "echo who knows");
        let path =
            |names: &[&str]| names.iter().map(|name| at(name).display().to_string()).collect::<Vec<_>>().join(":");
        let none = ask(&at("old").join(NAME), "/bin").await;
        assert_eq!(none, None);
        assert_eq!(ask(&at("bad").join(NAME), "/bin").await, None);
        assert_eq!(ask(&at("odd").join(NAME), "/bin").await, None);
        script(&at("one"), "echo 1.29.2");
        let (first, _) = ask(&at("one").join(NAME), "/bin").await.unwrap();
        assert_eq!((first.generation, first.version.as_str()), (Generation::First, "1.29.2"));
        std::os::unix::fs::symlink(at("new"), at("linked")).unwrap();
        script(&at("new"), &format!("echo asked >> {}; echo v99.40.3", at("asked").display()));
        let found = find(&path(&["one", "new", "linked", "old", "bad"]), &at("home")).await.unwrap();
        assert_eq!(std::fs::read_to_string(at("asked")).unwrap(), "asked\n", "one folder under two names");
        assert_eq!((found.path, found.version.as_str()), (at("new").join(NAME), "99.40.3"));
    }
}
