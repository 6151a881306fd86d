//! The walk: depth first over every interleaving, each state once.

use crate::budget::Fault;
use crate::moves::Move;
use crate::scene::{Case, Lie, Scene};
use crate::visited::{MOST_STATES, Met, Visited};

/// Moves that bring a scenario's first wishes to rest, undisturbed.
const CALM_MOVES: usize = 5_000;

/// Where a walk stops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) moves: u64,
    /// Moves of one history.
    pub(crate) depth: usize,
}

/// What a walk came to.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) states: usize,
    pub(crate) moves: u64,
    pub(crate) rests: u64,
    pub(crate) deepest: usize,
    pub(crate) verdict: Verdict,
}

/// How a walk ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Every state was met.
    Exhausted,
    /// Stopped at a limit, with its name; what was met holds.
    Cut(&'static str),
    /// Stopped in a history that is longer than any should be: it goes round and round in states that never meet.
    TooDeep(Vec<Move>),
    /// A sentence does not hold after these moves.
    Violated(Lie, Vec<Move>),
}

struct Frame {
    scene: Scene,
    number: u32,
    /// What can happen next, the last one first.
    left: Vec<Move>,
    /// Whether rest can be reached from here without a fault, as far as is known.
    alive: bool,
    /// Where progress leads, while that is open.
    leads: Vec<u32>,
    /// What the move that led here cost.
    by: Option<Fault>,
}

/// Walks through one case.
pub(crate) struct Walk<'a> {
    case: &'a Case,
    limits: Limits,
    visited: Visited,
    stack: Vec<Frame>,
    trail: Vec<Move>,
    /// States from which rest was not found yet, and where they lead.
    open: Vec<(u32, Vec<u32>)>,
    moves: u64,
    rests: u64,
    deepest: usize,
    scratch: Vec<Move>,
}

impl<'a> Walk<'a> {
    /// Everything that can happen in this case, cut after so many moves.
    pub(crate) fn through(case: &'a Case, limits: Limits) -> Walked {
        let mut walk = Self {
            case,
            limits,
            visited: Visited::new(),
            stack: Vec::new(),
            trail: Vec::new(),
            open: Vec::new(),
            moves: 0,
            rests: 0,
            deepest: 0,
            scratch: Vec::new(),
        };
        let verdict = match begin(case) {
            Ok(scene) => walk.run(scene),
            Err(lie) => Verdict::Violated(format!("before the walk: {lie}"), Vec::new()),
        };
        Walked { states: walk.visited.count(), moves: walk.moves, rests: walk.rests, deepest: walk.deepest, verdict }
    }

    fn run(&mut self, scene: Scene) -> Verdict {
        let first = self.enter(scene, None);
        if let Err(lie) = first {
            return Verdict::Violated(lie, Vec::new());
        }
        while let Some(frame) = self.stack.last_mut() {
            let Some(step) = frame.left.pop() else {
                self.leave();
                continue;
            };
            let limit = match () {
                () if self.moves >= self.limits.moves => Some("moves"),
                () if self.visited.count() >= MOST_STATES => Some("states"),
                () if self.trail.len() >= self.limits.depth => {
                    return Verdict::TooDeep(std::mem::take(&mut self.trail));
                }
                () => None,
            };
            if let Some(limit) = limit {
                return Verdict::Cut(limit);
            }
            self.moves += 1;
            self.trail.push(step);
            let after = frame.scene.after(self.case, step);
            if let Err(lie) = after.and_then(|scene| self.enter(scene, step.fault())) {
                return Verdict::Violated(lie, std::mem::take(&mut self.trail));
            }
        }
        self.livelock()
    }

    /// Takes in a state that a move has led to.
    fn enter(&mut self, scene: Scene, by: Option<Fault>) -> Result<(), Lie> {
        let number = match self.visited.meet(scene.sum(self.case)) {
            Met::Known(number) => {
                self.trail.pop();
                self.leads_to(number, by);
                return Ok(());
            }
            Met::New(number) => number,
        };
        let mut left = std::mem::take(&mut self.scratch);
        scene.moves(self.case, &mut left);
        let rest = left.iter().all(|step| step.fault().is_some());
        if rest {
            self.rests += 1;
            scene.rests_well(self.case)?;
        }
        // The last is taken first: progress before faults, so that rest is found early.
        left.reverse();
        self.stack.push(Frame { scene, number, left, alive: rest, leads: Vec::new(), by });
        self.deepest = self.deepest.max(self.stack.len());
        Ok(())
    }

    fn leads_to(&mut self, number: u32, by: Option<Fault>) {
        let alive = self.visited.is_alive(number);
        if let Some(frame) = self.stack.last_mut().filter(|frame| by.is_none() && !frame.alive) {
            frame.alive |= alive;
            if !alive && frame.number != number {
                frame.leads.push(number);
            }
        }
    }

    fn leave(&mut self) {
        let Some(frame) = self.stack.pop() else { return };
        self.trail.pop();
        if frame.alive {
            self.visited.lives(frame.number);
        } else {
            self.open.push((frame.number, frame.leads));
        }
        self.scratch = frame.left;
        self.leads_to(frame.number, frame.by);
    }

    /// From every state rest can be reached without a further fault.
    fn livelock(&mut self) -> Verdict {
        let mut open = std::mem::take(&mut self.open);
        loop {
            let before = open.len();
            open.retain(|(number, leads)| !self.visited.revives(*number, leads));
            if open.is_empty() {
                return Verdict::Exhausted;
            }
            if open.len() == before {
                let first = open.iter().map(|(number, _)| *number).min().unwrap_or_default();
                let lie = format!("livelock: {} states cannot reach rest, the first is {first}", open.len());
                return Verdict::Violated(lie, trail_to(self.case, first));
            }
        }
    }
}

/// The moves that led to the n-th state, found by walking again.
fn trail_to(case: &Case, number: u32) -> Vec<Move> {
    let Ok(scene) = begin(case) else { return Vec::new() };
    let mut visited = Visited::new();
    let mut trail = Vec::new();
    let mut stack: Vec<(Scene, Vec<Move>)> = Vec::new();
    let mut next = Some(scene);
    loop {
        if let Some(scene) = next.take() {
            match visited.meet(scene.sum(case)) {
                Met::New(found) if found == number => return trail,
                Met::New(_) => {
                    let mut left = Vec::new();
                    scene.moves(case, &mut left);
                    left.reverse();
                    stack.push((scene, left));
                }
                Met::Known(_) => drop(trail.pop()),
            }
        }
        let Some((scene, left)) = stack.last_mut() else { return Vec::new() };
        match left.pop() {
            Some(step) => {
                trail.push(step);
                next = scene.after(case, step).ok();
            }
            None => {
                stack.pop();
                trail.pop();
            }
        }
    }
}

/// The state in which the walk begins: the first wishes are carried out, one after the other, undisturbed.
pub(crate) fn begin(case: &Case) -> Result<Scene, Lie> {
    let mut scene = Scene::empty(case);
    for (n, asked) in case.scenario.before.iter().enumerate() {
        scene.say(case, n, *asked)?;
        scene = calm(case, scene)?;
    }
    scene.left = case.budget;
    Ok(scene)
}

/// Progress without choice, until nothing but time is left, or a wish.
fn calm(case: &Case, mut scene: Scene) -> Result<Scene, Lie> {
    let mut moves = Vec::new();
    for _ in 0..CALM_MOVES {
        scene.moves(case, &mut moves);
        let open = scene.open().is_some() || !scene.work.queue.is_empty() || !scene.work.removal.is_empty();
        let useful = |step: &&Move| !matches!(step, Move::Wish | Move::Push) && (open || !matches!(step, Move::Due));
        let Some(step) = moves.iter().find(useful) else { return Ok(scene) };
        scene = scene.after(case, *step)?;
    }
    Err("the first wishes do not come to rest".into())
}
