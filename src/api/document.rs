//! The router and its OpenAPI document, from one place.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::problem::{PROBLEM_JSON, Problem};
use super::request::MAX_BODY_BYTES;
use super::state::ApiState;
use super::{auth, layers, routes};

/// Where the API begins; a change that breaks clients gets another one.
pub const PREFIX: &str = "/api/v1";

/// The router of the whole API.
pub fn router(state: ApiState) -> Router {
    let (router, _) = parts(state.clone()).split_for_parts();
    router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .fallback(layers::no_such_path)
        .method_not_allowed_fallback(layers::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), layers::surround))
        .with_state(state)
}

/// The OpenAPI 3.1 document, as it is committed: pretty, with a line end.
///
/// # Errors
/// Only for a document that is not JSON, which a test excludes.
pub fn openapi_json() -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(&openapi())?;
    text.push('\n');
    Ok(text)
}

fn parts(state: ApiState) -> OpenApiRouter<ApiState> {
    let guarded = routes::guarded().layer(from_fn_with_state(state, auth::authenticate));
    OpenApiRouter::with_openapi(skeleton()).nest(PREFIX, guarded).merge(routes::open())
}

pub(super) fn openapi() -> OpenApi {
    let mut document = OpenApiRouter::<ApiState>::with_openapi(skeleton())
        .nest(PREFIX, routes::guarded())
        .merge(routes::open())
        .into_openapi();
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let problem = ResponseBuilder::new().description("A problem (RFC 9457)").content(PROBLEM_JSON, content);
            operation.responses.responses.insert("default".to_owned(), problem.build().into());
            if !path.starts_with(PREFIX) {
                operation.security = Some(Vec::new());
            }
        }
    }
    document
}

fn skeleton() -> OpenApi {
    let text = "Deployments as durable wishes: every wish that is answered is on disk, keeps its id to the end, and \
                every event can be asked for afterwards. The local socket `engine.sock` needs no token; TCP needs one. \
                A workload is named `project/name` (the slash percent-encoded as `%2F` in a path), or by its name \
                alone where that is unambiguous. POST takes an `Idempotency-Key`: the same key returns what the \
                first call with it came to.";
    let info = InfoBuilder::new()
        .title("Cutover")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(text))
        .license(Some(utoipa::openapi::LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("`cut_…`, needed over TCP"));
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    let components = ComponentsBuilder::new()
        .security_scheme("token", SecurityScheme::Http(scheme.build()))
        .schemas_from_iter(schemas)
        .build();
    let either = [SecurityRequirement::new::<_, [&str; 0], &str>("token", []), SecurityRequirement::default()];
    OpenApiBuilder::new().info(info).components(Some(components)).security(Some(either)).build()
}
