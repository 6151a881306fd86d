//! The moment at which a request of the engine, this one's or a dead one's, changes the world: what it may never do.

use cutover_domain::observed::DockerId;
use cutover_events::UnitId;
use cutover_world::{Answer, Request};

use crate::sim::{Process, Sim};

impl Sim {
    /// A request is carried out; the invariants that concern this instant are checked around it.
    pub(crate) fn arrive(&mut self, request: Request) -> Answer {
        let unit = self.unit_of(request);
        let Some(lane) = self.lane_about(request, unit) else { return self.world.perform(request) };
        let (served, former) = (self.serves(lane), self.world.targets(self.shops[lane].id));
        self.before(lane, request, unit);
        let asked = self.is_asked(request);
        let answer = if asked { self.world.perform(request) } else { self.world.perform_unprobed(request) };
        self.say(|| format!("w{lane} {request:?} -> {answer:?}"));
        if served && asked && !self.serves(lane) && !self.may_end(lane, request) {
            self.fail(format!("w{lane} served until {request:?} came"));
        }
        if let (Request::Put { to, .. }, Answer::Done) = (request, answer) {
            let unasked = |unit: &UnitId| self.runs.get(unit).is_some_and(|runs| runs.unprobed);
            let ready = |unit: &UnitId| self.world.unit(*unit).is_some_and(|body| body.ready()) || unasked(unit);
            let unready = |unit: &UnitId| !former.contains(*unit) && !ready(unit);
            if let Some(unit) = to.iter().find(unready) {
                self.fail(format!("w{lane} is routed to {unit}, which is missing or not ready"));
            }
        }
        if matches!(request, Request::Put { .. } | Request::Fence { .. }) && answer == Answer::Done {
            self.rises(lane);
        }
        self.note_drains();
        self.hint(lane);
        answer
    }

    /// Whether the proxy asks a target before it routes to it. What nobody asks is routed to once it has lasted, and whether
    /// it answers then is not known to anybody.
    fn is_asked(&self, request: Request) -> bool {
        let unasked = |unit: UnitId| self.runs.get(&unit).is_some_and(|runs| runs.unprobed);
        !matches!(request, Request::Put { to, .. } if !to.is_empty() && to.iter().all(unasked))
    }

    fn before(&mut self, lane: usize, request: Request, unit: Option<UnitId>) {
        match (request, unit) {
            (Request::Stop(_) | Request::Remove(_), Some(unit)) => {
                if self.world.targets(self.shops[lane].id).contains(unit) {
                    self.fail(format!("w{lane} {request:?} meets {unit}, which is routed"));
                }
                if self.world.open(unit) > 0 {
                    self.fail(format!("w{lane} {request:?} meets {unit}, which has open connections"));
                }
            }
            (Request::Start(_), Some(unit)) => {
                let command = self.runs.get(&unit).is_some_and(|runs| runs.process == Process::Command);
                if command && self.world.unit(unit).is_some_and(|body| body.runs > 0 && !body.runs()) {
                    self.fail(format!("w{lane} starts the release command in {unit} a second time"));
                }
            }
            (Request::Create(create), _) if !self.runs.contains_key(&create.unit) => {
                let unit = create.unit;
                self.fail(format!("w{lane} creates {unit}, which no plan names"));
            }
            _ => {}
        }
    }

    /// Only a teardown may end the service, and the route back of a first deployment, which has nowhere to go.
    fn may_end(&self, lane: usize, request: Request) -> bool {
        match request {
            Request::Put { to, generation, .. } => to.is_empty() && self.watch.may_unroute(lane, generation),
            _ => false,
        }
    }

    fn rises(&mut self, lane: usize) {
        let workload = self.shops[lane].id;
        let generation = self.world.routes().find(|route| route.workload == workload).map_or(0, |r| r.generation);
        if let Err(lie) = self.watch.router(lane, generation) {
            self.fail(lie);
        }
    }

    fn unit_of(&self, request: Request) -> Option<UnitId> {
        let by_id = |id: DockerId| self.world.container(id).map(|body| body.unit);
        match request {
            Request::Create(create) => Some(create.unit),
            Request::Start(id)
            | Request::SetRestart(id, _)
            | Request::Unpause(id)
            | Request::Rename(id)
            | Request::SetLimits(id)
            | Request::Stop(id)
            | Request::Remove(id) => by_id(id),
            Request::Put { .. } | Request::Fence { .. } => None,
        }
    }

    fn lane_about(&self, request: Request, unit: Option<UnitId>) -> Option<usize> {
        match request {
            Request::Create(create) => self.lane_of(create.workload),
            Request::Put { workload, .. } | Request::Fence { workload, .. } => self.lane_of(workload),
            _ => self.lane_of(self.world.unit(unit?)?.workload),
        }
    }
}
