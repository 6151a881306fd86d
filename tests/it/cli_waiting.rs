//! Waiting commands against a fake engine: outcomes, restarts, timeouts, interruptions, readers that go away.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, Command};

use crate::api_fake::{DEPLOYMENT, Fake, Served, TOKEN};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn spawn(folder: &Path, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(args).env_clear().env("CUTOVER_DATA_DIR", folder).env("CUTOVER_TOKEN", TOKEN);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

async fn said(child: Child) -> Said {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends in time").unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn ended(folder: &Path, args: &[&str]) -> Said {
    said(spawn(folder, args)).await
}

/// Waits until the engine has heard a wish.
async fn heard(fake: &Fake, wishes: usize) {
    let until = async {
        while fake.askers.lock().len() < wishes {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, until).await.expect("the wish arrives");
}

/// Waits until somebody follows the log.
async fn followed(fake: &Fake) {
    let until = async {
        while fake.followers() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, until).await.expect("the log is followed");
}

fn plan() -> Value {
    json!({"plan": {"strategy": "blue-green", "adopts": false, "steps": [1, 2], "policy": {"bake_ms": 10_000}}})
}

fn fail(fake: &Fake) {
    let reason = json!({"kind": "not_ready", "text": "answered 500 for 60 s"});
    fake.happen("DeploymentFailed", json!({"reason": reason, "routed_back": false, "lists": {}}));
}

#[tokio::test]
async fn outcomes_have_their_exit_codes() {
    let ends: [(&str, i32, &str); 6] = [
        ("DeploymentSucceeded", 0, "succeeded"),
        ("DeploymentFailed", 10, "failed"),
        ("IntentSuperseded", 11, "superseded"),
        ("IntentCancelled", 12, "cancelled"),
        ("RouteBack", 13, "failed"),
        ("Parked", 14, "parked"),
    ];
    for (event, code, outcome) in ends {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(Fake::new(), folder.path()).await;
        let child = spawn(folder.path(), &["deploy", "shop/web", "--json"]);
        heard(&served.fake, 1).await;
        match event {
            "DeploymentFailed" => fail(&served.fake),
            "RouteBack" => {
                served.fake.happen("RouteBackCommitted", json!({}));
                fail(&served.fake);
            }
            other => served.fake.happen(other, json!({})),
        }
        let said = said(child).await;
        assert_eq!(said.code, Some(code), "{event}: {}", said.err);
        let line: Value = serde_json::from_str(&said.out).unwrap();
        let position = line["position"].as_u64().unwrap();
        assert_eq!(
            line,
            json!({"deployment_id": DEPLOYMENT, "workload": "shop/web", "position": position, "outcome": outcome})
        );
        assert!(position > 1);
        assert_eq!(said.err.lines().count(), usize::from(code != 0), "{}", said.err);
        served.stop().await;
    }
}

#[tokio::test]
async fn what_was_parked_and_has_been_resumed_is_waited_for_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    for event in ["Parked", "Resumed"] {
        served.fake.happen(event, json!({}));
    }
    let child = spawn(folder.path(), &["wait", DEPLOYMENT, "--json"]);
    followed(&served.fake).await;
    served.fake.happen("DeploymentSucceeded", json!({}));
    let said = said(child).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["outcome"], "succeeded");
    served.stop().await;
}

#[tokio::test]
async fn a_person_sees_the_steps() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let child = spawn(folder.path(), &["deploy", "shop/web", "--wait=live"]);
    heard(&served.fake, 1).await;
    served.fake.happen("DeploymentPlanned", plan());
    served.fake.happen("StepSucceeded", json!({"step": "gate"}));
    served.fake.happen("Swapped", json!({"generation": 4}));
    let said = said(child).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("[1/2] told of StepSucceeded"), "{}", said.err);
    assert!(said.err.contains("live after 3 s, watching 10 s"), "{}", said.err);
    assert_eq!(said.out, format!("shop/web {DEPLOYMENT}: live, live after 1.6 s\n"));
    assert!(!said.err.contains('\u{1b}'));
    served.stop().await;
}

#[tokio::test]
async fn a_detached_deploy_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let said = ended(folder.path(), &["deploy", "shop/web", "--detach", "--json"]).await;
    let line: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(line, json!({"deployment_id": DEPLOYMENT, "workload": "shop/web", "position": 1}));
    assert_eq!(said.code, Some(0));
    served.stop().await;
}

/// Reads until a line holds `told`.
async fn line_with(err: &mut Lines<BufReader<tokio::process::ChildStderr>>, told: &str) {
    while !err.next_line().await.unwrap().expect("the client waits").contains(told) {}
}

#[tokio::test]
async fn a_waiting_client_survives_restarts_of_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(Fake::new(), folder.path()).await;
    let mut child = spawn(folder.path(), &["deploy", "shop/web", "--timeout", "60s"]);
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    heard(&served.fake, 1).await;
    for (round, step) in [(0, "create unit_1"), (1, "start unit_1"), (2, "gate")] {
        served.fake.happen("StepSucceeded", json!({"step": step}));
        let told = format!("[{}/0]", round + 1);
        tokio::time::timeout(PATIENCE, line_with(&mut err, &told)).await.expect("the step is told once, in order");
        let fake = if round == 1 { served.stop().await } else { served.kill().await };
        served = Served::start(fake, folder.path()).await;
    }
    served.fake.happen("DeploymentSucceeded", json!({}));
    let said = said(child).await;
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("succeeded"), "{}", said.out);
    served.stop().await;
}

#[tokio::test]
async fn the_same_key_attaches_to_the_same_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let args = ["deploy", "shop/web", "--key", "ci-7", "--json"];
    let mut first = spawn(folder.path(), &args);
    heard(&served.fake, 1).await;
    first.kill().await.unwrap();
    let again = spawn(folder.path(), &args);
    heard(&served.fake, 2).await;
    served.fake.happen("DeploymentSucceeded", json!({}));
    let said = said(again).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("\"position\":2"), "one wish, one end: {}", said.out);
    let keys: Vec<_> = served.fake.askers.lock().iter().map(|asker| asker.key.clone()).collect();
    assert_eq!(keys[0], keys[1]);
    served.stop().await;
}

#[tokio::test]
async fn the_time_for_waiting_is_6() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let said = ended(folder.path(), &["deploy", "shop/web", "--timeout", "300ms", "--json"]).await;
    assert_eq!(said.code, Some(6), "{}", said.err);
    assert!(said.err.contains(&format!("cutover wait {DEPLOYMENT}")), "{}", said.err);
    assert!(!said.out.contains("outcome"), "{}", said.out);
    let said = ended(folder.path(), &["wait", DEPLOYMENT, "--timeout", "300ms"]).await;
    assert_eq!(said.code, Some(6), "{}", said.err);
    served.stop().await;
}

#[tokio::test]
async fn an_interruption_detaches() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let mut child = spawn(folder.path(), &["deploy", "shop/web"]);
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    while !err.next_line().await.unwrap().expect("it goes on").contains("asked by root") {}
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut told = String::new();
    while let Some(line) = err.next_line().await.unwrap() {
        told.push_str(&line);
    }
    let said = said(child).await;
    assert_eq!(said.code, Some(130), "{told}");
    assert!(told.contains(&format!("cutover wait {DEPLOYMENT}")), "{told}");
    served.stop().await;
}

#[tokio::test]
async fn refusals_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    let cases: &[(&[&str], i32)] = &[
        (&["deploy", "shop/db"], 3),
        (&["wait", "dep_01k9zzzzzzzzzzzzzzzzzzzzz1"], 3),
        (&["cancel", DEPLOYMENT], 4),
        (&["hook", "add", "github"], 5),
        (&["show", "web"], 1),
        (&["doctor", "--json"], 1),
    ];
    for (args, code) in cases {
        let said = ended(folder.path(), args).await;
        assert_eq!(said.code, Some(*code), "{args:?}: {}", said.err);
    }
    let url = format!("http://{}", served.tcp);
    assert_eq!(ended(folder.path(), &["--url", &url, "status", "--json"]).await.code, Some(0));
    std::fs::write(folder.path().join("token"), "cut_wrong\n").unwrap();
    let file = folder.path().join("token");
    let said = ended(folder.path(), &["--url", &url, "--token-file", file.to_str().unwrap(), "status"]).await;
    assert_eq!(said.code, Some(4), "{}", said.err);
    served.stop().await;
}

#[tokio::test]
async fn the_log_can_be_followed() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    for name in ["IntentQueued", "DeploymentBegun"] {
        served.fake.happen(name, json!({}));
    }
    let said = ended(folder.path(), &["events", "--json", "--after", "1"]).await;
    let line: Value = serde_json::from_str(said.out.trim()).unwrap();
    assert_eq!((&line["event"], &line["position"]), (&json!("DeploymentBegun"), &json!(2)));
    let mut child = spawn(folder.path(), &["events", "--follow", "--json"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut read = async || -> Value { serde_json::from_str(&out.next_line().await.unwrap().unwrap()).unwrap() };
    assert_eq!(read().await["position"], 1);
    assert_eq!(read().await["position"], 2);
    served.fake.happen("Swapped", json!({}));
    assert_eq!(read().await["position"], 3);
    let fake = served.kill().await;
    let served = Served::start(fake, folder.path()).await;
    served.fake.happen("DeploymentSucceeded", json!({}));
    assert_eq!(read().await["position"], 4);
    served.stop().await;
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(Fake::new(), folder.path()).await;
    for _ in 0..3_000 {
        served.fake.happen("StepSucceeded", json!({"step": "gate", "padding": "x".repeat(100)}));
    }
    let mut child = spawn(folder.path(), &["timeline", "shop/web", "--json"]);
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(out.next_line().await.unwrap().is_some());
    drop(out);
    let said = said(child).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    served.stop().await;
}

#[tokio::test]
async fn an_engine_that_starts_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(Fake::new(), folder.path()).await;
    served.readiness.send_replace(cutover::api::Readiness::Starting("reading the log"));
    let child = spawn(folder.path(), &["status", "--json"]);
    let readiness = served.readiness.clone();
    let fake: Arc<Fake> = served.fake.clone();
    let tried = served.asked.wait_for(|requests| *requests > 1);
    tokio::time::timeout(PATIENCE, tried).await.expect("the client tries again").unwrap();
    readiness.send_replace(cutover::api::Readiness::Ready(fake));
    assert_eq!(said(child).await.code, Some(0));
    served.stop().await;
}
