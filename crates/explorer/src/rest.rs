//! What holds when nothing can happen any more but a new fault: everything that was promised.

use cutover_domain::deployment::handling;
use cutover_domain::invariants::{at_rest, rests};
use cutover_events::UnitId;
use cutover_events::deployment::Handling;
use cutover_events::plan::Step as Planned;

use crate::budget::Fault;
use crate::ids;
use crate::scenario::{Program, Say};
use crate::scene::{Case, HEAD, Lie, Scene, WORKLOAD};
use crate::watch::End;

/// Faults that end or harm containers: after one of them a good wish may fail.
const HARM: &[Fault] =
    &[Fault::Flap, Fault::Remove, Fault::Exit, Fault::Daemon, Fault::Reboot, Fault::Tail, Fault::Hand];

impl Scene {
    /// Every sentence about a state of rest.
    pub(crate) fn rests_well(&self, case: &Case) -> Result<(), Lie> {
        if self.mind.held {
            return Ok(());
        }
        self.replays()?;
        if self.waits_for_a_person() {
            return Ok(());
        }
        let waits = self.work.queue.iter().any(|intent| intent.person || !self.course.frozen);
        let waits = waits || (self.work.waiting.is_some() && !self.course.frozen);
        if self.work.open.is_some() || waits {
            return Err("stuck: a deployment has no end, and nothing moves it on".into());
        }
        if let Some(n) = (0..case.scenario.wishes()).find(|n| self.course.ends[*n] == End::None) {
            return Err(format!("stuck: the wish {n} has no end"));
        }
        if self.course.ends.contains(&End::Gone) && self.left.untouched(&case.budget, &[Fault::Tail]) {
            return Err("a wish was accepted, and the log does not hold it".into());
        }
        let active: &[UnitId] = self.work.active.as_ref().map_or(&[], |slot| &slot.units);
        // What runs and is ill for good is not repaired, and not routed again once the proxy has forgotten it; what
        // serves in its place stays routed, although it is listed for removal.
        if !active.iter().any(|unit| self.ill(*unit)) {
            self.tidy(active)?;
        }
        self.won(case)
    }

    /// What nothing may start beside is not known to the log, and so it is not touched: the status says so.
    fn waits_for_a_person(&self) -> bool {
        let clears =
            self.work.open.as_ref().and_then(|open| open.plan.as_ref()).is_some_and(|plan| plan.has(Planned::Clear));
        clears && self.world.observed(WORKLOAD, HEAD).containers.iter().any(|seen| !seen.witnessed)
    }

    /// Nothing is left to do, the world is as the log says, and what is active is ready.
    fn tidy(&self, active: &[UnitId]) -> Result<(), Lie> {
        let mut observed = self.world.observed(WORKLOAD, HEAD);
        observed.frozen = self.course.frozen;
        let left = handling(&self.work, &observed) != Handling::Repair;
        let noted = |unit: &UnitId| left && self.work.drifts.iter().any(|(known, _)| known == unit);
        // A green that failed stays routed, and so is not removed, until what is active can be routed again: a repair of
        // it has to wait for a thaw, or for the person who was only told of it.
        let routed = |unit: &UnitId| self.world.targets(WORKLOAD).contains(*unit);
        if (observed.frozen || active.iter().any(noted)) && self.work.removal.iter().any(routed) {
            return Ok(());
        }
        if !rests(&self.work, &observed) {
            return Err("stuck: something is left to do, and nothing does it".into());
        }
        let unknown = observed.containers.iter().any(|seen| !seen.witnessed);
        if let Some(breach) = at_rest(&self.work, &observed).first().filter(|_| !unknown) {
            return Err(breach.to_string());
        }
        let ready = |unit: &UnitId| self.world.unit(*unit).is_some_and(|body| body.ready()) || noted(unit);
        if active.iter().all(ready) { Ok(()) } else { Err("an active container is not ready at rest".into()) }
    }

    fn ill(&self, unit: UnitId) -> bool {
        ids::program(unit) == Program::Sickens && self.world.unit(unit).is_some_and(|body| !body.ready())
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
            Some(Say::Teardown | Say::Stop) => active.is_none() && self.world.containers().next().is_none(),
            _ => active.is_some(),
        };
        if right { Ok(()) } else { Err(format!("the wish {n} has won, and {active:?} runs")) }
    }
}
