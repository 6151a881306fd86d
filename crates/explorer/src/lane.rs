//! The shell in miniature: look, ask what comes next, write it or ask for it. The same calls as in `src/execution`.

use std::sync::Arc;

use cutover_domain::deployment::{Aim, Command, Decision, Next, aim, decide, next, probed, targets};
use cutover_domain::invariants;
use cutover_domain::observed::{Answer, Class, Effect, Observed, Phase, Probe, Seen, Trouble};
use cutover_domain::plan::{plan, restore};
use cutover_domain::protocol::{Rule, on};
use cutover_domain::workload::{Open, Release};
use cutover_events::UnitId;
use cutover_events::deployment::{DriftSeen, Handling, ImageWish, IntentQueued, ReasonKind, ReleaseResolved, Wish};
use cutover_world::{Create, Request, Units};

use crate::ids::{self, Minted};
use crate::scenario::{Program, Settings};
use crate::scene::{Case, HEAD, Lie, Removal, Scene, Sending, Step, WORKLOAD};

/// From here on the pause between two tries grows no more: see the domain.
const MOST_TRIES: u32 = 8;

impl Scene {
    /// One complete look, and what comes of it.
    pub(crate) fn look(&mut self, case: &Case) -> Result<(), Lie> {
        self.forget();
        self.mind.probing.clear();
        let mut observed = self.world.observed(WORKLOAD, HEAD);
        observed.answers.clone_from(&self.mind.answers);
        observed.frozen = self.course.frozen;
        observed.containers.iter_mut().for_each(as_the_shell_sees);
        let asked = probed(&self.work, &observed);
        for seen in observed.containers.iter_mut().filter(|seen| !asked.contains(&seen.unit)) {
            seen.probe = Probe { answer: Answer::Unknown, failures: 0 };
        }
        if let Some(breach) = invariants::seen(&self.work, &observed).first().filter(|_| self.course.tails == 0) {
            return Err(breach.to_string());
        }
        match next(&self.work, &observed, &self.now()) {
            Next::Append(events) => self.mind.step = Step::Append(Arc::new(events)),
            Next::Decide(decision) => self.prepare(case, decision, &observed),
            Next::Do(effect) => self.effect(effect, &observed)?,
            Next::Wait(until) => {
                self.mind.step = Step::Wait(until);
                self.mind.probing = asked;
            }
        }
        Ok(())
    }

    /// Forgets what belongs to deployments and containers that are over.
    fn forget(&mut self) {
        let seeks = self.work.seeks().map(|intent| intent.deployment);
        self.mind.resolved = self.mind.resolved.filter(|id| Some(*id) == seeks);
        self.mind.answers.resolved = self.mind.resolved;
        self.mind.answers.keep_for(seeks);
        let world = &self.world;
        self.mind.answers.captured.retain(|unit| world.unit(*unit).is_some());
    }

    /// Makes the command of a decision, with ids, settings and answers.
    fn prepare(&mut self, case: &Case, decision: Decision, observed: &Observed) {
        let command = match decision {
            Decision::Begin(deployment) => Some(Command::Begin(deployment, u32::from(self.course.revision))),
            Decision::Resolved => self.resolved().map(Command::Resolved),
            Decision::Heal(unit, drift) => {
                Some(Command::Heal(DriftSeen { unit, drift, handling: Handling::Repair }, self.repair()))
            }
            Decision::Revive => Some(Command::Queue(self.repair())),
            Decision::Await => self.open().map(|id| Command::Await(id, self.patience(case))),
            Decision::Restore => self.restored(),
            Decision::Plan => match self.planned(case, observed) {
                Ok(command) => Some(command),
                Err(kind) => {
                    let open = self.work.open.as_ref().map(Open::id);
                    open.inspect(|id| self.trouble(case, Effect::Plan(*id), (Class::Permanent, kind)));
                    None
                }
            },
        };
        self.mind.step = command.map_or(Step::Look, |command| Step::Decide(Arc::new(command)));
    }

    /// How long a wish waits for its image, by the newest settings, ms.
    fn patience(&self, case: &Case) -> u64 {
        let newest = usize::from(self.course.revision).saturating_sub(1);
        case.scenario.settings.get(newest).map_or(0, |settings| settings.policy().wait_for_image_ms)
    }

    fn repair(&self) -> IntentQueued {
        IntentQueued {
            deployment: ids::heal(&self.log, self.course.tails),
            workload: WORKLOAD,
            wish: Wish::Heal,
            revision: u32::from(self.course.revision),
            person: false,
            change: None,
        }
    }

    fn restored(&self) -> Option<Command> {
        let open = self.work.open.as_ref()?;
        let release = self.work.release(open.was.as_ref()?.release)?;
        let own = open.was.as_ref()?.plan.routed().len() as u16;
        let mut minted =
            Minted::new(open.id(), &self.log, self.course.tails, (program(open, release), [own, u16::MAX]));
        let plan = restore(&self.work, "s/w", &mut minted)?;
        Some(Command::Restore(open.id(), Box::new(plan)))
    }

    fn resolved(&self) -> Option<ReleaseResolved> {
        let open = self.work.open.as_ref()?;
        let ImageWish::Reference { reference, .. } = open.intent.wish.seeks()? else { return None };
        Some(ReleaseResolved {
            deployment: self.mind.resolved?,
            release: ids::release(open.id()),
            revision: open.revision,
            reference: reference.clone(),
            image: reference.clone(),
            repo_digest: String::new(),
            change: None,
            built: None,
        })
    }

    fn planned(&self, case: &Case, observed: &Observed) -> Result<Command, ReasonKind> {
        let state = &*self.work;
        let Some(open) = &state.open else { return Err(ReasonKind::NoPlan) };
        let (ask, program) = match aim(state, open) {
            Aim::Missing => return Err(ReasonKind::NoRelease),
            Aim::Anew(resolved) => return Ok(Command::Resolved(*resolved)),
            Aim::Nothing => {
                let policy = state.active.as_ref().map_or_else(Default::default, |slot| slot.plan.policy);
                (Settings::farewell(policy), Program::Good)
            }
            Aim::Release(release) => {
                let settings = case.scenario.settings.get(release.revision as usize - 1);
                let settings = settings.ok_or(ReasonKind::NoPlan)?;
                (settings.ask(release), program(open, release))
            }
        };
        let others = ask.processes.iter().map(|process| process.replicas).sum();
        let counts = [ask.replicas, others];
        let mut minted = Minted::new(open.id(), &self.log, self.course.tails, (program, counts));
        Ok(Command::Planned(open.id(), Box::new(plan(state, ask, observed, &mut minted))))
    }

    /// Decides what an effect sends, as far as the look tells it. What touches nothing but memory is done at once.
    fn effect(&mut self, effect: Effect, observed: &Observed) -> Result<(), Lie> {
        self.mind.step = Step::Look;
        let sending = match effect {
            Effect::Plan(_) => return Ok(()),
            Effect::Capture(unit, _) => {
                self.mind.answers.captured.push(unit);
                return Ok(());
            }
            Effect::Remove(unit, id) => {
                self.mind.answers.under_way.push(unit);
                self.mind.removals.push(Removal { unit, id, stage: 0 });
                return Ok(());
            }
            Effect::Resolve(id) => Sending::Resolve(id),
            Effect::Create(unit) => {
                let Some(plan) = self.work.plan_of(unit) else { return Ok(()) };
                let Some(address) = plan.unit(unit).map(|planned| planned.address) else { return Ok(()) };
                let folder = plan.template.serves_files();
                Sending::Request(Request::Create(Create { workload: WORKLOAD, unit, position: HEAD, address, folder }))
            }
            Effect::Start(unit, id) => {
                if observed.seen(unit).is_none_or(|seen| seen.phase != Phase::Created) {
                    return Err(format!("{unit} is started, and was started before"));
                }
                Sending::Request(Request::Start(id))
            }
            Effect::SetRestart(_, id, restart) => Sending::Request(Request::SetRestart(id, restart)),
            Effect::Unpause(_, id) => Sending::Request(Request::Unpause(id)),
            Effect::Rename(_, id) => Sending::Request(Request::Rename(id)),
            Effect::SetLimits(_, id) => Sending::Request(Request::SetLimits(id)),
            Effect::Put { to, generation } => {
                let units = targets(&self.work, to);
                let runs = |unit: &UnitId| observed.seen(*unit).is_some_and(|seen| seen.phase == Phase::Running);
                match Units::of(units) {
                    Ok(to) if units.iter().all(runs) => Sending::Request(Request::Put {
                        workload: WORKLOAD,
                        to,
                        generation,
                        boot: self.world.router_boot(),
                        epoch: self.mind.epoch,
                    }),
                    _ => Sending::NoTarget,
                }
            }
            Effect::Fence { generation } => {
                let (boot, epoch) = (self.world.router_boot(), self.mind.epoch);
                Sending::Request(Request::Fence { workload: WORKLOAD, generation, boot, epoch })
            }
        };
        self.mind.step = Step::Do(effect, sending);
        Ok(())
    }

    /// Writes what the lane has decided.
    pub(crate) fn write(&mut self, case: &Case) -> Result<(), Lie> {
        match std::mem::replace(&mut self.mind.step, Step::Look) {
            Step::Append(events) if !on(Rule::AtomicDone) && events.len() > 1 => {
                self.mind.step = Step::Append(Arc::new(events[1..].to_vec()));
                self.append(case, Arc::new(vec![events[0].clone()]))
            }
            Step::Append(events) => {
                self.append(case, events.clone())?;
                self.mind.answers.wrote(&events);
                Ok(())
            }
            Step::Decide(command) if !on(Rule::PlanFirst) && self.create_unplanned(&command)? => {
                self.mind.step = Step::Decide(command);
                Ok(())
            }
            Step::Decide(command) => match decide(&self.work, Command::clone(&command)) {
                Ok(events) => self.append(case, Arc::new(events)),
                Err(_) => Ok(()),
            },
            Step::Look | Step::Do(..) | Step::Wait(_) => Ok(()),
        }
    }

    /// A container of a plan that is not in the log yet.
    fn create_unplanned(&mut self, command: &Command) -> Result<bool, Lie> {
        let Command::Planned(_, plan) = command else { return Ok(false) };
        let Some(new) = plan.units.iter().find(|unit| !self.world.holds(unit.unit)) else { return Ok(false) };
        let (unit, address, folder) = (new.unit, new.address, plan.template.serves_files());
        self.arrive(Request::Create(Create { workload: WORKLOAD, unit, position: HEAD, address, folder })).map(|_| true)
    }

    /// Somebody else writes: an append of the lane that was decided before finds another version than it expects.
    pub(crate) fn command(&mut self, case: &Case, command: Command) -> Result<bool, Lie> {
        let Ok(events) = decide(&self.work, command) else { return Ok(false) };
        self.append(case, Arc::new(events))?;
        if matches!(self.mind.step, Step::Append(_) | Step::Wait(_)) {
            self.mind.step = Step::Look;
        }
        Ok(true)
    }

    /// Remembers that an effect did not simply happen.
    pub(crate) fn trouble(&mut self, case: &Case, effect: Effect, (class, kind): (Class, ReasonKind)) {
        let at_ms = self.world.now_ms();
        let answers = &mut self.mind.answers;
        answers.failed(Trouble { effect, class, tries: 0, at_ms, kind, text: case.text.clone() });
        for trouble in answers.trouble.iter_mut().chain(&mut answers.unresolved) {
            trouble.tries = trouble.tries.min(MOST_TRIES);
        }
    }
}

/// The shell counts how long it has seen a container not running, and counts from one; one that was never started it
/// does not count.
fn as_the_shell_sees(seen: &mut Seen) {
    seen.down_ms = match seen.phase {
        Phase::Running | Phase::Created => 0,
        Phase::Exited | Phase::Restarting | Phase::Removing => seen.down_ms + 1,
    };
}

/// What falls ill falls ill once: what a repair puts in its place stays well, or repairs would never end.
fn program(open: &Open, release: &Release) -> Program {
    match Program::of(release.image.parse().unwrap_or_default()) {
        Program::Dies | Program::Sickens | Program::WorkerDies if open.intent.wish == Wish::Heal => Program::Good,
        program => program,
    }
}
