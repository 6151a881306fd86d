//! What people wish of a whole engine over the in-memory world: stop and start, rollbacks by name, plans by hash, and
//! what is rejected until somebody accepts it.

use cutover::adapters::world::{OnStart, Program};
use cutover::api::backend::{About, Backend, Refusal, RollbackTo, WorkloadName};
use cutover::api::views::{DeployAsk, Outcome, RollbackCost, WorkloadState};
use cutover_events::workload::Policy;
use cutover_events::{Digest, Event, StreamId};

use crate::intake_support::GITHUB;
use crate::whole::{Whole, person, policy, rests, sha, spec};

fn web() -> WorkloadName {
    WorkloadName("web".into())
}

fn named(text: &str) -> RollbackTo {
    RollbackTo::Named(text.into())
}

/// Commits 1 and 2 were pushed, one after the other; the second is live.
async fn two_live() -> Whole {
    let whole = Whole::begin(policy()).await;
    for n in [1, 2] {
        whole.publish("web", n, Program::default());
        whole.push("web", n).await;
        whole.live(whole.web, n).await;
    }
    whole
}

#[tokio::test]
async fn what_is_stopped_says_by_whom_and_only_a_person_brings_it_back() {
    let whole = two_live().await;
    let stopped = whole.backend.stop(person("alice"), web()).await.unwrap();
    assert_eq!(whole.ended(&stopped.deployment_id).await.outcome, Some(Outcome::Succeeded));
    whole.until(whole.web, "it is stopped", |state| state.stopped.is_some() && rests(state)).await;
    let status = whole.status("web").await;
    assert_eq!((status.state, status.stopped_by.as_deref()), (WorkloadState::Stopped, Some("alice")));
    let why = whole.backend.explain(About::Workload(web())).await.unwrap().answer;
    assert!(why.starts_with("it was stopped by alice"), "{why}");

    whole.publish("web", 3, Program::default());
    let answer = whole.deliver("web", 3, "while-stopped").await;
    let delivery = answer.json()["delivery"].as_str().unwrap().to_owned();
    whole.publish("other", 1, Program::default());
    whole.push("other", 1).await;
    whole.live(whole.other, 1).await;
    let decided = decision(&whole, &delivery).await;
    assert!(decided.contains("stopped by alice: start or deploy it"), "{decided}");
    let refused = whole.backend.restart(person("bob"), web()).await.unwrap_err();
    assert!(matches!(&refused, Refusal::NotAllowed(text) if text.contains("alice")), "{refused}");

    whole.backend.start(person("bob"), web()).await.unwrap();
    whole.live(whole.web, 2).await;
    assert_eq!(whole.status("web").await.stopped_by, None);
    let again = whole.backend.start(person("bob"), web()).await.unwrap_err();
    assert!(matches!(&again, Refusal::NotAllowed(text) if text.contains("not stopped")), "{again}");
}

/// What was decided on a delivery.
async fn decision(whole: &Whole, delivery: &str) -> String {
    let commits = whole.backend.commands.log().read(StreamId::Hook(GITHUB), 1, 1_000).await.unwrap();
    let decided = commits.iter().flat_map(|sealed| &sealed.commit.events).find_map(|event| match event {
        Event::DeliveryDecided(e) if e.delivery.to_string() == delivery => Some(e.summary.clone()),
        _ => None,
    });
    decided.unwrap_or_else(|| panic!("{delivery} is not decided"))
}

#[tokio::test]
async fn a_rollback_goes_to_a_tag_a_commit_a_digest_or_a_time_and_says_what_changes() {
    let whole = two_live().await;
    whole.apply(whole.web, "web", spec("web", Policy { bake_ms: 10, ..policy() })).await;
    let releases = whole.backend.releases(web()).await.unwrap().releases;
    let (second, first) = (&releases[0], &releases[1]);
    for text in [first.release.clone(), sha(1), first.reference.clone(), first.repo_digest.clone()] {
        let to = if text.starts_with("rel_") { RollbackTo::Release(text.parse().unwrap()) } else { named(&text) };
        let view = whole.backend.rollback_plan(web(), to).await.unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!((view.to.release.as_str(), view.cost), (first.release.as_str(), RollbackCost::Start), "{text}");
        let keys: Vec<_> = view.differences.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["reference", "digest", "commit"], "{view:?}");
    }
    // A time is what was live then.
    let view = whole.backend.rollback_plan(web(), named(&second.time)).await.unwrap();
    assert_eq!(view.to.release, first.release);
    for (text, told) in [
        ("2001-01-01", "nothing of default/web was live at 2001-01-01T00:00:00.000Z"),
        ("v9", &format!("has the tag, commit or digest v9, and it is no time: its releases: {}", second.release)),
        ("0000", &format!("0000 fits several releases of default/web, name one of them: {}", second.release)),
    ] {
        let refused = whole.backend.rollback_plan(web(), named(text)).await.unwrap_err();
        assert!(matches!(&refused, Refusal::UnknownName(line) if line.contains(told)), "{refused}");
    }
    let before = whole.names(whole.web).await.len();
    assert_eq!(before, whole.names(whole.web).await.len(), "nothing was recorded");
    whole.backend.rollback(person("alice"), web(), named(&sha(1))).await.unwrap();
    whole.live(whole.web, 1).await;
}

#[tokio::test]
async fn a_push_does_not_undo_a_rollback_until_a_person_accepts_it() {
    let whole = two_live().await;
    whole.backend.rollback(person("alice"), web(), RollbackTo::Previous).await.unwrap();
    whole.live(whole.web, 1).await;
    let status = whole.status("web").await;
    assert_eq!(status.rejected.len(), 1);
    assert!(status.rejected[0].why.contains("was rolled back from"), "{:?}", status.rejected);

    let answer = whole.deliver("web", 2, "again").await;
    let delivery = answer.json()["delivery"].as_str().unwrap().to_owned();
    whole.publish("web", 3, Program { on_start: OnStart::Exits(3), ..Program::default() });
    whole.push("web", 3).await;
    whole.until(whole.web, "the third has failed", |state| state.rejected.len() == 2 && rests(state)).await;
    let decided = decision(&whole, &delivery).await;
    assert!(decided.contains("rolled back from") && decided.contains("cutover accept default/web rel_"), "{decided}");

    let none = whole.backend.accept(person("alice"), web(), Some("v9".into())).await.unwrap_err();
    assert!(matches!(&none, Refusal::UnknownName(text) if text.contains("rejected: rel_")), "{none}");
    let accepted = whole.backend.accept(person("alice"), web(), Some(sha(2))).await.unwrap();
    assert_eq!(accepted.accepted[0].sha, sha(2));
    whole.push("web", 2).await;
    whole.live(whole.web, 2).await;
    assert_eq!(whole.status("web").await.rejected.len(), 1, "the third image is still rejected");
    let all = whole.backend.accept(person("alice"), web(), None).await.unwrap();
    assert_eq!(all.accepted.len(), 1);
    assert!(matches!(whole.backend.accept(person("alice"), web(), None).await, Err(Refusal::NotAllowed(_))));
}

#[tokio::test]
async fn a_rejected_image_under_a_tag_that_moves_ends_the_deployment_with_its_reason() {
    let whole = Whole::begin(policy()).await;
    let moving = spec("web", policy());
    let cutover_events::workload::Source::Image(source) = moving.source.clone() else { panic!("{moving:?}") };
    let source = cutover_events::workload::ImageSource { reference: "web:main".into(), ..source };
    let moving = cutover_events::workload::Spec { source: cutover_events::workload::Source::Image(source), ..moving };
    whole.apply(whole.web, "web", moving).await;
    for version in ["1", "2"] {
        whole.twin.lock().image_in_registry("web:main", version, Program::default());
        whole.push("web", version.parse().unwrap()).await;
        let count = version.parse::<usize>().unwrap();
        whole.until(whole.web, "it is live", |state| state.releases.len() == count && rests(state)).await;
    }
    whole.backend.rollback(person("alice"), web(), RollbackTo::Previous).await.unwrap();
    whole.until(whole.web, "it was rolled back", |state| state.rejected.len() == 1 && rests(state)).await;
    whole.push("web", 2).await;
    let ended = |state: &cutover_domain::workload::Workload| rests(state) && state.version > 30;
    whole.until(whole.web, "the push has ended", ended).await;
    let reason = whole.events(whole.web).await.into_iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e.reason),
        _ => None,
    });
    let text = reason.unwrap().text;
    assert!(text.starts_with("web:main is sha256:") && text.contains("`cutover accept NAME rel_"), "{text}");
}

#[tokio::test]
async fn a_deployment_by_a_plan_is_refused_once_the_world_has_moved() {
    let whole = two_live().await;
    let ask = || DeployAsk { image: Some(format!("web:{}", sha(1))), ..DeployAsk::default() };
    let plan = whole.backend.foretell(web(), ask()).await.unwrap();
    assert_eq!(plan.hash, whole.backend.foretell(web(), ask()).await.unwrap().hash);
    let other = whole.backend.foretell(web(), DeployAsk::default()).await.unwrap();
    assert_ne!(plan.hash, other.hash, "it is a plan of this image");
    let just_so = |hash: &str| DeployAsk { plan: Some(hash.into()), ..ask() };
    let wrong = whole.backend.deploy(person("alice"), web(), just_so(&other.hash)).await.unwrap_err();
    assert!(matches!(&wrong, Refusal::NotAllowed(text) if text.contains("moved on")), "{wrong}");
    let before = whole.names(whole.web).await.len();

    let accepted = whole.backend.deploy(person("alice"), web(), just_so(&plan.hash)).await.unwrap();
    whole.live(whole.web, 1).await;
    assert_eq!(whole.ended(&accepted.deployment_id).await.outcome, Some(Outcome::Succeeded));
    assert!(whole.names(whole.web).await.len() > before);
    let late = whole.backend.deploy(person("alice"), web(), just_so(&plan.hash)).await.unwrap_err();
    assert!(matches!(&late, Refusal::NotAllowed(text) if text.contains("cutover plan default/web")), "{late}");
}

#[tokio::test]
async fn what_is_recorded_of_a_request_is_of_no_use_to_who_guesses_it() {
    let whole = two_live().await;
    let keyed = |text: &str| whole.backend.keyed(Digest::of(text.as_bytes())).unwrap();
    assert_eq!(keyed("the PIN is 1234"), keyed("the PIN is 1234"));
    assert_ne!(keyed("the PIN is 1234"), keyed("the PIN is 1235"));
    assert_ne!(keyed("the PIN is 1234"), Digest::of(b"the PIN is 1234"));
}
