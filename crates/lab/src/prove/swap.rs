//! Redeployments under load.

use serde_json::json;
use tokio::time::Instant;

use super::scene::{Scene, VERSIONS, WEB};
use crate::Result;
use crate::judge::{Promised, no_failures};
use crate::report::{Verdict, line, progress};
use crate::stand::Stand;

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Scene::open(stand, |workload| workload).await?;
    let load = scene.load();
    let name = stand.full_name(WEB);
    for number in 1..=n {
        let version = number as usize % 2;
        let began = Instant::now();
        let said = stand.ask(&["deploy", &name, "--image", &scene.images[version], "--json"]).await?;
        let outcome = said.text("outcome").unwrap_or_else(|error| error.to_string());
        if said.code != 0 || outcome != "succeeded" {
            verdict.short(format!("deployment {number}: {}", said.told()));
        }
        scene.answers(&mut verdict, VERSIONS[version]).await;
        let (failed, of) = load.so_far();
        line(&json!({
            "prove": "swap", "scenario": 13, "n": number, "outcome": outcome, "ms": began.elapsed().as_millis() as u64,
            "failed": failed, "requests": of,
        }));
        progress(&format!("swap {number} of {n}: {outcome}; failed requests: {failed} of {of}"));
    }
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    no_failures(&mut verdict, &summary, u64::from(n));
    scene.close(&mut verdict, &Promised::default()).await?;
    Ok(verdict)
}
