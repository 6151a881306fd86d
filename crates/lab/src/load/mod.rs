//! Open-loop load that accounts for every request: each ends in exactly one class.

mod client;
mod streams;
mod tally;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use client::{Body, Client, Connection, Shot};
pub(crate) use tally::Summary;
use tally::Tally;

/// Requests that may be waiting for an answer at a time; the next one counts as failed ("held back"): the pace of
/// the senders never bends to a proxy that stalls, and memory stays bounded.
const OUTSTANDING: usize = 512;
/// How long a request may take before it counts as failed.
const ANSWER: Duration = Duration::from_secs(10);
/// How long requests that are out may take when the load ends.
const LAST: Duration = Duration::from_secs(12);

/// What is sent.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The proxy.
    pub addr: SocketAddr,
    /// `Host` of every request.
    pub host: String,
    /// Requests per second, streams not counted.
    pub rate: u32,
    /// Websockets held open.
    pub websockets: usize,
    /// Event streams held open.
    pub sse: usize,
}

impl Plan {
    /// The mixed traffic of the figures: 200 requests per second, 4 websockets, 2 event streams.
    pub(crate) fn mixed(addr: SocketAddr, host: &str) -> Self {
        Self { addr, host: host.into(), rate: 200, websockets: 4, sse: 2 }
    }
}

/// Load that runs until it is stopped.
pub(crate) struct Load {
    tally: Arc<Tally>,
    stop: CancellationToken,
    tasks: TaskTracker,
    began: Instant,
}

impl Load {
    /// Begins to send.
    pub(crate) fn start(plan: &Plan) -> Self {
        let load = Self {
            tally: Arc::new(Tally::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            began: Instant::now(),
        };
        let client = Arc::new(Client::new(plan.addr, plan.host.clone(), Arc::clone(&load.tally), load.tasks.clone()));
        load.tasks.spawn(pace(plan.rate, Arc::clone(&client), load.stop.clone(), load.tasks.clone()));
        for _ in 0..plan.websockets {
            load.tasks.spawn(streams::websocket(plan.clone(), Arc::clone(&load.tally), load.stop.clone()));
        }
        for _ in 0..plan.sse {
            load.tasks.spawn(streams::events(plan.clone(), Arc::clone(&load.tally), load.stop.clone()));
        }
        load
    }

    /// Failed requests and all requests so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        self.tally.so_far()
    }

    /// Sends nothing more, waits for what is out, and adds up.
    pub(crate) async fn stop(self) -> Summary {
        let sent_for = self.began.elapsed();
        self.stop.cancel();
        self.tasks.close();
        // Idle connections end with the client; what is still out after that time has been counted as timed out.
        let _ended = tokio::time::timeout(LAST, self.tasks.wait()).await;
        self.tally.summary(sent_for)
    }
}

/// The mixture, by the number of the request: kept-alive and fresh connections, bodies both ways, slow answers.
const MIXTURE: [Shot; 20] = {
    const GET: Shot = Shot { connection: Connection::Kept, body: Body::Get1k };
    const FRESH: Shot = Shot { connection: Connection::Fresh, body: Body::Get1k };
    const POST: Shot = Shot { connection: Connection::Kept, body: Body::Post };
    const FRESH_POST: Shot = Shot { connection: Connection::Fresh, body: Body::Post };
    const LARGE: Shot = Shot { connection: Connection::Kept, body: Body::Get64k };
    const SLOW: Shot = Shot { connection: Connection::Kept, body: Body::Slow };
    const FRESH_SLOW: Shot = Shot { connection: Connection::Fresh, body: Body::Slow };
    [
        GET, POST, FRESH, GET, LARGE, POST, GET, FRESH_POST, SLOW, GET, FRESH, POST, GET, FRESH, FRESH_SLOW, POST, GET,
        FRESH_POST, LARGE, FRESH,
    ]
};

async fn pace(rate: u32, client: Arc<Client>, stop: CancellationToken, tasks: TaskTracker) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let room = Arc::new(Semaphore::new(OUTSTANDING));
    let mut number = 0_usize;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let shot = MIXTURE[number % MIXTURE.len()];
        number += 1;
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            client.held_back(shot);
            continue;
        };
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            client.send(number, shot).await;
            drop(permit);
        });
    }
}
