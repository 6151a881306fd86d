//! The body of a request on its way to a target.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio_util::task::TaskTracker;

use crate::serving::Client;

/// How long the rest of a body is read and thrown away after an early answer, s: closing at once would reset the
/// connection and destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(10);

/// A request body, or none.
#[derive(Debug)]
pub struct Upload(Option<Box<Streaming>>);

#[derive(Debug)]
struct Streaming {
    body: Option<Incoming>,
    count: Arc<UploadCount>,
    client: Arc<Client>,
    limit: u64,
    tasks: TaskTracker,
}

/// How far an upload is.
#[derive(Debug, Default)]
pub struct UploadCount {
    /// Bytes that passed.
    pub bytes: AtomicU64,
    /// Whether all of it passed.
    pub done: AtomicBool,
    /// Whether it was refused for its size.
    pub too_large: AtomicBool,
}

/// Why an upload ended early.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client broke off.
    #[error("the client broke off: {0}")]
    Client(#[from] hyper::Error),
    /// More than the limit.
    #[error("the body is larger than allowed")]
    TooLarge,
}

impl Upload {
    /// No body.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Streams the body of a client's request, at most `limit` bytes.
    #[must_use]
    pub fn stream(body: Incoming, client: &Arc<Client>, limit: u64, tasks: &TaskTracker) -> (Self, Arc<UploadCount>) {
        let count = Arc::new(UploadCount::default());
        client.begin_upload();
        let streaming = Streaming {
            body: Some(body),
            count: Arc::clone(&count),
            client: Arc::clone(client),
            limit,
            tasks: tasks.clone(),
        };
        (Self(Some(Box::new(streaming))), count)
    }

    /// Whether there is none, so that it can be sent again.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl Streaming {
    fn finish(&mut self) {
        self.body = None;
        self.count.done.store(true, Ordering::Release);
        self.client.end_upload();
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(rest) = self.body.take() {
            self.client.end_upload();
            linger(rest, &self.tasks);
        }
    }
}

/// Reads the rest of a body that nobody wants, for a bounded time.
pub fn linger(mut rest: Incoming, tasks: &TaskTracker) {
    if rest.is_end_stream() {
        return;
    }
    tasks.spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = rest.frame().await {} }));
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Some(streaming) = &mut self.0 else { return Poll::Ready(None) };
        let Some(body) = &mut streaming.body else { return Poll::Ready(None) };
        let frame = match ready!(Pin::new(body).poll_frame(cx)) {
            None => {
                streaming.finish();
                return Poll::Ready(None);
            }
            Some(Err(e)) => {
                streaming.finish();
                return Poll::Ready(Some(Err(e.into())));
            }
            Some(Ok(frame)) => frame,
        };
        if let Some(data) = frame.data_ref() {
            let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let total = streaming.count.bytes.fetch_add(len, Ordering::Relaxed) + len;
            if total > streaming.limit {
                streaming.count.too_large.store(true, Ordering::Release);
                return Poll::Ready(Some(Err(UploadError::TooLarge)));
            }
        }
        if streaming.body.as_ref().is_some_and(Incoming::is_end_stream) {
            streaming.finish();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().and_then(|streaming| streaming.body.as_ref()).is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_ref().and_then(|streaming| streaming.body.as_ref()) {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
