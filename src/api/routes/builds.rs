//! Logs of builds.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::{BuildLogAsk, Patience};
use crate::api::problem::{Code, Problem};
use crate::api::request::{Params, Segments, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::views::BuildLogView;

/// Characters of a text that is searched for: longer ones are a mistake.
const MAX_GREP: usize = 200;

/// Which part is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Of which deployment; the newest that was built when missing.
    deployment: Option<String>,
    /// From this byte on; `next` of the answer before.
    #[serde(default)]
    from: u64,
    /// Whether the answer waits up to ten seconds for more while the build goes on.
    #[serde(default)]
    follow: bool,
    /// Only lines that hold this text, of the whole log.
    grep: Option<String>,
}

/// What a build has printed: kept beside the log, its beginning and its end when it grows long.
#[utoipa::path(get, path = "/workloads/{workload}/build", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Part),
    responses((status = 200, body = BuildLogView)))]
pub(super) async fn build_log(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(part): Params<Part>,
) -> Result<Json<BuildLogView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let bad = |text: &str| Problem::new(Code::RefusedContent, text);
    let deployment = part.deployment.map(|text| text.parse().map_err(|_| bad("deployment: not the id of one")));
    let grep = part.grep.filter(|text| !text.is_empty());
    if grep.as_ref().is_some_and(|text| text.chars().count() > MAX_GREP) {
        return Err(bad("grep: longer than 200 characters"));
    }
    let patience = if part.follow { Patience::AWhile } else { Patience::None };
    let ask = BuildLogAsk { deployment: deployment.transpose()?, from: part.from, patience, grep };
    Ok(Json(state.backend()?.build_log(name, ask).await?))
}
