//! What is kept of a request until its last byte: its claim, its counts, its line in the access log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderValue, Request, Version};

use super::Forwarder;
use crate::access_log::{push_decimal, push_key, push_number, push_text};
use crate::drain::{Claim, Turn};
use crate::moment;
use crate::pool::UploadCount;
use crate::serving::Client;
use crate::table::Found;

/// What is written as the status of a request whose client went away before an answer; nginx's number.
const CLIENT_GONE: u16 = 499;

/// One request from its head to the last byte of its answer. Dropping it ends the request: it is counted, written, and
/// its claim released.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) forwarder: Arc<Forwarder>,
    pub(super) client: Arc<Client>,
    pub(super) found: Option<Arc<Found>>,
    pub(super) claim: Option<Claim>,
    /// While it has not been answered: its turn among those that were held.
    pub(super) turn: Option<Turn>,
    pub(super) upload: Option<Arc<UploadCount>>,
    pub(super) request_id: HeaderValue,
    pub(super) status: u16,
    pub(super) sent: u64,
    pub(super) retries: u32,
    /// When the head of the answer came, µs.
    pub(super) head_us: u64,
    /// Whether the whole answer was handed over.
    pub(super) complete: bool,
    line: Option<Vec<u8>>,
    started_us: u64,
}

impl Record {
    /// Begins a request: it counts as open on its connection.
    pub(super) fn begin<B>(forwarder: &Arc<Forwarder>, client: &Arc<Client>, request: &Request<B>) -> Box<Self> {
        let line = forwarder.journal.line().map(|mut line| {
            push_request(&mut line, client, request);
            line
        });
        Box::new(Self {
            forwarder: Arc::clone(forwarder),
            client: Arc::clone(client),
            found: None,
            claim: None,
            turn: None,
            upload: None,
            request_id: HeaderValue::from_static("-"),
            status: CLIENT_GONE,
            sent: 0,
            retries: 0,
            head_us: 0,
            complete: false,
            line,
            started_us: moment::micros(),
        })
    }

    /// The head of the target's answer is here.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
        self.head_us = moment::micros();
    }

    fn write(&self, mut line: Vec<u8>, took_us: u64, received: u64) {
        push_text(&mut line, "request_id", self.request_id.as_bytes());
        push_number(&mut line, "status", u64::from(self.status));
        push_number(&mut line, "sent", self.sent);
        push_number(&mut line, "received", received);
        push_millis(&mut line, "ms", took_us);
        if self.head_us != 0 {
            push_millis(&mut line, "upstream_ms", self.head_us.saturating_sub(self.started_us));
        }
        if let Some(found) = &self.found {
            push_text(&mut line, "workload", found.entry.name.as_bytes());
        }
        if let Some(claim) = &self.claim {
            push_text(&mut line, "unit", claim.target().unit.as_bytes());
        }
        if self.retries > 0 {
            push_number(&mut line, "retries", u64::from(self.retries));
        }
        if !self.complete {
            push_key(&mut line, "cut");
            line.extend_from_slice(b"true");
        }
        line.extend_from_slice(b"}\n");
        self.forwarder.journal.push(line);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took_us = moment::micros().saturating_sub(self.started_us);
        let received = self.upload.as_ref().map_or(0, |upload| upload.bytes.load(Ordering::Relaxed));
        if let Some(claim) = &self.claim {
            claim.target().figures.count(self.status, received, self.sent);
        }
        if let Some(found) = &self.found {
            found.entry.figures.observe(took_us);
        }
        if let Some(line) = self.line.take() {
            self.write(line, took_us, received);
        }
        self.client.end_request();
    }
}

fn push_request<B>(line: &mut Vec<u8>, client: &Client, request: &Request<B>) {
    line.extend_from_slice(b"{\"time\":\"");
    moment::push_rfc3339(line, moment::wall_ms());
    line.extend_from_slice(b"\",\"client\":\"");
    line.extend_from_slice(client.peer_value.as_bytes());
    line.push(b'"');
    push_text(line, "method", request.method().as_str().as_bytes());
    let uri = request.uri();
    let host = match uri.authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => request.headers().get(http::header::HOST).map_or(&b""[..], HeaderValue::as_bytes),
    };
    push_text(line, "host", host);
    push_text(line, "uri", uri.path_and_query().map_or("", |path| path.as_str()).as_bytes());
    push_text(line, "protocol", protocol(request.version()).as_bytes());
    for (key, name) in [("referer", REFERER), ("user_agent", USER_AGENT)] {
        if let Some(value) = request.headers().get(name) {
            push_text(line, key, value.as_bytes());
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        _ => "other",
    }
}

/// Milliseconds with three places.
fn push_millis(line: &mut Vec<u8>, key: &str, micros: u64) {
    push_key(line, key);
    push_decimal(line, micros / 1_000);
    line.push(b'.');
    let rest = micros % 1_000;
    for digit in [rest / 100, rest / 10 % 10, rest % 10] {
        push_decimal(line, digit);
    }
}
