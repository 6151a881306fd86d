//! The composition root of `cutover serve`: only here is everything wired together.
//!
//! The listener opens first and answers 503; then the log is folded, the world is compared, the start is recorded, open
//! deliveries are decided; then the API answers and the lanes run.

mod abilities;
pub mod hooks;
mod proxy;
mod sources;
mod stacks;

pub use abilities::ABILITIES;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::builder::{Builder, Builders, DockerBuilder};
use crate::adapters::host::{Bounds, RealHost};
use crate::adapters::images::DockerImages;
use crate::adapters::probe::NetProber;
use crate::adapters::router::{HttpRouter, Router};
use crate::adapters::runtime::{DockerConfig, DockerRuntime, Runtime};
use crate::adapters::units::{Programs, ReleaseFolders, Units};
use crate::api::live::LiveBackend;
use crate::api::{ApiState, Readiness, serve};
use crate::clock::Clock;
use crate::commands::Commands;
use crate::config::Config;
use crate::execution::{Execution, Parts};
use crate::image_pushes::{self, ImagePushes};
use crate::intake::bodies::BodyFolder;
use crate::intake::decide::Decider;
use crate::intake::hints::Hints;
use crate::intake::listener::{self, Intake};
use crate::intake::open::OpenDeliveries;
use crate::logs::{BuildLogs, LogBounds, Outputs};
use crate::projections::{Live, World, Written};
use crate::schedule::Housekeeping;
use crate::secrets::{SecretFiles, Secrets};
use crate::store::blobs::Blobs;
use crate::store::{Log, OpenError, Store};
use crate::{api, recovery};

/// Why the engine did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// A folder, file or socket cannot be used.
    #[error("{what}: {error}")]
    Io {
        /// Which, and what it is for.
        what: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Something failed after which only a new start helps.
    #[error("{0}")]
    Ended(String),
}

/// Runs the engine until `stop`, or until it cannot go on.
///
/// # Errors
/// It did not start, or ended by itself: to be started again.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), ServeError> {
    let clock = Clock::system();
    let dir = config.data_dir.clone();
    std::fs::create_dir_all(&dir).map_err(|error| io(&format!("the data folder {}", dir.display()), error))?;
    let (readiness, ready) = watch::channel(Readiness::Starting("reading the log"));
    let live = Arc::new(Live::default());
    let (store, open) = open_log(&dir, clock, live.clone()).await?;
    let mut tasks = JoinSet::new();
    let api = api::router(ApiState::new(ready, clock));
    listen(&config, api, (&mut tasks, &stop)).await?;
    let store: Arc<dyn Log> = Arc::new(store);
    let commands = Commands::new(store.clone(), live.clone());
    let engine = assemble(&config, (clock, commands, readiness), (&mut tasks, &stop)).await?;
    let bodies = BodyFolder::open(&dir.join("bodies")).map_err(|error| io("the folder of bodies", error))?;
    let book = Arc::new(hooks::Book::new(live, engine.secrets.clone()));
    let hints = Hints::default();
    let wishes = Arc::new(hooks::Queue::new(engine.commands.clone()).asking(engine.execution.clone()));
    let mut decider =
        Decider::new(store.clone(), book.clone(), wishes, clock).listening(hints.clone()).beginning_with(open);
    decider.settle().await.map_err(|halt| ServeError::Ended(halt.to_string()))?;
    let mut intake = Intake::new(store, book, Arc::new(bodies), clock);
    intake.hints = hints;
    let socket = serve::bind_unix(&dir.join("hooks.sock")).map_err(|error| io("hooks.sock", error))?;
    let intake = Arc::new(intake);
    tasks.spawn(serve::serve_unix(socket, listener::router(intake.clone()), stop.clone()));
    drop(engine.readiness.send_replace(Readiness::Ready(engine.backend)));
    tracing::info!(data_dir = %dir.display(), "the engine is ready");
    let (keep_bodies, keep_output) = (config.limits.keep_bodies_ms, config.limits.keep_output_ms);
    let housekeeping = Housekeeping {
        bodies: (dir.join("bodies"), Duration::from_millis(keep_bodies)),
        outputs: (engine.outputs, Duration::from_millis(keep_output)),
        builds: (engine.build_logs, Duration::from_millis(keep_output)),
        uploads: (engine.execution.clone(), Duration::from_millis(config.limits.keep_uploads_ms)),
        clock,
    };
    let mut scheduler = housekeeping.schedule().await.map_err(|error| ServeError::Ended(error.to_string()))?;
    let execution = engine.execution;
    let ended = tokio::select! {
        ended = engine.lanes => ended,
        ended = decider.run() => ended.err().map(|halt| halt.to_string()),
        Some(ended) = tasks.join_next() => ended.err().map(|error| format!("a part of the engine ended: {error}")),
    };
    drop(engine.readiness.send_replace(Readiness::Stopping));
    stop.cancel();
    // The lanes may be given up at any time, and go on at the next start; what people are at may not.
    execution.end_errands().await;
    if let Err(error) = scheduler.shutdown().await {
        tracing::debug!(%error, "the scheduler had ended");
    }
    while tasks.join_next().await.is_some() {}
    intake.finish().await;
    ended.map_or(Ok(()), |why| Err(ServeError::Ended(why)))
}

fn io(what: &str, error: std::io::Error) -> ServeError {
    ServeError::Io { what: what.to_owned(), error }
}

/// Opens the log and folds it.
async fn open_log(dir: &Path, clock: Clock, live: Arc<Live>) -> Result<(Store, OpenDeliveries), ServeError> {
    let open = Arc::new(parking_lot::Mutex::new(OpenDeliveries::default()));
    let deliveries = open.clone();
    let (store, report) = Store::open(dir, clock, move |sealed| {
        deliveries.lock().apply(&sealed.commit);
        live.fold(Written::from(&sealed)).map_err(|error| error.to_string())
    })
    .await?;
    tracing::info!(events = report.events, rebuilt = report.rebuilt.is_some(), "the log is open");
    let open = std::mem::take(&mut *open.lock());
    Ok((store, open))
}

/// Opens the listeners of the API: they answer 503 until the engine is ready.
async fn listen(
    config: &Config,
    api: axum::Router,
    (tasks, stop): (&mut JoinSet<()>, &CancellationToken),
) -> Result<(), ServeError> {
    let path = config.data_dir.join("engine.sock");
    let local = serve::bind_unix(&path).map_err(|error| io(&format!("the socket {}", path.display()), error))?;
    tasks.spawn(serve::serve_unix(local, api.clone(), stop.clone()));
    if let Some(address) = config.api.listen {
        let bound = tokio::net::TcpListener::bind(address).await;
        let tcp = bound.map_err(|error| io(&format!("[api] listen = \"{address}\""), error))?;
        tasks.spawn(serve::serve_tcp(tcp, api, stop.clone()));
    }
    Ok(())
}

/// The lanes of all workloads; ends with why the engine must end, if it must.
type Lanes = std::pin::Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// What could not be compared at the start is compared first: nothing is done before.
async fn drive(
    late: impl Future<Output = Result<(), String>> + Send,
    execution: Arc<Execution>,
    stop: CancellationToken,
) -> Option<String> {
    let compared = tokio::select! {
        compared = late => compared,
        () = stop.cancelled() => return None,
    };
    match compared {
        Ok(()) => execution.run(stop).await,
        Err(why) => Some(why),
    }
}

/// What the rest of the start needs.
struct Assembled {
    commands: Commands,
    secrets: Arc<Secrets>,
    outputs: Arc<Outputs>,
    build_logs: BuildLogs,
    execution: Arc<Execution>,
    lanes: Lanes,
    backend: Arc<LiveBackend>,
    readiness: watch::Sender<Readiness>,
}

/// Compares the world, records the start and wires what works on it.
async fn assemble(
    config: &Config,
    (clock, commands, readiness): (Clock, Commands, watch::Sender<Readiness>),
    (tasks, stop): (&mut JoinSet<()>, &CancellationToken),
) -> Result<Assembled, ServeError> {
    let dir = &config.data_dir;
    drop(readiness.send_replace(Readiness::Starting("looking at Docker and the proxy")));
    proxy::ensure(config, (tasks, stop)).await;
    let docker = DockerConfig { socket: config.docker.socket.clone() };
    let folders = Arc::new(ReleaseFolders::open(dir, clock).map_err(|error| io("the folder of sites", error))?);
    let docker = Arc::new(DockerRuntime::new(&docker, clock));
    let containers: Arc<dyn Runtime> = docker.clone();
    let blobs = Blobs::open(dir.join("blobs")).map_err(|error| io("the folder of blobs", error))?;
    let files = SecretFiles::of(commands.log().log_id());
    let secrets =
        Secrets::open(dir.join("secrets"), blobs, files).map_err(|error| io("the folder of secrets", error))?;
    let secrets = Arc::new(secrets);
    let kept = vec![config.docker.socket.clone(), dir.clone()];
    let bounds = Bounds { allowed: config.limits.bind.clone(), sources: config.limits.sources.clone(), kept };
    let host = Arc::new(RealHost::new(bounds));
    let stacks = stacks::open(config, (secrets.clone(), host.clone()), clock);
    let stacks = Arc::new(stacks.map_err(|error| io("the folder of stacks", error))?);
    let attaches = Arc::new(Programs::over(docker, stacks.clone()));
    let runtime: Arc<dyn Runtime> = Arc::new(Units::over(containers, vec![folders.clone(), stacks.clone()]));
    let builder: Arc<dyn Builder> = Arc::new(DockerBuilder::new(config.docker.socket.clone()));
    let builder = Arc::new(Builders::over(builder, dir, (folders, stacks)));
    let router: Arc<dyn Router> = Arc::new(HttpRouter::new(dir.join("proxy/admin.sock")));
    let ended = |error: &dyn std::fmt::Display| ServeError::Ended(error.to_string());
    let seen = recovery::look(&*runtime, &*router, &commands).await;
    let held = recovery::compare(&seen, &commands).await.map_err(|error| ended(&error))?;
    let epoch = recovery::take_over(&commands, clock, &seen, held).await.map_err(|error| ended(&error))?;
    let outputs = Outputs::open(dir.join("output")).map_err(|error| io("the folder of outputs", error))?;
    let (outputs, world) = (Arc::new(outputs), Arc::new(World::default()));
    let (sources, uploads) = sources::open(config, commands.log().log_id()).map_err(|(what, error)| io(what, error))?;
    let build_logs = BuildLogs::open(dir.join("builds"), LogBounds::default());
    let build_logs = build_logs.map_err(|error| io("the folder of build logs", error))?;
    let execution = Execution::new(Parts {
        uploads,
        commands: commands.clone(),
        host,
        runtime: runtime.clone(),
        attaches,
        router: router.clone(),
        prober: Arc::new(NetProber),
        source: Arc::new(sources),
        builder,
        build_logs: build_logs.clone(),
        secrets: secrets.clone(),
        outputs: outputs.clone(),
        world: world.clone(),
        clock,
        epoch,
        effects_at_once: usize::from(config.limits.effects),
        builds_at_once: usize::from(config.limits.builds),
    });
    let (head, head_seen) = watch::channel(commands.log().head().position);
    tasks.spawn(follow(commands.log().subscribe(), head, stop.clone()));
    let backend = Arc::new(LiveBackend {
        image_pushes: pushes(config, (commands.clone(), clock), (tasks, stop))?,
        commands: commands.clone(),
        clock,
        secrets: secrets.clone(),
        outputs: outputs.clone(),
        world,
        execution: execution.clone(),
        hooks_url: config.hooks.host.as_ref().map(|host| format!("http://{host}")).unwrap_or_default(),
        head: head_seen,
        data_dir: dir.clone(),
        abilities: ABILITIES,
    });
    let late = recovery::compare_late(commands.clone(), (runtime, router), seen);
    let lanes = Box::pin(drive(late, execution.clone(), stop.clone()));
    Ok(Assembled { commands, secrets, outputs, build_logs, execution, lanes, backend, readiness })
}

/// What takes images that are pushed, and lets go of those that nobody wants.
fn pushes(
    config: &Config,
    (commands, clock): (Commands, Clock),
    (tasks, stop): (&mut JoinSet<()>, &CancellationToken),
) -> Result<Arc<ImagePushes>, ServeError> {
    let parts = image_pushes::Parts {
        images: Arc::new(DockerImages::new(config.docker.socket.clone())),
        layers: config.data_dir.join("layers"),
        most: config.limits.upload_bytes,
        keep: Duration::from_millis(config.limits.keep_uploads_ms),
        commands,
        clock,
    };
    let pushes = Arc::new(ImagePushes::open(parts).map_err(|error| io("the folder of layers", error))?);
    let (tending, until) = (pushes.clone(), stop.clone());
    tasks.spawn(async move { tending.tend(until).await });
    Ok(pushes)
}

/// Passes the position of the log's head on.
async fn follow(mut log: watch::Receiver<crate::store::Head>, head: watch::Sender<u64>, stop: CancellationToken) {
    loop {
        let position = log.borrow_and_update().position;
        head.send_replace(position);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = log.changed() => if changed.is_err() { return },
        }
    }
}
