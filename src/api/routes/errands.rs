//! Programs of people: a request that becomes a connection of frames.

use axum::body::Body as HttpBody;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::api::backend::Asker;
use crate::api::problem::Problem;
use crate::api::request::{Body, Segments, bad_request, refused, workload_name};
use crate::api::state::ApiState;
use crate::api::views::{ExecAsk, RunAsk, TerminalAsk};
use crate::execution::errands::frame::PROTOCOL;
use crate::execution::errands::{Asked, Duplex, Where, Wire};

/// Bytes of a command with its arguments: what Linux takes of one argument.
const MAX_COMMAND_BYTES: usize = 128 * 1024;

/// The connection of a request that asks to be upgraded to frames.
pub(super) struct Upgrade(Wire);

impl FromRequestParts<ApiState> for Upgrade {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &ApiState) -> Result<Self, Problem> {
        let asked = parts.headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
        let asked = asked.is_some_and(|value| value.eq_ignore_ascii_case(PROTOCOL));
        let upgrade = parts.extensions.remove::<OnUpgrade>().filter(|_| asked);
        let upgrade = upgrade.ok_or_else(|| {
            bad_request(format!(
                "this is a connection of frames: send \"Connection: upgrade\" and \"Upgrade: {PROTOCOL}\""
            ))
        })?;
        let wire = async move {
            let upgraded = upgrade.await.map_err(std::io::Error::other)?;
            Ok(Box::new(TokioIo::new(upgraded)) as Box<dyn Duplex>)
        };
        Ok(Self(wire.boxed()))
    }
}

/// Runs a program in a container that serves. Answered with 101, after which the connection carries frames: a byte of
/// kind, four of length (big endian), the payload; see docs/exec-and-run.md.
#[utoipa::path(post, path = "/workloads/{workload}/exec", tag = "workloads", request_body = ExecAsk,
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    responses((status = 101, description = "frames of cutover-errand")))]
pub(super) async fn exec(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asker: Asker,
    Upgrade(wire): Upgrade,
    Body(ask): Body<ExecAsk>,
) -> Result<Response, Problem> {
    let place = Where::Inside(ask.process, ask.replica);
    begun(&state, (&name, None, asker), (asked(ask.command, ask.terminal, place)?, wire)).await
}

/// Runs a program in a container of its own, made of what serves and removed afterwards. Answered as `exec` is.
#[utoipa::path(post, path = "/workloads/{workload}/run", tag = "workloads", request_body = RunAsk,
    params(("workload" = String, Path, description = "project%2Fname, or the name alone")),
    responses((status = 101, description = "frames of cutover-errand")))]
pub(super) async fn run(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    asker: Asker,
    Upgrade(wire): Upgrade,
    Body(ask): Body<RunAsk>,
) -> Result<Response, Problem> {
    begun(&state, (&name, ask.service, asker), (asked(ask.command, ask.terminal, Where::Alone)?, wire)).await
}

fn asked(command: Vec<String>, terminal: Option<TerminalAsk>, place: Where) -> Result<Asked, Problem> {
    check_command(&command).map_err(refused)?;
    Ok(Asked { command, terminal: terminal.map(|size| (size.columns, size.rows)), place })
}

/// Whether a command can be run at all.
///
/// # Errors
/// It names no program, is too long, or holds what no argument can.
fn check_command(command: &[String]) -> Result<(), String> {
    if command.first().is_none_or(String::is_empty) {
        return Err("no program is named: a command is a program and its arguments".to_owned());
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Err("an argument holds a zero byte, which none can".to_owned());
    }
    if command.iter().map(String::len).sum::<usize>() > MAX_COMMAND_BYTES {
        return Err(format!("the command is longer than {MAX_COMMAND_BYTES} bytes: send the rest through its input"));
    }
    Ok(())
}

async fn begun(
    state: &ApiState,
    (name, service, asker): (&str, Option<String>, Asker),
    what: (Asked, Wire),
) -> Result<Response, Problem> {
    let name = workload_name(name).map_err(refused)?;
    state.backend()?.errand(asker, (name, service), what).await?;
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}
