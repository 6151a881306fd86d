//! Images that are pushed without a registry.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use cutover_events::Digest;
use serde::Deserialize;
use utoipa::IntoParams;

use super::uploads::taken;
use crate::api::backend::{LayerAsk, Packed};
use crate::api::problem::Problem;
use crate::api::request::{Params, Segments, Wish, refused};
use crate::api::state::ApiState;
use crate::api::views::{ImagePushAsk, ImagePushView, LayerView};

/// How large it is.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Size {
    /// Bytes, unpacked.
    bytes: u64,
}

/// Has an image here under its name, without a registry: tells which of its layers are missing, and loads it once none is and its
/// configuration is given. What Docker has is not sent again. May be asked as often as one likes: an image that is here
/// already is only named. It stays for as long as a release, a wish or a workload names it, and otherwise for
/// `[limits] keep_uploads`.
#[utoipa::path(post, path = "/images", tag = "images", request_body = ImagePushAsk,
    responses((status = 200, body = ImagePushView)))]
pub(super) async fn announce(
    State(state): State<ApiState>,
    Wish { asker, ask }: Wish<ImagePushAsk>,
) -> Result<Json<ImagePushView>, Problem> {
    Ok(Json(state.backend()?.image_push(asker, ask).await?))
}

/// Takes a layer of an image: a tar archive, as it is or with `Content-Encoding: gzip`. Once it is answered it is on the disk,
/// and an image may be loaded with it. One with other bytes than its name says is refused.
#[utoipa::path(put, path = "/images/layers/{layer}", tag = "images",
    params(("layer" = String, Path, description = "SHA-256 of its bytes, unpacked, as hexadecimal digits"), Size),
    request_body(content = String, content_type = "application/octet-stream", description = "the layer"),
    responses((status = 200, body = LayerView)))]
pub(super) async fn layer(
    State(state): State<ApiState>,
    Segments(layer): Segments<String>,
    Params(size): Params<Size>,
    request: Request,
) -> Result<Json<LayerView>, Problem> {
    let layer: Digest = layer.parse().map_err(|_| {
        refused("a layer is named by the SHA-256 of its bytes, unpacked, 64 hexadecimal digits".to_owned())
    })?;
    let ask = LayerAsk { layer, bytes: size.bytes, packed: packed(request.headers())? };
    let backend = state.backend()?;
    Ok(Json(taken(request, |body| backend.image_layer(ask, body)).await?))
}

fn packed(headers: &HeaderMap) -> Result<Packed, Problem> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or_default()) {
        None | Some("identity") => Ok(Packed::No),
        Some("gzip") => Ok(Packed::Gzip),
        Some(_) => Err(refused("a layer is sent as it is, or with Content-Encoding: gzip".to_owned())),
    }
}
