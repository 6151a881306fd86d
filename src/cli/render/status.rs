//! What runs, as a table, and one workload in full.

use super::table::{Table, cell};
use super::words::{ago, count, short_digest};
use super::{Paint, Tone};
use crate::api::views::{ContainerView, DeploymentView, Outcome, Role, Stage, StatusView, WorkloadState, WorkloadView};

/// Every workload, a line each.
pub(in crate::cli) fn overview(view: &StatusView, now_ms: u64, paint: Paint) -> String {
    let mut text = held(view, paint);
    if view.workloads.is_empty() {
        text.push_str("no workloads yet; apply a workload file with `cutover apply FILE`\n");
        return text;
    }
    let mut table = Table::new(&["WORKLOAD", "STATE", "READY", "IMAGE", "LIVE SINCE", "GEN", "NOW"]);
    for workload in &view.workloads {
        let (tone, state) = state(workload.state);
        table.row(vec![
            cell(&workload.workload),
            (tone, state.to_owned()),
            cell(ready(workload)),
            cell(workload.reference.clone().unwrap_or_else(|| "-".to_owned())),
            cell(workload.live_since.as_deref().map_or_else(|| "-".to_owned(), |time| ago(time, now_ms))),
            cell(workload.generation.to_string()),
            now(workload),
        ]);
    }
    text.push_str(&table.render(paint));
    text
}

/// One workload with its containers.
pub(in crate::cli) fn detail(view: &StatusView, now_ms: u64, paint: Paint) -> String {
    let mut text = held(view, paint);
    for workload in &view.workloads {
        text.push_str(&one(workload, now_ms, paint));
    }
    text
}

fn held(view: &StatusView, paint: Paint) -> String {
    let line = |held: &crate::api::views::HeldView| format!("{} {}\n", paint.tone(Tone::Bad, "held:"), held.text);
    view.held.iter().map(line).collect()
}

fn one(workload: &WorkloadView, now_ms: u64, paint: Paint) -> String {
    let (tone, word) = state(workload.state);
    let mut text = format!("{}  {}", paint.tone(Tone::Strong, &workload.workload), paint.tone(tone, word));
    text.push_str(&format!(", {} ready, spec revision {}\n", ready(workload), workload.revision));
    if let Some(release) = &workload.release {
        let reference = workload.reference.as_deref().unwrap_or_default();
        let image = short_digest(workload.image.as_deref().unwrap_or_default());
        let since = workload.live_since.as_deref().map(|time| ago(time, now_ms)).unwrap_or_default();
        text.push_str(&format!("  release  {release}: {reference} ({image}), live since {since}\n"));
    }
    for route in &workload.routes {
        text.push_str(&format!("  route    {route}, generation {}\n", workload.generation));
    }
    if let Some(deployment) = &workload.deployment {
        text.push_str(&format!("  now      {}\n", paint.tone(Tone::Moving, &running(deployment))));
    }
    if !workload.queued.is_empty() {
        text.push_str(&format!("  queued   {}\n", workload.queued.join(", ")));
    }
    if let Some(last) = &workload.last {
        text.push_str(&format!("  last     {}\n", ended(last)));
    }
    if !workload.containers.is_empty() {
        text.push_str(&containers(&workload.containers, paint));
    }
    text
}

fn containers(containers: &[ContainerView], paint: Paint) -> String {
    let mut table = Table::new(&["  ROLE", "CONTAINER", "ID", "PHASE", "READY", "ADDRESS"]);
    for container in containers {
        let (tone, role) = role(container.role);
        table.row(vec![
            (tone, format!("  {role}")),
            cell(&container.name),
            cell(short_digest(&container.id)),
            cell(&container.phase),
            cell(if container.ready { "yes" } else { "no" }),
            cell(&container.address),
        ]);
    }
    table.render(paint)
}

fn ready(workload: &WorkloadView) -> String {
    let ready = workload.containers.iter().filter(|c| c.role == Role::Active && c.ready).count();
    format!("{ready}/{}", workload.replicas)
}

fn now(workload: &WorkloadView) -> (Tone, String) {
    if let Some(deployment) = &workload.deployment {
        let parked = deployment.outcome == Some(Outcome::Parked);
        return (if parked { Tone::Bad } else { Tone::Moving }, running(deployment));
    }
    match &workload.last {
        Some(last) if last.outcome == Some(Outcome::Failed) => (Tone::Bad, ended(last)),
        _ if workload.queued.is_empty() => (Tone::Normal, String::new()),
        _ => (Tone::Moving, count(workload.queued.len() as u64, "wish waits", "wishes wait")),
    }
}

fn running(deployment: &DeploymentView) -> String {
    let stage = match deployment.stage {
        _ if deployment.outcome == Some(Outcome::Parked) => "parked",
        Stage::Queued => "queued",
        Stage::Preparing => "preparing",
        Stage::Swapping => "swapping",
        Stage::Watching => "live, watching",
        Stage::RoutingBack => "routing back",
        Stage::Ended => "ended",
    };
    format!("{} {}: {stage}", deployment.wish.word(), deployment.deployment_id)
}

fn ended(deployment: &DeploymentView) -> String {
    let outcome = deployment.outcome.map_or("goes on", Outcome::word);
    let reason = deployment.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", reason.text));
    format!("{} {} {outcome}{reason}", deployment.wish.word(), deployment.deployment_id)
}

fn state(state: WorkloadState) -> (Tone, &'static str) {
    match state {
        WorkloadState::New => (Tone::Normal, "new"),
        WorkloadState::Running => (Tone::Good, "running"),
        WorkloadState::Degraded => (Tone::Bad, "degraded"),
        WorkloadState::Unready => (Tone::Bad, "unready"),
        WorkloadState::Down => (Tone::Bad, "down"),
        WorkloadState::TearingDown => (Tone::Moving, "tearing down"),
        WorkloadState::TornDown => (Tone::Quiet, "torn down"),
    }
}

fn role(role: Role) -> (Tone, &'static str) {
    match role {
        Role::Active => (Tone::Good, "active"),
        Role::Green => (Tone::Moving, "green"),
        Role::Standby => (Tone::Normal, "standby"),
        Role::Removing => (Tone::Quiet, "removing"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::now_ms;
    use super::*;

    fn sample() -> StatusView {
        let container = ContainerView {
            id: "ab".repeat(32),
            name: "shop-web-01k9".into(),
            role: Role::Active,
            unit: "unit_1".into(),
            release: "rel_1".into(),
            deployment_id: "dep_1".into(),
            phase: "running".into(),
            ready: true,
            address: "172.20.0.2".into(),
        };
        let workload = WorkloadView {
            workload: "shop/web".into(),
            id: "wl_1".into(),
            state: WorkloadState::Running,
            revision: 2,
            release: Some("rel_1".into()),
            reference: Some("ghcr.io/acme/shop:v2".into()),
            image: Some("sha256:0123456789abcdef".into()),
            live_since: Some("2026-01-31T12:00:00.000Z".into()),
            generation: 4,
            routes: vec!["shop.example.com/".into()],
            replicas: 1,
            containers: vec![container],
            deployment: None,
            queued: Vec::new(),
            last: None,
        };
        StatusView { position: 30, held: Vec::new(), workloads: vec![workload] }
    }

    #[test]
    fn the_overview_is_a_table() {
        let expected = "\
WORKLOAD  STATE    READY  IMAGE                 LIVE SINCE  GEN  NOW
shop/web  running  1/1    ghcr.io/acme/shop:v2  5 min ago   4
";
        assert_eq!(overview(&sample(), now_ms(), Paint::Plain), expected);
    }

    #[test]
    fn a_workload_is_shown_with_its_containers() {
        let expected = "\
shop/web  running, 1/1 ready, spec revision 2
  release  rel_1: ghcr.io/acme/shop:v2 (0123456789ab), live since 5 min ago
  route    shop.example.com/, generation 4
  ROLE    CONTAINER      ID            PHASE    READY  ADDRESS
  active  shop-web-01k9  abababababab  running  yes    172.20.0.2
";
        assert_eq!(detail(&sample(), now_ms(), Paint::Plain), expected);
    }

    #[test]
    fn nothing_is_said_kindly() {
        let empty = StatusView { position: 0, held: Vec::new(), workloads: Vec::new() };
        assert!(overview(&empty, 0, Paint::Plain).starts_with("no workloads yet"));
    }
}
