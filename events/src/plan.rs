//! The recorded plan of a deployment: so specific that execution chooses nothing.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::id::{ReleaseId, UnitId};
use crate::workload::{Access, EnvVar, Hardening, Health, Limits, Mount, OnCrash, Policy, PublishedPort, Route};

/// Everything a deployment will do, decided before its first effect.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The release that serves when the plan has succeeded; `None` for a teardown.
    pub release: Option<ReleaseId>,
    /// How the workload is replaced.
    pub strategy: Strategy,
    /// Why that strategy.
    pub why: Why,
    /// The containers that this plan creates.
    pub units: Vec<UnitPlan>,
    /// What runs after the swap: created, adopted and kept units; those of the workload itself come first, then those of
    /// each of its processes. Empty for a teardown.
    pub slot: Vec<UnitId>,
    /// What served when the plan was made.
    pub blue: Vec<UnitId>,
    /// Whether the slot is the former standby, which goes back to standby when the plan does not succeed.
    pub adopts: bool,
    /// What every container of this plan has in common.
    pub template: Template,
    /// What leads to the slot.
    pub routes: Vec<Route>,
    /// How readiness of the workload itself is probed; `None`: the liveness window.
    pub health: Option<Health>,
    /// Times and counts, as they were when the plan was made.
    pub policy: Policy,
    /// In the order of execution; a later step begins when the earlier ones are seen done.
    pub steps: Vec<PlannedStep>,
    /// The processes beside the workload itself, in the order of their units in the slot.
    pub processes: Vec<ProcessPlan>,
    /// Full names of the workloads that this one comes after: what the step [`Step::Await`] waits for.
    pub after: Vec<String>,
    /// What runs once, in a container of its own, before anything else is created: one of `units` that is not in the slot.
    pub release_command: Option<CommandPlan>,
}

/// The release command of a plan.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CommandPlan {
    /// Its container.
    pub unit: UnitId,
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// What follows when nobody knows how it ended.
    pub on_crash: OnCrash,
}

/// What the container of a release command is called, where others have the name of their process.
pub const RELEASE: &str = "release";

/// One process of a plan, beside the workload itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Its name.
    pub name: String,
    /// Its units in the slot.
    pub units: Vec<UnitId>,
    /// Replaces the command of the image.
    pub command: Vec<String>,
    /// What each of them may use.
    pub limits: Limits,
    /// How readiness is probed; `None`: the liveness window.
    pub health: Option<Health>,
}

/// What a unit does not share with all others of its plan: what its process says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part<'a> {
    /// Name of the process; empty for the workload itself.
    pub process: &'a str,
    /// Replaces the command of the image.
    pub command: Option<&'a [String]>,
    /// What it may use.
    pub limits: Limits,
    /// How readiness is probed; `None`: the liveness window.
    pub health: Option<&'a Health>,
    /// Port that its readiness is tried on without a health check.
    pub port: Option<u16>,
    /// A name on the network that Docker itself answers; empty for none.
    pub alias: &'a str,
    /// Ports of the host.
    pub ports: &'a [PublishedPort],
}

/// How a workload is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Strategy {
    /// Green beside blue, then the route moves.
    BlueGreen,
    /// Blue goes, then green starts: never two at a time, and nobody is served in between.
    Recreate,
}

/// Why a strategy was taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Why {
    /// The default of the source.
    Default,
    /// `deploy_strategy` asks for it.
    Asked,
    /// A writable volume, which one container at a time may have.
    Volume,
    /// A fixed port of the host, which one container at a time can have.
    Port,
    /// What runs is exclusive, and nothing may start beside it.
    Blue,
    /// What the program of a site writes to, which one container at a time may have.
    Storage,
}

/// What all containers of one plan have in common, unless their process says something else: see [`Plan::part`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Template {
    /// The local image id (`sha256:…`) that they are created from.
    pub image: String,
    /// Docker's id of the network of the project.
    pub network: String,
    /// Environment: names, and where the sealed values lie.
    pub env: Vec<EnvVar>,
    /// Replaces the command of the image, for the workload itself.
    pub command: Option<Vec<String>>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Ports of the host, for the workload itself.
    pub ports: Vec<PublishedPort>,
    /// A name on the network that Docker itself answers, for the workload itself; empty for what the proxy answers for.
    pub alias: String,
    /// What they may use, for the workload itself.
    pub limits: Limits,
    /// How closed they are.
    pub hardening: Hardening,
    /// Port that readiness of a routed workload without a health check is tried on, for the workload itself.
    pub port: Option<u16>,
    /// Releases from before whose files are answered where the new one has none; the newest first.
    pub former: Vec<Former>,
}

/// A release folder from before that pages which are open in browsers still ask for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Former {
    /// Its image: [`SITE`] and where it lies.
    pub image: String,
    /// Until when by the wall clock, ms since 1970.
    pub until_ms: u64,
}

/// What the image of a release folder begins with; then `WORKLOAD/RELEASE`, the folder below `sites/`.
pub const SITE: &str = "site:";

/// One container that a plan creates.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct UnitPlan {
    /// Its id, also the entropy in its name.
    pub unit: UnitId,
    /// Its name on Docker, reserved for ever.
    pub name: String,
    /// Counts from 0 within its process.
    pub replica: u16,
    /// Its address on the network of the project, assigned by the engine.
    pub address: Ipv4Addr,
}

/// A step with its undo and its time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What is done.
    pub step: Step,
    /// What takes it back when the deployment ends before its pivot.
    pub undo: Undo,
    /// How long the step may take before the deployment fails, ms; 0: no limit of its own.
    pub timeout_ms: u64,
}

/// One idempotent effect, done when it is *seen* done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Step {
    /// A dead container gets the restart policy `no`, so that Docker does not revive it beside its successor.
    Retire(UnitId),
    /// The container exists.
    Create(UnitId),
    /// The container runs.
    Start(UnitId),
    /// Every unit of the slot is ready.
    Gate,
    /// Every unit of the slot has the restart policy `always`.
    Keep,
    /// The pivot: SwapCommitted, the route moves to the slot (or away, when it is empty), Swapped.
    Swap,
    /// Side by side: the drain of blue and the bake of green.
    Settle,
    /// The pivot of an exclusive workload: DowntimeOpened, the route leads nowhere, requests end, and every other container
    /// of the workload is seen gone.
    Clear,
    /// The workloads that this one comes after are ready.
    Await,
    /// The release command has ended, and well: it is started once.
    Run(UnitId),
}

/// What takes a step back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Undo {
    /// There is nothing to take back.
    Nothing,
    /// The unit goes to the removal list.
    Remove(UnitId),
    /// The restart policy is set by what the lists say afterwards.
    ByLists,
    /// The route goes back to blue, while blue still runs.
    RouteBack,
    /// The release of before is started again, in a container of its own.
    Restore,
}

impl Template {
    /// Whether it is a release folder, which the proxy serves by itself.
    #[must_use]
    pub fn serves_files(&self) -> bool {
        self.image.starts_with(SITE)
    }

    /// Whether two started containers of it would take something from one another, and what.
    #[must_use]
    pub fn exclusive(&self) -> Option<Why> {
        let volume = self.mounts.iter().any(|mount| mount.access == Access::Exclusive);
        if volume { Some(Why::Volume) } else { (!self.ports.is_empty()).then_some(Why::Port) }
    }
}

impl Plan {
    /// Whether blue goes before green starts. A release folder takes nothing from another one: it comes beside it, whatever
    /// the strategy is called.
    #[must_use]
    pub fn takes_turns(&self) -> bool {
        self.strategy == Strategy::Recreate && !self.template.serves_files()
    }

    /// Whether this plan has a step.
    #[must_use]
    pub fn has(&self, step: Step) -> bool {
        self.steps.iter().any(|planned| planned.step == step)
    }

    /// The units of the slot that routes and the workload's name lead to: those of the workload itself.
    #[must_use]
    pub fn routed(&self) -> &[UnitId] {
        let others: usize = self.processes.iter().map(|process| process.units.len()).sum();
        self.slot.get(..self.slot.len().saturating_sub(others)).unwrap_or_default()
    }

    /// What a unit has for itself.
    #[must_use]
    pub fn part(&self, unit: UnitId) -> Part<'_> {
        if let Some(command) = self.release_command.as_ref().filter(|command| command.unit == unit) {
            return Part {
                process: RELEASE,
                command: Some(&command.command),
                limits: self.template.limits,
                health: None,
                port: None,
                alias: "",
                ports: &[],
            };
        }
        match self.processes.iter().find(|process| process.units.contains(&unit)) {
            Some(process) => Part {
                process: &process.name,
                command: Some(&process.command),
                limits: process.limits,
                health: process.health.as_ref(),
                port: None,
                alias: "",
                ports: &[],
            },
            None => Part {
                process: "",
                command: self.template.command.as_deref(),
                limits: self.template.limits,
                health: self.health.as_ref(),
                port: self.template.port,
                alias: &self.template.alias,
                ports: &self.template.ports,
            },
        }
    }

    /// What a unit has mounted: the release command never what one container at a time may have, because the former
    /// one still has it.
    pub fn mounts(&self, unit: UnitId) -> impl Iterator<Item = &Mount> {
        let all = !self.runs_command_in(unit);
        self.template.mounts.iter().filter(move |mount| all || mount.access != Access::Exclusive)
    }

    /// Whether a unit is the container of the release command.
    #[must_use]
    pub fn runs_command_in(&self, unit: UnitId) -> bool {
        self.release_command.as_ref().is_some_and(|command| command.unit == unit)
    }

    /// The plan of one unit, when this plan creates it.
    #[must_use]
    pub fn unit(&self, unit: UnitId) -> Option<&UnitPlan> {
        self.units.iter().find(|planned| planned.unit == unit)
    }
}
