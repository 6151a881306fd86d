//! The release command: once, before anything serves, and left to its end.

use cutover_events::deployment::{Reason, ReasonKind, Wish};
use cutover_events::workload::{OnCrash, ReleaseCommand};
use cutover_events::{BootId, Event};

use super::story::{By, Story, dep, deploy, unit};
use crate::deployment::{Command, Insist, Next, Rejection};
use crate::observed::{Class, Effect, Phase as Doing};
use crate::workload::{Ran, Workload};

const TIMEOUT_MS: u64 = 300_000;

/// What is live was deployed without one; the next deployment, dep 2, has one, in the container of unit 3 beside green's 2.
fn with(on_crash: OnCrash) -> Story {
    let mut story = Story::live(1);
    story.release = Some(ReleaseCommand { command: vec!["./migrate".into()], timeout_ms: TIMEOUT_MS, on_crash });
    story.wish(2, deploy(), By::Person);
    story
}

/// The same, while it runs.
fn running(on_crash: OnCrash) -> Story {
    let mut story = with(on_crash);
    story.go_until(|story| story.seen.seen(unit(3)).is_some_and(|seen| seen.phase == Doing::Running));
    story
}

fn ran(state: &Workload) -> Option<Ran> {
    state.open.as_ref().map(|open| open.ran)
}

fn failure(story: &Story) -> Reason {
    match story.next() {
        Next::Append(events) => {
            let failed = events.into_iter().find_map(|event| match event {
                Event::DeploymentFailed(e) => Some(e.reason),
                _ => None,
            });
            failed.expect("it fails")
        }
        other => panic!("no append: {other:?}"),
    }
}

fn is_parked(story: &Story) -> bool {
    story.state.open.as_ref().is_some_and(|open| open.parked)
}

#[test]
fn it_runs_before_green_is_there_and_goes_afterwards() {
    let mut story = running(OnCrash::Ask);
    assert!(story.seen.seen(unit(2)).is_none(), "nothing of green is there");
    assert!(matches!(story.next(), Next::Wait(Some(_))), "it is waited for");
    story.finishes(3, 0);
    story.step();
    assert!(story.seen.answers.captured.contains(&unit(3)), "its output is kept");
    assert_eq!(story.appends(), ["ReleaseCommandEnded"]);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
    assert_eq!(story.router_targets(), [unit(2)]);
    assert!(story.seen.seen(unit(3)).is_none() && story.state.removal.is_empty());
    let release = story.state.current_release().expect("it runs");
    assert_eq!(&*release.command, "./migrate");
}

#[test]
fn its_start_is_in_the_log_before_it_is_asked_for_once() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| story.seen.seen(unit(3)).is_some());
    assert_eq!(story.appends(), ["StepSucceeded", "ReleaseCommandStarted"]);
    story.step();
    let start = Effect::Start(unit(3), story.at(unit(3)).id);
    assert_eq!(story.next(), Next::Do(start));
    story.seen.answers.asks(start);
    assert_eq!(story.appends(), ["Parked"], "an answer that was lost is no reason to ask again");
}

#[test]
fn an_end_that_is_not_well_leaves_blue_as_it_was() {
    let mut story = running(OnCrash::Again);
    story.finishes(3, 3);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.ran == Ran::Ended(3)));
    let why = failure(&story);
    assert_eq!(
        (why.kind, why.text.as_str()),
        (ReasonKind::CommandFailed, "the release command ended with exit code 3")
    );
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(1)));
    assert_eq!(story.router_targets(), [unit(1)]);
    assert_eq!(story.seen.containers.len(), 1);
    assert_eq!(story.state.rejected.len(), 1, "no push deploys this image again");
}

#[test]
fn one_that_does_not_end_is_ended() {
    let mut story = running(OnCrash::Ask);
    story.step();
    assert!(failure_after_capture(&mut story).text.contains("still running after 300 s"));
    story.go_on();
    assert_eq!(story.seen.containers.len(), 1, "its container is gone");
}

fn failure_after_capture(story: &mut Story) -> Reason {
    while matches!(story.next(), Next::Do(_)) {
        story.step();
    }
    failure(story)
}

#[test]
fn nothing_takes_its_lane_but_a_person_who_insists() {
    let mut story = running(OnCrash::Ask);
    story.wish(3, deploy(), By::Person);
    story.wish(4, Wish::Teardown, By::Person);
    story.go_until(|story| story.state.queue.len() == 1);
    assert!(matches!(story.next(), Next::Wait(Some(_))), "newer wishes wait");
    assert_eq!(story.asks(Command::Cancel(dep(2), Insist::No)), Err(Rejection::Commands(dep(2))));
    story.asks(Command::Cancel(dep(2), Insist::Yes)).unwrap();
    story.go_on();
    assert!(story.seen.containers.is_empty(), "the teardown came next");
}

#[test]
fn a_crash_while_it_runs_changes_nothing() {
    let mut story = running(OnCrash::Ask);
    story.restarts();
    assert!(matches!(story.next(), Next::Wait(Some(_))));
    story.finishes(3, 0);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
}

#[test]
fn what_nobody_knows_is_asked_and_runs_again_only_when_a_person_says_so() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| matches!(ran(&story.state), Some(Ran::Started(_))));
    story.restarts();
    assert_eq!(story.appends(), ["Parked"]);
    story.step();
    assert!(!story.step() && is_parked(&story));
    story.asks(Command::Resume(dep(2))).unwrap();
    story.go_until(|story| story.seen.seen(unit(5)).is_some_and(|seen| seen.phase == Doing::Running));
    assert!(story.seen.seen(unit(3)).is_none(), "a container of its own");
    story.finishes(5, 0);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
}

#[test]
fn a_late_start_that_shows_after_the_question_is_waited_for() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| matches!(ran(&story.state), Some(Ran::Started(_))));
    story.restarts();
    story.go_until(is_parked);
    story.at(unit(3)).phase = Doing::Running;
    story.asks(Command::Resume(dep(2))).unwrap();
    assert!(matches!(story.next(), Next::Wait(Some(_))), "it runs: that is what was wanted");
    story.finishes(3, 0);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
}

#[test]
fn a_parked_one_can_be_given_up() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| matches!(ran(&story.state), Some(Ran::Started(_))));
    story.restarts();
    story.go_until(is_parked);
    story.asks(Command::Cancel(dep(2), Insist::No)).unwrap();
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(1)));
    assert_eq!(story.seen.containers.len(), 1);
}

#[test]
fn one_that_may_runs_again_after_its_host_has_gone_and_an_end_that_is_known_counts() {
    for (exit_code, again) in [(137, true), (0, false)] {
        let mut story = running(OnCrash::Again);
        story.finishes(3, exit_code);
        story.at(unit(3)).lost = true;
        story.now.boot = BootId([2; 16]);
        story.restarts();
        story.go_until(|story| story.seen.seen(unit(5)).is_some() || ran(&story.state) == Some(Ran::Ended(0)));
        assert_eq!(story.seen.seen(unit(5)).is_some(), again, "{exit_code}");
    }
}

#[test]
fn it_does_not_run_twice_when_green_is_planned_again() {
    let mut story = running(OnCrash::Ask);
    story.finishes(3, 0);
    story.go_until(|story| story.seen.seen(unit(2)).is_some_and(|seen| seen.phase == Doing::Running));
    (story.at(unit(2)).lost, story.at(unit(2)).phase) = (true, Doing::Exited);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(2)));
    assert_eq!(story.units, 4, "a new green, and no second command");
}

#[test]
fn docker_that_refuses_to_start_it_fails_the_deployment() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| matches!(ran(&story.state), Some(Ran::Started(_))));
    let start = Effect::Start(unit(3), story.at(unit(3)).id);
    story.seen.answers.asks(start);
    story.refused(start, Class::Permanent);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(1)));
}

#[test]
fn only_what_makes_something_new_current_runs_it() {
    let mut story = running(OnCrash::Ask);
    story.finishes(3, 0);
    story.go_on();
    let units = story.units;
    for (n, wish) in [(3, Wish::Restart), (4, Wish::Rollback(None))] {
        story.wish(n, wish, By::Person);
        story.go_on();
    }
    assert_eq!(story.units, units + 1, "a restart has a container, and a rollback goes to the standby");
}

#[test]
fn one_that_takes_its_host_along_each_time_ends_with_a_question_and_a_person_may_say_again() {
    let mut story = running(OnCrash::Again);
    for _ in 0..20 {
        if is_parked(&story) {
            break;
        }
        let command = story.state.open.as_ref().and_then(|open| open.plan.as_ref()?.release_command.clone());
        let unit = command.expect("it has one").unit;
        story.go_until(|story| story.seen.seen(unit).is_some_and(|seen| seen.phase == Doing::Running));
        (story.at(unit).phase, story.at(unit).exit_code, story.at(unit).lost) = (Doing::Exited, 137, true);
        story.step();
    }
    assert!(is_parked(&story));
    let units = story.units;
    story.asks(Command::Resume(dep(2))).unwrap();
    story.step();
    assert!(story.units > units, "it is planned again");
}

#[test]
fn a_start_that_goes_on_beside_the_lane_is_waited_for_and_not_asked_about() {
    let mut story = with(OnCrash::Ask);
    story.go_until(|story| matches!(ran(&story.state), Some(Ran::Started(_))));
    let start = Effect::Start(unit(3), story.at(unit(3)).id);
    assert_eq!(story.next(), Next::Do(start));
    story.seen.answers.asks(start);
    story.seen.answers.under_way.push(unit(3));
    assert_eq!(story.next(), Next::Wait(None), "it may have been started, or not yet");
    story.seen.answers.under_way.clear();
    assert_eq!(story.appends(), ["Parked"], "it is over, and nothing of it is seen");
}
