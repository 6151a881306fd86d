//! The containers of a world.

use std::net::Ipv4Addr;

use cutover_domain::observed::{Answer as ProbeAnswer, DockerId, ImageHealth, Phase, Probe, Restart};
use cutover_domain::protocol::{Rule, on};
use cutover_events::{UnitId, WorkloadId};

use super::{Answer, Create, World};

/// Exit code of a container that ended by its stop signal.
const EXIT_TERM: i32 = 143;
/// Exit code of a container that was killed.
const EXIT_KILL: i32 = 137;
/// What a container that runs and does not feel well answers to a probe.
const SICK_STATUS: u16 = 500;
/// No probe of this run yet.
const UNPROBED: Probe = Probe { answer: ProbeAnswer::Unknown, failures: 0 };

/// A container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that can be seen, and they are never arguments")]
pub struct Body {
    /// From its label; its name is made of it.
    pub unit: UnitId,
    /// From its label.
    pub workload: WorkloadId,
    /// Never given twice.
    pub id: DockerId,
    /// Position of its witness.
    pub position: u64,
    /// On the network; 0.0.0.0 when addresses do not matter.
    pub address: Ipv4Addr,
    /// What it does.
    pub phase: Phase,
    /// Whether Docker restarts it.
    pub restart: Restart,
    /// How often Docker has.
    pub restarts: u32,
    /// How often it was started, by anybody.
    pub runs: u32,
    /// Of the last run.
    pub exit_code: i32,
    /// When the present run, or the time without one, began.
    pub since_ms: u64,
    /// The image's own health check.
    pub health: ImageHealth,
    /// How it answers.
    pub serving: Serving,
    /// What the engine's probes of this run have shown.
    pub probe: Probe,
    /// Whether it can be listed and inspected; its name is taken in any case.
    pub visible: bool,
    /// Since when it is paused.
    pub paused_since: Option<u64>,
    /// Since when it is off its network.
    pub apart_since: Option<u64>,
    /// Whether a person has given it another name.
    pub renamed: bool,
    /// Whether a person has changed what it may use.
    pub resized: bool,
    /// Whether the engine remembers that a run of it ended with the daemon.
    pub lost: bool,
    /// Whether it is a release folder.
    pub folder: bool,
}

/// What a person does to one container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hand {
    /// `docker stop`: Docker does not restart it then, whatever its policy.
    Stop,
    /// `docker start` of what has ended.
    Start,
    /// `docker restart`.
    Restart,
    /// `docker pause`.
    Pause,
    /// `docker rename`.
    Rename,
    /// `docker update --restart`.
    Policy,
    /// `docker update --memory`.
    Limits,
    /// `docker network disconnect`.
    Disconnect,
}

impl Hand {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Stop,
        Self::Start,
        Self::Restart,
        Self::Pause,
        Self::Rename,
        Self::Policy,
        Self::Limits,
        Self::Disconnect,
    ];
}

/// How a running container answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Serving {
    /// Nothing listens.
    Nothing,
    /// Ready.
    Ready,
    /// Answers 500.
    Sick,
}

/// Whether containers survive their daemon.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LiveRestore {
    /// They do.
    On,
    /// They are killed, and those with the policy `always` started again.
    Off,
}

impl Body {
    /// Whether its process lives.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether its requests can be answered at all: its processes go on, and it can be reached.
    fn reachable(&self) -> bool {
        self.paused_since.is_none() && self.apart_since.is_none()
    }

    /// Whether a probe would pass now.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.runs() && self.serving == Serving::Ready && self.reachable()
    }

    /// What a probe would see now.
    #[must_use]
    pub fn answer(&self) -> ProbeAnswer {
        match (self.phase, self.serving) {
            (Phase::Running, _) if !self.reachable() => ProbeAnswer::TimedOut,
            (Phase::Running, Serving::Ready) => ProbeAnswer::Passed,
            (Phase::Running, Serving::Sick) => ProbeAnswer::Status(SICK_STATUS),
            _ => ProbeAnswer::NoConnection,
        }
    }

    fn run(&mut self, now_ms: u64) {
        self.phase = Phase::Running;
        self.runs += 1;
        self.since_ms = now_ms;
        self.exit_code = 0;
        self.serving = Serving::Nothing;
        self.probe = UNPROBED;
    }

    fn end(&mut self, now_ms: u64, phase: Phase, code: i32) {
        if self.phase == Phase::Running {
            self.exit_code = code;
            self.since_ms = now_ms;
        }
        self.phase = phase;
        self.serving = Serving::Nothing;
        self.probe = UNPROBED;
        self.paused_since = None;
    }
}

/// What Docker does.
impl World {
    pub(super) fn create(&mut self, create: Create) -> Answer {
        let Create { workload, unit, position, address, folder } = create;
        if self.foreign.contains(&unit) {
            return Answer::Foreign;
        }
        if let Some(held) = self.containers.iter().find(|body| body.unit == unit) {
            return if held.visible { Answer::Exists(held.id) } else { Answer::Conflict };
        }
        self.ids += 1;
        let id = docker_id(self.ids);
        if !on(Rule::Ids) {
            self.named.push((id, unit));
        }
        self.containers.push(Body {
            unit,
            workload,
            id,
            position,
            address,
            phase: Phase::Created,
            restart: Restart::No,
            restarts: 0,
            runs: 0,
            exit_code: 0,
            since_ms: self.now_ms,
            health: ImageHealth::None,
            serving: Serving::Nothing,
            probe: UNPROBED,
            visible: true,
            paused_since: None,
            apart_since: None,
            renamed: false,
            resized: false,
            lost: false,
            folder,
        });
        Answer::Created(id)
    }

    pub(super) fn start(&mut self, id: DockerId) -> Answer {
        let now_ms = self.now_ms;
        let Some(body) = self.container(id).copied() else { return Answer::NotFound };
        match body.phase {
            Phase::Running => return Answer::AlreadySo,
            Phase::Removing => return Answer::RemovalInProgress,
            Phase::Created | Phase::Exited | Phase::Restarting => {}
        }
        let taken = |other: &Body| other.id != id && other.runs() && other.address == body.address;
        if !body.address.is_unspecified() && self.containers.iter().any(taken) {
            return Answer::AddressInUse;
        }
        self.with(id, |body| body.run(now_ms))
    }

    pub(super) fn set_restart(&mut self, id: DockerId, restart: Restart) -> Answer {
        match self.container(id).map(|body| body.phase) {
            None => Answer::NotFound,
            Some(Phase::Removing) => Answer::RemovalInProgress,
            Some(_) => self.with(id, |body| body.restart = restart),
        }
    }

    pub(super) fn unpause(&mut self, id: DockerId) -> Answer {
        match self.container(id).map(|body| (body.phase, body.paused_since)) {
            None => Answer::NotFound,
            Some((Phase::Running, Some(_))) => self.with(id, |body| body.paused_since = None),
            Some(_) => Answer::AlreadySo,
        }
    }

    pub(super) fn rename(&mut self, id: DockerId) -> Answer {
        self.with(id, |body| body.renamed = false)
    }

    pub(super) fn set_limits(&mut self, id: DockerId) -> Answer {
        match self.container(id).map(|body| body.phase) {
            None => Answer::NotFound,
            Some(Phase::Removing) => Answer::RemovalInProgress,
            Some(_) => self.with(id, |body| body.resized = false),
        }
    }

    pub(super) fn stop(&mut self, id: DockerId) -> Answer {
        match self.container(id).map(|body| body.phase) {
            None => Answer::NotFound,
            Some(Phase::Created | Phase::Exited | Phase::Removing) => Answer::AlreadySo,
            Some(Phase::Running | Phase::Restarting) => self.end(id, Phase::Exited, EXIT_TERM),
        }
    }

    pub(super) fn remove(&mut self, id: DockerId) -> Answer {
        match self.container(id).map(|body| body.phase) {
            None => Answer::NotFound,
            Some(Phase::Removing) => Answer::RemovalInProgress,
            Some(_) => self.end(id, Phase::Removing, EXIT_KILL),
        }
    }

    fn end(&mut self, id: DockerId, phase: Phase, code: i32) -> Answer {
        let now_ms = self.now_ms;
        if let Some(unit) = self.container(id).map(|body| body.unit) {
            self.hang_up(unit);
        }
        self.with(id, |body| body.end(now_ms, phase, code))
    }

    fn with(&mut self, id: DockerId, change: impl FnOnce(&mut Body)) -> Answer {
        let Some(body) = self.containers.iter_mut().find(|body| body.id == id && body.visible) else {
            return Answer::NotFound;
        };
        change(body);
        Answer::Done
    }

    /// One container, by Docker's id; one that cannot be inspected yet is not found.
    #[must_use]
    pub fn container(&self, id: DockerId) -> Option<&Body> {
        self.containers.iter().find(|body| body.id == id && body.visible)
    }

    /// The container of a unit; one that cannot be inspected yet is not found.
    #[must_use]
    pub fn unit(&self, unit: UnitId) -> Option<&Body> {
        self.containers.iter().find(|body| body.unit == unit && body.visible)
    }

    /// Whether the name of a unit is taken by its container, be it one that cannot be inspected yet.
    #[must_use]
    pub fn holds(&self, unit: UnitId) -> bool {
        self.containers.iter().any(|body| body.unit == unit)
    }

    /// Every container that can be listed, in the order of creation.
    pub fn containers(&self) -> impl Iterator<Item = &Body> {
        self.containers.iter().filter(|body| body.visible)
    }
}

/// What happens by itself, or by the hand of a person. Each says whether anything changed.
impl World {
    /// A pending create has taken its name, and cannot be inspected yet; see [`World::appear`].
    pub fn reserve(&mut self, index: usize) -> bool {
        let Some(answer) = self.land(index) else { return false };
        let Answer::Created(id) = answer else { return false };
        self.with(id, |body| body.visible = false) == Answer::Done
    }

    /// The create of a unit is over: it can be listed and inspected from here on.
    pub fn appear(&mut self, unit: UnitId) -> bool {
        let hidden = self.containers.iter_mut().find(|body| body.unit == unit && !body.visible);
        hidden.map(|body| body.visible = true).is_some()
    }

    /// A running container passes probes from here on.
    pub fn become_ready(&mut self, unit: UnitId) -> bool {
        self.serve(unit, Serving::Ready)
    }

    /// A ready container answers 500, a sick one is ready again.
    pub fn flap(&mut self, unit: UnitId) -> bool {
        match self.unit(unit).map(|body| body.serving) {
            Some(Serving::Ready) => self.serve(unit, Serving::Sick),
            Some(Serving::Sick) => self.serve(unit, Serving::Ready),
            Some(Serving::Nothing) | None => false,
        }
    }

    fn serve(&mut self, unit: UnitId, serving: Serving) -> bool {
        let found = self.containers.iter_mut().find(|body| body.unit == unit && body.runs());
        found.map(|body| body.serving = serving).is_some()
    }

    /// The image's own health check says something else.
    pub fn image_health(&mut self, unit: UnitId, health: ImageHealth) -> bool {
        let found = self.containers.iter_mut().find(|body| body.unit == unit);
        found.map(|body| body.health = health).is_some()
    }

    /// The process of a container ends; with the policy `always` Docker waits before it starts it again.
    pub fn exit(&mut self, unit: UnitId, code: i32) -> bool {
        let now_ms = self.now_ms;
        let Some(body) = self.containers.iter_mut().find(|body| body.unit == unit && body.runs()) else {
            return false;
        };
        let phase = if body.restart == Restart::Always { Phase::Restarting } else { Phase::Exited };
        body.end(now_ms, phase, code);
        self.hang_up(unit);
        true
    }

    /// Docker starts a container that it was waiting to restart.
    pub fn revive(&mut self, unit: UnitId) -> bool {
        let now_ms = self.now_ms;
        let waits = |body: &&mut Body| body.unit == unit && body.phase == Phase::Restarting;
        let Some(body) = self.containers.iter_mut().find(waits) else { return false };
        body.restarts += 1;
        body.run(now_ms);
        true
    }

    /// Whether a person could do this to the container of a unit, and would change anything.
    #[must_use]
    pub fn in_reach(&self, unit: UnitId, hand: Hand) -> bool {
        let Some(body) = self.unit(unit) else { return false };
        let runs = body.runs();
        match hand {
            Hand::Stop => runs && body.paused_since.is_none(),
            Hand::Start => body.phase == Phase::Exited,
            Hand::Restart => runs && body.paused_since.is_none(),
            Hand::Pause => runs && body.paused_since.is_none(),
            Hand::Rename => !body.renamed && body.phase != Phase::Removing,
            Hand::Policy => runs,
            Hand::Limits => runs && !body.resized,
            Hand::Disconnect => runs && body.apart_since.is_none(),
        }
    }

    /// A person lays hands on a container.
    pub fn human(&mut self, unit: UnitId, hand: Hand) -> bool {
        if !self.in_reach(unit, hand) {
            return false;
        }
        let (now_ms, Some(id)) = (self.now_ms, self.unit(unit).map(|body| body.id)) else { return false };
        if matches!(hand, Hand::Stop | Hand::Restart | Hand::Disconnect) {
            self.hang_up(unit);
        }
        let other = |restart| if restart == Restart::Always { Restart::No } else { Restart::Always };
        let answer = match hand {
            Hand::Stop => self.stop(id),
            Hand::Start => self.start(id),
            Hand::Restart => self.with(id, |body| {
                body.end(now_ms, Phase::Exited, EXIT_TERM);
                body.run(now_ms);
                body.restarts += 1;
            }),
            Hand::Pause => self.with(id, |body| body.paused_since = Some(now_ms)),
            Hand::Rename => self.with(id, |body| body.renamed = true),
            Hand::Policy => self.with(id, |body| body.restart = other(body.restart)),
            Hand::Limits => self.with(id, |body| body.resized = true),
            Hand::Disconnect => self.with(id, |body| body.apart_since = Some(now_ms)),
        };
        answer == Answer::Done
    }

    /// A person's `docker rm -f`: gone at once.
    pub fn human_remove(&mut self, unit: UnitId) -> bool {
        let before = self.containers.len();
        self.containers.retain(|body| body.unit != unit || !body.visible);
        self.hang_up(unit);
        before != self.containers.len()
    }

    /// A removal is over: the container cannot be found, its name is free.
    pub fn gone(&mut self, unit: UnitId) -> bool {
        let before = self.containers.len();
        self.containers.retain(|body| body.unit != unit || body.phase != Phase::Removing);
        self.hang_up(unit);
        before != self.containers.len()
    }

    /// The name that the unit would have belongs to somebody else's container.
    pub fn foreign(&mut self, unit: UnitId) {
        if !self.foreign.contains(&unit) {
            self.foreign.push(unit);
        }
    }

    /// The daemon ends and comes back. Without live-restore every process dies, and *all* containers with the policy
    /// `always` are started, those that were stopped on purpose too.
    pub fn daemon_restart(&mut self, live_restore: LiveRestore) {
        let now_ms = self.now_ms;
        if live_restore == LiveRestore::Off {
            let running: Vec<_> = self.containers.iter().filter(|body| body.runs()).map(|body| body.unit).collect();
            for unit in running {
                self.hang_up(unit);
            }
            for body in self.containers.iter_mut().filter(|body| body.runs()) {
                body.end(now_ms, Phase::Exited, EXIT_KILL);
                body.lost = true;
            }
        }
        let revived = |body: &&mut Body| {
            body.restart == Restart::Always && matches!(body.phase, Phase::Exited | Phase::Restarting)
        };
        for body in self.containers.iter_mut().filter(revived) {
            body.restarts = 0;
            body.run(now_ms);
        }
    }
}

/// The id that Docker gives to its n-th container.
fn docker_id(n: u64) -> DockerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    DockerId(id)
}
