//! Somebody who calls a workload all the time, and counts: which calls failed, and for how long no answer came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The last reasons of failed calls that are kept.
const REASONS: usize = 3;

/// What became of the calls.
#[derive(Default)]
pub(super) struct Calls {
    /// All of them.
    pub(super) all: u64,
    /// Those without an answer 200.
    pub(super) failed: u64,
    /// Some reasons.
    pub(super) reasons: Vec<String>,
    /// When answers came.
    answers: Vec<Instant>,
}

/// Calls until it is stopped.
pub(super) struct Caller {
    calls: Arc<Mutex<Calls>>,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Caller {
    /// Calls `/version` of a host, on a connection of its own each time, at that rate a second.
    pub(super) fn start(addr: SocketAddr, host: &str, rate: u32) -> Self {
        let (calls, stop) = (Arc::new(Mutex::new(Calls::default())), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(call((addr, host.to_owned()), rate, Arc::clone(&calls), stop.clone()));
        Self { calls, stop, task }
    }

    /// How many calls have failed so far, and why some of the last.
    pub(super) fn failed(&self) -> (u64, Vec<String>) {
        let calls = self.calls.lock();
        (calls.failed, calls.reasons.clone())
    }

    /// The longest time without an answer since then, ms.
    pub(super) fn longest_gap(&self, since: Instant) -> u64 {
        let calls = self.calls.lock();
        let mut at: Vec<Instant> = calls.answers.iter().filter(|at| **at >= since).copied().collect();
        at.sort_unstable();
        let gaps = at.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis());
        gaps.max().and_then(|gap| u64::try_from(gap).ok()).unwrap_or_default()
    }

    /// Calls no more, waits for what is out, and tells.
    pub(super) async fn stop(mut self) -> Calls {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
        std::mem::take(&mut *self.calls.lock())
    }
}

async fn call((addr, host): (SocketAddr, String), rate: u32, calls: Arc<Mutex<Calls>>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    let began = Instant::now();
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut out = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        while out.try_join_next().is_some() {}
        let (host, calls, asked) = (host.clone(), Arc::clone(&calls), began.elapsed().as_millis());
        out.spawn(async move {
            let answer = crate::http::get(addr, &host, "/version").await;
            let mut calls = calls.lock();
            calls.all += 1;
            match answer {
                Ok((200, _)) => calls.answers.push(Instant::now()),
                other => {
                    calls.failed += 1;
                    let why = other.map_or_else(|error| error.to_string(), |(status, text)| format!("{status} {text}"));
                    calls
                        .reasons
                        .push(format!("asked after {asked} ms, told after {} ms: {why}", began.elapsed().as_millis()));
                    let more = calls.reasons.len().saturating_sub(REASONS);
                    calls.reasons.drain(..more);
                }
            }
        });
    }
    while out.join_next().await.is_some() {}
}
