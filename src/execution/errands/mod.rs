//! Programs of people in containers: `exec` in one that serves, `run` in one of their own.
//!
//! [`opening`](self) records each before it begins and after it has ended; [`frame`] is what goes over the connection,
//! `serving` carries it, `lost` ends what a dead engine has left. Nothing of it takes the lane.

pub mod frame;
mod lost;
mod opening;
mod serving;

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover_events::ErrandId;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Execution;
use crate::adapters::runtime::{RuntimeError, Size};
use crate::commands::Error;

/// Programs of people at once, over all workloads, a count: each holds two connections and as many buffers.
const MAX_AT_ONCE: usize = 64;

/// Where a person's program is to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Where {
    /// In a container that serves: one of this process (`None`: the workload itself), this replica of it, from 1 on
    /// (`None`: the first that runs).
    Inside(Option<String>, Option<u16>),
    /// In a container of its own, made of what serves.
    Alone,
}

/// What a person asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Columns and rows of its terminal; `None`: it has pipes.
    pub terminal: Option<(u16, u16)>,
    /// Where.
    pub place: Where,
}

/// Why a person's program was not begun.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// There is no such process or replica.
    #[error("{0}")]
    Unknown(String),
    /// Nothing of it runs that it could run in.
    #[error("{0}")]
    NothingRuns(String),
    /// The log does not take it, or the rules do not.
    #[error(transparent)]
    Unwritten(#[from] Error),
    /// Docker refuses it, or is away.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A person must decide first whether the log is that of this world.
    #[error("nothing is run while a person must decide: `cutover status` says what")]
    Held,
    /// Too many run.
    #[error("people run {MAX_AT_ONCE} programs already, which is as many as may: end one of them first")]
    TooMany,
    /// The engine ends.
    #[error("the engine is stopping")]
    Stopping,
}

/// A connection to a person.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that comes once its request is answered.
pub type Wire = BoxFuture<'static, std::io::Result<Box<dyn Duplex>>>;

/// What people run through this engine.
#[derive(Debug)]
pub(super) struct Errands {
    places: Arc<Semaphore>,
    /// Begun by this engine and not ended; cancelled, one ends because its workload is torn down.
    ours: Mutex<BTreeMap<ErrandId, CancellationToken>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Default for Errands {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            ours: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }
}

impl Errands {
    /// Ends everything that people run, and returns once it is recorded.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Execution {
    /// Ends what people run through this engine, and returns once that is recorded and they are told.
    pub async fn end_errands(&self) {
        self.errands.end().await;
    }
}

fn size((columns, rows): (u16, u16)) -> Size {
    Size { columns, rows }
}
