//! What an outsider sees: when the database answers, and which of its containers run at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{PATIENCE, client};
use crate::Result;
use crate::docker::Docker;

/// Between two questions of the client.
const PACE: Duration = Duration::from_millis(10);

/// Asks all the time, until it is dropped.
pub(super) struct Client {
    seen: Arc<Mutex<Vec<(u64, bool)>>>,
    _task: JoinSet<()>,
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "compared with the times of the timeline, which are of the wall clock")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// One question: a failure counts from when it was asked, an answer from when it came.
async fn ask(at: SocketAddr) -> (u64, bool) {
    let asked = now_ms();
    match client::ask(at, "select 1").await {
        Ok(_) => (now_ms(), true),
        Err(_) => (asked, false),
    }
}

impl Client {
    pub(super) fn start(at: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let list = Arc::clone(&seen);
        task.spawn(async move {
            loop {
                let seen = ask(at).await;
                list.lock().push(seen);
                tokio::time::sleep(PACE).await;
            }
        });
        Self { seen, _task: task }
    }

    /// The longest time without an answer since `from`, ms: between the last answer before it and the first after it.
    pub(super) fn longest_gap(&self, from: u64) -> u64 {
        let seen = self.seen.lock();
        let answers: Vec<u64> =
            seen.iter().filter(|(at, answered)| *answered && *at >= from).map(|(at, _)| *at).collect();
        answers.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or_default()
    }

    /// Waits until it was answered once more.
    pub(super) async fn once_more(&self) -> Result {
        let (from, deadline) = (now_ms(), Instant::now() + PATIENCE);
        while !self.seen.lock().iter().any(|(at, answered)| *answered && *at >= from) {
            if Instant::now() > deadline {
                return Err("the database does not answer any more".into());
            }
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    pub(super) fn now() -> u64 {
        now_ms()
    }
}

/// Starts and ends of containers of one name, as Docker tells them.
pub(super) struct Runs {
    seen: Arc<Mutex<Vec<(i64, String, String)>>>,
    _task: JoinSet<()>,
}

impl Runs {
    pub(super) fn watch(docker: &Docker, label: &str, value: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let (list, events) = (Arc::clone(&seen), docker.events(label, value));
        task.spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = futures_util::StreamExt::next(&mut events).await {
                list.lock().push(event);
            }
        });
        Self { seen, _task: task }
    }

    /// The most containers that ran at the same time, and how many ran at all.
    pub(super) fn most(&self) -> Result<(usize, usize)> {
        let mut seen = self.seen.lock().clone();
        seen.sort();
        let mut running = BTreeSet::new();
        let mut all: BTreeMap<String, u32> = BTreeMap::new();
        let mut most = 0;
        for (_, action, id) in &seen {
            match action.as_str() {
                "start" => {
                    running.insert(id.clone());
                    *all.entry(id.clone()).or_default() += 1;
                }
                "die" => {
                    running.remove(id);
                }
                _ => {}
            }
            most = most.max(running.len());
        }
        if all.is_empty() { Err("Docker told of no start".into()) } else { Ok((most, all.len())) }
    }
}
