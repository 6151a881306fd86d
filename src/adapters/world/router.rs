//! The proxy of a world: an entry per workload, connections, drains.

use cutover_events::deployment::Cut;
use cutover_events::{RouterBoot, UnitId, WorkloadId};
use cutover_proxy::wire::RefusedCode;

use super::{Answer, Request, Units, World};

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
    /// Whether nothing is open any more.
    pub done: bool,
    /// What was cut.
    pub cut: Cut,
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
    /// Open requests, by unit; a unit without any is not here.
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

    fn refusal(&self, workload: WorkloadId, generation: u64, boot: RouterBoot, epoch: u64) -> Option<RefusedCode> {
        if boot != self.boot() {
            return Some(RefusedCode::RouterBoot);
        }
        if epoch < self.epoch {
            return Some(RefusedCode::WriterEpoch);
        }
        (generation <= self.generation(workload)).then_some(RefusedCode::Generation)
    }

    fn entry(&mut self, workload: WorkloadId) -> &mut Route {
        let at = self.routes.iter().position(|route| route.workload == workload).unwrap_or_else(|| {
            self.routes.push(Route { workload, generation: 0, targets: Units::default() });
            self.routes.len() - 1
        });
        &mut self.routes[at]
    }

    fn open(&self, unit: UnitId) -> u32 {
        self.open.iter().find(|(one, _)| *one == unit).map_or(0, |(_, count)| *count)
    }

    fn close(&mut self, unit: UnitId) -> u32 {
        let count = self.open(unit);
        self.open.retain(|(one, _)| *one != unit);
        count
    }

    fn end_drain(&mut self, unit: UnitId, cut: Cut) -> bool {
        let Some(drain) = self.drains.iter_mut().find(|drain| drain.unit == unit && !drain.done) else {
            return false;
        };
        drain.done = true;
        drain.cut = cut;
        true
    }

    /// Writes the entry; former targets drain, and those without an open request are drained at once.
    fn write(&mut self, workload: WorkloadId, to: Units, generation: u64) {
        let route = self.entry(workload);
        let former = std::mem::replace(&mut route.targets, to);
        route.generation = generation;
        self.drains.retain(|drain| drain.workload != workload || !(drain.done || to.contains(drain.unit)));
        for unit in former.iter().filter(|unit| !to.contains(*unit)) {
            let done = self.open(unit) == 0;
            self.drains.push(DrainBody { workload, unit, done, cut: Cut::default() });
        }
    }
}

/// What the proxy does.
impl World {
    pub(super) fn route(&mut self, request: Request) -> Answer {
        if self.router.away == Away::Yes {
            return Answer::Unavailable;
        }
        match request {
            Request::Put { workload, to, generation, boot, epoch } => {
                if let Some(code) = self.router.refusal(workload, generation, boot, epoch) {
                    return Answer::Refused(code);
                }
                let former = self.targets(workload);
                let unready = |unit: UnitId| !former.contains(unit) && !self.unit(unit).is_some_and(super::Body::ready);
                if to.iter().any(unready) {
                    return Answer::Refused(RefusedCode::Probe);
                }
                self.router.epoch = epoch;
                self.router.write(workload, to, generation);
                Answer::Done
            }
            Request::Fence { workload, generation, boot, epoch } => {
                if let Some(code) = self.router.refusal(workload, generation, boot, epoch) {
                    return Answer::Refused(code);
                }
                self.router.epoch = epoch;
                self.router.entry(workload).generation = generation;
                Answer::Done
            }
            Request::Create { .. }
            | Request::Start(_)
            | Request::SetRestart(..)
            | Request::Stop(_)
            | Request::Remove(_) => Answer::NotFound,
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

    /// Requests open to a unit.
    #[must_use]
    pub fn open(&self, unit: UnitId) -> u32 {
        self.router.open(unit)
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
        self.router.end_drain(unit, Cut::default()) || ended
    }

    /// The drain of a unit reaches its deadline: what is open is cut and counted.
    pub fn cut(&mut self, unit: UnitId) -> bool {
        let drains = self.router.drains.iter().any(|drain| drain.unit == unit && !drain.done);
        drains && {
            let requests = self.router.close(unit);
            self.router.end_drain(unit, Cut { requests, ..Cut::default() })
        }
    }

    /// The other end of every connection to a unit is gone.
    pub(super) fn hang_up(&mut self, unit: UnitId) {
        self.router.close(unit);
        self.router.end_drain(unit, Cut::default());
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
