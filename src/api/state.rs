//! What every handler shares.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::backend::Backend;
use super::problem::{Code, Problem};
use crate::clock::Clock;

/// Event streams that are open at once, a count: each holds a connection and a page of events.
const MAX_STREAMS: usize = 256;

/// Whether the engine can be asked.
#[derive(Clone)]
pub enum Readiness {
    /// Recovery is not done; what it is doing, for a person.
    Starting(&'static str),
    /// It can.
    Ready(Arc<dyn Backend>),
    /// It is ending.
    Stopping,
}

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) clock: Clock,
    pub(super) streams: Arc<Semaphore>,
}

impl ApiState {
    /// State over a readiness that the engine keeps up to date.
    #[must_use]
    pub fn new(readiness: watch::Receiver<Readiness>, clock: Clock) -> Self {
        Self { readiness, clock, streams: Arc::new(Semaphore::new(MAX_STREAMS)) }
    }

    /// The place of one more stream.
    ///
    /// # Errors
    /// Too many are open.
    pub(super) fn stream(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        permit.map_err(|_| Problem::new(Code::TooManyStreams, "too many event streams are open; close some"))
    }

    /// The engine.
    ///
    /// # Errors
    /// It starts, or ends: 503, to be tried again.
    pub fn backend(&self) -> Result<Arc<dyn Backend>, Problem> {
        match &*self.readiness.borrow() {
            Readiness::Ready(backend) => Ok(Arc::clone(backend)),
            Readiness::Starting(doing) => Err(Problem::new(
                Code::Unavailable,
                &format!("the engine is starting ({doing}); try again in a second"),
            )),
            Readiness::Stopping => {
                Err(Problem::new(Code::Unavailable, "the engine is stopping; try again in a second"))
            }
        }
    }
}
