//! Everything that can happen next: progress first, then faults.

use cutover_domain::observed::{Answer, Phase};
use cutover_domain::protocol::{Rule, on};
use cutover_events::UnitId;
use cutover_world::{Body, Hand, LiveRestore, Request, Serving, TableFate};

use crate::budget::Fault;
use crate::ids;
use crate::request::Outcome;
use crate::scenario::Program;
use crate::scene::{Case, Lie, Scene, Sending, Step, WORKLOAD};
use crate::watch::Late;

/// Failed probes in a row from which on one more makes no difference.
const ENOUGH_FAILURES: u8 = 3;
/// How long the host sleeps, ms.
const SLEEP_MS: u64 = 600_000;
/// Commits that the end of the log may lose together.
const TAIL: u32 = 3;

/// One move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Move {
    /// The lane looks and decides.
    Look,
    /// The lane writes what it has decided.
    Write,
    /// The lane asks for what it has decided.
    Ask(Outcome),
    /// A removal goes on.
    TakeAway(u8, Outcome),
    /// An image that is sought beside the lane is here, or it is known why not.
    Resolves(Outcome),
    /// The prober has answers.
    Probe,
    /// Time goes on to what the lane waits for.
    Due,
    /// Time goes on until a container has been up for the liveness window.
    Lasts,
    /// The next wish.
    Wish,
    /// The next wish, whose client does not hear the answer and asks again.
    WishUnheard,
    /// The image that comes late comes to its registry.
    Push,
    /// A person lets a parked deployment go on.
    Resume,
    /// A late request arrives.
    Land(u8),
    /// A late create takes its name and cannot be inspected yet.
    Hide(u8),
    /// It can be inspected.
    Appear(UnitId),
    /// A container becomes ready.
    Ready(UnitId),
    /// Its process ends, as its program wants it.
    Ends(UnitId),
    /// Its process ends well.
    Finishes(UnitId),
    /// It answers 500, as its program wants it.
    Sickens(UnitId),
    /// It is well again.
    Recovers(UnitId),
    /// Docker starts it again.
    Revive(UnitId),
    /// Its removal is over.
    Gone(UnitId),
    /// The requests to a former target have ended.
    Drained(UnitId),
    /// A fault: see [`Fault`].
    Cut(UnitId),
    /// A fault.
    Flap(UnitId),
    /// A fault.
    PersonRemoves(UnitId),
    /// A fault.
    Hand(UnitId, Hand),
    /// A fault.
    Exit(UnitId),
    /// A fault.
    Daemon(LiveRestore),
    /// A fault.
    Router(TableFate),
    /// A fault.
    Reboot,
    /// A fault.
    Crash,
    /// A fault, where an event is acted on before it is on disk.
    CrashUnsynced,
    /// A fault: so many commits are gone.
    LoseTail(u8),
    /// A fault.
    Stall,
}

impl Move {
    /// What it costs; `None`: it is no fault.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Ask(outcome) | Self::TakeAway(_, outcome) | Self::Resolves(outcome) => outcome.fault(),
            Self::WishUnheard => Some(Fault::Lost),
            Self::Hide(_) => Some(Fault::Late),
            Self::Cut(_) => Some(Fault::Cut),
            Self::Flap(_) => Some(Fault::Flap),
            Self::PersonRemoves(_) => Some(Fault::Remove),
            Self::Hand(..) => Some(Fault::Hand),
            Self::Exit(_) => Some(Fault::Exit),
            Self::Daemon(_) => Some(Fault::Daemon),
            Self::Router(_) => Some(Fault::Router),
            Self::Reboot => Some(Fault::Reboot),
            Self::Crash | Self::CrashUnsynced => Some(Fault::Crash),
            Self::LoseTail(_) => Some(Fault::Tail),
            Self::Stall => Some(Fault::Stall),
            _ => None,
        }
    }
}

/// What can happen by itself to a container.
fn turn(body: &Body) -> Option<Move> {
    let (unit, program) = (body.unit, ids::program(body.unit));
    match (body.phase, body.serving, program) {
        (Phase::Running, Serving::Nothing, Program::Exits) => Some(Move::Ends(unit)),
        (Phase::Running, Serving::Nothing, Program::Silent) => None,
        (Phase::Running, Serving::Nothing, Program::Finishes) => Some(Move::Finishes(unit)),
        (Phase::Running, Serving::Nothing, _) => Some(Move::Ready(unit)),
        (Phase::Running, Serving::Ready, Program::Dies) if body.runs == 1 => Some(Move::Ends(unit)),
        (Phase::Running, Serving::Ready, Program::Sickens) => Some(Move::Sickens(unit)),
        (Phase::Running, Serving::Sick, Program::Sickens) => None,
        (Phase::Running, Serving::Sick, _) => Some(Move::Recovers(unit)),
        (Phase::Restarting, ..) => Some(Move::Revive(unit)),
        (Phase::Removing, ..) => Some(Move::Gone(unit)),
        _ => None,
    }
}

impl Scene {
    /// Every move that is possible now.
    pub(crate) fn moves(&self, case: &Case, out: &mut Vec<Move>) {
        out.clear();
        self.engine_moves(out);
        self.world_moves(out);
        if self.course.asked as usize + case.scenario.before.len() < case.scenario.wishes() {
            out.push(Move::Wish);
        }
        if case.scenario.is_late() && self.course.late == Late::Built {
            out.push(Move::Push);
        }
        let parked = self.work.open.as_ref().is_some_and(|open| open.parked);
        if parked && !self.mind.held {
            out.push(Move::Resume);
        }
        self.request_faults(case, out);
        self.world_faults(out);
        self.engine_faults(out);
    }

    fn engine_moves(&self, out: &mut Vec<Move>) {
        if self.mind.held {
            return;
        }
        match &self.mind.step {
            Step::Look => out.push(Move::Look),
            Step::Append(_) | Step::Decide(_) => out.push(Move::Write),
            Step::Do(..) => out.push(Move::Ask(Outcome::Done)),
            Step::Wait(until) => self.waiting_moves(*until, out),
        }
        out.extend((0..self.mind.removals.len()).map(|at| Move::TakeAway(at as u8, Outcome::Done)));
        out.extend(self.mind.answers.resolving.map(|_| Move::Resolves(Outcome::Done)));
    }

    /// What becomes ready does so before a deadline, and is probed before it: otherwise it would be a program that
    /// never listens.
    fn waiting_moves(&self, until: Option<u64>, out: &mut Vec<Move>) {
        if self.probe_matters() {
            out.push(Move::Probe);
            return;
        }
        let urgent = |body: &Body| matches!(turn(body), Some(Move::Ready(_) | Move::Recovers(_) | Move::Finishes(_)));
        let hidden = self.hidden().next().is_some();
        if hidden || self.world.containers().any(urgent) {
            return;
        }
        if let Some(at) = until.filter(|at| *at > self.world.now_ms()) {
            out.push(if self.young(at).is_some() { Move::Lasts } else { Move::Due });
        }
    }

    /// How long until the first container has been up for its liveness window, when that is before `until`, ms.
    fn young(&self, until: u64) -> Option<u64> {
        let plan = self.work.open.as_ref().and_then(|open| open.plan.as_ref())?;
        let up = |body: &Body| self.world.now_ms() - body.since_ms;
        let watched = |unit: UnitId| plan.part(unit).health.is_none() && !plan.runs_command_in(unit);
        let running = self.world.containers().filter(|body| body.runs() && watched(body.unit));
        let left = running.filter_map(|body| plan.policy.liveness_ms.checked_sub(up(body)).filter(|ms| *ms > 0)).min();
        left.filter(|ms| self.world.now_ms() + ms < until)
    }

    fn probe_matters(&self) -> bool {
        let asked = |body: &&Body| self.mind.probing.contains(&body.unit) && body.runs();
        self.world.containers().filter(asked).any(|body| {
            let failing = body.answer() != Answer::Passed && body.probe.failures < ENOUGH_FAILURES;
            body.probe.answer != body.answer() || failing
        })
    }

    fn hidden(&self) -> impl Iterator<Item = UnitId> {
        let here = self.work.open.as_ref().and_then(|open| open.plan.as_ref());
        let planned = here.into_iter().flat_map(|plan| plan.units.iter().map(|unit| unit.unit));
        let listed = planned.chain(self.work.removal.iter().copied());
        listed.filter(|unit| self.world.holds(*unit) && self.world.unit(*unit).is_none())
    }

    fn world_moves(&self, out: &mut Vec<Move>) {
        for (at, request) in self.world.pending().iter().enumerate() {
            out.push(Move::Land(at as u8));
            if matches!(request, Request::Create(_)) && self.left.allows(Fault::Late) {
                out.push(Move::Hide(at as u8));
            }
        }
        out.extend(self.hidden().map(Move::Appear));
        out.extend(self.world.containers().filter_map(turn));
        out.extend(self.world.drains().filter(|drain| !drain.done).map(|drain| Move::Drained(drain.unit)));
    }

    fn request_faults(&self, case: &Case, out: &mut Vec<Move>) {
        let outcomes = [Outcome::Late, Outcome::Unheard, Outcome::Unsent];
        let allowed = |outcome: &Outcome| outcome.fault().is_some_and(|fault| self.left.allows(fault));
        if self.mind.held {
            return;
        }
        for outcome in outcomes.into_iter().filter(allowed) {
            let asks = matches!(&self.mind.step, Step::Do(_, Sending::Request(_)));
            out.extend(asks.then_some(Move::Ask(outcome)));
            let sought = self.mind.answers.resolving.filter(|_| outcome == Outcome::Unsent);
            out.extend(sought.map(|_| Move::Resolves(outcome)));
            out.extend((0..self.mind.removals.len()).map(|at| Move::TakeAway(at as u8, outcome)));
        }
        let wishes = self.course.asked as usize + case.scenario.before.len() < case.scenario.wishes();
        if wishes && self.left.allows(Fault::Lost) {
            out.push(Move::WishUnheard);
        }
    }

    fn world_faults(&self, out: &mut Vec<Move>) {
        let left = |fault| self.left.allows(fault);
        for body in self.world.containers() {
            if left(Fault::Flap) && body.serving == Serving::Ready {
                out.push(Move::Flap(body.unit));
            }
            if left(Fault::Remove) {
                out.push(Move::PersonRemoves(body.unit));
            }
            if left(Fault::Hand) {
                let hands = Hand::ALL.into_iter().filter(|hand| self.world.in_reach(body.unit, *hand));
                out.extend(hands.map(|hand| Move::Hand(body.unit, hand)));
            }
            if left(Fault::Exit) && body.runs() {
                out.push(Move::Exit(body.unit));
            }
        }
        if left(Fault::Cut) {
            out.extend(self.world.drains().filter(|drain| !drain.done).map(|drain| Move::Cut(drain.unit)));
        }
        if left(Fault::Daemon) {
            out.extend([Move::Daemon(LiveRestore::On), Move::Daemon(LiveRestore::Off)]);
        }
        if left(Fault::Router) {
            out.extend([Move::Router(TableFate::Kept), Move::Router(TableFate::Lost)]);
        }
        if left(Fault::Reboot) {
            out.push(Move::Reboot);
        }
    }

    fn engine_faults(&self, out: &mut Vec<Move>) {
        if self.left.allows(Fault::Crash) {
            out.push(Move::Crash);
            if !on(Rule::Fsync) && self.log.count() > 0 {
                out.push(Move::CrashUnsynced);
            }
        }
        if self.left.allows(Fault::Tail) {
            out.extend((1..=TAIL.min(self.log.count())).map(|n| Move::LoseTail(n as u8)));
        }
        if self.left.allows(Fault::Stall) {
            out.push(Move::Stall);
        }
    }

    /// The state after a move.
    pub(crate) fn after(&self, case: &Case, step: Move) -> Result<Self, Lie> {
        let mut scene = self.clone();
        scene.take(case, step)?;
        Ok(scene)
    }

    fn take(&mut self, case: &Case, step: Move) -> Result<(), Lie> {
        if let Some(fault) = step.fault() {
            self.left.spend(fault);
        }
        match step {
            Move::Look => self.look(case),
            Move::Write => self.write(case),
            Move::Ask(outcome) => self.perform(case, outcome),
            Move::TakeAway(at, outcome) => self.take_away(case, usize::from(at), outcome),
            Move::Resolves(outcome) => {
                self.resolves(case, outcome);
                Ok(())
            }
            Move::Wish => self.wish(case, Outcome::Done),
            Move::WishUnheard => self.wish(case, Outcome::Unheard),
            Move::Push => {
                self.course.late = Late::Pushed;
                Ok(())
            }
            Move::Resume => self.resume(case),
            Move::Land(at) => match self.world.cancel(usize::from(at)) {
                Some(request) => self.arrive(request).map(drop),
                None => Ok(()),
            },
            Move::Crash => self.crash(),
            Move::CrashUnsynced => self.crash_unsynced(case),
            Move::LoseTail(n) => self.lose_tail(case, n),
            Move::Reboot => self.reboot(),
            Move::Due | Move::Lasts | Move::Stall => {
                self.pass(case, step);
                Ok(())
            }
            other => {
                self.happens(other);
                Ok(())
            }
        }
    }

    fn pass(&mut self, case: &Case, step: Move) {
        let now_ms = self.world.now_ms();
        let until = match (step, &self.mind.step) {
            (Move::Stall, _) => now_ms + SLEEP_MS,
            (Move::Lasts, Step::Wait(Some(at))) => now_ms + self.young(*at).unwrap_or(1),
            (_, Step::Wait(Some(at))) => *at,
            _ => now_ms + 1,
        };
        self.advance(case, until - now_ms);
        if step == Move::Stall {
            self.mind.start_ms = self.world.now_ms();
        }
        self.mind.hint();
    }

    /// What happens to the world by itself, and by the hands of people.
    fn happens(&mut self, step: Move) {
        match step {
            Move::Probe => self.world.probe(WORKLOAD),
            Move::Hide(at) => drop(self.world.reserve(usize::from(at))),
            Move::Appear(unit) => drop(self.world.appear(unit)),
            Move::Ready(unit) => drop(self.world.become_ready(unit)),
            Move::Ends(unit) => drop(self.world.exit(unit, 1)),
            Move::Finishes(unit) => drop(self.world.exit(unit, 0)),
            Move::Exit(unit) => drop(self.world.exit(unit, 9)),
            Move::Sickens(unit) | Move::Recovers(unit) | Move::Flap(unit) => drop(self.world.flap(unit)),
            Move::Revive(unit) => drop(self.world.revive(unit)),
            Move::Gone(unit) => drop(self.world.gone(unit)),
            Move::Drained(unit) => drop(self.world.drained(unit)),
            Move::Cut(unit) => drop(self.world.cut(unit)),
            Move::Hand(unit, hand) => drop(self.world.human(unit, hand)),
            Move::PersonRemoves(unit) => drop(self.world.human_remove(unit)),
            Move::Daemon(live_restore) => self.world.daemon_restart(live_restore),
            Move::Router(table) => self.world.router_restart(table),
            _ => (),
        }
        self.clients();
        self.mind.hint();
    }
}
