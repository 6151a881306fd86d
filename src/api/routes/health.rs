//! What probes and collectors ask, without a token.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::api::problem::{Code, Problem};
use crate::api::state::ApiState;
use crate::api::views::HealthzView;

/// Whether the process lives.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = HealthzView)))]
pub(super) async fn livez() -> Json<HealthzView> {
    Json(HealthzView { status: "ok".to_owned() })
}

/// Whether recovery is done and wishes are taken.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = HealthzView)))]
pub(super) async fn readyz(State(state): State<ApiState>) -> Result<Json<HealthzView>, Problem> {
    state.backend()?;
    Ok(Json(HealthzView { status: "ok".to_owned() }))
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let text = state.backend()?.metrics();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

/// This document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "health",
    responses((status = 200, body = String, content_type = "application/json")))]
pub(super) async fn document() -> Result<Response, Problem> {
    let text = crate::api::openapi_json().map_err(|e| Problem::new(Code::Internal, &e.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}
