//! Output of containers, as a stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;

use crate::api::backend::OutputAsk;
use crate::api::problem::Problem;
use crate::api::request::{Params, Segments, refused, workload_name};
use crate::api::state::{ApiState, Readiness};
use crate::api::views::OutputLine;
use crate::execution::following::Goes;

/// Between two signs of life on a silent stream: below the 60 s after which proxies cut.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The most lines of what one container has printed before.
const MAX_TAIL: u32 = 100_000;

/// Which output is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of this process, or this service of a stack; the workload's name for the workload itself. Of all when missing.
    process: Option<String>,
    /// Of this replica, from 1 on; of all when missing.
    replica: Option<u16>,
    /// Lines of what each container has printed before; all when missing.
    tail: Option<u32>,
    /// Nothing before this time: how long ago, as in `10m`, or a time in UTC.
    since: Option<String>,
    /// Nothing at this time or before, ns since 1970: the `at_ns` of a line, to go on after it.
    #[serde(default)]
    after: u64,
    /// Whether it goes on with what is printed, across deployments.
    #[serde(default)]
    follow: bool,
}

/// Output of the containers that serve, of blue and then of green when it is followed: a stream of `OutputLine`. Its last
/// event is `end` when there is no more to come, `bye` when the engine stops: ask again with `after`.
#[utoipa::path(get, path = "/workloads/{workload}/output", tag = "workloads",
    params(("workload" = String, Path, description = "project%2Fname, or the name alone"), Which),
    responses((status = 200, description = "a stream", content((OutputLine = "text/event-stream")))))]
pub(super) async fn output(
    State(state): State<ApiState>,
    Segments(name): Segments<String>,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    let name = workload_name(&name).map_err(refused)?;
    let permit = state.stream()?;
    let ask = OutputAsk {
        process: which.process,
        replica: which.replica,
        tail: which.tail.map(|lines| lines.min(MAX_TAIL)),
        since: which.since,
        after_ns: which.after,
        on: if which.follow { Goes::On } else { Goes::NoFurther },
    };
    let lines = state.backend()?.output(name, ask).await?;
    let readiness = state.readiness.clone();
    let events = stream::unfold(Some((lines, readiness, permit)), |held| async {
        let (mut lines, mut readiness, permit) = held?;
        match next(&mut lines, &mut readiness).await {
            Ok(event) => Some((Ok::<_, Infallible>(event), Some((lines, readiness, permit)))),
            Err(last) => Some((Ok(last), None)),
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// The next line; the last event where there is none.
async fn next(
    lines: &mut BoxStream<'static, OutputLine>,
    readiness: &mut watch::Receiver<Readiness>,
) -> Result<Event, Event> {
    tokio::select! {
        line = lines.next() => match line {
            Some(line) => Ok(Event::default().data(serde_json::to_string(&line).unwrap_or_default())),
            None => Err(Event::default().event("end").data("there is no more")),
        },
        _ = readiness.wait_for(|now| matches!(now, Readiness::Stopping)) => {
            Err(Event::default().event("bye").data("the engine stops"))
        }
    }
}
