//! What is known of one client connection, shared by its socket, its requests and the sweep.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use futures_util::task::AtomicWaker;
use http::HeaderValue;
use parking_lot::Mutex;

use crate::config::Trust;
use crate::moment;

/// Limits in time of a client connection, ms.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request.
    pub head_ms: u64,
    /// Between two requests.
    pub idle_ms: u64,
    /// Inside a body, either way.
    pub stall_ms: u64,
}

/// One client connection.
#[derive(Debug)]
pub struct Client {
    /// The other end.
    pub peer: SocketAddr,
    /// Its address as a header value.
    pub peer_value: HeaderValue,
    /// Whether its forwarding headers are believed.
    pub trust: Trust,
    /// The last `Host` and the `Forwarded` made of it: a connection rarely has two.
    pub forwarded: Mutex<Option<(HeaderValue, HeaderValue)>>,
    driver: AtomicWaker,
    reader: AtomicWaker,
    closed: AtomicBool,
    hold_eof: AtomicBool,
    multiplexed: AtomicBool,
    awaiting_head: AtomicBool,
    since_ms: AtomicU64,
    read_ms: AtomicU64,
    blocked_ms: AtomicU64,
    answer_due_ms: AtomicU64,
    answer_overdue: AtomicBool,
    requests: AtomicU32,
    uploads: AtomicU32,
}

impl Client {
    /// A connection that was accepted now: its first request's head is due.
    #[must_use]
    pub fn new(peer: SocketAddr, trust: Trust) -> Arc<Self> {
        let now = moment::coarse_ms();
        let address = peer.ip().to_canonical().to_string();
        Arc::new(Self {
            peer,
            peer_value: HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("unknown")),
            trust,
            forwarded: Mutex::new(None),
            driver: AtomicWaker::new(),
            reader: AtomicWaker::new(),
            closed: AtomicBool::new(false),
            hold_eof: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            awaiting_head: AtomicBool::new(true),
            since_ms: AtomicU64::new(now),
            read_ms: AtomicU64::new(now),
            blocked_ms: AtomicU64::new(0),
            answer_due_ms: AtomicU64::new(0),
            answer_overdue: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
        })
    }

    /// Closes it at once, whatever is open.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.driver.wake();
    }

    /// Whether it is to be closed; wakes the driver when that changes.
    #[must_use]
    pub fn poll_closed(&self, cx: &std::task::Context<'_>) -> bool {
        self.driver.register(cx.waker());
        self.closed.load(Ordering::SeqCst)
    }

    /// A request's head is complete. `half_close`: an end of the client's sending does not end the request.
    pub fn begin_request(&self, version: http::Version, half_close: HalfClose) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.awaiting_head.store(false, Ordering::Relaxed);
        if version == http::Version::HTTP_2 {
            self.multiplexed.store(true, Ordering::Relaxed);
        }
        if half_close == HalfClose::Serve {
            self.hold_eof.store(true, Ordering::SeqCst);
        }
    }

    /// The last byte of an answer was handed over.
    pub fn end_request(&self) {
        if self.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.since_ms.store(moment::coarse_ms(), Ordering::Relaxed);
        }
        if self.hold_eof.swap(false, Ordering::SeqCst) {
            self.reader.wake();
        }
    }

    /// A body is on its way.
    pub fn begin_upload(&self) {
        self.uploads.fetch_add(1, Ordering::Relaxed);
    }

    /// A body is complete or given up.
    pub fn end_upload(&self) {
        self.uploads.fetch_sub(1, Ordering::Relaxed);
    }

    /// A target's answer is due after so many ms. For a connection with one request at a time: the sweep looks at it,
    /// which saves each request a timer.
    pub fn expect_answer(&self, within_ms: u64) {
        self.answer_overdue.store(false, Ordering::Relaxed);
        self.answer_due_ms.store(moment::coarse_ms().saturating_add(within_ms), Ordering::Relaxed);
    }

    /// Whether the answer is overdue; the driver is woken when it becomes so.
    #[must_use]
    pub fn is_answer_overdue(&self) -> bool {
        self.answer_overdue.load(Ordering::Relaxed)
    }

    /// The answer is here, or not expected any more.
    pub fn end_expecting(&self) {
        self.answer_due_ms.store(0, Ordering::Relaxed);
    }

    /// Tells the driver when an answer is overdue.
    pub(super) fn check_answer(&self, now_ms: u64) {
        let due = self.answer_due_ms.load(Ordering::Relaxed);
        if due != 0 && now_ms > due {
            self.answer_overdue.store(true, Ordering::Relaxed);
            self.driver.wake();
        }
    }

    /// Whether no request is open.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    /// The client ended its sending: whether that stays hidden for now.
    pub(super) fn hides_end(&self, cx: &std::task::Context<'_>) -> bool {
        self.reader.register(cx.waker());
        self.hold_eof.load(Ordering::SeqCst)
    }

    /// Bytes arrived.
    pub(super) fn note_read(&self) {
        let now = moment::coarse_ms();
        self.read_ms.store(now, Ordering::Relaxed);
        if self.is_idle() && !self.awaiting_head.swap(true, Ordering::Relaxed) {
            self.since_ms.store(now, Ordering::Relaxed);
        }
    }

    /// The client takes no more at the moment.
    pub(super) fn note_blocked(&self) {
        if self.blocked_ms.load(Ordering::Relaxed) == 0 {
            self.blocked_ms.store(moment::coarse_ms(), Ordering::Relaxed);
        }
    }

    /// The client took something.
    pub(super) fn note_written(&self) {
        if self.blocked_ms.load(Ordering::Relaxed) != 0 {
            self.blocked_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Whether a limit in time has passed.
    #[must_use]
    pub fn is_overdue(&self, now_ms: u64, patience: &Patience) -> bool {
        let past = |since: &AtomicU64, limit| now_ms.saturating_sub(since.load(Ordering::Relaxed)) > limit;
        if self.blocked_ms.load(Ordering::Relaxed) != 0 && past(&self.blocked_ms, patience.stall_ms) {
            return true;
        }
        if !self.is_idle() {
            return self.uploads.load(Ordering::Relaxed) > 0 && past(&self.read_ms, patience.stall_ms);
        }
        if self.multiplexed.load(Ordering::Relaxed) {
            return past(&self.since_ms, patience.idle_ms) && past(&self.read_ms, patience.idle_ms);
        }
        let limit = if self.awaiting_head.load(Ordering::Relaxed) { patience.head_ms } else { patience.idle_ms };
        past(&self.since_ms, limit)
    }
}

/// What an end of the client's sending means for an open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfClose {
    /// The client went away.
    Abort,
    /// The answer is still wanted.
    Serve,
}
