//! Pushes that come faster than they can be deployed: one runs, the newest waits, nobody else is held up.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use super::scene::{Scene, WEB};
use crate::Result;
use crate::hook::{self, Hook, push};
use crate::judge::{Promised, no_failures};
use crate::report::{Verdict, line, progress};
use crate::sample::Version;
use crate::stand::{Stand, Workload, ms_between};

/// The other workload, which must not be held up.
const OTHER: &str = "other";
const REPO: &str = "acme/shop";
/// Pushes to one branch, and the time in which they come (scenario 4).
const PUSHES: u32 = 50;
const WITHIN: Duration = Duration::from_secs(10);
/// Longer than the pushes take: the deployment that they meet is not ready before.
const SLOW: &str = "READY_AFTER_MS=14000";
/// What the other's deployment may take more beside the pushes than alone, ms: two cores are shared with everything.
const SLOWER_MS: i64 = 1_500;
/// How long anything that must come may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// The numbers of commits that are images.
const BEGUN: u32 = 0;
const ALONE: u32 = 101;
const BESIDE: u32 = 102;

/// A commit whose first seven digits are its number.
fn sha(n: u32) -> String {
    format!("{n:07x}{}", "0".repeat(33))
}

fn short(n: u32) -> String {
    format!("{n:07x}")
}

pub(super) async fn prove(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Scene::open(stand, |workload| workload).await?;
    let hook = Hook::add(stand).await?;
    for n in [PUSHES, ALONE, BESIDE] {
        Version::good(&short(n)).make(&stand.docker).await?;
    }
    let slow = Version::with(&short(BEGUN), &[SLOW]).make(&stand.docker).await?;
    for name in [WEB, OTHER] {
        let mut workload = Workload::new(name, "cutover-lab/sample:{short_sha}").policy("gate_timeout", "40s");
        workload.deploy = Some(format!("{}:{REPO}@{name}", hook::NAME));
        let file = stand.write(&format!("{name}.toml"), &workload.file(stand))?;
        stand.must(&["apply", &file, "--no-deploy"]).await?;
    }
    let pushes = Pushes { stand, hook: &hook };
    let alone_ms = pushes.deploys(OTHER, ALONE).await?;
    let load = scene.load();

    let running = stand.must(&["deploy", &stand.full_name(WEB), "--image", &slow, "--detach", "--json"]).await?;
    let running = running.text("deployment_id")?;
    let before = stand.timeline(WEB).await?.len();
    let (sent, beside_ms) = tokio::join!(pushes.all(), async {
        // In the middle of the pushes, which come at a pace and not after one another.
        tokio::time::sleep(WITHIN / 2).await;
        pushes.deploys(OTHER, BESIDE).await
    });
    let beside_ms = beside_ms?;
    progress(&format!(
        "{PUSHES} pushes in {:.1} s; the other took {beside_ms} ms, {alone_ms} alone",
        sent?.as_secs_f64()
    ));
    pushes.live(WEB, PUSHES).await?;
    let events = stand.timeline(WEB).await?.split_off(before);
    judge(&mut verdict, &events, &running);
    verdict.at_most("ms that another workload took beside the pushes", beside_ms, alone_ms + SLOWER_MS);

    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    no_failures(&mut verdict, &summary, 2);
    line(&json!({"prove": "pushes", "pushes": PUSHES, "alone_ms": alone_ms, "beside_ms": beside_ms}));
    stand.must(&["teardown", &stand.full_name(OTHER)]).await?;
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}

/// One runs to its end, the newest after it, and every other push has been superseded.
fn judge(verdict: &mut Verdict, events: &[Value], running: &str) {
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    let done = |id: &str| events.iter().any(|e| e["event"] == "DeploymentSucceeded" && e["deployment_id"] == id);
    verdict.same("pushes that became wishes", count("IntentQueued"), PUSHES as usize);
    verdict.same("wishes that a newer one superseded", count("IntentSuperseded"), PUSHES as usize - 1);
    verdict.same("deployments that succeeded", count("DeploymentSucceeded"), 2);
    if !done(running) {
        verdict.short("the deployment that the pushes met did not succeed");
    }
}

struct Pushes<'a> {
    stand: &'a Stand,
    hook: &'a Hook,
}

impl Pushes<'_> {
    async fn push(&self, branch: &str, n: u32) -> Result {
        let (status, body) = self.hook.send(&format!("{branch}-{n}"), push(REPO, branch, &sha(n), 2048)).await?;
        if status.as_u16() == 202 { Ok(()) } else { Err(format!("push {n} was answered with {status} {body}").into()) }
    }

    /// Every push to the first workload, at an even pace; how long they took.
    async fn all(&self) -> Result<Duration> {
        let began = Instant::now();
        let mut pace = interval(WITHIN / PUSHES);
        for n in 1..=PUSHES {
            pace.tick().await;
            self.push(WEB, n).await?;
        }
        Ok(began.elapsed())
    }

    /// Pushes a commit and waits until it answers; from the wish to the swap, ms.
    async fn deploys(&self, name: &str, n: u32) -> Result<i64> {
        self.push(name, n).await?;
        self.live(name, n).await?;
        let events = self.stand.timeline(name).await?;
        let newest = events.iter().rev().find(|event| event["event"] == "IntentQueued");
        let id = newest.and_then(|event| event["deployment_id"].as_str()).ok_or("no wish came of the push")?;
        ms_between(&events, id, "IntentQueued", "Swapped")
    }

    /// Until this commit answers and nothing of the workload is under way.
    async fn live(&self, name: &str, n: u32) -> Result {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = self.stand.get(name, "/version").await;
            let status = self.stand.must(&["status", &self.stand.full_name(name), "--json"]).await?.json()?;
            let open = crate::stand::field(&status, "deployment").is_some_and(|open| !open.is_null());
            if !open && answer.as_ref().is_ok_and(|(status, body)| *status == 200 && *body == short(n)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{} of {name} should answer; it was {answer:?}", short(n)).into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
