//! The proxy is killed in the middle of swaps, its table is truncated, and it comes back empty: what is routed comes
//! from the log.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::names::kill_serving;
use super::scene::{Scene, VERSIONS, WEB};
use crate::judge::Promised;
use crate::report::{Verdict, line, progress};
use crate::stand::{Stand, Workload};
use crate::{Result, process};

/// Between the instants of two kills, counted from the wish: a deployment takes two to three seconds.
const APART: Duration = Duration::from_millis(250);
/// Requests that one kill may take with it: those in flight, and those of the kept-alive connections that it held. On a
/// quiet machine about ten; on a busy one requests take longer, and there are more of them: at most a second's worth.
const IN_FLIGHT: u64 = 200;
/// How long it may take until the route leads somewhere again.
const BACK: Duration = Duration::from_secs(15);
/// The table of a proxy within its folder.
const TABLE: &str = "proxy/table.json";

pub(super) async fn prove(stand: &Stand, n: u32) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let scene = Scene::open(stand, |workload: Workload| workload).await?;
    let load = scene.load();
    for number in 1..=n {
        let before = load.so_far().0;
        killed_during_a_swap(&scene, number, &mut verdict).await?;
        let failed = load.so_far().0 - before;
        verdict.at_most(&format!("kill {number}: failed requests"), failed, IN_FLIGHT);
        line(&json!({"prove": "proxy", "scenario": 2, "case": "killed during a swap", "n": number, "failed": failed}));
        progress(&format!("kill {number} of {n}: {failed} requests failed with the process that was killed"));
    }
    let summary = load.stop().await;
    line(&summary);
    truncated(&scene, &mut verdict).await?;
    empty(&scene, &mut verdict).await?;
    scene.close(&mut verdict, &Promised::default()).await?;
    // The engine has started a proxy of its own for the one that was killed.
    stand.kill_engine().await?;
    let proxies = process::mentioning(&stand.folder().display().to_string());
    process::end(&proxies, BACK).await;
    Ok(verdict)
}

/// The process that serves is killed somewhere in a swap; the deployment goes on.
async fn killed_during_a_swap(scene: &Scene<'_>, number: u32, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let (name, version) = (stand.full_name(WEB), number as usize % 2);
    let deploy = ["deploy", &name, "--image", &scene.images[version], "--json"];
    let (said, ()) = tokio::try_join!(stand.ask(&deploy), async {
        tokio::time::sleep(APART * number).await;
        kill_serving(stand).await
    })?;
    if said.code != 0 {
        verdict.short(format!("kill {number}: {}", said.told()));
    }
    scene.answers(verdict, VERSIONS[version]).await;
    scene.only_listed(verdict).await
}

/// Half of the table is gone: a proxy refuses it and says so; without it, every route is written anew.
async fn truncated(scene: &Scene<'_>, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let version = stand.get(WEB, "/version").await?.1;
    stand.kill_engine().await?;
    stand.kill_proxy().await?;
    let table = stand.data().join(TABLE);
    let length = std::fs::metadata(&table)?.len();
    std::fs::File::options().write(true).open(&table)?.set_len(length / 2)?;
    let refused = stand.ask(&["proxy"]).await?;
    let told = refused.code != 0 && refused.err.contains("table.json") && refused.err.contains("damaged");
    if !told {
        verdict.short(format!("a truncated table should be refused by its name: {}", refused.told()));
    }
    progress(&format!("a truncated table: {}", refused.err.trim()));
    std::fs::rename(&table, table.with_extension("damaged"))?;
    stand.start_proxy().await?;
    stand.start_engine().await?;
    back(scene, &version, verdict).await?;
    line(&json!({"prove": "proxy", "scenario": 2, "case": "truncated table", "refused": told}));
    Ok(())
}

/// A proxy comes back without its table while the engine lives.
async fn empty(scene: &Scene<'_>, verdict: &mut Verdict) -> Result {
    let stand = scene.stand;
    let version = stand.get(WEB, "/version").await?.1;
    std::fs::remove_file(stand.data().join(TABLE))?;
    stand.kill_proxy().await?;
    let began = Instant::now();
    back(scene, &version, verdict).await?;
    let ms = began.elapsed().as_millis() as u64;
    line(&json!({"prove": "proxy", "scenario": 2, "case": "empty table", "routed_again_ms": ms}));
    progress(&format!("a proxy that came back empty routes again after {ms} ms"));
    Ok(())
}

/// Waits until the version answers again.
async fn back(scene: &Scene<'_>, version: &str, verdict: &mut Verdict) -> Result {
    let deadline = Instant::now() + BACK;
    loop {
        match scene.stand.get(WEB, "/version").await {
            Ok((200, now)) if now == version => return Ok(()),
            other if Instant::now() > deadline => {
                verdict.short(format!("{version} is not routed again: {other:?}"));
                return Ok(());
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
