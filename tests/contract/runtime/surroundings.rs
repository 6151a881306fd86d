//! Networks, images, hints, identity.

use cutover::adapters::runtime::{Hint, RuntimeError, assignable};
use cutover_events::workload::Pull;
use cutover_events::{LogId, ReleaseId};
use tokio::time::timeout;

use super::Harness;
use super::harness::PATIENCE;

pub(crate) async fn a_project_has_one_network(harness: &Harness) {
    let again = harness.runtime.ensure_network(harness.log, "contract").await;
    assert_eq!(again.as_ref(), Ok(&harness.network));
    let many =
        futures_util::future::join_all((0..4).map(|_| harness.runtime.ensure_network(harness.log, "other"))).await;
    let other = many[0].clone().expect("a network");
    assert!(many.iter().all(|one| one.as_ref() == Ok(&other)), "{many:?}");
    assert_ne!(other.id, harness.network.id);
    let mut listed = harness.runtime.networks(harness.log).await.expect("a listing");
    listed.sort_by(|a, b| a.project.cmp(&b.project));
    assert_eq!(listed, [harness.network.clone(), other.clone()]);
    let other_log = LogId(harness.log.0.map(|byte| byte ^ 1));
    assert_eq!(harness.runtime.networks(other_log).await, Ok(vec![]));

    harness.runtime.remove_network(&other.id).await.expect("a removal");
    harness.runtime.remove_network(&other.id).await.expect("the same removal again");
    assert_eq!(harness.runtime.networks(harness.log).await, Ok(vec![harness.network.clone()]));
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    assert!(matches!(harness.runtime.remove_network(&harness.network.id).await, Err(RuntimeError::Refused(_))));
}

pub(crate) async fn networks_have_addresses_of_their_own(harness: &Harness) {
    let other = harness.runtime.ensure_network(harness.log, "other").await.expect("a network");
    let range = |subnet: &str| assignable(subnet).expect("a range");
    let ((a, b), (c, d)) = (range(&harness.network.subnet), range(&other.subnet));
    assert!(b < c || d < a, "{} and {}", harness.network.subnet, other.subnet);
    assert!(u32::from(b) - u32::from(a) >= 200);
}

pub(crate) async fn an_image_made_here_is_used_without_asking(harness: &Harness) {
    for pull in [Pull::Missing, Pull::Always, Pull::Never] {
        let image = harness.runtime.resolve(&harness.reference, (pull, ""), None).await.expect("the image");
        assert!(image.id.starts_with("sha256:") && image.repo_digest.is_empty(), "{image:?}");
        assert_eq!(image.exposed, [8080]);
        assert_eq!(harness.runtime.has_image(&image.id).await, Ok(true));
    }
}

pub(crate) async fn an_unknown_image_is_missing(harness: &Harness) {
    match harness.runtime.resolve("cutover-test/nothing:1", (Pull::Never, ""), None).await {
        Err(RuntimeError::ImageMissing(text)) => assert!(text.contains("cutover-test/nothing:1"), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_tag_keeps_an_image(harness: &Harness) {
    let image = harness.runtime.resolve(&harness.reference, (Pull::Never, ""), None).await.expect("the image");
    let release = ReleaseId(harness.log.0);
    for _ in 0..2 {
        harness.runtime.tag(&image.id, release).await.expect("a tag");
    }
    let tagged = format!("cutover/{release}");
    let found = harness.runtime.resolve(&tagged, (Pull::Never, ""), None).await;
    if harness.twin.is_none() {
        let docker = crate::docker::client().await;
        let options = None::<bollard::query_parameters::RemoveImageOptions>;
        docker.remove_image(&tagged, options, None).await.expect("the tag is removed");
    }
    assert_eq!(found.expect("the image").id, image.id);
    let unknown = format!("sha256:{}", cutover_events::Digest::of(b"no such image"));
    assert!(matches!(harness.runtime.tag(&unknown, release).await, Err(RuntimeError::NotFound(_))));
}

pub(crate) async fn hints_tell_where_to_look(harness: &Harness) {
    let mut hints = harness.runtime.clone().hints(harness.log);
    let first = timeout(PATIENCE, hints.recv()).await.expect("a hint in time");
    assert_eq!(first, Some(Hint::LookAtAll));
    let (asked, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    let about = timeout(PATIENCE, hints.recv()).await.expect("a hint in time");
    assert_eq!(about, Some(Hint::Workload(asked.workload)));
}

pub(crate) async fn the_daemon_has_an_identity(harness: &Harness) {
    let first = harness.runtime.daemon().await.expect("an identity");
    assert!(!first.is_empty());
    assert_eq!(harness.runtime.daemon().await, Ok(first));
}
