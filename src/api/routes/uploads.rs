//! Archives that people send to be deployed.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use cutover_events::Digest;
use futures_util::StreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::{Pieces, Refusal};
use crate::api::problem::Problem;
use crate::api::request::{Params, Segments, drop_rest, refused};
use crate::api::state::ApiState;
use crate::api::views::UploadView;

/// How long what follows a refusal is read: a connection that is closed while its client still writes takes the answer along.
const DROPPING: Duration = Duration::from_secs(5);

/// How large it is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Size {
    /// Bytes.
    bytes: u64,
}

fn digest(text: &str) -> Result<Digest, Problem> {
    text.parse()
        .map_err(|_| refused("an upload is named by the SHA-256 of its bytes, 64 hexadecimal digits".to_owned()))
}

/// Whether an upload is here already, or may be sent: one that is too large is refused before a byte of it has come.
#[utoipa::path(get, path = "/uploads/{upload}", tag = "deployments",
    params(("upload" = String, Path, description = "SHA-256 of its bytes, as hexadecimal digits"), Size),
    responses((status = 200, body = UploadView)))]
pub(super) async fn upload(
    State(state): State<ApiState>,
    Segments(upload): Segments<String>,
    Params(size): Params<Size>,
) -> Result<Json<UploadView>, Problem> {
    Ok(Json(state.backend()?.upload(digest(&upload)?, size.bytes).await?))
}

/// Takes an upload: a tar archive, plain or gzip. Once it is answered it is on the disk, and a deployment may name it. One
/// that leads out of its folder, or holds devices, is refused, and so is one with other bytes than its name says.
#[utoipa::path(put, path = "/uploads/{upload}", tag = "deployments",
    params(("upload" = String, Path, description = "SHA-256 of its bytes, as hexadecimal digits")),
    request_body(content = String, content_type = "application/octet-stream", description = "the archive"),
    responses((status = 200, body = UploadView)))]
pub(super) async fn send(
    State(state): State<ApiState>,
    Segments(upload): Segments<String>,
    request: Request,
) -> Result<Json<UploadView>, Problem> {
    let (backend, upload) = (state.backend()?, digest(&upload)?);
    Ok(Json(taken(request, |body| backend.upload_send(upload, body)).await?))
}

/// What comes of taking a body. Of one that is refused the rest is read and dropped, within bounds.
pub(super) async fn taken<T, F>(request: Request, take: impl FnOnce(Pieces) -> F) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
{
    let (body, rest) = shared(request.into_body());
    let taken = take(body).await;
    let rest = rest.lock().take();
    if let (true, Some(rest)) = (taken.is_err(), rest) {
        drop(tokio::time::timeout(DROPPING, drop_rest(axum::body::Body::from_stream(rest))).await);
    }
    taken
}

type Bodies = futures_util::stream::BoxStream<'static, Result<bytes::Bytes, axum::Error>>;
type Rest = std::sync::Arc<parking_lot::Mutex<Option<Bodies>>>;

/// The body as pieces, and what is left of it for whoever asks afterwards.
fn shared(body: axum::body::Body) -> (Pieces, Rest) {
    let rest: Rest = std::sync::Arc::new(parking_lot::Mutex::new(Some(body.into_data_stream().boxed())));
    let held = rest.clone();
    let pieces = futures_util::stream::unfold(held, |held| async move {
        let mut body = held.lock().take()?;
        let piece = body.next().await?;
        held.lock().replace(body);
        Some((piece.map_err(|error| error.to_string()), held))
    });
    (pieces.boxed(), rest)
}
