//! `kill -9` of the engine at random instants of a deployment, its acceptance included.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::scene::{Scene, VERSIONS, WEB};
use crate::Result;
use crate::judge::{Promised, ends, no_failures};
use crate::report::{Verdict, line, progress};
use crate::stand::{Said, Stand};

/// Within this time of the client's start the wish is accepted: a process starts, connects, and one commit is synced.
const ACCEPTANCE: Duration = Duration::from_millis(40);
/// A deployment with its gate, drain of 2 s and bake of 1 s, and its removals.
const DEPLOYMENT: Duration = Duration::from_millis(4_500);
/// A restart may take that long on a busy machine.
const RESTART: Duration = Duration::from_secs(10);

pub(super) async fn prove(stand: &Stand, n: u32, seed: u64) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Scene::open(stand, |workload| workload).await?;
    let load = scene.load();
    let mut random = Random::of(seed);
    let mut accepted: BTreeMap<String, u32> = BTreeMap::new();
    for number in 1..=n {
        // A third of the kills hit the acceptance, the others anything up to the last removal.
        let span = if number % 3 == 0 { ACCEPTANCE } else { DEPLOYMENT };
        let instant = span.mul_f64(random.part());
        let round = Round { scene: &scene, number, instant };
        let Some(id) = round.play(&mut verdict).await? else { continue };
        accepted.insert(id, number);
        let (failed, of) = load.so_far();
        progress(&format!("kill {number} of {n} after {instant:.0?}; failed requests: {failed} of {of}"));
    }
    let summary = load.stop().await;
    line(&summary);
    progress(&summary.sentence());
    // A swap that is routed twice closes streams twice.
    no_failures(&mut verdict, &summary, 2 * u64::from(n));
    let ends = ends(&stand.events().await?);
    for (id, number) in &accepted {
        match ends.get(id).map(Vec::as_slice) {
            Some([end]) if end == "DeploymentSucceeded" => {}
            Some(other) => verdict.short(format!("kill {number}: accepted deployment {id} ended {other:?}")),
            // The judge misses it.
            None => {}
        }
    }
    // One for the apply; a wish under one key is never two.
    verdict.same("deployments in the log", ends.len(), accepted.len() + 1);
    let promised = Promised { deployments: accepted.into_keys().collect(), ..Promised::default() };
    scene.close(&mut verdict, &promised).await?;
    Ok(verdict)
}

struct Round<'a> {
    scene: &'a Scene<'a>,
    number: u32,
    instant: Duration,
}

impl Round<'_> {
    /// Wishes a deployment, kills the engine at the instant, starts it again, attaches by the key, and waits for the
    /// end. The id that was accepted.
    async fn play(&self, verdict: &mut Verdict) -> Result<Option<String>> {
        let stand = self.scene.stand;
        let (before, restart) = tokio::try_join!(self.deploy(&["--detach"]), async {
            tokio::time::sleep(self.instant).await;
            stand.kill_engine().await?;
            stand.start_engine().await
        })?;
        verdict.at_most(&format!("kill {}: restart in ms", self.number), restart.as_millis(), RESTART.as_millis());
        let began = Instant::now();
        let after = self.deploy(&[]).await?;
        let id = self.judge(verdict, &before, &after);
        let version = VERSIONS[self.number as usize % 2];
        self.scene.answers(verdict, version).await;
        self.scene.only_listed(verdict).await?;
        line(&json!({
            "prove": "kill", "n": self.number, "after_ms": self.instant.as_secs_f64() * 1e3,
            "accepted_before": before.code == 0, "restart_ms": restart.as_millis() as u64,
            "to_end_ms": began.elapsed().as_millis() as u64, "deployment_id": id,
        }));
        Ok(id)
    }

    async fn deploy(&self, more: &[&str]) -> Result<Said> {
        let name = self.scene.stand.full_name(WEB);
        let image = &self.scene.images[self.number as usize % 2];
        let key = format!("kill-{}", self.number);
        let mut args = vec!["deploy", &name, "--image", image, "--key", &key, "--json"];
        args.extend(more);
        self.scene.stand.ask(&args).await
    }

    /// The same id before and after, and it succeeded.
    fn judge(&self, verdict: &mut Verdict, before: &Said, after: &Said) -> Option<String> {
        let number = self.number;
        if after.code != 0 || after.text("outcome").ok().as_deref() != Some("succeeded") {
            verdict.short(format!("kill {number}: {}", after.told()));
        }
        let id = verdict.worked(&format!("kill {number}"), after.text("deployment_id"))?;
        if before.code == 0 {
            let promised = verdict.worked(&format!("kill {number}"), before.text("deployment_id"))?;
            verdict.same(&format!("kill {number}: the id under the key"), id.clone(), promised);
        }
        Some(id)
    }
}

/// xorshift64: the same seed gives the same instants.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Between 0 and 1.
    pub(super) fn part(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
