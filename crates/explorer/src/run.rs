//! Runs cases, several at a time, and says what came of them: one JSON object a line.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Cli;
use crate::budget::{Budget, Fault};
use crate::scenario::{ALL, Scenario};
use crate::scene::Case;
use crate::trace::tell;
use crate::walk::{Limits, Verdict, Walk, Walked};

/// Two deaths; a death and a request that comes later; two and three such requests.
const PAIRS: [Budget; 4] = [
    Budget::of(&[(Fault::Crash, 2)]),
    Budget::of(&[(Fault::Crash, 1), (Fault::Late, 1)]),
    Budget::of(&[(Fault::Late, 2)]),
    Budget::of(&[(Fault::Late, 3)]),
];
/// One of each fault of the engine, its answers and a container's health.
const ONE_OF_EACH: Budget = Budget::of(&[(Fault::Crash, 1), (Fault::Late, 1), (Fault::Flap, 1), (Fault::Lost, 1)]);
/// One of what happens to containers and to the proxy, and a request that comes later.
const HANDS: Budget = Budget::of(&[(Fault::Late, 1), (Fault::Remove, 1), (Fault::Router, 1)]);
/// The widest: two deaths, and one of everything else that a budget in figures names.
const NIGHTLY: Budget = Budget::of(&[
    (Fault::Crash, 2),
    (Fault::Late, 1),
    (Fault::Flap, 1),
    (Fault::Remove, 1),
    (Fault::Lost, 1),
    (Fault::Router, 1),
]);

/// Moves of each case in a short run: all together take less than three minutes on two cores.
const SHORT_MOVES: u64 = 400_000;
/// Moves of each case under the widest budget: over all scenarios more than 30 million states.
const NIGHTLY_MOVES: u64 = 4_000_000;

/// Lines of a history that goes round and round, from its end.
const ROUND_AND_ROUND: usize = 200;

/// One scenario under one budget.
struct Job {
    case: Case,
    limits: Limits,
}

/// All cases together.
#[derive(Default)]
struct Sums {
    states: usize,
    moves: u64,
    seconds: f64,
    cut: usize,
    violated: Vec<String>,
}

/// A part `I/N` of a run.
pub(crate) fn part(text: &str) -> Result<(usize, usize), String> {
    let parsed = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parsed.filter(|(part, of)| (1..=*of).contains(part)).ok_or_else(|| "a part is I/N, I from 1 to N".into())
}

/// Runs what is asked for; fails when anything does not hold.
pub(crate) fn all(cli: &Cli) -> ExitCode {
    let jobs = jobs(cli);
    let began = now();
    let (next, sums) = (AtomicUsize::new(0), Mutex::new(Sums::default()));
    std::thread::scope(|scope| {
        for _ in 0..cli.jobs.clamp(1, jobs.len().max(1)) {
            let taken = std::iter::repeat_with(|| jobs.get(next.fetch_add(1, Ordering::Relaxed)));
            let sums = &sums;
            scope.spawn(move || taken.map_while(|job| job).for_each(|job| one(job, sums)));
        }
    });
    let sums = sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    verdict(&sums, jobs.len(), began.elapsed())
}

fn jobs(cli: &Cli) -> Vec<Job> {
    let wanted = |scenario: &&Scenario| cli.only.as_ref().is_none_or(|only| scenario.name.contains(only.as_str()));
    let budgets = budgets(cli);
    let scenarios = ALL.iter().filter(wanted);
    let cases = scenarios.flat_map(|scenario| {
        let of = |(budget, moves): &(Budget, u64)| (Case::new(*scenario, budget.and(&scenario.own)), *moves);
        budgets.iter().map(of).collect::<Vec<_>>()
    });
    let limits = |moves| Limits { moves: cli.moves.unwrap_or(moves), depth: cli.depth };
    let jobs = cases.map(|(case, moves)| Job { case, limits: limits(moves) });
    let (part, of) = cli.part.unwrap_or((1, 1));
    jobs.skip(part - 1).step_by(of).collect()
}

/// Budgets, each with the moves after which a case stops.
fn budgets(cli: &Cli) -> Vec<(Budget, u64)> {
    let up_to = |moves: u64| move |budget: &Budget| (*budget, moves);
    if !cli.budget.is_empty() {
        return cli.budget.iter().map(up_to(u64::MAX)).collect();
    }
    let gate = [&PAIRS[..], &[ONE_OF_EACH, HANDS]].concat();
    if !cli.long {
        return gate.iter().map(up_to(SHORT_MOVES)).collect();
    }
    gate.iter().map(up_to(u64::MAX)).chain([(NIGHTLY, NIGHTLY_MOVES)]).collect()
}

fn one(job: &Job, sums: &Mutex<Sums>) {
    let began = cpu();
    let walked = Walk::through(&job.case, job.limits);
    let took = cpu().saturating_sub(began);
    let mut sums = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("{}", line(&job.case, &walked, took));
    sums.states += walked.states;
    sums.moves += walked.moves;
    sums.seconds += took.as_secs_f64();
    match &walked.verdict {
        Verdict::Exhausted => (),
        Verdict::Cut(_) => sums.cut += 1,
        Verdict::TooDeep(trail) => {
            sums.violated.push(job.case.scenario.name.to_owned());
            let told = tell(&job.case, trail);
            let from = told.lines.len().saturating_sub(ROUND_AND_ROUND);
            eprintln!("--- {}\n{}\n=== too deep", job.case.scenario.name, told.lines[from..].join("\n"));
        }
        Verdict::Violated(lie, trail) => {
            sums.violated.push(job.case.scenario.name.to_owned());
            let told = tell(&job.case, trail);
            eprintln!("--- {}\n{}\n=== {lie}", job.case.scenario.name, told.lines.join("\n"));
            eprintln!("=== crash points: {}\n", told.points.join(" "));
        }
    }
}

fn line(case: &Case, walked: &Walked, took: Duration) -> serde_json::Value {
    let seconds = took.as_secs_f64();
    let (lie, cut) = match &walked.verdict {
        Verdict::Exhausted => (None, None),
        Verdict::TooDeep(_) => (Some("it goes round and round"), None),
        Verdict::Cut(limit) => (None, Some(*limit)),
        Verdict::Violated(lie, _) => (Some(lie.as_str()), None),
    };
    json!({
        "scenario": case.scenario.name,
        "budget": case.budget.to_string(),
        "states": walked.states,
        "moves": walked.moves,
        "rests": walked.rests,
        "deepest": walked.deepest,
        "cpu_seconds": (seconds * 1000.0).round() / 1000.0,
        "cut": cut,
        "violations": usize::from(lie.is_some()),
        "violation": lie,
    })
}

fn verdict(sums: &Sums, cases: usize, took: Duration) -> ExitCode {
    let per = |count: f64| (count / sums.seconds.max(0.001)) as u64;
    let figures = format!(
        "{cases} cases, {} states, {} moves, {} s ({} states and {} moves a CPU-second), {} cut",
        sums.states,
        sums.moves,
        took.as_secs(),
        per(sums.states as f64),
        per(sums.moves as f64),
        sums.cut
    );
    if sums.violated.is_empty() {
        println!("ok sim: {figures}, 0 violations");
        return ExitCode::SUCCESS;
    }
    println!("short sim: {figures}, {} violations: {}", sums.violated.len(), sums.violated.join("; "));
    ExitCode::FAILURE
}

/// What this thread has used of a core: what else the machine does is not counted.
fn cpu() -> Duration {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(at.tv_sec.unsigned_abs(), at.tv_nsec.unsigned_abs() as u32)
}

#[expect(clippy::disallowed_methods, reason = "how long a walk took is told to people and decides nothing")]
fn now() -> Instant {
    Instant::now()
}
