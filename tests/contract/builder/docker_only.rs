//! What only Docker can show.

use cutover::adapters::builder::{BuildError, BuildSecret, Builder, BuilderKind, Keep, spare};
use cutover_events::{DeploymentId, ReleaseId};
use zeroize::Zeroizing;

use super::harness::{self, Stand};
use crate::docker;

const VALUE: &str = "a-value-that-stands-nowhere";

fn secret() -> BuildSecret {
    BuildSecret { id: "token".to_owned(), value: Zeroizing::new(VALUE.as_bytes().to_vec()), version: "1".to_owned() }
}

impl Stand {
    /// How many images of steps there are that only this test can have made.
    pub(crate) async fn nameless(&self) -> usize {
        let docker = docker::client().await;
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new().all(true).build();
        let mut found = 0;
        let all = docker.list_images(Some(options)).await.expect("images are listed");
        for image in all.iter().filter(|image| image.repo_tags.is_empty()) {
            let history = docker.image_history(&image.id).await.unwrap_or_default();
            found += usize::from(history.iter().any(|layer| layer.created_by.contains(&self.mark)));
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_in_no_layer_and_no_history() {
    let stand = harness::buildkit("secret").await;
    harness::run(stand, |stand| Box::pin(secret_in_nothing(stand))).await;
}

async fn secret_in_nothing(stand: &Stand) {
    let mut build = stand.build(1, "RUN --mount=type=secret,id=token [\"/shell\", \"secret\", \"token\"]\n");
    let (missing, _) = stand.made(&build).await;
    assert!(matches!(missing, Err(BuildError::Step { .. })), "{missing:?}");
    build.secrets.push(secret());
    let (built, told) = stand.made(&build).await;
    let image = built.unwrap().image;
    let line = format!("a secret of {} bytes", VALUE.len());
    assert!(told.iter().any(|told| told.contains(&line)), "{told:#?}");
    let client = docker::client().await;
    let parts = futures_util::TryStreamExt::try_collect::<Vec<_>>(client.export_image(&image)).await.unwrap();
    let archive = parts.concat();
    assert!(archive.len() > 100_000);
    assert!(!archive.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_classic_builder_takes_no_secrets() {
    let stand = harness::classic("no secrets").await;
    harness::run(stand, |stand| Box::pin(no_secrets(stand))).await;
}

async fn no_secrets(stand: &Stand) {
    let mut build = stand.build(1, "");
    build.secrets.push(secret());
    assert_eq!(stand.made(&build).await.0, Err(BuildError::NoSecrets));
    build.kind = BuilderKind::Auto;
    stand.image(&build).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_containers_of_somebody_else_keep_an_image() {
    let stand = harness::buildkit("in use").await;
    harness::run(stand, |stand| Box::pin(kept_by_others(stand))).await;
}

async fn kept_by_others(stand: &Stand) {
    let client = docker::client().await;
    let named = stand.image(&stand.build(1, "ENV N=1\n")).await.image;
    let used = stand.image(&stand.build(2, "ENV N=2\n")).await.image;
    let release = ReleaseId(stand.log.0);
    let theirs = format!("cutover-test-theirs/{}", stand.log);
    for repository in [format!("cutover/{release}"), theirs.clone()] {
        let tag = bollard::query_parameters::TagImageOptionsBuilder::new().repo(&repository).tag("latest").build();
        client.tag_image(&named, Some(tag)).await.unwrap();
    }
    let container = docker::created(&client, &used, stand.log).await;
    // An image that somebody has built on ours has its labels, and is not ours.
    let images = stand.builder.images(stand.log).await.unwrap();
    let nothing = Keep { named: Default::default(), newest: 0, age: std::time::Duration::MAX };
    let mut gone = Vec::new();
    for image in spare(images, &nothing, 0) {
        gone.push(stand.builder.remove(stand.log, &image).await.unwrap());
    }
    assert_eq!(gone, [false, false]);
    let names = client.inspect_image(&named).await.unwrap().repo_tags.unwrap();
    assert_eq!(names, [format!("{theirs}:latest")]);
    docker::remove_container(&client, &container).await;
    for image in stand.builder.images(stand.log).await.unwrap() {
        assert_eq!(image.deployment, DeploymentId([0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(stand.builder.remove(stand.log, &image).await.unwrap());
    }
    client.remove_image(&theirs, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
    assert!(client.inspect_image(&named).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_container_of_a_command_that_an_earlier_process_left_is_removed() {
    let stand = harness::buildkit("left").await;
    harness::run(stand, |stand| Box::pin(left_and_swept(stand))).await;
}

async fn left_and_swept(stand: &Stand) {
    let image = stand.image(&stand.build(1, "")).await.image;
    let left = docker::left_command(&image, stand.log).await;
    let build = stand.command(2, &["/shell", "hang", &stand.mark], "out").await;
    let client = docker::client().await;
    let looking = async {
        while docker::labelled("io.cutover.command.log", stand.log).await.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stand.builder.sweep(stand.log).await, Ok(1));
        // The one that is waited for stays.
        assert_eq!(docker::labelled("io.cutover.command.log", stand.log).await.len(), 1);
        assert!(client.inspect_container(&left, None).await.is_err());
    };
    let (ran, ()) = tokio::join!(stand.ran_until(&build, "hanging"), looking);
    assert_eq!(ran.0, Err(BuildError::Cancelled));
}

#[tokio::test]
async fn the_cache_is_told_and_pruned_by_age() {
    let stand = harness::buildkit("cache").await;
    let before = stand.builder.cache().await.unwrap();
    // Nothing here is a hundred years old.
    let century = std::time::Duration::from_secs(100 * 365 * 24 * 60 * 60);
    assert_eq!(stand.builder.prune_cache(century).await.unwrap(), 0);
    assert!(stand.builder.cache().await.unwrap().entries >= before.entries.min(1));
}

#[tokio::test]
async fn a_docker_that_is_away_is_named() {
    let builder = cutover::adapters::builder::DockerBuilder::new("/nowhere/docker.sock".into());
    let error = builder.images(docker::log_id("away")).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/docker.sock"), "{error}");
}
