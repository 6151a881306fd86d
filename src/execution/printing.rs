//! One container whose output is followed: what it has printed before, and what comes.

use std::collections::VecDeque;
use std::sync::Arc;

use cutover_domain::observed::DockerId;
use futures_util::stream::{BoxStream, StreamExt};

use super::errands::NotBegun;
use super::following::{Follow, From, Said};
use crate::adapters::runtime::{Attaches, Line, Pipe, Reading, RuntimeError, Until};
use crate::logs::Redactor;

/// Bytes of what was printed before that are held of one container, until all are in order.
const MAX_HISTORY: usize = 1024 * 1024;
/// Of a millisecond.
const NANOS: u64 = 1_000_000;

/// A container that is followed.
pub(crate) struct Source {
    pub(crate) from: Arc<From>,
    /// The time of its newest line, ns since 1970.
    pub(crate) last_ns: u64,
    /// The time of the line after which it is read at this moment.
    pub(crate) after_ns: u64,
    /// Whether it is read at this moment.
    pub(crate) open: bool,
}

impl Source {
    /// One of which nothing is read yet.
    pub(crate) fn new(from: From, ask: &Follow) -> Self {
        Self { from: Arc::new(from), last_ns: ask.after_ns, after_ns: 0, open: false }
    }

    /// What it has printed before, as far as it is asked for; what follows is what comes after it.
    pub(crate) async fn history(
        &mut self,
        (attaches, id): (&dyn Attaches, DockerId),
        (ask, now_ms): (&Follow, u64),
    ) -> Result<Vec<(Arc<From>, Line)>, NotBegun> {
        let reading = Reading { since_s: ask.since_ms / 1000, tail: ask.tail, until: Until::Now };
        let mut lines = attaches.read(id, reading).await?;
        let (mut kept, mut bytes) = (VecDeque::new(), 0);
        while let Some(line) = lines.next().await {
            let line = line?;
            if line.at_ns <= self.last_ns || line.at_ns < ask.since_ms * NANOS {
                continue;
            }
            bytes += line.text.len();
            kept.push_back(line);
            while bytes > MAX_HISTORY {
                bytes -= kept.pop_front().map_or(bytes, |line: Line| line.text.len());
            }
        }
        // What was printed before and is not asked for does not come afterwards either.
        self.last_ns = kept.back().map_or(self.last_ns.max(now_ms * NANOS), |line| line.at_ns);
        Ok(kept.into_iter().map(|line| (self.from.clone(), line)).collect())
    }

    /// Reads on from its newest line.
    pub(crate) async fn read_on(
        &mut self,
        attaches: &dyn Attaches,
        id: DockerId,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, NotBegun> {
        let since_s = self.last_ns / NANOS / 1000;
        let lines = attaches.read(id, Reading { since_s, tail: None, until: Until::End }).await?;
        (self.after_ns, self.open) = (self.last_ns, true);
        Ok(lines)
    }
}

/// A line as it is told, without what is secret.
pub(crate) fn said(from: &Arc<From>, line: Line, redactor: &Redactor) -> Said {
    let text = redactor.text(&line.text);
    Said::Line { from: from.clone(), at_ns: line.at_ns, err: line.pipe == Pipe::Err, text }
}
