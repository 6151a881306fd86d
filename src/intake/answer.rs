//! What a sender gets back: a status and one JSON object.

use axum::Json;
use axum::response::{IntoResponse, Response};
use cutover_events::DeliveryId;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::Refusal;

/// How long a sender should wait after a 503, in seconds: a full disk or a restart is rarely over sooner.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// What a taken call came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// On disk; what comes of it is decided afterwards.
    Accepted(DeliveryId),
    /// On disk, and known to deploy nothing.
    Noted(DeliveryId, String),
    /// It came before.
    Duplicate(DeliveryId),
}

#[derive(Serialize)]
struct Delivery {
    delivery: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize)]
struct Refused {
    error: String,
}

impl IntoResponse for Taken {
    fn into_response(self) -> Response {
        let (status, id, duplicate, note) = match self {
            Self::Accepted(id) => (StatusCode::ACCEPTED, id, None, None),
            Self::Noted(id, note) => (StatusCode::OK, id, None, Some(note)),
            Self::Duplicate(id) => (StatusCode::OK, id, Some(true), None),
        };
        (status, Json(Delivery { delivery: id.to_string(), duplicate, note })).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(Refused { error: self.to_string() })).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Busy(_) => drop(headers.insert(RETRY_AFTER, RETRY_SECONDS)),
            // What is left of the body is not read.
            Self::TooLarge { .. } | Self::TooSlow { .. } => {
                drop(headers.insert(CONNECTION, HeaderValue::from_static("close")));
            }
            Self::UnknownHook | Self::Unsigned(_) | Self::Unreadable(_) | Self::UnsupportedType(_) => {}
        }
        response
    }
}

/// The answer to another method than POST.
#[must_use]
pub(super) fn wrong_method() -> Response {
    let text = "deliveries come by POST".to_owned();
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], Json(Refused { error: text })).into_response()
}
