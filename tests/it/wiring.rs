//! The engine over the in-memory world, wired as the real one is.

use std::path::Path;
use std::sync::Arc;

use cutover::adapters::builder::MemoryBuilder;
use cutover::adapters::host::{Bounds, MemoryHost};
use cutover::adapters::images::{Layers, MemoryImages};
use cutover::adapters::probe::MemoryProber;
use cutover::adapters::router::MemoryRouter;
use cutover::adapters::runtime::MemoryRuntime;
use cutover::adapters::source::MemorySources;
use cutover::adapters::world::{Program, Shared};
use cutover::clock::Clock;
use cutover::commands::Commands;
use cutover::execution::{Execution, Parts};
use cutover::image_pushes::{self, ImagePushes};
use cutover::logs::{BuildLogs, LogBounds, Outputs};
use cutover::projections::{Live, World, Written};
use cutover::recovery;
use cutover::secrets::{SecretFiles, Secrets, Where};
use cutover::store::blobs::Blobs;
use cutover::store::uploads::Uploads;
use cutover::store::{Log, MemoryLog};

/// The write path over a log that has just begun.
pub(crate) async fn commands(clock: Clock) -> Commands {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::begin(clock).await.unwrap());
    let live = Arc::new(Live::default());
    for sealed in log.read_all(1, 10).await.unwrap() {
        live.fold(Written::from(&sealed)).unwrap();
    }
    Commands::new(log, live)
}

/// An engine that has compared the world with its log and taken over.
pub(crate) async fn execution(commands: &Commands, clock: Clock, (twin, folder): (&Shared, &Path)) -> Arc<Execution> {
    let runtime = Arc::new(MemoryRuntime::new(twin.clone()));
    let router = Arc::new(MemoryRouter::new(twin.clone()));
    let seen = recovery::look(&*runtime, &*router, commands).await;
    let held = recovery::compare(&seen, commands).await.unwrap();
    assert!(held.is_empty(), "{held:?}");
    let epoch = recovery::take_over(commands, clock, &seen, held).await.unwrap();
    let world = twin.clone();
    let builder = MemoryBuilder::telling(move |id| world.lock().image_built(id, Program::default()));
    let blobs = Blobs::open(folder.join("blobs")).unwrap();
    let files = SecretFiles::below(folder.join("given"), Where::Anywhere);
    Execution::new(Parts {
        commands: commands.clone(),
        runtime: runtime.clone(),
        attaches: runtime,
        host: Arc::new(host(folder)),
        router,
        prober: Arc::new(MemoryProber::new(twin.clone())),
        source: Arc::new(MemorySources::new(folder.join("sources"))),
        builder: Arc::new(builder),
        uploads: Uploads::open(folder.join("uploads"), 1 << 20).unwrap(),
        build_logs: BuildLogs::open(folder.join("builds"), LogBounds::default()).unwrap(),
        secrets: Arc::new(Secrets::open(folder.join("secrets"), blobs, files).unwrap()),
        outputs: Arc::new(Outputs::open(folder.join("output")).unwrap()),
        world: Arc::new(World::default()),
        clock,
        epoch,
        effects_at_once: 4,
        builds_at_once: 2,
    })
}

/// What takes pushed images, over a Docker in memory.
pub(crate) fn image_pushes(commands: &Commands, clock: Clock, folder: &Path) -> Arc<ImagePushes> {
    let parts = image_pushes::Parts {
        images: Arc::new(MemoryImages::new(Layers::Spared)),
        layers: folder.join("layers"),
        most: 1 << 20,
        keep: std::time::Duration::from_secs(3600),
        commands: commands.clone(),
        clock,
    };
    Arc::new(ImagePushes::open(parts).unwrap())
}

/// A host that lets sources be read from `src/app` of a folder, which really is there.
fn host(folder: &Path) -> MemoryHost {
    let sources = folder.join("src");
    let app = sources.join("app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::create_dir_all(folder.join("sources")).unwrap();
    let host = MemoryHost::new(Bounds { sources: vec![sources.clone()], ..Bounds::default() });
    host.lead(&sources, &sources);
    host.lead(&app, &app);
    host
}
