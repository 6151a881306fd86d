//! The engine itself: tokens, what a person confirms, and whether all invariants hold.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::api::backend::Asker;
use crate::api::problem::Problem;
use crate::api::request::{Segments, Wish, bad_request, freeze_reason, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::views::{ConfirmAsk, DoctorView, FreezeAsk, StatusView, ThawAsk, TokenAddedView, TokenAsk, TokensView};

/// Every token that is accepted, without values.
#[utoipa::path(get, path = "/tokens", tag = "engine", responses((status = 200, body = TokensView)))]
pub(super) async fn tokens(State(state): State<ApiState>) -> Result<Json<TokensView>, Problem> {
    Ok(Json(state.backend()?.tokens().await?))
}

/// Makes a token. Its value is told once, here.
#[utoipa::path(post, path = "/tokens", tag = "engine", request_body = TokenAsk,
    responses((status = 201, body = TokenAddedView)))]
pub(super) async fn token_add(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<TokenAsk>,
) -> Result<(StatusCode, Json<TokenAddedView>), Problem> {
    Ok((StatusCode::CREATED, Json(state.backend()?.token_add(asker, ask).await?)))
}

/// Revokes a token: it is refused from here on.
#[utoipa::path(delete, path = "/tokens/{token}", tag = "engine",
    params(("token" = String, Path, description = "tok_…")), responses((status = 204)))]
pub(super) async fn token_revoke(
    State(state): State<ApiState>,
    Segments(token): Segments<String>,
    asker: Asker,
) -> Result<StatusCode, Problem> {
    let token = token.parse().map_err(bad_request)?;
    state.backend()?.token_revoke(asker, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a held engine go on as things are.
#[utoipa::path(post, path = "/confirm", tag = "engine", request_body = ConfirmAsk,
    responses((status = 200, body = StatusView)))]
pub(super) async fn confirm(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<ConfirmAsk>,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(state.backend()?.confirm(asker, ask).await?))
}

/// Nothing is done by itself from here on: no repair, no wish of a machine. What persons ask for goes on.
#[utoipa::path(post, path = "/freeze", tag = "engine", request_body = FreezeAsk,
    responses((status = 200, body = StatusView)))]
pub(super) async fn freeze(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<FreezeAsk>,
) -> Result<Json<StatusView>, Problem> {
    let reason = freeze_reason(&ask.reason).map_err(refused)?;
    let name = ask.workload.as_deref().map(workload_name).transpose().map_err(refused)?;
    Ok(Json(state.backend()?.freeze(asker, name, reason).await?))
}

/// It goes on by itself.
#[utoipa::path(post, path = "/thaw", tag = "engine", request_body = ThawAsk,
    responses((status = 200, body = StatusView)))]
pub(super) async fn thaw(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<ThawAsk>,
) -> Result<Json<StatusView>, Problem> {
    let name = ask.workload.as_deref().map(workload_name).transpose().map_err(refused)?;
    Ok(Json(state.backend()?.thaw(asker, name).await?))
}

/// The invariants, looked at on the real thing.
#[utoipa::path(get, path = "/doctor", tag = "engine", responses((status = 200, body = DoctorView)))]
pub(super) async fn doctor(State(state): State<ApiState>) -> Result<Json<DoctorView>, Problem> {
    Ok(Json(state.backend()?.doctor().await?))
}
