//! Start, policy, stop, remove, output.

use std::net::SocketAddrV4;
use std::time::Duration;

use cutover::adapters::runtime::{Container, CreateContainer, RuntimeError};
use cutover_domain::observed::{Answer, DockerId, Phase, Restart};
use cutover_events::workload::{Check, Limits};
use cutover_world::Hand;
use tokio::time::{Instant, sleep};

use super::harness::PATIENCE;
use super::{Behaviour, Harness, only};

const GRACE: Duration = Duration::from_secs(1);
const NOBODY: DockerId = DockerId([7; 32]);

pub(crate) async fn a_start_may_be_repeated(harness: &Harness) {
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    let first = harness.seen(id).await;
    harness.runtime.start(id).await.expect("the same start again");
    let second = harness.seen(id).await;
    assert_eq!((first.phase, second.phase), (Phase::Running, Phase::Running));
    assert!(!first.started_at.is_empty());
    assert_eq!((first.started_at, first.restarts), (second.started_at, second.restarts));
    assert!(matches!(harness.runtime.start(NOBODY).await, Err(RuntimeError::NotFound(_))));
}

pub(crate) async fn a_start_whose_answer_was_lost_is_repeated(harness: &Harness) {
    for after in [5, 40, 120] {
        let (_, id) = harness.created().await;
        harness.start_and_give_up(id, Duration::from_millis(after)).await;
        harness.runtime.start(id).await.expect("the same start again");
        harness.until(id, |seen| seen.phase == Phase::Running).await;
        harness.runtime.remove(id).await.expect("a removal");
    }
}

pub(crate) async fn stop_and_remove_may_be_repeated(harness: &Harness) {
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    harness.runtime.stop(id, GRACE).await.expect("a stop");
    let seen = harness.until(id, |seen| seen.phase == Phase::Exited).await;
    assert!(seen.exit_code != 0 && seen.up_ms == 0, "{seen:?}");
    harness.runtime.stop(id, GRACE).await.expect("the same stop again");

    harness.runtime.remove(id).await.expect("a removal");
    assert_eq!(harness.runtime.inspect(id).await, Ok(None));
    harness.runtime.remove(id).await.expect("the same removal again");
    harness.runtime.stop(id, GRACE).await.expect("a stop of what is gone");
    assert!(matches!(harness.runtime.start(id).await, Err(RuntimeError::NotFound(_))));
    assert!(matches!(harness.runtime.set_restart(id, Restart::No).await, Err(RuntimeError::NotFound(_))));

    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    let all = futures_util::future::join_all((0..4).map(|_| harness.runtime.remove(id))).await;
    assert_eq!(all, vec![Ok(()); 4]);
    harness_gone(harness, id).await;
}

async fn harness_gone(harness: &Harness, id: DockerId) {
    let deadline = Instant::now() + PATIENCE;
    while harness.runtime.inspect(id).await.expect("an inspection").is_some() {
        assert!(Instant::now() < deadline, "the removal does not end");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn a_late_request_misses_the_successor(harness: &Harness) {
    let (asked, first) = harness.created().await;
    harness.runtime.remove(first).await.expect("a removal");
    harness_gone(harness, first).await;
    let second = harness.runtime.create(harness.log, &asked).await.expect("the name is free");
    assert_ne!(first, second);
    assert!(matches!(harness.runtime.start(first).await, Err(RuntimeError::NotFound(_))));
    harness.runtime.remove(first).await.expect("what is gone is gone");
    let seen = only(harness).await;
    assert_eq!((seen.id, seen.phase), (second, Phase::Created));
}

pub(crate) async fn the_restart_policy_is_seen(harness: &Harness) {
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    for policy in [Restart::Always, Restart::Always, Restart::No] {
        harness.runtime.set_restart(id, policy).await.expect("a policy");
        assert_eq!(harness.seen(id).await.restart, policy);
    }
}

pub(crate) async fn what_a_person_has_changed_is_seen_and_put_right(harness: &Harness) {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    let asked = CreateContainer { limits, ..harness.container(Behaviour::Serves) };
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    harness.runtime.start(id).await.expect("a start");
    let as_made = |seen: &Container| seen.name == asked.name && seen.limits == limits && !seen.paused && seen.connected;
    let seen = harness.seen(id).await;
    assert!(as_made(&seen) && seen.full_name == asked.full_name, "{seen:?}");
    for (hand, differs) in [
        (Hand::Pause, (|seen| seen.paused && seen.phase == Phase::Running) as fn(&Container) -> bool),
        (Hand::Rename, |seen| seen.name.ends_with("-renamed")),
        (Hand::Limits, |seen| seen.limits != Limits { memory_bytes: Some(64 << 20), ..Limits::default() }),
    ] {
        harness.lay(hand, asked.unit, id).await;
        let seen = harness.seen(id).await;
        assert!(differs(&seen), "{hand:?}: {seen:?}");
        // Each may be repeated.
        for _ in 0..2 {
            harness.runtime.unpause(id).await.expect("it goes on");
            harness.runtime.rename(id, &asked.name).await.expect("its own name");
            harness.runtime.set_limits(id, limits).await.expect("its own limits");
        }
        let seen = harness.seen(id).await;
        assert!(as_made(&seen), "{hand:?}: {seen:?}");
    }
    harness.lay(Hand::Disconnect, asked.unit, id).await;
    let seen = harness.seen(id).await;
    assert!(!seen.connected && seen.address.is_none() && seen.phase == Phase::Running, "{seen:?}");
    for lost in [
        harness.runtime.unpause(NOBODY).await,
        harness.runtime.rename(NOBODY, &asked.name).await,
        harness.runtime.set_limits(NOBODY, limits).await,
    ] {
        assert!(matches!(lost, Err(RuntimeError::NotFound(_))), "{lost:?}");
    }
}

pub(crate) async fn a_death_is_seen_with_code_and_last_words(harness: &Harness) {
    let asked = harness.container(Behaviour::Fails);
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    assert_eq!(harness.runtime.output(id, 1000).await.as_deref(), Ok(""));
    harness.runtime.start(id).await.expect("a start");
    let seen = harness.until(id, |seen| seen.phase == Phase::Exited).await;
    assert_eq!((seen.exit_code, seen.up_ms, seen.oom_killed), (3, 0, false));
    let all = harness.runtime.output(id, 1000).await.expect("an output");
    assert!(all.contains("last words\n") && all.contains("err: "), "{all}");
    let end = harness.runtime.output(id, 20).await.expect("an output");
    assert!(end.len() <= 20 && !end.is_empty() && all.ends_with(&end), "{end:?}");
    assert!(matches!(harness.runtime.output(NOBODY, 10).await, Err(RuntimeError::NotFound(_))));
}

pub(crate) async fn an_address_belongs_to_one_started_container(harness: &Harness) {
    let (first, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    let second = CreateContainer { address: first.address, ..harness.container(Behaviour::Serves) };
    let second = harness.runtime.create(harness.log, &second).await.expect("a create does not look at addresses");
    match harness.runtime.start(second).await {
        Err(RuntimeError::Refused(text)) => assert!(text.contains("in use"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(harness.seen(second).await.phase, Phase::Created);
    harness.runtime.remove(id).await.expect("a removal");
    harness_gone(harness, id).await;
    harness.runtime.start(second).await.expect("the address is free");
}

pub(crate) async fn a_running_container_answers_at_its_address(harness: &Harness) {
    let (asked, id) = harness.created().await;
    let address = SocketAddrV4::new(asked.address, 8080);
    let check = Check::Http { path: "/".to_owned(), host: String::new(), low: 200, high: 299 };
    let probe = || harness.prober.probe(address, &check, Duration::from_secs(2));
    assert_ne!(probe().await, Answer::Passed);
    harness.runtime.start(id).await.expect("a start");
    let deadline = Instant::now() + PATIENCE;
    while probe().await != Answer::Passed {
        assert!(Instant::now() < deadline, "it does not answer");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(harness.seen(id).await.address, Some(asked.address));
    harness.runtime.remove(id).await.expect("a removal");
    harness_gone(harness, id).await;
    assert_ne!(probe().await, Answer::Passed);
}
