//! The imperative shell: one lane per workload, which looks, asks the domain what comes next, and does it.
//!
//! Nothing is decided here. [`lane`] is the loop, [`look`] the observation, [`perform`] the effects, [`planning`] what a
//! plan needs from outside, [`mod@secrets`] values on their way in and out, [`seeking`] and [`building`] how images come about beside the lane, [`uploads`] what people send for them, [`tending`] what concerns
//! more than one workload.

mod beforehand;
mod building;
mod changes;
pub mod errands;
mod examine;
mod fitting;
pub mod following;
mod lane;
mod look;
mod perform;
mod planning;
pub(crate) mod printing;
mod probing;
mod secrets;
mod seeking;
pub(crate) mod sparing;
mod tending;
mod uploads;

pub use building::Files;
pub use examine::{Examined, Verdict};
pub use fitting::{Asked, Unfit};
pub use uploads::{Arriving, Refused};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cutover_events::{LogId, WorkloadId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::builder::Builder;
use crate::adapters::host::Host;
use crate::adapters::probe::Prober;
use crate::adapters::router::Router;
use crate::adapters::runtime::{Attaches, Runtime};
use crate::adapters::source::Source;
use crate::clock::Clock;
use crate::commands::Commands;
use crate::logs::{BuildLogs, Outputs};
use crate::projections::World;
use crate::secrets::Secrets;
use crate::store::uploads::Uploads;

/// What the shell works with.
pub struct Execution {
    /// The write path.
    pub commands: Commands,
    /// Docker.
    pub runtime: Arc<dyn Runtime>,
    /// Folders and ports of the host.
    pub host: Arc<dyn Host>,
    /// The proxy.
    pub router: Arc<dyn Router>,
    /// Readiness.
    pub prober: Arc<dyn Prober>,
    /// Where the files of sources come from.
    pub source: Arc<dyn Source>,
    /// What makes images of them.
    pub builder: Arc<dyn Builder>,
    /// What builds print.
    pub build_logs: BuildLogs,
    /// What people sent to be deployed.
    pub uploads: Uploads,
    /// Sealed values.
    pub secrets: Arc<Secrets>,
    /// Last output of containers that failed.
    pub outputs: Arc<Outputs>,
    /// What was seen last, for people.
    pub world: Arc<World>,
    /// Time and ids.
    pub clock: Clock,
    /// Whose containers are ours.
    pub log: LogId,
    /// Position of this engine's EngineStarted.
    pub epoch: u64,
    /// When this engine started, `CLOCK_MONOTONIC`, ms.
    pub started_ms: u64,
    /// Programs of people.
    pub attaches: Arc<dyn Attaches>,
    errands: errands::Errands,
    effects: Semaphore,
    /// Images that are looked for at the same time. Apart from effects: a pull may take minutes.
    pulls: Semaphore,
    /// Builds that run at the same time, first come, first served.
    builds: Semaphore,
    /// Uploads that are taken at the same time.
    arrivals: Semaphore,
    /// How often the connection to Docker was lost.
    outages: AtomicU64,
    leftovers: Notify,
    poisoned: watch::Sender<Option<String>>,
}

/// The parts of [`Execution`] that are wired from outside.
pub struct Parts {
    /// The write path.
    pub commands: Commands,
    /// Folders and ports of the host.
    pub host: Arc<dyn Host>,
    /// Docker.
    pub runtime: Arc<dyn Runtime>,
    /// The same, for programs of people.
    pub attaches: Arc<dyn Attaches>,
    /// The proxy.
    pub router: Arc<dyn Router>,
    /// Readiness.
    pub prober: Arc<dyn Prober>,
    /// Where the files of sources come from.
    pub source: Arc<dyn Source>,
    /// What makes images of them.
    pub builder: Arc<dyn Builder>,
    /// What builds print.
    pub build_logs: BuildLogs,
    /// What people sent to be deployed.
    pub uploads: Uploads,
    /// Sealed values.
    pub secrets: Arc<Secrets>,
    /// Last output of containers that failed.
    pub outputs: Arc<Outputs>,
    /// What was seen last.
    pub world: Arc<World>,
    /// Time and ids.
    pub clock: Clock,
    /// Position of this engine's EngineStarted.
    pub epoch: u64,
    /// Effects on Docker that run side by side: more than cores only adds latency (facts: docker §3).
    pub effects_at_once: usize,
    /// Builds that run side by side.
    pub builds_at_once: usize,
}

impl Execution {
    /// Wires the shell.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let log = parts.commands.log().log_id();
        Arc::new(Self {
            log,
            commands: parts.commands,
            runtime: parts.runtime,
            host: parts.host,
            router: parts.router,
            prober: parts.prober,
            source: parts.source,
            builder: parts.builder,
            build_logs: parts.build_logs,
            uploads: parts.uploads,
            secrets: parts.secrets,
            outputs: parts.outputs,
            world: parts.world,
            clock: parts.clock,
            epoch: parts.epoch,
            started_ms: parts.clock.mono_ms(),
            attaches: parts.attaches,
            errands: errands::Errands::default(),
            effects: Semaphore::new(parts.effects_at_once),
            pulls: Semaphore::new(parts.effects_at_once),
            builds: Semaphore::new(parts.builds_at_once),
            arrivals: Semaphore::new(uploads::AT_ONCE),
            outages: AtomicU64::new(0),
            leftovers: Notify::new(),
            poisoned: watch::Sender::new(None),
        })
    }

    /// Drives every workload until `stop`; returns why the engine must end, when a lane could not go on.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> Option<String> {
        self.give_again().await;
        let mut tasks = JoinSet::new();
        let mut known = BTreeSet::new();
        let mut added = self.commands.live().watch_workloads();
        let mut poisoned = self.poisoned.subscribe();
        tasks.spawn(self.clone().tend(stop.clone()));
        loop {
            added.mark_unchanged();
            for (id, _) in self.commands.live().cells().into_iter().filter(|(id, _)| known.insert(*id)) {
                tasks.spawn(self.clone().lane(id, stop.clone()));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = added.changed() => if changed.is_err() { break },
                _ = poisoned.changed() => break,
                Some(ended) = tasks.join_next() => if let Err(error) = ended {
                    self.poison(format!("a task of the execution ended: {error}"));
                    break;
                },
            }
        }
        stop.cancel();
        self.errands.end().await;
        while tasks.join_next().await.is_some() {}
        self.poisoned.borrow().clone()
    }

    /// Whether a person must decide first: the log may not be the one that the world was made by, so nothing is touched.
    fn is_held(&self) -> bool {
        !self.commands.live().engine().held.is_empty()
    }

    /// Ends the engine: recovery is the tested path, limping is not.
    fn poison(&self, why: String) {
        tracing::error!(why, "the engine cannot go on and ends, to be started again");
        self.poisoned.send_replace(Some(why));
    }

    fn full_name(&self, workload: WorkloadId) -> String {
        self.commands.live().registry().full_name(workload).unwrap_or_else(|| workload.to_string())
    }
}
