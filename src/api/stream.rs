//! Live events: a page at a time, then a wait for the head, for as long as the client reads.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::backend::{Backend, Filter, Refusal, Span};
use super::problem::Problem;
use super::state::{ApiState, Readiness};
use super::views::EventLine;

/// Events that a stream holds in memory: one page, whatever the client's speed.
const PAGE: usize = 256;
/// Between two signs of life on a silent stream: below the 60 s after which proxies cut.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

struct Follow {
    backend: Arc<dyn Backend>,
    readiness: watch::Receiver<Readiness>,
    head: watch::Receiver<u64>,
    filter: Filter,
    after: u64,
    waiting: VecDeque<EventLine>,
    stage: Stage,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Following,
    Over,
}

/// A stream of events after a position, without an end of its own; it says `bye` when the engine stops.
///
/// # Errors
/// The engine is not ready, does not know what is filtered by, or too many streams are open.
pub(super) async fn follow(state: &ApiState, filter: Filter, after: u64) -> Result<Response, Problem> {
    let backend = state.backend()?;
    let permit = state.stream()?;
    let head = backend.head();
    let page = backend.events(filter.clone(), Span { after, limit: PAGE }).await?;
    let follow = Follow {
        head,
        readiness: state.readiness.clone(),
        backend,
        filter,
        after: after.max(page.next_after),
        waiting: VecDeque::from(page.items),
        stage: Stage::Greeting,
        _permit: permit,
    };
    let events = stream::unfold(follow, next);
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

async fn next(mut follow: Follow) -> Option<(Result<Event, Infallible>, Follow)> {
    match follow.stage {
        Stage::Greeting => {
            follow.stage = Stage::Following;
            Some((Ok(Event::default().retry(RETRY).comment("following")), follow))
        }
        Stage::Over => None,
        Stage::Following => {
            let frame = match follow.next_line().await {
                Ok(Some(line)) => frame(&line),
                Ok(None) => follow.bye("the engine stops"),
                Err(refusal) => follow.bye(&refusal.to_string()),
            };
            Some((Ok(frame), follow))
        }
    }
}

impl Follow {
    /// The next event that matches; `None` when the engine stops.
    async fn next_line(&mut self) -> Result<Option<EventLine>, Refusal> {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Ok(Some(line));
            }
            let span = Span { after: self.after, limit: PAGE };
            let page = self.backend.events(self.filter.clone(), span).await?;
            self.after = self.after.max(page.next_after);
            self.waiting.extend(page.items);
            if self.waiting.is_empty() && self.after >= page.head && !self.grown().await {
                return Ok(None);
            }
        }
    }

    /// Waits until there is something new; `false` when the engine stops first.
    async fn grown(&mut self) -> bool {
        let after = self.after;
        tokio::select! {
            grown = self.head.wait_for(|head| *head > after) => grown.is_ok(),
            _ = self.readiness.wait_for(|now| matches!(now, Readiness::Stopping)) => false,
        }
    }

    fn bye(&mut self, why: &str) -> Event {
        self.stage = Stage::Over;
        Event::default().event("bye").data(super::problem::one_line(why))
    }
}

fn frame(line: &EventLine) -> Event {
    let data = serde_json::to_string(line).unwrap_or_default();
    Event::default().id(line.position.to_string()).data(data)
}
