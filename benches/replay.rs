//! Opening a log: verified, decoded and given to a fold that only counts.
//!
//! `cargo bench --bench replay`: one JSON object a line; fails when a figure that must be met is not.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to tell")]

mod support;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use cutover::clock::Clock;
use cutover::store::{Log, Store};
use support::{Bound, Figure, Keys, delivery, median};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Each figure is measured so often.
const ROUNDS: usize = 3;
/// Writers that make the log: groups are then as large as in a storm.
const WRITERS: u64 = 64;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(measure()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> bool {
    let small = opened(100_000, "start, 100,000 events", Bound::AtMost(1.5, 0.75)).await;
    let large = opened(1_000_000, "start, 1,000,000 events", Bound::AtMost(6.0, 3.0)).await;
    small && large
}

/// Seconds until a log of so many events is open, and verified events per second meanwhile.
async fn opened(events: u64, metric: &str, bound: Bound) -> bool {
    let dir = tempfile::tempdir_in(".").unwrap();
    fill(dir.path(), events).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let (store, report) = Store::open(dir.path(), Clock::system(), |_| Ok(())).await.unwrap();
        times.push(begun.elapsed().as_secs_f64());
        assert!(report.rebuilt.is_none() && report.events >= events);
        drop(store);
    }
    let (time, bench) = (median(times), "replay");
    let met = Figure { bench, metric, value: time, unit: "s", peer: None, bound }.print();
    let (value, bound) = (events as f64 / time, Bound::AtLeast(700_000.0, 1_000_000.0));
    let metric = format!("verified replay, {events} events");
    met & Figure { bench, metric: &metric, value, unit: "events/s", peer: None, bound }.print()
}

async fn fill(dir: &Path, events: u64) {
    let (store, _) = Store::open(dir, Clock::system(), |_| Ok(())).await.unwrap();
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            for number in 0..events.div_ceil(WRITERS) {
                store.append(delivery(writer, number, Keys::Without)).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert!(store.head().position > events);
}
