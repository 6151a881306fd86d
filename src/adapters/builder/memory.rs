//! The twin of the builder: images are made in memory, of Dockerfiles whose steps say what they do.
//!
//! It knows `RUN ["/shell", "print", TEXT]`, `exit`, `hang` and `secret`; every other instruction does nothing. That is as
//! much as callers can tell from Docker: progress, failure, cancellation, reuse, and which images there are.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use cutover_events::{Digest, LogId};
use futures_util::TryStreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use cutover_domain::recipe::shown;

use super::{Build, BuildError, Builder, BuilderKind, Built, BuiltImage, CacheUse, Progress, key};
use crate::adapters::source::context::{ContextLimits, unpack};

/// What is kept of an image.
#[derive(Clone, Debug)]
struct Made {
    image: BuiltImage,
    log: LogId,
    key: Digest,
}

/// Who is told the id of an image.
type Told = Box<dyn Fn(&str) + Send + Sync>;

/// A builder in memory.
#[derive(Default)]
pub struct MemoryBuilder {
    made: Mutex<Vec<Made>>,
    used: Mutex<BTreeSet<String>>,
    /// Who is told of every image that is made.
    told: Option<Told>,
}

impl fmt::Debug for MemoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuilder").field("made", &self.made).field("used", &self.used).finish_non_exhaustive()
    }
}

impl MemoryBuilder {
    /// Tells the id of every image that is made: a world in memory has it from then on.
    #[must_use]
    pub fn telling(told: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { told: Some(Box::new(told)), ..Self::default() }
    }

    /// A container uses an image, and keeps it.
    pub fn hold(&self, image: &str) {
        self.used.lock().insert(image.to_owned());
    }

    /// How many images there are, of all logs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.made.lock().len()
    }

    fn find(&self, log: LogId, key: Digest) -> Option<String> {
        let made = self.made.lock();
        let same = made.iter().filter(|made| made.log == log && made.key == key);
        same.max_by_key(|made| made.image.deployment).map(|made| made.image.id.clone())
    }
}

#[async_trait]
impl Builder for MemoryBuilder {
    async fn build(
        &self,
        build: &Build,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let context = build.context()?;
        let key = key(build, context);
        if build.kind == BuilderKind::Classic && !build.secrets.is_empty() {
            return Err(BuildError::NoSecrets);
        }
        if let Some(image) = self.find(build.log, key).filter(|_| !build.fresh) {
            progress.send(Progress::Reused { image: image.clone() }).await.ok();
            return Ok(Built { image, key, reused: true });
        }
        let steps = steps_of(build).await?;
        let running = run(build, &steps, progress);
        tokio::select! {
            done = running => done?,
            () = stop.cancelled() => return Err(BuildError::Cancelled),
            () = tokio::time::sleep(build.deadline) => return Err(BuildError::Late(build.deadline)),
        }
        let mut made = self.made.lock();
        let seed = format!("{key} {} {}", build.deployment, made.len());
        let id = format!("sha256:{}", Digest::of(seed.as_bytes()));
        let size = context.bytes();
        let image = BuiltImage { id: id.clone(), workload: build.workload, deployment: build.deployment, size };
        made.push(Made { image, log: build.log, key });
        self.told.iter().for_each(|told| told(&id));
        Ok(Built { image: id, key, reused: false })
    }

    async fn run(
        &self,
        build: &Build,
        into: &Path,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<PathBuf, BuildError> {
        tokio::select! {
            made = run_command(build, into, progress) => made,
            () = stop.cancelled() => Err(BuildError::Cancelled),
            () = tokio::time::sleep(build.deadline) => Err(BuildError::Late(build.deadline)),
        }
    }

    async fn images(&self, log: LogId) -> Result<Vec<BuiltImage>, BuildError> {
        Ok(self.made.lock().iter().filter(|made| made.log == log).map(|made| made.image.clone()).collect())
    }

    async fn remove(&self, log: LogId, image: &BuiltImage) -> Result<bool, BuildError> {
        if self.used.lock().contains(&image.id) {
            return Ok(false);
        }
        self.made.lock().retain(|made| made.log != log || made.image.id != image.id);
        Ok(true)
    }

    async fn cache(&self) -> Result<CacheUse, BuildError> {
        Ok(CacheUse::default())
    }

    async fn prune_cache(&self, _unused: Duration) -> Result<u64, BuildError> {
        Ok(0)
    }
}

/// The same program as a command: `site FOLDER` copies the files at the top into a folder.
async fn run_command(build: &Build, into: &Path, progress: &mpsc::Sender<Progress>) -> Result<PathBuf, BuildError> {
    let command = build.command()?;
    let unreadable = |error: std::io::Error| BuildError::Context(error.to_string());
    let archive = build.context()?.stream().try_collect::<Vec<_>>().await.map_err(unreadable)?.concat();
    let unpacked = unpack(archive.as_slice(), into, ContextLimits::default());
    unpacked.map_err(|error| BuildError::Context(error.to_string()))?;
    let folder = into.join("site");
    let argument = command.command.get(2).cloned().unwrap_or_default();
    if command.command.get(1).map(String::as_str) == Some("site") {
        copy_top(&folder, &folder.join(&argument)).map_err(unreadable)?;
    }
    let text = format!("{} (in {})", shown(&command.command), command.reference);
    progress.send(Progress::Begun { step: 1, text: text.clone() }).await.ok();
    said(build, (1, &text, &command.command), progress).await?;
    progress.send(Progress::Ended { step: 1 }).await.ok();
    let made = folder.join(&command.output);
    let missing = || BuildError::Refused(format!("the command has made no folder {}", command.output));
    if made.is_dir() { Ok(made) } else { Err(missing()) }
}

fn copy_top(from: &Path, into: &Path) -> std::io::Result<()> {
    let files: Vec<_> = std::fs::read_dir(from)?.collect::<Result<_, _>>()?;
    std::fs::create_dir_all(into)?;
    for file in files.iter().filter(|file| file.path().is_file()) {
        std::fs::copy(file.path(), into.join(file.file_name()))?;
    }
    Ok(())
}

/// The instructions of the Dockerfile, up to the end of the stage that is built.
async fn steps_of(build: &Build) -> Result<Vec<String>, BuildError> {
    let unreadable = |error: std::io::Error| BuildError::Context(error.to_string());
    let context = build.context()?;
    let archive = context.stream().try_collect::<Vec<_>>().await.map_err(unreadable)?.concat();
    let mut archive = tar::Archive::new(archive.as_slice());
    let mut text = String::new();
    for entry in archive.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        if *entry.path_bytes() == *context.dockerfile().bytes() {
            entry.read_to_string(&mut text).map_err(unreadable)?;
        }
    }
    let all: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if !all.iter().any(|line| line.starts_with("FROM ")) {
        return Err(BuildError::Refused("Docker refuses: the Dockerfile has no FROM".to_owned()));
    }
    if build.target.is_empty() {
        return Ok(all);
    }
    let stage = format!(" as {}", build.target).to_lowercase();
    let begin = all.iter().position(|line| line.starts_with("FROM ") && line.to_lowercase().ends_with(&stage));
    let begin =
        begin.ok_or_else(|| BuildError::Refused(format!("target stage {} could not be found", build.target)))?;
    let length = all[begin + 1..].iter().position(|line| line.starts_with("FROM ")).unwrap_or(all.len() - begin - 1);
    Ok(all[begin..=begin + length].to_vec())
}

async fn run(build: &Build, steps: &[String], progress: &mpsc::Sender<Progress>) -> Result<(), BuildError> {
    for (n, text) in steps.iter().enumerate() {
        let step = u32::try_from(n + 1).unwrap_or(u32::MAX);
        progress.send(Progress::Begun { step, text: text.clone() }).await.ok();
        said(build, (step, text, &words_of(text)), progress).await?;
        progress.send(Progress::Ended { step }).await.ok();
    }
    Ok(())
}

/// What the program says to these words.
async fn said(
    build: &Build,
    (step, text, words): (u32, &str, &[String]),
    progress: &mpsc::Sender<Progress>,
) -> Result<(), BuildError> {
    let failed = |why: String, last: Vec<String>| BuildError::Step { step: text.to_owned(), why, last };
    let argument = words.get(2).cloned().unwrap_or_default();
    match words.get(1).map(String::as_str) {
        Some("print") => {
            progress.send(Progress::Line { step, text: argument }).await.ok();
        }
        Some("exit") => {
            let why = format!("exit code: {argument}");
            progress.send(Progress::Line { step, text: "going to fail".to_owned() }).await.ok();
            progress.send(Progress::Failed { step, why: why.clone() }).await.ok();
            return Err(failed(why, vec!["going to fail".to_owned()]));
        }
        Some("hang") => {
            progress.send(Progress::Line { step, text: "hanging".to_owned() }).await.ok();
            std::future::pending().await
        }
        Some("arg") => {
            let value = build.args.get(&argument).cloned().unwrap_or_default();
            progress.send(Progress::Line { step, text: format!("{argument} is {value}") }).await.ok();
        }
        Some("secret") => {
            let length = build.secrets.iter().find(|secret| secret.id == argument).map(|secret| secret.value.len());
            let length = length.ok_or_else(|| failed(format!("secret {argument}: not found"), Vec::new()))?;
            let text = format!("a secret of {length} bytes");
            progress.send(Progress::Line { step, text }).await.ok();
        }
        _ => {}
    }
    Ok(())
}

/// The words of `RUN [..., "/shell", "print", "x"]`; none for other instructions.
fn words_of(step: &str) -> Vec<String> {
    let list = step.strip_prefix("RUN ").and_then(|run| run.find('[').map(|at| &run[at..]));
    list.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
}
