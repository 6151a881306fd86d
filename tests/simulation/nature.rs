//! What happens by itself as time goes on: programs get ready, die and sicken, Docker revives, drains end.

use cutover_domain::observed::Phase;
use cutover_events::UnitId;
use cutover_world::{Body, Serving};

use crate::shop::{Fate, Kind, Program, Task};
use crate::sim::{Process, Sim};

/// Docker's pause before its first revival, ms; doubled each time, at most a minute.
const REVIVE_MS: u64 = 100;
/// How long a removal keeps the name, ms.
const GOING_MS: u64 = 30;
/// The time that an ill container takes to recover in calm times, ms.
const RECOVER_MS: u64 = 200;

#[derive(Clone, Copy, Debug)]
enum Turn {
    Ready,
    Exit,
    Finish,
    Sicken,
    Recover,
    Revive,
    Gone,
}

impl Sim {
    /// Time goes on, and with it everything that was due.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.world.advance(ms);
        for lane in &mut self.engine.lanes {
            lane.spins = 0;
        }
        self.come_back();
        self.note_drains();
        let now = self.world.now_ms();
        let due: Vec<_> =
            self.world.containers().filter_map(|body| self.turn(body).map(|turn| (body.unit, turn))).collect();
        for (unit, (_, turn)) in due.into_iter().filter(|(_, (at, _))| *at <= now) {
            self.take_turn(unit, turn);
        }
        self.end_drains(now);
    }

    /// When the next thing happens by itself, in the time of the world.
    pub(crate) fn next_turn(&self) -> Option<u64> {
        let turns = self.world.containers().filter_map(|body| self.turn(body).map(|(at, _)| at));
        let now = self.world.now_ms();
        let back = [self.host.docker_back_ms, self.host.router_back_ms].into_iter().filter(|at| *at > now);
        let hidden = self.host.hidden.iter().map(|(_, at)| *at);
        let drains = self.host.drains.iter().map(|(unit, began)| began + self.drain_ms(*unit));
        turns.chain(back).chain(hidden).chain(drains).min()
    }

    fn turn(&self, body: &Body) -> Option<(u64, Turn)> {
        let runs = self.runs.get(&body.unit);
        let program = runs.and_then(|runs| self.programs.get(runs.program)).copied().unwrap_or(Program::GOOD);
        let unprobed = runs.is_some_and(|runs| runs.unprobed);
        let ready_ms = if unprobed { 0 } else { program.ready_ms };
        let works = runs.is_some_and(|runs| runs.process == Process::Worker);
        let mut fate = if works { program.worker } else { program.fate };
        // What nobody asks cannot be told from what is well.
        if unprobed && matches!(fate, Fate::Silent | Fate::Sickens(_)) {
            fate = Fate::Good;
        }
        let spoilt = self.lane_of(body.workload).is_some_and(|lane| self.shops[lane].spoilt);
        if spoilt && !self.calm && fate != Fate::Spoils {
            fate = Fate::Exits;
        }
        let after = |ms: u64, turn| Some((body.since_ms + ms, turn));
        if runs.is_some_and(|runs| runs.process == Process::Command) && body.phase == Phase::Running {
            return match program.command {
                Task::Done(ms) => after(ms, Turn::Finish),
                Task::Fails(ms) => after(ms, Turn::Exit),
                Task::Hangs => None,
            };
        }
        match (body.phase, body.serving) {
            (Phase::Running, Serving::Nothing) => match fate {
                Fate::Exits | Fate::Spoils => after(0, Turn::Exit),
                Fate::Silent => None,
                Fate::Dies(ms) if ms < ready_ms && !self.calm => after(ms, Turn::Exit),
                Fate::Good | Fate::Dies(_) | Fate::Fails(_) | Fate::Sickens(_) => after(ready_ms, Turn::Ready),
            },
            (Phase::Running, Serving::Ready) => match fate {
                Fate::Dies(ms) if !self.calm => after(ms, Turn::Exit),
                Fate::Fails(ms) => after(ms, Turn::Exit),
                Fate::Sickens(ms) if !self.calm => after(ms, Turn::Sicken),
                _ => None,
            },
            (Phase::Running, Serving::Sick) if self.calm => after(RECOVER_MS, Turn::Recover),
            (Phase::Running, Serving::Sick) => None,
            (Phase::Restarting, _) => after((REVIVE_MS << body.restarts.min(10)).min(60_000), Turn::Revive),
            (Phase::Removing, _) => after(GOING_MS, Turn::Gone),
            (Phase::Created | Phase::Exited, _) => None,
        }
    }

    fn take_turn(&mut self, unit: UnitId, turn: Turn) {
        let lane = self.world.unit(unit).and_then(|body| self.lane_of(body.workload));
        self.say(|| format!("{unit} {turn:?}"));
        match turn {
            Turn::Ready => self.world.become_ready(unit),
            Turn::Exit => {
                self.spoil(unit, lane);
                self.world.exit(unit, 1)
            }
            Turn::Finish => self.world.exit(unit, 0),
            Turn::Sicken | Turn::Recover => self.world.flap(unit),
            Turn::Revive => self.world.revive(unit),
            Turn::Gone => self.world.gone(unit),
        };
        if let Some(lane) = lane {
            self.hint(lane);
        }
    }

    /// What some programs do to the data of their workload, if it has any.
    fn spoil(&mut self, unit: UnitId, lane: Option<usize>) {
        let program = self.runs.get(&unit).and_then(|runs| self.programs.get(runs.program));
        let spoils = program.is_some_and(|program| program.fate == Fate::Spoils);
        if let Some(lane) = lane.filter(|_| spoils) {
            let alone = self.shops[lane].specs.last().is_some_and(|spec| spec.kind == Kind::Alone);
            self.shops[lane].spoilt |= alone;
        }
    }

    fn come_back(&mut self) {
        let now = self.world.now_ms();
        if self.host.router_back_ms != 0 && self.host.router_back_ms <= now {
            self.host.router_back_ms = 0;
            self.world.router_restart(cutover_world::TableFate::Kept);
            self.host.drains.clear();
        }
        let (over, hidden): (Vec<_>, Vec<_>) = self.host.hidden.iter().partition(|(_, at)| *at <= now);
        self.host.hidden = hidden;
        for (unit, _) in over {
            self.world.appear(unit);
        }
    }

    /// Remembers when drains began.
    pub(crate) fn note_drains(&mut self) {
        let now = self.world.now_ms();
        let open = |unit: &UnitId| self.world.drains().any(|drain| drain.unit == *unit && !drain.done);
        self.host.drains.retain(|unit, _| open(unit));
        for drain in self.world.drains().filter(|drain| !drain.done) {
            self.host.drains.entry(drain.unit).or_insert(now);
        }
    }

    fn end_drains(&mut self, now: u64) {
        let over = self.host.drains.iter().filter(|(unit, began)| **began + self.drain_ms(**unit) <= now);
        for unit in over.map(|(unit, _)| *unit).collect::<Vec<_>>() {
            self.say(|| format!("the drain of {unit} ends"));
            self.world.cut(unit);
            self.host.drains.remove(&unit);
            if let Some(lane) = self.world.unit(unit).and_then(|body| self.lane_of(body.workload)) {
                self.hint(lane);
            }
        }
    }

    fn drain_ms(&self, unit: UnitId) -> u64 {
        let lane = self.world.unit(unit).and_then(|body| self.lane_of(body.workload));
        lane.and_then(|lane| self.shops[lane].specs.last()).map_or(0, |spec| spec.policy.drain_ms)
    }
}
