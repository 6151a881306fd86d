//! Words for what happens to one workload.

use cutover_events::delivery::Change;
use cutover_events::deployment::{
    BlueDrained, DeploymentPlanned, Drift, DriftEnded, DriftSeen, Handling, ImageAwaited, ImageWish, IntentQueued,
    ReleaseResolved, SwapCommitted, Wish,
};
use cutover_events::plan::{SITE, Step, Strategy, Why};
use cutover_events::release::ReleaseCommandEnded;
use cutover_events::{Actor, Cause};

use super::who;
use super::words::{count, duration, short_digest};

/// Characters of a commit that people recognise it by.
const SHORT_SHA: usize = 7;

/// What is wished, as an order: `deploy shop:v2`.
#[must_use]
pub fn wish(wish: &Wish) -> String {
    match wish {
        Wish::Deploy(ImageWish::Reference { reference, .. }) => format!("deploy {reference}"),
        Wish::Deploy(ImageWish::Current) => "deploy what runs with the newest spec".into(),
        Wish::Deploy(ImageWish::Built { fresh, upload }) => {
            let anew = if *fresh { "build everything anew" } else { "build" };
            match upload {
                Some(upload) => format!("{anew} from the upload {} and deploy", short_digest(&upload.to_string())),
                None => format!("{anew} and deploy"),
            }
        }
        Wish::Rollback(Some(release)) => format!("roll back to {release}"),
        Wish::Rollback(None) => "roll back to the release before".into(),
        Wish::Restart => "restart".into(),
        Wish::Heal => "replace what died".into(),
        Wish::Teardown => "tear down".into(),
        Wish::Stop { .. } => "stop".into(),
        Wish::Start => "start".into(),
    }
}

pub(super) fn queued(e: &IntentQueued, cause: Cause, actor: &Actor) -> String {
    let change = e.change.as_ref().and_then(change).map(|change| format!(" ({change})")).unwrap_or_default();
    format!("{}{change}, {}", wish(&e.wish), asked(cause, actor))
}

/// Who asked, and what brought it about.
fn asked(cause: Cause, actor: &Actor) -> String {
    match cause {
        Cause::Delivery(id) => format!("asked by delivery {id}"),
        Cause::Revision(number) => format!("asked by spec revision {number} of {}", who(actor)),
        Cause::Drift => "because the world differed".into(),
        Cause::Deployment(id) => format!("because of {id}"),
        Cause::Person | Cause::Engine => format!("asked by {}", who(actor)),
    }
}

/// A commit and where in its repository it is: `c0ffee1 on main`.
fn change(change: &Change) -> Option<String> {
    let sha: String = change.sha.chars().take(SHORT_SHA).collect();
    match (sha.as_str(), change.branch().or_else(|| change.tag())) {
        ("", None) => None,
        ("", Some(name)) => Some(name.to_owned()),
        (sha, None) => Some(sha.to_owned()),
        (sha, Some(name)) => Some(format!("{sha} on {name}")),
    }
}

pub(super) fn resolved(e: &ReleaseResolved) -> String {
    let site = e.image.starts_with(SITE);
    match (&e.built, e.repo_digest.as_str()) {
        (Some(built), _) if site && built.reused => {
            format!("nothing has changed in {} since an earlier release: its files are served again", e.reference)
        }
        (Some(_), _) if site => format!("copied {} into a release folder", e.reference),
        (Some(built), _) if built.reused => format!(
            "nothing has changed in {} since image {} was built: it is used again",
            e.reference,
            short_digest(&e.image)
        ),
        (Some(_), _) => format!("built {}: image {}", e.reference, short_digest(&e.image)),
        (None, "") => format!("{} is image {}, made here", e.reference, short_digest(&e.image)),
        (None, digest) => format!("{} is digest {}", e.reference, short_digest(digest)),
    }
}

pub(super) fn awaited(e: &ImageAwaited) -> String {
    format!("{} is not in its registry yet: it is waited for, at most {}", e.reference, duration(e.wait_ms))
}

/// How a workload is replaced, in the word of the workload file, and why so.
#[must_use]
pub fn replaced(strategy: Strategy, why: Why) -> String {
    let why = match why {
        Why::Default => "default",
        Why::Asked => "asked for",
        Why::Volume => "because of its volume",
        Why::Port => "because of its port of the host",
        Why::Blue => "because of what runs",
        Why::Storage => "forced by its storage",
    };
    format!("{} ({why})", cutover_domain::strategy::word(strategy))
}

pub(super) fn planned(event: &DeploymentPlanned) -> String {
    let plan = &event.plan;
    let again = if event.again { " again, since the host or Docker restarted" } else { "" };
    let steps = count(plan.steps.len() as u64, "step", "steps");
    let standby = if plan.adopts { ", with the standby" } else { "" };
    match plan.release {
        Some(_) => format!("planned{again}: {}, {steps}{standby}", replaced(plan.strategy, plan.why)),
        // What goes is replaced by nothing.
        None => format!("planned{again}: {steps}"),
    }
}

/// A step that was seen done.
pub(super) fn step(step: Step) -> String {
    match step {
        Step::Retire(unit) => format!("set aside {unit}"),
        Step::Create(unit) => format!("created {unit}"),
        Step::Start(unit) => format!("started {unit}"),
        Step::Gate => "ready".into(),
        Step::Keep => "restart policy set".into(),
        Step::Swap => "swapped".into(),
        Step::Settle => "drained and watched".into(),
        Step::Clear => "nothing else of it is left".into(),
        Step::Await => "what it comes after is ready".into(),
        Step::Run(_) => "the release command is over".into(),
    }
}

/// A step that did not come to its end, and why.
pub(super) fn failed(step: Step, why: &str) -> String {
    match step {
        Step::Retire(unit) => format!("{unit} could not be set aside: {why}"),
        Step::Create(unit) => format!("{unit} could not be created: {why}"),
        Step::Start(unit) => format!("{unit} did not start: {why}"),
        // The reason of a gate begins with "not ready within", that of the next with "waits for", of the last with "the
        // release command".
        Step::Gate | Step::Await | Step::Run(_) => why.to_owned(),
        Step::Keep => format!("the restart policy could not be set: {why}"),
        Step::Swap => format!("the route did not move: {why}"),
        Step::Settle => format!("failed while it was watched: {why}"),
        Step::Clear => format!("the way could not be cleared: {why}"),
    }
}

/// How a release command ended.
pub(super) fn command_ended(e: &ReleaseCommandEnded) -> String {
    let how = match e.exit_code {
        0 => "ended well".to_owned(),
        code => format!("ended with exit code {code}"),
    };
    match e.took_ms {
        0 => format!("the release command {how}"),
        ms => format!("the release command {how} after {:.1} s", ms as f64 / 1000.0),
    }
}

pub(super) fn swap(e: &SwapCommitted) -> String {
    match e.to.len() as u64 {
        0 => format!("the route ends, generation {}", e.generation),
        to => format!("the route moves to {}, generation {}", count(to, "container", "containers"), e.generation),
    }
}

pub(super) fn drained(e: &BlueDrained) -> String {
    let cuts = [
        (e.cut.requests, "request", "requests"),
        (e.cut.upgraded, "websocket", "websockets"),
        (e.cut.streams, "event stream", "event streams"),
    ];
    let cuts = cuts.into_iter().filter(|(cut, ..)| *cut > 0).map(|(cut, one, many)| count(cut.into(), one, many));
    match cuts.collect::<Vec<_>>() {
        none if none.is_empty() => "blue is drained, nothing was cut".into(),
        cuts => format!("blue is drained; cut: {}", cuts.join(", ")),
    }
}

/// What was seen, and what follows.
pub(super) fn drift(e: &DriftSeen) -> String {
    let follows = match (e.handling, e.drift) {
        (Handling::Frozen, Drift::Restarted) | (Handling::Report, Drift::Restarted) => "",
        (Handling::Frozen, _) => "; left as it is while it is frozen",
        (Handling::Report, _) => "; only recorded, because the policy says drift = \"report\"",
        (Handling::Repair, Drift::Orphan) => ": it will be removed",
        (Handling::Repair, _) => "",
    };
    format!("{} {}{follows}", e.unit, differs(e.drift))
}

/// How a container differs.
#[must_use]
pub const fn differs(drift: Drift) -> &'static str {
    match drift {
        Drift::Gone => "is gone",
        Drift::Dead => "does not run any more",
        Drift::Orphan => "is on no list",
        Drift::StandbyDead => "stood by and does not run any more",
        Drift::Paused => "is paused",
        Drift::Disconnected => "is off its network",
        Drift::Renamed => "has another name",
        Drift::Policy => "would not be restarted by Docker",
        Drift::Limits => "has other limits than planned",
        Drift::Restarted => "was started anew",
    }
}

/// What is no longer so.
pub(super) fn drift_ended(e: &DriftEnded) -> String {
    let how = match e.drift {
        Drift::Gone | Drift::Dead => "runs again",
        Drift::Orphan => "is not on no list any more",
        Drift::StandbyDead => "stands by again",
        Drift::Paused => "is not paused any more",
        Drift::Disconnected => "is on its network again",
        Drift::Renamed => "has its own name again",
        Drift::Policy => "is restarted by Docker again",
        Drift::Limits => "has the limits of its plan again",
        Drift::Restarted => "has been running for a while since it was started anew",
    };
    format!("{} {how}", e.unit)
}
