//! The stream of Docker's events, as hints: what they say is looked up, never believed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, EventsOptionsBuilder};
use cutover_events::LogId;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::super::labels as keys;
use super::client::{Client, text};
use super::{Hint, RuntimeError};
use crate::clock::Clock;

/// Hints that may wait for the engine; a full channel holds the stream back, Docker keeps 256 events itself.
pub(super) const WAITING: usize = 256;
/// A stream of a daemon that hangs stays silently open for ever: only a ping beside it tells.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// First wait after the stream broke.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait: a daemon that comes back is noticed within this time.
const BACKOFF_LAST: Duration = Duration::from_secs(5);
/// Events that change what an engine would do; health checks of others would fill Docker's ring otherwise.
const ACTIONS: [&str; 11] =
    ["create", "start", "restart", "die", "oom", "destroy", "pause", "unpause", "health_status", "update", "rename"];

/// Reports until the receiver is dropped; reconnects by itself.
pub(super) async fn watch(client: Client, clock: Clock, log: LogId, sender: mpsc::Sender<Hint>) {
    let mut backoff = BACKOFF_FIRST;
    while !sender.is_closed() {
        match follow(&client, clock, log, &sender).await {
            Ended::Dropped => return,
            Ended::Broke { heard, why } => {
                tracing::info!(%why, "the stream of Docker's events ended: it is opened again");
                if heard && sender.send(Hint::Lost).await.is_err() {
                    return;
                }
                backoff = if heard { BACKOFF_FIRST } else { (backoff * 2).min(BACKOFF_LAST) };
            }
        }
        tokio::select! {
            () = sleep(backoff) => {}
            () = sender.closed() => return,
        }
    }
}

enum Ended {
    /// Nobody listens any more.
    Dropped,
    /// The daemon went away or hangs; whether it had answered before.
    Broke { heard: bool, why: RuntimeError },
}

/// One connection. Events since its beginning are replayed, so nothing is missed between opening and looking.
async fn follow(client: &Client, clock: Clock, log: LogId, sender: &mpsc::Sender<Hint>) -> Ended {
    let since = clock.stamp().wall_ms / 1000;
    let docker = match (client.ping().await, client.docker()) {
        (Ok(()), Ok(docker)) => docker,
        (Err(why), _) | (_, Err(why)) => return Ended::Broke { heard: false, why },
    };
    if sender.send(Hint::LookAtAll).await.is_err() {
        return Ended::Dropped;
    }
    let mut events = std::pin::pin!(docker.events(Some(options(log, since))));
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = sender.closed() => return Ended::Dropped,
            event = events.next() => match event {
                Some(Ok(event)) => if sender.send(hint(&event)).await.is_err() { return Ended::Dropped },
                Some(Err(error)) => return Ended::Broke { heard: true, why: RuntimeError::Unavailable(text(&error)) },
                None => return Ended::Broke { heard: true, why: RuntimeError::Unavailable("it ended".to_owned()) },
            },
            _ = heartbeat.tick() => if let Err(why) = client.ping().await {
                return Ended::Broke { heard: true, why };
            },
        }
    }
}

fn options(log: LogId, since: u64) -> EventsOptions {
    let filters = HashMap::from([
        ("type", vec!["container".to_owned()]),
        ("label", vec![format!("{}={log}", keys::LOG)]),
        ("event", ACTIONS.map(str::to_owned).into()),
    ]);
    EventsOptionsBuilder::new().since(&since.to_string()).filters(&filters).build()
}

/// Whose container it was; a damaged label means that anybody's may have changed.
fn hint(event: &EventMessage) -> Hint {
    let attributes = event.actor.as_ref().and_then(|actor| actor.attributes.as_ref());
    let workload = attributes.and_then(|attributes| attributes.get(keys::WORKLOAD)).and_then(|text| text.parse().ok());
    workload.map_or(Hint::LookAtAll, Hint::Workload)
}
