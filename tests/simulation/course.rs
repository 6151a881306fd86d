//! The course of a run: chance first, then calm, in which everything must come to rest and the last wish must win.

use cutover_domain::invariants::{at_rest, rests};
use cutover_events::deployment::Wish;

use crate::shop::{Program, Spec};
use crate::sim::Sim;
use crate::swarm::Swarm;
use crate::watch::End;
use crate::wishes::By;

/// More moves than this between two deployments: the run does not get on.
const MOVES_PER_DEPLOYMENT: u64 = 5_000;
/// Every lane rests within this many moves once no fault comes any more.
const CALM_MOVES: u64 = 4_000;

impl Sim {
    /// A run by chance alone, up to this many deployments.
    pub(crate) fn drawn(seed: u64, deployments: u64, trace: Option<Vec<String>>) -> Self {
        let mut random = crate::random::Random::new(seed);
        let lanes = 1 + random.index(3);
        let mut specs: Vec<_> = (0..lanes).map(|_| Spec::drawn(&mut random)).collect();
        for (lane, spec) in specs.iter_mut().enumerate().skip(1) {
            spec.after = random.chance(300).then_some(lane as u8 - 1);
        }
        let mut sim = Self::new(random.next(), &specs);
        sim.trace = trace;
        sim.swarm = Swarm::drawn(&mut random);
        let faults = format!("{:?}", sim.swarm);
        sim.say(|| format!("{faults} {specs:?}"));
        sim.chance(deployments);
        sim.calm_down();
        sim.last_wishes();
        sim
    }

    fn chance(&mut self, deployments: u64) {
        let (mut moves, mut begun) = (0, 0);
        while self.violation.is_none() && self.watch.begun < deployments {
            self.some_move();
            moves += 1;
            if self.watch.begun != begun {
                (moves, begun) = (0, self.watch.begun);
            }
            if moves > MOVES_PER_DEPLOYMENT {
                return;
            }
        }
    }

    fn some_move(&mut self) {
        if let Some(fault) = self.swarm.next_move(&mut self.random) {
            return self.strike(fault);
        }
        match self.random.below(100) {
            0..=59 => self.some_step(),
            60..=65 => self.some_removal(),
            66..=71 => self.some_resolution(),
            72..=75 if !self.world.pending().is_empty() => {
                let index = self.random.index(self.world.pending().len());
                self.land(index);
            }
            76..=82 => self.some_client(),
            83 if self.random.chance(600) => {
                let lane = self.random.index(self.shops.len());
                self.some_wish(lane);
            }
            _ => {
                let ms = self.random.pick(&[1, 5, 20, 100]);
                self.advance(ms);
            }
        }
    }

    fn some_step(&mut self) {
        let mono = self.mono();
        let due: Vec<_> = (0..self.shops.len()).filter(|lane| self.engine.lanes[*lane].wake_ms <= mono).collect();
        if !due.is_empty() {
            let lane = self.random.pick(&due);
            return self.step(lane);
        }
        let idle = |lane: &usize| {
            let state = &self.engine.lanes[*lane].state;
            state.open.is_none() && state.queue.is_empty()
        };
        let idle: Vec<_> = (0..self.shops.len()).filter(idle).collect();
        if !idle.is_empty() && self.random.chance(400) {
            let lane = self.random.pick(&idle);
            return self.some_wish(lane);
        }
        self.pass();
    }

    /// Time goes on to whatever comes next.
    fn pass(&mut self) {
        let lanes = self.engine.lanes.iter().map(|lane| lane.wake_ms).min().unwrap_or(0) + self.host.boot_ms;
        let now = self.world.now_ms();
        let next = self.next_turn().unwrap_or(u64::MAX).min(lanes).max(now + 1);
        self.advance(next - now);
    }

    fn some_removal(&mut self) {
        if !self.engine.removals.is_empty() {
            let index = self.random.index(self.engine.removals.len());
            self.take_away(index);
        }
    }

    fn some_resolution(&mut self) {
        let resolving = self.resolving();
        if !resolving.is_empty() {
            let lane = self.random.pick(&resolving);
            self.resolves(lane);
        }
    }

    /// A client's request begins, or those to one unit end.
    fn some_client(&mut self) {
        let lane = self.random.index(self.shops.len());
        let targets: Vec<_> = self.world.targets(self.shops[lane].id).iter().collect();
        if !targets.is_empty() && self.random.chance(500) {
            let unit = self.random.pick(&targets);
            self.world.connect(unit);
            return;
        }
        let busy: Vec<_> = targets.into_iter().chain(self.host.drains.keys().copied()).collect();
        if !busy.is_empty() {
            let unit = self.random.pick(&busy);
            self.world.drained(unit);
            self.note_drains();
            self.hint(lane);
        }
    }

    /// No fault comes any more: everything must come to rest.
    pub(crate) fn calm_down(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.say(|| "calm".into());
        (self.calm, self.swarm) = (true, Swarm::default());
        while !self.world.pending().is_empty() {
            self.land(0);
        }
        self.host.docker_back_ms = 0;
        self.host.router_back_ms = self.host.router_back_ms.min(self.world.now_ms());
        self.advance(1);
        self.settle();
    }

    /// Moves until every lane rests; what does not rest in time is a violation.
    pub(crate) fn settle(&mut self) {
        for _ in 0..CALM_MOVES {
            if self.violation.is_some() || self.is_settled() {
                break;
            }
            self.calm_move();
        }
        if self.violation.is_none() {
            self.must_rest();
        }
    }

    /// One move without chance.
    pub(crate) fn calm_move(&mut self) {
        let mono = self.mono();
        if !self.engine.removals.is_empty() {
            return self.take_away(0);
        }
        if let Some(lane) = self.resolving().first() {
            return self.resolves(*lane);
        }
        match (0..self.shops.len()).find(|lane| self.engine.lanes[*lane].wake_ms <= mono) {
            Some(lane) => {
                self.resume(lane);
                self.step(lane);
            }
            None => self.pass(),
        }
    }

    /// In calm times a person answers what is parked.
    fn resume(&mut self, lane: usize) {
        let parked = self.engine.lanes[lane].state.open.as_ref().filter(|open| open.parked);
        if let Some(id) = parked.map(|open| open.id()) {
            self.command(lane, cutover_domain::deployment::Command::Resume(id));
        }
    }

    /// Whether every lane waits for nothing, and the world is as the log says.
    pub(crate) fn is_settled(&self) -> bool {
        (0..self.shops.len()).all(|lane| {
            let observed = self.observe(lane);
            let state = &self.engine.lanes[lane].state;
            let waits = self.engine.lanes[lane].waits && self.engine.lanes[lane].wake_ms > self.mono();
            waits && rests(state, &observed) && at_rest(state, &observed).is_empty() && self.served(lane)
        })
    }

    /// At rest every active container is ready.
    fn served(&self, lane: usize) -> bool {
        let active = self.engine.lanes[lane].state.active.as_ref();
        active.is_none_or(|slot| slot.units.iter().all(|unit| self.is_well(*unit)))
    }

    fn must_rest(&mut self) {
        for lane in 0..self.shops.len() {
            let observed = self.observe(lane);
            let state = &self.engine.lanes[lane].state;
            let what = if !rests(state, &observed) {
                Some(format!("does not come to rest: {:?} {:?} {:?}", state.queue, state.open, state.removal))
            } else if let Some(breach) = at_rest(state, &observed).first() {
                Some(breach.to_string())
            } else if let Some(id) = self.watch.without_end(lane) {
                Some(format!("{id} has no end"))
            } else {
                (!self.served(lane)).then(|| "an active container is not ready at rest".to_owned())
            };
            if let Some(what) = what {
                self.fail(format!("w{lane} {what}"));
            }
        }
    }

    /// A good deployment, or a teardown, by a person in calm times must do what it says.
    fn last_wishes(&mut self) {
        if self.violation.is_some() {
            return;
        }
        for lane in (0..self.shops.len()).rev() {
            let teardown = self.random.chance(300);
            let wish = if teardown { Wish::Teardown } else { self.deploy_of(Program::GOOD) };
            let after = self.shops[lane].specs.last().and_then(|spec| spec.after).filter(|_| !teardown);
            let stands = after.is_none_or(|other| self.engine.lanes[usize::from(other)].state.stands());
            let Some(id) = self.wish(lane, wish, By::Person) else { continue };
            self.settle();
            // What comes after something that is not there fails, and says so.
            let end = if stands { End::Succeeded } else { End::Failed };
            if self.violation.is_none() && self.watch.accepted[&id].end != Some(end) {
                self.fail(format!("w{lane}: in calm times {id} ended {:?}", self.watch.accepted[&id].end));
            }
        }
    }
}
