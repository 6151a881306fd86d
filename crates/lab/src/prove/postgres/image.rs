//! Debian's PostgreSQL as an image: the files of the package with the libraries that they need, and a script that makes
//! the data folder when it is empty.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::docker::Docker;
use crate::report::progress;
use crate::{Result, labels};

/// Repository of the images that are made.
const REPOSITORY: &str = "cutover-lab/postgres";
/// Where Debian puts the programs of each version.
const PACKAGES: &str = "/usr/lib/postgresql";
/// Programs besides PostgreSQL's own that the start needs: `initdb` runs commands by a shell.
const PROGRAMS: [&str; 2] = ["/bin/sh", "/bin/rm"];
/// Who runs it, inside the container.
const USER: u32 = 999;
/// What the container runs. `BREAKS` spoils the data folder for every version that comes after, until one with `MENDS`.
const SCRIPT: &str = r#"#!/bin/sh
set -e
if [ -n "$MENDS" ]; then rm -f /data/spoilt; fi
if [ -n "$SPOILS" ]; then : > /data/spoilt; fi
if [ -n "$EXITS" ] || [ -e /data/spoilt ]; then echo "this version does not start"; exit 1; fi
if [ ! -s /data/pg/PG_VERSION ]; then
    rm -rf /data/pg
    initdb -D /data/pg -U postgres --auth=trust --no-sync --encoding=UTF8 --locale=C
    echo "host all all all trust" >> /data/pg/pg_hba.conf
fi
exec postgres -D /data/pg -c listen_addresses=0.0.0.0 -c unix_socket_directories=/tmp -c jit=off
"#;

/// Makes an image of that tag whose containers have this environment, unless Docker holds it; its reference.
pub(crate) async fn make(docker: &Docker, tag: &str, env: &str) -> Result<String> {
    let package = installed()?;
    let reference = format!("{REPOSITORY}:{tag}");
    let fingerprint = hex::encode(&Sha256::digest(format!("{SCRIPT}{tag}{env}{}", package.display()))[..8]);
    if docker.image_label(&reference, labels::SAMPLE).await.as_deref() == Some(&fingerprint) {
        return Ok(reference);
    }
    progress(&format!("packing {} as {reference}", package.display()));
    let changes = vec![
        r#"ENTRYPOINT ["/start"]"#.to_owned(),
        format!("USER {USER}"),
        "EXPOSE 5432".to_owned(),
        format!("ENV PATH={}/bin:/bin", package.display()),
        format!("ENV VERSION={tag}"),
        format!("LABEL {}={fingerprint}", labels::SAMPLE),
    ];
    let more = (!env.is_empty()).then(|| format!("ENV {env}"));
    docker.import(&reference, changes.into_iter().chain(more).collect(), pack(&package).await?).await?;
    Ok(reference)
}

/// The newest version that is installed.
fn installed() -> Result<PathBuf> {
    let found = std::fs::read_dir(PACKAGES).into_iter().flatten().filter_map(std::result::Result::ok);
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = found.map(|entry| entry.path()).filter(|path| path.join("bin/postgres").exists());
    let newest = newest.max_by_key(|path| version(path));
    newest.ok_or_else(|| format!("no PostgreSQL in {PACKAGES}: run scripts/prove postgres, which installs it").into())
}

/// The archive of everything that is needed.
async fn pack(package: &Path) -> Result<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("root");
    let mut wanted: BTreeSet<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
    wanted.extend(["postgres", "initdb"].map(|name| package.join("bin").join(name)));
    for entry in std::fs::read_dir(package.join("lib"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What compiles queries is as large as all the rest, and switched off.
        if name.ends_with(".so") && !name.starts_with("llvm") {
            wanted.insert(path);
        }
    }
    let programs: Vec<PathBuf> = wanted.iter().cloned().collect();
    wanted.extend(libraries(&programs).await?);
    for path in &wanted {
        let to = root.join(path.strip_prefix("/").unwrap_or(path));
        std::fs::create_dir_all(to.parent().unwrap_or(&root))?;
        std::fs::copy(path, to)?;
    }
    let version = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for folder in [format!("/usr/share/postgresql/{version}"), "/usr/share/zoneinfo".to_owned()] {
        let to = root.join(folder.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap_or(&root))?;
        run(Command::new("cp").arg("-rL").arg(&folder).arg(&to)).await?;
    }
    for folder in ["etc", "tmp", "data"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::write(root.join("etc/passwd"), format!("postgres:x:{USER}:{USER}::/data:/bin/sh\n"))?;
    std::fs::write(root.join("etc/group"), format!("postgres:x:{USER}:\n"))?;
    std::fs::write(root.join("start"), SCRIPT)?;
    archive(&root, &scratch.path().join("image.tar")).await
}

/// Owned by root, but for what the program writes to.
async fn archive(root: &Path, to: &Path) -> Result<Vec<u8>> {
    run(Command::new("chmod").arg("0755").arg(root.join("start"))).await?;
    let owner = |id: u32| [format!("--owner={id}"), format!("--group={id}")];
    let mut first = Command::new("tar");
    first.arg("-cf").arg(to).args(owner(0)).arg("-C").arg(root);
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name();
        if name != "data" && name != "tmp" {
            first.arg(name);
        }
    }
    run(&mut first).await?;
    let mut second = Command::new("tar");
    second.arg("-rf").arg(to).args(owner(USER)).arg("-C").arg(root).args(["data", "tmp"]);
    run(&mut second).await?;
    Ok(std::fs::read(to)?)
}

/// The shared libraries of programs, and what loads them.
async fn libraries(programs: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
    let said = run(Command::new("ldd").args(programs)).await?;
    let path = |line: &str| {
        let word = line.split_once("=> ").map_or(line, |(_, rest)| rest).trim();
        let path = word.split_once(" (").map(|(path, _)| path)?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Ok(said.lines().filter_map(path).collect())
}

/// Runs a program that must end well; what it said.
async fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}
