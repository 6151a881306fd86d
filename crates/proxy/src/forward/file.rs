//! Bytes of a file on their way to a client.
//!
//! What the system has in memory is read in place: a task on another thread would cost more than the read. What it does not
//! have is read on a thread that may wait for the disk. The file stays open: it is sent to its end, whatever becomes of its
//! folder.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use cutover_site::site::{read_at_once, read_waiting};
use hyper::body::Frame;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// Bytes of one read, and what a client that takes nothing can hold of the memory: 10,000 of them 1.25 GiB. Measured with
/// files of 1 MiB: with 64 KiB a request costs a fifth more processor time, with 256 KiB a tenth less.
const CHUNK: u64 = 128 * 1024;

/// What is still to be sent.
#[derive(Debug)]
pub(super) struct FileBody {
    file: Arc<File>,
    pieces: VecDeque<Piece>,
    left: u64,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
    /// What was handed on last: once it is sent its memory is used again, which saves getting and clearing new.
    handed: Bytes,
    tasks: TaskTracker,
}

/// A part of the body.
#[derive(Debug)]
pub(super) enum Piece {
    /// As it is.
    Bytes(Bytes),
    /// Of the file.
    Range(Range<u64>),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Range(range) => range.end.saturating_sub(range.start),
        }
    }
}

impl FileBody {
    /// These pieces, in order; none of them is empty.
    pub(super) fn new(file: File, pieces: VecDeque<Piece>, tasks: &TaskTracker) -> Self {
        let left = pieces.iter().map(Piece::length).sum();
        Self { file: Arc::new(file), pieces, left, reading: None, handed: Bytes::new(), tasks: tasks.clone() }
    }

    /// Bytes that follow.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Whether nothing follows.
    pub(super) fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    /// The next part.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        if let Some(reading) = &mut self.reading {
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            return Poll::Ready(Some(read.unwrap_or_else(|e| Err(e.into())).map(|bytes| self.advance(bytes))));
        }
        let (at, length) = match self.pieces.front_mut() {
            None => return Poll::Ready(None),
            Some(Piece::Bytes(bytes)) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready(Some(Ok(self.advance(bytes))));
            }
            Some(Piece::Range(range)) => (range.start, (range.end - range.start).min(CHUNK)),
        };
        let mut buffer = self.buffer(usize::try_from(length).unwrap_or(usize::MAX));
        match read_at_once(&self.file, at, &mut buffer) {
            Ok(Some(read)) => {
                self.handed = buffer.freeze();
                let bytes = self.handed.slice(..read);
                Poll::Ready(Some(Ok(self.advance(bytes))))
            }
            Ok(None) => {
                let file = Arc::clone(&self.file);
                let read = move || read_waiting(&file, at, &mut buffer).map(|()| buffer.freeze());
                self.reading = Some(self.tasks.spawn_blocking(read));
                self.poll_frame(cx)
            }
            Err(e) => Poll::Ready(Some(Err(e))),
        }
    }

    /// Room for the next read: that of a part that was sent, if it has this size.
    fn buffer(&mut self, length: usize) -> BytesMut {
        let sent = std::mem::take(&mut self.handed);
        let again = if sent.len() == length { sent.try_into_mut().ok() } else { None };
        again.unwrap_or_else(|| BytesMut::zeroed(length))
    }

    /// Bytes of the first piece go out.
    fn advance(&mut self, bytes: Bytes) -> Frame<Bytes> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let over = match self.pieces.front_mut() {
            Some(Piece::Range(range)) => {
                range.start += length;
                range.start >= range.end
            }
            Some(Piece::Bytes(_)) | None => true,
        };
        if over {
            self.pieces.pop_front();
        }
        self.left = self.left.saturating_sub(length);
        Frame::data(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn the_pieces_come_in_order_and_a_file_that_was_cut_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_all(&content).unwrap();
        let pieces = || {
            let text = |text: &'static str| Piece::Bytes(Bytes::from_static(text.as_bytes()));
            VecDeque::from([text("head"), Piece::Range(3..600_000), text("mid"), Piece::Range(0..7), text("end")])
        };
        let wanted = [&b"head"[..], &content[3..600_000], b"mid", &content[..7], b"end"].concat();
        let mut body = FileBody::new(file.try_clone().unwrap(), pieces(), &TaskTracker::new());
        let mut got = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
            got.extend_from_slice(&frame.unwrap().into_data().unwrap());
            assert_eq!(body.left(), u64::try_from(wanted.len() - got.len()).unwrap());
        }
        assert!(got == wanted && body.is_end_stream());
        file.set_len(500_000).unwrap();
        let mut body = FileBody::new(file, pieces(), &TaskTracker::new());
        let mut frame = Some(Ok(Frame::data(Bytes::new())));
        while let Some(Ok(_)) = frame {
            frame = poll_fn(|cx| body.poll_frame(cx)).await;
        }
        assert!(frame.is_some_and(|frame| frame.is_err()));
    }
}
