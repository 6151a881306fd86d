//! Release folders as units: what the proxy serves by itself. The folder is the image, made once for a release; a unit of
//! it is a note that says whether it is started, so a rollback has nothing to copy.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, ImageHealth, Phase, Restart};
use cutover_events::plan::SITE;
use cutover_events::workload::Limits;
use cutover_events::{LogId, WorkloadId};

use super::Kind;
use super::notes::{Note, Notes};
use crate::adapters::runtime::{Container, CreateContainer, RuntimeError};
use crate::clock::Clock;

/// Where the notes lie, below `sites/`.
const NOTES: &str = ".units";
/// What tells that a release folder is whole.
const MANIFEST: &str = "manifest.json";
/// Exit code of a unit that was stopped, as of a program that was asked to end (128 + SIGTERM).
const STOPPED: i32 = 143;
/// Exit code of a unit whose folder is gone or damaged.
const FOLDER_GONE: i32 = 1;

/// The release folders of a data folder, and the units of them.
#[derive(Clone, Debug)]
pub struct ReleaseFolders {
    root: PathBuf,
    notes: Arc<Notes>,
    clock: Clock,
}

impl ReleaseFolders {
    /// Those below `sites/` of a data folder.
    ///
    /// # Errors
    /// The notes cannot be read.
    pub fn open(data: &Path, clock: Clock) -> io::Result<Self> {
        let root = data.join("sites");
        let notes = Arc::new(Notes::open(&root.join(NOTES))?);
        Ok(Self { root, notes, clock })
    }

    /// Whether a unit is of this image.
    #[must_use]
    pub fn uses(&self, image: &str) -> bool {
        !self.notes.find(|note| note.image == image).is_empty()
    }

    fn is_whole(&self, image: &str) -> bool {
        folder_of(&self.root, image).is_some_and(|folder| folder.join(MANIFEST).is_file())
    }

    fn seen(&self, note: &Note) -> Container {
        let whole = self.is_whole(&note.image);
        let phase = if whole { note.phase } else { Phase::Exited };
        let runs = phase == Phase::Running;
        // It counts as having run for ever: nothing of it comes up later, and nothing restarts it.
        let lasted = if runs { u64::MAX } else { 0 };
        Container {
            id: note.id,
            name: note.name.clone(),
            full_name: note.full_name.clone(),
            unit: note.unit,
            workload: note.workload,
            release: note.release,
            deployment: note.deployment,
            witness: Some(note.witness),
            phase,
            paused: false,
            connected: true,
            limits: Limits::default(),
            restart: note.restart,
            restarts: 0,
            exit_code: match (phase, whole) {
                (Phase::Exited, true) => STOPPED,
                (Phase::Exited, false) => FOLDER_GONE,
                _ => 0,
            },
            oom_killed: false,
            started_at: if note.runs == 0 { String::new() } else { format!("run {}", note.runs) },
            up_ms: lasted,
            age_ms: lasted,
            health: ImageHealth::None,
            address: None,
            folder: folder_of(&self.root, &note.image).filter(|_| runs),
            mounts: Vec::new(),
            ports: Vec::new(),
            services: Vec::new(),
        }
    }

    /// Works on the disk beside the runtime's threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, RuntimeError> {
        super::notes::on_disk(self.clone(), work).await
    }

    /// Changes the note of a unit; false when the unit is gone.
    async fn change(&self, id: DockerId, change: fn(&mut Note)) -> Result<bool, RuntimeError> {
        self.on_disk(move |folders| folders.notes.change(id, change).map_err(unwritable)).await?
    }

    async fn must_change(&self, id: DockerId, change: fn(&mut Note)) -> Result<(), RuntimeError> {
        match self.change(id, change).await? {
            true => Ok(()),
            false => Err(gone()),
        }
    }
}

#[async_trait]
impl Kind for ReleaseFolders {
    fn makes(&self, image: &str) -> bool {
        image.starts_with(SITE)
    }

    fn holds(&self, id: DockerId) -> bool {
        self.notes.holds(id)
    }

    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError> {
        let asked = |note: &Note| note.log == log && workload.is_none_or(|workload| workload == note.workload);
        let notes = self.notes.find(asked);
        if notes.is_empty() {
            return Ok(Vec::new());
        }
        self.on_disk(move |folders| notes.iter().map(|note| folders.seen(note)).collect()).await
    }

    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError> {
        let Some(note) = self.notes.get(id) else { return Ok(None) };
        self.on_disk(move |folders| Some(folders.seen(&note))).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        let image = image.to_owned();
        self.on_disk(move |folders| folders.is_whole(&image)).await
    }

    fn folder(&self, image: &str) -> Option<PathBuf> {
        folder_of(&self.root, image)
    }

    async fn create(&self, log: LogId, unit: &CreateContainer) -> Result<DockerId, RuntimeError> {
        let (unit, random) = (unit.clone(), self.clock.secret::<32>());
        self.on_disk(move |folders| {
            let made = || {
                if !folders.is_whole(&unit.image) {
                    return Err(Refused(RuntimeError::ImageMissing(format!(
                        "the release folder {} is not here",
                        unit.image
                    ))));
                }
                Ok(Note::of(log, DockerId(random?), &unit))
            };
            let note = folders.notes.ensure(unit.unit, made).map_err(|refused| refused.0)?;
            let same = note.log == log && note.name == unit.name && note.image == unit.image;
            if same { Ok(note.id) } else { Err(RuntimeError::NameTaken(unit.name.clone())) }
        })
        .await?
    }

    async fn start(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.must_change(id, Note::begin).await
    }

    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        self.must_change(id, Note::with_restart(restart)).await
    }

    async fn stop(&self, id: DockerId, _grace: Duration) -> Result<(), RuntimeError> {
        self.change(id, |note| note.phase = Phase::Exited).await.map(drop)
    }

    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.on_disk(move |folders| folders.notes.remove(id).map_err(unwritable)).await?
    }

    async fn output(&self, id: DockerId, _bytes: usize) -> Result<String, RuntimeError> {
        if self.holds(id) { Ok(String::new()) } else { Err(gone()) }
    }
}

/// The release folder of an image; `None` when it is no image of a site.
fn folder_of(root: &Path, image: &str) -> Option<PathBuf> {
    let (workload, release) = image.strip_prefix(SITE)?.split_once('/')?;
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain(workload) && plain(release)).then(|| root.join(workload).join(release))
}

/// Why no unit was made.
struct Refused(RuntimeError);

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(unwritable(error))
    }
}

fn gone() -> RuntimeError {
    RuntimeError::NotFound("no such release folder".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "as a function for map_err")]
fn unwritable(error: io::Error) -> RuntimeError {
    RuntimeError::Unavailable(format!("the notes of release folders cannot be written: {error}"))
}
