//! Pulls that are lost, hang, or cannot be: what runs goes on meanwhile, and what is told of it.

use std::net::TcpListener;
use std::process::Output;

use cutover::adapters::runtime::{Runtime, RuntimeError};
use cutover::clock::Clock;
use cutover_events::workload::Pull;

use super::between::{Between, Does};
use super::registry::{Registry, platform, swept};
use super::{answer, lines, opened};
use crate::docker;
use crate::stand::{Stand, labelled, lossy, text};

/// Bytes of a layer that is there for its size: a good part of it has come when the connection ends.
const LAYER: usize = 400_000;
/// Calls that are made while a pull hangs.
const CALLS: usize = 20;

/// A layer of bytes that cannot be made smaller, and that no Docker has seen: it would not ask for one that it has.
fn layer(number: u8) -> Vec<u8> {
    let random = u128::from(Clock::system().ulid()).to_le_bytes();
    let mut state = u32::from_le_bytes([random[0], random[1], random[2], number]) | 1;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(LAYER)
    .collect();
    docker::tar_of(&format!("layer-{number}"), &bytes)
}

/// The kinds of the events of one deployment, in order.
async fn kinds(stand: &Stand, deployment: &str) -> Vec<String> {
    let all = stand.events().await.into_iter();
    let own = all.filter(|event| text(event, "deployment_id").as_deref() == Some(deployment));
    own.filter_map(|event| event["event"].as_str().map(str::to_owned)).collect()
}

/// The deployment that was wished last.
async fn newest(stand: &Stand) -> String {
    text(stand.of_kind("IntentQueued").await.last().unwrap(), "deployment_id").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_breaks_off_goes_on_and_is_tried_again_under_the_same_id() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    opened(&stand).await;
    registry.put_image("1", (&platform().await, "whole"), &[layer(1), layer(2)]);
    // The first try gets no manifest. In the second one each layer breaks off in its middle and Docker goes on with it by
    // itself, until the registry wants to be asked less often: the third one comes to its end.
    let layers = [[Does::Cuts; 3], [Does::Passes, Does::Passes, Does::Refuses]].concat();
    let between = Between::begin(&registry.host, &[Does::Drops], &layers);
    let file = stand.folder().join("web.toml");
    let lines = lines(&stand, "web", &format!("ref = \"{}/shop/web:1\"", between.host));
    std::fs::write(&file, format!("project = \"{}\"\n[workloads.web]\n{lines}\n", stand.project)).unwrap();
    let applied = stand.ask(&["apply", &file.to_string_lossy()]).await;

    let told = lossy(&applied.stderr);
    assert!(applied.status.success(), "{told}");
    assert!(answer(&stand, "web").await.ends_with("whole"));
    for words in
        ["try 2 (before: the connection broke off)", "the connection broke off 3 times, Docker goes on from there"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    let asked = between.asked();
    let resumed = asked.iter().filter(|asked| asked.contains("bytes=")).count();
    assert!(resumed >= 3 && asked.len() > 6, "{asked:?}");
    let wished = stand.of_kind("IntentQueued").await;
    assert_eq!(wished.len(), 1);
    let kinds = kinds(&stand, &newest(&stand).await).await;
    assert_eq!(kinds.last().map(String::as_str), Some("DeploymentSucceeded"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "DeploymentBegun").count(), 1, "{kinds:?}");
    stand.end(&["web"]).await;
    swept(&between.host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recreated_serves_until_the_image_of_the_new_version_is_here() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    opened(&stand).await;
    let own = platform().await;
    registry.put_image("1", (&own, "old"), &[]);
    registry.put_image("2", (&own, "new"), &[layer(1)]);
    let between = Between::begin(&registry.host, &[], &[]);
    let image = format!("{}/shop/web", between.host);
    let recreated = format!("ref = \"{image}:1\", deploy_strategy = \"recreate\"");
    stand.apply("web", &lines(&stand, "web", &recreated)).await;
    let before = labelled(stand.log).await;

    between.hold();
    let (web, second) = (format!("{}/web", stand.project), format!("{image}:2"));
    let deploy = stand.command(&["deploy", &web, "--image", &second]).spawn().unwrap();
    stand.until("the pull hangs", async |_| between.waiting() > 0).await;
    for _ in 0..CALLS {
        assert!(answer(&stand, "web").await.ends_with("old"));
    }
    let deployment = newest(&stand).await;
    let meanwhile = kinds(&stand, &deployment).await;
    assert!(!meanwhile.iter().any(|kind| kind == "ReleaseResolved" || kind == "DowntimeOpened"), "{meanwhile:?}");
    assert_eq!(labelled(stand.log).await, before);

    between.let_go();
    let done = deploy.wait_with_output().await.unwrap();
    assert!(done.status.success(), "{}", lossy(&done.stderr));
    assert!(answer(&stand, "web").await.ends_with("new"));
    let kinds = kinds(&stand, &deployment).await;
    let at =
        |wanted: &str| kinds.iter().position(|kind| kind == wanted).unwrap_or_else(|| panic!("{wanted}: {kinds:?}"));
    assert!(at("ReleaseResolved") < at("DowntimeOpened") && at("DowntimeOpened") < at("DeploymentSucceeded"));
    stand.end(&["web"]).await;
    swept(&between.host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_cannot_be_pulled_leaves_what_runs_as_it_is() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    opened(&stand).await;
    registry.put_image("1", (&platform().await, "old"), &[]);
    let image = format!("{}/shop/web", registry.host);
    let strategies = ["recreate", "blue-green"];
    for (name, strategy) in ["one", "two"].into_iter().zip(strategies) {
        let source = format!("ref = \"{image}:1\", deploy_strategy = \"{strategy}\"");
        stand.apply(name, &lines(&stand, name, &source)).await;
    }
    let before = labelled(stand.log).await;
    for name in ["one", "two"] {
        let full = format!("{}/{name}", stand.project);
        let refused = stand.ask(&["deploy", &full, "--image", &format!("{image}:none")]).await;
        let line = lossy(&refused.stderr);
        assert!(!refused.status.success() && line.contains(&format!("{image}:none")), "{line}");
        assert!(answer(&stand, name).await.ends_with("old"));
        let kinds = kinds(&stand, &newest(&stand).await).await;
        assert_eq!(kinds.last().map(String::as_str), Some("DeploymentFailed"), "{kinds:?}");
        assert!(!kinds.iter().any(|kind| kind == "DeploymentPlanned"), "{kinds:?}");
    }
    assert_eq!(labelled(stand.log).await, before);
    stand.end(&["one", "two"]).await;
    swept(&registry.host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_docker_cannot_reach_is_named_with_the_reason_and_what_checks_it() {
    // Bound and dropped: nothing listens there now.
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for (host, reasons, check) in [
        (refused.as_str(), &["the connection was refused"][..], format!("`curl -v http://{refused}/v2/`")),
        (
            "registry.invalid",
            &["no such host", "its name could not be looked up"],
            "`getent hosts registry.invalid`".to_owned(),
        ),
    ] {
        let reference = format!("{host}/shop/web:1");
        let error = docker::runtime().resolve(&reference, (Pull::Missing, ""), None).await.unwrap_err();
        let line = error.to_string();
        let begins = format!("Docker was asked for the image {reference} and could not reach its registry {host}: ");
        let rest = line.strip_prefix(&begins).unwrap_or_else(|| panic!("{line}"));
        assert!(reasons.iter().any(|reason| rest.starts_with(reason)) && rest.contains(&check), "{line}");
        // It is tried again.
        assert!(matches!(error, RuntimeError::Busy(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_waits_for_a_registry_that_is_away_is_told_so() {
    let stand = Stand::begin().await;
    opened(&stand).await;
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let file = stand.folder().join("web.toml");
    let lines = lines(&stand, "web", &format!("ref = \"{away}/shop/web:1\""));
    std::fs::write(&file, format!("project = \"{}\"\n[workloads.web]\n{lines}\n", stand.project)).unwrap();
    let apply = stand.command(&["apply", &file.to_string_lossy()]).spawn().unwrap();
    let told = async |stand: &Stand| {
        let status = stand.must(&["status"]).await;
        status.contains("the connection was refused, try") || status.contains("(before: the connection was refused)")
    };
    stand.until("status tells of the tries", told).await;
    stand.must(&["cancel", &newest(&stand).await]).await;
    let done: Output = apply.wait_with_output().await.unwrap();
    assert!(!done.status.success(), "{}", lossy(&done.stderr));
    stand.end(&["web"]).await;
}
