//! Notes: what is known of a unit that no daemon keeps for us, a small file for each, replaced whole.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use cutover_domain::observed::{DockerId, Phase, Restart};
use cutover_events::{DeploymentId, Digest, LogId, ReleaseId, UnitId, WorkloadId};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::adapters::compose::{Anew, Volumes};
use crate::adapters::runtime::{CreateContainer, RuntimeError, Witness};
use crate::store::files::{make_folder, replace_durably, sync_folder};

/// How a note is called: after its unit.
const ENDING: &str = ".json";
/// How a note ends that is being written.
const HALF: &str = ".new";
/// What is added to the name of one that cannot be read.
const DAMAGED: &str = ".damaged";

/// A unit as noted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    pub(super) id: DockerId,
    pub(super) log: LogId,
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) unit: UnitId,
    pub(super) workload: WorkloadId,
    pub(super) release: ReleaseId,
    pub(super) deployment: DeploymentId,
    pub(super) witness: Witness,
    pub(super) image: String,
    pub(super) phase: Phase,
    pub(super) restart: Restart,
    pub(super) runs: u32,
    /// For a stack.
    pub(super) stack: Option<StackNote>,
}

/// What a unit knows besides that is a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StackNote {
    /// The project of Compose.
    pub(super) project: String,
    /// Where its variables lie sealed.
    pub(super) variables: Digest,
    /// What becomes of its volumes when it goes.
    pub(super) volumes: Volumes,
    /// Which containers are made anew when it is brought up.
    pub(super) anew: Anew,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    log: String,
    name: String,
    full_name: String,
    unit: String,
    workload: String,
    release: String,
    deployment: String,
    position: u64,
    chain: String,
    image: String,
    phase: PhaseText,
    restarts_always: bool,
    runs: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stack: Option<StackText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StackText {
    project: String,
    variables: String,
    volumes_go: bool,
    anew: AnewText,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnewText {
    Changed,
    All,
}

impl StackNote {
    fn text(&self) -> StackText {
        StackText {
            project: self.project.clone(),
            variables: self.variables.to_string(),
            volumes_go: self.volumes == Volumes::Remove,
            anew: match self.anew {
                Anew::Changed => AnewText::Changed,
                Anew::All => AnewText::All,
            },
        }
    }

    fn read(text: StackText) -> Option<Self> {
        let volumes = if text.volumes_go { Volumes::Remove } else { Volumes::Keep };
        let anew = match text.anew {
            AnewText::Changed => Anew::Changed,
            AnewText::All => Anew::All,
        };
        Some(Self { project: text.project, variables: text.variables.parse().ok()?, volumes, anew })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PhaseText {
    Created,
    Running,
    Ended,
}

impl Note {
    /// A unit that was just made.
    pub(super) fn of(log: LogId, id: DockerId, made: &CreateContainer) -> Self {
        Self {
            id,
            log,
            name: made.name.clone(),
            full_name: made.full_name.clone(),
            unit: made.unit,
            workload: made.workload,
            release: made.release,
            deployment: made.deployment,
            witness: made.witness,
            image: made.image.clone(),
            phase: Phase::Created,
            restart: Restart::No,
            runs: 0,
            stack: None,
        }
    }

    fn text(&self) -> Text {
        Text {
            id: hex::encode(self.id.0),
            log: self.log.to_string(),
            name: self.name.clone(),
            full_name: self.full_name.clone(),
            unit: self.unit.to_string(),
            workload: self.workload.to_string(),
            release: self.release.to_string(),
            deployment: self.deployment.to_string(),
            position: self.witness.position,
            chain: self.witness.chain.to_string(),
            image: self.image.clone(),
            phase: match self.phase {
                Phase::Created => PhaseText::Created,
                Phase::Running => PhaseText::Running,
                Phase::Exited | Phase::Restarting | Phase::Removing => PhaseText::Ended,
            },
            restarts_always: self.restart == Restart::Always,
            runs: self.runs,
            stack: self.stack.as_ref().map(StackNote::text),
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text: Text = serde_json::from_slice(bytes).ok()?;
        let mut id = [0; 32];
        hex::decode_to_slice(&text.id, &mut id).ok()?;
        Some(Self {
            id: DockerId(id),
            log: text.log.parse().ok()?,
            name: text.name,
            full_name: text.full_name,
            unit: text.unit.parse().ok()?,
            workload: text.workload.parse().ok()?,
            release: text.release.parse().ok()?,
            deployment: text.deployment.parse().ok()?,
            witness: Witness { position: text.position, chain: text.chain.parse::<Digest>().ok()? },
            image: text.image,
            phase: match text.phase {
                PhaseText::Created => Phase::Created,
                PhaseText::Running => Phase::Running,
                PhaseText::Ended => Phase::Exited,
            },
            restart: if text.restarts_always { Restart::Always } else { Restart::No },
            runs: text.runs,
            stack: match text.stack {
                Some(stack) => Some(StackNote::read(stack)?),
                None => None,
            },
        })
    }
}

impl Note {
    /// The unit runs from here on; a run that goes on is no new one.
    pub(super) fn begin(&mut self) {
        if self.phase != Phase::Running {
            self.phase = Phase::Running;
            self.runs += 1;
        }
    }

    /// What gives a note this policy.
    pub(super) const fn with_restart(restart: Restart) -> fn(&mut Self) {
        match restart {
            Restart::Always => |note| note.restart = Restart::Always,
            Restart::No => |note| note.restart = Restart::No,
        }
    }
}

/// Works on the disk beside the runtime's threads.
///
/// # Errors
/// The engine ends.
pub(super) async fn on_disk<K: Send + 'static, T: Send + 'static>(
    kind: K,
    work: impl FnOnce(&K) -> T + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(move || work(&kind)).await;
    done.map_err(|_| RuntimeError::Unavailable("the engine ends".to_owned()))
}

/// The notes of a folder, in memory and on disk. Reading them never waits for the disk.
#[derive(Debug)]
pub(super) struct Notes {
    folder: PathBuf,
    all: RwLock<BTreeMap<DockerId, Note>>,
    writing: Mutex<()>,
}

impl Notes {
    /// Reads the notes of a folder, which is made when it is missing. A half-written one goes: it was not acknowledged. One
    /// that cannot be read is set aside, and its unit is gone: the protocol brings another one.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let ends = |ending: &str| path.to_string_lossy().ends_with(ending);
            if ends(HALF) {
                absent(std::fs::remove_file(&path))?;
            }
            if !ends(ENDING) {
                continue;
            }
            match Note::read(&std::fs::read(&path)?) {
                Some(note) => drop(all.insert(note.id, note)),
                None => set_aside(&path)?,
            }
        }
        Ok(Self { folder: folder.to_owned(), all: RwLock::new(all), writing: Mutex::new(()) })
    }

    pub(super) fn get(&self, id: DockerId) -> Option<Note> {
        self.all.read().get(&id).cloned()
    }

    pub(super) fn holds(&self, id: DockerId) -> bool {
        self.all.read().contains_key(&id)
    }

    /// Those that are wanted.
    pub(super) fn find(&self, wanted: impl Fn(&Note) -> bool) -> Vec<Note> {
        self.all.read().values().filter(|note| wanted(note)).cloned().collect()
    }

    /// What `change` makes of a note, durable on return; false when there is none. One change at a time.
    pub(super) fn change(&self, id: DockerId, change: impl FnOnce(&mut Note)) -> io::Result<bool> {
        let _writing = self.writing.lock();
        let Some(known) = self.get(id) else { return Ok(false) };
        let mut changed = known.clone();
        change(&mut changed);
        if changed != known {
            self.put(changed)?;
        }
        Ok(true)
    }

    /// The note of a unit, or the one that `make` gives, durable on return.
    pub(super) fn ensure<E: From<io::Error>>(
        &self,
        unit: UnitId,
        make: impl FnOnce() -> Result<Note, E>,
    ) -> Result<Note, E> {
        let _writing = self.writing.lock();
        if let Some(known) = self.find(|note| note.unit == unit).pop() {
            return Ok(known);
        }
        let note = make()?;
        self.put(note.clone())?;
        Ok(note)
    }

    fn put(&self, note: Note) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&note.text()).map_err(io::Error::other)?;
        replace_durably(&self.path(note.unit), &text)?;
        self.all.write().insert(note.id, note);
        Ok(())
    }

    /// Gone for good on return; harmless when it is not there.
    pub(super) fn remove(&self, id: DockerId) -> io::Result<()> {
        let _writing = self.writing.lock();
        let Some(note) = self.get(id) else { return Ok(()) };
        absent(std::fs::remove_file(self.path(note.unit)))?;
        sync_folder(&self.folder)?;
        self.all.write().remove(&id);
        Ok(())
    }

    fn path(&self, unit: UnitId) -> PathBuf {
        self.folder.join(format!("{unit}{ENDING}"))
    }
}

fn set_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(DAMAGED);
    tracing::error!(path = %path.display(), "the note of a unit cannot be read: it is set aside, and another one made");
    std::fs::rename(path, aside)
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
