//! Drills: every plan that exists, disturbed at every one of its points. A new step is covered the day it is added.

use cutover_events::DeploymentId;
use cutover_events::deployment::{ImageWish, Wish};
use cutover_events::workload::OnCrash;

use crate::drill::{Drill, Kind};
use crate::shop::{Program, Spec};
use crate::sim::Sim;
use crate::watch::End;
use crate::wishes::By;

/// What is done before the drill, and what is wished in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scenario {
    DeployFirst,
    DeployAgain,
    DeployReplicas,
    DeployCurrent,
    Restart,
    RollbackNew,
    RollbackAdopt,
    HealOne,
    HealAll,
    Teardown,
    Stop,
    Start,
    AloneFirst,
    AloneAgain,
    AloneRollback,
    AloneRestart,
    AloneHeal,
    AloneFromStandby,
    AloneRestore,
    AloneTeardown,
    AloneStop,
    AloneStart,
    RouteBack,
    WorkerFirst,
    WorkerAgain,
    WorkerEnds,
    WorkerHeal,
    WorkerHealAll,
    WorkerRollbackAdopt,
    WorkerRecreate,
    WorkerRestore,
    LoneAgain,
    AfterFirst,
    CommandAgain,
    CommandFails,
    CommandAlone,
    BuiltAgain,
    BuiltAlone,
    SiteFirst,
    SiteAgain,
    SiteRollback,
    SiteHeal,
    SiteTeardown,
    SiteFollows,
    SiteRestore,
    StackFirst,
    StackAgain,
    StackRestore,
    StackRollback,
    StackHeal,
    StackTeardown,
}

use Scenario::*;

pub(crate) const ALL: [Scenario; 51] = [
    DeployFirst,
    DeployAgain,
    DeployReplicas,
    DeployCurrent,
    Restart,
    RollbackNew,
    RollbackAdopt,
    HealOne,
    HealAll,
    Teardown,
    Stop,
    Start,
    AloneFirst,
    AloneAgain,
    AloneRollback,
    AloneRestart,
    AloneHeal,
    AloneFromStandby,
    AloneRestore,
    AloneTeardown,
    AloneStop,
    AloneStart,
    RouteBack,
    WorkerFirst,
    WorkerAgain,
    WorkerEnds,
    WorkerHeal,
    WorkerHealAll,
    WorkerRollbackAdopt,
    WorkerRecreate,
    WorkerRestore,
    LoneAgain,
    AfterFirst,
    CommandAgain,
    CommandFails,
    CommandAlone,
    BuiltAgain,
    BuiltAlone,
    SiteFirst,
    SiteAgain,
    SiteRollback,
    SiteHeal,
    SiteTeardown,
    SiteFollows,
    SiteRestore,
    StackFirst,
    StackAgain,
    StackRestore,
    StackRollback,
    StackHeal,
    StackTeardown,
];

impl Scenario {
    fn spec(self) -> Spec {
        let mut spec = Spec::plain(match self {
            DeployReplicas | HealOne | HealAll => 2,
            _ => 1,
        });
        if self.works() {
            spec.workers = 1;
        }
        if matches!(self, WorkerRecreate | WorkerRestore) {
            spec.kind = crate::shop::Kind::Asks;
        }
        if matches!(self, LoneAgain) {
            spec.kind = crate::shop::Kind::Lone;
        }
        spec.release = match self {
            CommandAgain | CommandFails => Some(OnCrash::Ask),
            CommandAlone => Some(OnCrash::Again),
            _ => None,
        };
        spec.after = matches!(self, AfterFirst).then_some(1);
        if matches!(self, RollbackAdopt | Teardown | AloneFromStandby | WorkerRollbackAdopt) {
            spec.policy.standby_ms = 600_000;
        }
        if matches!(self, RouteBack) {
            // Longer than its new version lives, whatever disturbs it.
            spec.policy.bake_ms = 60_000;
        }
        if self.is_alone() {
            spec.kind = crate::shop::Kind::Alone;
        }
        if matches!(self, SiteFirst | SiteAgain | SiteRollback | SiteHeal | SiteTeardown | SiteRestore) {
            spec.kind = crate::shop::Kind::Folder;
        }
        if matches!(self, StackFirst | StackAgain | StackRestore | StackRollback | StackHeal | StackTeardown) {
            spec.kind = crate::shop::Kind::Stack;
        }
        spec
    }

    /// Whether its workload has another process.
    fn works(self) -> bool {
        matches!(
            self,
            WorkerFirst
                | WorkerAgain
                | WorkerEnds
                | WorkerHeal
                | WorkerHealAll
                | WorkerRollbackAdopt
                | WorkerRecreate
                | WorkerRestore
        )
    }

    /// Whether what it wishes is bad and must fail.
    fn is_bad(self) -> bool {
        matches!(
            self,
            AloneRestore | SiteRestore | StackRestore | WorkerEnds | WorkerRestore | RouteBack | CommandFails
        )
    }

    /// Whether its workload is exclusive from the beginning.
    fn is_alone(self) -> bool {
        matches!(
            self,
            AloneFirst
                | AloneAgain
                | AloneRollback
                | AloneRestart
                | AloneHeal
                | AloneRestore
                | AloneTeardown
                | AloneStop
                | AloneStart
                | CommandAlone
                | BuiltAlone
                | SiteFollows
        )
    }

    /// A world at rest, just before the wish of the scenario.
    pub(crate) fn prepared(self) -> Sim {
        // What it may come after; it is deployed at the same time.
        let other = matches!(self, AfterFirst).then(|| Spec::plain(1));
        let specs: Vec<_> = [self.spec()].into_iter().chain(other).collect();
        let mut sim = Sim::new(7, &specs);
        sim.calm = true;
        let deployments = match self {
            DeployFirst | AloneFirst | WorkerFirst | AfterFirst | SiteFirst | StackFirst => 0,
            WorkerRollbackAdopt | RollbackNew | RollbackAdopt | Teardown | AloneRollback | AloneFromStandby
            | SiteRollback | StackRollback => 2,
            _ => 1,
        };
        for _ in 0..deployments {
            let wish = sim.deploy_of(Program::GOOD);
            sim.wish(0, wish, By::Person);
            sim.settle();
        }
        if matches!(self, AfterFirst) {
            let wish = sim.deploy_of(Program::GOOD);
            sim.wish(1, wish, By::Person);
        }
        if matches!(self, DeployCurrent) {
            sim.shops[0].specs.push(Spec::plain(2));
        }
        if matches!(self, AloneFromStandby | SiteRestore) {
            sim.shops[0].specs.push(Spec::alone());
        }
        if matches!(self, SiteFollows) {
            sim.shops[0].specs.push(Spec { kind: crate::shop::Kind::Folder, ..Spec::plain(1) });
        }
        if matches!(self, Start | AloneStart) {
            sim.wish(0, stop(), By::Person);
            sim.settle();
        }
        let routed: Vec<_> = sim.world.targets(sim.shops[0].id).iter().collect();
        for unit in routed {
            sim.world.connect(unit);
        }
        sim
    }

    pub(crate) fn wish(self, sim: &mut Sim, by: By) -> Option<DeploymentId> {
        let wish = match self {
            DeployFirst | DeployAgain | DeployReplicas | AloneFirst | AloneAgain | AloneFromStandby | WorkerFirst
            | WorkerAgain | WorkerRecreate | LoneAgain | AfterFirst | CommandAgain | CommandAlone | SiteFirst
            | SiteAgain | SiteFollows | StackFirst | StackAgain => sim.deploy_of(Program::GOOD),
            BuiltAgain | BuiltAlone => {
                sim.deploy_of(Program::GOOD);
                Wish::Deploy(ImageWish::Built { fresh: false, upload: None })
            }
            CommandFails => sim.deploy_of(Program::COMMAND_FAILS),
            WorkerEnds | WorkerRestore => sim.deploy_of(Program::WORKER_EXITS),
            AloneRestore | SiteRestore | StackRestore => sim.deploy_of(Program::EXITS),
            RouteBack => sim.deploy_of(Program::FAILS),
            DeployCurrent => Wish::Deploy(ImageWish::Current),
            Restart | AloneRestart => Wish::Restart,
            RollbackNew | RollbackAdopt | AloneRollback | WorkerRollbackAdopt | SiteRollback | StackRollback => {
                Wish::Rollback(None)
            }
            Teardown | AloneTeardown | SiteTeardown | StackTeardown => Wish::Teardown,
            Stop | AloneStop => stop(),
            Start | AloneStart => Wish::Start,
            HealOne | HealAll | AloneHeal | WorkerHeal | WorkerHealAll | SiteHeal | StackHeal => {
                return self.break_down(sim);
            }
        };
        Some(sim.wish(0, wish, by).expect("the wish of a scenario is accepted"))
    }

    fn break_down(self, sim: &mut Sim) -> Option<DeploymentId> {
        let units = sim.engine.lanes[0].state.active.as_ref().map(|slot| slot.units.clone()).unwrap_or_default();
        let some = match self {
            HealOne => &units[..1],
            WorkerHeal => &units[1..],
            _ => &units[..],
        };
        for unit in some {
            sim.world.human_remove(*unit);
        }
        sim.engine.lanes[0].wake_ms = 0;
        None
    }

    /// The whole scenario under one disturbance.
    pub(crate) fn run(self, kind: Kind) -> Sim {
        let mut sim = self.prepared();
        sim.trace = Some(Vec::new());
        let base = sim.journal.commits().len();
        sim.met.clear();
        let id = self.wish(&mut sim, By::Person);
        sim.drill = Drill::new(kind, base + usize::from(id.is_some()));
        sim.settle();
        while !sim.world.pending().is_empty() {
            sim.land(0);
            sim.engine.lanes[0].wake_ms = 0;
            sim.settle();
        }
        let name = format!("{self:?} {kind:?}");
        let trace = sim.trace.clone().unwrap_or_default().join("\n");
        assert_eq!(sim.violation, None, "{name}\n{trace}");
        assert!(sim.drill.struck || matches!(kind, Kind::None | Kind::Twice), "{name}: never came to it\n{trace}");
        let mut ends = sim.watch.accepted.iter().map(|(id, accepted)| (*id, accepted.end));
        let bad = self.is_bad().then_some(id).flatten();
        let good = ends.all(|(id, end)| end == Some(if Some(id) == bad { End::Failed } else { End::Succeeded }));
        assert!(good || !kind.is_harmless(), "{name}: something did not succeed\n{trace}");
        let leaves = matches!(self, Teardown | AloneTeardown | SiteTeardown | StackTeardown | Stop | AloneStop);
        assert!(!good || sim.serves(0) != leaves, "{name}: who serves?\n{trace}");
        sim
    }
}

fn stop() -> Wish {
    Wish::Stop { by: "somebody".into() }
}

impl Kind {
    /// What the engine must get over, so that the deployment succeeds all the same.
    fn is_harmless(self) -> bool {
        !matches!(self, Kind::Refuse(_) | Kind::Remove(..))
    }
}

/// Effects and commits of the undisturbed scenario.
fn points(scenario: Scenario) -> (usize, usize) {
    let sim = scenario.run(Kind::None);
    (sim.drill.effects, sim.journal.commits().len() - sim.drill.base)
}

#[test]
fn an_undisturbed_plan_succeeds() {
    for scenario in ALL {
        let (effects, commits) = points(scenario);
        assert!(effects >= 1 && commits >= 4, "{scenario:?}: {effects} effects, {commits} commits");
    }
}

#[test]
fn every_effect_may_be_refused() {
    for scenario in ALL {
        (0..points(scenario).0).for_each(|k| drop(scenario.run(Kind::Refuse(k))));
    }
}

#[test]
fn every_effect_may_be_repeated() {
    ALL.into_iter().for_each(|scenario| drop(scenario.run(Kind::Twice)));
}

#[test]
fn the_engine_may_die_at_every_effect() {
    for scenario in ALL {
        for k in 0..points(scenario).0 {
            scenario.run(Kind::DieBefore(k));
            scenario.run(Kind::DieAfter(k));
        }
    }
}

#[test]
fn every_effect_may_come_after_everything_is_over() {
    for scenario in ALL {
        (0..points(scenario).0).for_each(|k| drop(scenario.run(Kind::Late(k))));
    }
}

#[test]
fn the_log_may_end_at_every_commit() {
    for scenario in ALL {
        for k in 0..points(scenario).1 {
            scenario.run(Kind::CutBefore(k));
            scenario.run(Kind::CutAfter(k));
        }
    }
}

#[test]
fn people_may_remove_every_container_at_every_effect() {
    for scenario in ALL {
        for k in 0..points(scenario).0 {
            (0..6).for_each(|n| drop(scenario.run(Kind::Remove(k, n))));
        }
    }
}
