//! Takes the body of a call off the wire, within limits of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;

/// Memory for bodies of calls in progress, in KiB: two of the largest bodies beside thousands of usual ones.
const MEMORY_KIB: usize = 64 * 1024;
/// Counted for each call beside its body, in KiB: headers, buffers and what it waits with; bounds calls to 8,192.
const CALL_KIB: u32 = 8;
/// How long a body may take: GitHub gives up after 10 s, a 25 MiB body over a slow line needs longer.
const BODY_SECONDS: u64 = 30;

/// The memory that bodies may take together.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

/// A whole body, and the memory that it holds until it is dropped.
pub struct Received {
    /// Byte for byte as sent.
    pub body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(MEMORY_KIB)
    }
}

impl Room {
    /// So many KiB.
    #[must_use]
    pub fn of(kib: usize) -> Self {
        Self(Arc::new(Semaphore::new(kib)))
    }

    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// 413 as soon as it is longer, without reading on; 408 when it does not come; 503 when there is no memory for it.
    pub async fn receive(&self, headers: &HeaderMap, body: Body, limit: usize) -> Result<Received, Refusal> {
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(Refusal::TooLarge { limit });
        }
        let reading = self.read(body, limit);
        match tokio::time::timeout(Duration::from_secs(BODY_SECONDS), reading).await {
            Ok(received) => received,
            Err(_) => Err(Refusal::TooSlow { seconds: BODY_SECONDS }),
        }
    }

    async fn read(&self, mut body: Body, limit: usize) -> Result<Received, Refusal> {
        let mut room = self.take(CALL_KIB)?;
        let mut whole = Whole::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::unreadable("the body broke off before its end"))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(Refusal::TooLarge { limit });
            }
            room.merge(self.take(u32::try_from(data.len().div_ceil(1024)).unwrap_or(u32::MAX))?);
            whole.push(data);
        }
        Ok(Received { body: whole.into_bytes(), _room: room })
    }

    fn take(&self, kib: u32) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy = || Refusal::Busy("too many deliveries arrive at once".into());
        self.0.clone().try_acquire_many_owned(kib).map_err(|_| busy())
    }
}

/// A body as it grows; a usual one comes in one piece and is not copied.
#[derive(Default)]
struct Whole {
    first: Bytes,
    all: BytesMut,
}

impl Whole {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}
