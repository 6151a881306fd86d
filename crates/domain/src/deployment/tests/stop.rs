//! Out of service, and into it again.

use cutover_events::deployment::Wish;

use super::story::{By, Story, dep, deploy, unit};
use crate::deployment::{Command, Insist, Rejection};
use crate::workload::{Closed, Teardown};

fn stop() -> Wish {
    Wish::Stop { by: "alice".into() }
}

fn stopped_by() -> Rejection {
    Rejection::Stopped("alice".into())
}

#[test]
fn a_stopped_workload_has_nothing_that_runs_and_starts_again_with_what_ran() {
    let mut story = Story::live(2);
    story.wish(2, stop(), By::Person);
    story.go_on();
    assert_eq!((story.seen.containers.len(), story.router_targets().len()), (0, 0));
    assert_eq!(story.state.teardown, Teardown::No);
    assert_eq!(story.state.stopped.as_ref().map(|stopped| &*stopped.by), Some("alice"));
    story.wish(3, Wish::Start, By::Person);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.release.0), Some(dep(1).0));
    assert_eq!(story.state.stopped, None);
    assert_eq!(story.router_targets(), [unit(3), unit(4)]);
}

#[test]
fn while_it_is_stopped_only_a_persons_start_or_deploy_counts() {
    let mut story = Story::live(1);
    assert_eq!(story.try_wish(2, Wish::Start, By::Person), Err(Rejection::NotStopped));
    story.wish(2, stop(), By::Person);
    assert_eq!(story.try_wish(3, deploy(), By::Push(3)), Err(stopped_by()), "it is about to be");
    story.go_on();
    assert_eq!(story.state.closed(), Some(Closed::Stopped("alice".into())));
    for (wish, by) in
        [(deploy(), By::Push(3)), (Wish::Heal, By::Machine), (Wish::Restart, By::Person), (stop(), By::Person)]
    {
        assert_eq!(story.try_wish(3, wish, by), Err(stopped_by()));
    }
    assert!(!story.step(), "nothing is repaired");
    story.wish(3, deploy(), By::Person);
    assert_eq!(story.state.closed(), None, "what a person wishes opens it");
    story.wish(4, deploy(), By::Push(4));
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(4)));
}

#[test]
fn a_stop_takes_the_standby_along_and_its_release_stays_known() {
    let mut story = Story::live(1);
    story.policy.keep_releases = 1;
    story.wish(2, deploy(), By::Person);
    story.go_on();
    assert!(story.state.standby.is_some());
    story.wish(3, stop(), By::Person);
    story.go_on();
    assert!(story.seen.containers.is_empty());
    assert_eq!(story.try_wish(4, Wish::Rollback(None), By::Person), Err(Rejection::NothingBefore));
    story.wish(4, Wish::Start, By::Person);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.release.0), Some(dep(2).0));
}

#[test]
fn a_stop_comes_through_a_shield_and_can_be_cancelled_before_its_pivot() {
    let mut story = Story::new();
    story.wish(1, deploy(), By::Machine);
    story.step();
    story.wish(2, deploy(), By::Machine);
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| open.id() == dep(2)));
    assert!(story.state.shielded);
    story.wish(3, stop(), By::Person);
    assert_eq!(story.appends(), ["IntentSuperseded"]);
    story.step();
    story.asks(Command::Cancel(dep(3), Insist::No)).unwrap();
    story.go_on();
    assert_eq!((story.state.stopped.clone(), story.state.active.is_some()), (None, false));
    assert_eq!(story.try_wish(4, stop(), By::Person), Err(Rejection::NothingRuns));
}

#[test]
fn an_exclusive_workload_stops_and_starts_and_a_teardown_ends_a_stop() {
    let mut story = Story::alone();
    story.wish(2, stop(), By::Person);
    story.go_on();
    assert!(story.seen.containers.is_empty());
    story.wish(3, Wish::Start, By::Person);
    story.go_on();
    assert_eq!(story.seen.containers.len(), 1);
    story.wish(4, stop(), By::Person);
    story.go_on();
    story.wish(5, Wish::Teardown, By::Person);
    story.go_on();
    assert_eq!((story.state.teardown, story.state.stopped.clone()), (Teardown::Done, None));
}

#[test]
fn a_start_that_fails_leaves_it_stopped() {
    let mut story = Story::live(1);
    story.wish(2, stop(), By::Person);
    story.go_on();
    story.wish(3, Wish::Start, By::Person);
    story.go_until(|story| !story.seen.containers.is_empty());
    story.ends(2);
    story.go_on();
    assert_eq!(story.state.closed(), Some(Closed::Stopped("alice".into())));
    story.wish(4, Wish::Start, By::Person);
    story.go_on();
    assert!(story.state.active.is_some());
}
