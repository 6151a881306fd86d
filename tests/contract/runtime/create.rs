//! Creating, adopting, listing.

use std::time::Duration;

use cutover::adapters::runtime::{CreateContainer, RuntimeError};
use cutover_domain::observed::{ImageHealth, Phase, Restart};
use cutover_events::{Digest, LogId, UnitId, WorkloadId};
use futures_util::future::join_all;

use super::{Behaviour, Harness, only};

pub(crate) async fn a_container_carries_what_it_was_created_with(harness: &Harness) {
    let (asked, id) = harness.created().await;
    let seen = only(harness).await;
    assert_eq!(seen.id, id);
    assert_eq!((seen.unit, seen.workload, seen.release), (asked.unit, asked.workload, asked.release));
    assert_eq!((seen.deployment, seen.witness), (asked.deployment, Some(asked.witness)));
    assert_eq!((seen.name, seen.address), (asked.name, Some(asked.address)));
    assert_eq!((seen.phase, seen.restart, seen.restarts), (Phase::Created, Restart::No, 0));
    assert_eq!((seen.started_at.as_str(), seen.up_ms, seen.health), ("", 0, ImageHealth::None));
    assert_eq!(harness.seen(id).await.unit, asked.unit);
}

pub(crate) async fn the_same_create_again_finds_the_first(harness: &Harness) {
    let (asked, id) = harness.created().await;
    let again =
        CreateContainer { witness: cutover::adapters::runtime::Witness { position: 99, ..asked.witness }, ..asked };
    assert_eq!(harness.runtime.create(harness.log, &again).await, Ok(id));
    harness.runtime.start(id).await.expect("a start");
    assert_eq!(harness.runtime.create(harness.log, &again).await, Ok(id));
    let kept = only(harness).await.witness;
    assert_eq!(kept.map(|witness| witness.position), Some(42), "labels are those of the first create");
}

pub(crate) async fn many_creates_at_once_make_one_container(harness: &Harness) {
    let asked = harness.container(Behaviour::Serves);
    let made = join_all((0..8).map(|_| harness.runtime.create(harness.log, &asked))).await;
    let id = only(harness).await.id;
    for one in made {
        assert_eq!(one, Ok(id));
    }
}

pub(crate) async fn a_create_whose_answer_was_lost_is_repeated(harness: &Harness) {
    // A create takes 9 to 40 ms: some of these give up before the daemon has the request, some after.
    for after in [1, 2, 4, 8, 16] {
        let asked = harness.container(Behaviour::Serves);
        harness.create_and_give_up(&asked, Duration::from_millis(after)).await;
        let appear = async { harness.appear(asked.unit) };
        let (again, ()) = tokio::join!(harness.runtime.create(harness.log, &asked), appear);
        let id = again.expect("the same create again");
        harness.runtime.start(id).await.expect("a start");
        let listed = harness.runtime.list(harness.log, Some(asked.workload)).await.expect("a listing");
        assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
        harness.runtime.remove(id).await.expect("a removal");
    }
}

pub(crate) async fn a_name_of_somebody_else_is_not_adopted(harness: &Harness) {
    let asked = harness.container(Behaviour::Serves);
    harness.foreign(&asked.name).await;
    let refused = harness.runtime.create(harness.log, &asked).await;
    harness.drop_foreign(&asked.name).await;
    assert_eq!(refused, Err(RuntimeError::NameTaken(asked.name)));

    let (ours, _) = harness.created().await;
    let other = CreateContainer { name: ours.name.clone(), ..harness.container(Behaviour::Serves) };
    assert_eq!(harness.runtime.create(harness.log, &other).await, Err(RuntimeError::NameTaken(ours.name.clone())));
    let other_log = LogId(harness.log.0.map(|byte| byte ^ 1));
    assert_eq!(harness.runtime.create(other_log, &ours).await, Err(RuntimeError::NameTaken(ours.name)));
}

pub(crate) async fn an_image_that_is_gone_is_named(harness: &Harness) {
    let image = format!("sha256:{}", Digest::of(b"no such image"));
    let asked = CreateContainer { image: image.clone(), ..harness.container(Behaviour::Serves) };
    match harness.runtime.create(harness.log, &asked).await {
        Err(RuntimeError::ImageMissing(text)) => assert!(text.contains(&image), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(harness.runtime.has_image(&image).await, Ok(false));
}

pub(crate) async fn foreign_containers_are_never_listed(harness: &Harness) {
    let name = format!("cutover-test-{}", UnitId::from_ulid(cutover::clock::Clock::system().ulid()).suffix());
    harness.foreign(&name).await;
    harness.created().await;
    let other_log = LogId(harness.log.0.map(|byte| byte ^ 1));
    let of_other = harness.runtime.list(other_log, None).await;
    let listed = harness.runtime.list(harness.log, None).await;
    harness.drop_foreign(&name).await;
    assert_eq!(of_other, Ok(vec![]));
    let listed = listed.expect("a listing");
    assert!(listed.len() == 1 && listed[0].name != name, "{listed:?}");
}

pub(crate) async fn a_list_is_complete(harness: &Harness) {
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(harness.created().await);
    }
    harness.runtime.start(made[1].1).await.expect("a start");
    let mut ids: Vec<_> = made.iter().map(|(_, id)| *id).collect();
    let mut listed: Vec<_> = harness.runtime.list(harness.log, None).await.expect("a listing");
    listed.sort_by_key(|one| one.id);
    ids.sort();
    assert_eq!(listed.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    let (asked, id) = &made[0];
    let of_one = harness.runtime.list(harness.log, Some(asked.workload)).await.expect("a listing");
    assert_eq!(of_one.iter().map(|one| one.id).collect::<Vec<_>>(), [*id]);
    let of_nobody = harness.runtime.list(harness.log, Some(WorkloadId([9; 16]))).await;
    assert_eq!(of_nobody, Ok(vec![]));
}
