//! Ids that follow from the history: the same history always has the same ones, and equal histories meet.

use std::net::Ipv4Addr;

use cutover_domain::plan::Ids;
use cutover_domain::protocol::{Rule, on};
use cutover_events::deployment::Wish;
use cutover_events::{DeploymentId, Event, ReleaseId, UnitId};

use crate::log::Log;
use crate::scenario::Program;

const WISHED: u8 = 1;
const HEAL: u8 = 2;
/// Numbers of one log before its tail went; what comes after begins above them: names carry entropy.
const PER_TAIL: u8 = 32;

/// The id of the n-th wish.
pub(crate) fn deployment(n: usize) -> DeploymentId {
    id(WISHED, n as u8)
}

/// The id of the next repair.
pub(crate) fn heal(log: &Log, tails: u8) -> DeploymentId {
    let heals = log.events().filter(|event| matches!(event, Event::IntentQueued(e) if e.wish == Wish::Heal));
    id(HEAL, heals.count() as u8 + tails * PER_TAIL)
}

fn id(kind: u8, n: u8) -> DeploymentId {
    let mut bytes = [0; 16];
    (bytes[0], bytes[14], bytes[15]) = (1, kind, n);
    DeploymentId(bytes)
}

/// Which wish it is, when it is one of the scenario.
pub(crate) fn wish(id: DeploymentId) -> Option<usize> {
    (id.0[14] == WISHED).then_some(usize::from(id.0[15]))
}

/// What the container of a unit runs.
pub(crate) fn program(unit: UnitId) -> Program {
    Program::of(unit.0[15])
}

/// Which wish a unit is the release command of, when it is one.
pub(crate) fn commanded(unit: UnitId) -> Option<usize> {
    (unit.0[10] == 1 && unit.0[11] == WISHED).then_some(usize::from(unit.0[12]))
}

/// The release that a deployment makes.
pub(crate) fn release(id: DeploymentId) -> ReleaseId {
    ReleaseId(id.0)
}

/// The units of one plan.
pub(crate) struct Minted {
    unit: [u8; 16],
    /// So many are of the workload itself, then of its other process; what follows is its release command.
    counts: [u16; 2],
    program: Program,
}

impl Minted {
    /// For one more plan of a deployment, whose units run this.
    pub(crate) fn new(deployment: DeploymentId, log: &Log, tails: u8, (program, counts): (Program, [u16; 2])) -> Self {
        let mut unit = [0; 16];
        if !on(Rule::Unique) {
            (unit[0], unit[13]) = (2, (log.plans().count() % 2) as u8);
            return Self { unit, counts, program };
        }
        let plans = log.plans().filter(|(_, of, _)| *of == deployment).count();
        (unit[0], unit[11], unit[12]) = (2, deployment.0[14], deployment.0[15]);
        unit[13] = plans as u8 + tails * PER_TAIL;
        Self { unit, counts, program }
    }
}

impl Ids for Minted {
    fn unit(&mut self) -> UnitId {
        self.unit[14] += 1;
        let (n, [own, workers]) = (u16::from(self.unit[14]), self.counts);
        let program = match n {
            _ if n <= own => self.program.own(),
            _ if n <= own.saturating_add(workers) => self.program.of_worker(),
            _ => self.program.of_command(),
        };
        self.unit[10] = u8::from(n > own.saturating_add(workers));
        self.unit[15] = program.code();
        UnitId(self.unit)
    }

    fn address(&mut self) -> Ipv4Addr {
        let [.., kind, n, plan, replica, _] = self.unit;
        Ipv4Addr::new(10, kind << 6 | n, plan, replica)
    }
}
