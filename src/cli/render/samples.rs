//! Events and views that the tests of rendering share.

use serde_json::{Value, json};

use crate::api::time::{parse_rfc3339, rfc3339};
use crate::api::views::EventLine;

pub(super) const DEPLOYMENT: &str = "dep_01k9zzzzzzzzzzzzzzzzzzzzz0";
pub(super) const UNIT: &str = "unit_01k9zzzzzzzzzzzzzzzzzzzzz1";
pub(super) const START: &str = "2026-01-31T12:00:00.000Z";

/// The time that samples are looked at.
pub(super) fn now_ms() -> u64 {
    parse_rfc3339("2026-01-31T12:05:00.000Z").unwrap()
}

pub(super) fn event(position: u64, after_ms: u64, name: &str, fields: Value) -> EventLine {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    EventLine {
        position,
        time: rfc3339(parse_rfc3339(START).unwrap() + after_ms),
        event: name.to_owned(),
        deployment_id: Some(DEPLOYMENT.to_owned()),
        workload: Some("shop/web".to_owned()),
        cause: "person".to_owned(),
        actor: "local:1000:alice".to_owned(),
        fields,
    }
}

fn beginning() -> Vec<EventLine> {
    let plan = json!({"plan": {
        "strategy": "blue-green", "adopts": false, "steps": [1, 2, 3, 4, 5, 6], "policy": {"bake_ms": 10_000}}});
    let resolved = json!({
        "reference": "ghcr.io/acme/shop:v2", "repo_digest": "ghcr.io/acme/shop@sha256:0123456789abcdef",
        "image": "sha256:ff"});
    vec![
        event(10, 0, "IntentQueued", json!({"wish": "deploy", "reference": "ghcr.io/acme/shop:v2"})),
        event(11, 5, "DeploymentBegun", json!({"revision": 3})),
        event(12, 95, "ReleaseResolved", resolved),
        event(13, 100, "DeploymentPlanned", plan),
        event(14, 300, "StepSucceeded", json!({"index": 0, "step": format!("create {UNIT}")})),
        event(15, 500, "StepSucceeded", json!({"index": 1, "step": format!("start {UNIT}")})),
        event(16, 1_500, "StepSucceeded", json!({"index": 2, "step": "gate"})),
        event(17, 1_510, "SwapCommitted", json!({"generation": 4, "from": [], "to": [UNIT]})),
        event(18, 1_600, "Swapped", json!({"generation": 4, "to": [UNIT]})),
    ]
}

/// A deployment that succeeds.
pub(super) fn deployment_story() -> Vec<EventLine> {
    let mut story = beginning();
    story.push(event(19, 1_600, "StepSucceeded", json!({"index": 4, "step": "swap"})));
    story.push(event(20, 2_000, "BlueDrained", json!({"cut_requests": 0, "cut_upgraded": 1, "cut_streams": 0})));
    story.push(event(21, 11_610, "DeploymentSucceeded", json!({"lists": {}})));
    story
}

/// A deployment whose green dies while it is watched.
pub(super) fn routed_back_story() -> Vec<EventLine> {
    let reason = json!({"kind": "exited", "text": "exited with code 3"});
    let mut story = beginning();
    story.push(event(19, 5_000, "RouteBackCommitted", json!({"generation": 5, "to": [UNIT], "reason": reason})));
    story.push(event(20, 5_100, "Swapped", json!({"generation": 5, "to": [UNIT]})));
    story.push(event(21, 5_200, "DeploymentFailed", json!({"routed_back": true, "reason": reason, "lists": {}})));
    story
}
