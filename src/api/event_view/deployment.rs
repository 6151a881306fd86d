//! Events of one workload.

use cutover_events::deployment::{
    BlueDrained, BuiltFrom, DeploymentFailed, Drift, Handling, ImageWish, IntentQueued, Lists, Reason, ReasonKind,
    ReleaseResolved, SlotRef, Wish,
};
use serde_json::{Value, json};

use super::delivery::change;
use super::registry::secrets_used;
use super::texts;

pub(super) fn queued(e: &IntentQueued) -> Value {
    let (wish, reference, ask, to) = match &e.wish {
        Wish::Deploy(ImageWish::Built { .. }) => ("deploy", None, false, None),
        Wish::Deploy(ImageWish::Reference { reference, ask_registry }) => {
            ("deploy", Some(reference.as_str()), *ask_registry, None)
        }
        Wish::Deploy(ImageWish::Current) => ("deploy", None, false, None),
        Wish::Rollback(to) => ("rollback", None, false, *to),
        Wish::Restart => ("restart", None, false, None),
        Wish::Heal => ("heal", None, false, None),
        Wish::Teardown => ("teardown", None, false, None),
        Wish::Stop { .. } => ("stop", None, false, None),
        Wish::Start => ("start", None, false, None),
    };
    json!({
        "workload_id": e.workload.to_string(),
        "wish": wish,
        "reference": reference,
        "ask_registry": ask,
        "build": match &e.wish {
            Wish::Deploy(ImageWish::Built { fresh, .. }) => Some(if *fresh { "fresh" } else { "changed" }),
            _ => None,
        },
        "upload": e.wish.upload().map(|upload| upload.to_string()),
        "to_release": to.map(|release| release.to_string()),
        "revision": e.revision,
        "person": e.person,
        "change": e.change.as_ref().map(change),
    })
}

pub(super) fn resolved(e: &ReleaseResolved) -> Value {
    json!({
        "release": e.release.to_string(),
        "revision": e.revision,
        "reference": e.reference,
        "image": e.image,
        "repo_digest": e.repo_digest,
        "change": e.change.as_ref().map(change),
        "built": e.built.as_ref().map(built),
    })
}

/// The hash of the arguments is keyed, and of use to nobody outside.
fn built(from: &BuiltFrom) -> Value {
    let secrets = secrets_used(&from.secrets);
    json!({"commit": from.commit, "content": from.content.to_string(), "reused": from.reused, "secrets": secrets})
}

pub(super) fn drained(e: &BlueDrained) -> Value {
    json!({"cut_requests": e.cut.requests, "cut_upgraded": e.cut.upgraded, "cut_streams": e.cut.streams})
}

pub(super) fn failed(e: &DeploymentFailed) -> Value {
    json!({"reason": reason(&e.reason), "routed_back": e.routed_back, "lists": lists(&e.lists)})
}

pub(super) fn lists(lists: &Lists) -> Value {
    json!({
        "active": lists.active.as_ref().map(slot),
        "standby": lists.standby.as_ref().map(slot),
        "removal": texts(&lists.removal),
    })
}

fn slot(slot: &SlotRef) -> Value {
    json!({
        "release": slot.release.to_string(),
        "deployment_id": slot.deployment.to_string(),
        "units": texts(&slot.units),
    })
}

pub(super) fn reason(reason: &Reason) -> Value {
    json!({"kind": reason_word(reason.kind), "text": reason.text})
}

/// The stable word of a reason's class.
pub(in crate::api) const fn reason_word(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::ImageMissing => "image_missing",
        ReasonKind::Unavailable => "unavailable",
        ReasonKind::Refused => "refused",
        ReasonKind::Exited => "exited",
        ReasonKind::Restarted => "restarted",
        ReasonKind::NotReady => "not_ready",
        ReasonKind::Unhealthy => "unhealthy",
        ReasonKind::Vanished => "vanished",
        ReasonKind::NoRelease => "no_release",
        ReasonKind::NoPlan => "no_plan",
        ReasonKind::Rejected => "rejected",
        ReasonKind::BuildFailed => "build_failed",
        ReasonKind::CommandFailed => "command_failed",
    }
}

pub(super) const fn handling(handling: Handling) -> &'static str {
    match handling {
        Handling::Repair => "repair",
        Handling::Report => "report",
        Handling::Frozen => "frozen",
    }
}

/// The stable word of a difference.
pub(super) const fn drift(drift: Drift) -> &'static str {
    match drift {
        Drift::Gone => "gone",
        Drift::Dead => "dead",
        Drift::Orphan => "orphan",
        Drift::StandbyDead => "standby_dead",
        Drift::Paused => "paused",
        Drift::Disconnected => "disconnected",
        Drift::Renamed => "renamed",
        Drift::Policy => "policy",
        Drift::Limits => "limits",
        Drift::Restarted => "restarted",
    }
}
