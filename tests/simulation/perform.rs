//! Effects of the simulated shell: each becomes a request or three, and each request has four outcomes.

use cutover::crash;
use cutover_domain::deployment::targets;
use cutover_domain::observed::{Class, DockerId, Effect, Restart, Targets};
use cutover_events::deployment::{ImageWish, ReasonKind};
use cutover_events::{DeploymentId, UnitId};
use cutover_world::{AWAY, Answer, Create, Failed, Refusal, Request, Units};

use crate::drill::Kind;
use crate::sim::{Removal, Sim};
use crate::swarm::Fault;

impl Sim {
    pub(crate) fn perform(&mut self, lane: usize, effect: Effect) {
        if !matches!(effect, Effect::Plan(_) | Effect::Remove(..)) {
            self.met.push(crash::effect(&effect));
        }
        self.engine.lanes[lane].answers.asks(effect);
        let done = match effect {
            Effect::Plan(_) => Ok(()),
            Effect::Resolve(id) => {
                // It goes on beside the lane: see `resolves`.
                self.engine.lanes[lane].answers.resolving = Some(id);
                return;
            }
            Effect::Capture(unit, _) => {
                self.engine.lanes[lane].answers.captured.push(unit);
                Ok(())
            }
            Effect::Remove(unit, id) => {
                self.engine.lanes[lane].answers.under_way.push(unit);
                self.engine.removals.push(Removal { lane, unit, id, stage: 0 });
                Ok(())
            }
            Effect::Create(unit) => self.create(lane, unit),
            Effect::Start(_, id) => self.ask(lane, Request::Start(id)),
            Effect::SetRestart(_, id, restart) => self.ask(lane, Request::SetRestart(id, restart)),
            Effect::Unpause(_, id) => self.ask(lane, Request::Unpause(id)),
            Effect::Rename(_, id) => self.ask(lane, Request::Rename(id)),
            Effect::SetLimits(_, id) => self.ask(lane, Request::SetLimits(id)),
            Effect::Put { to, generation } => self.put(lane, to, generation),
            Effect::Fence { generation } => {
                let (boot, epoch) = (self.world.router_boot(), self.engine.epoch);
                self.ask(lane, Request::Fence { workload: self.shops[lane].id, generation, boot, epoch })
            }
        };
        match done {
            Ok(()) => {
                self.engine.lanes[lane].answers.over(effect);
            }
            Err(failed) => self.trouble(lane, effect, failed),
        }
    }

    /// An image that is sought beside a lane is here, or it is known why not. Whoever is not sought any more was cancelled.
    pub(crate) fn resolves(&mut self, lane: usize) {
        let Some(id) = self.engine.lanes[lane].answers.resolving.take() else { return };
        match self.resolve(lane, id) {
            Ok(()) => self.engine.lanes[lane].answers.over(Effect::Resolve(id)),
            Err(failed) => self.trouble(lane, Effect::Resolve(id), failed),
        }
        self.engine.lanes[lane].wake_ms = 0;
    }

    /// The lanes beside which an image is sought.
    pub(crate) fn resolving(&self) -> Vec<usize> {
        let sought = |lane: &usize| self.engine.lanes[*lane].answers.resolving.is_some();
        (0..self.engine.lanes.len()).filter(sought).collect()
    }

    fn resolve(&mut self, lane: usize, id: DeploymentId) -> Result<(), Failed> {
        let intent = self.engine.lanes[lane].state.seeks().filter(|intent| intent.deployment == id);
        let sought = intent.and_then(|intent| intent.wish.seeks()).cloned();
        if self.swarm.strikes(Fault::Resolve, &mut self.random) {
            let for_good = self.random.chance(300);
            return Err(if for_good { (Class::Permanent, ReasonKind::ImageMissing) } else { AWAY });
        }
        let program = match sought {
            Some(ImageWish::Reference { reference, .. }) => {
                let program = reference.trim_start_matches("image:").parse::<usize>();
                let program = program.map_err(|_| (Class::Permanent, ReasonKind::ImageMissing))?;
                if self.programs.get(program).is_none_or(|program| program.pushed_ms > self.world.now_ms()) {
                    return Err((Class::NotYet, ReasonKind::ImageMissing));
                }
                program
            }
            Some(ImageWish::Built { .. }) => self.built[&id],
            Some(ImageWish::Current) | None => return Ok(()),
        };
        self.engine.lanes[lane].resolved = Some((id, program));
        Ok(())
    }

    fn create(&mut self, lane: usize, unit: UnitId) -> Result<(), Failed> {
        let state = &self.engine.lanes[lane].state;
        let Some(plan) = state.plan_of(unit) else { return Ok(()) };
        let Some(address) = plan.unit(unit).map(|planned| planned.address) else { return Ok(()) };
        let folder = plan.template.serves_files();
        if self.swarm.strikes(Fault::Foreign, &mut self.random) && self.world.unit(unit).is_none() {
            self.say(|| format!("the name of {unit} is taken by somebody else"));
            self.world.foreign(unit);
        }
        let position = self.engine.lanes[lane].planned;
        self.ask(lane, Request::Create(Create { workload: self.shops[lane].id, unit, position, address, folder }))
    }

    fn put(&mut self, lane: usize, to: Targets, generation: u64) -> Result<(), Failed> {
        let units = targets(&self.engine.lanes[lane].state, to).to_vec();
        if units.iter().any(|unit| self.world.unit(*unit).is_none_or(|body| !body.runs())) {
            return Err((Class::ProbeRefused, ReasonKind::Vanished));
        }
        let to = Units::of(&units).map_err(|_| (Class::Permanent, ReasonKind::Refused))?;
        let (boot, epoch) = (self.world.router_boot(), self.engine.epoch);
        self.ask(lane, Request::Put { workload: self.shops[lane].id, to, generation, boot, epoch })
    }

    /// The four outcomes of a request: not sent; done and answered; done, the answer lost; sent, and done later.
    pub(crate) fn ask(&mut self, lane: usize, request: Request) -> Result<(), Failed> {
        let docker = !matches!(request, Request::Put { .. } | Request::Fence { .. });
        if docker && self.host.docker_back_ms > self.world.now_ms() {
            return Err(AWAY);
        }
        if let Some(outcome) = self.drilled(lane, request) {
            return outcome;
        }
        if self.swarm.strikes(Fault::NotSent, &mut self.random) {
            return Err(AWAY);
        }
        if self.swarm.strikes(Fault::Late, &mut self.random) {
            self.say(|| format!("w{lane} sends {request:?}, which is late"));
            self.world.send(request);
            return Err(AWAY);
        }
        let lost = self.swarm.strikes(Fault::AnswerLost, &mut self.random);
        let answer = self.arrive(request);
        if lost { Err(AWAY) } else { answer.verdict() }
    }

    fn drilled(&mut self, lane: usize, request: Request) -> Option<Result<(), Failed>> {
        let k = self.drill.effects;
        self.drill.effects += 1;
        let kind = self.drill.kind;
        match kind {
            Kind::Twice => {
                self.arrive(request);
                let again = self.arrive(request);
                let harmless = again.verdict().is_ok()
                    || matches!(
                        again,
                        Answer::Refused(Refusal::Generation) | Answer::RemovalInProgress | Answer::NotFound
                    );
                (!harmless).then(|| self.fail(format!("w{lane} {request:?} is not idempotent: {again:?}")));
                Some(Ok(()))
            }
            Kind::Refuse(at) if k == at && self.drill.strike() => Some(Err((Class::Permanent, ReasonKind::Refused))),
            Kind::DieBefore(at) if k == at && self.drill.strike() => {
                self.crash();
                Some(Err(AWAY))
            }
            Kind::DieAfter(at) if k == at && self.drill.strike() => {
                self.arrive(request);
                self.crash();
                Some(Err(AWAY))
            }
            Kind::Late(at) if k == at && self.drill.strike() => {
                self.world.send(request);
                Some(Err(AWAY))
            }
            Kind::Remove(at, n) if k == at && self.drill.strike() => {
                let unit = self.world.containers().nth(n).map(|body| body.unit);
                if let Some(unit) = unit {
                    self.say(|| format!("a person removes {unit}"));
                    self.world.human_remove(unit);
                }
                None
            }
            _ => None,
        }
    }

    /// One stage of a removal that runs beside its lane: policy `no`, stop, remove.
    pub(crate) fn take_away(&mut self, index: usize) {
        let Removal { lane, unit, id, stage } = self.engine.removals[index];
        let request = stage_of(id, stage);
        self.met.push(crash::REMOVAL[usize::from(stage.min(2))].into());
        let over = match self.ask(lane, request) {
            Ok(()) => stage >= 2,
            Err((_, ReasonKind::Vanished)) if stage < 2 => false,
            Err(_) => true,
        };
        // The engine may have died of the request, and its removals with it.
        let Some(removal) = self.engine.removals.get_mut(index).filter(|removal| removal.unit == unit) else { return };
        removal.stage += 1;
        if over {
            self.engine.removals.remove(index);
            let lane = &mut self.engine.lanes[lane];
            lane.answers.under_way.retain(|other| *other != unit);
            lane.wake_ms = 0;
        }
    }
}

fn stage_of(id: DockerId, stage: u8) -> Request {
    match stage {
        0 => Request::SetRestart(id, Restart::No),
        1 => Request::Stop(id),
        _ => Request::Remove(id),
    }
}
