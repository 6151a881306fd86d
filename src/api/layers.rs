//! What stands around every request: its id, panics, and problems brought into their form.

use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;

use super::problem::{Code, Problem};
use super::state::ApiState;

/// Header that names a request; one that a client sent is kept.
pub const REQUEST_ID: &str = "x-request-id";
/// Characters of a request id that is kept: a UUID with room to spare, and no way to fill the log.
const MAX_REQUEST_ID_CHARS: usize = 64;

/// Gives the request an id, catches a panic of its handler, and renders problems.
pub(super) async fn surround(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let id = request_id(&state, &request);
    request.headers_mut().remove(REQUEST_ID);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = match answered {
        Ok(response) => rendered(response, &id),
        Err(_) => {
            tracing::error!(request_id = %id, %method, path, "a handler panicked");
            Problem::new(Code::Internal, "the engine met a bug while answering; its log has the details").respond(&id)
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    tracing::debug!(request_id = %id, %method, path, status = response.status().as_u16(), "request answered");
    response
}

fn request_id(state: &ApiState, request: &Request) -> String {
    let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let kept = sent
        .filter(|id| !id.is_empty() && id.len() <= MAX_REQUEST_ID_CHARS && id.bytes().all(|b| b.is_ascii_graphic()));
    kept.map_or_else(|| format!("req_{}", state.clock.ulid().to_string().to_ascii_lowercase()), str::to_owned)
}

fn rendered(mut response: Response, id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    if problem.code == Code::Internal {
        tracing::error!(request_id = %id, detail = problem.detail, "a request failed");
    }
    let allow = response.headers_mut().remove(axum::http::header::ALLOW);
    let mut told = problem.respond(id);
    if let Some(allow) = allow {
        told.headers_mut().insert(axum::http::header::ALLOW, allow);
    }
    told
}

/// What a path without a handler answers.
pub(super) async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(Code::NoSuchPath, &format!("there is nothing at {path}; see /api/v1/openapi.json for what there is"))
}

/// What a path answers to a method that it does not take.
pub(super) async fn method_not_allowed(request: Request) -> Problem {
    Problem::new(Code::MethodNotAllowed, &format!("{} is not taken here", request.method()))
}
