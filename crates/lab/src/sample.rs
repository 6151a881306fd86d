//! The sample programs: compiled once to static binaries, packed into images that differ by their environment.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};

use crate::docker::Docker;
use crate::{Result, labels};

/// The sources, parts of this program so that they can never be different ones.
const APP: &str = concat!(include_str!("../sample/app.rs"), include_str!("../sample/database.rs"));
const CALLER: &str = include_str!("../sample/caller.rs");
/// Port inside the container.
pub(crate) const PORT: u16 = 8080;
/// Repository of the images that are made.
const REPOSITORY: &str = "cutover-lab/sample";

/// One version of the sample as an image.
pub(crate) struct Version {
    /// Tag of the image and answer of `/version`.
    pub name: String,
    /// More environment, `NAME=VALUE`; how it misbehaves.
    pub env: Vec<String>,
    /// Which program.
    pub source: &'static str,
    /// The image's own HEALTHCHECK, as a Dockerfile says it.
    pub healthcheck: Option<&'static str>,
}

impl Version {
    /// A version that behaves.
    pub(crate) fn good(name: &str) -> Self {
        Self { name: name.into(), env: Vec::new(), source: APP, healthcheck: None }
    }

    /// A version that misbehaves as the environment says.
    pub(crate) fn with(name: &str, env: &[&str]) -> Self {
        Self { env: env.iter().map(|pair| (*pair).into()).collect(), ..Self::good(name) }
    }

    /// The program that calls others by their names.
    pub(crate) fn caller() -> Self {
        Self { source: CALLER, ..Self::good("caller") }
    }

    /// Its reference.
    pub(crate) fn reference(&self) -> String {
        format!("{REPOSITORY}:{}", self.name)
    }

    /// Makes the image, unless Docker holds the same one already; returns its reference.
    pub(crate) async fn make(&self, docker: &Docker) -> Result<String> {
        let reference = self.reference();
        let fingerprint = self.fingerprint();
        if docker.image_label(&reference, labels::SAMPLE).await.as_deref() == Some(&fingerprint) {
            return Ok(reference);
        }
        let program = std::fs::read(compile(self.source).await?)?;
        let mut changes = vec![
            r#"ENTRYPOINT ["/app"]"#.to_owned(),
            format!("EXPOSE {PORT}"),
            format!("ENV VERSION={}", self.name),
            format!("LABEL {}={fingerprint}", labels::SAMPLE),
        ];
        changes.extend(self.env.iter().map(|pair| format!("ENV {pair}")));
        changes.extend(self.healthcheck.map(|check| format!("HEALTHCHECK {check}")));
        docker.import(&reference, changes, tar("app", &program)).await?;
        Ok(reference)
    }

    /// Writes what it is built from into a folder: the program, and a Dockerfile with these lines behind it.
    pub(crate) async fn context(&self, folder: &Path, lines: &[&str]) -> Result {
        std::fs::create_dir_all(folder)?;
        let beside = beside(&folder.join("app"));
        std::fs::copy(compile(self.source).await?, &beside)?;
        std::fs::rename(beside, folder.join("app"))?;
        let mut file = format!("FROM scratch\nCOPY app /app\nENV VERSION={}\n", self.name);
        for pair in &self.env {
            file.push_str(&format!("ENV {pair}\n"));
        }
        file.push_str(&format!("EXPOSE {PORT}\nENTRYPOINT [\"/app\"]\n"));
        lines.iter().for_each(|line| file.extend([*line, "\n"]));
        replace(&folder.join("Dockerfile"), file.as_bytes())
    }

    /// What its image carries as a label.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.source);
        hash.update(&self.name);
        for pair in &self.env {
            hash.update([0]);
            hash.update(pair);
        }
        hash.update(self.healthcheck.unwrap_or_default());
        hex::encode(&hash.finalize()[..8])
    }
}

/// Writes a file beside its folder and puts it in place: what a deployment reads meanwhile is the one before or the new
/// one, whole.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result {
    let beside = beside(path);
    std::fs::write(&beside, content)?;
    std::fs::rename(beside, path)?;
    Ok(())
}

/// A place for what comes into a folder, outside of it: a deployment reads all that is in the folder.
fn beside(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).with_extension("new")
}

/// The static program, compiled when this source has not been compiled here before.
async fn compile(source: &str) -> Result<PathBuf> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder)?;
    let name = hex::encode(&Sha256::digest(source)[..8]);
    let program = folder.join(format!("app-{name}"));
    if program.exists() {
        return Ok(program);
    }
    let file = folder.join(format!("app-{name}.rs"));
    std::fs::write(&file, source)?;
    let made = folder.join(format!("app-{name}.{}", std::process::id()));
    let rustc = tokio::process::Command::new("rustc")
        .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static"])
        .args(["-C", "panic=abort", "-C", "strip=symbols", "-o"])
        .arg(&made)
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("rustc does not run: {error}; it comes with Rust"))?;
    if !rustc.status.success() {
        return Err(format!("rustc does not compile the sample: {}", String::from_utf8_lossy(&rustc.stderr)).into());
    }
    std::fs::rename(&made, &program)?;
    Ok(program)
}

/// `target/lab`, beside the profile that this program was built in.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).ok_or("this program lies in no folder")?;
    Ok(target.join("lab"))
}

/// A tar archive (ustar) of one executable file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_read_by_tar() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.tar"), tar("app", b"hello")).unwrap();
        let tar = std::process::Command::new("tar").args(["-xf", "a.tar"]).current_dir(folder.path()).status().unwrap();
        assert!(tar.success());
        assert_eq!(std::fs::read(folder.path().join("app")).unwrap(), b"hello");
    }

    #[test]
    fn versions_differ_by_name_and_by_environment() {
        let prints = [Version::good("v1"), Version::good("v2"), Version::with("v1", &["STATUS_500=1"])]
            .map(|version| version.fingerprint());
        assert_ne!(prints[0], prints[1]);
        assert_ne!(prints[0], prints[2]);
    }
}
