//! Between the spec as the API shows it and the canonical form that is validated: the same JSON, read by each.

use cutover_domain::file::{Canonical, Declared};

use crate::api::backend::Refusal;
use crate::api::views::WorkloadBody;

/// What was sent, validated as a workload file is.
pub(super) fn declared(body: WorkloadBody) -> Result<Declared, Refusal> {
    let name = format!("{}/{}", body.project.as_deref().unwrap_or("default"), body.name);
    let bad = |error: String| Refusal::BadContent(format!("{name}: {error}"));
    let json = serde_json::to_value(body).map_err(|error| bad(error.to_string()))?;
    let canonical: Canonical = serde_json::from_value(json).map_err(|error| bad(error.to_string()))?;
    Declared::try_from(canonical).map_err(|error| bad(error.to_string()))
}

/// A spec as the API shows it.
pub(super) fn shown(canonical: &Canonical) -> Result<WorkloadBody, Refusal> {
    let internal = |error: serde_json::Error| Refusal::Internal(error.to_string());
    serde_json::to_value(canonical).and_then(serde_json::from_value).map_err(internal)
}
