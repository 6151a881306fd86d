//! The engine over the in-memory world, wired as the real one is.

use std::path::Path;
use std::sync::Arc;

use cutover::adapters::host::MemoryHost;
use cutover::adapters::probe::MemoryProber;
use cutover::adapters::router::MemoryRouter;
use cutover::adapters::runtime::MemoryRuntime;
use cutover::adapters::world::Shared;
use cutover::clock::Clock;
use cutover::commands::Commands;
use cutover::execution::{Execution, Parts};
use cutover::logs::Outputs;
use cutover::projections::{Live, World, Written};
use cutover::recovery;
use cutover::secrets::Secrets;
use cutover::store::blobs::Blobs;
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
    let blobs = Blobs::open(folder.join("blobs")).unwrap();
    Execution::new(Parts {
        commands: commands.clone(),
        runtime: runtime.clone(),
        attaches: runtime,
        host: Arc::new(MemoryHost::default()),
        router,
        prober: Arc::new(MemoryProber::new(twin.clone())),
        secrets: Arc::new(Secrets::open(folder.join("secrets"), blobs).unwrap()),
        outputs: Arc::new(Outputs::open(folder.join("output")).unwrap()),
        world: Arc::new(World::default()),
        clock,
        epoch,
        effects_at_once: 4,
    })
}
