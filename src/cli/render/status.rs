//! What runs: a table with what waits beneath each row, and one workload in full.

use super::Tone;
use super::screen::Screen;
use super::table::{Column, Table, cell};
use crate::api::told::words::{count, duration, short_digest};
use crate::api::views::{
    ContainerView, DeploymentView, Outcome, PortView, RejectedView, Role, ServiceView, Stage, StatusView, VolumeView,
    WaitKind, WaitView, WorkloadState, WorkloadView,
};

/// Columns of labels in the view of one workload: the longest, and two spaces.
const LABEL: usize = 11;
/// Columns of the name of a container that tell one from another: its end is its own.
const LEAST_CONTAINER: usize = 20;
/// Columns of an image reference that tell one version from another.
const LEAST_IMAGE: usize = 14;

/// Every workload, a line each, with what waits beneath it.
pub(in crate::cli) fn overview(view: &StatusView, screen: &Screen) -> String {
    let mut text = held(view, screen);
    if view.workloads.is_empty() {
        text.push_str(
            &screen.hanging("", (Tone::Normal, "no workloads; `cutover apply FILE` registers and deploys one")),
        );
        return text;
    }
    let columns = [
        Column::whole("WORKLOAD"),
        Column::whole("STATE"),
        Column::drops("READY", 1),
        Column::shrinks("IMAGE", LEAST_IMAGE),
        Column::drops("LIVE SINCE", 2),
    ];
    let mut table = Table::new(&columns);
    for workload in &view.workloads {
        let (tone, word) = state(workload.state);
        table.row(vec![
            cell(&workload.workload),
            (tone, word.to_owned()),
            ready(workload),
            cell(workload.reference.clone().unwrap_or_else(|| "-".to_owned())),
            cell(workload.live_since.as_deref().map_or_else(|| "-".to_owned(), |time| screen.since(time))),
        ]);
        for (tone, note) in notes(workload, screen) {
            table.note(tone, note);
        }
    }
    text.push_str(&table.render(screen));
    text.push_str(&sum(view, screen));
    text
}

/// One workload with its containers.
pub(in crate::cli) fn detail(view: &StatusView, screen: &Screen) -> String {
    let whole: Vec<String> = view.workloads.iter().map(|workload| one(workload, screen)).collect();
    format!("{}{}", held(view, screen), whole.join("\n"))
}

fn held(view: &StatusView, screen: &Screen) -> String {
    let line = |held: &crate::api::views::HeldView| {
        let cause = serde_json::to_value(held.cause).ok();
        let word = cause.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        let text = format!("{}; `cutover confirm {word}` goes on as things are", held.text);
        screen.beside((Tone::Bad, "HELD  "), (Tone::Normal, &text))
    };
    let held: String = view.held.iter().map(line).collect();
    if held.is_empty() { held } else { format!("{held}\n") }
}

/// How many are in which state, for more than one.
fn sum(view: &StatusView, screen: &Screen) -> String {
    if view.workloads.len() < 2 {
        return String::new();
    }
    let mut counts: Vec<(usize, &str)> = Vec::new();
    for workload in &view.workloads {
        let word = state(workload.state).1;
        match counts.iter_mut().find(|(_, known)| *known == word) {
            Some((number, _)) => *number += 1,
            None => counts.push((1, word)),
        }
    }
    let counts: Vec<String> = counts.iter().map(|(number, word)| format!("{number} {word}")).collect();
    let all = count(view.workloads.len() as u64, "workload", "workloads");
    let text = format!("{all}: {}; position {} of the log", counts.join(", "), view.position);
    format!("\n{}", screen.hanging("", (Tone::Quiet, &text)))
}

/// What stands beneath a row: what waits, and how the last deployment failed.
fn notes(workload: &WorkloadView, screen: &Screen) -> Vec<(Tone, String)> {
    let mut notes: Vec<_> = workload.waits.iter().map(|wait| waiting(wait, workload, screen)).collect();
    if let Some(by) = &workload.stopped_by {
        notes.push((Tone::Quiet, format!("stopped by {by}; `cutover start {}` brings it back", workload.workload)));
    }
    notes.extend(workload.rejected.iter().map(|rejected| (Tone::Quiet, refused(rejected, workload))));
    if let Some(last) = failed(workload) {
        notes.push((Tone::Bad, format!("{}; `cutover explain {}` says why", ended(last), last.deployment_id)));
    }
    notes
}

/// An image that only a person deploys, and how to change that.
fn refused(rejected: &RejectedView, workload: &WorkloadView) -> String {
    format!("{}; `cutover accept {} {}` lets it", rejected.why, workload.workload, rejected.release)
}

/// The deployment that ended last, when it failed and nothing has begun since.
fn failed(workload: &WorkloadView) -> Option<&DeploymentView> {
    let last = workload.last.as_ref().filter(|last| last.outcome == Some(Outcome::Failed));
    last.filter(|_| workload.deployment.is_none())
}

/// A wait in one line, and what it means.
fn waiting(wait: &WaitView, workload: &WorkloadView, screen: &Screen) -> (Tone, String) {
    let tone = match wait.kind {
        WaitKind::Person | WaitKind::Heal | WaitKind::Drift => Tone::Bad,
        WaitKind::Removal | WaitKind::Standby => Tone::Quiet,
        WaitKind::Image
        | WaitKind::Step
        | WaitKind::Gate
        | WaitKind::Route
        | WaitKind::Drain
        | WaitKind::Bake
        | WaitKind::Lane
        | WaitKind::Thaw => Tone::Moving,
    };
    let mut text = wait.text.clone();
    if wait.kind == WaitKind::Person
        && let Some(reason) = workload.deployment.as_ref().and_then(|deployment| deployment.reason.as_ref())
    {
        text.push_str(&format!(": {}", reason.text));
    }
    if let Some(until) = &wait.until {
        text.push_str(&format!(", {}, then {}", screen.until(until), wait.then));
    }
    if !wait.hint.is_empty() {
        text.push_str(&format!("; {}", wait.hint.replace("NAME", &workload.workload)));
    }
    (tone, text)
}

fn one(workload: &WorkloadView, screen: &Screen) -> String {
    let (tone, word) = state(workload.state);
    let (ready_tone, ready) = ready(workload);
    let mut text = format!("{}  {}", screen.tone(Tone::Strong, &workload.workload), screen.tone(tone, word));
    text.push_str(&format!(", {} ready\n", screen.tone(ready_tone, &ready)));
    let mut field = |label: &str, tone: Tone, value: &str| {
        text.push_str(&screen.beside((Tone::Quiet, &format!("  {label:<LABEL$}")), (tone, value)));
    };
    if let Some(release) = &workload.release {
        let image = short_digest(workload.image.as_deref().unwrap_or_default());
        field("image", Tone::Normal, &format!("{} ({image})", workload.reference.as_deref().unwrap_or_default()));
        let since = workload.live_since.as_deref().map(|time| format!(", live since {}", screen.since(time)));
        field("release", Tone::Normal, &format!("{release}{}", since.unwrap_or_default()));
    }
    let replaced =
        if workload.strategy.is_empty() { String::new() } else { format!(", replaced {}", workload.strategy) };
    field("spec", Tone::Normal, &format!("revision {}{replaced}", workload.revision));
    for (index, route) in workload.routes.iter().enumerate() {
        let label = if index == 0 { "routes" } else { "" };
        field(label, Tone::Normal, route);
    }
    if !workload.routes.is_empty() && workload.generation > 0 {
        field("", Tone::Quiet, &format!("generation {}", workload.generation));
    }
    for (index, volume) in workload.volumes.iter().enumerate() {
        field(if index == 0 { "volumes" } else { "" }, Tone::Normal, &mounted(volume));
    }
    for (index, port) in workload.ports.iter().enumerate() {
        field(if index == 0 { "ports" } else { "" }, Tone::Normal, &published(port));
    }
    if let Some(deployment) = &workload.deployment {
        field("now", now_tone(deployment), &running(deployment));
    }
    for (index, wait) in workload.waits.iter().enumerate() {
        let (tone, line) = waiting(wait, workload, screen);
        field(if index == 0 { "waits" } else { "" }, tone, &line);
    }
    if let Some(by) = &workload.stopped_by {
        let line = format!("by {by}; `cutover start {}` brings it back", workload.workload);
        field("stopped", Tone::Normal, &line);
    }
    for (index, rejected) in workload.rejected.iter().enumerate() {
        field(if index == 0 { "rejected" } else { "" }, Tone::Quiet, &refused(rejected, workload));
    }
    if let Some(last) = &workload.last {
        let tone = if failed(workload).is_some() { Tone::Bad } else { Tone::Quiet };
        field("last", tone, &ended(last));
    }
    if !workload.containers.is_empty() {
        text.push('\n');
        text.push_str(&containers(&workload.containers, screen));
    }
    if !workload.services.is_empty() {
        text.push('\n');
        text.push_str(&services(&workload.services, screen));
    }
    text
}

/// A volume or folder of the host, where it is in the container, and who may write to it when others may, or nobody.
fn mounted(volume: &VolumeView) -> String {
    let from = if volume.volume.is_empty() { &volume.folder } else { &volume.volume };
    let access = volume.access.as_deref().filter(|access| *access != "exclusive");
    format!("{from} on {}{}", volume.target, access.map(|access| format!(", {access}")).unwrap_or_default())
}

/// A port of the host, and where it leads.
fn published(port: &PortView) -> String {
    let transport = port.transport.as_deref().filter(|transport| *transport != "tcp");
    let address = port.address.as_deref().unwrap_or_default();
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let transport = transport.map(|transport| format!(", {transport}")).unwrap_or_default();
    format!("{address}:{} to port {}{transport}", port.host, port.container)
}

fn containers(containers: &[ContainerView], screen: &Screen) -> String {
    let columns = [
        Column::whole("ROLE"),
        Column::shrinks("CONTAINER", LEAST_CONTAINER),
        Column::drops("ID", 3),
        Column::whole("STATE"),
        Column::drops("RESTARTS", 1),
        Column::drops("ADDRESS", 2),
    ];
    let mut table = Table::new(&columns).indented(2);
    let mut sorted: Vec<&ContainerView> = containers.iter().collect();
    sorted.sort_by_key(|container| (rank(container.role), &container.name));
    for container in sorted {
        let restarts = match container.restarts {
            0 => cell(""),
            restarts => (Tone::Bad, restarts.to_string()),
        };
        table.row(vec![
            role(container.role),
            cell(&container.name),
            cell(short_digest(&container.id)),
            phase(container),
            restarts,
            cell(&container.address),
        ]);
    }
    table.render(screen)
}

fn services(services: &[ServiceView], screen: &Screen) -> String {
    let columns = [
        Column::shrinks("SERVICE", LEAST_CONTAINER),
        Column::whole("STATE"),
        Column::whole("HEALTH"),
        Column::drops("SEEN", 1),
    ];
    let mut table = Table::new(&columns).indented(2);
    for service in services {
        let tone = match service.state.as_str() {
            "running" => Tone::Normal,
            "created" => Tone::Moving,
            "exited" if service.exit_code == Some(0) => Tone::Quiet,
            _ => Tone::Bad,
        };
        let code = service.exit_code.map(|code| format!(" {code}")).unwrap_or_default();
        let health = if service.health == "unhealthy" { Tone::Bad } else { Tone::Normal };
        table.row(vec![
            cell(&service.id),
            (tone, format!("{}{code}", service.state)),
            (health, service.health.clone()),
            cell(service.seen.as_deref().unwrap_or_default()),
        ]);
    }
    table.render(screen)
}

/// What serves stands first, what goes stands last.
const fn rank(role: Role) -> u8 {
    match role {
        Role::Active => 0,
        Role::Green => 1,
        Role::Standby => 2,
        Role::Removing => 3,
    }
}

fn phase(container: &ContainerView) -> (Tone, String) {
    let goes = container.role == Role::Removing;
    let tone = match container.phase.as_str() {
        _ if goes => Tone::Quiet,
        "running" => Tone::Normal,
        "created" => Tone::Moving,
        _ => Tone::Bad,
    };
    (tone, container.phase.clone())
}

fn ready(workload: &WorkloadView) -> (Tone, String) {
    let ready = workload.containers.iter().filter(|c| c.role == Role::Active && c.ready).count();
    let short = workload.release.is_some() && ready < usize::from(workload.replicas);
    (if short { Tone::Bad } else { Tone::Normal }, format!("{ready}/{}", workload.replicas))
}

fn now_tone(deployment: &DeploymentView) -> Tone {
    if deployment.outcome == Some(Outcome::Parked) { Tone::Bad } else { Tone::Moving }
}

fn wished(deployment: &DeploymentView) -> String {
    match &deployment.reference {
        Some(reference) => format!("{} {reference}", deployment.wish.word()),
        None => deployment.wish.word().to_owned(),
    }
}

fn running(deployment: &DeploymentView) -> String {
    let stage = match deployment.stage {
        _ if deployment.outcome == Some(Outcome::Parked) => "parked",
        Stage::Queued => "queued",
        Stage::Waiting => "waiting for its image",
        Stage::Preparing => "preparing",
        Stage::Swapping => "swapping",
        Stage::Watching => "live, watched",
        Stage::RoutingBack => "routing back",
        Stage::Ended => "ended",
    };
    format!("{}, {stage} ({})", wished(deployment), deployment.deployment_id)
}

fn ended(deployment: &DeploymentView) -> String {
    let outcome = match deployment.outcome {
        Some(Outcome::Failed) if deployment.routed_back => "failed and was routed back",
        Some(outcome) => outcome.word(),
        None => "goes on",
    };
    let live = deployment.live_after_ms.map(|ms| format!(", live after {}", duration(ms))).unwrap_or_default();
    let reason = deployment.reason.as_ref().map_or(live, |reason| format!(": {}", reason.text));
    format!("{} {outcome}{reason}", wished(deployment))
}

fn state(state: WorkloadState) -> (Tone, &'static str) {
    match state {
        WorkloadState::New => (Tone::Moving, "new"),
        WorkloadState::Running => (Tone::Good, "running"),
        WorkloadState::Degraded => (Tone::Bad, "degraded"),
        WorkloadState::Unready => (Tone::Bad, "unready"),
        WorkloadState::Down => (Tone::Bad, "down"),
        WorkloadState::Stopped => (Tone::Quiet, "stopped"),
        WorkloadState::TearingDown => (Tone::Moving, "tearing down"),
        WorkloadState::TornDown => (Tone::Quiet, "torn down"),
    }
}

fn role(role: Role) -> (Tone, String) {
    let (tone, word) = match role {
        Role::Active => (Tone::Good, "active"),
        Role::Green => (Tone::Moving, "green"),
        Role::Standby => (Tone::Normal, "standby"),
        Role::Removing => (Tone::Quiet, "removing"),
    };
    (tone, word.to_owned())
}
