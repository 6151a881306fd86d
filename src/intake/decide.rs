//! Decides deliveries in the order in which they came: verdicts into the hook's stream, then the intents.
//!
//! One worker for all hooks; while a repository is asked what a rule by path has to know, only the hook that asks waits. Ids
//! of intents are in the verdicts, so that whoever goes on after a crash appends the same intents under the same keys.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::rules::{self, Answers, Changed, Question, WorkloadRules};
use cutover_events::delivery::{DeliveryDecided, DeliveryReceived};
use cutover_events::{Actor, Cause, DeploymentId, Event, HookId, Key, StreamId};
use futures_util::future::join_all;

use super::asking::{Asking, Known};
use super::hints::Hints;
use super::hooks::HookBook;
use super::open::{OpenDeliveries, Progress, TriggeredWish, decisions, wishes};
use crate::clock::Clock;
use crate::crash;
use crate::store::{Append, AppendError, Expected, Log, ReadError};

/// Decisions that are appended at once, a count: they share a sync of the log.
const BATCH: usize = 64;
/// Between two tries while the log has no room: it looks for room itself about as often.
const RETRY: Duration = Duration::from_secs(1);

/// Where intents go, and which rules there are.
#[async_trait]
pub trait Wishes: Send + Sync + 'static {
    /// The rules of every workload, as the newest spec revisions have them.
    fn rules(&self) -> Vec<WorkloadRules>;

    /// The paths that differ between what is deployed and a change, by the repository itself, within a bounded time.
    async fn changed(&self, question: &Question) -> Changed;

    /// The intent is in the log afterwards, under the wish's own key: a second call for the same wish changes nothing
    /// and succeeds.
    ///
    /// # Errors
    /// It is not in the log; the error says whether it can be later.
    async fn queue(&self, wish: TriggeredWish) -> Result<(), NotQueued>;
}

/// Why an intent is not in the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotQueued {
    /// It can be, when it is tried again.
    #[error("{0}; it is tried again")]
    Later(String),
    /// The workload does not take it any more; the decision stands as it is.
    #[error("{0}")]
    Refused(String),
    /// Nothing can be written by this process.
    #[error("{0}")]
    Final(String),
}

/// The worker cannot go on in this process: the engine has to end and be started again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("deliveries cannot be decided: {0}")]
pub struct Halt(pub String);

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

/// The worker.
pub struct Decider {
    log: Arc<dyn Log>,
    hooks: Arc<dyn HookBook>,
    wishes: Arc<dyn Wishes>,
    clock: Clock,
    hints: Hints,
    open: OpenDeliveries,
    asking: Asking,
}

impl Decider {
    /// A worker that begins with what `open` says; `hints` are those that the listener gives.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, hooks: Arc<dyn HookBook>, wishes: Arc<dyn Wishes>, clock: Clock) -> Self {
        let (hints, open, asking) = (Hints::default(), OpenDeliveries::default(), Asking::new(wishes.clone()));
        Self { log, hooks, wishes, clock, hints, open, asking }
    }

    /// Listens to these hints.
    #[must_use]
    pub fn listening(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// Begins with what was left open.
    #[must_use]
    pub fn beginning_with(mut self, open: OpenDeliveries) -> Self {
        self.open = open;
        self
    }

    /// Waits for the answers of repositories for so long, instead of 25 s, before what is not known is deployed.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.asking.patience = patience;
        self
    }

    /// Appends the intents that are missing and decides the deliveries that are open, at a start, before the API opens: all
    /// but those, and those behind them, about which a repository has to be asked. [`run`](Self::run) waits for its answers.
    ///
    /// # Errors
    /// The log cannot be read or written by this process any more.
    pub async fn settle(&mut self) -> Result<(), Halt> {
        let missing = self.open.take_missing();
        self.queue_all(missing).await?;
        for hook in self.open.hooks() {
            self.catch_up(hook).await?;
        }
        Ok(())
    }

    /// Decides what comes in, for as long as the log can be written.
    ///
    /// # Errors
    /// The log cannot be read or written by this process any more.
    pub async fn run(mut self) -> Result<Infallible, Halt> {
        self.settle().await?;
        loop {
            tokio::select! {
                hooks = self.hints.take() => {
                    for hook in hooks {
                        self.catch_up(hook).await?;
                    }
                }
                Some((hook, known)) = self.asking.next() => {
                    self.decide_waiting(hook, known).await?;
                    self.catch_up(hook).await?;
                }
            }
        }
    }

    /// Decides what the log holds of one hook, up to what a repository has to be asked about.
    async fn catch_up(&mut self, hook: HookId) -> Result<(), Halt> {
        while !self.asking.is_about(hook) {
            self.decide_waiting(hook, Known::default()).await?;
            let progress = self.open.read_on(&*self.log, hook).await?;
            let missing = self.open.take_missing();
            self.queue_all(missing).await?;
            if progress == Progress::AtEnd {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Decides deliveries in their order for as long as all that they have to know is known, and asks for the rest.
    async fn decide_waiting(&mut self, hook: HookId, known: Known) -> Result<(), Halt> {
        loop {
            let batch = self.open.first(hook, BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            let rules = self.wishes.rules();
            let name = self.hooks.find(hook).map(|hook| hook.name.clone()).unwrap_or_default();
            let questions: Vec<_> = batch.iter().map(|received| rules::questions(received, &name, &rules)).collect();
            let answers: Vec<Answers> = questions.iter().map_while(|asked| known.answers(asked)).collect();
            if answers.is_empty() {
                self.asking.begin(hook, known, questions.into_iter().flatten());
                return Ok(());
            }
            let ready = batch.iter().zip(&answers);
            let decided: Vec<_> =
                ready.map(|(received, answers)| self.decision(received, (&name, answers), &rules)).collect();
            let appended = join_all(batch.iter().zip(decided).map(|(received, events)| self.append(received, events)));
            for (received, events) in batch.iter().zip(appended.await) {
                self.queue_all(wishes(received, &events?)).await?;
                self.open.decided(hook, received.delivery);
            }
        }
    }

    fn decision(
        &self,
        received: &DeliveryReceived,
        (hook, answers): (&str, &Answers),
        rules: &[WorkloadRules],
    ) -> Vec<DeliveryDecided> {
        rules::decide(received, hook, rules, answers, &mut || DeploymentId::from_ulid(self.clock.ulid()))
    }

    /// Writes a decision, or finds the one that was written before; what the log holds comes back.
    async fn append(
        &self,
        received: &DeliveryReceived,
        decided: Vec<DeliveryDecided>,
    ) -> Result<Vec<DeliveryDecided>, Halt> {
        let append = Append {
            stream: StreamId::Hook(received.hook),
            expected: Expected::Any,
            events: decided.iter().cloned().map(Event::from).collect(),
            cause: Cause::Delivery(received.delivery),
            actor: Actor::Engine,
            key: Some(Key::Decision { delivery: received.delivery }),
        };
        loop {
            let point = crash::before(|| crash::append(&append.events));
            match self.log.append(append.clone()).await {
                Ok(_) => {
                    point.after();
                    return Ok(decided);
                }
                Err(AppendError::Duplicate { original }) => return Ok(decisions(&original.commit.events)),
                Err(AppendError::NoRoom) => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(Halt(error.to_string())),
            }
        }
    }

    async fn queue_all(&self, wishes: Vec<TriggeredWish>) -> Result<(), Halt> {
        for wish in wishes {
            self.queue(wish).await?;
        }
        Ok(())
    }

    async fn queue(&self, wish: TriggeredWish) -> Result<(), Halt> {
        let (workload, deployment, delivery) = (wish.workload, wish.deployment, wish.delivery);
        loop {
            match self.wishes.queue(wish.clone()).await {
                Ok(()) => return Ok(()),
                Err(NotQueued::Later(reason)) => {
                    tracing::warn!(%workload, %deployment, %delivery, reason, "an intent waits for the log");
                    tokio::time::sleep(RETRY).await;
                }
                Err(NotQueued::Refused(reason)) => {
                    tracing::warn!(%workload, %deployment, %delivery, reason, "an intent of a delivery was refused");
                    return Ok(());
                }
                Err(NotQueued::Final(reason)) => return Err(Halt(reason)),
            }
        }
    }
}
