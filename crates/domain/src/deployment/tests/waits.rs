//! A change from outside that is faster than its image.

use cutover_events::deployment::{Drift, DriftSeen, Handling, ImageWish, IntentQueued, ReasonKind, Wish};
use cutover_events::{Event, WorkloadId};

use super::story::{By, Story, WAIT_MS, dep, deploy, unit};
use crate::deployment::{Command, Decision, Insist, Next};
use crate::observed::{Class, Effect};

/// Dep 1 is live, and dep 2, a push, waits for its image.
fn waiting() -> Story {
    let mut story = Story::live(1);
    story.image = None;
    story.wish(2, deploy(), By::Push(2));
    story.go_until(|story| story.state.waiting.is_some());
    assert!(story.state.open.is_none(), "the lane is free");
    story
}

fn waits(story: &Story) -> Option<cutover_events::DeploymentId> {
    story.state.waiting.as_ref().map(|awaited| awaited.intent.deployment)
}

#[test]
fn a_push_waits_for_its_image_and_goes_on_once_it_is_there() {
    let mut story = waiting();
    assert_eq!(waits(&story), Some(dep(2)));
    let Next::Wait(Some(at)) = story.next() else { panic!("{:?}", story.next()) };
    assert_eq!(at, story.now.mono_ms + 2_000);
    story.now.mono_ms = at;
    assert_eq!(story.next(), Next::Do(Effect::Resolve(dep(2))));
    story.image = Some(2);
    story.step();
    assert_eq!(story.next(), Next::Decide(Decision::Begin(dep(2))));
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
    assert_eq!(waits(&story), None);
}

#[test]
fn a_push_whose_image_never_comes_fails_once_it_was_asked_for_after_the_deadline() {
    let mut story = waiting();
    story.now.mono_ms += WAIT_MS + 5_000;
    assert_eq!(story.next(), Next::Do(Effect::Resolve(dep(2))), "an engine that stood still condemns nobody");
    story.step();
    let Next::Append(events) = story.next() else { panic!("{:?}", story.next()) };
    let [Event::DeploymentFailed(end)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((end.deployment, end.reason.kind), (dep(2), ReasonKind::NotReady));
    assert!(end.reason.text.contains("at most 60 s (policy.wait_for_image)"), "{}", end.reason.text);
    story.happens(events);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(1)));
}

#[test]
fn the_wait_begins_again_under_another_boot_and_is_not_longer_than_its_limit() {
    let mut story = waiting();
    for _ in 0..3 {
        let Next::Wait(Some(at)) = story.next() else { panic!("{:?}", story.next()) };
        story.now.mono_ms = at;
        story.step();
    }
    story.now.boot = cutover_events::BootId([2; 16]);
    (story.now.mono_ms, story.now.engine_start_ms) = (5_000, 5_000);
    story.seen.answers = Default::default();
    story.go_until(|_| false);
    story.now.mono_ms = 5_000 + WAIT_MS - 1;
    story.go_until(|_| false);
    assert_eq!(story.next(), Next::Wait(Some(5_000 + WAIT_MS)));
}

#[test]
fn what_will_never_come_fails_at_once() {
    let mut story = waiting();
    story.refused(Effect::Resolve(dep(2)), Class::Permanent);
    assert_eq!(story.appends(), ["DeploymentFailed"]);
}

#[test]
fn other_failing_effects_do_not_make_it_ask_more_often() {
    let mut story = waiting();
    story.refused(Effect::Fence { generation: 9 }, Class::Transient);
    let Next::Wait(Some(_)) = story.next() else { panic!("{:?}", story.next()) };
    assert!(story.seen.answers.about(Effect::Resolve(dep(2))).is_some());
}

#[test]
fn a_newer_wish_supersedes_it_and_a_repair_does_not() {
    let mut story = waiting();
    story.vanishes(1);
    let workload = WorkloadId([9; 16]);
    let heal =
        IntentQueued { deployment: dep(3), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    story
        .asks(Command::Heal(DriftSeen { unit: unit(1), drift: Drift::Gone, handling: Handling::Repair }, heal))
        .unwrap();
    story.image = Some(2);
    story.go_until(|story| story.state.open.is_none() && story.state.queue.is_empty());
    assert_eq!(waits(&story), Some(dep(2)), "the lane was free for a repair");

    story.wish(4, deploy(), By::Push(4));
    let Next::Append(events) = story.next() else { panic!("{:?}", story.next()) };
    assert!(matches!(&events[..], [Event::IntentSuperseded(e)] if (e.deployment, e.by) == (dep(2), dep(4))));
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(4)));
}

#[test]
fn frozen_it_is_neither_looked_for_nor_given_up() {
    let mut story = waiting();
    story.seen.frozen = true;
    story.now.mono_ms += 2 * WAIT_MS;
    assert_eq!(story.next(), Next::Wait(None));
    story.seen.frozen = false;
    assert_eq!(story.next(), Next::Do(Effect::Resolve(dep(2))));
}

#[test]
fn a_person_cancels_it_and_never_waits_himself() {
    let mut story = waiting();
    story.asks(Command::Cancel(dep(2), Insist::No)).unwrap();
    assert_eq!(waits(&story), None);
    story.wish(3, deploy(), By::Person);
    story.go_until(|story| matches!(story.next(), Next::Append(_)) && story.state.open.is_some());
    assert_eq!(story.appends(), ["DeploymentFailed"]);
}

#[test]
fn an_image_that_is_sought_beside_the_lane_holds_nothing_up() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.next() == Next::Do(Effect::Resolve(dep(2))));
    story.seen.answers.resolving = Some(dep(2));
    assert!(matches!(story.next(), Next::Wait(_)), "it is not asked for again");
    story.wish(3, deploy(), By::Person);
    assert_eq!(story.appends(), ["IntentSuperseded"], "a newer wish does not wait for it");
    story.seen.answers.keep_for(Some(dep(3)));
    assert_eq!(story.seen.answers.resolving, None);
}

#[test]
fn a_build_is_given_up_after_many_tries_and_not_after_a_time() {
    let mut story = Story::live(1);
    story.wish(2, Wish::Deploy(ImageWish::Built { fresh: false, upload: None }), By::Person);
    story.go_until(|story| story.next() == Next::Do(Effect::Resolve(dep(2))));
    story.now.mono_ms += 3_600_000;
    for _ in 1..12 {
        story.refused(Effect::Resolve(dep(2)), Class::Transient);
        assert!(matches!(story.next(), Next::Wait(Some(_))), "{:?}", story.next());
    }
    story.refused(Effect::Resolve(dep(2)), Class::Transient);
    assert_eq!(story.appends(), ["DeploymentFailed"]);
}

#[test]
fn a_pull_that_outlasts_the_deadline_and_is_lost_is_tried_again() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.next() == Next::Do(Effect::Resolve(dep(2))));
    story.now.mono_ms += 60_000;
    for _ in 1..3 {
        story.refused(Effect::Resolve(dep(2)), Class::Transient);
        assert!(matches!(story.next(), Next::Wait(Some(_))), "{:?}", story.next());
    }
    story.refused(Effect::Resolve(dep(2)), Class::Transient);
    assert_eq!(story.appends(), ["DeploymentFailed"]);
}
