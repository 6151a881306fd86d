//! A person's `docker rm -f` of what a deployment makes, and of what it replaces, after each of its steps: the deployment
//! ends, once, and the web is whole again.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Crowd, HEALED, WEB};
use super::{Brief, Part};
use crate::Result;
use crate::judge::ends;
use crate::report::{Verdict, line, progress};

/// Whose containers are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    /// Of the deployment.
    Green,
    /// That it replaces.
    Blue,
}

/// After which event of a deployment; of a step, its word.
const STEPS: &[(&str, &str)] = &[
    ("DeploymentBegun", ""),
    ("DeploymentPlanned", ""),
    ("StepSucceeded", "create"),
    ("StepSucceeded", "start"),
    ("SwapCommitted", ""),
    ("Swapped", ""),
    ("BlueDrained", ""),
    ("DeploymentSucceeded", ""),
];

/// How long a step of a deployment may take to be recorded.
const STEP: Duration = Duration::from_secs(30);

pub(super) async fn all(scene: &Crowd<'_>, part: Part<'_>, verdict: &mut Verdict) -> Result<usize> {
    let mut played = 0;
    for (event, step) in STEPS {
        for whose in [Whose::Green, Whose::Blue] {
            let name = format!("rm of {whose:?} after {event} {step}").to_lowercase();
            let brief = if *event == "SwapCommitted" { Brief::Yes } else { Brief::No };
            if !part.has(name.trim_end(), brief) {
                continue;
            }
            played += 1;
            if let Err(error) = play(scene, name.trim_end(), (event, step), whose).await {
                verdict.short(format!("{}: {error}", name.trim_end()));
            }
        }
    }
    Ok(played)
}

async fn play(scene: &Crowd<'_>, name: &str, (event, step): (&str, &str), whose: Whose) -> Result {
    let blue = scene.whole().await?;
    let (stand, after) = (scene.stand, scene.head().await?);
    let load = scene.load();
    let full = stand.full_name(WEB);
    let said = stand.must(&["deploy", &full, "--image", &scene.image, "--detach", "--json"]).await?;
    let id = said.text("deployment_id")?;
    let reached = |seen: &Value| {
        let ours = seen["event"] == event && seen["deployment_id"] == id.as_str();
        ours && (step.is_empty() || seen.to_string().contains(&format!("\"{step}")))
    };
    scene.awaits(after, event, STEP, reached).await?;
    let victims: Vec<String> = match whose {
        Whose::Green => {
            let green = stand.docker.containers("io.cutover.deployment", &id).await?;
            green.into_iter().map(|container| container.id).collect()
        }
        Whose::Blue => blue.iter().map(|member| member.id.clone()).collect(),
    };
    for victim in &victims {
        stand.docker.remove(victim).await?;
    }
    let end = |seen: &Value| {
        let kind = seen["event"].as_str().unwrap_or_default();
        seen["deployment_id"] == id.as_str() && matches!(kind, "DeploymentSucceeded" | "DeploymentFailed")
    };
    let end = scene.awaits(after, "end of the deployment", HEALED, end).await?;
    scene.whole().await?;
    let summary = load.stop().await;
    let all = ends(&scene.events(after).await?);
    if let Some((id, ends)) = all.iter().find(|(_, ends)| ends.len() != 1) {
        return Err(format!("{id} has the ends {ends:?}").into());
    }
    let (how, failed) = (end["told"].as_str().unwrap_or_default(), summary.failed);
    line(&json!({
        "prove": "people", "action": name, "removed": victims.len(), "end": how, "requests": summary.requests,
        "failed": failed, "scenario": 1,
    }));
    progress(&format!(
        "{name}: {} removed, \"{how}\"; failed requests: {failed} of {}",
        victims.len(),
        summary.requests
    ));
    Ok(())
}
