//! What is wished of a workload, and how its images behave: one row a scenario, named by what it does.

use cutover_domain::plan::Ask;
use cutover_domain::strategy::chosen;
use cutover_domain::workload::Release;
use cutover_events::plan::{SITE, STACK, Strategy, Template};
use std::net::{IpAddr, Ipv4Addr};

use cutover_events::workload::{
    Check, Health, Limits, OnCrash, OnDrift, Policy, Process, PublishedPort, ReleaseCommand, Route, SourceKind,
    Transport,
};

use crate::budget::Budget;

mod table;

pub(crate) use table::ALL;

/// How the containers of an image behave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    /// Becomes ready.
    Good,
    /// Ends at once.
    Exits,
    /// Runs, and never listens.
    Silent,
    /// Becomes ready, and its first run ends some time later.
    Dies,
    /// Becomes ready, and answers 500 from some time on.
    Sickens,
    /// The workload itself is good, and its other process ends at once.
    WorkerExits,
    /// The workload itself is good, and the first run of its other process ends some time after it became ready.
    WorkerDies,
    /// As good, and its image comes to the registry at any time.
    Late,
    /// As good, of another image.
    Other,
    /// Ends well by itself: a release command.
    Finishes,
    /// The workload itself is good, and its release command ends badly.
    CommandFails,
    /// The workload itself is good, and its release command never ends.
    CommandHangs,
}

impl Program {
    const ALL: [Self; 12] = [
        Self::Good,
        Self::Exits,
        Self::Silent,
        Self::Dies,
        Self::Sickens,
        Self::WorkerExits,
        Self::WorkerDies,
        Self::Late,
        Self::Other,
        Self::Finishes,
        Self::CommandFails,
        Self::CommandHangs,
    ];

    /// What the containers of the workload itself run.
    pub(crate) fn own(self) -> Self {
        match self {
            Self::WorkerExits | Self::WorkerDies | Self::CommandFails | Self::CommandHangs => Self::Good,
            other => other,
        }
    }

    /// What the containers of its other process run.
    pub(crate) fn of_worker(self) -> Self {
        match self {
            Self::WorkerExits => Self::Exits,
            Self::WorkerDies => Self::Dies,
            _ => Self::Good,
        }
    }

    /// What its release command does.
    pub(crate) fn of_command(self) -> Self {
        match self {
            Self::CommandFails => Self::Exits,
            Self::CommandHangs => Self::Silent,
            _ => Self::Finishes,
        }
    }

    /// As the last byte of a unit's id, and as the image of a release.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The program with this code.
    pub(crate) fn of(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Good)
    }
}

/// What somebody asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Say {
    /// An image that behaves like this.
    Deploy(Program),
    /// The current image under the newest settings; the settings change with it.
    Current,
    /// The release before.
    Rollback,
    /// The release of the n-th wish.
    RollbackTo(u8),
    /// The current release anew.
    Restart,
    /// Away with it.
    Teardown,
    /// Out of service.
    Stop,
    /// Into service again.
    Start,
    /// An end of the n-th wish, by a person.
    Cancel(u8),
    /// A person is at work: nothing is done by itself.
    Freeze,
    /// It goes on by itself.
    Thaw,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// A person.
    Person,
    /// A push, a schedule.
    Machine,
}

/// One wish of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) say: Say,
    pub(crate) by: By,
}

/// By a person.
pub(crate) const fn person(say: Say) -> Asked {
    Asked { say, by: By::Person }
}

/// By a machine.
pub(crate) const fn machine(say: Say) -> Asked {
    Asked { say, by: By::Machine }
}

/// The settings of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What it is made of; images and builds are the same by the time of a plan.
    pub(crate) source: SourceKind,
    pub(crate) replicas: u16,
    /// Containers of its other process.
    pub(crate) workers: u16,
    /// What it asks for; otherwise the default of the source.
    pub(crate) asks: Option<Strategy>,
    /// The port that a route leads to.
    pub(crate) routed: Option<u16>,
    /// Whether readiness is probed over HTTP; otherwise the liveness window counts.
    pub(crate) health: bool,
    /// A port of the host, which makes it exclusive.
    pub(crate) port: Option<PublishedPort>,
    pub(crate) bake_ms: u64,
    pub(crate) standby_ms: u64,
    pub(crate) keep_releases: u16,
    pub(crate) drift: OnDrift,
    /// What follows when nobody knows how its release command ended; without one it has none.
    pub(crate) release: Option<OnCrash>,
}

/// What makes a workload exclusive.
pub(crate) const HOST_PORT: PublishedPort =
    PublishedPort { address: IpAddr::V4(Ipv4Addr::LOCALHOST), host: 5432, container: 80, transport: Transport::Tcp };

/// How long a release command may run, ms: one of the ages that matter.
const RELEASE_MS: u64 = 30_000;

/// One container with a health check, a bake, no standby.
pub(crate) const PLAIN: Settings = Settings {
    source: SourceKind::Image,
    replicas: 1,
    workers: 0,
    asks: None,
    routed: Some(80),
    health: true,
    port: None,
    bake_ms: 10_000,
    standby_ms: 0,
    keep_releases: 10,
    drift: OnDrift::Repair,
    release: None,
};

impl Settings {
    /// With what blue-green deployments come with by default, shorter.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            gate_timeout_ms: 20_000,
            liveness_ms: 2_000,
            drain_ms: 10_000,
            bake_ms: self.bake_ms,
            standby_ms: self.standby_ms,
            stop_timeout_ms: 10_000,
            stop_signal: 0,
            keep_releases: self.keep_releases,
            restore_timeout_ms: 40_000,
            wait_for_image_ms: 10_000,
            drift: self.drift,
        }
    }

    /// What its image is called with.
    fn prefix(&self) -> &'static str {
        match self.source {
            SourceKind::Static => SITE,
            SourceKind::Compose => STACK,
            SourceKind::Image | SourceKind::Dockerfile => "",
        }
    }

    fn release_command(&self) -> Option<ReleaseCommand> {
        let command = || vec!["migrate".to_owned()];
        self.release.map(|on_crash| ReleaseCommand { command: command(), timeout_ms: RELEASE_MS, on_crash })
    }

    /// Its other process, probed where the workload itself is.
    fn worker(&self) -> Option<Process> {
        let health = Health { check: Check::Tcp, port: 81, interval_ms: 100, timeout_ms: 100 };
        (self.workers > 0).then(|| Process {
            name: "worker".into(),
            command: vec!["work".into()],
            replicas: self.workers,
            limits: Limits::default(),
            health: self.health.then_some(health),
        })
    }

    /// As the shell asks for the plan of a release with these settings.
    pub(crate) fn ask(&self, release: &Release) -> Ask {
        let route = |port| Route { host: "s".into(), path: "/".into(), port, strip: false, service: String::new() };
        let check = Check::Http { path: "/".into(), host: String::new(), low: 200, high: 299 };
        Ask {
            release: Some(release.id),
            full_name: "s/w".into(),
            choice: chosen(self.asks, self.source),
            template: Template {
                image: format!("{}{}", self.prefix(), release.image),
                port: self.routed,
                ports: self.port.into_iter().collect(),
                ..Template::default()
            },
            routes: self.routed.into_iter().map(route).collect(),
            health: self.health.then_some(Health { check, port: 80, interval_ms: 100, timeout_ms: 100 }),
            policy: self.policy(),
            replicas: self.replicas,
            processes: self.worker().into_iter().collect(),
            after: Vec::new(),
            release_command: self.release_command(),
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

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What it does.
    pub(crate) name: &'static str,
    /// Its settings, one for each revision.
    pub(crate) settings: &'static [Settings],
    /// Wishes that have been carried out, one after the other and undisturbed, before the walk begins.
    pub(crate) before: &'static [Asked],
    /// Wishes that come in this order, each at any time.
    pub(crate) script: &'static [Asked],
    /// The wish that must have succeeded at rest unless somebody or something laid hands on containers: counted from 0
    /// over `before` and `script`.
    pub(crate) wins: Option<u8>,
    /// Faults that belong to the scenario, beside those of the run.
    pub(crate) own: Budget,
}

impl Scenario {
    /// The n-th wish.
    pub(crate) fn asked(&self, n: usize) -> Option<Asked> {
        self.before.iter().chain(self.script).nth(n).copied()
    }

    /// Whether a wish of it is about an image that comes late.
    pub(crate) fn is_late(&self) -> bool {
        self.before.iter().chain(self.script).any(|asked| asked.say == Say::Deploy(Program::Late))
    }

    /// How many wishes there are.
    pub(crate) fn wishes(&self) -> usize {
        self.before.len() + self.script.len()
    }
}
