//! Secrets of projects. Values go in; no answer has one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::backend::Asker;
use crate::api::problem::Problem;
use crate::api::request::{Params, Segments, Wish, refused, secret_name};
use crate::api::state::ApiState;
use crate::api::views::{RekeyedView, SecretView, SecretsAsk, SecretsSetView, SecretsView};

/// Whose secrets are asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfProject {
    /// Only those of one project.
    project: Option<String>,
}

/// Every secret, without values: names, versions, and which workloads need them.
#[utoipa::path(get, path = "/secrets", tag = "secrets", params(OfProject),
    responses((status = 200, body = SecretsView)))]
pub(super) async fn list(
    State(state): State<ApiState>,
    Params(of): Params<OfProject>,
) -> Result<Json<SecretsView>, Problem> {
    Ok(Json(state.backend()?.secrets(of.project).await?))
}

/// Sets values, all of them or none. A value that a secret has already makes no new version. An `Idempotency-Key` is not
/// kept: its digest of the request would be one of the values.
#[utoipa::path(post, path = "/projects/{project}/secrets", tag = "secrets",
    params(("project" = String, Path, description = "name of the project")), request_body = SecretsAsk,
    responses((status = 200, body = SecretsSetView)))]
pub(super) async fn set(
    State(state): State<ApiState>,
    Segments(project): Segments<String>,
    Wish { asker, ask }: Wish<SecretsAsk>,
) -> Result<Json<SecretsSetView>, Problem> {
    Ok(Json(state.backend()?.secrets_set(asker, project, ask).await?))
}

/// One secret with all versions that are kept, without values.
#[utoipa::path(get, path = "/projects/{project}/secrets/{secret}", tag = "secrets",
    params(("project" = String, Path, description = "name of the project"),
        ("secret" = String, Path, description = "name of the secret")),
    responses((status = 200, body = SecretView)))]
pub(super) async fn secret(
    State(state): State<ApiState>,
    Segments((project, secret)): Segments<(String, String)>,
) -> Result<Json<SecretView>, Problem> {
    let name = secret_name(&project, &secret).map_err(refused)?;
    Ok(Json(state.backend()?.secret(name).await?))
}

/// Removes a secret with all of its versions; refused while a workload needs it.
#[utoipa::path(delete, path = "/projects/{project}/secrets/{secret}", tag = "secrets",
    params(("project" = String, Path, description = "name of the project"),
        ("secret" = String, Path, description = "name of the secret")),
    responses((status = 204)))]
pub(super) async fn remove(
    State(state): State<ApiState>,
    Segments((project, secret)): Segments<(String, String)>,
    asker: Asker,
) -> Result<StatusCode, Problem> {
    let name = secret_name(&project, &secret).map_err(refused)?;
    state.backend()?.secret_remove(asker, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Seals every value of a project with a new identity, and destroys the old one.
#[utoipa::path(post, path = "/projects/{project}/rekey", tag = "secrets",
    params(("project" = String, Path, description = "name of the project")),
    responses((status = 200, body = RekeyedView)))]
pub(super) async fn rekey(
    State(state): State<ApiState>,
    Segments(project): Segments<String>,
    asker: Asker,
) -> Result<Json<RekeyedView>, Problem> {
    Ok(Json(state.backend()?.secrets_rekey(asker, project).await?))
}
