//! Refusals and failures as RFC 9457 problems. The only place where a class of error becomes a status.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::backend::Refusal;

/// Characters of a detail: what a person reads on one line of a terminal, cut beyond.
const MAX_DETAIL_CHARS: usize = 600;
/// Seconds after which a client should try again while the engine starts or has no room.
const RETRY_AFTER_SECONDS: &str = "1";
/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong; stable, programs decide on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// No workload, deployment, release, hook or token of that name or id.
    UnknownName,
    /// A workload file, image reference or name that is not well formed.
    RefusedContent,
    /// A claim, a name or an idempotency key is taken.
    Conflict,
    /// The rules do not allow it as things stand.
    NotAllowed,
    /// No token, or one that is not accepted.
    Unauthenticated,
    /// The request itself is not well formed: parameters, headers, body.
    BadRequest,
    /// There is no such path.
    NoSuchPath,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The body is larger than the limit.
    TooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// Too many streams are open.
    TooManyStreams,
    /// The engine starts, stops, or has no room: try again.
    Unavailable,
    /// A bug, or a failure of the machine.
    Internal,
}

/// A problem as it is sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:cutover:problem:CODE`.
    #[serde(rename = "type")]
    #[schema(example = "urn:cutover:problem:unknown_name")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do, one line.
    pub detail: String,
    /// What went wrong; stable.
    pub code: Code,
    /// Names this request in the log of the engine.
    #[serde(default)]
    pub request_id: String,
}

impl Code {
    /// Its status and its title.
    #[must_use]
    pub const fn told(self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownName => (StatusCode::NOT_FOUND, "unknown name"),
            Self::RefusedContent => (StatusCode::UNPROCESSABLE_ENTITY, "refused content"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict"),
            Self::NotAllowed => (StatusCode::CONFLICT, "not allowed"),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "not authenticated"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad request"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no such path"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported media type"),
            Self::TooManyStreams => (StatusCode::TOO_MANY_REQUESTS, "too many streams"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        }
    }

    /// The word of the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownName => "unknown_name",
            Self::RefusedContent => "refused_content",
            Self::Conflict => "conflict",
            Self::NotAllowed => "not_allowed",
            Self::Unauthenticated => "unauthenticated",
            Self::BadRequest => "bad_request",
            Self::NoSuchPath => "no_such_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::TooManyStreams => "too_many_streams",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl Problem {
    /// A problem of this class; the detail is brought to one line and cut.
    #[must_use]
    pub fn new(code: Code, detail: &str) -> Self {
        let (status, title) = code.told();
        Self {
            kind: format!("urn:cutover:problem:{}", code.word()),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: one_line(detail),
            code,
            request_id: String::new(),
        }
    }

    /// The response, with this request id.
    #[must_use]
    pub fn respond(mut self, request_id: &str) -> Response {
        request_id.clone_into(&mut self.request_id);
        let (status, _) = self.code.told();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if matches!(self.code, Code::Unavailable | Code::TooManyStreams) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Without line ends and control characters, at most as long as a person reads.
#[must_use]
pub fn one_line(text: &str) -> String {
    let flat = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = flat.take(MAX_DETAIL_CHARS).collect();
    if text.chars().nth(MAX_DETAIL_CHARS).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::UnknownName(_) => Code::UnknownName,
            Refusal::BadContent(_) => Code::RefusedContent,
            Refusal::Conflict(_) => Code::Conflict,
            Refusal::NotAllowed(_) => Code::NotAllowed,
            Refusal::Unavailable(_) => Code::Unavailable,
            Refusal::Internal(_) => Code::Internal,
        };
        Self::new(code, &refusal.to_string())
    }
}

impl IntoResponse for Problem {
    /// Carries the problem to the outermost layer, which knows the request id and renders it there.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.told().0;
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_line_and_bounded() {
        let problem = Problem::new(Code::RefusedContent, &format!("a\nb\u{1b}[31m{}", "x".repeat(2_000)));
        assert_eq!(problem.detail.chars().count(), MAX_DETAIL_CHARS);
        assert!(!problem.detail.contains(char::is_control));
        assert!(problem.detail.ends_with('…'));
        assert_eq!(problem.status, 422);
    }
}
