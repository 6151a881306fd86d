//! Compose as a program of this host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::command::{self, Run, Surroundings};
use super::engine::Engine;
use super::lock::{self, Lock};
use super::{
    Anew, Compose, ComposeError, Holder, Program, Project, ProjectVolume, Row, Volumes, folder, look, program,
};

/// How long a command of a dead engine is waited for: past that it is told, and tried again later.
const WAIT_FOR_ANOTHER: Duration = Duration::from_secs(10);
/// Reading a stack takes a second on a slow host.
const JUDGE: Duration = Duration::from_secs(30);
/// What follows the name of a project whose files are only judged.
const JUDGED: &str = ".judged";

/// Where Compose and its files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeConfig {
    /// The folder below which each project has one: `compose` in the data folder.
    pub root: PathBuf,
    /// The socket of Docker.
    pub socket: PathBuf,
    /// The `PATH` of the commands.
    pub path: String,
    /// The `HOME` of the commands: credentials for registries are looked for there.
    pub home: PathBuf,
    /// The program, when it is not looked for.
    pub program: Option<PathBuf>,
}

/// Compose on this host.
#[derive(Debug)]
pub struct RealCompose {
    root: PathBuf,
    around: Surroundings,
    engine: Engine,
    /// The program, when it is not looked for.
    given: Option<PathBuf>,
    /// Looked for when it is first needed: a program in Python takes a second to say its version.
    program: OnceCell<Program>,
}

impl RealCompose {
    /// The Compose of this host, whichever there is.
    #[must_use]
    pub fn new(config: &ComposeConfig) -> Self {
        let docker = format!("unix://{}", config.socket.display());
        let around = Surroundings { path: config.path.clone(), home: config.home.clone(), docker };
        let engine = Engine::new(config.socket.clone());
        Self { root: config.root.clone(), around, engine, given: config.program.clone(), program: OnceCell::new() }
    }

    async fn find(&self) -> Result<Program, ComposeError> {
        let found = match &self.given {
            Some(path) => program::ask(path, &self.around.path).await.map(|(program, _)| program),
            None => program::find(&self.around.path, &self.around.home).await,
        };
        let found = found.ok_or(ComposeError::NoProgram)?;
        tracing::info!(path = %found.path.display(), version = found.version, "Compose was found");
        Ok(found)
    }

    async fn ready(&self, project: &Project) -> Result<(&Program, PathBuf), ComposeError> {
        let program = self.program.get_or_try_init(|| self.find()).await?;
        command::checked(project)?;
        Ok((program, folder::of(&self.root, &project.name)?))
    }

    async fn locked(&self, name: &str) -> Result<Lock, ComposeError> {
        lock::take(&self.root, name, WAIT_FOR_ANOTHER).await
    }

    async fn run(&self, run: &Run<'_>, lock: &mut Lock, cancel: &CancellationToken) -> Result<(), ComposeError> {
        let held = lock.inherit().map_err(|error| ComposeError::Unavailable(error.to_string()))?;
        let sign = |pid| {
            if let Err(error) = lock.sign(pid) {
                tracing::debug!(%error, "the lock of a project has no number in it");
            }
        };
        command::run(run, &self.around, held, sign, cancel).await
    }
}

#[async_trait]
impl Compose for RealCompose {
    async fn program(&self) -> Option<&Program> {
        self.program.get_or_try_init(|| self.find()).await.ok()
    }

    async fn judge(&self, project: &Project) -> Result<(), ComposeError> {
        let (program, _) = self.ready(project).await?;
        // Apart from what is brought up from: nothing of that is touched, not even by an engine that dies here.
        let judged = self.root.join(format!("{}{JUDGED}", project.name));
        let mut lock = lock::take(&self.root, &format!("{}{JUDGED}", project.name), WAIT_FOR_ANOTHER).await?;
        put(&judged, project).await?;
        let run =
            Run { program, project, folder: &judged, what: "config", arguments: &["config", "-q"], deadline: JUDGE };
        let judgement = self.run(&run, &mut lock, &CancellationToken::new()).await;
        take_away(&judged, Volumes::Remove).await?;
        released(lock);
        judgement.map_err(|error| match error {
            ComposeError::Failed { code, .. } => ComposeError::Refused(code),
            other => other,
        })
    }

    async fn up(&self, project: &Project, deadline: Duration, cancel: &CancellationToken) -> Result<(), ComposeError> {
        let (program, folder) = self.ready(project).await?;
        let mut lock = self.locked(&project.name).await?;
        put(&folder, project).await?;
        let arguments: &[&str] = match project.anew {
            Anew::Changed => &["up", "--detach", "--remove-orphans"],
            Anew::All => &["up", "--detach", "--remove-orphans", "--force-recreate"],
        };
        let run = Run { program, project, folder: &folder, what: "up", arguments, deadline };
        self.run(&run, &mut lock, cancel).await
    }

    async fn rows(&self, name: &str) -> Result<Vec<Row>, ComposeError> {
        look::rows(&self.engine, name, &folder::of(&self.root, name)?).await
    }

    async fn holders(&self) -> Result<Vec<Holder>, ComposeError> {
        look::holders(&self.engine).await
    }

    async fn volumes(&self, name: &str) -> Result<Vec<ProjectVolume>, ComposeError> {
        folder::of(&self.root, name)?;
        look::volumes(&self.engine, name).await
    }

    async fn down(&self, project: &Project, volumes: Volumes, deadline: Duration) -> Result<(), ComposeError> {
        let (program, folder) = self.ready(project).await?;
        let mut lock = self.locked(&project.name).await?;
        put(&folder, project).await?;
        let arguments: &[&str] = match volumes {
            Volumes::Remove => &["down", "--remove-orphans", "--volumes"],
            Volumes::Keep => &["down", "--remove-orphans"],
        };
        let run = Run { program, project, folder: &folder, what: "down", arguments, deadline };
        self.run(&run, &mut lock, &CancellationToken::new()).await
    }

    async fn forget(&self, name: &str, volumes: Volumes) -> Result<(), ComposeError> {
        let folder = folder::of(&self.root, name)?;
        let lock = self.locked(name).await?;
        take_away(&folder, volumes).await?;
        released(lock);
        Ok(())
    }
}

/// The lock's own file goes: the project has nothing left. One that stays is no harm.
fn released(lock: Lock) {
    if let Err(error) = lock.remove() {
        tracing::debug!(%error, "the lock of a project that is gone stays");
    }
}

/// Disks are slow: the files are written beside the tasks of the engine.
async fn put(folder: &Path, project: &Project) -> Result<(), ComposeError> {
    let (folder, project) = (folder.to_owned(), project.clone());
    blocking(move || folder::write(&folder, &project)).await
}

async fn take_away(folder: &Path, volumes: Volumes) -> Result<(), ComposeError> {
    let folder = folder.to_owned();
    blocking(move || folder::remove(&folder, volumes)).await
}

async fn blocking(work: impl FnOnce() -> Result<(), ComposeError> + Send + 'static) -> Result<(), ComposeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ComposeError::Unavailable(format!("its files cannot be written: {error}"))))
}
