//! Stacks as units: what Compose brings up as a whole. The judged set of files is the image; a unit of it is a note with the
//! project that it stands for. Two notes may stand for one project, one of them not started: what goes then is a note only,
//! because the project is that of its successor.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, ImageHealth, Phase, Restart};
use cutover_events::plan::STACK;
use cutover_events::workload::Limits;
use cutover_events::{LogId, WorkloadId};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::Kind;
use super::notes::{Note, Notes, StackNote};
use crate::adapters::compose::{
    Anew, ComposeError, DraftError, Healthy, Project, Row, Stack, Stacks, State, Volumes, beside,
};
use crate::adapters::runtime::{Container, CreateContainer, Like, Renewal, RuntimeError, Service};
use crate::clock::Clock;

/// Where the notes lie, below `compose/`; no project begins with a point.
const NOTES: &str = ".units";
/// How long a stack may take to come up: images are pulled and built meanwhile. Below what its plan gives it, so that
/// Compose is ended first.
const UP: Duration = Duration::from_secs(20 * 60);
/// How long a stack may take to go down: services have ten seconds each to end, or what their files say.
const DOWN: Duration = Duration::from_secs(10 * 60);
/// Exit code of a unit that was taken down, as of a program that was asked to end (128 + SIGTERM).
const STOPPED: i32 = 143;
/// Exit code of a unit with a service that is not there, or that was never started.
const NOT_THERE: i32 = 1;

/// The stacks of a data folder, and the units of them.
#[derive(Clone)]
pub struct StackUnits {
    stacks: Arc<Stacks>,
    notes: Arc<Notes>,
    clock: Clock,
    /// Since when units have been seen running, `CLOCK_MONOTONIC`, ms.
    since: Arc<Mutex<BTreeMap<DockerId, u64>>>,
    /// Why units did not come up.
    failed: Arc<Mutex<BTreeMap<DockerId, String>>>,
}

impl std::fmt::Debug for StackUnits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StackUnits").field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl StackUnits {
    /// Those below `compose/` of a data folder.
    ///
    /// # Errors
    /// The notes cannot be read.
    pub fn open(data: &Path, stacks: Arc<Stacks>, clock: Clock) -> io::Result<Self> {
        let notes = Arc::new(Notes::open(&data.join("compose").join(NOTES))?);
        Ok(Self { stacks, notes, clock, since: Arc::default(), failed: Arc::default() })
    }

    /// What they are made of.
    #[must_use]
    pub fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// Whether a unit is of this image.
    #[must_use]
    pub fn uses(&self, image: &str) -> bool {
        !self.notes.find(|note| note.image == image).is_empty()
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
        self.on_disk(move |units| units.notes.change(id, change).map_err(unwritable)).await?
    }

    async fn must_change(&self, id: DockerId, change: fn(&mut Note)) -> Result<(), RuntimeError> {
        match self.change(id, change).await? {
            true => Ok(()),
            false => Err(gone()),
        }
    }

    /// The stack of a unit, and what Compose is given for it.
    async fn project(&self, note: &Note) -> Result<(Arc<Stack>, Project), RuntimeError> {
        let note = note.clone();
        self.on_disk(move |units| {
            let unreadable = RuntimeError::Refused;
            let stack = units.stacks.read(note.workload, &note.image).map_err(unreadable)?;
            let sealed = note.stack.as_ref().map(|stack| stack.variables).ok_or_else(gone)?;
            let text = units.stacks.vault().unseal(note.workload, sealed).map_err(unreadable)?;
            let variables: BTreeMap<String, String> = serde_json::from_str(&text)
                .map_err(|_| RuntimeError::Refused("the variables of the stack are damaged".to_owned()))?;
            let project = stack.project(&variables, note.stack.as_ref().map_or(Anew::Changed, |stack| stack.anew));
            Ok((stack, project))
        })
        .await?
    }

    /// Whether another unit stands for the same project and is not taken down.
    fn has_successor(&self, note: &Note) -> bool {
        let lives = |other: &Note| matches!(other.phase, Phase::Created | Phase::Running);
        let same = |other: &Note| other.log == note.log && other.unit != note.unit && project(other) == project(note);
        !self.notes.find(|other| same(other) && lives(other)).is_empty()
    }

    /// The container that people's programs run in, of a unit with a single service: the first of it that runs.
    pub(super) async fn only_container(&self, id: DockerId) -> Result<DockerId, RuntimeError> {
        let row = self.only(&self.notes.get(id).ok_or_else(gone)?).await?;
        let runs = row.containers.iter().find(|container| container.runs).map(|container| container.id);
        runs.ok_or_else(|| RuntimeError::Refused(format!("no container of the service {} runs", row.service)))
    }

    /// What a container of its own is made like, of a stack with a single service that is brought up.
    pub(super) async fn only_like(&self, log: LogId, of: &CreateContainer) -> Result<Like, RuntimeError> {
        let (workload, image) = (of.workload, of.image.clone());
        let is_up = |note: &Note| note.phase == Phase::Running && note.log == log && note.workload == workload;
        let note = self.notes.find(|note| is_up(note) && note.image == image).pop().ok_or_else(gone)?;
        let row = self.only(&note).await?;
        let container = row.containers.iter().find(|one| one.runs).or(row.containers.first());
        let container = container.map(|one| one.id).ok_or_else(gone)?;
        Ok(Like { container, labels: beside(project(&note), &row.service) })
    }

    /// The service of a stack that has one.
    async fn only(&self, note: &Note) -> Result<Row, RuntimeError> {
        let mut rows = self.rows(project(note)).await?;
        match (rows.pop(), rows.as_slice()) {
            (Some(only), []) => Ok(only),
            (None, _) => Err(RuntimeError::Refused("no container of the stack is there".to_owned())),
            (Some(last), others) => {
                let names: Vec<_> = others.iter().chain([&last]).map(|row| row.service.as_str()).collect();
                Err(RuntimeError::Refused(format!("the stack has several services: {}", names.join(", "))))
            }
        }
    }

    async fn rows(&self, project: &str) -> Result<Vec<Row>, RuntimeError> {
        self.stacks.compose().rows(project).await.map_err(|error| unavailable(&error))
    }

    /// The units of some notes. Each project is looked at once.
    async fn look(&self, notes: Vec<Note>) -> Result<Vec<Container>, RuntimeError> {
        let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for name in notes.iter().map(project).collect::<BTreeSet<_>>() {
            rows.insert(name.to_owned(), self.rows(name).await?);
        }
        self.on_disk(move |units| {
            let of = |note: &Note| rows.get(project(note)).map_or(&[][..], Vec::as_slice);
            notes.iter().map(|note| units.seen(note, of(note))).collect()
        })
        .await
    }

    fn seen(&self, note: &Note, rows: &[Row]) -> Container {
        // One whose files cannot be read any more is still as its containers are.
        let stack = self.stacks.read(note.workload, &note.image).ok();
        let all = || rows.iter().map(|row| row.service.clone()).collect();
        let expected: BTreeSet<String> = stack.map_or_else(all, |stack| stack.services.clone());
        let (phase, exit_code) = match note.phase {
            Phase::Running => running(&expected, rows),
            Phase::Created => (Phase::Created, 0),
            Phase::Exited | Phase::Restarting | Phase::Removing => (Phase::Exited, STOPPED),
        };
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
            exit_code,
            oom_killed: false,
            started_at: if note.runs == 0 { String::new() } else { format!("run {}", note.runs) },
            up_ms: self.up_ms(note.id, phase),
            // Services are started again by Docker as their files say, which is no new run of the stack.
            age_ms: if phase == Phase::Running { u64::MAX } else { 0 },
            health: health(rows),
            address: None,
            folder: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            services: services(&expected, rows),
        }
    }

    /// How long it has been seen running, ms.
    fn up_ms(&self, id: DockerId, phase: Phase) -> u64 {
        let (now, mut since) = (self.clock.mono_ms(), self.since.lock());
        if phase != Phase::Running {
            since.remove(&id);
            return 0;
        }
        now.saturating_sub(*since.entry(id).or_insert(now)) + 1
    }

    async fn up(&self, note: &Note) -> Result<(), RuntimeError> {
        let (stack, project) = self.project(note).await?;
        self.stacks.is_ours(&stack).await.map_err(|error| match error {
            DraftError::Refused(why) => RuntimeError::Refused(why),
            DraftError::Unavailable(why) => RuntimeError::Unavailable(why),
        })?;
        let done = self.stacks.compose().up(&project, UP, &CancellationToken::new()).await;
        match done {
            // What ends at once is told by its name; what ends later is seen.
            Ok(()) => match culprits(&stack.services, &self.rows(&stack.name).await?) {
                all if all.is_empty() => Ok(()),
                all => Err(RuntimeError::Refused(all.join(", "))),
            },
            Err(ComposeError::Failed { .. } | ComposeError::TimedOut { .. }) => {
                let rows = self.rows(&stack.name).await?;
                let told = done.err().map(|error| error.to_string()).unwrap_or_default();
                let culprits = culprits(&stack.services, &rows);
                let told = if culprits.is_empty() { told } else { format!("{}: {told}", culprits.join(", ")) };
                Err(RuntimeError::Refused(told))
            }
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn down(&self, note: &Note) -> Result<(), RuntimeError> {
        let name = project(note);
        let compose = self.stacks.compose();
        // What nobody brought up need not go.
        if compose.program().await.is_none() && self.rows(name).await?.is_empty() {
            return Ok(());
        }
        let (_, project) = self.project(note).await?;
        compose.down(&project, volumes(note), DOWN).await.map_err(|error| unavailable(&error))
    }
}

#[async_trait]
impl Kind for StackUnits {
    fn makes(&self, image: &str) -> bool {
        image.starts_with(STACK)
    }

    fn holds(&self, id: DockerId) -> bool {
        self.notes.holds(id)
    }

    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError> {
        let asked = |note: &Note| note.log == log && workload.is_none_or(|workload| workload == note.workload);
        let notes = self.notes.find(asked);
        if notes.is_empty() { Ok(Vec::new()) } else { self.look(notes).await }
    }

    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError> {
        let Some(note) = self.notes.get(id) else { return Ok(None) };
        Ok(self.look(vec![note]).await?.pop())
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        let image = image.to_owned();
        self.on_disk(move |units| units.stacks.has(&image)).await
    }

    fn folder(&self, _image: &str) -> Option<PathBuf> {
        None
    }

    async fn create(&self, log: LogId, unit: &CreateContainer) -> Result<DockerId, RuntimeError> {
        let (unit, random) = (unit.clone(), self.clock.secret::<32>());
        self.on_disk(move |units| {
            let made = || {
                let stack = units.stacks.read(unit.workload, &unit.image).map_err(RuntimeError::ImageMissing)?;
                let asked = unit.env.iter().filter(|(name, _)| stack.asked.contains(name));
                let variables: BTreeMap<_, _> = asked.map(|(name, value)| (name, value)).collect();
                let text = Zeroizing::new(serde_json::to_string(&variables).unwrap_or_default());
                let sealed = units.stacks.vault().seal(unit.workload, &text).map_err(RuntimeError::Unavailable)?;
                let anew = if unit.renewal == Renewal::All { Anew::All } else { Anew::Changed };
                let stack = StackNote { project: stack.name.clone(), variables: sealed, volumes: Volumes::Keep, anew };
                let note = Note::of(log, DockerId(random.map_err(unwritable)?), &unit);
                Ok::<_, Refused>(Note { stack: Some(stack), ..note })
            };
            let note = units.notes.ensure(unit.unit, made).map_err(|refused| refused.0)?;
            let same = note.log == log && note.name == unit.name && note.image == unit.image;
            if same { Ok(note.id) } else { Err(RuntimeError::NameTaken(unit.name.clone())) }
        })
        .await?
    }

    async fn start(&self, id: DockerId) -> Result<(), RuntimeError> {
        let note = self.notes.get(id).ok_or_else(gone)?;
        match note.phase {
            Phase::Running => return Ok(()),
            Phase::Created => {}
            Phase::Exited | Phase::Restarting | Phase::Removing => {
                return Err(RuntimeError::Refused("a stack that was taken down is not brought up again".to_owned()));
            }
        }
        if let Err(error) = self.up(&note).await {
            self.failed.lock().insert(id, error.to_string());
            return Err(error);
        }
        self.must_change(id, Note::begin).await
    }

    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        self.must_change(id, Note::with_restart(restart)).await
    }

    async fn stop(&self, id: DockerId, _grace: Duration) -> Result<(), RuntimeError> {
        self.change(id, |note| note.phase = Phase::Exited).await?;
        match self.notes.get(id) {
            Some(note) if !self.has_successor(&note) => self.down(&note).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn own_volumes(&self, log: LogId, workload: WorkloadId) -> Result<Vec<(String, Option<u64>)>, RuntimeError> {
        let notes = self.notes.find(|note| note.log == log && note.workload == workload);
        let mut all = Vec::new();
        for name in notes.iter().map(project).collect::<BTreeSet<_>>() {
            let found = self.stacks.compose().volumes(name).await.map_err(|error| unavailable(&error))?;
            all.extend(found.into_iter().map(|volume| (volume.name, volume.bytes)));
        }
        Ok(all)
    }

    async fn give_up_volumes(&self, id: DockerId) -> Result<(), RuntimeError> {
        let give_up = |note: &mut Note| {
            if let Some(stack) = &mut note.stack {
                stack.volumes = Volumes::Remove;
            }
        };
        self.change(id, give_up).await.map(drop)
    }

    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError> {
        let Some(note) = self.notes.get(id) else { return Ok(()) };
        if !self.has_successor(&note) {
            let left: Vec<String> = self.rows(project(&note)).await?.into_iter().map(|row| row.service).collect();
            if !left.is_empty() {
                let text = format!("containers of {} are still there: {}", project(&note), left.join(", "));
                return Err(RuntimeError::Busy(text));
            }
            let forgotten = self.stacks.compose().forget(project(&note), volumes(&note)).await;
            forgotten.map_err(|error| unavailable(&error))?;
        }
        self.since.lock().remove(&id);
        self.failed.lock().remove(&id);
        self.on_disk(move |units| units.notes.remove(id).map_err(unwritable)).await?
    }

    /// What is known of its services, never what they have said.
    async fn output(&self, id: DockerId, _bytes: usize) -> Result<String, RuntimeError> {
        let container = self.inspect(id).await?.ok_or_else(gone)?;
        let line = |service: &Service| {
            let code = service.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
            let health = if service.health.is_empty() { String::new() } else { format!(", {}", service.health) };
            format!("{}: {}{health}{code}\n", service.name, service.state)
        };
        let why = self.failed.lock().get(&id).map(|why| format!("{why}\n")).unwrap_or_default();
        Ok(why + &container.services.iter().map(line).collect::<String>())
    }
}

fn project(note: &Note) -> &str {
    note.stack.as_ref().map_or("", |stack| &stack.project)
}

fn volumes(note: &Note) -> Volumes {
    note.stack.as_ref().map_or(Volumes::Keep, |stack| stack.volumes)
}

/// Whether what is expected of a service is so: it runs, or has ended well.
fn is_well(row: &Row) -> bool {
    match row.state {
        State::Running | State::Paused => true,
        State::Exited => row.exit_code == Some(0),
        State::Created | State::Restarting | State::Dead => false,
    }
}

/// What a stack does that was brought up, by the worst of its services.
fn running(expected: &BTreeSet<String>, rows: &[Row]) -> (Phase, i32) {
    let code = |row: &Row| row.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(NOT_THERE);
    let missing = expected.iter().any(|name| !rows.iter().any(|row| row.service == *name));
    let wrong = rows.iter().filter(|row| expected.contains(&row.service) && !is_well(row)).max_by_key(|row| row.state);
    match wrong {
        Some(row) if row.state == State::Restarting && !missing => (Phase::Restarting, code(row)),
        Some(row) => (Phase::Exited, code(row)),
        None if missing => (Phase::Exited, NOT_THERE),
        None => (Phase::Running, 0),
    }
}

/// The worst that the checks of services say.
fn health(rows: &[Row]) -> ImageHealth {
    match rows.iter().filter(|row| row.state == State::Running).map(|row| row.health).max() {
        None | Some(Healthy::Unchecked) => ImageHealth::None,
        Some(Healthy::Yes) => ImageHealth::Healthy,
        Some(Healthy::Starting) => ImageHealth::Starting,
        Some(Healthy::No) => ImageHealth::Unhealthy,
    }
}

fn services(expected: &BTreeSet<String>, rows: &[Row]) -> Vec<Service> {
    let seen = |row: &Row| Service {
        name: row.service.clone(),
        state: state_word(row.state),
        health: health_word(row.health),
        exit_code: row.exit_code,
        containers: row.containers.clone(),
        address: row.address,
    };
    let missing = expected.iter().filter(|name| !rows.iter().any(|row| row.service == **name));
    let missing = missing.map(|name| Service {
        name: name.clone(),
        state: "missing",
        health: "",
        exit_code: None,
        containers: Vec::new(),
        address: None,
    });
    let mut all: Vec<Service> = rows.iter().map(seen).chain(missing).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The services that are not as they should be, for a person.
fn culprits(expected: &BTreeSet<String>, rows: &[Row]) -> Vec<String> {
    let wrong = rows.iter().filter(|row| expected.contains(&row.service) && !is_well(row));
    wrong
        .map(|row| match row.exit_code {
            Some(code) => format!("the service {} ended with exit code {code}", row.service),
            None => format!("the service {} is {}", row.service, state_word(row.state)),
        })
        .collect()
}

const fn state_word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Created => "created",
        State::Paused => "paused",
        State::Restarting => "restarting",
        State::Exited => "exited",
        State::Dead => "dead",
    }
}

const fn health_word(health: Healthy) -> &'static str {
    match health {
        Healthy::Unchecked => "",
        Healthy::Yes => "healthy",
        Healthy::Starting => "starting",
        Healthy::No => "unhealthy",
    }
}

/// Why no unit was made.
struct Refused(RuntimeError);

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self(unwritable(error))
    }
}

impl From<RuntimeError> for Refused {
    fn from(error: RuntimeError) -> Self {
        Self(error)
    }
}

fn gone() -> RuntimeError {
    RuntimeError::NotFound("no such stack".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "as a function for map_err")]
fn unwritable(error: io::Error) -> RuntimeError {
    RuntimeError::Unavailable(format!("the notes of stacks cannot be written: {error}"))
}

/// What Compose could not do, by whether it may the next time.
fn unavailable(error: &ComposeError) -> RuntimeError {
    match error {
        ComposeError::NoProgram | ComposeError::Refused(_) | ComposeError::Unusable(_) => {
            RuntimeError::Refused(error.to_string())
        }
        ComposeError::Failed { .. }
        | ComposeError::TimedOut { .. }
        | ComposeError::Cancelled(_)
        | ComposeError::Busy { .. }
        | ComposeError::Unavailable(_) => RuntimeError::Busy(error.to_string()),
    }
}
