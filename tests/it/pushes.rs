//! Pushes that meet: through the listener, the decision and the lane, over the in-memory world.

use std::collections::BTreeSet;

use cutover::adapters::world::{OnStart, Program};
use cutover::api::backend::{Backend, WorkloadName};
use cutover::api::views::{Outcome, Stage, WaitKind};
use cutover_events::Event;
use cutover_events::workload::Policy;
use futures_util::future::join_all;

use crate::whole::{Whole, person, policy, rests, sha};

fn good() -> Program {
    Program::default()
}

#[tokio::test]
async fn scenario_03_a_delivery_that_comes_a_hundred_times_at_once_deploys_once() {
    let whole = Whole::begin(policy()).await;
    whole.publish("web", 1, good());
    let answers = join_all((0..100).map(|_| whole.deliver("web", 1, "the-one"))).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 202)), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1);
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.json()["delivery"].to_string()).collect();
    assert_eq!(ids.len(), 1, "every answer names the first one");
    whole.live(whole.web, 1).await;
    let wishes = whole.names(whole.web).await.iter().filter(|name| **name == "IntentQueued").count();
    assert_eq!(wishes, 1);
}

#[tokio::test]
async fn scenario_04_fifty_pushes_beside_a_running_deployment_come_to_one_more_of_the_newest() {
    let whole = Whole::begin(policy()).await;
    whole.publish("web", 0, Program { on_start: OnStart::Silent, ..good() });
    let running = whole.backend.deploy(person("alice"), WorkloadName("web".into()), image("web", 0)).await.unwrap();
    let gated = |state: &cutover_domain::workload::Workload| {
        state.open.as_ref().is_some_and(|open| open.plan.is_some()) && state.queue.is_empty()
    };
    whole.until(whole.web, "the first is under way", gated).await;
    whole.publish("other", 1, good());
    for n in 1..=50 {
        whole.publish("web", n, good());
        whole.push("web", n).await;
        if n == 25 {
            whole.push("other", 1).await;
        }
    }
    whole.live(whole.other, 1).await;
    let one_waits = |state: &cutover_domain::workload::Workload| {
        state.queue.len() == 1 && state.queue[0].change.as_ref().is_some_and(|change| change.sha == sha(50))
    };
    whole.until(whole.web, "one runs and the newest waits", one_waits).await;
    assert_eq!(
        whole.state(whole.web).open.as_ref().map(|open| open.id().to_string()),
        Some(running.deployment_id.clone())
    );
    let green = whole.state(whole.web).open.as_ref().unwrap().plan.as_ref().unwrap().slot[0];
    whole.twin.lock().world.become_ready(green);
    whole.twin.lock().hint(green);
    whole.live(whole.web, 50).await;
    assert_eq!(whole.ended(&running.deployment_id).await.outcome, Some(Outcome::Succeeded));
    let names = whole.names(whole.web).await;
    let count = |name: &str| names.iter().filter(|known| **known == name).count();
    assert_eq!((count("IntentQueued"), count("IntentSuperseded"), count("DeploymentBegun")), (51, 49, 2));
}

fn image(name: &str, n: u32) -> cutover::api::views::DeployAsk {
    cutover::api::views::DeployAsk { image: Some(format!("{name}:{}", sha(n))), ..Default::default() }
}

#[tokio::test]
async fn a_push_that_is_faster_than_its_image_waits_and_goes_on_by_itself() {
    let whole = Whole::begin(policy()).await;
    whole.push("web", 1).await;
    whole.until(whole.web, "it waits", |state| state.waiting.is_some()).await;
    let status = whole.status("web").await;
    let wait = status.waits.iter().find(|wait| wait.kind == WaitKind::Image).unwrap();
    assert!(wait.text.contains("waits until its registry has the image") && wait.until.is_some(), "{wait:?}");
    let id = wait.deployment_id.clone().unwrap();
    let told = whole.backend.deployment(id.parse().unwrap()).await.unwrap();
    assert_eq!((told.stage, told.outcome), (Stage::Waiting, None));
    // A person's own image goes first, and is not held up.
    whole.publish("web", 1, good());
    whole.live(whole.web, 1).await;
    assert_eq!(whole.ended(&id).await.outcome, Some(Outcome::Succeeded));
    let names = whole.names(whole.web).await;
    assert_eq!(names.iter().filter(|name| **name == "ImageAwaited").count(), 1, "looking again leaves no trace");
}

#[tokio::test]
async fn a_push_whose_image_never_comes_fails_with_what_to_do_and_a_newer_one_does_not_wait_for_it() {
    let whole = Whole::begin(Policy { wait_for_image_ms: 300, ..policy() }).await;
    whole.push("web", 1).await;
    whole.until(whole.web, "it has failed", |state| state.version > 3 && rests(state) && state.waiting.is_none()).await;
    let reason = whole.events(whole.web).await.into_iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e.reason.text),
        _ => None,
    });
    let reason = reason.unwrap();
    assert!(reason.contains("policy.wait_for_image") && reason.contains("push it"), "{reason}");

    whole.apply(whole.web, "web", crate::whole::spec("web", policy())).await;
    whole.push("web", 2).await;
    whole.until(whole.web, "the second waits", |state| state.waiting.is_some()).await;
    whole.publish("web", 3, good());
    whole.push("web", 3).await;
    whole.live(whole.web, 3).await;
    assert!(whole.names(whole.web).await.contains(&"IntentSuperseded"));
}
