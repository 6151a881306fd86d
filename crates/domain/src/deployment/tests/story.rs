//! What the histories are told with: a workload, a clock, a world of containers and a route.

use std::net::Ipv4Addr;

use cutover_events::delivery::{Change, ChangeKind};
use cutover_events::deployment::{ImageWish, IntentQueued, ReasonKind, ReleaseResolved, Wish};
use cutover_events::plan::{Plan, Strategy, Template};
use cutover_events::workload::{Check, Health, Policy, Process, ReleaseCommand};
use cutover_events::{BootId, DeploymentId, Event, ReleaseId, UnitId, WorkloadId};

use crate::deployment::{Aim, Command, Decision, Next, Rejection, aim, decide, evolve, next};
use crate::invariants::always;
use crate::observed::{
    Answer, Answers, Class, DockerId, Effect, ImageHealth, Mark, Now, Observed, Phase, Probe, Restart, RouterSeen,
    Seen, Trouble,
};
use crate::plan::{Ask, Ids, lint, plan, restore};
use crate::workload::Workload;

pub(super) const GATE_MS: u64 = 60_000;
pub(super) const BAKE_MS: u64 = 10_000;
pub(super) const STANDBY_MS: u64 = 600_000;
pub(super) const WAIT_MS: u64 = 60_000;

pub(super) fn dep(n: u8) -> DeploymentId {
    DeploymentId([n; 16])
}

pub(super) fn unit(n: u8) -> UnitId {
    UnitId([n; 16])
}

pub(super) fn deploy() -> Wish {
    Wish::Deploy(ImageWish::Reference { reference: "shop:1".into(), ask_registry: false })
}

/// Who wishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Person,
    Machine,
    /// A change from outside: this commit.
    Push(u8),
}

impl By {
    fn change(self) -> Option<Change> {
        match self {
            Self::Person | Self::Machine => None,
            Self::Push(n) => {
                Some(Change { kind: ChangeKind::Branch, sha: n.to_string().repeat(40), ..Change::default() })
            }
        }
    }
}

/// One workload and everything around it.
pub(super) struct Story {
    pub(super) state: Workload,
    pub(super) seen: Observed,
    pub(super) now: Now,
    pub(super) policy: Policy,
    pub(super) replicas: u16,
    pub(super) wanted: Option<Strategy>,
    /// What references mean now; none: their registry does not have it.
    pub(super) image: Option<u8>,
    pub(super) processes: Vec<Process>,
    pub(super) after: Vec<String>,
    pub(super) release: Option<ReleaseCommand>,
    pub(super) units: u8,
}

struct Units<'a>(&'a mut u8);

impl Ids for Units<'_> {
    fn unit(&mut self) -> UnitId {
        *self.0 += 1;
        unit(*self.0)
    }

    fn address(&mut self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, *self.0)
    }
}

impl Story {
    pub(super) fn new() -> Self {
        let now = Now { boot: BootId([1; 16]), mono_ms: 1_000_000, engine_start_ms: 0 };
        let policy = Policy { gate_timeout_ms: GATE_MS, bake_ms: BAKE_MS, standby_ms: STANDBY_MS, ..Policy::default() };
        let seen = Observed { router: Some(RouterSeen::default()), ..Observed::default() };
        Self {
            state: Workload::default(),
            seen,
            now,
            policy,
            replicas: 1,
            wanted: None,
            image: Some(1),
            processes: Vec::new(),
            after: Vec::new(),
            release: None,
            units: 0,
        }
    }

    /// A workload whose first deployment, dep 1 with unit 1 (and 2, 3 … for more replicas), is live and at rest.
    pub(super) fn live(replicas: u16) -> Self {
        let mut story = Self::new();
        story.replicas = replicas;
        story.wish(1, deploy(), By::Person);
        story.go_on();
        story
    }

    /// As [`Story::live`], recreated by each deployment.
    pub(super) fn alone() -> Self {
        let mut story = Self::new();
        story.wanted = Some(Strategy::Recreate);
        story.wish(1, deploy(), By::Person);
        story.go_on();
        story
    }

    pub(super) fn happens(&mut self, events: Vec<Event>) {
        let at = Mark { boot: self.now.boot, mono_ms: self.now.mono_ms };
        for event in &events {
            evolve(&mut self.state, event, at).expect("the history is possible");
        }
        assert_eq!(always(&self.state), []);
    }

    pub(super) fn asks(&mut self, command: Command) -> Result<(), Rejection> {
        let events = decide(&self.state, command)?;
        self.happens(events);
        Ok(())
    }

    pub(super) fn try_wish(&mut self, n: u8, wish: Wish, by: By) -> Result<(), Rejection> {
        let workload = WorkloadId([9; 16]);
        self.asks(Command::Queue(IntentQueued {
            deployment: dep(n),
            workload,
            wish,
            revision: 1,
            person: by == By::Person,
            change: by.change(),
        }))
    }

    pub(super) fn wish(&mut self, n: u8, wish: Wish, by: By) {
        self.try_wish(n, wish, by).expect("the wish is accepted");
    }

    pub(super) fn next(&self) -> Next {
        next(&self.state, &self.seen, &self.now)
    }

    /// Names of the events that are appended next.
    pub(super) fn appends(&self) -> Vec<&'static str> {
        match self.next() {
            Next::Append(events) => events.iter().map(|event| event.kind().name).collect(),
            other => panic!("no append: {other:?}"),
        }
    }

    /// One step: what comes next happens, and the world obeys at once.
    pub(super) fn step(&mut self) -> bool {
        match self.next() {
            Next::Append(events) => {
                self.seen.answers.wrote(&events);
                self.happens(events);
            }
            Next::Decide(decision) => self.decides(decision),
            Next::Do(effect) => self.world_does(effect),
            Next::Wait(Some(at)) if self.state.open.is_some() => self.now.mono_ms = at,
            Next::Wait(_) => return false,
        }
        true
    }

    /// Steps until the lane rests.
    pub(super) fn go_on(&mut self) {
        self.go_until(|_| false);
        assert!(self.state.open.is_none(), "{:?}", self.state.open);
    }

    /// Steps until this is so, or the lane rests.
    pub(super) fn go_until(&mut self, so: impl Fn(&Self) -> bool) {
        for _ in 0..300 {
            if so(self) || !self.step() {
                return;
            }
        }
        panic!("no end: {:?}", self.next());
    }

    fn decides(&mut self, decision: Decision) {
        let open = self.state.open.as_ref().map(|open| open.id());
        let command = match (decision, open) {
            (Decision::Begin(id), _) => Command::Begin(id, 1),
            (Decision::Resolved, Some(id)) => Command::Resolved(ReleaseResolved {
                deployment: id,
                release: ReleaseId(id.0),
                revision: 1,
                reference: "shop:1".into(),
                image: format!("sha256:{}", self.image.unwrap_or_default()),
                repo_digest: String::new(),
                built: None,
                change: self.state.open.as_ref().and_then(|open| open.intent.change.clone()),
            }),
            (Decision::Await, Some(id)) => Command::Await(id, WAIT_MS),
            (Decision::Plan, Some(id)) => Command::Planned(id, Box::new(self.plan())),
            (Decision::Restore, Some(id)) => {
                let made = restore(&self.state, "shop/web", &mut Units(&mut self.units)).expect("something was");
                assert_eq!(lint(&made), []);
                Command::Restore(id, Box::new(made))
            }
            (Decision::Revive, None) => return self.wish(200 + self.units, Wish::Heal, By::Machine),
            other => panic!("{other:?}"),
        };
        self.asks(command).expect("what comes next may happen");
    }

    fn plan(&mut self) -> Plan {
        let open = self.state.open.as_ref().expect("a deployment is open");
        let release = match aim(&self.state, open) {
            Aim::Release(release) => Some(release.id),
            Aim::Nothing => None,
            other => panic!("{other:?}"),
        };
        let check = Check::Http { path: "/".into(), host: String::new(), low: 200, high: 299 };
        let ask = Ask {
            release,
            full_name: "shop/web".into(),
            choice: crate::strategy::chosen(self.wanted, cutover_events::workload::SourceKind::Image),
            template: Template::default(),
            routes: Vec::new(),
            health: Some(Health { check, port: 80, interval_ms: 100, timeout_ms: 100 }),
            policy: self.policy,
            replicas: self.replicas,
            processes: self.processes.clone(),
            after: self.after.clone(),
            release_command: self.release.clone(),
        };
        let made = plan(&self.state, ask, &self.seen, &mut Units(&mut self.units));
        assert_eq!(lint(&made), []);
        made
    }

    fn world_does(&mut self, effect: Effect) {
        self.seen.answers.asks(effect);
        match effect {
            Effect::Plan(_) => (),
            Effect::Resolve(_) if self.image.is_none() => return self.refused(effect, Class::NotYet),
            Effect::Resolve(id) => {
                self.seen.answers.resolved = Some(id);
                self.seen.answers.over(effect);
            }
            Effect::Create(unit) => self.seen.containers.push(container(unit, Phase::Created)),
            Effect::Start(unit, _) => self.at(unit).phase = Phase::Running,
            Effect::SetRestart(unit, _, restart) => self.at(unit).restart = restart,
            Effect::Unpause(unit, _) => self.at(unit).paused_ms = 0,
            Effect::Rename(unit, _) => self.at(unit).renamed = false,
            Effect::SetLimits(unit, _) => self.at(unit).resized = false,
            Effect::Capture(unit, _) => self.seen.answers.captured.push(unit),
            Effect::Remove(unit, _) => self.seen.containers.retain(|seen| seen.unit != unit),
            Effect::Put { to, generation } => {
                let targets = crate::deployment::targets(&self.state, to).to_vec();
                let router = self.router();
                (router.targets, router.generation) = (targets, generation);
            }
            Effect::Fence { generation } => self.router().generation = generation,
        }
        self.seen.containers.sort_by_key(|seen| seen.unit);
    }

    pub(super) fn at(&mut self, unit: UnitId) -> &mut Seen {
        self.seen.containers.iter_mut().find(|seen| seen.unit == unit).expect("the container is there")
    }

    pub(super) fn router(&mut self) -> &mut RouterSeen {
        self.seen.router.as_mut().expect("the router answers")
    }

    pub(super) fn router_targets(&self) -> &[UnitId] {
        self.seen.router.as_ref().map_or(&[], |router| &router.targets)
    }

    /// The container is gone, by somebody's hand.
    pub(super) fn vanishes(&mut self, n: u8) {
        self.seen.containers.retain(|seen| seen.unit != unit(n));
    }

    /// The container has ended, and Docker does not revive it.
    pub(super) fn ends(&mut self, n: u8) {
        let seen = self.at(unit(n));
        (seen.phase, seen.restart, seen.exit_code, seen.down_ms) = (Phase::Exited, Restart::No, 1, 10_000);
    }

    /// The container has ended by itself, with this exit code.
    pub(super) fn finishes(&mut self, n: u8, exit_code: i32) {
        let seen = self.at(unit(n));
        (seen.phase, seen.exit_code) = (Phase::Exited, exit_code);
    }

    /// The engine dies and starts again: what it remembers is gone.
    pub(super) fn restarts(&mut self) {
        self.seen.answers = Answers::default();
        self.now.engine_start_ms = self.now.mono_ms;
    }

    /// The container answers 500 from here on.
    pub(super) fn sickens(&mut self, n: u8) {
        self.at(unit(n)).probe = Probe { answer: Answer::Status(500), failures: 3 };
    }

    /// The last try of this effect was refused just now.
    pub(super) fn refused(&mut self, effect: Effect, class: Class) {
        self.seen.answers.failed(Trouble {
            effect,
            class,
            tries: 0,
            at_ms: self.now.mono_ms,
            kind: ReasonKind::NotReady,
            text: "no".into(),
        });
    }
}

/// A container that is ready as soon as it runs, and has run for ever: time passes without it growing older.
fn container(unit: UnitId, phase: Phase) -> Seen {
    Seen {
        unit,
        id: DockerId([unit.0[0]; 32]),
        phase,
        restart: Restart::No,
        restarts: 0,
        exit_code: 0,
        up_ms: u64::MAX,
        age_ms: u64::MAX,
        down_ms: 0,
        health: ImageHealth::None,
        probe: Probe { answer: Answer::Passed, failures: 0 },
        witnessed: true,
        paused_ms: 0,
        apart_ms: 0,
        renamed: false,
        resized: false,
        lost: false,
        folder: false,
    }
}
