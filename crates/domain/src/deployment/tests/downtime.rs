//! The course of an exclusive deployment: downtime, the way is cleared, restore, down, repairs with a back-off.

use cutover_events::deployment::Wish;
use cutover_events::{BootId, Event, UnitId};

use super::story::{BAKE_MS, By, GATE_MS, STANDBY_MS, Story, dep, deploy, unit};
use crate::deployment::{Command, Decision, Insist, Next, Rejection};
use crate::observed::{Class, Effect, Phase as Doing, Restart, Targets};
use crate::workload::Phase;

/// From a failure on, before the first repair.
const BACK_OFF_MS: u64 = 60_000;

fn phase(story: &Story) -> Option<Phase> {
    story.state.open.as_ref().map(|open| open.phase.clone())
}

fn active(story: &Story) -> Vec<UnitId> {
    story.state.active.as_ref().map(|slot| slot.units.to_vec()).unwrap_or_default()
}

/// Dep 2 has opened its downtime over the live dep 1.
fn opened() -> Story {
    let mut story = Story::alone();
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| matches!(phase(story), Some(Phase::Opened(_))));
    story
}

/// Dep 2 has cleared the way and started its unit 2, which is ill from here on.
fn started() -> Story {
    let mut story = opened();
    story.go_until(|story| story.seen.seen(unit(2)).is_some_and(|seen| seen.phase == Doing::Running));
    story
}

fn ended_as(events: &[Event]) -> Option<(&str, Vec<UnitId>)> {
    events.iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => {
            let active = e.lists.active.as_ref().map(|slot| slot.units.clone());
            Some((e.reason.text.as_str(), active.unwrap_or_default()))
        }
        _ => None,
    })
}

#[test]
fn blue_is_created_beside_but_nothing_starts_until_it_is_gone() {
    let mut story = opened();
    assert_eq!(story.seen.seen(unit(2)).map(|seen| seen.phase), Some(Doing::Created));
    assert_eq!((active(&story), story.state.removal.clone()), (vec![], vec![unit(1)]));
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Held, generation: 3 }));
    story.go_until(|story| story.seen.seen(unit(2)).is_some_and(|seen| seen.phase == Doing::Running));
    assert_eq!(story.seen.seen(unit(1)), None);
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(2)], &[unit(2)][..]));
}

#[test]
fn the_route_is_written_although_it_leads_nowhere_already() {
    let mut story = opened();
    story.router().targets.clear();
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Held, generation: 3 }));
}

#[test]
fn blue_is_not_removed_while_requests_to_it_are_open() {
    let mut story = opened();
    story.step();
    assert_eq!(story.appends(), ["Unrouted"]);
    story.step();
    story.router().busy = vec![unit(1)];
    assert_eq!(story.next(), Next::Wait(None));
    story.router().busy.clear();
    assert_eq!(story.appends(), ["BlueDrained"]);
    story.step();
    assert!(matches!(story.next(), Next::Do(Effect::Remove(id, _)) if id == unit(1)));
}

#[test]
fn nothing_supersedes_or_cancels_it_past_the_downtime() {
    let mut story = opened();
    assert_eq!(story.asks(Command::Cancel(dep(2), Insist::No)), Err(Rejection::PastPivot(dep(2))));
    story.wish(3, deploy(), By::Person);
    story.go_until(|story| story.state.open.as_ref().is_none_or(|open| open.id() == dep(3)));
    assert_eq!(active(&story), vec![unit(2)]);
}

#[test]
fn a_standby_goes_with_blue() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    assert!(story.state.standby.is_some());
    story.wanted = Some(cutover_events::plan::Strategy::Recreate);
    story.wish(3, deploy(), By::Person);
    story.go_until(|story| story.seen.seen(unit(3)).is_some_and(|seen| seen.phase == Doing::Running));
    assert_eq!(story.seen.containers.len(), 1);
    story.go_on();
    assert_eq!((active(&story), story.state.standby.clone()), (vec![unit(3)], None));
    story.now.mono_ms += STANDBY_MS + BAKE_MS;
    assert_eq!(story.next(), Next::Wait(None));
}

#[test]
fn a_version_that_ends_is_answered_by_one_restore_in_a_container_of_its_own() {
    let mut story = started();
    story.ends(2);
    assert!(matches!(story.next(), Next::Do(Effect::Capture(id, _)) if id == unit(2)));
    story.step();
    assert_eq!(story.appends(), ["StepFailed"]);
    story.step();
    assert_eq!(story.next(), Next::Decide(Decision::Restore));
    story.step();
    assert_eq!(story.state.removal, [unit(2)]);
    story.go_until(|story| story.seen.seen(unit(3)).is_some_and(|seen| seen.phase == Doing::Running));
    assert_eq!(story.seen.seen(unit(2)), None, "nothing starts beside what has failed");
    story.go_until(|story| matches!(phase(story), Some(Phase::Swapped { .. })));
    let serving = story.state.serving().map(|(release, _)| release);
    assert_eq!(serving, Some(cutover_events::ReleaseId(dep(1).0)), "what was brought back, and not what has failed");
    let Next::Append(events) = story.next() else { panic!("{:?}", story.next()) };
    assert_eq!(ended_as(&events), Some(("the container ended with exit code 1", vec![unit(3)])));
    story.go_on();
    assert_eq!((active(&story), story.router_targets()), (vec![unit(3)], &[unit(3)][..]));
    assert_eq!((story.state.down, story.at(unit(3)).restart), (None, Restart::Always));
}

/// The restore of a failed dep 2 runs as unit 3.
fn restoring() -> Story {
    let mut story = started();
    story.ends(2);
    story.go_until(|story| story.seen.seen(unit(3)).is_some_and(|seen| seen.phase == Doing::Running));
    story
}

#[test]
fn a_restore_that_ends_leaves_the_workload_down_and_it_is_tried_again_with_a_back_off() {
    let mut story = restoring();
    story.ends(3);
    story.go_until(|story| story.state.open.is_none() && story.state.removal.is_empty());
    assert_eq!((active(&story), story.state.down), (vec![], Some(cutover_events::ReleaseId(dep(1).0))));
    let Next::Wait(Some(again)) = story.next() else { panic!("{:?}", story.next()) };
    assert_eq!(again, story.state.heals.last.mono_ms + BACK_OFF_MS);
    story.now.mono_ms = again;
    assert_eq!(story.next(), Next::Decide(Decision::Revive));
    story.go_until(|story| story.seen.seen(unit(4)).is_some_and(|seen| seen.phase == Doing::Running));
    story.ends(4);
    story.go_until(|story| story.state.open.is_none() && story.state.removal.is_empty());
    assert_eq!(story.next(), Next::Wait(Some(story.state.heals.last.mono_ms + 2 * BACK_OFF_MS)));
    assert!(story.state.down.is_some());
}

#[test]
fn a_repair_of_what_is_down_plans_containers_although_nothing_of_it_is_left() {
    let mut story = restoring();
    story.ends(3);
    story.go_until(|story| story.state.open.is_none() && story.state.removal.is_empty());
    story.wanted = None;
    story.now.mono_ms += BACK_OFF_MS;
    assert_eq!(story.next(), Next::Decide(Decision::Revive));
    story.step();
    story.go_on();
    assert_eq!(active(&story), vec![unit(4)]);
}

#[test]
fn the_next_wish_of_a_workload_that_is_down_runs_and_has_nothing_to_restore() {
    let mut story = restoring();
    story.ends(3);
    story.go_until(|story| story.state.open.is_none() && story.state.removal.is_empty());
    story.wish(3, deploy(), By::Person);
    story.go_on();
    assert_eq!((active(&story), story.state.down), (vec![unit(4)], None));
}

#[test]
fn a_restore_whose_process_lives_is_never_killed_and_routed_as_soon_as_it_is_ready() {
    let mut story = restoring();
    story.sickens(3);
    let restore_ms = story.policy.restore_timeout_ms;
    let begun = story.now.mono_ms;
    story.go_until(|story| story.state.open.is_none());
    assert!(story.now.mono_ms >= begun + restore_ms && restore_ms > GATE_MS);
    assert_eq!((active(&story), story.router_targets()), (vec![unit(3)], &[][..]));
    story.go_until(|_| false);
    assert!(story.seen.seen(unit(3)).is_some());
    story.at(unit(3)).probe = crate::observed::Probe { answer: crate::observed::Answer::Passed, failures: 0 };
    assert_eq!(story.appends(), ["RouteReasserted"]);
    story.go_until(|_| false);
    assert_eq!(story.router_targets(), &[unit(3)]);
}

#[test]
fn a_first_version_that_fails_leaves_nothing_and_nothing_to_restore() {
    let mut story = Story::new();
    story.wanted = Some(cutover_events::plan::Strategy::Recreate);
    story.wish(1, deploy(), By::Person);
    story.go_until(|story| story.seen.seen(unit(1)).is_some_and(|seen| seen.phase == Doing::Running));
    story.ends(1);
    story.go_on();
    assert_eq!((active(&story), story.state.down, story.seen.containers.len()), (vec![], None, 0));
}

#[test]
fn a_refused_swap_goes_back_to_the_gate_at_a_new_generation_and_not_for_ever() {
    let mut story = started();
    for refusals in 1..=5 {
        story.go_until(|story| matches!(phase(story), Some(Phase::Committed(_))));
        let Some(Phase::Committed(generation)) = phase(&story) else { panic!("{:?}", story.next()) };
        story.refused(Effect::Put { to: Targets::Green, generation }, Class::ProbeRefused);
        assert_eq!(story.appends(), ["SwapRefused"], "{refusals}");
        story.step();
        assert_eq!(story.next(), Next::Do(Effect::Fence { generation: generation + 1 }));
        story.step();
    }
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.restores.is_some()));
    story.go_on();
    assert_eq!(active(&story), vec![unit(3)]);
}

#[test]
fn the_boot_of_the_host_ends_no_deployment_in_its_downtime() {
    let mut story = started();
    story.at(unit(2)).phase = Doing::Exited;
    (story.now.boot, story.now.mono_ms, story.now.engine_start_ms) = (BootId([2; 16]), 5_000, 4_000);
    assert_eq!(story.next(), Next::Decide(Decision::Plan));
    story.go_on();
    assert_eq!(active(&story), vec![unit(3)]);
}

#[test]
fn a_dead_container_is_replaced_only_when_it_is_gone() {
    let mut story = Story::alone();
    let seen = story.at(unit(1));
    (seen.phase, seen.down_ms) = (Doing::Exited, 10_000);
    assert!(matches!(story.next(), Next::Decide(Decision::Heal(id, _)) if id == unit(1)));
}

#[test]
fn a_restart_that_the_host_interrupts_in_its_downtime_goes_on_with_the_same_release() {
    for wish in [Wish::Restart, Wish::Rollback(None)] {
        let mut story = Story::alone();
        story.wish(2, deploy(), By::Person);
        story.go_on();
        story.wish(3, wish.clone(), By::Person);
        story.go_until(|story| story.seen.seen(unit(3)).is_some_and(|seen| seen.phase == Doing::Running));
        let release = story.state.open.as_ref().and_then(|open| open.release);
        story.now.boot = BootId([2; 16]);
        (story.now.mono_ms, story.now.engine_start_ms) = (5_000, 5_000);
        story.ends(3);
        story.go_on();
        assert_eq!(active(&story), vec![unit(4)], "{wish:?}");
        assert_eq!(story.state.active.as_ref().map(|slot| slot.release), release);
    }
}

#[test]
fn a_start_that_goes_on_beside_the_lane_is_waited_for_and_has_the_time_of_its_step() {
    let mut story = opened();
    let starts = |story: &Story| matches!(story.next(), Next::Do(Effect::Start(started, _)) if started == unit(2));
    story.go_until(starts);
    story.seen.answers.under_way.push(unit(2));
    assert_eq!(story.next(), Next::Wait(None));
    story.seen.answers.under_way.clear();
    let Next::Do(start) = story.next() else { panic!("it is started") };
    // As long as for a container, and longer where its plan says so.
    story.now.mono_ms += 200_000;
    let slow = |story: &mut Story, timeout_ms| {
        let open = story.state.open.as_mut().expect("it is open");
        let plan = std::sync::Arc::make_mut(open.plan.as_mut().expect("it has a plan"));
        let start = plan.steps.iter_mut().find(|planned| matches!(planned.step, cutover_events::plan::Step::Start(_)));
        start.expect("it starts").timeout_ms = timeout_ms;
    };
    story.refused(start, Class::Transient);
    slow(&mut story, 1_800_000);
    assert!(!matches!(story.next(), Next::Append(_) | Next::Do(Effect::Capture(..))), "{:?}", story.next());
    slow(&mut story, 1);
    assert!(matches!(story.next(), Next::Append(_) | Next::Do(Effect::Capture(..))), "{:?}", story.next());
}
