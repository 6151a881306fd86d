//! Requests: four outcomes each, and what none may ever do when it arrives.

use cutover_domain::observed::{Class, DockerId, Effect};
use cutover_events::deployment::{ImageWish, ReasonKind};
use cutover_events::{DeploymentId, UnitId};
use cutover_world::{AWAY, Answer, Create, Failed, Request, Units};

use crate::budget::Fault;
use crate::ids;
use crate::scenario::Program;
use crate::scene::{Case, Lie, Scene, Sending, Step, WORKLOAD};
use crate::watch::Late;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Done and answered.
    Done,
    /// Sent, not answered, done later.
    Late,
    /// Done, the answer lost.
    Unheard,
    /// Not sent.
    Unsent,
}

impl Outcome {
    /// What it costs.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Self::Done => None,
            Self::Late => Some(Fault::Late),
            Self::Unheard | Self::Unsent => Some(Fault::Lost),
        }
    }
}

impl Scene {
    /// The lane asks for what it has decided.
    pub(crate) fn perform(&mut self, case: &Case, outcome: Outcome) -> Result<(), Lie> {
        let Step::Do(effect, sending) = std::mem::replace(&mut self.mind.step, Step::Look) else { return Ok(()) };
        self.mind.answers.asks(effect);
        let done = match sending {
            Sending::Request(request) => {
                let write = matches!(effect, Effect::Put { .. } | Effect::Fence { .. });
                if write && self.left.allows(Fault::Tail) {
                    self.course.witnessed = self.log.count();
                }
                self.ask(request, outcome)?
            }
            Sending::NoTarget => Err((Class::ProbeRefused, ReasonKind::Vanished)),
            Sending::Resolve(id) => {
                self.mind.answers.resolving = Some(id);
                return Ok(());
            }
        };
        self.answered(case, effect, done);
        Ok(())
    }

    /// An image that is sought beside the lane is here, or it is known why not. Whoever is not sought any more was
    /// cancelled.
    pub(crate) fn resolves(&mut self, case: &Case, outcome: Outcome) {
        let Some(id) = self.mind.answers.resolving.take() else { return };
        let done = match outcome {
            Outcome::Done if self.is_absent(id) => Err((Class::NotYet, ReasonKind::ImageMissing)),
            Outcome::Done => {
                self.mind.resolved = Some(id);
                Ok(())
            }
            Outcome::Late | Outcome::Unheard | Outcome::Unsent => Err(AWAY),
        };
        self.answered(case, Effect::Resolve(id), done);
        self.mind.hint();
    }

    fn answered(&mut self, case: &Case, effect: Effect, done: Result<(), Failed>) {
        match done {
            Ok(()) => self.mind.answers.over(effect),
            Err(failed) => self.trouble(case, effect, failed),
        }
    }

    /// Whether the image of a deployment is not in its registry yet.
    fn is_absent(&self, id: DeploymentId) -> bool {
        let late = Program::Late.code().to_string();
        let sought = self.work.seeks().filter(|intent| intent.deployment == id).and_then(|intent| intent.wish.seeks());
        let wants = |sought: &ImageWish| matches!(sought, ImageWish::Reference { reference, .. } if *reference == late);
        self.course.late == Late::Built && sought.is_some_and(wants)
    }

    /// One stage of a removal beside the lane.
    pub(crate) fn take_away(&mut self, case: &Case, index: usize, outcome: Outcome) -> Result<(), Lie> {
        let removal = self.mind.removals[index];
        let done = self.ask(removal.request(), outcome)?;
        let goes_on = match done {
            Ok(()) => removal.stage < 2,
            Err((_, ReasonKind::Vanished | ReasonKind::Refused)) => removal.stage == 0,
            Err(_) => false,
        };
        if goes_on {
            self.mind.removals[index].stage += 1;
            return Ok(());
        }
        self.mind.removals.remove(index);
        self.mind.answers.under_way.retain(|unit| *unit != removal.unit);
        self.answered(case, Effect::Remove(removal.unit, removal.id), done);
        self.mind.hint();
        Ok(())
    }

    fn ask(&mut self, request: Request, outcome: Outcome) -> Result<Result<(), Failed>, Lie> {
        Ok(match outcome {
            Outcome::Done => self.arrive(request)?.verdict(),
            Outcome::Late => {
                self.world.send(request);
                Err(AWAY)
            }
            Outcome::Unheard => {
                self.arrive(request)?;
                Err(AWAY)
            }
            Outcome::Unsent => Err(AWAY),
        })
    }

    /// A request is carried out; the sentences that concern this instant are checked around it.
    pub(crate) fn arrive(&mut self, request: Request) -> Result<Answer, Lie> {
        let request = self.world.addressed(request);
        let (served, former) = (self.serves(), self.world.targets(WORKLOAD));
        let generation = self.generation();
        self.lawful(request)?;
        self.runs_once(request)?;
        let answer = self.world.perform(request);
        if served && !self.serves() && !self.may_end(request) {
            return Err(format!("it served until {request:?} came"));
        }
        let to = match (request, answer) {
            (Request::Put { to, .. }, Answer::Done) => to,
            _ => Units::default(),
        };
        let ready = |unit: UnitId| self.world.unit(unit).is_some_and(|body| body.ready());
        if let Some(unit) = to.iter().find(|unit| !former.contains(*unit) && !ready(*unit)) {
            return Err(format!("it is routed to {unit}, which is missing or not ready"));
        }
        let written = answer == Answer::Done && matches!(request, Request::Put { .. } | Request::Fence { .. });
        if written && self.generation() <= generation {
            return Err(format!("the proxy went from generation {generation} to {}", self.generation()));
        }
        self.clients();
        self.mind.hint();
        Ok(answer)
    }

    /// What a request may never meet.
    fn lawful(&self, request: Request) -> Result<(), Lie> {
        let by_id = |id: DockerId| self.world.container(id).map(|body| (body.unit, body.position));
        match request {
            Request::Stop(id) | Request::Remove(id) => {
                let Some((unit, position)) = by_id(id) else { return Ok(()) };
                if self.world.targets(WORKLOAD).contains(unit) {
                    return Err(format!("{request:?} meets {unit}, which is routed"));
                }
                if self.world.open(unit) > 0 {
                    return Err(format!("{request:?} meets {unit}, which has open connections"));
                }
                if position > crate::scene::HEAD {
                    return Err(format!("{request:?} meets {unit}, which the log does not know"));
                }
                Ok(())
            }
            Request::Create(Create { unit, position, .. }) => {
                let planned = position > crate::scene::HEAD || self.log.planned(unit).is_some();
                planned.then_some(()).ok_or_else(|| format!("{unit} is created, and no plan names it"))
            }
            _ => Ok(()),
        }
    }

    /// A release command runs once, unless a person or its plan lets it run again.
    fn runs_once(&mut self, request: Request) -> Result<(), Lie> {
        let Request::Start(id) = request else { return Ok(()) };
        let Some(body) = self.world.container(id).filter(|body| !body.runs()) else { return Ok(()) };
        let Some(n) = ids::commanded(body.unit) else { return Ok(()) };
        if body.runs > 0 {
            return Err(format!("{} is a release command, and is started again after it has ended", body.unit));
        }
        self.course.begins(n)
    }

    fn may_end(&self, request: Request) -> bool {
        match request {
            Request::Put { to, generation, .. } => to.is_empty() && self.course.may_unroute(generation),
            _ => false,
        }
    }

    /// Whether a client would be answered now.
    pub(crate) fn serves(&self) -> bool {
        let targets = self.world.targets(WORKLOAD);
        self.world.router_answers() && targets.iter().any(|unit| self.world.unit(unit).is_some_and(|b| b.ready()))
    }

    /// Every target that is ready has a request open to it: the worst that clients can do.
    pub(crate) fn clients(&mut self) {
        for unit in self.world.targets(WORKLOAD).iter() {
            if self.world.open_to_target(unit) == 0 {
                self.world.connect(unit);
            }
        }
    }

    /// The generation of the proxy's entry.
    pub(crate) fn generation(&self) -> u64 {
        self.world.routes().find(|route| route.workload == WORKLOAD).map_or(0, |route| route.generation)
    }
}
