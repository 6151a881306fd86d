//! What several views say of one deployment's events.

use serde_json::Value;

use super::Tone;
use crate::api::told::words::duration;
use crate::api::views::{EventLine, Tone as Meaning};

/// The word of the wish that removes a workload.
pub(super) const TEARDOWN: &str = "teardown";

/// The word of the wish that takes a workload out of service.
pub(super) const STOP: &str = "stop";

/// The colour of what an event means.
pub(super) fn tone(line: &EventLine) -> Tone {
    match line.tone {
        Meaning::Normal => Tone::Normal,
        Meaning::Good => Tone::Good,
        Meaning::Bad => Tone::Bad,
        Meaning::Moving => Tone::Moving,
    }
}

/// Whether an event is the end of a deployment that was wished as `wish`: a teardown ends when nothing is left.
pub(super) fn ends(line: &EventLine, wish: &str) -> bool {
    match line.event.as_str() {
        "DeploymentFailed" | "IntentSuperseded" | "IntentCancelled" | "WorkloadTornDown" => true,
        "DeploymentSucceeded" => wish != TEARDOWN,
        _ => false,
    }
}

/// How long green is watched, from the plan.
pub(super) fn bake(line: &EventLine) -> Option<u64> {
    line.fields.get("plan")?.get("policy")?.get("bake_ms")?.as_u64()
}

/// Whether a route was seen to lead nowhere: the swap of a teardown.
pub(super) fn leads_nowhere(line: &EventLine) -> bool {
    line.fields.get("to").and_then(Value::as_array).is_some_and(Vec::is_empty)
}

/// `live after 1.6 s, watching 10 s`.
pub(super) fn live(after_ms: u64, bake_ms: Option<u64>) -> String {
    let watching = bake_ms.filter(|ms| *ms > 0).map_or_else(String::new, |ms| format!(", watching {}", duration(ms)));
    format!("live after {}{watching}", duration(after_ms))
}
