//! Deployments whose image is built, over the in-memory world: beside their lane, once for the same files, cancelled when
//! nobody waits any more.

use cutover::commands::By;
use cutover::execution::Refused;
use cutover::secrets::{Owner, SecretFiles, Secrets, Where};
use cutover::store::blobs::Blobs;
use cutover_domain::deployment::{Command, Insist};
use cutover_domain::registry::Apply;
use cutover_events::deployment::{ImageWish, IntentQueued, ReasonKind, ReleaseResolved, Wish};
use cutover_events::secret::{SecretSet, SecretUsed, SecretWay};
use cutover_events::workload::{DockerfileSource, Source, Spec};
use cutover_events::{Cause, DeploymentId, Digest, Event};
use futures_util::StreamExt;

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

/// An archive with this Dockerfile in it, as a person sends it.
async fn upload(engine: &Engine, dockerfile: &str) -> Digest {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
    let bytes = bytes::Bytes::from(archive.into_inner().unwrap());
    let digest = Digest::of(&bytes);
    let pieces = bytes.chunks(700).map(|piece| Ok(bytes.slice_ref(piece))).collect::<Vec<_>>();
    let arriving = futures_util::stream::iter(pieces).boxed();
    assert_eq!(engine.execution.as_ref().unwrap().take_upload(digest, arriving).await, Ok(bytes.len() as u64));
    digest
}

#[tokio::test]
async fn an_upload_stays_for_as_long_as_a_wish_needs_it() {
    let mut engine = engine(GOOD).await;
    engine.until("it runs", |state| state.active.is_some()).await;
    let upload = upload(&engine, HANGS).await;
    let execution = engine.execution.clone().unwrap();
    let tidy = || execution.tidy_uploads(std::time::Duration::ZERO, u64::MAX / 2).unwrap();
    let wish = Wish::Deploy(ImageWish::Built { fresh: false, upload: Some(upload) });
    let id = engine.wish(wish.clone()).await;
    prints(&engine, "hang").await;
    assert_eq!(tidy(), 0, "a deployment needs it");
    let by = By::engine(Cause::Person);
    engine.commands.workload(engine.workload, by, Command::Cancel(id, Insist::No)).await.unwrap();
    engine.until("it has ended", |state| !state.is_open(id)).await;
    assert_eq!((tidy(), tidy()), (1, 0));
    let again = engine.wish(wish).await;
    let Event::DeploymentFailed(failed) = ended(&engine, again).await else { panic!("it was built") };
    assert_eq!(failed.reason.text, format!("the upload {upload} is not kept any more: deploy it again with --from"));
    engine.end().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_is_another_one_leaves_nothing() {
    let mut engine = engine(GOOD).await;
    let execution = engine.execution.clone().unwrap();
    let send = async |pieces: Vec<Result<bytes::Bytes, String>>| {
        execution.take_upload(Digest([7; 32]), futures_util::stream::iter(pieces).boxed()).await.unwrap_err()
    };
    let piece = || Ok(bytes::Bytes::from_static(b"some"));
    let broken = send(vec![piece(), Err("reset".into())]).await;
    assert!(matches!(&broken, Refused::Broken(why) if why.contains("reset")), "{broken:?}");
    let other = send(vec![piece()]).await;
    assert!(matches!(&other, Refused::Broken(why) if why.contains("not what was announced")), "{other:?}");
    let large = send(vec![Ok(vec![0; 2 << 20].into())]).await;
    assert!(matches!(&large, Refused::Content(why) if why.contains("[limits] upload")), "{large:?}");
    assert_eq!(std::fs::read_dir(engine.folder.path().join("uploads")).unwrap().count(), 0);
    assert!(execution.has_upload(Digest([7; 32]), 2 << 20).is_err(), "it is refused before it is sent");
    engine.end().await;
}
