//! What holds when nothing can happen any more but a new fault: everything that was promised.

use cutover_domain::invariants::{at_rest, rests};
use cutover_events::UnitId;

use crate::budget::Fault;
use crate::ids;
use crate::scenario::{Program, Say};
use crate::scene::{Case, HEAD, Lie, Scene, WORKLOAD};
use crate::watch::End;

/// Faults that end or harm containers: after one of them a good wish may fail.
const HARM: &[Fault] = &[Fault::Flap, Fault::Remove, Fault::Exit, Fault::Daemon, Fault::Reboot, Fault::Tail];

impl Scene {
    /// Every sentence about a state of rest.
    pub(crate) fn rests_well(&self, case: &Case) -> Result<(), Lie> {
        if self.mind.held {
            return Ok(());
        }
        self.replays()?;
        let observed = self.world.observed(WORKLOAD, HEAD);
        if !rests(&self.work, &observed) {
            return Err("stuck: something is left to do, and nothing does it".into());
        }
        if let Some(n) = (0..case.scenario.wishes()).find(|n| self.course.ends[*n] == End::None) {
            return Err(format!("stuck: the wish {n} has no end"));
        }
        let gone = self.course.ends.contains(&End::Gone);
        if gone && self.left.untouched(&case.budget, &[Fault::Tail]) {
            return Err("a wish was accepted, and the log does not hold it".into());
        }
        let unknown = observed.containers.iter().any(|seen| !seen.witnessed);
        // What is ill for good cannot be routed again once the proxy has forgotten it.
        let ill = |unit: UnitId| {
            ids::program(unit) == Program::Sickens && self.world.unit(unit).is_some_and(|body| !body.ready())
        };
        let stays_ill = self.work.active.as_ref().is_some_and(|slot| slot.units.iter().any(|unit| ill(*unit)));
        if let Some(breach) = at_rest(&self.work, &observed).first().filter(|_| !unknown && !stays_ill) {
            return Err(breach.to_string());
        }
        let ready = |unit: &UnitId| ill(*unit) || self.world.unit(*unit).is_some_and(|body| body.ready());
        if self.work.active.as_ref().is_some_and(|slot| !slot.units.iter().all(ready)) {
            return Err("an active container is not ready at rest".into());
        }
        self.won(case)
    }

    /// The wish that the scenario names has succeeded, and what it asked for is what runs.
    fn won(&self, case: &Case) -> Result<(), Lie> {
        let Some(n) = case.scenario.wins.filter(|_| self.left.untouched(&case.budget, HARM)) else { return Ok(()) };
        let n = usize::from(n);
        if self.course.ends[n] != End::Succeeded {
            return Err(format!("the wish {n} should have won, and ended {:?}", self.course.ends[n]));
        }
        let active = self.work.active.as_ref().map(|slot| slot.release);
        let right = match case.scenario.asked(n).map(|asked| asked.say) {
            Some(Say::Deploy(_)) => active == Some(ids::release(ids::deployment(n))),
            Some(Say::RollbackTo(of)) => active == Some(ids::release(ids::deployment(usize::from(of)))),
            Some(Say::Teardown) => active.is_none() && self.world.containers().next().is_none(),
            _ => active.is_some(),
        };
        if right { Ok(()) } else { Err(format!("the wish {n} has won, and {active:?} runs")) }
    }
}
