//! Accepting connections and serving HTTP/1.0, HTTP/1.1 and cleartext HTTP/2 on them.

mod client;
mod io;
mod registry;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io as stdio;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use client::{Client, HalfClose, Patience};
use io::ClientIo;
use registry::Registry;

use crate::config::{MAX_HEAD_BYTES, MAX_STREAMS, STOP_GRACE};
use crate::forward::{Forwarder, handle};

/// How often limits in time are looked at, s: they are good to that.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Pause after a failed accept, ms: out of descriptors, which ends only when something closes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at what is still open at the end, ms.
const STOP_POLL: Duration = Duration::from_millis(20);

/// Serves traffic until it is told to stop.
#[derive(Debug)]
pub struct Front {
    forwarder: Arc<Forwarder>,
    registry: Arc<Registry>,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Front {
    /// Nothing is accepted yet.
    #[must_use]
    pub fn new(forwarder: Arc<Forwarder>) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(forwarder.config.max_connections));
        Arc::new(Self {
            forwarder,
            registry: Arc::default(),
            permits,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Accepts on a listener from now on.
    pub fn listen(self: &Arc<Self>, listener: TcpListener) {
        let front = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = front.stop.clone();
            stop.run_until_cancelled(front.accept(listener)).await;
        });
    }

    /// Looks at the limits in time from now on.
    pub fn sweep(self: &Arc<Self>) {
        let front = Arc::clone(self);
        self.tasks.spawn(async move {
            let stop = front.stop.clone();
            stop.run_until_cancelled(front.sweep_forever()).await;
        });
    }

    /// Accepts nothing more, closes idle connections, gives the rest [`STOP_GRACE`], cuts what remains.
    pub async fn stop(&self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_GRACE, self.emptied()).await.is_err() {
            tracing::info!(open = self.registry.count(), "cut what was open at the end of the grace");
            self.registry.close_all();
        }
    }

    async fn emptied(&self) {
        while self.registry.count() > 0 {
            self.registry.close_idle();
            tokio::time::sleep(STOP_POLL).await;
        }
    }

    async fn sweep_forever(&self) {
        let config = &self.forwarder.config;
        let patience = Patience {
            head_ms: config.head_timeout_ms,
            idle_ms: config.client_idle_ms,
            stall_ms: config.client_stall_ms,
        };
        let mut tick = tokio::time::interval(SWEEP_EVERY);
        loop {
            tick.tick().await;
            self.registry.sweep(&patience);
            let table = self.forwarder.switchboard.load();
            for target in table.entries.values().flat_map(|entry| &entry.targets) {
                target.pool.sweep();
            }
        }
    }

    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let client = Client::new(peer, self.forwarder.config.trust(peer.ip()));
                    self.tasks.spawn(Arc::clone(self).connection(stream, client, permit));
                }
                Err(e) if is_of_one_connection(&e) => {}
                Err(e) => {
                    tracing::warn!(error = %e, "cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, client: Arc<Client>, permit: OwnedSemaphorePermit) {
        // Without it an answer in two writes would wait for an acknowledgement.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let figures = &self.forwarder.figures;
        figures.accepted.fetch_add(1, Ordering::Relaxed);
        figures.connections.fetch_add(1, Ordering::Relaxed);
        let io = TokioIo::new(ClientIo::new(stream, self.registry.enter(Arc::clone(&client), permit)));
        let forwarder = &self.forwarder;
        let service = hyper::service::service_fn(|request| {
            let answer = handle(Arc::clone(forwarder), Arc::clone(&client), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let builder = builder(&self.tasks);
        let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
        let ended = poll_fn(|cx| {
            if client.poll_closed(cx) {
                return Poll::Ready(Ok(()));
            }
            connection.as_mut().poll(cx)
        })
        .await;
        figures.connections.fetch_sub(1, Ordering::Relaxed);
        if let Err(e) = ended {
            tracing::debug!(peer = %client.peer, error = %e, "connection ended");
        }
    }
}

/// Runs the streams of HTTP/2 connections.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

fn builder(tasks: &TaskTracker) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams(tasks.clone()));
    builder.http1().max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    builder
}

/// Whether an accept failed because of the one connection that it would have returned.
fn is_of_one_connection(e: &stdio::Error) -> bool {
    matches!(
        e.kind(),
        stdio::ErrorKind::ConnectionAborted | stdio::ErrorKind::ConnectionReset | stdio::ErrorKind::ConnectionRefused
    )
}
