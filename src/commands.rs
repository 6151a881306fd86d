//! The one write path: load, decide, append, fold. Every event of registry, engine and workloads goes through here.

use std::sync::Arc;

use cutover_domain::deployment::{Command, CorruptLog, Rejection, decide};
use cutover_domain::registry::{Apply, ApplyRejected, Disorder, Registry};
use cutover_domain::workload::Workload;
use cutover_events::{Actor, Cause, Event, Key, Sealed, StreamId, WorkloadId};

use crate::crash;
use crate::projections::{Live, Written};
use crate::store::{Append, AppendError, Expected, Log, Receipt};

/// Who asks, why, and what makes it happen once.
#[derive(Clone, Debug)]
pub struct By {
    /// What brings it about.
    pub cause: Cause,
    /// Who.
    pub actor: Actor,
    /// Once.
    pub key: Option<Key>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may not happen.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A claim is held by another workload.
    #[error(transparent)]
    Claimed(#[from] ApplyRejected),
    /// It happened before, under the same key.
    #[error("this was asked for before")]
    Duplicate(Box<Sealed>),
    /// It comes after something that is not there, or after itself.
    #[error(transparent)]
    Disorder(#[from] Disorder),
    /// The log does not take it.
    #[error(transparent)]
    Log(AppendError),
    /// The log cannot be true.
    #[error(transparent)]
    Corrupt(#[from] CorruptLog),
}

impl By {
    /// The engine itself.
    #[must_use]
    pub fn engine(cause: Cause) -> Self {
        Self { cause, actor: Actor::Engine, key: None }
    }
}

/// The write path.
#[derive(Clone)]
pub struct Commands {
    log: Arc<dyn Log>,
    live: Arc<Live>,
}

impl Commands {
    /// Writes to this log and keeps these folds.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, live: Arc<Live>) -> Self {
        Self { log, live }
    }

    /// The log, for reading.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The folds.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Decides a command on a workload and writes what it comes to.
    ///
    /// # Errors
    /// Rejected, asked before, or not taken by the log.
    pub async fn workload(&self, id: WorkloadId, by: By, command: Command) -> Result<Receipt, Error> {
        let cell = self.live.cell(id);
        let _writing = cell.lock.lock().await;
        let state = cell.state();
        let decided = decide(&state, command);
        if let (Err(rejection), Some(key)) = (&decided, &by.key)
            && let Some(original) = self.written_before(StreamId::Workload(id), key).await
        {
            tracing::debug!(%rejection, "an answer is repeated, not decided again");
            return Err(Error::Duplicate(original));
        }
        self.write(StreamId::Workload(id), Expected::Exact(state.version), by, decided?).await
    }

    /// What a key wrote before, if anything.
    async fn written_before(&self, stream: StreamId, key: &Key) -> Option<Box<Sealed>> {
        self.log.find(stream, key).await.ok().flatten().map(Box::new)
    }

    /// Writes what the driver of a workload came to, if the workload has not moved on since `seen`.
    ///
    /// # Errors
    /// [`Rejection::MovedOn`], or not taken by the log.
    pub async fn advance(&self, id: WorkloadId, seen: &Workload, events: Vec<Event>) -> Result<Receipt, Error> {
        let cell = self.live.cell(id);
        let _writing = cell.lock.lock().await;
        if cell.state().version != seen.version {
            return Err(Rejection::MovedOn.into());
        }
        let cause = seen.open.as_ref().map_or(Cause::Engine, |open| Cause::Deployment(open.id()));
        self.write(StreamId::Workload(id), Expected::Exact(seen.version), By::engine(cause), events).await
    }

    /// Registers or revises all of these workloads, or none; says for each the revision that is new.
    ///
    /// # Errors
    /// A claim is held by another workload, or not taken by the log.
    pub async fn apply(&self, by: By, all: Vec<Apply>) -> Result<Vec<Option<u32>>, Error> {
        let _writing = self.live.registry_lock.lock().await;
        let registry = self.live.registry();
        registry.in_order(&all)?;
        let mut after = (*registry).clone();
        let (mut events, mut revisions) = (Vec::new(), Vec::new());
        for apply in all {
            let workload = apply.workload;
            let new = after.apply(apply)?;
            new.iter().for_each(|event| after.evolve(event));
            let revision = after.workloads.get(&workload).map(|registered| registered.revision());
            revisions.push(revision.filter(|_| !new.is_empty()));
            events.extend(new);
        }
        if !events.is_empty() {
            self.write(StreamId::Registry, Expected::Exact(registry.version), by, events).await?;
        }
        Ok(revisions)
    }

    /// Frees the claims of a workload that nothing needs any more.
    ///
    /// # Errors
    /// Not taken by the log.
    pub async fn free_claims(&self, id: WorkloadId, needed: &[cutover_events::workload::Claim]) -> Result<(), Error> {
        let _writing = self.live.registry_lock.lock().await;
        let registry = self.live.registry();
        let Some(freed) = registry.free(id, needed) else { return Ok(()) };
        let expected = Expected::Exact(registry.version);
        self.write(StreamId::Registry, expected, By::engine(Cause::Engine), vec![freed.into()]).await.map(drop)
    }

    /// Records something about a workload that only the registry keeps.
    ///
    /// # Errors
    /// Not taken by the log.
    pub async fn note(&self, by: By, event: Event) -> Result<Receipt, Error> {
        let _writing = self.live.registry_lock.lock().await;
        let expected = Expected::Exact(self.live.registry().version);
        self.write(StreamId::Registry, expected, by, vec![event]).await
    }

    /// Writes to the registry's stream what `decide` makes of its state; nothing when it makes nothing.
    ///
    /// # Errors
    /// What `decide` refuses, or not taken by the log.
    pub async fn registry<E: From<Error>>(
        &self,
        by: By,
        decide: impl FnOnce(&Registry) -> Result<Vec<Event>, E>,
    ) -> Result<Option<Receipt>, E> {
        let _writing = self.live.registry_lock.lock().await;
        let registry = self.live.registry();
        let events = decide(&registry)?;
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.write(StreamId::Registry, Expected::Exact(registry.version), by, events).await?))
    }

    /// Writes to the engine's own stream what `decide` makes of its state; nothing when it makes nothing.
    ///
    /// # Errors
    /// What `decide` refuses, or not taken by the log.
    pub async fn engine<E: From<Error>>(
        &self,
        by: By,
        decide: impl FnOnce(&cutover_domain::engine::Engine) -> Result<Vec<Event>, E>,
    ) -> Result<Option<Receipt>, E> {
        let _writing = self.live.engine_lock.lock().await;
        let engine = self.live.engine();
        let events = decide(&engine)?;
        if events.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.write(StreamId::Engine, Expected::Exact(engine.version), by, events).await?))
    }

    async fn write(&self, stream: StreamId, expected: Expected, by: By, events: Vec<Event>) -> Result<Receipt, Error> {
        let append = Append { stream, expected, events: events.clone(), cause: by.cause, actor: by.actor, key: by.key };
        let point = crash::before(|| crash::append(&events));
        let receipt = self.log.append(append).await.map_err(|error| match error {
            AppendError::Duplicate { original } => Error::Duplicate(original),
            other => Error::Log(other),
        })?;
        point.after();
        let Receipt { position, version, chain, at } = receipt;
        self.live.fold(Written { stream, events: &events, at, position, version, chain })?;
        Ok(receipt)
    }
}
