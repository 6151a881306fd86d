//! The line before a target that has just come: what was held goes on a few at a time.
//!
//! A listener takes in only so many connections that its program has not accepted yet; what comes beyond them is dropped
//! and tried again by the kernel a second later, which is longer than many a drain.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Held requests that go on at once: fewer than the shortest queues of listeners in use (50 in Java, 128 in Rust and on
/// older Linux).
pub const ABREAST: usize = 32;
/// How long a request keeps the next one waiting that has no answer by then, ms: a long poll is none of the others'
/// business.
pub const TURN: Duration = Duration::from_millis(100);

/// Where held requests of one target stand in line.
#[derive(Debug)]
pub struct Line(Arc<Semaphore>);

/// Ends when it is dropped, at the latest after [`TURN`].
#[derive(Debug)]
pub struct Turn {
    _over: DropGuard,
}

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ABREAST)))
    }
}

impl Line {
    /// Waits for its turn, in the order of coming.
    pub async fn turn(&self, tasks: &TaskTracker) -> Option<Turn> {
        let place = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let over = CancellationToken::new();
        tasks.spawn(pass_on(place, over.clone()));
        Some(Turn { _over: over.drop_guard() })
    }
}

async fn pass_on(place: OwnedSemaphorePermit, over: CancellationToken) {
    drop(timeout(TURN, over.cancelled()).await);
    drop(place);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn so_many_go_on_at_once_and_the_next_one_with_an_answer_or_after_a_while() {
        let (line, tasks) = (Line::default(), TaskTracker::new());
        let mut ahead: Vec<_> = (0..ABREAST).filter_map(|_| line.turn(&tasks).now_or_never().flatten()).collect();
        assert_eq!(ahead.len(), ABREAST);
        let mut next = pin!(line.turn(&tasks));
        assert!(next.as_mut().now_or_never().is_none(), "nobody was answered");
        ahead.pop();
        let next = next.await;
        assert!(next.is_some(), "one was answered");
        assert!(line.turn(&tasks).await.is_some(), "the others have had their time");
        drop((ahead, next));
    }
}
