//! The body of an answer, and the connection that it comes through.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::{Link, give_back};
use crate::drain::Target;

/// How long an upload may go on after its answer is complete, s.
const UPLOAD_AFTER: Duration = Duration::from_secs(30);

/// The rest of an exchange, from the head of its answer on. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct Download {
    body: Incoming,
    driver: Driver,
}

#[derive(Debug)]
enum Driver {
    /// The reader of the body moves the bytes.
    Inline { link: Link, target: Arc<Target> },
    /// A task does, because the upload goes on whether the answer is read or not; told of the answer's end.
    Task(oneshot::Sender<()>),
    /// A task does, and the connection is of no further use.
    Detached,
    /// The connection was given back.
    Over,
}

impl Download {
    /// An answer to a request whose body was sent completely.
    #[must_use]
    pub fn inline(body: Incoming, link: Link, target: Arc<Target>) -> Self {
        let mut download = Self { body, driver: Driver::Inline { link, target } };
        if download.body.is_end_stream() {
            // Nobody reads an empty body, so nobody would give the connection back.
            download.finish();
        }
        download
    }

    /// An answer that came while the request's body is still on its way.
    #[must_use]
    pub fn duplex(body: Incoming, mut link: Link, target: Arc<Target>, tasks: &TaskTracker) -> Self {
        let (done, mut told) = oneshot::channel();
        tasks.spawn(async move {
            let ended = tokio::select! {
                biased;
                told = &mut told => told.is_err(),
                () = poll_fn(|cx| if link.drive(cx) { Poll::Ready(()) } else { Poll::Pending }) => true,
            };
            if ended {
                return;
            }
            let settled = tokio::time::timeout(UPLOAD_AFTER, poll_fn(|cx| link.poll_settled(cx))).await;
            if settled == Ok(true) {
                give_back(&target, link);
            }
        });
        Self { body, driver: Driver::Task(done) }
    }

    /// An answer on a connection that something else drives and closes.
    #[must_use]
    pub fn detached(body: Incoming) -> Self {
        Self { body, driver: Driver::Detached }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// How much follows, where that is known.
    #[must_use]
    pub fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }

    /// The next part.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = match &mut self.driver {
            Driver::Inline { link, .. } => poll_inline(&mut self.body, link, cx),
            Driver::Task(_) | Driver::Detached => Pin::new(&mut self.body).poll_frame(cx),
            Driver::Over => Poll::Ready(None),
        };
        match &frame {
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.finish(),
            Poll::Ready(Some(_)) | Poll::Pending => {}
        }
        frame
    }

    fn finish(&mut self) {
        match std::mem::replace(&mut self.driver, Driver::Over) {
            Driver::Inline { link, target } => give_back(&target, link),
            // The task may have ended with the connection.
            Driver::Task(done) => drop(done.send(())),
            Driver::Detached | Driver::Over => {}
        }
    }
}

fn poll_inline(
    body: &mut Incoming,
    link: &mut Link,
    cx: &mut Context<'_>,
) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
    // Only driving the connection brings more, so the body itself need not wake anybody.
    let mut quiet = Context::from_waker(Waker::noop());
    if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut quiet) {
        return Poll::Ready(frame);
    }
    link.drive(cx);
    Pin::new(body).poll_frame(&mut quiet)
}
