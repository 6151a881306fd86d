//! Repairs, the route that is put right, the removal list and the sweep, and logs that cannot be true.

use cutover_events::deployment::{
    Drift, DriftSeen, Handling, IntentQueued, RouteReasserted, StandbyExpired, SwapCommitted, UnitRemoved, Wish,
};
use cutover_events::{Event, ReleaseId, WorkloadId};

use super::story::{By, Story, dep, deploy, unit};
use crate::deployment::{Command, Decision, Next, evolve, probed};
use crate::observed::{Answer, Class, Effect, Mark, Probe, Restart, Targets};
use crate::retry::heal_delay;

fn heal(story: &mut Story, n: u8, broken: u8) {
    let workload = WorkloadId([9; 16]);
    let intent =
        IntentQueued { deployment: dep(n), workload, wish: Wish::Heal, revision: 1, person: false, change: None };
    let drift = DriftSeen { unit: unit(broken), drift: Drift::Gone, handling: Handling::Repair };
    story.asks(Command::Heal(drift, intent)).unwrap();
}

fn heals(story: &Story) -> bool {
    matches!(story.next(), Next::Decide(Decision::Heal(..)))
}

#[test]
fn what_is_gone_or_dead_is_healed_and_what_docker_revives_is_not() {
    let mut story = Story::live(2);
    assert!(!heals(&story));
    let seen = story.at(unit(1));
    (seen.phase, seen.down_ms, seen.restart) = (crate::observed::Phase::Restarting, 500, Restart::Always);
    assert!(!heals(&story));
    story.at(unit(1)).down_ms = 3_000;
    assert!(heals(&story));
    story.vanishes(1);
    assert_eq!(story.next(), Next::Decide(Decision::Heal(unit(1), Drift::Gone)));
}

#[test]
fn a_heal_keeps_what_serves_and_judges_only_what_it_adds() {
    let mut story = Story::live(3);
    story.vanishes(1);
    heal(&mut story, 2, 1);
    story.at(unit(2)).probe = Probe { answer: Answer::Status(500), failures: 9 };
    story.go_on();
    let slot = story.state.active.as_ref().map(|slot| slot.units.to_vec());
    assert_eq!(slot, Some(vec![unit(2), unit(3), unit(4)]));
}

#[test]
fn a_failed_repair_of_a_part_does_not_go_back_to_an_ill_rest() {
    let mut story = Story::live(2);
    story.vanishes(1);
    heal(&mut story, 2, 1);
    story.go_until(|story| story.router_targets() == [unit(2), unit(3)]);
    story.step();
    story.sickens(2);
    story.at(unit(3)).restarts = 1;
    story.go_on();
    assert_eq!(story.router_targets(), [unit(2), unit(3)]);
    assert_eq!(story.state.heals.failed, 0);
}

#[test]
fn a_heal_takes_from_docker_what_it_might_revive() {
    let mut story = Story::live(2);
    let seen = story.at(unit(1));
    (seen.phase, seen.down_ms, seen.restart) = (crate::observed::Phase::Restarting, 3_000, Restart::Always);
    heal(&mut story, 2, 1);
    story.go_until(|story| matches!(story.next(), Next::Do(Effect::SetRestart(..))));
    assert_eq!(story.next(), Next::Do(Effect::SetRestart(unit(1), story.at(unit(1)).id, Restart::No)));
    assert_eq!(story.seen.containers.len(), 2);
}

#[test]
fn repairs_that_fail_wait_longer_each_time() {
    let mut story = Story::live(1);
    for failed in 1..4 {
        story.vanishes(1);
        heal(&mut story, failed + 1, 1);
        story.go_until(|story| matches!(story.next(), Next::Do(Effect::Create(_))));
        let Next::Do(create) = story.next() else { panic!() };
        story.refused(create, Class::Permanent);
        story.go_on();
        assert_eq!(story.state.heals.failed, u32::from(failed));
        assert!(!heals(&story));
        story.now.mono_ms += heal_delay(u32::from(failed)) - 1;
        assert!(!heals(&story));
        story.now.mono_ms += 1;
        assert!(heals(&story));
    }
}

#[test]
fn a_router_behind_the_log_gets_the_ready_part_once_it_was_probed() {
    let mut story = Story::live(2);
    assert_eq!(probed(&story.state, &story.seen), []);
    (story.router().targets, story.router().generation) = (vec![], 0);
    assert_eq!(probed(&story.state, &story.seen), [unit(1), unit(2)]);
    story.sickens(1);
    assert_eq!(story.appends(), ["RouteReasserted"]);
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Active, generation: 2 }));
    story.step();
    assert_eq!(story.router().targets, [unit(2)]);
    assert!(matches!(story.next(), Next::Wait(_)));
    story.at(unit(1)).probe = Probe { answer: Answer::Passed, failures: 0 };
    story.go_on();
    assert_eq!(story.router().targets, [unit(1), unit(2)]);
}

#[test]
fn a_route_is_put_right_while_a_deployment_prepares_and_not_after_its_pivot() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| story.seen.containers.len() == 2);
    (story.router().targets, story.router().generation) = (vec![], 0);
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Active, generation: 1 }));
    story.go_until(|story| story.state.open.as_ref().is_some_and(|open| !open.before_pivot()));
    (story.router().targets, story.router().generation) = (vec![], 0);
    assert_eq!(story.next(), Next::Do(Effect::Put { to: Targets::Green, generation: 2 }));
}

#[test]
fn the_router_is_told_of_what_goes_before_it_is_touched() {
    let mut story = Story::live(1);
    story.policy.standby_ms = 0;
    story.wish(2, deploy(), By::Person);
    let ends = |events: &[Event]| matches!(events.last(), Some(Event::DeploymentSucceeded(_)));
    story.go_until(|story| matches!(story.next(), Next::Append(events) if ends(&events)));
    let before = story.state.clone();
    story.step();
    assert_eq!(story.next(), Next::Do(Effect::Fence { generation: 3 }));
    assert_eq!(story.router().generation, 2);
    story.step();
    assert!(matches!(story.next(), Next::Do(Effect::Remove(unit, _)) if unit == self::unit(1)));
    assert!(story.router().generation > before.generation, "a log without that commit is behind the router");
}

#[test]
fn nothing_is_removed_that_is_routed_or_busy_or_while_the_router_is_silent() {
    let mut story = Story::live(1);
    story.policy.standby_ms = 0;
    story.wish(2, deploy(), By::Person);
    story.go_until(|story| !story.state.removal.is_empty());
    story.step();
    assert!(matches!(story.next(), Next::Do(Effect::Remove(..))));
    let router = story.seen.router.take();
    assert!(matches!(story.next(), Next::Wait(_)));
    story.seen.router = router;
    story.router().busy = vec![unit(1)];
    assert!(matches!(story.next(), Next::Wait(_)));
    story.router().busy.clear();
    story.router().targets.push(unit(1));
    assert!(!matches!(story.next(), Next::Do(Effect::Remove(..))));
}

#[test]
fn a_container_that_no_list_knows_is_swept_and_one_without_our_witness_is_not() {
    let mut story = Story::live(1);
    let mut late = *story.at(unit(1));
    (late.unit, late.witnessed) = (unit(8), false);
    story.seen.containers.push(late);
    assert!(matches!(story.next(), Next::Wait(_)));
    story.at(unit(8)).witnessed = true;
    assert_eq!(story.appends(), ["DriftSeen"]);
    story.go_on();
    assert_eq!(story.seen.containers.len(), 1);
}

#[test]
fn a_standby_that_dies_goes() {
    let mut story = Story::live(1);
    story.wish(2, deploy(), By::Person);
    story.go_on();
    story.ends(1);
    assert_eq!(story.appends(), ["DriftSeen"]);
    story.go_on();
    assert!(story.state.standby.is_none() && story.seen.containers.len() == 1);
}

#[test]
fn a_row_of_failures_pushes_no_release_out_that_can_be_gone_back_to() {
    let mut story = Story::live(1);
    story.policy.keep_releases = 2;
    story.wish(2, deploy(), By::Person);
    story.go_on();
    for n in 3..9 {
        story.wish(n, deploy(), By::Person);
        story.go_until(|story| matches!(story.next(), Next::Do(Effect::Create(_))));
        let Next::Do(create) = story.next() else { panic!() };
        story.refused(create, Class::Permanent);
        story.go_on();
    }
    let proven: Vec<_> =
        story.state.releases.iter().filter(|release| release.proven).map(|release| release.id).collect();
    assert_eq!(proven, [ReleaseId(dep(1).0), ReleaseId(dep(2).0)]);
    assert!(story.state.releases.len() <= 4);
}

#[test]
fn a_log_that_cannot_be_true_is_refused() {
    let mut story = Story::live(1);
    let (deployment, at) = (dep(7), Mark::default());
    let lies: [Event; 5] = [
        UnitRemoved { unit: unit(1) }.into(),
        SwapCommitted { deployment, generation: 2, from: vec![], to: vec![] }.into(),
        RouteReasserted { generation: 9, to: vec![] }.into(),
        StandbyExpired { release: ReleaseId([1; 16]) }.into(),
        cutover_events::deployment::Resumed { deployment }.into(),
    ];
    for lie in lies {
        assert!(evolve(&mut story.state.clone(), &lie, at).is_err(), "{lie:?}");
    }
    assert!(
        evolve(&mut story.state, &cutover_events::engine::LogBegun { log: cutover_events::LogId([0; 16]) }.into(), at)
            .is_err()
    );
}
