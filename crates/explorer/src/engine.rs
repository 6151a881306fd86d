//! What happens to the engine as a whole: wishes, deaths, starts.

use cutover_domain::deployment::{Command, Insist};
use cutover_domain::protocol::{Rule, on};
use cutover_events::delivery::Change;
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use cutover_events::{BootId, Event};
use cutover_world::{Create, LiveRestore, Request, TableFate};

use crate::ids;
use crate::request::Outcome;
use crate::scenario::{Asked, By, Say};
use crate::scene::{Case, HEAD, Lie, Mind, Scene, WORKLOAD};
use crate::watch::{End, WISHES};

/// A log that is folded anew at every death would take most of the time: one death in so many is checked, by chance of
/// the number of commits and the time, and every state at rest.
const CHECKED: u64 = 16;

impl Scene {
    /// Somebody asks for the next thing; unheard, he asks for it again.
    pub(crate) fn wish(&mut self, case: &Case, outcome: Outcome) -> Result<(), Lie> {
        let n = case.scenario.before.len() + usize::from(self.course.asked);
        let Some(asked) = case.scenario.asked(n) else { return Ok(()) };
        let heard = outcome == Outcome::Done;
        self.course.asked += u8::from(heard);
        self.say(case, n, asked)?;
        // Who does not hear that he was refused asks again, and may be accepted then.
        if !heard && self.course.ends[n] == End::Refused {
            self.course.ends[n] = End::None;
        }
        Ok(())
    }

    /// The n-th wish is asked for.
    pub(crate) fn say(&mut self, case: &Case, n: usize, asked: Asked) -> Result<(), Lie> {
        if self.course.revision == 0 {
            self.course.revision = 1;
        }
        let known = self.course.accepted & 1 << n != 0;
        let wish = match asked.say {
            // The key is known: the answer is the same, and nothing is written.
            _ if known && on(Rule::Dedup) => return Ok(()),
            Say::Cancel(of) => {
                self.command(case, Command::Cancel(ids::deployment(usize::from(of)), Insist::Yes))?;
                self.course.ends[n] = End::Refused;
                return Ok(());
            }
            Say::Freeze | Say::Thaw => {
                self.course.frozen = asked.say == Say::Freeze;
                self.course.ends[n] = End::Refused;
                self.mind.hint();
                return Ok(());
            }
            Say::Deploy(program) => {
                Wish::Deploy(ImageWish::Reference { reference: program.code().to_string(), ask_registry: false })
            }
            Say::Current => {
                self.course.revision = case.scenario.settings.len() as u8;
                Wish::Deploy(ImageWish::Current)
            }
            Say::Rollback => Wish::Rollback(None),
            Say::RollbackTo(of) => Wish::Rollback(Some(ids::release(ids::deployment(usize::from(of))))),
            Say::Restart => Wish::Restart,
            Say::Teardown => Wish::Teardown,
            Say::Stop => Wish::Stop { by: "somebody".into() },
            Say::Start => Wish::Start,
        };
        let intent = IntentQueued {
            deployment: ids::deployment(n),
            workload: WORKLOAD,
            wish,
            revision: u32::from(self.course.revision),
            person: asked.by == By::Person,
            change: (asked.by == By::Machine).then(Change::default),
        };
        if !self.command(case, Command::Queue(intent))? {
            self.course.ends[n] = End::Refused;
        }
        Ok(())
    }

    /// A person answers what is parked.
    pub(crate) fn resume(&mut self, case: &Case) -> Result<(), Lie> {
        let Some(id) = self.open() else { return Ok(()) };
        self.command(case, Command::Resume(id)).map(drop)
    }

    /// The engine dies and starts again: everything but log and world is gone.
    pub(crate) fn crash(&mut self) -> Result<(), Lie> {
        if (u64::from(self.log.count()) * 7 + self.world.now_ms()).is_multiple_of(CHECKED) {
            self.replays()?;
        }
        let held = self.mind.held;
        self.mind = Mind::fresh(self.world.now_ms(), self.mind.epoch + 1, self.mind.boot);
        self.mind.held = held;
        self.world.forget_probes();
        Ok(())
    }

    /// The engine dies, and the newest commit was not on disk: nothing tells it so.
    pub(crate) fn crash_unsynced(&mut self, case: &Case) -> Result<(), Lie> {
        self.lose_tail(case, 1)?;
        self.mind.held = false;
        Ok(())
    }

    /// Everything that runs dies at once; requests on their way are gone with their senders.
    pub(crate) fn reboot(&mut self) -> Result<(), Lie> {
        while self.world.cancel(0).is_some() {}
        let hidden: Vec<_> = self.work.open.iter().filter_map(|open| open.plan.as_ref()).cloned().collect();
        for unit in hidden.iter().flat_map(|plan| plan.units.iter()) {
            self.world.appear(unit.unit);
        }
        self.world.daemon_restart(LiveRestore::Off);
        self.world.router_restart(TableFate::Kept);
        self.crash()?;
        let BootId([n, ..]) = self.mind.boot;
        self.mind.boot = BootId([n.wrapping_add(1); 16]);
        self.clients();
        Ok(())
    }

    /// The engine dies, and the newest commits are not there when it starts. Every witness is compared; where one
    /// knows more than the log, nothing is done until a person has decided.
    pub(crate) fn lose_tail(&mut self, case: &Case, commits: u8) -> Result<(), Lie> {
        let whole = self.log.clone();
        for _ in 0..commits {
            self.forget_newest();
            self.log = self.log.shorter().unwrap_or_default();
        }
        self.course.tail_gone();
        let unknown = |unit| whole.planned(unit).is_some_and(|commit| commit > self.log.count());
        let ahead = self.world.containers().any(|body| unknown(body.unit));
        let late: Vec<_> = self.world.pending().to_vec();
        let marked = |request: &Request| match *request {
            Request::Create(Create { workload, unit, address, folder, .. }) if unknown(unit) => {
                Request::Create(Create { workload, unit, position: HEAD + 1, address, folder })
            }
            other => other,
        };
        let late: Vec<_> = late.iter().map(marked).collect();
        while self.world.cancel(0).is_some() {}
        for request in late {
            self.world.send(request);
        }
        let work = self.log.fold()?;
        let behind = self.course.witnessed > self.log.count() || self.generation() > work.generation;
        self.replace(case, work);
        self.crash()?;
        self.mind.held = (ahead || behind) && on(Rule::Witness);
        Ok(())
    }

    /// Wishes that the newest commit holds were never accepted, as far as the log knows.
    fn forget_newest(&mut self) {
        for event in self.log.newest() {
            match event {
                Event::IntentQueued(e) => note(&mut self.course.ends, e.deployment, End::Gone),
                Event::IntentSuperseded(e) => note(&mut self.course.ends, e.deployment, End::None),
                Event::IntentCancelled(e) => note(&mut self.course.ends, e.deployment, End::None),
                Event::DeploymentSucceeded(e) => note(&mut self.course.ends, e.deployment, End::None),
                Event::DeploymentFailed(e) => note(&mut self.course.ends, e.deployment, End::None),
                _ => (),
            }
        }
    }
}

fn note(ends: &mut [End; WISHES], id: cutover_events::DeploymentId, is: End) {
    if let Some(end) = ids::wish(id).and_then(|n| ends.get_mut(n)) {
        *end = is;
    }
}
