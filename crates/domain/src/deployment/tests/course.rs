//! The course of one deployment: gate, swap, fence, bake, route back, drain, standby.

use cutover_events::Event;
use cutover_events::deployment::{Cut, Wish};

use super::story::{BAKE_MS, By, GATE_MS, STANDBY_MS, Story, dep, deploy, unit};
use crate::deployment::{Command, Insist, Next};
use crate::observed::{Answer, Class, Effect, Phase as Doing, Probe, Restart, Targets};
use crate::workload::{Phase, Teardown};

fn swapped(story: &Story) -> bool {
    story.state.open.as_ref().is_some_and(|open| matches!(open.phase, Phase::Swapped { .. }))
}

/// Dep 2 has just committed its swap over the live dep 1.
fn committed() -> Story {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| matches!(story.next(), Next::Do(Effect::Put { .. })));
    story
}

fn baking() -> Story {
    let mut story = committed();
    story.go_until(swapped);
    story
}

#[test]
fn a_deployment_becomes_active_and_blue_stands_by_until_it_expires() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(2)]));
    assert_eq!(story.state.standby.as_ref().map(|(slot, _)| slot.units.to_vec()), Some(vec![unit(1)]));
    story.now.mono_ms += STANDBY_MS;
    assert_eq!(story.appends(), ["StandbyExpired"]);
    story.go_on();
    assert_eq!(story.seen.containers.len(), 1);
}

#[test]
fn a_rollback_adopts_the_standby_which_then_does_not_expire() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    story.wish(3, Wish::Rollback(None), By::Person);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.adopts()));
    story.now.mono_ms += STANDBY_MS;
    assert_eq!(story.next(), Next::Do(Effect::SetRestart(unit(1), story.at(unit(1)).id, Restart::Always)));
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(1)]));
    assert_eq!(story.state.standby.as_ref().map(|(slot, _)| slot.units.to_vec()), Some(vec![unit(2)]));
}

#[test]
fn an_adopted_green_that_is_cancelled_stands_by_again() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    story.wish(3, Wish::Rollback(None), By::Person);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.adopts()));
    story.asks(Command::Cancel(dep(3), Insist::No)).unwrap();
    assert_eq!(story.state.removal, []);
    assert_eq!(story.state.standby.as_ref().map(|(slot, _)| slot.units.to_vec()), Some(vec![unit(1)]));
}

#[test]
fn a_gate_fails_at_its_deadline_and_the_last_output_is_kept_first() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.at(unit(2)).probe = Probe { answer: Answer::NoConnection, failures: 9 };
    story.go_until(|story| matches!(story.next(), Next::Wait(Some(_))));
    story.now.mono_ms += GATE_MS;
    assert!(matches!(story.next(), Next::Do(Effect::Capture(..))));
    story.step();
    assert_eq!(story.appends(), ["StepFailed", "DeploymentFailed"]);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(1)]));
    assert_eq!(story.seen.containers.len(), 1);
}

#[test]
fn an_engine_that_has_just_started_probes_before_it_condemns() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.at(unit(2)).probe = Probe { answer: Answer::Unknown, failures: 0 };
    story.go_until(|story| matches!(story.next(), Next::Wait(Some(_))));
    story.now.mono_ms += 2 * GATE_MS;
    story.now.engine_start_ms = story.now.mono_ms - 1;
    assert!(matches!(story.next(), Next::Wait(Some(_))), "{:?}", story.next());
}

#[test]
fn a_wait_begins_again_under_another_boot() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.at(unit(2)).probe = Probe { answer: Answer::Unknown, failures: 0 };
    story.go_until(|story| matches!(story.next(), Next::Wait(Some(_))));
    story.now.boot = cutover_events::BootId([2; 16]);
    (story.now.mono_ms, story.now.engine_start_ms) = (5_000, 5_000);
    assert_eq!(story.next(), Next::Wait(Some(5_000 + GATE_MS)));
}

#[test]
fn a_green_that_ended_with_the_host_is_planned_again_under_the_same_id() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| matches!(story.next(), Next::Append(_)) && story.seen.containers.len() == 2);
    story.now.boot = cutover_events::BootId([2; 16]);
    (story.now.mono_ms, story.now.engine_start_ms) = (5_000, 5_000);
    story.ends(2);
    story.step();
    assert_eq!(story.state.removal, [unit(2)]);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(3)]));
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
}

#[test]
fn a_green_that_ended_with_docker_is_planned_again_but_not_for_ever() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    let runs = |story: &Story| {
        let plan = story.state.open.as_ref()?.plan.as_ref()?;
        let seen = story.seen.seen(plan.units[0].unit)?;
        (seen.phase == Doing::Running && !seen.lost).then_some(seen.unit)
    };
    let mut plans = 0;
    loop {
        story.go_until(|story| runs(story).is_some());
        let Some(green) = runs(&story) else { break };
        story.ends(green.0[0]);
        story.at(green).lost = true;
        plans += 1;
        assert!(plans < 10, "for ever");
    }
    assert_eq!(plans, 5, "then it counts as its own fault");
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(1)));
}

#[test]
fn somebody_removes_green_before_its_steps_are_recorded_and_it_is_made_again() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.vanishes(2);
    assert_eq!(story.next(), Next::Do(Effect::Create(unit(2))));
}

#[test]
fn a_refused_swap_is_fenced_before_it_fails() {
    let mut story = committed();
    let Next::Do(put) = story.next() else { panic!() };
    story.refused(put, Class::ProbeRefused);
    assert_eq!(story.appends(), ["SwapRefused"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 3 }));
    story.step();
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(1)]));
    assert_eq!(story.router().targets, [unit(1)]);
}

#[test]
fn a_swap_that_landed_before_its_fence_counts() {
    let mut story = committed();
    let Next::Do(put) = story.next() else { panic!() };
    story.refused(put, Class::ProbeRefused);
    story.step();
    story.router().targets = vec![unit(2)];
    story.step();
    assert_eq!(story.appends(), ["Swapped"]);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.units.to_vec()), Some(vec![unit(2)]));
}

#[test]
fn a_fence_that_is_refused_for_good_waits_for_a_person_and_is_tried_again_after_him() {
    let mut story = committed();
    let Next::Do(put) = story.next() else { panic!() };
    story.refused(put, Class::ProbeRefused);
    story.step();
    let Next::Do(fence) = story.next() else { panic!() };
    story.now.mono_ms += 1;
    story.refused(fence, Class::Permanent);
    assert_eq!(story.appends(), ["Parked"]);
    story.step();
    assert!(matches!(story.next(), Next::Wait(_)));
    story.now.mono_ms += 60_000;
    assert_eq!(story.asks(Command::Resume(dep(9))), Err(crate::deployment::Rejection::NotOpen(dep(9))));
    story.asks(Command::Resume(dep(2))).unwrap();
    assert_eq!(story.next(), Next::Do(fence));
}

#[test]
fn a_write_that_was_not_answered_is_tried_again_at_a_pace() {
    let mut story = committed();
    let Next::Do(put) = story.next() else { panic!() };
    story.refused(put, Class::Transient);
    let at = story.now.mono_ms;
    assert_eq!(story.next(), Next::Wait(Some(at + 50)));
    story.now.mono_ms += 50;
    assert_eq!(story.next(), Next::Do(put));
}

/// Whether the end that comes next says that the route went back.
fn says_routed_back(story: &Story) -> bool {
    let Next::Append(events) = story.next() else { panic!("{:?}", story.next()) };
    let Some(Event::DeploymentFailed(end)) = events.last() else { panic!("{events:?}") };
    end.routed_back
}

#[test]
fn a_green_that_blue_cannot_take_over_from_is_not_told_as_routed_back() {
    let mut story = baking();
    story.ends(2);
    story.step();
    story.step();
    let Next::Do(back) = story.next() else { panic!("{:?}", story.next()) };
    story.refused(back, Class::ProbeRefused);
    assert_eq!(story.appends(), ["SwapRefused"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 4 }));
    story.step();
    assert_eq!(story.appends(), ["DeploymentFailed"]);
    assert!(!says_routed_back(&story), "{:?}", story.router().targets);
}

#[test]
fn green_that_ends_while_it_is_watched_is_routed_back_from() {
    let mut story = baking();
    story.ends(2);
    story.step();
    assert_eq!(story.appends(), ["RouteBackCommitted"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Blue, generation: 3 }));
    story.step();
    assert_eq!(story.appends(), ["Swapped", "DeploymentFailed"]);
    assert!(says_routed_back(&story));
    story.go_on();
    assert_eq!(story.router().targets, [unit(1)]);
    assert_eq!(story.seen.containers.len(), 1);
}

#[test]
fn a_green_that_a_late_create_puts_back_while_it_is_watched_has_failed() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Person);
    story.go_until(swapped);
    // A person removes it, the create whose answer was lost lands, the router forgets its table.
    (story.at(unit(1)).phase, story.at(unit(1)).restart) = (Doing::Created, Restart::No);
    (story.router().targets, story.router().generation) = (vec![], 0);
    story.step();
    assert_eq!(story.appends(), ["RouteBackCommitted"]);
    story.go_on();
    assert!(story.state.open.is_none() && story.seen.containers.is_empty());
}

#[test]
fn a_green_that_is_ill_and_routed_no_more_has_failed_where_blue_is_gone() {
    let mut story = baking();
    story.vanishes(1);
    story.sickens(2);
    assert_ne!(story.appends(), ["RouteBackCommitted"], "a part of a route is better than none");
    (story.router().targets, story.router().generation) = (vec![], 0);
    story.step();
    assert_eq!(story.appends(), ["RouteBackCommitted"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 3 }));
    story.step();
    assert_eq!(story.appends(), ["Swapped", "DeploymentFailed"]);
    story.go_until(|story| matches!(story.next(), Next::Decide(crate::deployment::Decision::Heal(..))));
}

#[test]
fn three_failed_probes_of_a_watched_green_are_a_failure_and_two_are_none() {
    let mut story = baking();
    story.at(unit(2)).probe = Probe { answer: Answer::Status(500), failures: 2 };
    assert_ne!(story.appends(), ["RouteBackCommitted"]);
    story.sickens(2);
    story.step();
    assert_eq!(story.appends(), ["RouteBackCommitted"]);
}

#[test]
fn where_both_are_dead_the_route_stays_and_blue_is_healed() {
    let mut story = baking();
    story.ends(1);
    story.ends(2);
    story.step();
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 3 }));
    story.step();
    assert_eq!(story.appends(), ["DeploymentFailed"]);
    assert!(!says_routed_back(&story), "the route stayed where it was");
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 4 }), "the router is told of what goes");
    story.step();
    assert!(matches!(story.next(), Next::Decide(crate::deployment::Decision::Heal(..))), "{:?}", story.next());
}

#[test]
fn a_first_deployment_that_ends_while_it_is_watched_leaves_no_route() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Person);
    story.go_until(swapped);
    story.ends(1);
    story.step();
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Nothing, generation: 2 }));
    story.go_on();
    assert!(story.state.active.is_none() && story.seen.containers.is_empty());
}

#[test]
fn a_router_that_forgets_green_while_it_is_watched_is_told_what_is_ready_of_it() {
    let mut story = Story::new();
    story.replicas = 2;
    story.wish(1, deploy(), By::Person);
    story.go_until(swapped);
    story.vanishes(1);
    (story.router().targets, story.router().generation) = (vec![], 0);
    assert_eq!(story.appends(), ["RouteReasserted"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Active, generation: 2 }));
    story.step();
    assert_eq!(story.router().targets, [unit(2)]);
}

#[test]
fn success_waits_for_the_drain_and_the_bake_and_records_what_was_cut() {
    let mut story = baking();
    story.router().busy = vec![unit(1)];
    assert_eq!(story.next(), Next::Wait(None));
    story.now.mono_ms += 2 * BAKE_MS;
    assert_eq!(story.next(), Next::Wait(None));
    story.router().busy.clear();
    story.router().cut = Cut { requests: 2, upgraded: 1, streams: 0 };
    let Next::Append(events) = story.next() else { panic!() };
    let [Event::BlueDrained(drained)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((drained.cut.requests, drained.cut.upgraded), (2, 1));
    story.step();
    assert_eq!(story.appends(), ["StepSucceeded", "DeploymentSucceeded"]);
}

#[test]
fn the_bake_takes_its_time_unless_something_newer_is_wished() {
    let mut story = baking();
    story.step();
    let since = story.now.mono_ms;
    assert_eq!(story.next(), Next::Wait(Some(since + BAKE_MS)));
    story.wish(3, deploy(), By::Machine);
    assert_eq!(story.appends(), ["StepSucceeded", "DeploymentSucceeded"]);
}

#[test]
fn a_trouble_of_an_earlier_deployment_is_none_of_the_next() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Person);
    story.step();
    story.refused(Effect::Resolve(dep(1)), Class::Permanent);
    assert_eq!(story.appends(), ["DeploymentFailed"]);
    story.step();
    story.wish(2, deploy(), By::Person);
    story.step();
    story.now.mono_ms += 50;
    assert_eq!(story.next(), Next::Do(Effect::Resolve(dep(2))));
}

#[test]
fn a_deadline_counts_only_for_a_try_that_came_back_after_it() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Person);
    story.go_until(|story| story.next() == Next::Do(Effect::Create(unit(1))));
    story.refused(Effect::Create(unit(1)), Class::Transient);
    story.now.mono_ms += 1_000_000;
    assert_eq!(story.next(), Next::Do(Effect::Create(unit(1))));
    story.refused(Effect::Create(unit(1)), Class::Transient);
    assert_eq!(story.appends(), ["StepFailed", "DeploymentFailed"]);
}

#[test]
fn a_teardown_unroutes_drains_and_leaves_nothing() {
    let mut story = Story::live(2);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    story.wish(3, Wish::Teardown, By::Person);
    story.go_until(|story| matches!(story.next(), Next::Do(Effect::Put { to: Targets::Nothing, .. })));
    let Next::Do(put) = story.next() else { panic!() };
    story.refused(put, Class::Permanent);
    story.go_until(|story| matches!(story.state.open.as_ref().map(|open| &open.phase), Some(Phase::Fencing(..))));
    story.step();
    assert_eq!(story.appends(), ["SwapCommitted"]);
    story.now.mono_ms += 50;
    story.go_on();
    assert_eq!(story.state.teardown, Teardown::Done);
    assert!(story.seen.containers.is_empty() && story.router().targets.is_empty());
}
