//! What the values of one spec may be together.

use std::collections::BTreeMap;

use cutover_events::workload::{Source, Spec};

use super::strict::Fault;
use super::workload::MAX_VARIABLES;
use super::{policy, quantity};
use crate::reference;

/// Bytes of all texts of a spec: with the claims of its routes it has to fit into an event of 64 KiB, and into a plan
/// that repeats it.
const MAX_SPEC_BYTES: usize = 40 * 1024;
/// Bytes that a variable takes beside its name: the digest of its sealed value and its keyed hash.
const VARIABLE_BYTES: usize = 52;

/// Refuses values that contradict one another, and a spec that does not fit into the log.
pub(super) fn check(spec: &Spec, env: &BTreeMap<String, String>) -> Result<(), Fault> {
    if env.len() > MAX_VARIABLES {
        return Err(Fault::new("env", format!("{} variables; at most {MAX_VARIABLES} are allowed", env.len())));
    }
    let times = &spec.policy;
    if spec.health.is_none() && times.liveness_ms >= times.gate_timeout_ms {
        let (liveness, gate) =
            (quantity::show_duration(times.liveness_ms), quantity::show_duration(times.gate_timeout_ms));
        let text =
            format!("liveness ({liveness}) must be shorter than gate_timeout ({gate}), or nothing would ever be ready");
        return Err(Fault::new("policy", text));
    }
    if times.stop_signal != 0 && policy::signal_name(times.stop_signal).is_empty() {
        return Err(Fault::new("policy.stop_signal", "not a signal that is known here"));
    }
    let bytes = size(spec, env);
    if bytes > MAX_SPEC_BYTES {
        let text = format!(
            "{bytes} bytes of routes, names of variables, arguments and triggers; at most {MAX_SPEC_BYTES} are allowed"
        );
        return Err(Fault::new("", text));
    }
    Ok(())
}

fn size(spec: &Spec, env: &BTreeMap<String, String>) -> usize {
    let variables: usize = env.keys().map(|name| name.len() + VARIABLE_BYTES).sum();
    // Twice: once in the spec, once as a claim.
    let routes: usize = spec.routes.iter().map(|route| 2 * (route.host.len() + route.path.len() + 8)).sum();
    let arguments: usize = spec.command.iter().flatten().map(|argument| argument.len() + 4).sum();
    let texts = |t: &cutover_events::workload::Trigger| {
        t.hook.len() + t.repo.len() + t.branch.len() + t.tag.len() + t.image.len()
    };
    let triggers: usize = spec.triggers.iter().map(|trigger| texts(trigger) + 10).sum();
    variables + routes + arguments + triggers
}

/// What was probably not meant so.
pub(super) fn warnings(spec: &Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    let Source::Image(image) = &spec.source;
    let open = reference::placeholders(&image.reference).unwrap_or_default();
    if let (Some(word), true) = (open.first(), spec.triggers.is_empty()) {
        warnings.push(format!("nothing fills {word} in the image: there is no deploy and no trigger"));
    }
    if spec.routes.iter().any(|route| route.strip && route.path == "/") {
        warnings.push("strip has no effect on the path \"/\"".to_owned());
    }
    warnings
}
