//! What a handler is given: every part of a request is checked here, and every refusal is a problem.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use bytes::Bytes;
use cutover_domain::file::check;
use cutover_events::{Actor, BadId, DeploymentId, Digest, ReleaseId};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::Caller;
use super::backend::{AskKey, Asker, HookName, RollbackTo, SecretName, WorkloadName};
use super::problem::{Code, Problem};
use super::state::ApiState;

/// Characters of a reason: as many as of any line for a person in the log.
const MAX_REASON_CHARS: usize = 400;
/// Characters of an idempotency key: a UUID or a CI run with room to spare, short enough to be stored with every wish.
pub const MAX_KEY_CHARS: usize = 128;
/// Characters of what names a version: the longest reference with its digest.
const MAX_NAME_CHARS: usize = 400;
/// Bytes of a request's body: a workload file of 1 MiB in its canonical form, with every character escaped.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are read and dropped of a body that is too large: a file sent by mistake, not an endless one.
const MAX_DROPPED_BYTES: usize = 64 * 1024 * 1024;
/// How long they are read.
const MAX_DROPPING: Duration = Duration::from_secs(5);
/// The longest that one request waits; a client that wants more asks again.
pub const MAX_WAIT: Duration = Duration::from_secs(60);
/// Header of the client's own key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A JSON body, or nothing where everything has a default.
pub struct Body<T>(pub T);

/// A wish: who asks, the body, and the key over both.
pub struct Wish<T> {
    /// Who asks.
    pub asker: Asker,
    /// What is asked.
    pub ask: T,
}

/// Parameters of the query.
pub struct Params<T>(pub T);

/// The parts of the path.
pub struct Segments<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        if request.headers().get(header::CONTENT_TYPE).is_none() && is_empty(request.headers()) {
            let nothing = serde_json::from_str("{}");
            return nothing.map(Self).map_err(|e| Problem::new(Code::BadRequest, &format!("the body is missing: {e}")));
        }
        let request = read_whole(request).await?;
        let Json(body) = Json::<T>::from_request(request, state).await.map_err(|e| json_problem(&e))?;
        Ok(Self(body))
    }
}

/// The request with its body read. Of a body that is too large the rest is read and dropped, within bounds: a
/// connection that is closed while its client still writes takes the answer along.
async fn read_whole(request: Request) -> Result<Request, Problem> {
    let (parts, mut body) = request.into_parts();
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| bad_request(format_args!("the body broke off: {e}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > MAX_BODY_BYTES {
            drop(tokio::time::timeout(MAX_DROPPING, drop_rest(body)).await);
            return Err(Problem::new(Code::TooLarge, &format!("the body is larger than {MAX_BODY_BYTES} bytes")));
        }
        read.extend_from_slice(&data);
    }
    // An array would be read as the values of an object, in the order of its fields: `[]` would be a whole wish.
    if read.trim_ascii_start().first() == Some(&b'[') {
        return Err(bad_request("the body is an array; expected an object"));
    }
    Ok(Request::from_parts(parts, read.into()))
}

pub(super) async fn drop_rest(mut body: axum::body::Body) {
    let mut dropped = 0;
    while let Some(Ok(frame)) = body.frame().await {
        dropped += frame.data_ref().map_or(0, Bytes::len);
        if dropped > MAX_DROPPED_BYTES {
            return;
        }
    }
}

fn is_empty(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.is_none_or(|length| length == "0") && headers.get(header::TRANSFER_ENCODING).is_none()
}

fn json_problem(rejection: &JsonRejection) -> Problem {
    let code = match rejection {
        JsonRejection::MissingJsonContentType(_) => Code::UnsupportedMediaType,
        JsonRejection::JsonDataError(_) => Code::RefusedContent,
        _ => Code::BadRequest,
    };
    Problem::new(code, &rejection.body_text())
}

impl<T: DeserializeOwned + Serialize> FromRequest<ApiState> for Wish<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let actor = actor(request.extensions().get::<Caller>())?;
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let key = client_key(request.headers())?;
        let Body(ask) = Body::<T>::from_request(request, state).await?;
        let asked = || digest(&method, &uri, &ask);
        let key = key.map(|key| known_by(state, key, asked())).transpose()?;
        Ok(Self { asker: Asker { actor, key }, ask })
    }
}

impl FromRequestParts<ApiState> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let actor = actor(parts.extensions.get::<Caller>())?;
        let key = client_key(&parts.headers)?;
        let asked = || digest(&parts.method, &parts.uri, &());
        let key = key.map(|key| known_by(state, key, asked())).transpose()?;
        Ok(Self { actor, key })
    }
}

fn actor(caller: Option<&Caller>) -> Result<Actor, Problem> {
    let caller = caller.ok_or_else(|| Problem::new(Code::Unauthenticated, "a token is needed here"))?;
    Ok(caller.0.clone())
}

/// A request may hold values that are short enough to be guessed: what is recorded of it is of no use without the engine's own
/// identity.
fn known_by(state: &ApiState, key: String, asked: Digest) -> Result<AskKey, Problem> {
    let request = state.backend()?.keyed(asked).map_err(Problem::from)?;
    Ok(AskKey { key, request })
}

/// What was asked, independent of how its JSON was written.
fn digest<T: Serialize>(method: &Method, uri: &Uri, ask: &T) -> Digest {
    let body = serde_json::to_string(ask).unwrap_or_default();
    Digest::of(format!("{method} {}\n{body}", uri.path()).as_bytes())
}

fn client_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    check_key(text).map_err(|text| Problem::new(Code::BadRequest, &text))?;
    Ok(Some(text.to_owned()))
}

/// Whether a text can be a client's key.
///
/// # Errors
/// It is empty, too long, or has other than visible ASCII characters.
pub fn check_key(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_KEY_CHARS || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("an idempotency key has 1 to {MAX_KEY_CHARS} visible ASCII characters without spaces"));
    }
    Ok(())
}

impl<T: DeserializeOwned + Send> FromRequestParts<ApiState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        found.map(|Query(params)| Self(params)).map_err(|e| Problem::new(Code::BadRequest, &e.body_text()))
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<ApiState> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(segments)| Self(segments)).map_err(|e| Problem::new(Code::BadRequest, &e.body_text()))
    }
}

/// A workload's name: `project/name`, or the name alone.
///
/// # Errors
/// A part is not well formed.
pub fn workload_name(text: &str) -> Result<WorkloadName, String> {
    let parts = text.split_once('/').map_or_else(|| vec![text], |(project, name)| vec![project, name]);
    for part in parts {
        check::name(part).map_err(|why| format!("\"{}\" is not the name of a workload: {why}", shown(text)))?;
    }
    Ok(WorkloadName(text.to_owned()))
}

/// Why something is frozen: one line for those who look later.
///
/// # Errors
/// It is longer than a line for a person, or has control characters.
pub fn freeze_reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > MAX_REASON_CHARS || text.chars().any(char::is_control) {
        return Err(format!("a reason is one line of at most {MAX_REASON_CHARS} characters"));
    }
    Ok(text.to_owned())
}

/// A hook by name or id.
///
/// # Errors
/// It is neither.
pub fn hook_name(text: &str) -> Result<HookName, String> {
    let id = text.starts_with(cutover_events::HookId::PREFIX);
    if id {
        text.parse::<cutover_events::HookId>().map_err(|e| e.to_string())?;
    } else {
        check::name(text).map_err(|why| format!("\"{}\" is not the name of a hook: {why}", shown(text)))?;
    }
    Ok(HookName(text.to_owned()))
}

/// A secret of a project.
///
/// # Errors
/// A part is not well formed.
pub fn secret_name(project: &str, name: &str) -> Result<SecretName, String> {
    let project = check::name(project).map_err(|why| format!("not the name of a project: {why}"))?;
    Ok(SecretName { project, name: check::secret(name)? })
}

/// Where a rollback goes to.
///
/// # Errors
/// A release or deployment whose id is not well formed, or a name that none can have.
pub fn rollback_to(text: Option<&str>) -> Result<RollbackTo, String> {
    let Some(text) = text else { return Ok(RollbackTo::Previous) };
    if text.starts_with(DeploymentId::PREFIX) {
        return text.parse().map(RollbackTo::Deployment).map_err(|e: BadId| e.to_string());
    }
    if text.starts_with(ReleaseId::PREFIX) {
        return text.parse().map(RollbackTo::Release).map_err(|e: BadId| e.to_string());
    }
    version_name(text).map(RollbackTo::Named)
}

/// What names a version: a release, tag, reference, commit, digest or time.
///
/// # Errors
/// It is empty, too long, or has other than printable ASCII characters.
pub fn version_name(text: &str) -> Result<String, String> {
    let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.trim().is_empty() || text.len() > MAX_NAME_CHARS || !printable || text.starts_with('-') {
        let shown = shown(text);
        return Err(format!(
            "\"{shown}\" names no version: expected a release (rel_…), a deployment (dep_…), a tag, a commit, a digest or \
             a time"
        ));
    }
    Ok(text.trim().to_owned())
}

fn shown(text: &str) -> String {
    super::problem::one_line(text).chars().take(80).collect()
}

pub(super) fn refused(text: String) -> Problem {
    Problem::new(Code::RefusedContent, &text)
}

pub(super) fn bad_request(text: impl std::fmt::Display) -> Problem {
    Problem::new(Code::BadRequest, &text.to_string())
}
