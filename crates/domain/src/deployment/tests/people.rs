//! Hands on containers that serve, and what a freeze holds back.

use cutover_events::Event;
use cutover_events::deployment::{Drift, DriftEnded, DriftSeen, Handling, IntentQueued, Wish};
use cutover_events::workload::OnDrift;
use cutover_events::{UnitId, WorkloadId};

use super::story::{By, Story, dep, deploy, unit};
use crate::deployment::{Command, Decision, Next};
use crate::invariants::{at_rest, rests};
use crate::observed::{Phase, Restart, Seen};

/// The difference that is recorded next.
fn seen(story: &Story) -> (UnitId, Drift, Handling) {
    match story.next() {
        Next::Append(events) => match &events[..] {
            [Event::DriftSeen(DriftSeen { unit, drift, handling })] => (*unit, *drift, *handling),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The difference whose end is recorded next.
fn ended(story: &Story) -> Drift {
    match story.next() {
        Next::Append(events) => match &events[..] {
            [Event::DriftEnded(DriftEnded { drift, .. })] => *drift,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn quiet(story: &Story) -> bool {
    matches!(story.next(), Next::Wait(_))
}

#[test]
fn what_a_person_changes_is_recorded_put_right_and_recorded_again() {
    type Hand = fn(&mut Seen);
    let hands: [(Hand, Drift); 4] = [
        (|seen| seen.paused_ms = 3_000, Drift::Paused),
        (|seen| seen.renamed = true, Drift::Renamed),
        (|seen| seen.restart = Restart::No, Drift::Policy),
        (|seen| seen.resized = true, Drift::Limits),
    ];
    for (hand, drift) in hands {
        let mut story = Story::live(1);
        hand(story.at(unit(1)));
        assert_eq!(seen(&story), (unit(1), drift, Handling::Repair));
        story.step();
        assert!(matches!(story.next(), Next::Do(_)), "{drift:?}: {:?}", story.next());
        story.step();
        assert_eq!(ended(&story), drift);
        story.step();
        assert!(quiet(&story) && rests(&story.state, &story.seen));
        assert_eq!(story.state.drifts, []);
    }
}

#[test]
fn a_short_pause_is_recorded_and_waited_for() {
    let mut story = Story::live(1);
    story.at(unit(1)).paused_ms = 1;
    story.step();
    assert_eq!(story.next(), Next::Wait(Some(story.now.mono_ms + 2_999)));
    story.at(unit(1)).paused_ms = 0;
    assert_eq!(ended(&story), Drift::Paused);
}

#[test]
fn what_is_off_its_network_does_not_serve_and_is_replaced() {
    let mut story = Story::live(2);
    story.at(unit(1)).apart_ms = 2_999;
    assert!(quiet(&story));
    story.at(unit(1)).apart_ms = 3_000;
    assert_eq!(story.next(), Next::Decide(Decision::Heal(unit(1), Drift::Disconnected)));
    heal(&mut story, 2, Drift::Disconnected);
    story.go_on();
    assert_eq!(story.router_targets(), [unit(2), unit(3)]);
    assert!(story.seen.seen(unit(1)).is_none() && story.state.drifts.is_empty());
}

fn heal(story: &mut Story, n: u8, drift: Drift) {
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(n), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    let drift = DriftSeen { unit: unit(1), drift, handling: Handling::Repair };
    story.asks(Command::Heal(drift, intent)).unwrap();
}

#[test]
fn a_restart_outside_of_the_bake_is_recorded_once_and_replaces_nothing() {
    let mut story = Story::live(1);
    story.now.mono_ms += 20_000;
    story.at(unit(1)).age_ms = 1_000;
    assert_eq!(seen(&story), (unit(1), Drift::Restarted, Handling::Repair));
    story.step();
    let settles = story.now.mono_ms + 59_000;
    assert_eq!(story.next(), Next::Wait(Some(settles)));
    // It ends and starts again and again: that is the same occurrence.
    story.now.mono_ms += 30_000;
    story.at(unit(1)).age_ms = 500;
    assert!(quiet(&story));
    story.now.mono_ms += 60_000;
    story.at(unit(1)).age_ms = 60_000;
    assert_eq!(ended(&story), Drift::Restarted);
    story.step();
    assert!(quiet(&story));
    story.now.mono_ms += 10_000;
    story.at(unit(1)).age_ms = 5_000;
    assert_eq!(seen(&story).1, Drift::Restarted);
}

#[test]
fn a_restart_of_the_host_is_a_restart_of_what_serves() {
    let mut story = Story::live(1);
    story.now.boot = cutover_events::BootId([2; 16]);
    assert_eq!(seen(&story).1, Drift::Restarted);
}

#[test]
fn a_restart_in_the_bake_is_a_failure_though_nobody_looked() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.router_targets() == [unit(2)]);
    story.step();
    story.now.mono_ms += 6_000;
    story.at(unit(2)).age_ms = 1_000;
    story.go_on();
    assert_eq!(story.router_targets(), [unit(1)]);
}

#[test]
fn what_is_only_reported_is_recorded_once_and_left() {
    let mut story = Story::new();
    story.policy.drift = OnDrift::Report;
    story.wish(1, deploy(), By::Person);
    story.go_on();
    story.ends(1);
    assert_eq!(seen(&story), (unit(1), Drift::Dead, Handling::Report));
    story.step();
    assert!(quiet(&story));
    assert!(rests(&story.state, &story.seen), "it is left alone on purpose");
    assert_eq!(at_rest(&story.state, &story.seen), []);
    let container = story.at(unit(1));
    (container.phase, container.down_ms, container.restart) = (Phase::Running, 0, Restart::Always);
    container.age_ms = 0;
    assert_eq!(ended(&story), Drift::Dead);
    story.step();
    story.now.mono_ms += 1_000;
    story.at(unit(1)).age_ms = 1_000;
    assert!(quiet(&story), "the person who started it again is not told twice: {:?}", story.next());
}

#[test]
fn frozen_nothing_is_repaired_and_thawed_it_is() {
    let mut story = Story::live(1);
    story.seen.frozen = true;
    story.vanishes(1);
    assert_eq!(seen(&story), (unit(1), Drift::Gone, Handling::Frozen));
    story.step();
    assert!(quiet(&story));
    story.seen.frozen = false;
    assert_eq!(story.next(), Next::Decide(Decision::Heal(unit(1), Drift::Gone)));
    let before = story.state.version;
    heal(&mut story, 2, Drift::Gone);
    assert_eq!(story.state.version, before + 1, "the difference is recorded once");
    story.go_on();
    assert_eq!(story.router_targets(), [unit(2)]);
}

#[test]
fn frozen_a_push_waits_and_a_person_goes_on() {
    let mut story = Story::live(1);
    story.seen.frozen = true;
    story.wish(2, deploy(), By::Machine);
    assert!(quiet(&story));
    assert!(rests(&story.state, &story.seen));
    story.wish(3, deploy(), By::Person);
    assert_eq!(story.appends(), ["IntentSuperseded"]);
    story.go_on();
    assert_eq!(story.router_targets(), [unit(2)]);
    story.wish(4, deploy(), By::Machine);
    assert!(quiet(&story));
    story.seen.frozen = false;
    story.go_on();
    assert_eq!(story.router_targets(), [unit(3)]);
}

#[test]
fn frozen_a_push_does_not_end_or_hurry_what_runs() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Machine);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.seen.frozen = true;
    story.wish(3, deploy(), By::Machine);
    story.go_on();
    assert_eq!(story.router_targets(), [unit(2)]);
}

#[test]
fn frozen_a_standby_stays_past_its_time() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    assert!(story.state.standby.is_some());
    story.seen.frozen = true;
    story.now.mono_ms += 10_000_000;
    assert!(quiet(&story), "{:?}", story.next());
    story.seen.frozen = false;
    assert_eq!(story.appends(), ["StandbyExpired"]);
}

#[test]
fn an_orphan_is_left_while_it_is_frozen() {
    let mut story = Story::live(1);
    let stranger = Seen { unit: unit(77), ..*story.at(unit(1)) };
    story.seen.containers.push(stranger);
    story.seen.frozen = true;
    assert_eq!(seen(&story), (unit(77), Drift::Orphan, Handling::Frozen));
    story.step();
    assert!(quiet(&story) && rests(&story.state, &story.seen));
    story.seen.frozen = false;
    assert_eq!(seen(&story), (unit(77), Drift::Orphan, Handling::Repair));
    story.go_on();
    assert!(story.seen.seen(unit(77)).is_none());
}
