//! The log itself: where it ends, whether it is unaltered, and all of it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::{Backend, Refusal, Span};
use crate::api::problem::Problem;
use crate::api::request::Params;
use crate::api::state::ApiState;
use crate::api::views::{ExportLine, HeadView, VerifyView};

/// Commits that an export holds in memory at once.
const EXPORT_PAGE: usize = 256;

/// Where the log ends.
#[utoipa::path(get, path = "/log/head", tag = "log", responses((status = 200, body = HeadView)))]
pub(super) async fn head(State(state): State<ApiState>) -> Result<Json<HeadView>, Problem> {
    Ok(Json(state.backend()?.log_head().await?))
}

/// Reads the whole log and checks its chain.
#[utoipa::path(get, path = "/log/verify", tag = "log", responses((status = 200, body = VerifyView)))]
pub(super) async fn verify(State(state): State<ApiState>) -> Result<Json<VerifyView>, Problem> {
    Ok(Json(state.backend()?.log_verify().await?))
}

/// From where.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct From {
    /// Only commits that end after this position; 0 when missing.
    after: Option<u64>,
}

/// The log up to the head of this moment, a commit a line. Without its last line feed the export is not complete.
#[utoipa::path(get, path = "/log/export", tag = "log", params(From),
    responses((status = 200, body = ExportLine, content_type = "application/x-ndjson")))]
pub(super) async fn export(State(state): State<ApiState>, Params(from): Params<From>) -> Result<Response, Problem> {
    let backend = state.backend()?;
    let until = backend.log_head().await?.position;
    let export = Export { backend, after: from.after.unwrap_or(0), until };
    let body = Body::from_stream(stream::try_unfold(export, page));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Export {
    backend: Arc<dyn Backend>,
    after: u64,
    until: u64,
}

async fn page(mut export: Export) -> Result<Option<(Bytes, Export)>, Refusal> {
    if export.after >= export.until {
        return Ok(None);
    }
    let lines = export.backend.log_export(Span { after: export.after, limit: EXPORT_PAGE }).await?;
    let Some(last) = lines.last() else { return Ok(None) };
    export.after = last.position + (last.events.len() as u64).saturating_sub(1);
    let mut text = Vec::new();
    for line in &lines {
        serde_json::to_writer(&mut text, line).map_err(|e| Refusal::Internal(e.to_string()))?;
        text.push(b'\n');
    }
    Ok(Some((Bytes::from(text), export)))
}
