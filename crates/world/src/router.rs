//! The proxy of a world: an entry per workload, connections, drains.

use cutover_events::deployment::Cut;
use cutover_events::{RouterBoot, UnitId, WorkloadId};

use cutover_domain::protocol::{Rule, on};

use super::{Answer, Refusal, Request, Units, World};

/// The entry of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Route {
    /// Whose.
    pub workload: WorkloadId,
    /// Highest generation taken, fences included.
    pub generation: u64,
    /// What serves.
    pub targets: Units,
}

/// A former target, from the write that took its place to the first write after its drain was over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DrainBody {
    /// Whose.
    pub workload: WorkloadId,
    /// The former target.
    pub unit: UnitId,
    /// Requests that were open when its place was taken, and are still.
    pub open: u32,
    /// Whether nothing is open any more.
    pub done: bool,
    /// What was cut.
    pub cut: Cut,
}

/// Whether new targets are asked before they are routed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Probing {
    Asked,
    NotAsked,
}

/// Whether the proxy knows its table after a restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TableFate {
    /// Read back from the disk.
    Kept,
    /// Its disk was lost: generations begin anew.
    Lost,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct RouterState {
    away: Away,
    starts: u64,
    epoch: u64,
    routes: Vec<Route>,
    drains: Vec<DrainBody>,
    /// Open requests to targets, by unit; a unit without any is not here. Those to former targets are in their drains.
    open: Vec<(UnitId, u32)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
enum Away {
    #[default]
    No,
    Yes,
}

impl RouterState {
    pub(super) fn boot(&self) -> RouterBoot {
        RouterBoot((u128::from(self.starts) + 1).to_be_bytes())
    }

    fn generation(&self, workload: WorkloadId) -> u64 {
        self.routes.iter().find(|route| route.workload == workload).map_or(0, |route| route.generation)
    }

    fn refusal(&self, workload: WorkloadId, generation: u64, boot: RouterBoot, epoch: u64) -> Option<Refusal> {
        if boot != self.boot() && on(Rule::Boot) {
            return Some(Refusal::RouterBoot);
        }
        if epoch < self.epoch {
            return Some(Refusal::WriterEpoch);
        }
        (generation <= self.generation(workload) && on(Rule::Gen)).then_some(Refusal::Generation)
    }

    fn entry(&mut self, workload: WorkloadId) -> &mut Route {
        let at = self.routes.iter().position(|route| route.workload == workload).unwrap_or_else(|| {
            self.routes.push(Route { workload, generation: 0, targets: Units::default() });
            self.routes.len() - 1
        });
        &mut self.routes[at]
    }

    /// Takes what is open to a target.
    fn close(&mut self, unit: UnitId) -> u32 {
        let count = self.open.iter().find(|(one, _)| *one == unit).map_or(0, |(_, count)| *count);
        self.open.retain(|(one, _)| *one != unit);
        count
    }

    fn end_drains(&mut self, unit: UnitId, counted: impl Fn(u32) -> u32) -> bool {
        let mut ended = false;
        for drain in self.drains.iter_mut().filter(|drain| drain.unit == unit && !drain.done) {
            ended = true;
            drain.done = true;
            drain.cut.requests += counted(drain.open);
            drain.open = 0;
        }
        ended
    }

    /// Writes the entry. Former targets drain, those without an open request are drained at once; a unit that comes back
    /// while it drains is a new target, and its drain goes on.
    fn write(&mut self, workload: WorkloadId, to: Units, generation: u64) {
        let route = self.entry(workload);
        let former = std::mem::replace(&mut route.targets, to);
        route.generation = generation;
        self.drains.retain(|drain| drain.workload != workload || !drain.done);
        for unit in former.iter().filter(|unit| !to.contains(*unit)) {
            let open = self.close(unit);
            self.drains.push(DrainBody { workload, unit, open, done: open == 0, cut: Cut::default() });
        }
    }
}

/// What the proxy does.
impl World {
    pub(super) fn route(&mut self, request: Request, probing: Probing) -> Answer {
        if self.router.away == Away::Yes {
            return Answer::Unavailable;
        }
        if let Some(code) = self.refusal(request) {
            return Answer::Refused(code);
        }
        let (Request::Put { workload, generation, epoch, .. } | Request::Fence { workload, generation, epoch, .. }) =
            request
        else {
            return Answer::NotFound;
        };
        if let Request::Put { to, .. } = request {
            let former = self.targets(workload);
            let unready = |unit: UnitId| !former.contains(unit) && !self.unit(unit).is_some_and(super::Body::ready);
            if probing == Probing::Asked && on(Rule::Probe) && to.iter().any(unready) {
                return Answer::Refused(Refusal::Probe);
            }
            self.router.write(workload, to, generation);
        } else {
            self.router.entry(workload).generation = generation;
        }
        self.router.epoch = epoch;
        Answer::Done
    }

    /// Whether the writer has the right to this write: the first thing that the proxy looks at.
    #[must_use]
    pub fn refusal(&self, request: Request) -> Option<Refusal> {
        match request {
            Request::Put { workload, generation, boot, epoch, .. }
            | Request::Fence { workload, generation, boot, epoch } => {
                self.router.refusal(workload, generation, boot, epoch)
            }
            _ => None,
        }
    }

    /// As [`World::perform`], for a write that asks no target before it is routed to.
    pub fn perform_unprobed(&mut self, request: Request) -> Answer {
        match request {
            Request::Put { .. } => self.route(request, Probing::NotAsked),
            other => self.perform(other),
        }
    }

    /// What a workload is routed to.
    #[must_use]
    pub fn targets(&self, workload: WorkloadId) -> Units {
        self.routes().find(|route| route.workload == workload).map(|route| route.targets).unwrap_or_default()
    }

    /// Every entry, tombstones too.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.router.routes.iter()
    }

    /// Former targets, as [`DrainBody`] says.
    pub fn drains(&self) -> impl Iterator<Item = &DrainBody> {
        self.router.drains.iter()
    }

    /// Requests open to a unit, as a target and as a former one.
    #[must_use]
    pub fn open(&self, unit: UnitId) -> u32 {
        self.open_to_target(unit)
            + self.drains().filter(|drain| drain.unit == unit).map(|drain| drain.open).sum::<u32>()
    }

    /// Requests open to a unit as a target.
    #[must_use]
    pub fn open_to_target(&self, unit: UnitId) -> u32 {
        self.router.open.iter().find(|(one, _)| *one == unit).map_or(0, |(_, count)| *count)
    }

    /// Whether the proxy answers.
    #[must_use]
    pub fn router_answers(&self) -> bool {
        self.router.away == Away::No
    }
}

/// What happens to the proxy. Each says whether anything changed.
impl World {
    /// A client's request is passed on to a unit that is routed to and ready.
    pub fn connect(&mut self, unit: UnitId) -> bool {
        let routed = self.routes().any(|route| route.targets.contains(unit));
        if !self.router_answers() || !routed || !self.unit(unit).is_some_and(super::Body::ready) {
            return false;
        }
        match self.router.open.iter_mut().find(|(one, _)| *one == unit) {
            Some((_, count)) => *count += 1,
            None => self.router.open.push((unit, 1)),
        }
        true
    }

    /// Every request open to a unit ends well; its drain, if it drains, is over.
    pub fn drained(&mut self, unit: UnitId) -> bool {
        let ended = self.router.close(unit) > 0;
        self.router.end_drains(unit, |_| 0) || ended
    }

    /// The drain of a unit reaches its deadline: what is open to the former target is cut and counted.
    pub fn cut(&mut self, unit: UnitId) -> bool {
        self.router.end_drains(unit, |open| open)
    }

    /// The other end of every connection to a unit is gone.
    pub(super) fn hang_up(&mut self, unit: UnitId) {
        self.drained(unit);
    }

    /// The proxy ends; requests to it fail until it starts again.
    pub fn router_stop(&mut self) {
        self.router.away = Away::Yes;
        self.router.open.clear();
    }

    /// The proxy starts, or starts again: another process, without connections and drains.
    pub fn router_restart(&mut self, table: TableFate) {
        self.router.away = Away::No;
        self.router.starts += 1;
        self.router.open.clear();
        self.router.drains.clear();
        if table == TableFate::Lost {
            self.router.routes.clear();
            self.router.epoch = 0;
        }
    }
}
