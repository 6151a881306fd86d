//! Wishes that wait, supersede one another, are cancelled, or are refused.

use cutover_events::Event;
use cutover_events::deployment::Wish;

use super::story::{By, Story, dep, deploy};
use crate::deployment::{Command, Insist, Next, Rejection};
use crate::workload::Teardown;

/// Who is superseded next, and by whom.
fn superseded(story: &Story) -> Option<(cutover_events::DeploymentId, cutover_events::DeploymentId)> {
    match story.next() {
        Next::Append(events) => match &events[..] {
            [Event::IntentSuperseded(e)] => Some((e.deployment, e.by)),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn the_newest_wish_in_the_queue_survives() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Machine);
    story.wish(2, deploy(), By::Machine);
    story.wish(3, deploy(), By::Person);
    assert_eq!(superseded(&story), Some((dep(1), dep(3))));
    story.step();
    assert_eq!(superseded(&story), Some((dep(2), dep(3))));
}

#[test]
fn an_automatic_wish_never_supersedes_a_persons_waiting_or_running() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Person);
    story.wish(2, deploy(), By::Machine);
    assert_eq!(superseded(&story), None);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.plan.is_some()));
    assert_eq!(story.state.open.as_ref().map(|open| open.id()), Some(dep(1)));
    assert_eq!(superseded(&story), None);
}

#[test]
fn a_running_deployment_is_superseded_at_most_once_in_a_row_and_its_green_goes() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Machine);
    story.go_until(|story| !story.seen.containers.is_empty());
    story.wish(2, deploy(), By::Machine);
    assert_eq!(superseded(&story), Some((dep(1), dep(2))));
    story.step();
    assert_eq!(story.state.removal.len(), 1);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.id() == dep(2)));
    story.wish(3, deploy(), By::Machine);
    assert_eq!(superseded(&story), None);
}

#[test]
fn a_wish_superseded_in_the_queue_does_not_take_the_shield_away() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Machine);
    story.step();
    story.wish(2, deploy(), By::Machine);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.id() == dep(2)));
    story.wish(3, deploy(), By::Machine);
    story.wish(4, deploy(), By::Machine);
    assert_eq!(superseded(&story), Some((dep(3), dep(4))));
    story.step();
    assert_eq!(superseded(&story), None);
    assert!(story.state.shielded);
}

#[test]
fn a_teardown_comes_through_a_shield() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Machine);
    story.step();
    story.wish(2, deploy(), By::Machine);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.id() == dep(2)));
    story.wish(3, Wish::Teardown, By::Person);
    assert_eq!(superseded(&story), Some((dep(2), dep(3))));
}

#[test]
fn a_wish_is_cancelled_before_its_pivot_and_not_after() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    story.asks(Command::Cancel(dep(2), Insist::No)).unwrap();
    assert_eq!(story.state.removal.len(), 1);
    story.go_on();
    assert_eq!(story.seen.containers.len(), 1);

    story.wish(3, deploy(), By::Person);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.plan.is_some() && !open.before_pivot()));
    assert_eq!(story.asks(Command::Cancel(dep(3), Insist::No)), Err(Rejection::PastPivot(dep(3))));
    assert_eq!(story.asks(Command::Cancel(dep(9), Insist::No)), Err(Rejection::NotOpen(dep(9))));
    story.go_on();
    assert_eq!(story.asks(Command::Cancel(dep(3), Insist::No)), Err(Rejection::NotOpen(dep(3))));
}

#[test]
fn what_a_person_tore_down_only_a_person_brings_back() {
    let mut story = Story::live(1);
    story.wish(2, Wish::Teardown, By::Person);
    assert_eq!(story.try_wish(3, deploy(), By::Machine), Err(Rejection::Leaving));
    story.go_on();
    assert_eq!(story.state.teardown, Teardown::Done);
    assert_eq!(story.try_wish(3, deploy(), By::Machine), Err(Rejection::Leaving));
    assert_eq!(story.try_wish(3, Wish::Teardown, By::Person), Err(Rejection::TornDown));
    assert_eq!(story.try_wish(3, Wish::Restart, By::Person), Err(Rejection::NothingRuns));
    story.wish(3, deploy(), By::Person);
    story.wish(4, deploy(), By::Machine);
    story.go_on();
    assert_eq!(story.state.teardown, Teardown::No);
    assert!(story.state.active.is_some());
}

#[test]
fn a_wish_during_the_removals_of_a_teardown_waits_for_them_and_then_runs() {
    let mut story = Story::live(1);
    story.wish(2, Wish::Teardown, By::Person);
    story.go_until(|story| matches!(story.state.teardown, Teardown::Removing(_)));
    story.wish(3, deploy(), By::Person);
    story.go_on();
    assert_eq!(story.state.teardown, Teardown::No);
    assert_eq!(story.try_wish(4, Wish::Teardown, By::Person), Ok(()));
}

#[test]
fn a_rollback_needs_a_release_that_has_been_live() {
    let mut story = Story::live(1);
    assert_eq!(story.try_wish(2, Wish::Rollback(None), By::Person), Err(Rejection::NothingBefore));
    let unknown = cutover_events::ReleaseId([7; 16]);
    assert_eq!(story.try_wish(2, Wish::Rollback(Some(unknown)), By::Person), Err(Rejection::NoSuchRelease(unknown)));
}
