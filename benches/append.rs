//! Durable appends: the log with sled attached, beside a bare file with the same group commit.
//!
//! `cargo bench --bench append`: one JSON object a line; fails when a figure that must be met is not.
//!
//! Both sides of the first figure are asked by a task of the runtime: to wake one costs more than to wake the thread
//! that has blocked on the runtime. Each round of a storm is a process of its own: what is resident is then of this
//! round, not what the allocator has kept from those before it.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to tell")]

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cutover::clock::Clock;
use cutover::store::{Log, Store};
use support::{Bound, Figure, Keys, delivery, median};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Rounds of each figure, interleaved with its peer.
const ROUNDS: usize = 3;
/// Slices of one writer on either, in turn: a disk shared with others changes its speed within seconds.
const SLICES: usize = 30;
/// One slice with one writer.
const SHORT: Duration = Duration::from_millis(500);
/// One round with 64 writers: long enough for sled to fall behind, if it does.
const LONG: Duration = Duration::from_secs(30);
const MIB: f64 = 1024.0 * 1024.0;

/// Before the name of the kind of keys, where a process is to be one round of a storm.
const ROUND: &str = "--round";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    if let Some([_, kind]) = arguments.windows(2).find(|pair| pair[0] == ROUND) {
        let keys = if kind == "keys" { Keys::Each } else { Keys::Without };
        println!("{}", serde_json::json!(runtime.block_on(round(keys))));
        return ExitCode::SUCCESS;
    }
    if runtime.block_on(measure()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() -> bool {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let dir = tempfile::tempdir_in(".").unwrap();
    let store = open(dir.path()).await;
    for slice in 0..SLICES {
        bare.push(bare_file(dir.path().join(format!("bare-{slice}"))).await);
        ours.push(append_for(&store, 1, SHORT, Keys::Without).await);
    }
    drop(store);
    let peer = Some(("a bare file with the same group commit", median(bare)));
    let bound = Bound::AtLeast(0.85, 0.95);
    let one = Figure { bench: "append", metric: "1 writer", value: median(ours), unit: "events/s", peer, bound };
    let mut met = one.print();
    met &= storm("64 writers", Keys::Without, Bound::AtLeast(20_000.0, 40_000.0));
    met & storm("64 writers, a key each", Keys::Each, Bound::AtLeast(12_000.0, 40_000.0))
}

/// 64 writers: their rate, what sled lacks meanwhile, and memory beyond what it is allowed for so many events.
fn storm(metric: &str, keys: Keys, bound: Bound) -> bool {
    let (mut rates, mut unapplied, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let kind = if keys == Keys::Each { "keys" } else { "none" };
        let process =
            Command::new(std::env::current_exe().unwrap()).args([ROUND, kind]).stderr(Stdio::inherit()).output();
        let [rate, behind, held]: [f64; 3] = serde_json::from_slice(&process.unwrap().stdout).unwrap();
        rates.push(rate);
        unapplied.push(behind);
        memory.push(held);
    }
    let line = |name: String, value: f64, unit: &str, bound: Bound| {
        Figure { bench: "append", metric: &name, value, unit, peer: None, bound }.print()
    };
    let rate = line(metric.into(), median(rates), "events/s", bound);
    let behind = line(format!("{metric}: not yet in sled"), median(unapplied), "MiB", Bound::AtMost(32.0, 32.0));
    let held = line(format!("{metric}: resident less 80 B an event"), median(memory), "MiB", Bound::AtMost(64.0, 64.0));
    rate && behind && held
}

/// One round of a storm: events per second, the most that sled lacked, MiB, and the most that was resident less 80 B an
/// event, MiB.
async fn round(keys: Keys) -> [f64; 3] {
    let dir = tempfile::tempdir_in(".").unwrap();
    let store = open(dir.path()).await;
    let watched = store.clone();
    let (done, mut over) = oneshot::channel::<()>();
    let mut watch = JoinSet::new();
    watch.spawn(async move {
        let (mut most, mut held) = (0, 0);
        loop {
            most = most.max(watched.unapplied_bytes());
            held = held.max(resident());
            tokio::select! {
                _ = &mut over => return (most, held),
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    });
    let rate = append_for(&store, 64, LONG, keys).await;
    drop(done);
    let (most, held) = watch.join_next().await.unwrap().unwrap();
    let events = store.head().position as f64;
    [rate, most as f64 / MIB, (held as f64 - 80.0 * events) / MIB]
}

async fn open(dir: &Path) -> Arc<Store> {
    Arc::new(Store::open(dir, Clock::system(), |_| Ok(())).await.unwrap().0)
}

/// One writer on a bare file: a thread that writes what waits, zeros ahead, one sync for each group.
async fn bare_file(path: PathBuf) -> f64 {
    let mut task = JoinSet::new();
    task.spawn(bare_appends(path));
    task.join_next().await.unwrap().unwrap()
}

async fn bare_appends(path: PathBuf) -> f64 {
    let file = File::create(path).unwrap();
    let (appends, mut waiting) = mpsc::unbounded_channel::<(Vec<u8>, oneshot::Sender<()>)>();
    let thread = std::thread::spawn(move || {
        let (mut at, mut allocated) = (0, 0);
        while let Some((mut group, reply)) = waiting.blocking_recv() {
            let mut replies = vec![reply];
            while let Ok((more, reply)) = waiting.try_recv() {
                group.extend_from_slice(&more);
                replies.push(reply);
            }
            while allocated < at + group.len() as u64 {
                file.write_all_at(&vec![0; 1024 * 1024], allocated).unwrap();
                allocated += 1024 * 1024;
            }
            file.write_all_at(&group, at).unwrap();
            file.sync_data().unwrap();
            at += group.len() as u64;
            replies.into_iter().for_each(|reply| reply.send(()).unwrap());
        }
    });
    let begun = Instant::now();
    let mut events = 0;
    while begun.elapsed() < SHORT {
        let body = cutover_events::codec::encode_events(&delivery(0, events, Keys::Without).events).unwrap();
        let (reply, answer) = oneshot::channel();
        appends.send((body, reply)).unwrap();
        answer.await.unwrap();
        events += 1;
    }
    let rate = events as f64 / begun.elapsed().as_secs_f64();
    drop(appends);
    thread.join().unwrap();
    rate
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Appends with so many writers at once, for so long; answers with events per second.
async fn append_for(log: &Arc<impl Log>, writers: u64, time: Duration, keys: Keys) -> f64 {
    let begun = Instant::now();
    let salt = log.head().position << 20;
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let log = log.clone();
        tasks.spawn(async move {
            let mut number = salt;
            while begun.elapsed() < time {
                log.append(delivery(writer, number, keys)).await.unwrap();
                number += 1;
            }
            number - salt
        });
    }
    let events: u64 = tasks.join_all().await.iter().sum();
    events as f64 / begun.elapsed().as_secs_f64()
}
