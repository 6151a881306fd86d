//! What has happened, and why.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use cutover_events::kind::CATALOGUE;
use cutover_events::{DeliveryId, DeploymentId, ReleaseId};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::{About, Filter, Span};
use crate::api::problem::Problem;
use crate::api::request::{Params, bad_request, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::stream;
use crate::api::views::{EventsPage, ExplainView};

/// Events of one page when nobody says how many.
const DEFAULT_LIMIT: usize = 100;
/// The most events of one page: what is answered in milliseconds.
const MAX_LIMIT: usize = 1_000;

/// Which events are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only events after this position; 0 when missing. A stream also takes the header `Last-Event-ID`.
    after: Option<u64>,
    /// At most 1000; 100 when missing.
    limit: Option<usize>,
    /// Only of this workload.
    workload: Option<String>,
    /// Only of this deployment.
    deployment: Option<String>,
    /// Only of these kinds, separated by commas.
    #[param(example = "Swapped,DeploymentFailed")]
    kind: Option<String>,
}

/// Events, oldest first: a page of JSON, or with `Accept: text/event-stream` a stream that follows the log.
#[utoipa::path(get, path = "/events", tag = "events", params(Which),
    responses((status = 200, description = "a page, or a stream", content(
        (EventsPage = "application/json"), (String = "text/event-stream")))))]
pub(super) async fn events(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    let filter = filter(&which)?;
    let streams = |value: &axum::http::HeaderValue| value.to_str().is_ok_and(|v| v.contains("text/event-stream"));
    if headers.get(header::ACCEPT).is_some_and(streams) {
        let last = last_event_id(&headers)?;
        return stream::follow(&state, filter, last.or(which.after).unwrap_or(0)).await;
    }
    let span =
        Span { after: which.after.unwrap_or(0), limit: which.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) };
    Ok(Json(state.backend()?.events(filter, span).await?).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    position.map(Some).ok_or_else(|| bad_request("Last-Event-ID is not a position: expected a number"))
}

fn filter(which: &Which) -> Result<Filter, Problem> {
    let workload = which.workload.as_deref().map(workload_name).transpose().map_err(refused)?;
    let deployment = which.deployment.as_deref().map(str::parse).transpose().map_err(bad_request)?;
    let kinds: Vec<String> = which.kind.iter().flat_map(|kinds| kinds.split(',')).map(str::to_owned).collect();
    for kind in &kinds {
        if !CATALOGUE.iter().any(|known| known.name == kind) {
            let shown: String = kind.chars().take(40).collect();
            return Err(bad_request(format!("\"{shown}\" is not a kind of event; see events/README.md")));
        }
    }
    Ok(Filter { workload, deployment, kinds })
}

/// What is to be explained.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Subject {
    /// A workload, or the id of a deployment, a release or a delivery.
    about: String,
}

/// Why something is as it is, or why it did not happen: the chain of causes.
#[utoipa::path(get, path = "/explain", tag = "events", params(Subject),
    responses((status = 200, body = ExplainView)))]
pub(super) async fn explain(
    State(state): State<ApiState>,
    Params(subject): Params<Subject>,
) -> Result<Json<ExplainView>, Problem> {
    Ok(Json(state.backend()?.explain(about(&subject.about)?).await?))
}

fn about(text: &str) -> Result<About, Problem> {
    if text.starts_with(DeploymentId::PREFIX) {
        return text.parse().map(About::Deployment).map_err(bad_request);
    }
    if text.starts_with(ReleaseId::PREFIX) {
        return text.parse().map(About::Release).map_err(bad_request);
    }
    if text.starts_with(DeliveryId::PREFIX) {
        return text.parse().map(About::Delivery).map_err(bad_request);
    }
    workload_name(text).map(About::Workload).map_err(refused)
}
