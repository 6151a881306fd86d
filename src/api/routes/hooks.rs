//! Hooks and their deliveries.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::Asker;
use crate::api::problem::Problem;
use crate::api::request::{Params, Segments, Wish, hook_name, refused};
use crate::api::state::ApiState;
use crate::api::views::{DeliveriesView, HookAsk, HookSecretView, HooksView, RotateAsk};

/// Deliveries that are told when nobody says how many.
const DEFAULT_DELIVERIES: usize = 20;
/// The most deliveries that are told at once.
const MAX_DELIVERIES: usize = 200;

/// Every hook, without secrets.
#[utoipa::path(get, path = "/hooks", tag = "hooks", responses((status = 200, body = HooksView)))]
pub(super) async fn list(State(state): State<ApiState>) -> Result<Json<HooksView>, Problem> {
    Ok(Json(state.backend()?.hooks().await?))
}

/// Adds a hook. Its secret is told once, here.
#[utoipa::path(post, path = "/hooks", tag = "hooks", request_body = HookAsk,
    responses((status = 201, body = HookSecretView)))]
pub(super) async fn add(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<HookAsk>,
) -> Result<(StatusCode, Json<HookSecretView>), Problem> {
    Ok((StatusCode::CREATED, Json(state.backend()?.hook_add(asker, ask).await?)))
}

/// Gives a hook a new secret, told once; the one before is accepted until the next rotation.
#[utoipa::path(post, path = "/hooks/{hook}/rotate", tag = "hooks",
    params(("hook" = String, Path, description = "name or hook_…")), request_body = RotateAsk,
    responses((status = 200, body = HookSecretView)))]
pub(super) async fn rotate(
    State(state): State<ApiState>,
    Segments(hook): Segments<String>,
    Wish { asker, ask }: Wish<RotateAsk>,
) -> Result<Json<HookSecretView>, Problem> {
    let hook = hook_name(&hook).map_err(refused)?;
    Ok(Json(state.backend()?.hook_rotate(asker, hook, ask).await?))
}

/// Removes a hook: it answers 404 from here on.
#[utoipa::path(delete, path = "/hooks/{hook}", tag = "hooks",
    params(("hook" = String, Path, description = "name or hook_…")), responses((status = 204)))]
pub(super) async fn remove(
    State(state): State<ApiState>,
    Segments(hook): Segments<String>,
    asker: Asker,
) -> Result<StatusCode, Problem> {
    let hook = hook_name(&hook).map_err(refused)?;
    state.backend()?.hook_remove(asker, hook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many deliveries are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Newest {
    /// At most 200; 20 when missing.
    limit: Option<usize>,
}

/// The newest deliveries of a hook, and what every rule said to them.
#[utoipa::path(get, path = "/hooks/{hook}/deliveries", tag = "hooks",
    params(("hook" = String, Path, description = "name or hook_…"), Newest),
    responses((status = 200, body = DeliveriesView)))]
pub(super) async fn deliveries(
    State(state): State<ApiState>,
    Segments(hook): Segments<String>,
    Params(newest): Params<Newest>,
) -> Result<Json<DeliveriesView>, Problem> {
    let hook = hook_name(&hook).map_err(refused)?;
    let limit = newest.limit.unwrap_or(DEFAULT_DELIVERIES).clamp(1, MAX_DELIVERIES);
    Ok(Json(state.backend()?.deliveries(hook, limit).await?))
}
