//! Images that no change from outside brings back.

use cutover_events::Event;
use cutover_events::deployment::{ReasonKind, Wish};

use super::story::{By, Story, dep, deploy};
use crate::deployment::{Command, Next, Rejection};
use crate::observed::{Answer, Class, Effect, Probe};
use crate::rejected::Fault;

fn rejected(story: &Story) -> Vec<(u8, Fault)> {
    story.state.rejected.iter().map(|rejected| (rejected.release.0[0], rejected.fault)).collect()
}

/// Dep 1 of image 1 is live; image 2 has come with dep 2, and a person went back with dep 3.
fn rolled_back() -> Story {
    let mut story = Story::live(1);
    story.image = Some(2);
    story.wish(2, deploy(), By::Push(2));
    story.go_on();
    story.wish(3, Wish::Rollback(None), By::Person);
    story.go_on();
    assert_eq!(rejected(&story), [(2, Fault::RolledBack)]);
    story
}

/// The last end, after everything has come to rest.
fn end_of(story: &mut Story, n: u8) -> Option<(ReasonKind, String)> {
    for _ in 0..100 {
        if let Next::Append(events) = story.next() {
            let failed = events.iter().find_map(|event| match event {
                Event::DeploymentFailed(e) if e.deployment == dep(n) => Some(e.reason.clone()),
                _ => None,
            });
            if let Some(reason) = failed {
                story.step();
                return Some((reason.kind, reason.text));
            }
        }
        if !story.step() {
            return None;
        }
    }
    panic!("no end");
}

/// What the resolve comes to is a command, not an append.
fn push(story: &mut Story, n: u8) -> bool {
    story.wish(n, deploy(), By::Push(n));
    story.go_on();
    story.state.active.as_ref().map(|slot| slot.deployment) == Some(dep(n))
}

#[test]
fn a_push_does_not_undo_a_rollback_and_something_newer_comes_through() {
    let mut story = rolled_back();
    assert!(!push(&mut story, 4));
    assert!(story.state.release(cutover_events::ReleaseId([4; 16])).is_none(), "it was never made a release");
    story.image = Some(3);
    assert!(push(&mut story, 5));
    assert_eq!(rejected(&story), []);
    story.image = Some(2);
    assert!(push(&mut story, 6), "something newer came, so the old image comes by intent");
}

#[test]
fn a_person_is_never_rejected_and_a_repair_is_not_affected() {
    let mut story = rolled_back();
    story.wish(4, deploy(), By::Person);
    story.go_on();
    assert_eq!(story.state.active.as_ref().map(|slot| slot.deployment), Some(dep(4)));
    assert_eq!(rejected(&story), [], "what a person has made current is not rejected any more");
}

#[test]
fn what_failed_its_gate_is_rejected_until_a_person_accepts_it() {
    let mut story = Story::live(1);
    story.image = Some(2);
    story.wish(2, deploy(), By::Push(2));
    story.go_until(|story| story.seen.containers.len() == 2);
    story.at(super::story::unit(2)).probe = Probe { answer: Answer::NoConnection, failures: 9 };
    assert_eq!(end_of(&mut story, 2).map(|(kind, _)| kind), Some(ReasonKind::NotReady));
    story.go_on();
    assert_eq!(rejected(&story), [(2, Fault::Failed)]);
    assert!(!push(&mut story, 3));
    let other = cutover_events::ReleaseId([9; 16]);
    assert_eq!(story.asks(Command::Accept(Some(other))), Err(Rejection::NotRejected(Some(other))));
    story.asks(Command::Accept(Some(cutover_events::ReleaseId([2; 16])))).unwrap();
    assert_eq!(story.asks(Command::Accept(None)), Err(Rejection::NotRejected(None)));
    assert!(push(&mut story, 4));
}

#[test]
fn the_timeline_says_what_is_rejected_and_how_to_let_it() {
    let mut story = rolled_back();
    story.wish(4, deploy(), By::Push(4));
    story.go_until(|story| matches!(story.next(), Next::Decide(crate::deployment::Decision::Resolved)));
    let before = story.state.clone();
    story.step();
    assert_ne!(before, story.state);
    assert!(story.state.open.is_none(), "it ended there");
    let why = story.state.rejected[0].why();
    assert_eq!(
        why,
        format!(
            "shop:1 is sha256:2, which was rolled back from by {}, and no change from outside deploys it again",
            dep(3)
        )
    );
}

#[test]
fn what_docker_or_a_registry_did_is_not_held_against_the_image() {
    let mut story = Story::live(1);
    story.image = Some(2);
    story.wish(2, deploy(), By::Push(2));
    story.go_until(|story| matches!(story.next(), Next::Do(Effect::Create(_))));
    let Next::Do(create) = story.next() else { panic!() };
    story.refused(create, Class::Permanent);
    story.seen.answers.trouble.as_mut().unwrap().kind = ReasonKind::Refused;
    assert_eq!(end_of(&mut story, 2).map(|(kind, _)| kind), Some(ReasonKind::Refused));
    assert_eq!(rejected(&story), []);
}

#[test]
fn a_row_of_failures_keeps_the_newest() {
    let mut story = Story::live(1);
    for n in 2..30 {
        story.image = Some(n);
        story.wish(n, deploy(), By::Push(n));
        story.go_until(|story| story.seen.containers.len() == 2);
        story.ends(n);
        story.go_on();
    }
    let all = rejected(&story);
    assert_eq!((all.len(), all[0].0, all[15].0), (16, 14, 29));
}
