//! What would happen; nothing is recorded.

use axum::Json;
use axum::extract::State;

use crate::api::problem::Problem;
use crate::api::request::{Body, Segments, bad_request, refused, rollback_to, workload_name};
use crate::api::state::ApiState;
use crate::api::views::{DeployAsk, ForetoldView, RollbackAsk, RollbackView};

/// What a deployment would do, and the hash that holds one to it.
#[utoipa::path(post, path = "/workloads/{workload}/plan", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    request_body = DeployAsk, responses((status = 200, body = ForetoldView)))]
pub(super) async fn foretell(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Body(ask): Body<DeployAsk>,
) -> Result<Json<ForetoldView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    Ok(Json(state.backend()?.foretell(name, ask).await?))
}

/// What a rollback would change, and what it would take.
#[utoipa::path(post, path = "/workloads/{workload}/rollback/plan", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    request_body = RollbackAsk, responses((status = 200, body = RollbackView)))]
pub(super) async fn rollback(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Body(ask): Body<RollbackAsk>,
) -> Result<Json<RollbackView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let to = rollback_to(ask.to.as_deref()).map_err(bad_request)?;
    Ok(Json(state.backend()?.rollback_plan(name, to).await?))
}
