//! A workload with a worker beside it, and one that comes after another.

use cutover_events::deployment::{Drift, DriftSeen, Handling, IntentQueued, Wish};
use cutover_events::plan::Strategy;
use cutover_events::workload::{Limits, Process};
use cutover_events::{Event, UnitId, WorkloadId};

use super::story::{BAKE_MS, By, GATE_MS, Story, dep, deploy, unit};
use crate::deployment::{Command, Decision, Next, probed};
use crate::observed::{Behind, Effect, Phase, RouterSeen, Targets};
use crate::workload::Phase as Course;

fn worker(replicas: u16) -> Process {
    Process { name: "worker".into(), command: vec!["work".into()], replicas, limits: Limits::default(), health: None }
}

/// A workload that has not been deployed, with a worker beside it.
fn new() -> Story {
    Story { processes: vec![worker(1)], ..Story::new() }
}

/// Dep 1 is live: unit 1 is the workload itself, unit 2 its worker.
fn live() -> Story {
    let mut story = new();
    story.policy.standby_ms = 0;
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story
}

fn active(story: &Story) -> Vec<UnitId> {
    story.state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default()
}

/// Dep 2 waits at its gate for its worker, unit 4.
fn at_the_gate() -> Story {
    let mut story = live();
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.seen(unit(4)).is_some_and(|seen| seen.phase == Phase::Running));
    story.at(unit(4)).up_ms = 0;
    story.go_until(|story| matches!(story.next(), Next::Wait(_)));
    story
}

/// Why the open deployment fails, once the last words of its container are kept.
fn failure(story: &mut Story) -> Option<String> {
    story.go_until(|story| matches!(story.next(), Next::Append(_)));
    let Next::Append(events) = story.next() else { return None };
    events.into_iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e.reason.text),
        _ => None,
    })
}

#[test]
fn all_are_gated_one_is_routed_then_all_of_blue_goes() {
    let mut story = at_the_gate();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1), unit(2)], &[unit(1)][..]));
    assert_eq!(probed(&story.state, &story.seen), [unit(3), unit(4)], "each by its own process");
    story.at(unit(4)).up_ms = story.policy.liveness_ms;
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| matches!(open.phase, Course::Swapped { .. })));
    assert_eq!(story.router_targets(), [unit(3)]);
    let runs = |n| story.seen.seen(unit(n)).is_some_and(|seen| seen.phase == Phase::Running);
    assert!(runs(2), "the worker of blue is told to stop after the swap");
    story.go_on();
    assert_eq!(active(&story), [unit(3), unit(4)]);
    assert_eq!(story.seen.containers.len(), 2);
}

#[test]
fn a_worker_that_fails_its_gate_leaves_everything_as_it_was() {
    let mut story = at_the_gate();
    let generation = story.state.routed.generation;
    story.ends(4);
    assert_eq!(failure(&mut story).as_deref(), Some("worker: the container ended with exit code 1"));
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1), unit(2)], &[unit(1)][..]));
    assert_eq!(story.state.routed.generation, generation);
    assert_eq!(story.seen.containers.len(), 2);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_named() {
    let mut story = at_the_gate();
    story.now.mono_ms += GATE_MS;
    let told = failure(&mut story).unwrap_or_default();
    assert!(told.starts_with("worker: not ready within 60 s"), "{told}");
}

#[test]
fn a_worker_that_dies_while_green_is_watched_brings_blue_back() {
    let mut story = at_the_gate();
    story.at(unit(4)).up_ms = story.policy.liveness_ms;
    story.go_until(|story| story.router_targets() == [unit(3)] && matches!(story.next(), Next::Wait(_)));
    story.ends(4);
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1), unit(2)], &[unit(1)][..]));
}

#[test]
fn a_worker_that_dies_in_a_first_deployment_takes_no_route_away() {
    let mut story = new();
    story.wish(1, deploy(), By::Person);
    story.go_until(|story| story.router_targets() == [unit(1)] && matches!(story.next(), Next::Wait(_)));
    story.ends(2);
    story.now.mono_ms += BAKE_MS;
    story.step();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1), unit(2)], &[unit(1)][..]));
}

#[test]
fn a_live_worker_is_replaced_and_the_route_leads_on_to_the_same() {
    let mut story = live();
    let generation = story.state.generation;
    story.vanishes(2);
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(2), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    story
        .asks(Command::Heal(DriftSeen { unit: unit(2), drift: Drift::Gone, handling: Handling::Repair }, intent))
        .unwrap();
    for _ in 0..100 {
        assert_eq!(story.router_targets(), [unit(1)]);
        if !story.step() {
            break;
        }
    }
    // One for the route, and one that tells the router of what goes.
    assert_eq!((active(&story), story.state.generation), (vec![unit(1), unit(3)], generation + 2));
    let part = |n| story.state.active.as_ref().map(|slot| slot.plan.part(unit(n)).process.to_owned());
    assert_eq!((part(1).as_deref(), part(3).as_deref()), (Some(""), Some("worker")));
}

#[test]
fn the_workload_itself_is_replaced_beside_its_worker_and_comes_first() {
    let mut story = live();
    story.vanishes(1);
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(2), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    story
        .asks(Command::Heal(DriftSeen { unit: unit(1), drift: Drift::Gone, handling: Handling::Repair }, intent))
        .unwrap();
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(3), unit(2)], &[unit(3)][..]));
}

#[test]
fn a_repair_of_the_route_is_not_given_up_for_a_worker() {
    let mut story = Story { replicas: 2, ..new() };
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.vanishes(1);
    story.vanishes(3);
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(2), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    story
        .asks(Command::Heal(DriftSeen { unit: unit(1), drift: Drift::Gone, handling: Handling::Repair }, intent))
        .unwrap();
    story.go_until(|story| story.router_targets() == [unit(2), unit(4)] && matches!(story.next(), Next::Wait(_)));
    story.ends(5);
    assert!(matches!(story.next(), Next::Wait(_)), "{:?}", story.next());
    story.go_until(|story| matches!(story.next(), Next::Decide(_)));
    assert_eq!((active(&story), story.router_targets().len()), (vec![unit(2), unit(4), unit(5)], 2));
    assert!(matches!(story.next(), Next::Decide(Decision::Heal(broken, Drift::Dead)) if broken == unit(5)));
}

#[test]
fn a_router_that_forgot_is_told_of_the_routed_ones_only() {
    let mut story = live();
    story.seen.router = Some(RouterSeen::default());
    story.go_until(|story| matches!(story.next(), Next::Do(Effect::Put { to: Targets::Active, .. })));
    story.go_until(|story| matches!(story.next(), Next::Wait(_)));
    assert_eq!(story.router_targets(), [unit(1)]);
}

#[test]
fn a_recreated_worker_is_restored_with_the_rest() {
    let mut story = Story { wanted: Some(Strategy::Recreate), ..new() };
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.seen(unit(4)).is_some_and(|seen| seen.phase == Phase::Running));
    assert_eq!(story.seen.containers.len(), 2, "all of blue is gone before any of green starts");
    story.ends(4);
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(5), unit(6)], &[unit(5)][..]));
    let part = story.state.active.as_ref().map(|slot| slot.plan.part(unit(6)).process.to_owned());
    assert_eq!(part.as_deref(), Some("worker"));
}

#[test]
fn a_standby_with_a_worker_is_adopted_as_a_whole() {
    let mut story = new();
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.wish(2, deploy(), By::Person);
    story.go_on();
    assert_eq!(story.seen.containers.len(), 4);
    story.wish(3, Wish::Rollback(None), By::Person);
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1), unit(2)], &[unit(1)][..]));
}

/// Dep 1 comes after `shop/db`, which is not ready.
fn after(behind: Behind) -> Story {
    let mut story = Story { after: vec!["shop/db".into()], ..Story::new() };
    story.seen.behind = vec![behind];
    story.wish(1, deploy(), By::Person);
    story.go_until(|story| matches!(story.next(), Next::Wait(_)));
    assert!(story.seen.containers.is_empty());
    story
}

#[test]
fn nothing_starts_before_what_it_comes_after() {
    let mut story = after(Behind { name: "shop/db".into(), coming: true });
    story.now.mono_ms += 10 * GATE_MS;
    assert_eq!(story.next(), Next::Wait(None), "no deadline passes while a deployment of it is under way");
    story.seen.behind.clear();
    assert_eq!(story.appends(), ["StepSucceeded"]);
    story.step();
    // What becomes of it later is its own affair.
    story.seen.behind = vec![Behind { name: "shop/db".into(), coming: false }];
    story.go_on();
    assert_eq!(active(&story), [unit(1)]);
}

#[test]
fn what_does_not_come_fails_it_at_the_deadline() {
    let mut story = after(Behind { name: "shop/db".into(), coming: false });
    assert!(matches!(story.next(), Next::Wait(Some(_))));
    story.now.mono_ms += GATE_MS;
    let Next::Append(events) = story.next() else { panic!("{:?}", story.next()) };
    let told = events.iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e.reason.text.as_str()),
        _ => None,
    });
    assert_eq!(told, Some("waits for shop/db, which is not ready; nothing was started for 60 s"));
}

#[test]
fn a_repair_and_a_restore_wait_for_nothing() {
    let mut story = Story { after: vec!["shop/db".into()], ..Story::new() };
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.seen.behind = vec![Behind { name: "shop/db".into(), coming: false }];
    story.vanishes(1);
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(2), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    story
        .asks(Command::Heal(DriftSeen { unit: unit(1), drift: Drift::Gone, handling: Handling::Repair }, intent))
        .unwrap();
    story.go_on();
    assert_eq!(active(&story), [unit(2)]);
}

#[test]
fn the_way_is_not_cleared_before_what_it_comes_after() {
    let mut story = Story { after: vec!["shop/db".into()], wanted: Some(Strategy::Recreate), ..Story::new() };
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.seen.behind = vec![Behind { name: "shop/db".into(), coming: true }];
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| matches!(story.next(), Next::Wait(_)));
    assert_eq!((active(&story), story.router_targets()), (vec![unit(1)], &[unit(1)][..]));
}
