//! Deployments whose image is built, over the in-memory world: beside their lane, once for the same files, cancelled when
//! nobody waits any more.

use cutover::commands::By;
use cutover::secrets::{Owner, SecretFiles, Secrets, Where};
use cutover::store::blobs::Blobs;
use cutover_domain::deployment::{Command, Insist};
use cutover_domain::registry::Apply;
use cutover_events::deployment::{ImageWish, IntentQueued, ReasonKind, ReleaseResolved, Wish};
use cutover_events::secret::{SecretSet, SecretUsed, SecretWay};
use cutover_events::workload::{DockerfileSource, Source, Spec};
use cutover_events::{Cause, DeploymentId, Event};

use crate::engine::{Engine, spec};

const GOOD: &str = "FROM scratch\nRUN [\"/shell\", \"print\", \"one\"]\n";
const HANGS: &str = "FROM scratch\nRUN [\"/shell\", \"hang\"]\n";
const FAILS: &str = "FROM scratch\nRUN [\"/shell\", \"exit\", \"3\"]\n";

/// An engine with a workload that is built from `src/app` of its folder, with this Dockerfile in it.
async fn engine(dockerfile: &str) -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("src/app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("Dockerfile"), dockerfile).unwrap();
    let source = DockerfileSource { context: app.display().to_string(), ..DockerfileSource::default() };
    Engine::apply_in(folder, Spec { source: Source::Dockerfile(source), ..spec("", 1) }).await
}

fn rewrite(engine: &Engine, dockerfile: &str) {
    std::fs::write(engine.folder.path().join("src/app/Dockerfile"), dockerfile).unwrap();
}

async fn build(engine: &Engine) -> DeploymentId {
    engine.wish(Wish::Deploy(ImageWish::Built { fresh: false, upload: None })).await
}

async fn ended(engine: &Engine, id: DeploymentId) -> Event {
    engine.until("it ends", |state| !state.is_open(id)).await;
    let ends = |event: &Event| {
        let end = matches!(
            event,
            Event::DeploymentSucceeded(_)
                | Event::DeploymentFailed(_)
                | Event::IntentSuperseded(_)
                | Event::IntentCancelled(_)
        );
        end && event.deployment() == Some(id)
    };
    engine.events().await.into_iter().find(ends).unwrap()
}

async fn resolved(engine: &Engine, id: DeploymentId) -> ReleaseResolved {
    let found = engine.events().await.into_iter().find_map(|event| match event {
        Event::ReleaseResolved(e) if e.deployment == id => Some(e),
        _ => None,
    });
    found.unwrap()
}

/// Waits until the log of a build holds a text.
async fn prints(engine: &Engine, text: &str) {
    let folder = engine.folder.path().join("builds");
    engine
        .until("the build prints", |state| {
            let id = state.open.as_ref().map(|open| open.id().to_string()).unwrap_or_default();
            let log = std::fs::read_to_string(folder.join(id).join("00000000000000000000.log"));
            log.is_ok_and(|log| log.contains(text))
        })
        .await;
}

#[tokio::test]
async fn what_has_not_changed_is_built_once_and_what_has_is_built_again() {
    let mut engine = engine(GOOD).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let first = resolved(&engine, engine.state().releases[0].deployment).await;
    let id = build(&engine).await;
    assert!(matches!(ended(&engine, id).await, Event::DeploymentSucceeded(_)));
    let second = resolved(&engine, id).await;
    let built = |resolved: &ReleaseResolved| resolved.built.clone().unwrap();
    assert_eq!((first.image.as_str(), built(&first).content), (second.image.as_str(), built(&second).content));
    assert_eq!([built(&first).reused, built(&second).reused], [false, true]);
    rewrite(&engine, &format!("{GOOD}# changed\n"));
    let id = build(&engine).await;
    assert!(matches!(ended(&engine, id).await, Event::DeploymentSucceeded(_)));
    let third = resolved(&engine, id).await;
    assert!(third.image != second.image && !built(&third).reused);
    engine.settled().await;
    engine.end().await;
}

#[tokio::test]
async fn a_step_that_fails_is_told_with_its_last_lines() {
    let mut engine = engine(FAILS).await;
    let id = engine.state().queue.first().map(|intent| intent.deployment);
    let id = id.or(engine.state().open.as_ref().map(|open| open.id()));
    engine.until("it has ended", |state| state.version > 1 && state.open.is_none() && state.queue.is_empty()).await;
    let failed = engine.events().await.into_iter().find_map(|event| match event {
        Event::DeploymentFailed(e) => Some(e),
        _ => None,
    });
    let failed = failed.unwrap();
    assert!(id.is_none_or(|id| id == failed.deployment));
    assert_eq!(failed.reason.kind, ReasonKind::BuildFailed);
    assert!(failed.reason.text.contains("exit code: 3; it said: going to fail"), "{}", failed.reason.text);
    engine.end().await;
}

#[tokio::test]
async fn a_newer_wish_and_a_person_end_a_build_in_its_middle() {
    let mut engine = engine(GOOD).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    rewrite(&engine, HANGS);
    let hangs = build(&engine).await;
    prints(&engine, "hanging").await;
    rewrite(&engine, &format!("{GOOD}# newer\n"));
    let newer = build(&engine).await;
    assert!(matches!(ended(&engine, hangs).await, Event::IntentSuperseded(_)));
    assert!(matches!(ended(&engine, newer).await, Event::DeploymentSucceeded(_)));
    rewrite(&engine, HANGS);
    let hangs = build(&engine).await;
    prints(&engine, "hanging").await;
    let cancel = Command::Cancel(hangs, Insist::No);
    engine.commands.workload(engine.workload, By::engine(Cause::Person), cancel).await.unwrap();
    assert!(matches!(ended(&engine, hangs).await, Event::IntentCancelled(_)));
    engine.settled().await;
    assert_eq!(engine.state().active.as_ref().unwrap().deployment, newer);
    engine.end().await;
}

#[tokio::test]
async fn an_engine_that_ends_in_a_build_goes_on_with_the_same_deployment() {
    let mut engine = engine(HANGS).await;
    prints(&engine, "hanging").await;
    let id = engine.state().open.as_ref().unwrap().id();
    engine.end().await;
    rewrite(&engine, GOOD);
    engine.start().await;
    assert!(matches!(ended(&engine, id).await, Event::DeploymentSucceeded(_)));
    engine.settled().await;
    engine.end().await;
}

#[tokio::test]
async fn a_build_reads_secrets_of_its_project_and_its_log_holds_none() {
    let mut engine = engine(GOOD).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    engine.settled().await;
    let folder = engine.folder.path();
    let blobs = Blobs::open(folder.join("blobs")).unwrap();
    let given = SecretFiles::below(folder.join("given"), Where::Anywhere);
    let secrets = Secrets::open(folder.join("secrets"), blobs, given).unwrap();
    let (owner, value) = (Owner::Project("default"), b"hunter2-token");
    let (sealed, mac) = (secrets.seal(owner, value).unwrap(), secrets.mac(owner, value).unwrap());
    let (project, name) = ("default".to_owned(), "npm".to_owned());
    let set = SecretSet { project, name, version: 1, sealed, mac, dropped: Vec::new() };
    engine.commands.note(By::engine(Cause::Person), set.into()).await.unwrap();
    let context = folder.join("src/app").display().to_string();
    let source = DockerfileSource { context, secrets: vec!["npm".into()], ..DockerfileSource::default() };
    let spec = Spec { source: Source::Dockerfile(source), ..spec("", 1) };
    let apply = Apply { workload: engine.workload, project: "default".into(), name: "web".into(), spec, deploy: false };
    engine.commands.apply(By::engine(Cause::Person), vec![apply]).await.unwrap();
    rewrite(
        &engine,
        "FROM scratch\nRUN [\"/shell\", \"secret\", \"npm\"]\nRUN [\"/shell\", \"print\", \"it is hunter2-token\"]\n",
    );
    let deployment = DeploymentId::from_ulid(engine.clock.ulid());
    let wish = Wish::Deploy(ImageWish::Built { fresh: false, upload: None });
    let intent = IntentQueued { deployment, workload: engine.workload, wish, revision: 2, person: true, change: None };
    engine.commands.workload(engine.workload, By::engine(Cause::Person), Command::Queue(intent)).await.unwrap();
    assert!(matches!(ended(&engine, deployment).await, Event::DeploymentSucceeded(_)));
    let used = resolved(&engine, deployment).await.built.unwrap().secrets;
    assert_eq!(used, [SecretUsed { name: "npm".into(), version: 1, mac, way: SecretWay::Build }]);
    let log = folder.join("builds").join(deployment.to_string()).join("00000000000000000000.log");
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("a secret of 13 bytes") && log.contains("it is [secret]"), "{log}");
    assert!(!log.contains("hunter2-token"), "{log}");
    engine.settled().await;
    engine.end().await;
}
