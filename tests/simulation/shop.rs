//! What is wished in a run: workloads with their settings, and images that behave well or badly.

use cutover_domain::plan::{Ask, Ids};
use cutover_domain::strategy::chosen;
use cutover_domain::workload::Release;
use cutover_events::plan::{SITE, STACK, Strategy, Template};
use cutover_events::workload::{
    Check, Health, Limits, OnCrash, OnDrift, Policy, Process, PublishedPort, ReleaseCommand, Route, SourceKind,
    Transport,
};
use cutover_events::{UnitId, WorkloadId};
use std::net::{IpAddr, Ipv4Addr};

use crate::random::Random;

/// How long a release command may run, ms.
const RELEASE_MS: u64 = 2_000;

/// What makes a simulated workload exclusive.
const HOST_PORT: PublishedPort =
    PublishedPort { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host: 5432, container: 80, transport: Transport::Tcp };

/// A workload as its owner wrote it down.
pub(crate) struct Shop {
    pub(crate) id: WorkloadId,
    /// Every revision, counted from 1.
    pub(crate) specs: Vec<Spec>,
    /// Its data is such that only what changed it can start.
    pub(crate) spoilt: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) replicas: u16,
    /// Containers of its other process.
    pub(crate) workers: u16,
    /// The lane that it comes after.
    pub(crate) after: Option<u8>,
    pub(crate) health: bool,
    pub(crate) kind: Kind,
    /// What follows when nobody knows how its release command ended; without one it has none.
    pub(crate) release: Option<OnCrash>,
    pub(crate) policy: Policy,
}

/// How a workload is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// By the default of the source.
    Beside,
    /// It asks for recreate.
    Asks,
    /// It has a port of the host, which one container can have.
    Alone,
    /// Beside, and nothing leads to it from outside: its name alone.
    Lone,
    /// A release folder, which the proxy serves by itself.
    Folder,
    /// A stack, which Compose brings up as a whole.
    Stack,
}

impl Kind {
    /// Whether a container runs that can be probed.
    fn is_contained(self) -> bool {
        !matches!(self, Self::Folder | Self::Stack)
    }

    /// Whether there is one of it only.
    fn is_single(self) -> bool {
        self == Self::Alone || !self.is_contained()
    }

    /// What it is made of, and what its image is called then.
    fn source(self) -> (SourceKind, &'static str) {
        match self {
            Self::Folder => (SourceKind::Static, SITE),
            Self::Stack => (SourceKind::Compose, STACK),
            Self::Beside | Self::Asks | Self::Alone | Self::Lone => (SourceKind::Image, ""),
        }
    }
}

impl Spec {
    pub(crate) fn drawn(random: &mut Random) -> Self {
        let kind = random.pick(&[
            Kind::Beside,
            Kind::Beside,
            Kind::Beside,
            Kind::Lone,
            Kind::Asks,
            Kind::Alone,
            Kind::Alone,
            Kind::Folder,
            Kind::Stack,
        ]);
        let replicas = random.pick(&[1, 1, 1, 2, 2, 3, 4]);
        let workers = random.pick(&[0, 0, 1, 2]);
        let release = random.pick(&[None, None, None, Some(OnCrash::Ask), Some(OnCrash::Again)]);
        Self {
            workers: if kind.is_single() { 0 } else { workers },
            after: None,
            replicas: if kind.is_single() { 1 } else { replicas },
            health: random.chance(700),
            kind,
            release: release.filter(|_| kind.is_contained()),
            policy: Policy {
                gate_timeout_ms: random.pick(&[1_500, 4_000]),
                liveness_ms: random.pick(&[200, 1_000]),
                drain_ms: random.pick(&[0, 500, 2_000]),
                bake_ms: random.pick(&[0, 500, 2_000]),
                standby_ms: random.pick(&[0, 0, 3_000, 60_000]),
                stop_timeout_ms: 1_000,
                stop_signal: 0,
                keep_releases: random.pick(&[1, 2, 10]),
                restore_timeout_ms: random.pick(&[2_000, 8_000]),
                wait_for_image_ms: random.pick(&[0, 3_000, 60_000]),
                drift: OnDrift::Repair,
            },
        }
    }

    /// One container, everything short.
    pub(crate) fn plain(replicas: u16) -> Self {
        let policy = Policy {
            gate_timeout_ms: 2_000,
            liveness_ms: 200,
            drain_ms: 500,
            bake_ms: 500,
            standby_ms: 0,
            stop_timeout_ms: 1_000,
            stop_signal: 0,
            keep_releases: 10,
            restore_timeout_ms: 4_000,
            wait_for_image_ms: 20_000,
            drift: OnDrift::Repair,
        };
        Self { replicas, workers: 0, after: None, health: true, kind: Kind::Beside, release: None, policy }
    }

    /// As [`Spec::plain`], with a port of the host.
    pub(crate) fn alone() -> Self {
        Self { kind: Kind::Alone, ..Self::plain(1) }
    }

    /// Its other process, which is probed on a port where the workload itself is probed.
    fn worker(&self) -> Option<Process> {
        let probed = self.health && self.kind != Kind::Lone;
        let health = Health { check: Check::Tcp, port: 81, interval_ms: 100, timeout_ms: 100 };
        (self.workers > 0).then(|| Process {
            name: "worker".into(),
            command: vec!["work".into()],
            replicas: self.workers,
            limits: Limits::default(),
            health: probed.then_some(health),
        })
    }

    /// As the shell asks for a plan of a release with these settings.
    pub(crate) fn ask(&self, release: &Release) -> Ask {
        let (source, prefix) = self.kind.source();
        let health = Health {
            check: Check::Http { path: "/".into(), host: String::new(), low: 200, high: 299 },
            port: 80,
            interval_ms: 100,
            timeout_ms: 100,
        };
        let route = Route { host: "s".into(), path: "/".into(), port: 80, strip: false, service: String::new() };
        Ask {
            release: Some(release.id),
            full_name: "s/w".into(),
            choice: chosen((self.kind == Kind::Asks).then_some(Strategy::Recreate), source),
            template: Template {
                image: format!("{prefix}{}", release.image),
                port: (self.kind != Kind::Lone).then_some(80),
                ports: if self.kind == Kind::Alone { vec![HOST_PORT] } else { Vec::new() },
                ..Template::default()
            },
            routes: if self.kind == Kind::Lone { Vec::new() } else { vec![route] },
            health: (self.health && self.kind != Kind::Lone && self.kind.is_contained()).then_some(health),
            policy: self.policy,
            replicas: self.replicas,
            processes: self.worker().into_iter().collect(),
            after: self.after.map(|lane| format!("s/{lane}")).into_iter().collect(),
            release_command: self.release.map(release_command),
        }
    }

    /// As the shell asks for the plan of a teardown.
    pub(crate) fn farewell(policy: Policy) -> Ask {
        Ask {
            release: None,
            full_name: "s/w".into(),
            choice: chosen(None, SourceKind::Image),
            template: Template::default(),
            routes: Vec::new(),
            health: None,
            policy,
            replicas: 0,
            processes: Vec::new(),
            after: Vec::new(),
            release_command: None,
        }
    }
}

fn release_command(on_crash: OnCrash) -> ReleaseCommand {
    ReleaseCommand { command: vec!["migrate".into()], timeout_ms: RELEASE_MS, on_crash }
}

/// How the containers of an image behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// From start to ready.
    pub(crate) ready_ms: u64,
    /// When its image is in the registry, from the wish on; from the beginning of the world once it is wished.
    pub(crate) pushed_ms: u64,
    pub(crate) fate: Fate,
    /// Of the containers of the other process.
    pub(crate) worker: Fate,
    /// Of the container of the release command.
    pub(crate) command: Task,
}

/// What a release command does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// Ends well after this long.
    Done(u64),
    /// Ends badly after this long.
    Fails(u64),
    /// Never ends.
    Hangs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Good,
    /// Ends at once.
    Exits,
    /// Never listens.
    Silent,
    /// Ends this long after its start.
    Dies(u64),
    /// Ends this long after its start, in calm times too: its program is wrong.
    Fails(u64),
    /// Answers 500 from this long after its start.
    Sickens(u64),
    /// Ends at once, and so does from then on whatever else of its workload is started: it has changed the data.
    Spoils,
}

impl Program {
    const WELL: Self =
        Self { ready_ms: 50, pushed_ms: 0, fate: Fate::Good, worker: Fate::Good, command: Task::Done(50) };
    pub(crate) const COMMAND_FAILS: Self = Self { command: Task::Fails(50), ..Self::WELL };
    pub(crate) const GOOD: Self = Self { fate: Fate::Good, worker: Fate::Good, ..Self::WELL };
    pub(crate) const EXITS: Self = Self { fate: Fate::Exits, worker: Fate::Good, ..Self::WELL };
    pub(crate) const WORKER_EXITS: Self = Self { fate: Fate::Good, worker: Fate::Exits, ..Self::WELL };
    pub(crate) const FAILS: Self = Self { fate: Fate::Fails(1_000), worker: Fate::Good, ..Self::WELL };

    pub(crate) fn drawn(random: &mut Random) -> Self {
        let later = random.pick(&[100, 700, 1_500, 5_000]);
        let bad = random.pick(&[Fate::Exits, Fate::Silent, Fate::Dies(later), Fate::Sickens(later), Fate::Spoils]);
        let fate = if random.chance(750) { Fate::Good } else { bad };
        let pushed_ms = if random.chance(850) { 0 } else { random.pick(&[500, 2_500, 20_000, 200_000]) };
        let ill = random.pick(&[Fate::Exits, Fate::Silent, Fate::Dies(later), Fate::Sickens(later)]);
        let worker = if random.chance(850) { Fate::Good } else { ill };
        let ends_ms = random.pick(&[0, 30, 800]);
        let command =
            if random.chance(850) { Task::Done(ends_ms) } else { random.pick(&[Task::Fails(ends_ms), Task::Hangs]) };
        Self { ready_ms: random.pick(&[0, 20, 300, 1_000]), pushed_ms, fate, worker, command }
    }
}

/// Ids that nothing else has.
pub(crate) struct Minted<'a>(pub(crate) &'a mut u64);

impl Minted<'_> {
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        *self.0 += 1;
        u128::from(*self.0).to_be_bytes()
    }
}

impl Ids for Minted<'_> {
    fn unit(&mut self) -> UnitId {
        UnitId(self.bytes())
    }

    fn address(&mut self) -> Ipv4Addr {
        *self.0 += 1;
        Ipv4Addr::from(0x0A00_0000 | (*self.0 as u32 & 0x00FF_FFFF))
    }
}
