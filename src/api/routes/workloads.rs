//! Workloads: what should run and what does.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{accepted, tagged};
use crate::api::backend::{Asker, Volumes};
use crate::api::problem::Problem;
use crate::api::request::{Body, Params, Segments, Wish, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::views::{AcceptedView, ApplyAsk, ApplyView, LogsView, PlanView, ReleasesView, ShowView, StatusView};

/// Lines of one container's output when nobody says how many.
const DEFAULT_LINES: usize = 100;
/// The most lines of one container's output that are sent.
const MAX_LINES: usize = 2_000;

/// Every workload with its containers.
#[utoipa::path(get, path = "/workloads", tag = "workloads", responses((status = 200, body = StatusView)))]
pub(super) async fn status(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, Problem> {
    tagged(&headers, &state.backend()?.status(None).await?)
}

/// One workload with its containers.
#[utoipa::path(get, path = "/workloads/{workload}", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    responses((status = 200, body = StatusView)))]
pub(super) async fn workload(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    tagged(&headers, &state.backend()?.status(Some(name)).await?)
}

/// What else is removed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Removal {
    /// Whether the volumes that were made for it go too, with what is in them. Missing: those of a stack go with it, others
    /// stay.
    volumes: Option<bool>,
    /// Whether nobody has to be asked: otherwise, without `volumes`, 409 lists those of a stack that would go.
    #[serde(default)]
    yes: bool,
}

/// Removes a workload: its traffic ends, its containers go.
#[utoipa::path(delete, path = "/workloads/{workload}", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Removal),
    responses((status = 202, body = AcceptedView)))]
pub(super) async fn teardown(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(removal): Params<Removal>,
    asker: Asker,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let volumes = match (removal.volumes, removal.yes) {
        (Some(true), _) => Volumes::Remove,
        (Some(false), _) => Volumes::Keep,
        (None, true) => Volumes::Usual,
        (None, false) => Volumes::Asked,
    };
    accepted(&state.backend()?.teardown(asker, name, volumes).await?)
}

/// Registers or revises workloads, all or none, and queues a deployment of each that changed.
#[utoipa::path(post, path = "/apply", tag = "workloads", request_body = ApplyAsk,
    responses((status = 200, body = ApplyView)))]
pub(super) async fn apply(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<ApplyAsk>,
) -> Result<Json<ApplyView>, Problem> {
    Ok(Json(state.backend()?.apply(asker, ask).await?))
}

/// What an apply would come to; nothing is recorded.
#[utoipa::path(post, path = "/plan", tag = "workloads", request_body = ApplyAsk,
    responses((status = 200, body = PlanView)))]
pub(super) async fn plan(State(state): State<ApiState>, Body(ask): Body<ApplyAsk>) -> Result<Json<PlanView>, Problem> {
    Ok(Json(state.backend()?.plan(ask).await?))
}

/// Which revision is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Revision {
    /// Counts from 1; the newest when missing.
    revision: Option<u32>,
}

/// The effective spec of a workload.
#[utoipa::path(get, path = "/workloads/{workload}/spec", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Revision),
    responses((status = 200, body = ShowView)))]
pub(super) async fn show(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Segments(name): Segments<String>,
    Params(params): Params<Revision>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    tagged(&headers, &state.backend()?.show(name, params.revision).await?)
}

/// The releases of a workload, newest first, and what a rollback to each would take.
#[utoipa::path(get, path = "/workloads/{workload}/releases", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    responses((status = 200, body = ReleasesView)))]
pub(super) async fn releases(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    tagged(&headers, &state.backend()?.releases(name).await?)
}

/// How much output is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Lines {
    /// Of each container, at most 2000; 100 when missing.
    lines: Option<usize>,
}

/// Output of the containers of a workload: of those that run, and what was kept of those that failed.
#[utoipa::path(get, path = "/workloads/{workload}/logs", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Lines),
    responses((status = 200, body = LogsView)))]
pub(super) async fn logs(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(params): Params<Lines>,
) -> Result<Json<LogsView>, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let lines = params.lines.unwrap_or(DEFAULT_LINES).min(MAX_LINES);
    Ok(Json(state.backend()?.logs(name, lines).await?))
}
