//! Deliveries and changes from outside.

use cutover_events::delivery::{Change, ChangeKind, DeliveryDecided, DeliveryReceived, PathList, Verdict};
use serde_json::{Value, json};

pub(super) fn received(e: &DeliveryReceived) -> Value {
    json!({
        "delivery_id": e.delivery.to_string(),
        "hook_id": e.hook.to_string(),
        "sender_id": e.sender_id,
        "sender_event": e.event,
        "body_sha256": e.body.to_string(),
        "items": e.items.iter().map(change).collect::<Vec<_>>(),
        "secret": e.secret,
        "lists": e.lists.iter().map(list).collect::<Vec<_>>(),
    })
}

pub(super) fn decided(e: &DeliveryDecided) -> Value {
    json!({
        "delivery_id": e.delivery.to_string(),
        "summary": e.summary,
        "verdicts": e.verdicts.iter().map(verdict).collect::<Vec<_>>(),
    })
}

fn list(list: &PathList) -> Value {
    json!({ "item": list.item, "before": list.before, "paths": list.paths })
}

fn verdict(verdict: &Verdict) -> Value {
    json!({
        "item": verdict.item,
        "workload_id": verdict.workload.to_string(),
        "rule": verdict.rule,
        "deployment_id": verdict.intent.map(|id| id.to_string()),
        "reference": verdict.reference,
        "why": verdict.why,
    })
}

pub(super) fn change(change: &Change) -> Value {
    let kind = match change.kind {
        ChangeKind::Branch => "branch",
        ChangeKind::Tag => "tag",
        ChangeKind::Image => "image",
        ChangeKind::Ping => "ping",
        ChangeKind::Other => "other",
    };
    json!({
        "kind": kind,
        "repo": change.repo,
        "reference": change.reference,
        "sha": change.sha,
        "image": change.image,
        "deleted": change.deleted,
    })
}
