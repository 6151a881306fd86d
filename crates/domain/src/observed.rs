//! What is seen of the world, and what can be done to it: ids and numbers only, cheap to copy.

use cutover_events::deployment::{Cut, ReasonKind};
use cutover_events::{BootId, DeploymentId, Event, Stamp, UnitId};

/// Docker's id of a container (64 hex digits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DockerId(pub [u8; 32]);

/// The time that a decision is made at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Boot of the host.
    pub boot: BootId,
    /// `CLOCK_MONOTONIC`, ms.
    pub mono_ms: u64,
    /// Since when this engine has been looking without a break, on the same clock: its start, or the end of a time in
    /// which it stood still. Waits of an earlier boot begin again here.
    pub engine_start_ms: u64,
}

/// When a wait began: the stamp of the commit that began it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Mark {
    /// Boot of the host.
    pub boot: BootId,
    /// `CLOCK_MONOTONIC`, ms.
    pub mono_ms: u64,
}

impl From<Stamp> for Mark {
    fn from(at: Stamp) -> Self {
        Self { boot: at.boot, mono_ms: at.mono_ms }
    }
}

impl Now {
    /// When a wait that began at `since` is over, on this boot's clock: under another boot it begins again.
    #[must_use]
    pub fn deadline(&self, since: Mark, wait_ms: u64) -> u64 {
        let from = if since.boot == self.boot { since.mono_ms } else { self.engine_start_ms };
        from.saturating_add(wait_ms)
    }

    /// Whether a wait that began at `since` is over.
    #[must_use]
    pub fn passed(&self, since: Mark, wait_ms: u64) -> bool {
        self.mono_ms >= self.deadline(since, wait_ms)
    }
}

/// One look at the world, complete for one workload. A failed or partial look is none.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Observed {
    /// Every container that carries our log id and this workload's id, sorted by unit.
    pub containers: Vec<Seen>,
    /// The router's entry for this workload; `None` when the router did not answer.
    pub router: Option<RouterSeen>,
    /// Of the workloads that the open deployment comes after, those that are not ready.
    pub behind: Vec<Behind>,
    /// What came of effects that were asked for since the engine started; forgotten by a crash.
    pub answers: Answers,
    /// Whether a person has frozen it, or everything: the engine does nothing by itself.
    pub frozen: bool,
}

/// A workload that another one comes after, and that is not ready.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Behind {
    /// Its full name.
    pub name: std::sync::Arc<str>,
    /// Whether a deployment of it is under way: no deadline passes meanwhile.
    pub coming: bool,
}

/// Volatile answers: each belongs to the effect that asked, and to no other.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Answers {
    /// Whether the reference of this deployment was resolved.
    pub resolved: Option<DeploymentId>,
    /// Whether it is being found out, pulled or built right now, beside the lane: it is not asked for again meanwhile.
    pub resolving: Option<DeploymentId>,
    /// The newest effect that did not simply happen, but for those that find out what a reference means.
    pub trouble: Option<Trouble>,
    /// Why the newest try to find out what a reference means gave nothing. Kept apart: a wish may wait for its image
    /// while other effects fail, and must not lose its pace over them.
    pub unresolved: Option<Trouble>,
    /// Units whose last output is kept.
    pub captured: Vec<UnitId>,
    /// Units that are being removed right now.
    pub under_way: Vec<UnitId>,
    /// The unit whose release command this engine has recorded as started, and did not ask for yet.
    pub may_start: Option<UnitId>,
}

/// One container.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that was seen, and they are never arguments")]
pub struct Seen {
    /// The unit, from its label.
    pub unit: UnitId,
    /// Docker's id: what start, stop and remove are addressed to.
    pub id: DockerId,
    /// What it does.
    pub phase: Phase,
    /// Whether Docker restarts it by itself.
    pub restart: Restart,
    /// How often Docker has restarted it, or a person while the engine looked.
    pub restarts: u32,
    /// Exit code of the last run, when it does not run.
    pub exit_code: i32,
    /// How long it has been running, ms; 0 when it does not run.
    pub up_ms: u64,
    /// How long ago its present run was begun, by a clock that never jumps, ms: at least `up_ms`.
    pub age_ms: u64,
    /// How long it has been seen not running, ms; 0 while it runs.
    pub down_ms: u64,
    /// The image's own health check.
    pub health: ImageHealth,
    /// The newest probe of this run of the container.
    pub probe: Probe,
    /// Whether its witness is a position that the log knows.
    pub witnessed: bool,
    /// How long it has been seen paused, ms; 0 while its processes go on.
    pub paused_ms: u64,
    /// How long it has been seen running without its address on the network of its project, ms; 0 while it has it.
    pub apart_ms: u64,
    /// Whether it has another name than its own.
    pub renamed: bool,
    /// Whether it may use more or less than its plan says.
    pub resized: bool,
    /// Whether a run of it ended while Docker was away: without live-restore a daemon takes its containers along.
    pub lost: bool,
    /// Whether it is a release folder, which the proxy serves by itself.
    pub folder: bool,
}

/// What a container does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Created, never started.
    Created,
    /// Runs (a paused one too: its process lives).
    Running,
    /// Ended; is not started again by us.
    Exited,
    /// Docker waits before it starts it again.
    Restarting,
    /// Docker removes it, or failed to.
    Removing,
}

impl Phase {
    /// Runs or may yet be started for the first time: it has not ended.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Created | Self::Running)
    }
}

/// Whether Docker restarts a container by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Restart {
    /// Never.
    No,
    /// Always.
    Always,
}

/// The image's own HEALTHCHECK.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImageHealth {
    /// It has none.
    None,
    /// Not decided yet.
    Starting,
    /// Passed.
    Healthy,
    /// Failed.
    Unhealthy,
}

/// What probing a container has shown, for its present run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Probe {
    /// The newest answer.
    pub answer: Answer,
    /// How many in a row did not pass.
    pub failures: u8,
}

/// The answer to a probe.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// Not probed yet.
    Unknown,
    /// Passed, with the same container before and after.
    Passed,
    /// Nothing listens.
    NoConnection,
    /// No answer in time.
    TimedOut,
    /// An answer, with this status, that does not count as ready.
    Status(u16),
}

/// The router's entry for a workload.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct RouterSeen {
    /// The highest generation that it has taken; 0 when it knows nothing of the workload.
    pub generation: u64,
    /// What it routes to.
    pub targets: Vec<UnitId>,
    /// Units with open connections or a drain that is not over.
    pub busy: Vec<UnitId>,
    /// What the drains of this generation have cut.
    pub cut: Cut,
}

/// One thing done to the world. Performing it twice does no harm; its answer is never believed, only what is seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Makes the plan of this deployment: its network and addresses.
    Plan(DeploymentId),
    /// Finds out what this deployment's reference means, and has the image here, pulled or built: beside the lane.
    Resolve(DeploymentId),
    /// Creates the container of a planned unit.
    Create(UnitId),
    /// Starts a container that was never started.
    Start(UnitId, DockerId),
    /// Sets the restart policy.
    SetRestart(UnitId, DockerId, Restart),
    /// Keeps the last output of a container that failed.
    Capture(UnitId, DockerId),
    /// Lets a paused container go on.
    Unpause(UnitId, DockerId),
    /// Gives a container its own name back.
    Rename(UnitId, DockerId),
    /// Sets what a container may use to what its plan says.
    SetLimits(UnitId, DockerId),
    /// Policy `no`, stop with the plan's signal and time, remove.
    Remove(UnitId, DockerId),
    /// Writes the route of the workload, with a probe of each target inside the router.
    Put {
        /// What to route to; none: no route.
        to: Targets,
        /// Refused when it is not above the router's own.
        generation: u64,
    },
    /// Raises the router's generation and changes nothing else.
    Fence {
        /// Refused when it is not above the router's own.
        generation: u64,
    },
}

/// Which units a route leads to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Targets {
    /// None, and no route.
    Nothing,
    /// None until the next write: requests wait at the routes of what was.
    Held,
    /// The slot of the open deployment's plan.
    Green,
    /// What the open deployment goes back to, as it was committed.
    Blue,
    /// The part of the active slot that the log has named last.
    Active,
}

/// What the last effect of this workload came to, when it did not simply happen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Trouble {
    /// Which effect.
    pub effect: Effect,
    /// Whether trying again can help.
    pub class: Class,
    /// How often in a row.
    pub tries: u32,
    /// When the newest try came back, `CLOCK_MONOTONIC`, ms.
    pub at_ms: u64,
    /// What kind.
    pub kind: ReasonKind,
    /// One line for a person.
    pub text: std::sync::Arc<str>,
}

/// Whether trying again can help.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// It can.
    Transient,
    /// It cannot.
    Permanent,
    /// It can once somebody else has done their part: the registry answers, and does not have the image yet.
    NotYet,
    /// The router's probe refused the target; belongs to one generation.
    ProbeRefused,
}

impl Answers {
    /// Why the newest try of this effect did not happen, if so.
    #[must_use]
    pub fn about(&self, effect: Effect) -> Option<&Trouble> {
        let kept = if matches!(effect, Effect::Resolve(_)) { &self.unresolved } else { &self.trouble };
        kept.as_ref().filter(|trouble| trouble.effect == effect)
    }

    /// Remembers that an effect did not simply happen; how often in a row is counted here.
    pub fn failed(&mut self, trouble: Trouble) {
        let tries = self.about(trouble.effect).map_or(0, |before| before.tries) + 1;
        let kept = if matches!(trouble.effect, Effect::Resolve(_)) { &mut self.unresolved } else { &mut self.trouble };
        *kept = Some(Trouble { tries, ..trouble });
    }

    /// Remembers that an effect has happened.
    pub fn over(&mut self, effect: Effect) {
        let kept = if matches!(effect, Effect::Resolve(_)) { &mut self.unresolved } else { &mut self.trouble };
        *kept = kept.take().filter(|trouble| trouble.effect != effect);
    }

    /// What this engine has just written: whoever recorded the start of a release command may ask for it.
    pub fn wrote(&mut self, events: &[Event]) {
        let started = events.iter().find_map(|event| match event {
            Event::ReleaseCommandStarted(e) => Some(e.unit),
            _ => None,
        });
        self.may_start = started.or(self.may_start);
    }

    /// It is about to ask for this: a release command is asked for once, whatever becomes of the request.
    pub fn asks(&mut self, effect: Effect) {
        self.may_start = self.may_start.filter(|unit| !matches!(effect, Effect::Start(of, _) if of == *unit));
    }

    /// Forgets what belongs to another image than the one that is sought now.
    pub fn keep_for(&mut self, seeks: Option<DeploymentId>) {
        self.resolving = self.resolving.filter(|id| Some(*id) == seeks);
        let ours = |trouble: &Trouble| Some(trouble.effect) == seeks.map(Effect::Resolve);
        self.unresolved = self.unresolved.take().filter(ours);
    }
}

impl Observed {
    /// The container of a unit.
    #[must_use]
    pub fn seen(&self, unit: UnitId) -> Option<&Seen> {
        self.containers.iter().find(|seen| seen.unit == unit)
    }
}
