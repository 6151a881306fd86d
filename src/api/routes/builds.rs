//! The logs of builds.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use cutover_events::DeploymentId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::Stretch;
use crate::api::problem::Problem;
use crate::api::request::{MAX_WAIT, Params, Segments, bad_request, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::views::BuildLogView;

/// Which part of which build.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Whose build; the newest one when missing.
    deployment: Option<String>,
    /// The byte to begin with; 0 when missing.
    from: Option<u64>,
    /// How long to wait for more of a build that goes on, ms, at most a minute; 0 when missing.
    wait_ms: Option<u64>,
    /// Only lines that hold this, upper and lower case alike.
    search: Option<String>,
}

/// What a build has printed, without values of secrets.
#[utoipa::path(get, path = "/workloads/{workload}/build", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Which),
    responses((status = 200, body = BuildLogView)))]
pub(super) async fn build(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(which): Params<Which>,
) -> Result<Json<BuildLogView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let deployment = which.deployment.map(|id| id.parse::<DeploymentId>()).transpose();
    let deployment = deployment.map_err(|why| bad_request(why.to_string()))?;
    let wait = Duration::from_millis(which.wait_ms.unwrap_or_default()).min(MAX_WAIT);
    let stretch = Stretch { from: which.from.unwrap_or_default(), wait, search: which.search };
    Ok(Json(state.backend()?.build_log(name, deployment, stretch).await?))
}
