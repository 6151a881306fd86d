//! The API from outside: one request per connection, over the local socket or TCP.

mod sse;
mod transport;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) use sse::{Frame, Frames};
use transport::Upgrading;
pub(super) use transport::{Exchange, Target};

use super::exit::{Exit, Failure};
use crate::api::problem::{Code, Problem};

/// Bytes of an answer: a status with thousands of containers, far below what hurts.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// How long an engine that starts is asked again before it counts as not reachable.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(super) enum CallError {
    /// Nothing listens: the request was never sent.
    Unreachable(String),
    /// The connection broke after the request may have been read.
    Broken(String),
    /// The engine refuses.
    Problem(Box<Problem>),
}

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Bytes>,
    /// A body that is read from a file while it is sent, and how many bytes it has.
    pub(super) file: Option<(Arc<File>, u64)>,
    pub(super) key: Option<String>,
    pub(super) accept: &'static str,
    /// What the connection is to become.
    pub(super) upgrade: Option<&'static str>,
    /// How the file is packed.
    pub(super) packed: Option<&'static str>,
    /// How many bytes of the file have been read to be sent.
    pub(super) counted: Option<Arc<AtomicU64>>,
    /// How long the beginning of the answer is waited for.
    pub(super) patience: Duration,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            file: None,
            key: None,
            accept: "application/json",
            upgrade: None,
            packed: None,
            counted: None,
            patience: transport::ANSWER,
        }
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub(super) fn post<T: Serialize>(path: impl Into<String>, body: &T) -> Result<Self, Failure> {
        let body = serde_json::to_vec(body).map_err(|e| Failure::new(Exit::Other, e.to_string()))?;
        Ok(Self { method: Method::POST, body: Some(Bytes::from(body)), ..Self::get(path) })
    }

    /// Sends a file.
    pub(super) fn put(path: impl Into<String>, file: Arc<File>, length: u64) -> Self {
        Self { method: Method::PUT, file: Some((file, length)), ..Self::get(path) }.patient()
    }

    /// The same call, whose connection becomes one of this protocol.
    pub(super) fn becoming(self, protocol: &'static str) -> Self {
        Self { upgrade: Some(protocol), ..self }
    }

    /// The same call, whose file is packed in this way.
    pub(super) fn packed(self, coding: &'static str) -> Self {
        Self { packed: Some(coding), ..self }
    }

    /// The same call, which counts the bytes of its file as they are sent.
    pub(super) fn counted(self, counted: Arc<AtomicU64>) -> Self {
        Self { counted: Some(counted), ..self }
    }

    /// The same call, whose answer may take hours.
    pub(super) fn patient(self) -> Self {
        Self { patience: transport::SENT, ..self }
    }

    /// The same call, which happens once however often it is sent.
    pub(super) fn once(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// An engine to speak to.
#[derive(Debug, Clone)]
pub(super) struct Client {
    target: Target,
    token: Option<String>,
}

impl Client {
    /// Over the local socket.
    pub(super) fn local(socket: PathBuf) -> Self {
        Self { target: Target::Unix(socket), token: None }
    }

    /// Over TCP.
    pub(super) fn remote(authority: String, token: String) -> Self {
        Self { target: Target::Tcp(authority), token: Some(token) }
    }

    /// Whether the engine is on this machine.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.target, Target::Unix(_))
    }

    /// The answer as a view. An engine that starts is asked again for a while; a connection that breaks is tried again
    /// when the call can be sent twice without harm.
    ///
    /// # Errors
    /// Not reachable, or refused.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Failure> {
        let bytes = self.answer(&call).await?;
        let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
        serde_json::from_slice(bytes)
            .map_err(|e| Failure::new(Exit::Other, format!("the engine's answer is not understood: {e}")))
    }

    async fn answer(&self, call: &Call) -> Result<Bytes, Failure> {
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut was_there = false;
        loop {
            let error = match self.once(call).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            let again = match &error {
                CallError::Unreachable(_) => was_there,
                CallError::Broken(_) => call.method == Method::GET || call.method == Method::PUT || call.key.is_some(),
                CallError::Problem(problem) => problem.code == Code::Unavailable,
            };
            was_there = true;
            if !again || tokio::time::Instant::now() >= until {
                return Err(self.failure(&error));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One try.
    pub(super) async fn once(&self, call: &Call) -> Result<Bytes, CallError> {
        let exchange = self.open(call).await?;
        let status = exchange.status;
        let limited = http_body_util::Limited::new(exchange.body, MAX_ANSWER_BYTES);
        let bytes = limited.collect().await.map_err(|e| CallError::Broken(e.to_string()))?.to_bytes();
        if status.is_success() { Ok(bytes) } else { Err(CallError::Problem(Box::new(problem(status, &bytes)))) }
    }

    /// One try, whose body is read as it comes.
    pub(super) async fn open(&self, call: &Call) -> Result<Exchange, CallError> {
        transport::open(&self.target, self.token.as_deref(), call).await
    }

    /// The connection that this call becomes; a refusal is an error.
    pub(super) async fn upgrade(&self, call: &Call) -> Result<TokioIo<Upgraded>, CallError> {
        let (status, body) = match transport::upgrade(&self.target, self.token.as_deref(), call).await? {
            Upgrading::Done(connection) => return Ok(connection),
            Upgrading::Refused(exchange) => {
                (exchange.status, http_body_util::Limited::new(exchange.body, MAX_ANSWER_BYTES))
            }
        };
        let bytes = body.collect().await.map_err(|e| CallError::Broken(e.to_string()))?.to_bytes();
        Err(CallError::Problem(Box::new(problem(status, &bytes))))
    }

    /// A stream of events; a refusal is an error.
    pub(super) async fn events(&self, path: &str) -> Result<Frames, CallError> {
        let call = Call { accept: "text/event-stream", ..Call::get(path) };
        let exchange = self.open(&call).await?;
        if exchange.status.is_success() {
            return Ok(Frames::new(exchange));
        }
        let status = exchange.status;
        let limited = http_body_util::Limited::new(exchange.body, MAX_ANSWER_BYTES);
        let bytes = limited.collect().await.map_err(|e| CallError::Broken(e.to_string()))?.to_bytes();
        Err(CallError::Problem(Box::new(problem(status, &bytes))))
    }

    /// How an error is told.
    pub(super) fn failure(&self, error: &CallError) -> Failure {
        match error {
            CallError::Unreachable(why) => {
                let text = format!("the engine does not answer at {}: {why}; {}", self.target, self.target.hint());
                Failure::new(Exit::Unreachable, text)
            }
            CallError::Broken(why) => {
                Failure::new(Exit::Unreachable, format!("the connection to {} broke: {why}", self.target))
            }
            CallError::Problem(problem) => {
                let request = match problem.code {
                    Code::Internal => format!(" (request {})", problem.request_id),
                    _ => String::new(),
                };
                Failure::new(Exit::of_problem(problem.code), format!("{}{request}", problem.detail))
            }
        }
    }
}

fn problem(status: StatusCode, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        Problem::new(Code::Internal, &format!("the answer is {status} and no problem of cutover's: {text}"))
    })
}

/// A value as a part of a query.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
