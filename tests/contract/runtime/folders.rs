//! What release folders have for themselves.

use std::sync::Arc;

use cutover::adapters::runtime::{Container, CreateContainer, Runtime, RuntimeError};
use cutover::adapters::units::{ReleaseFolders, Units};
use cutover::clock::Clock;
use cutover_domain::observed::{Phase, Restart};

use super::{Behaviour, Harness};

pub(crate) async fn a_unit_is_where_its_release_lies_while_it_runs(harness: &Harness) {
    let (asked, id) = harness.created().await;
    let lies = harness.runtime.folder(&asked.image).expect("a folder");
    assert!(lies.ends_with("sites/wl_contract/rel_contract") && lies.is_absolute(), "{lies:?}");
    assert_eq!(harness.seen(id).await.folder, None);
    harness.runtime.start(id).await.expect("a start");
    let seen = harness.seen(id).await;
    assert_eq!((seen.folder, seen.address), (Some(lies), None));
    assert_eq!((seen.unit, seen.name, seen.witness), (asked.unit, asked.name, Some(asked.witness)));
    for odd in ["site:../etc", "site:wl/../x", "site:/etc", "site:wl", "sha256:1", "site:wl/.new-rel"] {
        assert_eq!(harness.runtime.folder(odd), None, "{odd}");
    }
}

pub(crate) async fn what_is_known_of_a_unit_outlives_the_engine(harness: &Harness) {
    let (_, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    harness.runtime.set_restart(id, Restart::Always).await.expect("a policy");
    let (_, stopped) = harness.created().await;
    harness.runtime.start(stopped).await.expect("a start");
    harness.runtime.stop(stopped, std::time::Duration::ZERO).await.expect("a stop");
    let (_, gone) = harness.created().await;
    harness.runtime.remove(gone).await.expect("a removal");
    let sorted = |mut all: Vec<Container>| {
        all.sort_by_key(|one| one.id);
        all
    };
    let before = sorted(harness.runtime.list(harness.log, None).await.expect("a listing"));
    let data = harness.data.as_ref().expect("a data folder").path();
    // What a crash leaves beside a note was never acknowledged.
    std::fs::write(data.join("sites/.units/un_x.json.1-0.new"), "half").expect("a file");
    // And one that nobody can read keeps no engine from starting.
    std::fs::write(data.join("sites/.units/un_y.json"), "{").expect("a file");
    let again = ReleaseFolders::open(data, Clock::system()).expect("the notes");
    assert!(
        data.join("sites/.units/un_y.json.damaged").exists() && !data.join("sites/.units/un_x.json.1-0.new").exists()
    );
    let again = Units::over(harness.runtime.clone(), vec![Arc::new(again)]);
    let listed = again.list(harness.log, None).await.expect("a listing");
    assert_eq!(sorted(listed[before.len()..].to_vec()), before);
}

pub(crate) async fn a_unit_without_its_release_has_ended(harness: &Harness) {
    let (asked, id) = harness.created().await;
    harness.runtime.start(id).await.expect("a start");
    std::fs::remove_dir_all(harness.runtime.folder(&asked.image).expect("a folder")).expect("a removal");
    let seen = harness.seen(id).await;
    assert_eq!((seen.phase, seen.folder, seen.up_ms), (Phase::Exited, None, 0));
    assert_ne!(seen.exit_code, 0);
    assert_eq!(harness.runtime.has_image(&asked.image).await, Ok(false));
    let next = CreateContainer { image: asked.image.clone(), ..harness.container(Behaviour::Serves) };
    let refused = harness.runtime.create(harness.log, &next).await;
    assert!(matches!(&refused, Err(RuntimeError::ImageMissing(text)) if text.contains(&asked.image)), "{refused:?}");
}
