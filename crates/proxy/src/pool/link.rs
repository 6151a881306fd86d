//! One connection to a target, and one exchange on it up to the head of the answer.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::early::EarlyAnswer;
use super::upload::Upload;
use crate::config::{CONNECT_TIMEOUT, POOL_IDLE};

type Io = TokioIo<EarlyAnswer>;
pub(super) type Connection = http1::Connection<Io, Upload>;
type Sender = http1::SendRequest<Upload>;

/// An open connection and the way to send on it.
#[derive(Debug)]
pub struct Link {
    sender: Sender,
    connection: Box<Connection>,
    heard: Arc<AtomicBool>,
    address: SocketAddr,
    idle_ms: u64,
    ended: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Failed {
    /// The request, when nothing of it was sent.
    pub unsent: Option<Request<Upload>>,
    /// Whether any byte of an answer arrived.
    pub answered: bool,
    /// What hyper says.
    pub error: hyper::Error,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// When nothing answers in time.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let (sender, connection, heard) = dial(address).await?;
        let idle_ms = u64::try_from(POOL_IDLE.as_millis()).unwrap_or(u64::MAX);
        let connection = Box::new(connection);
        let mut link = Self { sender, connection, heard, address, idle_ms, ended: false };
        if link.is_alive() { Ok(link) } else { Err(std::io::ErrorKind::ConnectionReset.into()) }
    }

    /// Where it leads to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it may be idle, ms.
    #[must_use]
    pub fn idle_ms(&self) -> u64 {
        self.idle_ms
    }

    /// Takes over what the origin says of its idle limit, less one second for the way there.
    pub fn heed_keep_alive(&mut self, seconds: u64) {
        self.idle_ms = self.idle_ms.min(seconds.saturating_sub(1) * 1_000);
    }

    /// Whether a request can be sent now. Costs a system call only when the socket has something to say.
    #[must_use]
    pub fn is_alive(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.ended && self.sender.is_ready()
    }

    /// Moves bytes both ways; whether the connection has come to its end.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.ended && Pin::new(&mut *self.connection).poll(cx).is_ready() {
            self.ended = true;
        }
        self.ended
    }

    /// Whether the next request could be sent; waits for the end of an upload that goes on.
    pub(super) fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.drive(cx) {
            return Poll::Ready(false);
        }
        match self.sender.poll_ready(cx) {
            Poll::Ready(ready) => Poll::Ready(ready.is_ok()),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, Failed> {
        self.heard.store(false, Ordering::Relaxed);
        let mut answer = pin!(self.sender.try_send_request(request));
        // Only driving the connection can bring the answer, so the answer itself need not wake anybody.
        let outcome = poll_fn(|cx| {
            self.drive(cx);
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        outcome.map_err(|mut failed| Failed {
            unsent: failed.take_message(),
            answered: self.heard.load(Ordering::Relaxed),
            error: failed.into_error(),
        })
    }
}

/// Connects, without delay of small writes: a proxy writes whole heads.
async fn dial(address: SocketAddr) -> std::io::Result<(Sender, Connection, Arc<AtomicBool>)> {
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(stream) => stream?,
        Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
    };
    stream.set_nodelay(true)?;
    let heard = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(EarlyAnswer::new(stream, Arc::clone(&heard)));
    let (sender, connection) = http1::Builder::new().handshake(io).await.map_err(std::io::Error::other)?;
    Ok((sender, connection, heard))
}

/// A connection for a request that may end in a tunnel: used once, driven by a task of its own.
///
/// # Errors
/// When nothing answers in time.
pub async fn dial_upgradeable(
    address: SocketAddr,
) -> std::io::Result<(Sender, impl Future<Output = hyper::Result<()>> + Send)> {
    let (sender, connection, _) = dial(address).await?;
    Ok((sender, connection.with_upgrades()))
}
