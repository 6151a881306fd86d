//! Single requests over kept-alive and fresh connections.

use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::tally::{Class, Tally};

/// Kept connections; more are closed after their answer.
const KEPT: usize = 64;

/// Which connection a request takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Connection {
    /// One that was used before, when there is one.
    Kept,
    /// A new one, closed by the answer.
    Fresh,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// 1 KiB.
    Get1k,
    /// 64 KiB.
    Get64k,
    /// An answer that takes 300 ms.
    Slow,
    /// A body whose length and checksum come back.
    Post,
}

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shot {
    /// Which connection.
    pub connection: Connection,
    /// What is asked for.
    pub body: Body,
}

/// Sends requests and tells the tally how each ended.
pub(super) struct Client {
    addr: SocketAddr,
    host: String,
    tally: Arc<Tally>,
    tasks: TaskTracker,
    kept: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

type Ended = (Class, String);

impl Client {
    pub(super) fn new(addr: SocketAddr, host: String, tally: Arc<Tally>, tasks: TaskTracker) -> Self {
        Self { addr, host, tally, tasks, kept: Mutex::default() }
    }

    /// Counts a request that could not be sent.
    pub(super) fn held_back(&self, shot: Shot) {
        self.tally.ended(Class::HeldBack, std::time::Duration::ZERO, || format!("{shot:?}"));
    }

    /// Sends one request; it is in the tally afterwards.
    pub(super) async fn send(&self, number: usize, shot: Shot) {
        let began = Instant::now();
        let ended = tokio::time::timeout(super::ANSWER, self.attempt(number, shot)).await;
        let (class, why) = match ended {
            Ok(Ok(())) => (Class::Ok, String::new()),
            Ok(Err(ended)) => ended,
            Err(_) => (Class::TimedOut, String::new()),
        };
        self.tally.ended(class, began.elapsed(), || format!("{:?} {:?} {why}", shot.connection, shot.body));
    }

    async fn attempt(&self, number: usize, shot: Shot) -> Result<(), Ended> {
        let (mut sender, reused) = self.connection(shot.connection).await?;
        let request = self.request(number, shot);
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| (if reused { Class::ReusedReset } else { Class::FreshFailed }, chain(&error)))?;
        let status = answer.status().as_u16();
        if let Some(version) = answer.headers().get("x-version").and_then(|value| value.to_str().ok()) {
            self.tally.version(version);
        }
        let closes =
            answer.headers().get("connection").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let body = answer.into_body().collect().await.map_err(|error| (Class::CutBody, chain(&error)))?.to_bytes();
        if shot.connection == Connection::Kept && !closes {
            self.keep(sender);
        }
        if status != 200 {
            return Err((Class::Status(status), String::from_utf8_lossy(&body).chars().take(120).collect()));
        }
        if !right(number, shot.body, &body) {
            return Err((Class::WrongBody, format!("{} bytes", body.len())));
        }
        Ok(())
    }

    /// A connection, and whether it was used before. One that has closed while idle is no failure: nothing was sent.
    async fn connection(&self, wanted: Connection) -> Result<(SendRequest<Full<Bytes>>, bool), Ended> {
        while let Some(mut sender) = self.idle(wanted) {
            if !sender.is_closed() && sender.ready().await.is_ok() {
                return Ok((sender, true));
            }
        }
        let failed = |error: std::io::Error| (Class::FreshFailed, error.to_string());
        let stream = TcpStream::connect(self.addr).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| (Class::FreshFailed, chain(&error)))?;
        self.tasks.spawn(async move { drop(connection.await) });
        Ok((sender, false))
    }

    fn idle(&self, wanted: Connection) -> Option<SendRequest<Full<Bytes>>> {
        if wanted == Connection::Kept { self.kept.lock().pop() } else { None }
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut kept = self.kept.lock();
        if kept.len() < KEPT {
            kept.push(sender);
        }
    }

    fn request(&self, number: usize, shot: Shot) -> Request<Full<Bytes>> {
        let (method, path, body) = match shot.body {
            Body::Get1k => ("GET", "/1k", Bytes::new()),
            Body::Get64k => ("GET", "/64k", Bytes::new()),
            Body::Slow => ("GET", "/slow?ms=300", Bytes::new()),
            Body::Post => ("POST", "/echo", posted(number)),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.parse().unwrap_or_default();
        *request.uri_mut() = hyper::Uri::from_static(path);
        let headers = request.headers_mut();
        if let Ok(host) = self.host.parse() {
            headers.insert("host", host);
        }
        if shot.connection == Connection::Fresh {
            headers.insert("connection", hyper::header::HeaderValue::from_static("close"));
        }
        request
    }
}

/// The body of the POST with that number: 16 bytes to 32 KiB, never the same twice in a row.
fn posted(number: usize) -> Bytes {
    let length = 16 << (number % 12);
    let mut state = number as u64 | 1;
    let bytes = (0..length).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    bytes.collect::<Vec<u8>>().into()
}

/// FNV-1a, as the sample computes it.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn right(number: usize, asked: Body, answer: &[u8]) -> bool {
    let filled = |length: usize| answer.len() == length && answer.iter().all(|byte| *byte == b'x');
    match asked {
        Body::Get1k => filled(1024),
        Body::Get64k => filled(64 * 1024),
        Body::Slow => answer == b"slow\n",
        Body::Post => {
            let posted = posted(number);
            answer == format!("{} {:016x}", posted.len(), checksum(&posted)).as_bytes()
        }
    }
}

/// An error with its causes: the outer one alone only says "error sending request".
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_or_short_body_is_wrong() {
        assert!(right(7, Body::Get1k, &[b'x'; 1024]));
        assert!(!right(7, Body::Get1k, &[b'x'; 1023]));
        let body = posted(7);
        let answer = format!("{} {:016x}", body.len(), checksum(&body));
        assert!(right(7, Body::Post, answer.as_bytes()));
        assert!(!right(8, Body::Post, answer.as_bytes()));
    }
}
