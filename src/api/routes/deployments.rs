//! Deployments: wishes, waiting, and a person's word on them.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use cutover_domain::deployment::Insist;
use cutover_events::DeploymentId;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::accepted;
use crate::api::backend::Asker;
use crate::api::problem::{Code, Problem};
use crate::api::request::{
    MAX_WAIT, Params, Segments, Wish, bad_request, refused, rollback_to, version_name, workload_name,
};
use crate::api::state::{ApiState, Readiness};
use crate::api::views::{AcceptAsk, AcceptedImagesView, AcceptedView, DeployAsk, DeploymentView, RollbackAsk};

/// Queues a deployment. The answer is on disk; the deployment keeps its id to the end.
#[utoipa::path(post, path = "/workloads/{workload}/deployments", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key returns the same deployment")),
    request_body = DeployAsk, responses((status = 202, body = AcceptedView)))]
pub(super) async fn deploy(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Wish { asker, ask }: Wish<DeployAsk>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    accepted(&state.backend()?.deploy(asker, name, ask).await?)
}

/// Queues a deployment of an earlier release.
#[utoipa::path(post, path = "/workloads/{workload}/rollback", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key returns the same deployment")),
    request_body = RollbackAsk, responses((status = 202, body = AcceptedView)))]
pub(super) async fn rollback(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Wish { asker, ask }: Wish<RollbackAsk>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let to = rollback_to(ask.to.as_deref()).map_err(bad_request)?;
    accepted(&state.backend()?.rollback(asker, name, to).await?)
}

/// Queues a replacement of the containers of the current release.
#[utoipa::path(post, path = "/workloads/{workload}/restart", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key returns the same deployment")),
    responses((status = 202, body = AcceptedView)))]
pub(super) async fn restart(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asker: Asker,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    accepted(&state.backend()?.restart(asker, name).await?)
}

/// Queues the end of service: its containers go, everything that it claims stays its own.
#[utoipa::path(post, path = "/workloads/{workload}/stop", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key returns the same deployment")),
    responses((status = 202, body = AcceptedView)))]
pub(super) async fn stop(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asker: Asker,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    accepted(&state.backend()?.stop(asker, name).await?)
}

/// Queues the return of what ran when it was stopped.
#[utoipa::path(post, path = "/workloads/{workload}/start", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key returns the same deployment")),
    responses((status = 202, body = AcceptedView)))]
pub(super) async fn start(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asker: Asker,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    accepted(&state.backend()?.start(asker, name).await?)
}

/// Lets changes from outside deploy images again that had failed or were rolled back from.
#[utoipa::path(post, path = "/workloads/{workload}/accept", tag = "deployments",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"),
           ("Idempotency-Key" = Option<String>, Header, description = "the same key does it once")),
    request_body = AcceptAsk, responses((status = 200, body = AcceptedImagesView)))]
pub(super) async fn accept(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Wish { asker, ask }: Wish<AcceptAsk>,
) -> Result<Json<AcceptedImagesView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let what = ask.what.as_deref().map(version_name).transpose().map_err(bad_request)?;
    Ok(Json(state.backend()?.accept(asker, name, what).await?))
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
    /// The route was seen on green, or the deployment has ended.
    Live,
    /// The deployment has ended, or is parked.
    End,
}

/// How long and for what is waited.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wait {
    /// Answer when this is reached.
    #[param(inline)]
    wait: Option<Goal>,
    /// Seconds after which the answer comes in any case; at most 60, and 60 when missing.
    timeout: Option<u64>,
}

/// One deployment as it is now, or as soon as it is what is waited for. After the timeout it is told as it is then.
#[utoipa::path(get, path = "/deployments/{deployment}", tag = "deployments",
    params(("deployment" = String, Path, description = "dep_…"), Wait),
    responses((status = 200, body = DeploymentView)))]
pub(super) async fn deployment(
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    Params(params): Params<Wait>,
) -> Result<Json<DeploymentView>, Problem> {
    let id = id.parse().map_err(bad_request)?;
    let limit = params.timeout.map_or(MAX_WAIT, Duration::from_secs).min(MAX_WAIT);
    Ok(Json(reached(&state, id, params.wait, Instant::now() + limit).await?))
}

async fn reached(
    state: &ApiState,
    id: DeploymentId,
    goal: Option<Goal>,
    deadline: Instant,
) -> Result<DeploymentView, Problem> {
    let backend = state.backend()?;
    let mut head = backend.head();
    let mut readiness = state.readiness.clone();
    loop {
        head.borrow_and_update();
        let view = backend.deployment(id).await?;
        if goal.is_none_or(|goal| is_reached(&view, goal)) {
            return Ok(view);
        }
        tokio::select! {
            changed = head.changed() => changed.map_err(|_| ending())?,
            _ = readiness.wait_for(|now| matches!(now, Readiness::Stopping)) => return Err(ending()),
            () = tokio::time::sleep_until(deadline) => return Ok(view),
        }
    }
}

fn is_reached(view: &DeploymentView, goal: Goal) -> bool {
    view.outcome.is_some() || (goal == Goal::Live && view.is_live())
}

fn ending() -> Problem {
    Problem::new(Code::Unavailable, "the engine is stopping; ask again in a second")
}

/// Whether a person insists.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Forced {
    /// Whether it ends although its release command runs, in the middle of it.
    #[serde(default)]
    force: bool,
}

/// Ends a deployment before its point of no return.
#[utoipa::path(post, path = "/deployments/{deployment}/cancel", tag = "deployments",
    params(("deployment" = String, Path, description = "dep_…"), Forced),
    responses((status = 200, body = DeploymentView)))]
pub(super) async fn cancel(
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    Params(forced): Params<Forced>,
    asker: Asker,
) -> Result<Json<DeploymentView>, Problem> {
    let id = id.parse().map_err(bad_request)?;
    let insist = if forced.force { Insist::Yes } else { Insist::No };
    Ok(Json(state.backend()?.cancel(asker, id, insist).await?))
}

/// Lets a parked deployment go on.
#[utoipa::path(post, path = "/deployments/{deployment}/resume", tag = "deployments",
    params(("deployment" = String, Path, description = "dep_…")),
    responses((status = 200, body = DeploymentView)))]
pub(super) async fn resume(
    State(state): State<ApiState>,
    Segments(id): Segments<String>,
    asker: Asker,
) -> Result<Json<DeploymentView>, Problem> {
    let id = id.parse().map_err(bad_request)?;
    Ok(Json(state.backend()?.resume(asker, id).await?))
}
