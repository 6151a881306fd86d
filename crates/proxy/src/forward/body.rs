//! The body of an answer to a client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::file::FileBody;
use super::record::Record;
use crate::pool::Download;

/// What a client gets, with the record that ends when it ends.
#[derive(Debug)]
pub struct Body {
    source: Source,
    record: Option<Box<Record>>,
    cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    failed: Option<BodyError>,
}

#[derive(Debug)]
enum Source {
    Own(Option<Bytes>),
    Target(Download),
    File(Box<FileBody>),
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The target broke off; the client must see it.
    #[error("the target broke off: {0}")]
    Target(#[from] hyper::Error),
    /// A file of a site is not what it was.
    #[error("a file of the site cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The drain's deadline.
    #[error("cut at the end of the drain")]
    Cut,
}

impl Body {
    /// A page of the proxy itself.
    pub(super) fn own(text: Bytes, mut record: Box<Record>) -> Self {
        record.complete = true;
        record.sent = len_of(&text);
        Self {
            source: Source::Own(Some(text).filter(|text| !text.is_empty())),
            record: Some(record),
            cut: None,
            failed: None,
        }
    }

    /// Parts of a file.
    pub(super) fn file(
        file: FileBody,
        record: Box<Record>,
        cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ) -> Self {
        Self { source: Source::File(Box::new(file)), record: Some(record), cut, failed: None }
    }

    /// Nothing, for an answer whose record goes on elsewhere.
    pub(super) fn empty() -> Self {
        Self { source: Source::Own(None), record: None, cut: None, failed: None }
    }

    /// What a target sends.
    pub(super) fn target(
        download: Download,
        mut record: Box<Record>,
        cut: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    ) -> Self {
        record.complete = download.is_end_stream();
        Self { source: Source::Target(download), record: Some(record), cut, failed: None }
    }

    fn end(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.complete = true;
        }
    }
}

fn len_of(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        if let Some(failed) = self.failed.take() {
            return Poll::Ready(Some(Err(failed)));
        }
        let frame = match &mut self.source {
            Source::Own(text) => {
                let frame = text.take().map(|text| Ok(Frame::data(text)));
                if frame.is_none() {
                    self.end();
                }
                return Poll::Ready(frame);
            }
            Source::Target(download) => ready!(download.poll_frame(cx)).transpose().map_err(BodyError::from),
            Source::File(file) => ready!(file.poll_frame(cx)).transpose().map_err(BodyError::from),
        };
        let frame = match frame {
            Ok(frame) => frame,
            Err(failed) => {
                // An error ends the connection at once; what came before it is to reach the client first.
                self.failed = Some(failed);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        let ended = frame.is_none() || self.is_end_stream();
        if let (Some(frame), Some(record)) = (&frame, &mut self.record) {
            record.sent += frame.data_ref().map_or(0, len_of);
        }
        if ended {
            self.end();
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(text) => text.is_none(),
            Source::Target(download) => download.is_end_stream(),
            Source::File(file) => file.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, len_of)),
            Source::Target(download) => download.size_hint(),
            Source::File(file) => SizeHint::with_exact(file.left()),
        }
    }
}
