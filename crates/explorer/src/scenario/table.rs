//! The scenarios.

use super::Program::{
    CommandFails, CommandHangs, Dies, Exits, Good, Late, Other, Sickens, Silent, WorkerDies, WorkerExits,
};
use super::Say::{Cancel, Current, Deploy, Freeze, Restart, Rollback, RollbackTo, Start, Stop, Teardown, Thaw};
use super::{Asked, HOST_PORT, PLAIN, Scenario, Settings, machine, person};
use crate::budget::{Budget, Fault};
use cutover_events::plan::Strategy;
use cutover_events::workload::{OnCrash, OnDrift, SourceKind};

const GOOD: Asked = person(Deploy(Good));
const PUSH: Asked = machine(Deploy(Good));
const QUICK: Settings = Settings { bake_ms: 0, ..PLAIN };
const STANDBY: Settings = Settings { bake_ms: 0, standby_ms: 600_000, ..PLAIN };
/// The standby ends while a gate still waits.
const SHORT_STANDBY: Settings = Settings { bake_ms: 0, standby_ms: 15_000, ..PLAIN };
const TWO: Settings = Settings { replicas: 2, bake_ms: 0, ..PLAIN };
const NO_HEALTH: Settings = Settings { health: false, bake_ms: 0, ..PLAIN };

const ALONE: Settings = Settings { port: Some(HOST_PORT), bake_ms: 0, ..PLAIN };

/// What differs is left to persons.
const REPORTED: Settings = Settings { drift: OnDrift::Report, ..QUICK };
/// A person at work.
const HANDS: Budget = Budget::of(&[(Fault::Hand, 2)]);
const WORKER: Settings = Settings { workers: 1, bake_ms: 0, ..PLAIN };
const WORKER_BAKE: Settings = Settings { workers: 1, ..PLAIN };
const WORKER_STANDBY: Settings = Settings { workers: 1, ..STANDBY };
const WORKER_RECREATE: Settings = Settings { asks: Some(Strategy::Recreate), ..WORKER };
/// A release command, and a person is asked when nobody knows how it ended.
const COMMAND: Settings = Settings { release: Some(OnCrash::Ask), ..QUICK };
/// A release command that may run again.
const COMMAND_AGAIN: Settings = Settings { release: Some(OnCrash::Again), ..QUICK };
const COMMAND_ALONE: Settings = Settings { release: Some(OnCrash::Ask), ..ALONE };
const LONE: Settings = Settings { routed: None, health: false, bake_ms: 0, ..PLAIN };
const SITE: Settings = Settings { source: SourceKind::Static, health: false, ..QUICK };
const STACK: Settings = Settings { source: SourceKind::Compose, health: false, ..QUICK };

/// A scenario on one row of settings, with no fault of its own.
const fn of(name: &'static str, settings: &'static [Settings], script: &'static [Asked]) -> Scenario {
    Scenario { name, settings, before: &[], script, wins: None, own: Budget::of(&[]) }
}

impl Scenario {
    const fn after(self, before: &'static [Asked]) -> Self {
        Self { before, ..self }
    }

    const fn won_by(self, n: u8) -> Self {
        Self { wins: Some(n), ..self }
    }

    const fn with(self, own: Budget) -> Self {
        Self { own, ..self }
    }
}

/// Every scenario.
pub(crate) const ALL: &[Scenario] = &[
    of("first deployment", &[PLAIN], &[GOOD]).won_by(0),
    of("first deployment, ends at start", &[PLAIN], &[person(Deploy(Exits))]),
    of("first deployment, never listens", &[QUICK], &[person(Deploy(Silent))]),
    of("first deployment, dies while watched", &[PLAIN], &[person(Deploy(Dies))]),
    of("deploy again", &[PLAIN], &[GOOD]).after(&[GOOD]).won_by(1),
    of("deploy again without a health check", &[NO_HEALTH], &[GOOD]).after(&[GOOD]).won_by(1),
    of("deploy again, ends at start", &[QUICK], &[person(Deploy(Exits))]).after(&[GOOD]),
    of("deploy again, never listens", &[QUICK], &[person(Deploy(Silent))]).after(&[GOOD]),
    of("bake, green dies and the route goes back", &[PLAIN], &[person(Deploy(Dies))]).after(&[GOOD]),
    of("bake, green sickens and the route goes back", &[PLAIN], &[person(Deploy(Sickens))]).after(&[GOOD]),
    of("two deployments, the newer wins", &[QUICK], &[GOOD, GOOD]).won_by(1),
    of("a push comes during a bake", &[PLAIN], &[PUSH, PUSH]).after(&[GOOD]).won_by(2),
    of("three pushes in a row", &[QUICK], &[PUSH, PUSH, PUSH]).won_by(2),
    of("a push does not supersede a person", &[QUICK], &[GOOD, PUSH]).won_by(1),
    of("bad, then good", &[QUICK], &[person(Deploy(Exits)), GOOD]).won_by(1),
    of("ill at the switch, then good", &[QUICK], &[person(Deploy(Sickens)), GOOD]).won_by(1),
    of("a person cancels", &[QUICK], &[GOOD, person(Cancel(1))]).after(&[GOOD]),
    of("roll back to the standby", &[STANDBY], &[person(Rollback)]).after(&[GOOD, GOOD]).won_by(2),
    of("roll back to a recorded release", &[QUICK], &[person(RollbackTo(0))]).after(&[GOOD, GOOD]).won_by(2),
    of("the standby ends under a rollback (X7)", &[SHORT_STANDBY], &[GOOD, person(Rollback)]).after(&[GOOD]),
    of("an adopted standby is superseded", &[STANDBY], &[person(Rollback), GOOD]).after(&[GOOD, GOOD]).won_by(3),
    of("two standbys (X1)", &[STANDBY], &[GOOD, GOOD]).after(&[GOOD]).won_by(2),
    of("a push is faster than its image", &[QUICK], &[machine(Deploy(Late))]).after(&[GOOD]),
    of("a push waits for its image, a newer one wins", &[QUICK], &[machine(Deploy(Late)), PUSH])
        .after(&[GOOD])
        .won_by(2),
    of("a push waits for its image, and a person cancels", &[QUICK], &[machine(Deploy(Late)), person(Cancel(0))]),
    of("a push waits for its image, the container dies", &[QUICK], &[machine(Deploy(Late))])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Exit, 1)])),
    of("a push brings back what was rolled back from", &[QUICK], &[person(Rollback), machine(Deploy(Other))])
        .after(&[GOOD, person(Deploy(Other))])
        .won_by(2),
    of("a push brings back what has failed", &[QUICK], &[machine(Deploy(Exits)), machine(Deploy(Exits))])
        .after(&[GOOD]),
    of("stop, then start", &[QUICK], &[person(Stop), person(Start)]).after(&[GOOD]),
    of("a push meets a stop", &[QUICK], &[PUSH, person(Stop), PUSH]).after(&[GOOD]).won_by(2),
    of("stop with a standby, then deploy", &[STANDBY], &[person(Stop), GOOD]).after(&[GOOD, GOOD]).won_by(3),
    of("restart", &[QUICK], &[person(Restart)]).after(&[GOOD]).won_by(1),
    of("current image under new settings", &[QUICK, TWO], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("the active container dies (X4)", &[QUICK], &[]).after(&[GOOD]).with(Budget::of(&[(Fault::Exit, 1)])),
    of("somebody removes the active container", &[QUICK], &[]).after(&[GOOD]).with(Budget::of(&[(Fault::Remove, 1)])),
    of("the host restarts (X4)", &[QUICK], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Reboot, 1)])),
    of("teardown", &[STANDBY], &[person(Teardown)]).after(&[GOOD, GOOD]).won_by(2),
    of("deploy, teardown, deploy", &[QUICK], &[GOOD, person(Teardown), GOOD]).won_by(2),
    of("two replicas", &[TWO], &[GOOD]).after(&[GOOD]).won_by(1),
    of("one of two replicas dies", &[TWO], &[]).after(&[GOOD]).with(Budget::of(&[(Fault::Exit, 1)])),
    of("the proxy restarts during a swap", &[QUICK], &[GOOD])
        .after(&[GOOD])
        .won_by(1)
        .with(Budget::of(&[(Fault::Router, 1)])),
    of("the daemon restarts during a swap", &[QUICK], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Daemon, 1)])),
    of("the tail of the log is gone", &[QUICK], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Tail, 1)])),
    of("the tail of the log is gone, and a cancel with it", &[QUICK], &[GOOD, person(Cancel(1))])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Tail, 1)])),
    of("alone, the tail of the log is gone", &[ALONE], &[person(Deploy(Exits)), GOOD])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Tail, 1)])),
    of("the host sleeps", &[PLAIN], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Stall, 1)])),
    of("a push waits while it is frozen", &[QUICK], &[person(Freeze), PUSH, person(Thaw)]).after(&[GOOD]).won_by(2),
    of("a person deploys while it is frozen", &[QUICK], &[person(Freeze), GOOD, PUSH, person(Thaw)])
        .after(&[GOOD])
        .won_by(3),
    of("frozen, the container dies, thawed", &[QUICK], &[person(Freeze), person(Thaw)])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Exit, 1)])),
    of("frozen and left so, hands on it", &[QUICK], &[person(Freeze)]).after(&[GOOD]).with(HANDS),
    of("frozen, hands on the standby, thawed", &[STANDBY], &[person(Freeze), person(Thaw)])
        .after(&[GOOD, GOOD])
        .with(Budget::of(&[(Fault::Hand, 1)])),
    of("hands on what serves", &[QUICK], &[]).after(&[GOOD]).with(HANDS),
    of("hands on one of two replicas", &[TWO], &[]).after(&[GOOD]).with(HANDS),
    of("hands are only reported", &[REPORTED], &[]).after(&[GOOD]).with(HANDS),
    of("reported, then deployed", &[REPORTED], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Hand, 1)])),
    of("hands on a deployment", &[PLAIN], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Hand, 1)])),
    of("alone, hands on it", &[ALONE], &[]).after(&[GOOD]).with(HANDS),
    of("alone, hands on a deployment", &[ALONE], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Hand, 1)])),
    of("alone, first deployment", &[ALONE], &[GOOD]).won_by(0),
    of("alone, first deployment ends at start", &[ALONE], &[person(Deploy(Exits))]),
    of("alone, deploy again", &[ALONE], &[GOOD]).after(&[GOOD]).won_by(1),
    of("alone, ends at start and is restored (X3)", &[ALONE], &[person(Deploy(Exits))]).after(&[GOOD]),
    of("alone, never listens and is restored", &[ALONE], &[person(Deploy(Silent))]).after(&[GOOD]),
    of("alone, bad, then good", &[ALONE], &[person(Deploy(Exits)), GOOD]).after(&[GOOD]).won_by(2),
    of("alone, two deployments", &[ALONE], &[GOOD, GOOD]).after(&[GOOD]).won_by(2),
    of("alone, recreate, recreate, rollback (X2)", &[ALONE], &[person(Rollback)]).after(&[GOOD, GOOD]).won_by(2),
    of("alone, restart", &[ALONE], &[person(Restart)]).after(&[GOOD]).won_by(1),
    of("alone, a standby is left (X1)", &[STANDBY, ALONE], &[person(Current)]).after(&[GOOD, GOOD]).won_by(2),
    of("alone, the container dies (X4)", &[ALONE], &[]).after(&[GOOD]).with(Budget::of(&[(Fault::Exit, 1)])),
    of("alone, a restore dies and it is down (X5)", &[ALONE], &[person(Deploy(Exits))])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Exit, 1)])),
    of("alone, the host restarts", &[ALONE], &[GOOD]).after(&[GOOD]).with(Budget::of(&[(Fault::Reboot, 1)])),
    of("alone, the proxy restarts", &[ALONE], &[GOOD]).after(&[GOOD]).won_by(1).with(Budget::of(&[(Fault::Router, 1)])),
    of("alone, stop, then start", &[ALONE], &[person(Stop), person(Start)]).after(&[GOOD]),
    of("alone, teardown", &[ALONE], &[person(Teardown)]).after(&[GOOD]).won_by(1),
    of("a worker beside it, deploy again", &[WORKER], &[GOOD]).after(&[GOOD]).won_by(1),
    of("the worker ends at start", &[WORKER], &[person(Deploy(WorkerExits))]).after(&[GOOD]).won_by(0),
    of("the worker ends at start, then good", &[WORKER], &[person(Deploy(WorkerExits)), GOOD]).won_by(1),
    of("bake, the worker dies and the route goes back", &[WORKER_BAKE], &[person(Deploy(WorkerDies))]).after(&[GOOD]),
    of("roll back to a standby with a worker", &[WORKER_STANDBY], &[person(Rollback)]).after(&[GOOD, GOOD]).won_by(2),
    of("a live worker dies", &[WORKER], &[]).after(&[GOOD]).with(Budget::of(&[(Fault::Exit, 1)])),
    of("a worker comes", &[QUICK, WORKER], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("a worker goes", &[WORKER, QUICK], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("recreated with a worker", &[WORKER_RECREATE], &[GOOD]).after(&[GOOD]).won_by(1),
    of("recreated, the worker ends at start and both are restored", &[WORKER_RECREATE], &[person(Deploy(WorkerExits))])
        .after(&[GOOD]),
    of("nothing leads to it, deploy again", &[LONE], &[GOOD]).after(&[GOOD]).won_by(1),
    of("nothing leads to it, teardown", &[LONE], &[person(Teardown)]).after(&[GOOD]).won_by(1),
    of("a release command, then the swap", &[COMMAND], &[GOOD]).after(&[GOOD]).won_by(1),
    of("a release command before the first deployment", &[COMMAND], &[GOOD]).won_by(0),
    of("a release command that may run again", &[COMMAND_AGAIN], &[GOOD]).after(&[GOOD]).won_by(1),
    of("a release command fails", &[COMMAND], &[person(Deploy(CommandFails))]).after(&[GOOD]),
    of("a release command never ends", &[COMMAND], &[person(Deploy(CommandHangs))]).after(&[GOOD]),
    of("a push meets a release command", &[COMMAND], &[PUSH, PUSH]).after(&[GOOD]).won_by(2),
    of("a person insists on the end of a release command", &[COMMAND], &[GOOD, person(Cancel(1))]).after(&[GOOD]),
    of("recreated after a release command", &[COMMAND_ALONE], &[GOOD]).after(&[GOOD]).won_by(1),
    of("a release command and the host restarts", &[COMMAND], &[GOOD])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Reboot, 1)])),
    of("a site, deploy again", &[SITE], &[GOOD]).after(&[GOOD]).won_by(1),
    of("a site, roll back", &[SITE], &[person(Rollback)]).after(&[GOOD, GOOD]).won_by(2),
    of("a site, a push meets a person", &[SITE], &[PUSH, GOOD]).after(&[GOOD]).won_by(2),
    of("a site follows what is alone", &[ALONE, SITE], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("what is alone follows a site", &[SITE, ALONE], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("what is alone follows a site, dies, and the site is restored", &[SITE, ALONE], &[person(Current)])
        .after(&[GOOD])
        .with(Budget::of(&[(Fault::Exit, 1)])),
    of("a site, teardown", &[SITE], &[person(Teardown)]).after(&[GOOD]).won_by(1),
    of("a stack, first deployment", &[STACK], &[GOOD]).won_by(0),
    of("a stack, deploy again", &[STACK], &[GOOD]).after(&[GOOD]).won_by(1),
    of("a stack ends at start and is restored", &[STACK], &[person(Deploy(Exits))]).after(&[GOOD]),
    of("a stack follows a container", &[QUICK, STACK], &[person(Current)]).after(&[GOOD]).won_by(1),
    of("connections are cut at the end of the drain", &[PLAIN], &[GOOD])
        .after(&[GOOD])
        .won_by(1)
        .with(Budget::of(&[(Fault::Cut, 1)])),
];
