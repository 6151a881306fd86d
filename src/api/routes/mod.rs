//! The handlers, a file per resource. Each checks what it is given, asks the engine once, and answers with a view.

mod builds;
mod deployments;
mod engine;
mod errands;
mod events;
mod foretold;
mod health;
mod hooks;
mod images;
mod log;
mod outputs;
mod secrets;
mod uploads;
mod workloads;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cutover_events::Digest;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::document::PREFIX;
use super::problem::{Code, Problem};
use super::state::ApiState;
use super::views::AcceptedView;

/// What needs a caller, without its prefix.
pub(super) fn guarded() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(workloads::status))
        .routes(routes!(workloads::workload, workloads::teardown))
        .routes(routes!(workloads::apply))
        .routes(routes!(workloads::plan))
        .routes(routes!(workloads::show))
        .routes(routes!(workloads::releases))
        .routes(routes!(workloads::logs))
        .routes(routes!(builds::build_log))
        .routes(routes!(outputs::output))
        .routes(routes!(errands::exec))
        .routes(routes!(errands::run))
        .routes(routes!(deployments::deploy))
        .routes(routes!(deployments::rollback))
        .routes(routes!(deployments::restart))
        .routes(routes!(deployments::stop))
        .routes(routes!(deployments::start))
        .routes(routes!(deployments::accept))
        .routes(routes!(uploads::upload, uploads::send))
        .routes(routes!(images::announce))
        .routes(routes!(images::layer))
        .routes(routes!(foretold::foretell))
        .routes(routes!(foretold::rollback))
        .routes(routes!(deployments::deployment))
        .routes(routes!(deployments::cancel))
        .routes(routes!(deployments::resume))
        .routes(routes!(events::events))
        .routes(routes!(events::explain))
        .routes(routes!(hooks::list, hooks::add))
        .routes(routes!(hooks::remove))
        .routes(routes!(hooks::rotate))
        .routes(routes!(hooks::deliveries))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::set))
        .routes(routes!(secrets::secret, secrets::remove))
        .routes(routes!(secrets::rekey))
        .routes(routes!(engine::tokens, engine::token_add))
        .routes(routes!(engine::token_revoke))
        .routes(routes!(engine::confirm))
        .routes(routes!(engine::freeze))
        .routes(routes!(engine::thaw))
        .routes(routes!(engine::doctor))
        .routes(routes!(log::head))
        .routes(routes!(log::verify))
        .routes(routes!(log::export))
}

/// What anybody may ask, outside the prefix, and the document itself.
pub(super) fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(health::document))
}

/// 202 with the place where the deployment is told.
fn accepted(view: &AcceptedView) -> Result<Response, Problem> {
    let place = format!("{PREFIX}/deployments/{}", view.deployment_id);
    let place = HeaderValue::from_str(&place).map_err(|e| Problem::new(Code::Internal, &e.to_string()))?;
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

/// The view with an entity tag of its bytes; 304 when the client has it.
fn tagged<T: Serialize>(headers: &HeaderMap, view: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(view).map_err(|e| Problem::new(Code::Internal, &e.to_string()))?;
    let digest = Digest::of(&body).to_string();
    let tag = format!("\"{}\"", digest.get(..32).unwrap_or_default());
    let tag = HeaderValue::from_str(&tag).map_err(|e| Problem::new(Code::Internal, &e.to_string()))?;
    let known = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(body) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}
