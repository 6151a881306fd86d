//! `POST /hooks/{id}`, and nothing else: a delivery is on disk before its 202.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use cutover_events::delivery::{Change, ChangeKind, DeliveryReceived};
use cutover_events::{Actor, Cause, DeliveryId, Digest, Event, HookId, Key, Sealed, StreamId};
use http::HeaderMap;
use tokio_util::task::TaskTracker;

use super::Refusal;
use super::answer::{Taken, wrong_method};
use super::bodies::Bodies;
use super::hints::Hints;
use super::hooks::{Hook, HookBook};
use super::providers::{self, Call, Claimed};
use super::receive::{Received, Room};
use super::recent::Recent;
use crate::clock::Clock;
use crate::crash;
use crate::store::{Append, AppendError, Expected, Log};

/// Longest body that is verified and read between two waits, in bytes: 64 KiB take a tenth of a millisecond, 25 MiB
/// would hold up everything else on that core.
const INLINE_BYTES: usize = 64 * 1024;

/// What the listener works with.
pub struct Intake {
    /// Where deliveries become durable.
    pub log: Arc<dyn Log>,
    /// Which hooks there are.
    pub hooks: Arc<dyn HookBook>,
    /// Where raw bodies are kept.
    pub bodies: Arc<dyn Bodies>,
    /// Ids and time.
    pub clock: Clock,
    /// Told of every new delivery.
    pub hints: Hints,
    /// What was counted since the start.
    pub figures: Figures,
    room: Room,
    recent: Recent,
    writing: TaskTracker,
}

/// A verified call.
struct Verified {
    call: Call,
    secret: u8,
    digest: Digest,
    received: Received,
}

/// Calls since the start; refused ones are counted here and are no event.
#[derive(Default, Debug)]
pub struct Figures {
    /// Durable and answered 202 or 200.
    pub accepted: AtomicU64,
    /// Known before.
    pub duplicate: AtomicU64,
    /// 401.
    pub unsigned: AtomicU64,
    /// Any other 4xx.
    pub refused: AtomicU64,
    /// 503.
    pub busy: AtomicU64,
    /// Accepted although the raw body could not be kept.
    pub bodies_lost: AtomicU64,
}

impl Intake {
    /// An intake with the usual memory for bodies.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, hooks: Arc<dyn HookBook>, bodies: Arc<dyn Bodies>, clock: Clock) -> Self {
        let (hints, figures, room, recent, writing) = Default::default();
        Self { log, hooks, bodies, clock, hints, figures, room, recent, writing }
    }

    /// The same with another memory for bodies.
    #[must_use]
    pub fn with_room(mut self, room: Room) -> Self {
        self.room = room;
        self
    }
}

/// Serves `POST /hooks/{id}`; every other path is 404, every other method 405.
pub fn router(intake: Arc<Intake>) -> Router {
    Router::new()
        .route("/hooks/{id}", post(take).fallback(|| async { wrong_method() }))
        .fallback(|| async { Refusal::UnknownHook.into_response() })
        .with_state(intake)
}

async fn take(State(intake): State<Arc<Intake>>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    intake.handle(&id, headers, body).await
}

impl Intake {
    /// Takes one call, from its address to its answer. Once it is verified it is written down to its end, whether or
    /// not the sender waits for the answer.
    pub async fn handle(self: Arc<Self>, id: &str, headers: HeaderMap, body: Body) -> Response {
        let outcome = self.clone().take(id, headers, body).await;
        self.count(&outcome);
        match outcome {
            Ok(taken) => taken.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    /// Waits until what senders no longer wait for is written too: at the end of the process, after the last call.
    pub async fn finish(&self) {
        self.writing.close();
        self.writing.wait().await;
    }

    async fn take(self: Arc<Self>, id: &str, headers: HeaderMap, body: Body) -> Result<Taken, Refusal> {
        let id: HookId = id.parse().map_err(|_| Refusal::UnknownHook)?;
        let hook = self.hooks.find(id).ok_or(Refusal::UnknownHook)?;
        let claimed = providers::claimed(&hook.provider, &headers)?;
        let received = self.room.receive(&headers, body, providers::limit(&hook.provider)).await?;
        let of = hook.clone();
        let verified = match received.body.len() {
            0..=INLINE_BYTES => verified(&of, &claimed, &headers, received)?,
            _ => tokio::task::spawn_blocking(move || verified(&of, &claimed, &headers, received))
                .await
                .map_err(|_| broken())??,
        };
        // A sender that hangs up must not end this between the log and the hint.
        let writing = self.writing.clone();
        writing.spawn(async move { self.keep(&hook, verified).await }).await.map_err(|_| broken())?
    }

    /// Writes the body beside the log and the delivery into it.
    async fn keep(&self, hook: &Hook, verified: Verified) -> Result<Taken, Refusal> {
        let Verified { call, secret, digest, received } = verified;
        let delivery = DeliveryId::from_ulid(self.clock.ulid());
        let sender_id = call.sender_id.unwrap_or_else(|| self.recent.sender_id(hook.id, digest, self.clock.stamp()));
        let note = note(&call.event, &call.items);
        let append = Append {
            stream: StreamId::Hook(hook.id),
            expected: Expected::Any,
            cause: Cause::Delivery(delivery),
            actor: Actor::Hook(hook.id),
            key: Some(Key::Delivery { hook: hook.id, sender_id: sender_id.clone() }),
            events: vec![
                DeliveryReceived {
                    delivery,
                    hook: hook.id,
                    sender_id,
                    event: call.event,
                    body: digest,
                    items: call.items,
                    secret,
                    lists: call.lists,
                }
                .into(),
            ],
        };
        let point = crash::before(|| crash::append(&append.events));
        let (kept, appended) = tokio::join!(self.bodies.keep(digest, received.body.clone()), self.log.append(append));
        if let Err(error) = kept {
            self.figures.bodies_lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, %delivery, "the body of a delivery could not be kept");
        }
        match appended {
            Ok(_) => {
                point.after();
                self.hints.give(hook.id);
                Ok(note.map_or(Taken::Accepted(delivery), |note| Taken::Noted(delivery, note)))
            }
            Err(AppendError::Duplicate { original }) => Ok(Taken::Duplicate(first_id(&original, delivery))),
            Err(error) => Err(not_appended(hook.id, &error)),
        }
    }

    fn count(&self, outcome: &Result<Taken, Refusal>) {
        let counter = match outcome {
            Ok(Taken::Duplicate(_)) => &self.figures.duplicate,
            Ok(_) => &self.figures.accepted,
            Err(Refusal::Unsigned(_)) => &self.figures.unsigned,
            Err(Refusal::Busy(_)) => &self.figures.busy,
            Err(_) => &self.figures.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Err(refusal) = outcome {
            tracing::debug!(status = refusal.status().as_u16(), %refusal, "a call of a hook was refused");
        }
    }
}

/// Who signed a call, and what it says.
fn verified(hook: &Hook, claimed: &Claimed, headers: &HeaderMap, received: Received) -> Result<Verified, Refusal> {
    let secret = providers::verify(claimed, &received.body, &hook.secrets)?;
    let call = providers::parse(&hook.provider, claimed, headers, &received.body)?;
    Ok(Verified { call, secret, digest: Digest::of(&received.body), received })
}

/// A task has panicked, or the process ends.
fn broken() -> Refusal {
    Refusal::Busy("the engine restarts".into())
}

/// What is known already to deploy nothing.
fn note(event: &str, items: &[Change]) -> Option<String> {
    let all = |kind| items.iter().all(|change: &Change| change.kind == kind);
    match () {
        () if all(ChangeKind::Ping) => Some("the hook works".into()),
        () if all(ChangeKind::Other) => Some(format!("ignored: an event \"{event}\" does not deploy")),
        () => None,
    }
}

/// The id under which the delivery was taken first.
fn first_id(original: &Sealed, ours: DeliveryId) -> DeliveryId {
    let of = |event: &Event| match event {
        Event::DeliveryReceived(received) => Some(received.delivery),
        _ => None,
    };
    original.commit.events.iter().find_map(of).unwrap_or(ours)
}

fn not_appended(hook: HookId, error: &AppendError) -> Refusal {
    match error {
        AppendError::Codec(_) => Refusal::unreadable("the delivery says more than 64 KiB about what has changed"),
        AppendError::NoRoom => Refusal::Busy("no space is left for the log".into()),
        AppendError::Poisoned(_) | AppendError::Conflict { .. } | AppendError::Duplicate { .. } => {
            tracing::error!(%hook, %error, "a delivery could not be written");
            broken()
        }
    }
}
