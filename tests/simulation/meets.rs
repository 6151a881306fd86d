//! Wishes that meet a deployment at every point of it: a newer one by a person, a newer automatic one, a cancel. Every
//! kind of plan, after every commit; what the engine had decided just then counts only where it still may.

use cutover_domain::deployment::{Command, Insist, Rejection, decide};
use cutover_domain::workload::{Open, Workload};
use cutover_events::{DeploymentId, Event};

use crate::plans::Scenario;
use crate::shop::Program;
use crate::sim::Sim;
use crate::watch::End;
use crate::wishes::By;

/// Commits of the longest of these deployments, and some more.
const MOST_COMMITS: usize = 60;
/// Moves between two commits of one deployment, at most.
const MOVES: usize = 4_000;
/// Pushes that come one upon the other.
const PUSHES: usize = 24;

/// What meets the deployment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Newcomer {
    Person,
    Machine,
    Cancel,
}

/// Whether the engine has looked since its last commit, and is about to do what it has decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Looking,
    Decided,
}

/// How far the deployment is when it is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    BeforePivot,
    PastPivot,
    Over,
}

fn at(state: &Workload, id: DeploymentId) -> At {
    let open = state.open.as_ref().filter(|open| open.id() == id);
    match (open, state.is_open(id)) {
        (Some(open), _) if !open.before_pivot() => At::PastPivot,
        (_, true) => At::BeforePivot,
        (_, false) => At::Over,
    }
}

/// Goes on until so many commits are written; false when everything has come to rest before.
fn go_on(sim: &mut Sim, commits: usize) -> bool {
    for _ in 0..MOVES {
        if sim.journal.commits().len() >= commits {
            return true;
        }
        if sim.violation.is_some() || sim.is_settled() {
            return false;
        }
        sim.calm_move();
    }
    panic!("no commit comes");
}

/// What a deployment of this scenario comes to by itself.
fn usual(scenario: Scenario) -> End {
    if scenario == Scenario::AloneRestore { End::Failed } else { End::Succeeded }
}

fn ends_service(scenario: Scenario) -> bool {
    matches!(scenario, Scenario::Teardown | Scenario::AloneTeardown | Scenario::Stop | Scenario::AloneStop)
}

/// The deployment of a scenario is met after its k-th commit; false when it has fewer.
fn meet(scenario: Scenario, by: By, (k, moment): (usize, Moment), newcomer: Newcomer) -> bool {
    let mut sim = scenario.prepared();
    sim.trace = Some(Vec::new());
    let base = sim.journal.commits().len();
    let id = scenario.wish(&mut sim, by).expect("these are wishes");
    if !go_on(&mut sim, base + k) {
        return false;
    }
    if moment == Moment::Decided {
        sim.engine.lanes[0].held = sim.look(0);
    }
    let met = at(&sim.engine.lanes[0].state, id);
    let ended = sim.watch.accepted[&id].end;
    let new = come(&mut sim, id, (met, newcomer));
    sim.settle();
    let name = format!("{scenario:?} met by {newcomer:?} after commit {k} ({moment:?}, {met:?})");
    let trace = sim.trace.clone().unwrap_or_default().join("\n");
    assert_eq!(sim.violation, None, "{name}\n{trace}");
    let replaced = match newcomer {
        Newcomer::Cancel => Some(End::Cancelled),
        Newcomer::Person => Some(End::Superseded),
        Newcomer::Machine => (by == By::Machine).then_some(End::Superseded),
    };
    let expected = match met {
        At::BeforePivot => replaced.unwrap_or(usual(scenario)),
        At::PastPivot => usual(scenario),
        At::Over => ended.expect("it is over"),
    };
    assert_eq!(sim.watch.accepted[&id].end, Some(expected), "{name}\n{trace}");
    match new {
        Some(new) => assert_eq!(sim.watch.accepted[&new].end, Some(End::Succeeded), "{name}\n{trace}"),
        None => assert!(newcomer == Newcomer::Cancel || ends_service(scenario), "{name}: refused\n{trace}"),
    }
    true
}

/// The newcomer is taken or refused, as it must be; the id of a wish that was taken.
fn come(sim: &mut Sim, id: DeploymentId, (met, newcomer): (At, Newcomer)) -> Option<DeploymentId> {
    let by = match newcomer {
        Newcomer::Person => By::Person,
        Newcomer::Machine => By::Machine,
        Newcomer::Cancel => {
            let answer = decide(&sim.engine.lanes[0].state, Command::Cancel(id, Insist::No));
            let right = match met {
                At::BeforePivot => matches!(&answer, Ok(events) if matches!(events[..], [Event::IntentCancelled(_)])),
                At::PastPivot => answer == Err(Rejection::PastPivot(id)),
                At::Over => answer == Err(Rejection::NotOpen(id)),
            };
            assert!(right, "a cancel is answered {answer:?} when it is {met:?}");
            sim.command(0, Command::Cancel(id, Insist::No));
            return None;
        }
    };
    let wish = sim.deploy_of(Program::GOOD);
    sim.wish(0, wish, by)
}

const PLANS: [Scenario; 11] = [
    Scenario::DeployFirst,
    Scenario::DeployAgain,
    Scenario::RollbackNew,
    Scenario::RollbackAdopt,
    Scenario::Teardown,
    Scenario::Stop,
    Scenario::Start,
    Scenario::AloneAgain,
    Scenario::AloneRestore,
    Scenario::AloneFromStandby,
    Scenario::AloneTeardown,
];

#[test]
fn scenario_09_a_deployment_that_is_met_at_any_point_has_one_end_and_leaves_nothing() {
    let mut met = 0;
    for scenario in PLANS {
        for newcomer in [Newcomer::Person, Newcomer::Machine, Newcomer::Cancel] {
            for moment in [Moment::Looking, Moment::Decided] {
                let points =
                    (1..MOST_COMMITS).take_while(|k| meet(scenario, By::Person, (*k, moment), newcomer)).count();
                assert!((4..MOST_COMMITS - 1).contains(&points), "{scenario:?}: {points} points");
                met += points;
            }
        }
    }
    println!("{met} meetings");
}

#[test]
fn scenario_09_an_automatic_deployment_makes_way_before_its_pivot_for_any_newer_wish() {
    for scenario in [Scenario::DeployFirst, Scenario::DeployAgain, Scenario::AloneAgain, Scenario::AloneRestore] {
        for newcomer in [Newcomer::Person, Newcomer::Machine, Newcomer::Cancel] {
            for moment in [Moment::Looking, Moment::Decided] {
                let points = (1..MOST_COMMITS).take_while(|k| meet(scenario, By::Machine, (*k, moment), newcomer));
                assert!(points.count() >= 4, "{scenario:?}");
            }
        }
    }
}

#[test]
fn scenario_09_pushes_without_end_starve_nothing() {
    for scenario in [Scenario::DeployFirst, Scenario::DeployAgain, Scenario::AloneAgain] {
        let mut sim = scenario.prepared();
        let before = sim.watch.accepted.len();
        for _ in 0..PUSHES {
            let wish = sim.deploy_of(Program::GOOD);
            sim.wish(0, wish, By::Machine);
            // The next push comes as soon as any deployment has got on by a commit of its own.
            while go_on_by_one(&mut sim) && newest_is_about_wishes(&sim) {}
        }
        sim.settle();
        assert_eq!(sim.violation, None, "{scenario:?}");
        let mut ends: Vec<_> = sim.watch.accepted.values().map(|accepted| (accepted.order, accepted.end)).collect();
        ends.sort_unstable_by_key(|(order, _)| *order);
        let succeeded = ends[before..].iter().filter(|(_, end)| *end == Some(End::Succeeded)).count();
        assert!(succeeded >= 2, "{scenario:?}: {ends:?}");
        assert_eq!(ends.last().map(|(_, end)| *end), Some(Some(End::Succeeded)), "the newest wins");
    }
}

fn go_on_by_one(sim: &mut Sim) -> bool {
    let commits = sim.journal.commits().len();
    go_on(sim, commits + 1)
}

fn newest_is_about_wishes(sim: &Sim) -> bool {
    let events = &sim.journal.commits().last().expect("a commit").events;
    events.iter().all(|event| matches!(event, Event::IntentSuperseded(_) | Event::IntentQueued(_)))
}

#[test]
fn a_wish_that_waits_for_its_image_is_met_without_a_trace() {
    for newcomer in [Newcomer::Person, Newcomer::Machine, Newcomer::Cancel] {
        let mut sim = Scenario::DeployAgain.prepared();
        let wish = sim.deploy_of(Program { pushed_ms: 5_000, ..Program::GOOD });
        let id = sim.wish(0, wish, By::Machine).expect("a push is taken");
        while sim.engine.lanes[0].state.waiting.is_none() {
            sim.calm_move();
        }
        assert!(sim.engine.lanes[0].state.open.as_ref().map(Open::id).is_none(), "the lane is free");
        let new = come(&mut sim, id, (At::BeforePivot, newcomer));
        sim.settle();
        assert_eq!(sim.violation, None, "{newcomer:?}");
        let end = if newcomer == Newcomer::Cancel { End::Cancelled } else { End::Superseded };
        assert_eq!(sim.watch.accepted[&id].end, Some(end));
        assert!(new.is_none_or(|new| sim.watch.accepted[&new].end == Some(End::Succeeded)));
    }
}
