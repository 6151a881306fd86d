//! Starting on a log that has grown: pushes and whole deployments of 64 workloads, verified, decoded, folded, gone on
//! with.
//!
//! *Verified replay* opens the log with a fold that only counts; *start* opens it with the engine's own folds and runs
//! until a waiting wish is decided, on the in-memory Docker and proxy; *fold* has the events decoded before.
//!
//! `cargo bench --bench replay`: one JSON object a line; fails when a figure that must be met is not.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to tell")]

#[path = "support/history.rs"]
mod history;
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use cutover::adapters::builder::MemoryBuilder;
use cutover::adapters::host::MemoryHost;
use cutover::adapters::probe::MemoryProber;
use cutover::adapters::router::MemoryRouter;
use cutover::adapters::runtime::MemoryRuntime;
use cutover::adapters::source::MemorySources;
use cutover::adapters::world::{Shared, Twin};
use cutover::clock::Clock;
use cutover::commands::Commands;
use cutover::execution::{Execution, Parts};
use cutover::logs::{BuildLogs, LogBounds, Outputs};
use cutover::projections::{Live, World, Written};
use cutover::recovery;
use cutover::secrets::{SecretFiles, Secrets, Where};
use cutover::store::blobs::Blobs;
use cutover::store::uploads::Uploads;
use cutover::store::{Log, Store};
use cutover_events::{Event, Sealed, StreamId};
use history::{PER_DEPLOYMENT, deployment, wish, workload};
use support::{Bound, Figure, Keys, delivery, median};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Each figure is measured so often.
const ROUNDS: u64 = 3;
/// Workloads, each written to at the same time: groups are then as large as in a storm.
const WRITERS: u64 = 64;
/// Commits that are read at a time.
const PAGE: usize = 10_000;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(measure()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> bool {
    let mut met = opened(100_000, Bound::AtMost(1.5, 0.75)).await;
    met &= opened(1_000_000, Bound::AtMost(6.0, 3.0)).await;
    met
}

/// Seconds from the opening of a log of so many events to the first decision, verified events per second, folded ones.
async fn opened(events: u64, bound: Bound) -> bool {
    let dir = tempfile::tempdir_in(".").unwrap();
    fill(dir.path(), events).await;
    let (mut starts, mut verified, mut folded) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let (store, report) = Store::open(dir.path(), Clock::system(), |_| Ok(())).await.unwrap();
        verified.push(report.events as f64 / begun.elapsed().as_secs_f64());
        assert!(report.rebuilt.is_none() && report.events >= events);
        folded.push(fold(&store).await);
        store.append(wish(round, u64::MAX)).await.unwrap();
        drop(store);
        starts.push(start(dir.path(), round).await);
    }
    let line = |what: &str, value: f64, unit: &str, bound: Bound| {
        let metric = format!("{what}, {events} events");
        Figure { bench: "replay", metric: &metric, value, unit, peer: None, bound }.print()
    };
    let start = line("start to first decision", median(starts), "s", bound);
    let replay = line("verified replay", median(verified), "events/s", Bound::AtLeast(700_000.0, 1_000_000.0));
    let fold = line("fold of decoded events", median(folded), "events/s", Bound::AtLeast(2_000_000.0, 2_000_000.0));
    start && replay && fold
}

/// Events per second through the engine's own folds.
async fn fold(store: &Store) -> f64 {
    let (live, mut from, mut spent, mut count) = (Live::default(), 1, 0.0, 0);
    loop {
        let page = store.read_all(from, PAGE).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.commit.last_position() + 1;
        let begun = Instant::now();
        page.iter().for_each(|sealed| take_in(&live, sealed));
        spent += begun.elapsed().as_secs_f64();
        count += page.iter().map(|sealed| sealed.commit.events.len()).sum::<usize>();
    }
    count as f64 / spent
}

fn take_in(live: &Live, sealed: &Sealed) {
    live.fold(Written::from(sealed)).unwrap();
}

/// Seconds until the waiting wish of a workload has the lane.
async fn start(dir: &Path, writer: u64) -> f64 {
    let begun = Instant::now();
    let (clock, live) = (Clock::system(), Arc::new(Live::default()));
    let folds = live.clone();
    let opened = Store::open(dir, clock, move |sealed| {
        take_in(&folds, &sealed);
        Ok(())
    });
    let log: Arc<dyn Log> = Arc::new(opened.await.unwrap().0);
    let waiting = live.cell(workload(writer)).state().version;
    let commands = Commands::new(log.clone(), live);
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    tasks.spawn(engine(commands, clock, dir).await.run(stop.clone()));
    has_begun(&*log, StreamId::Workload(workload(writer)), waiting).await;
    let time = begun.elapsed().as_secs_f64();
    stop.cancel();
    tasks.join_all().await;
    time
}

/// Waits until a deployment has begun past a version of a workload's stream. The log says so: the state may have gone on by
/// the time somebody looks at it.
async fn has_begun(log: &dyn Log, stream: StreamId, version: u64) {
    let mut head = log.subscribe();
    loop {
        head.borrow_and_update();
        let page = log.read(stream, version + 1, PAGE).await.unwrap();
        let mut events = page.iter().flat_map(|sealed| &sealed.commit.events);
        if events.any(|event| matches!(event, Event::DeploymentBegun(_))) {
            return;
        }
        head.changed().await.unwrap();
    }
}

/// The engine over the in-memory world, as it is wired for real.
async fn engine(commands: Commands, clock: Clock, dir: &Path) -> Arc<Execution> {
    let twin: Shared = Twin::shared();
    let runtime = Arc::new(MemoryRuntime::new(twin.clone()));
    let router = Arc::new(MemoryRouter::new(twin.clone()));
    let seen = recovery::look(&*runtime, &*router, &commands).await;
    let held = recovery::compare(&seen, &commands).await.unwrap();
    let epoch = recovery::take_over(&commands, clock, &seen, held).await.unwrap();
    let blobs = Blobs::open(dir.join("blobs")).unwrap();
    let files = SecretFiles::below(dir.join("given"), Where::Anywhere);
    Execution::new(Parts {
        commands,
        runtime: runtime.clone(),
        attaches: runtime,
        host: Arc::new(MemoryHost::default()),
        router,
        prober: Arc::new(MemoryProber::new(twin)),
        source: Arc::new(MemorySources::new(dir.join("sources"))),
        builder: Arc::new(MemoryBuilder::default()),
        uploads: Uploads::open(dir.join("uploads"), 1 << 20).unwrap(),
        build_logs: BuildLogs::open(dir.join("builds"), LogBounds::default()).unwrap(),
        secrets: Arc::new(Secrets::open(dir.join("secrets"), blobs, files).unwrap()),
        outputs: Arc::new(Outputs::open(dir.join("output")).unwrap()),
        world: Arc::new(World::default()),
        clock,
        epoch,
        effects_at_once: 4,
        builds_at_once: 2,
    })
}

async fn fill(dir: &Path, events: u64) {
    let (store, _) = Store::open(dir, Clock::system(), |_| Ok(())).await.unwrap();
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let numbers = 0..=events.div_ceil(WRITERS * (PER_DEPLOYMENT + 1));
            let pushed =
                |number| [delivery(writer, number, Keys::Without)].into_iter().chain(deployment(writer, number));
            for append in numbers.flat_map(pushed) {
                store.append(append).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert!(store.head().position > events);
}
