//! A world with the texts that the in-memory adapters need, shared between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cutover_domain::observed::DockerId;
use cutover_events::{ErrandId, LogId, UnitId, WorkloadId};
use cutover_proxy::wire;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Answer, Request, World};
use crate::adapters::runtime::{CreateContainer, Errands, Hint, Image, Network, Volume};

/// One world behind all in-memory adapters of a test.
pub type Shared = Arc<Mutex<Twin>>;

/// What goes wrong with the next effect, whichever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is done, the answer is lost.
    LoseAnswer,
    /// It is sent and not done: it stays among the pending ones until the test lets it land.
    Late,
    /// It never arrives.
    Lost,
    /// It has taken its name and cannot be inspected until the test says so (creates only).
    Hidden,
    /// It is done; a removal stays unfinished until the test says so.
    Unfinished,
}

/// How the containers of an image behave.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// What they do once started.
    pub on_start: OnStart,
    /// What they print.
    pub output: String,
    /// Ports that the image exposes.
    pub exposed: Vec<u16>,
}

/// What a container does once it is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnStart {
    /// Is ready.
    #[default]
    Ready,
    /// Does not listen until the test says so.
    Silent,
    /// Ends with this code.
    Exits(i32),
}

/// What the labels of a container say, and what it was made from.
#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) log: LogId,
    pub(crate) create: CreateContainer,
}

/// What a write to the proxy says in words.
#[derive(Clone, Debug)]
pub(crate) struct RouteText {
    pub(crate) name: String,
    pub(crate) routes: Vec<wire::Route>,
    pub(crate) names: Option<wire::Names>,
    pub(crate) log: String,
    pub(crate) witness: wire::Witness,
    /// Whether new targets are asked before they are routed to.
    pub(crate) probed: bool,
}

/// A world and its texts.
#[derive(Debug, Default)]
pub struct Twin {
    /// Docker and the proxy.
    pub world: World,
    pub(crate) details: BTreeMap<UnitId, Details>,
    pub(crate) foreign_names: BTreeSet<String>,
    /// By name; `None`: made by somebody else.
    pub(crate) volumes: BTreeMap<String, Option<(LogId, Volume)>>,
    /// References to images that are here.
    pub(crate) here: BTreeMap<String, Image>,
    /// References that the registry knows.
    pub(crate) registry: BTreeMap<String, Image>,
    pub(crate) programs: BTreeMap<String, Program>,
    pub(crate) networks: Vec<(LogId, Network)>,
    pub(crate) networks_made: u8,
    /// Of the entries, by workload.
    pub(crate) route_texts: BTreeMap<WorkloadId, RouteText>,
    /// Of writes that have not arrived, by workload and generation.
    pub(crate) sent_texts: BTreeMap<(WorkloadId, u64), RouteText>,
    pub(crate) errands: Errands,
    faults: VecDeque<Fault>,
    watchers: Vec<(LogId, mpsc::Sender<Hint>)>,
    away: Option<String>,
}

impl Twin {
    /// An empty world.
    #[must_use]
    pub fn shared() -> Shared {
        Arc::new(Mutex::new(Self::default()))
    }

    /// An image that was made here: it has no repository digest.
    pub fn image_here(&mut self, reference: &str, program: Program) -> Image {
        let image = image_of(reference, &program, String::new());
        self.here.insert(reference.to_owned(), image.clone());
        self.programs.insert(image.id.clone(), program);
        image
    }

    /// An image that a build has made, under its own id.
    pub fn image_built(&mut self, id: &str, program: Program) {
        let image = Image { id: id.to_owned(), repo_digest: String::new(), exposed: program.exposed.clone() };
        self.here.insert(id.to_owned(), image);
        self.programs.insert(id.to_owned(), program);
    }

    /// An image that the registry gives under this reference; what it gave before stays where it was pulled.
    pub fn image_in_registry(&mut self, reference: &str, version: &str, program: Program) -> Image {
        let image = image_of(&format!("{reference}#{version}"), &program, String::new());
        let name = reference.split(':').next().unwrap_or(reference);
        let image = Image { repo_digest: format!("{name}@{}", image.id), ..image };
        self.registry.insert(reference.to_owned(), image.clone());
        self.programs.insert(image.id.clone(), program);
        image
    }

    /// What the container of a unit was created with.
    #[must_use]
    pub fn created(&self, unit: UnitId) -> Option<CreateContainer> {
        self.details.get(&unit).map(|details| details.create.clone())
    }

    /// What the container of a person's program was created with, while it is there.
    #[must_use]
    pub fn created_alone(&self, errand: ErrandId) -> Option<CreateContainer> {
        self.errands.created(errand)
    }

    /// A container of somebody else has this name.
    pub fn foreign_container(&mut self, name: &str) {
        self.foreign_names.insert(name.to_owned());
    }

    /// A volume of somebody else is there.
    pub fn foreign_volume(&mut self, name: &str) {
        self.volumes.insert(name.to_owned(), None);
    }

    /// Goes wrong with the next effect; several are taken in their order.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    /// Docker does not answer from here on, for this reason; `None`: it does again.
    pub fn docker_away(&mut self, why: Option<&str>) {
        self.away = why.map(str::to_owned);
    }

    pub(crate) fn away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    /// Everything that is pending arrives, in the order in which it was sent.
    pub fn land_all(&mut self) {
        while let Some(request) = self.world.pending().first().copied() {
            self.world.cancel(0);
            self.now(request);
        }
    }

    /// Does one thing, unless a fault is next; `None`: the answer is lost.
    pub(crate) fn effect(&mut self, request: Request) -> Option<Answer> {
        match self.faults.pop_front() {
            None => Some(self.now(request)),
            Some(Fault::LoseAnswer) => {
                self.now(request);
                None
            }
            Some(Fault::Late) => {
                self.world.send(request);
                None
            }
            Some(Fault::Lost) => None,
            Some(Fault::Hidden) => {
                let index = self.world.send(request);
                self.world.reserve(index);
                None
            }
            Some(Fault::Unfinished) => Some(self.world.perform(request)),
        }
    }

    fn now(&mut self, request: Request) -> Answer {
        if let Request::Put { workload, generation, .. } = request {
            return self.put_now(request, workload, generation);
        }
        let unit = self.unit_of(request);
        let answer = self.world.perform(request);
        let Some(unit) = unit else { return answer };
        match (request, answer) {
            (Request::Start(_), Answer::Done) => self.begin(unit),
            (Request::Remove(_), Answer::Done) => {
                self.world.gone(unit);
            }
            _ => {}
        }
        self.hint(unit);
        answer
    }

    fn put_now(&mut self, request: Request, workload: WorkloadId, generation: u64) -> Answer {
        let text = self.sent_texts.remove(&(workload, generation));
        let answer = match &text {
            Some(text) if !text.probed => self.world.perform_unprobed(request),
            Some(_) | None => self.world.perform(request),
        };
        if let (Answer::Done, Some(text)) = (answer, text) {
            self.route_texts.insert(workload, text);
        }
        answer
    }

    fn begin(&mut self, unit: UnitId) {
        let program = self.details.get(&unit).and_then(|details| self.programs.get(&details.create.image));
        match program.map(|program| program.on_start).unwrap_or_default() {
            OnStart::Ready => {
                self.world.become_ready(unit);
            }
            OnStart::Silent => {}
            OnStart::Exits(code) => {
                self.world.exit(unit, code);
            }
        }
    }

    fn unit_of(&self, request: Request) -> Option<UnitId> {
        let by_id = |id: DockerId| self.world.container(id).map(|body| body.unit);
        match request {
            Request::Create(create) => Some(create.unit),
            Request::Start(id)
            | Request::SetRestart(id, _)
            | Request::Unpause(id)
            | Request::Rename(id)
            | Request::SetLimits(id)
            | Request::Stop(id)
            | Request::Remove(id) => by_id(id),
            Request::Put { .. } | Request::Fence { .. } => None,
        }
    }

    pub(crate) fn watch(&mut self, log: LogId, sender: mpsc::Sender<Hint>) {
        self.watchers.push((log, sender));
    }

    /// Says that something happened to the container of a unit; a full channel means that a look is due anyway.
    pub fn hint(&mut self, unit: UnitId) {
        let Some(details) = self.details.get(&unit) else { return };
        let (log, workload) = (details.log, details.create.workload);
        self.watchers.retain(|(wants, sender)| {
            if *wants == log && sender.try_send(Hint::Workload(workload)).is_err() {
                return !sender.is_closed();
            }
            true
        });
    }
}

fn image_of(seed: &str, program: &Program, repo_digest: String) -> Image {
    let id = format!("sha256:{}", cutover_events::Digest::of(seed.as_bytes()));
    Image { id, repo_digest, exposed: program.exposed.clone() }
}
