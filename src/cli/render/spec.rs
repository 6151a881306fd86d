//! The effective spec.

use crate::api::views::ShowView;

/// The spec as indented JSON under a head.
pub(in crate::cli) fn show(view: &ShowView) -> String {
    let spec = serde_json::to_string_pretty(&view.spec).unwrap_or_default();
    let newest = if view.revision == view.newest { String::new() } else { format!(" (newest: {})", view.newest) };
    format!("{}  spec revision {}{newest}\n{spec}\n", view.workload, view.revision)
}
