//! Versions that do not work.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::scene::{Scene, VERSIONS, WEB};
use crate::Result;
use crate::judge::{Promised, ends, no_failures};
use crate::report::{Verdict, line, progress};
use crate::sample::Version;
use crate::stand::{Said, Stand, Workload, field};

/// Failed before the swap.
const BEFORE_SWAP: i32 = 10;
/// Routed back while baking.
const ROUTED_BACK: i32 = 13;

struct Case {
    /// Of the acceptance scenarios (docs/testing.md), where it is one of them.
    scenario: Option<u8>,
    name: &'static str,
    env: &'static [&'static str],
    code: i32,
    /// What the program said last, when it said anything.
    last_words: &'static str,
}

const CASES: &[Case] = &[
    Case { scenario: None, name: "missing", env: &[], code: BEFORE_SWAP, last_words: "" },
    Case {
        scenario: None,
        name: "exits",
        env: &["EXIT_AT_START=1"],
        code: BEFORE_SWAP,
        last_words: "cannot read its settings",
    },
    Case {
        scenario: Some(7),
        name: "deaf",
        env: &["NEVER_LISTEN=1"],
        code: BEFORE_SWAP,
        last_words: "a database that never comes",
    },
    Case { scenario: Some(7), name: "sick", env: &["STATUS_500=1"], code: BEFORE_SWAP, last_words: "answers 500" },
    Case { scenario: None, name: "slow", env: &["READY_AFTER_MS=120000"], code: BEFORE_SWAP, last_words: "" },
    Case {
        scenario: Some(6),
        name: "dies",
        env: &["EXIT_AFTER_READY_MS=5000"],
        code: ROUTED_BACK,
        last_words: "lost its nerve",
    },
];

/// A workload whose file names no health check. The sample has no HEALTHCHECK either, and no curl: what counts is that
/// it stays up and listens.
const PLAIN: &str = "plain";
/// A HEALTHCHECK that needs a program which the image does not have.
const NO_CURL: &str = r#"--interval=1s --timeout=1s --retries=2 CMD ["curl", "-f", "http://localhost:8080/healthz"]"#;

/// Failed requests that a container may take with it when it dies while it serves: the ones that it was answering,
/// and at 200 a second those of the two seconds in which its end is seen and the route goes back.
const LOST_WITH_GREEN: u64 = 400;

pub(super) async fn prove(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    // The gate is short, so that what is never ready is known in seconds; the bake is longer than the five seconds
    // that the last case lives.
    let shape = |workload: Workload| workload.policy("gate_timeout", "4s").policy("bake", "8s");
    let scene = Scene::open(stand, shape).await?;
    let (before, baking): (Vec<&Case>, Vec<&Case>) = CASES.iter().partition(|case| case.code == BEFORE_SWAP);
    let load = scene.load();
    for case in before {
        play(case, &scene, &mut verdict).await?;
    }
    let summary = load.stop().await;
    line(&summary);
    // The route never moved, so nothing may fail and no stream may end.
    no_failures(&mut verdict, &summary, 0);
    let load = scene.load();
    for case in baking {
        play(case, &scene, &mut verdict).await?;
    }
    let summary = load.stop().await;
    line(&summary);
    progress(&format!("while a version died that served: {}", summary.sentence()));
    verdict.at_most("failed requests while a version died that served", summary.failed, LOST_WITH_GREEN);
    without_a_check(&scene, &mut verdict).await?;
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}

/// No health check in the file, none in the image, no curl in it: it is deployed all the same, and a version that never
/// listens, or whose own check cannot run, is not.
async fn without_a_check(scene: &Scene<'_>, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let plain = Workload::new(PLAIN, &scene.images[0]).policy("gate_timeout", "5s").policy("liveness", "500ms");
    let file = plain.file(stand).replace("health = \"/healthz\"\n", "");
    stand.must(&["apply", &stand.write("plain.toml", &file)?]).await?;
    let no_curl = Version { healthcheck: Some(NO_CURL), ..Version::good("bad-no-curl") };
    let deaf = Version::with("bad-deaf", &["NEVER_LISTEN=1"]);
    let name = stand.full_name(PLAIN);
    let good = stand.ask(&["deploy", &name, "--image", &scene.images[1], "--json"]).await?;
    verdict.same("the exit code of a version without any check", good.code, 0);
    for version in [no_curl, deaf] {
        let image = version.make(&stand.docker).await?;
        let said = stand.ask(&["deploy", &name, "--image", &image, "--json"]).await?;
        let case = Case { scenario: Some(7), name: "plain", env: &[], code: BEFORE_SWAP, last_words: "" };
        let reason = judge(&case, &said, (stand, PLAIN), verdict).await?;
        line(&json!({"prove": "bad", "scenario": 7, "case": version.name, "code": said.code, "reason": reason}));
        progress(&format!("without a check, {}: ended with {}: {reason}", version.name, said.code));
    }
    let served = stand.get(PLAIN, "/version").await?;
    verdict.same("what serves without any check", served, (200, VERSIONS[1].to_owned()));
    stand.must(&["teardown", &name]).await.map(drop)
}

async fn play(case: &Case, scene: &Scene<'_>, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let began = Instant::now();
    let version = Version::with(&format!("bad-{}", case.name), case.env);
    let image = if case.env.is_empty() { version.reference() } else { version.make(&stand.docker).await? };
    let said = stand.ask(&["deploy", &stand.full_name(WEB), "--image", &image, "--json"]).await?;
    let reason = judge(case, &said, (stand, WEB), verdict).await?;
    scene.answers(verdict, "v1").await;
    scene.only_listed(verdict).await?;
    line(&json!({
        "prove": "bad", "scenario": case.scenario, "case": case.name, "code": said.code, "reason": reason,
        "ms": began.elapsed().as_millis() as u64,
    }));
    progress(&format!("{}: ended with {}: {reason}", case.name, said.code));
    Ok(())
}

/// The exit code, the end in the log, a reason, and the last words where there are any.
async fn judge(case: &Case, said: &Said, (stand, workload): (&Stand, &str), verdict: &mut Verdict) -> Result<String> {
    let name = case.name;
    if said.code != case.code {
        verdict.short(format!("{name}: should end with {}; {}", case.code, said.told()));
    }
    let Some(id) = verdict.worked(name, said.text("deployment_id")) else { return Ok(String::new()) };
    let events = stand.timeline(workload).await?;
    verdict.same(
        &format!("{name}: its end"),
        ends(&events).remove(&id).unwrap_or_default(),
        vec!["DeploymentFailed".to_owned()],
    );
    let failed =
        events.iter().find(|event| event["event"] == "DeploymentFailed" && event["deployment_id"] == id.as_str());
    let reason = failed.and_then(|event| field(event, "reason")).and_then(|reason| field(reason, "text"));
    let reason = reason.and_then(Value::as_str).unwrap_or_default().to_owned();
    if reason.trim().is_empty() {
        verdict.short(format!("{name}: no reason is given"));
    }
    // Docker's answer to a version that is never ready holds its last output; people find it with `logs`.
    let words = stand.ask(&["logs", &stand.full_name(workload), "--deployment", &id]).await?;
    if !case.last_words.is_empty() && !format!("{}{}", words.out, said.err).contains(case.last_words) {
        verdict.short(format!("{name}: its last words are not shown: {}", words.told()));
    }
    Ok(reason)
}
