//! Two engines on one daemon, and containers that are nobody's business: none of them notices the others.

use serde_json::json;

use super::scene::{Scene, VERSIONS, WEB};
use crate::docker::Bare;
use crate::judge::{Promised, no_failures};
use crate::report::{Verdict, line, progress};
use crate::sample::Version;
use crate::stand::Stand;
use crate::{Result, labels};

/// Deployments of each engine, side by side.
const DEPLOYMENTS: u32 = 3;
/// An image that no workload uses.
const FOREIGN_IMAGE: &str = "cutover-lab/sample:foreign";
/// Without our labels, and with those of a log that nobody holds.
const STRANGERS: [(&str, &[(&str, &str)]); 2] = [("plain", &[]), ("foreign", &[(labels::LOG, FOREIGN_LOG)])];
/// A log that no engine holds.
const FOREIGN_LOG: &str = "log_00000000000000000000000000";

pub(super) async fn prove(one: &Stand, two: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let strangers = strangers(one).await?;
    let (first, second) =
        tokio::try_join!(Scene::open(one, |workload| workload), Scene::open(two, |workload| workload))?;
    if first.log == second.log {
        verdict.short("both engines have the same log id");
    }
    second_serve(one, &mut verdict).await?;
    let (load_one, load_two) = (first.load(), second.load());
    for number in 1..=DEPLOYMENTS {
        let (said_one, said_two) = tokio::try_join!(deploy(&first, number), deploy(&second, number))?;
        for said in [&said_one, &said_two] {
            if said.code != 0 {
                verdict.short(said.told());
            }
        }
        first.answers(&mut verdict, VERSIONS[number as usize % 2]).await;
        second.answers(&mut verdict, VERSIONS[number as usize % 2]).await;
        line(&json!({"prove": "neighbours", "n": number, "codes": [said_one.code, said_two.code]}));
    }
    for summary in [load_one.stop().await, load_two.stop().await] {
        line(&summary);
        no_failures(&mut verdict, &summary, u64::from(DEPLOYMENTS));
    }
    first.close(&mut verdict, &Promised::default()).await?;
    // What the first removed was its own: the second serves on.
    second.answers(&mut verdict, VERSIONS[DEPLOYMENTS as usize % 2]).await;
    second.close(&mut verdict, &Promised::default()).await?;
    verdict.same("strangers that still run", running(one).await?, strangers);
    let images = [&first.images[0], FOREIGN_IMAGE];
    for image in images {
        verdict.same(&format!("the image {image} is there"), one.docker.has_image(image).await, true);
    }
    line(&json!({"prove": "neighbours", "scenario": 11, "strangers": STRANGERS.len(), "images": images.len()}));
    one.docker.sweep(labels::LAB, &one.project).await?;
    Ok(verdict)
}

async fn deploy(scene: &Scene<'_>, number: u32) -> Result<crate::stand::Said> {
    let image = &scene.images[number as usize % 2];
    scene.stand.ask(&["deploy", &scene.stand.full_name(WEB), "--image", image, "--json"]).await
}

/// Starts a container without our labels, and one with those of a log that nobody holds; their ids.
async fn strangers(stand: &Stand) -> Result<Vec<String>> {
    let image = Version::good("v1").make(&stand.docker).await?;
    let (network, _) = stand.docker.make_network(&stand.project).await?;
    Version::good("foreign").make(&stand.docker).await?;
    for (name, labels) in STRANGERS {
        let name = format!("{}-{name}", stand.project);
        let bare = Bare { name: &name, image: &image, network: &network, address: "", run: &stand.project, labels };
        stand.docker.start_bare(&bare).await?;
    }
    running(stand).await
}

async fn running(stand: &Stand) -> Result<Vec<String>> {
    let there = stand.docker.containers(labels::LAB, &stand.project).await?;
    let mut ids: Vec<String> =
        there.into_iter().filter(|container| container.state == "running").map(|container| container.id).collect();
    ids.sort();
    Ok(ids)
}

/// A second `serve` on the same folder refuses and names the process that holds it.
async fn second_serve(stand: &Stand, verdict: &mut Verdict) -> Result {
    let said = stand.ask(&["serve"]).await?;
    let pid = stand.engine_pid()?.to_string();
    if said.code == 0 || !said.err.contains(&pid) {
        verdict.short(format!("a second serve should refuse and name the pid {pid}; {}", said.told()));
    }
    line(&json!({"prove": "neighbours", "scenario": 14, "code": said.code}));
    progress(&format!("a second serve: {}", said.told()));
    Ok(())
}
