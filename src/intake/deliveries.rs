//! What came in through a hook and what was decided on it, read from the log.

use cutover_events::delivery::{DeliveryReceived, Verdict};
use cutover_events::{Commit, DeliveryId, Event, HookId, Key, Stamp, StreamId};

use super::open::decisions;
use crate::store::{Log, ReadError};

/// Most deliveries of one page, a count.
pub const MAX_PAGE: usize = 200;
/// Events that are read at once, a count.
const WINDOW: u64 = 256;
/// How far the wall clock may have jumped back between an id and its commit, in ms: a day.
const CLOCK_SLACK_MS: u64 = 24 * 60 * 60 * 1000;

/// One delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Version in the hook's stream: what pages are counted by.
    pub version: u64,
    /// Position in the log.
    pub position: u64,
    /// When it was taken.
    pub at: Stamp,
    /// What it says.
    pub received: DeliveryReceived,
    /// What was decided; `None` while it waits.
    pub decision: Option<Decision>,
}

/// What was decided on a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Position in the log.
    pub position: u64,
    /// When.
    pub at: Stamp,
    /// One line for a person.
    pub summary: String,
    /// What every rule said.
    pub verdicts: Vec<Verdict>,
}

/// Deliveries of a hook, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// At most as many as were asked for.
    pub deliveries: Vec<Delivery>,
    /// Ask for what is before this version to go on; `None`: there is nothing older.
    pub before: Option<u64>,
}

/// Deliveries of a hook, newest first: at most `limit` (and 200) of those older than version `before`.
///
/// # Errors
/// The log cannot be read.
pub async fn list(log: &dyn Log, hook: HookId, before: Option<u64>, limit: usize) -> Result<Page, ReadError> {
    let stream = StreamId::Hook(hook);
    let mut until = match before {
        Some(version) => version.saturating_sub(1),
        None => last_version(log, stream).await?,
    };
    let limit = limit.clamp(1, MAX_PAGE);
    let mut page = Page::default();
    while until > 0 && page.deliveries.len() < limit {
        let (found, from) = window(log, stream, until).await?;
        let wanted = limit - page.deliveries.len();
        for delivery in found.into_iter().rev().take(wanted) {
            page.deliveries.push(with_decision(log, delivery).await?);
        }
        until = from - 1;
    }
    let oldest = page.deliveries.last().map_or(1, |delivery| delivery.version);
    let filled = page.deliveries.len() == limit && oldest > 1;
    page.before = filled.then_some(oldest);
    Ok(page)
}

/// One delivery of a hook, with its decision.
///
/// # Errors
/// The log cannot be read.
pub async fn show(log: &dyn Log, hook: HookId, id: DeliveryId) -> Result<Option<Delivery>, ReadError> {
    let stream = StreamId::Hook(hook);
    let decided = log.find(stream, &Key::Decision { delivery: id }).await?;
    let mut until = match decided {
        Some(sealed) => sealed.commit.version,
        None => last_version(log, stream).await?,
    };
    while until > 0 {
        let (found, from) = window(log, stream, until).await?;
        let passed = found.first().is_some_and(|first| first.at.wall_ms + CLOCK_SLACK_MS < made_ms(id));
        if let Some(delivery) = found.into_iter().find(|delivery| delivery.received.delivery == id) {
            return with_decision(log, delivery).await.map(Some);
        }
        if passed {
            return Ok(None);
        }
        until = from - 1;
    }
    Ok(None)
}

/// When an id was made, by its first 48 bits.
fn made_ms(id: DeliveryId) -> u64 {
    id.0[..6].iter().fold(0, |ms, byte| (ms << 8) | u64::from(*byte))
}

/// The deliveries among the events up to version `until`, oldest first, and the first version that was looked at.
async fn window(log: &dyn Log, stream: StreamId, until: u64) -> Result<(Vec<Delivery>, u64), ReadError> {
    let from = until.saturating_sub(WINDOW - 1).max(1);
    let commits = log.read(stream, from, usize::try_from(until - from + 1).unwrap_or(usize::MAX)).await?;
    let within = commits.iter().flat_map(|sealed| received(&sealed.commit));
    Ok((within.filter(|delivery| (from..=until).contains(&delivery.version)).collect(), from))
}

fn received(commit: &Commit) -> Vec<Delivery> {
    let numbered = commit.events.iter().zip(0..);
    numbered
        .filter_map(|(event, index)| match event {
            Event::DeliveryReceived(received) => Some(Delivery {
                version: commit.version + index,
                position: commit.position + index,
                at: commit.at,
                received: received.clone(),
                decision: None,
            }),
            _ => None,
        })
        .collect()
}

async fn with_decision(log: &dyn Log, mut delivery: Delivery) -> Result<Delivery, ReadError> {
    let stream = StreamId::Hook(delivery.received.hook);
    let found = log.find(stream, &Key::Decision { delivery: delivery.received.delivery }).await?;
    delivery.decision = found.map(|sealed| {
        let decided = decisions(&sealed.commit.events);
        let summary = decided.first().map(|first| first.summary.clone()).unwrap_or_default();
        let verdicts = decided.into_iter().flat_map(|decided| decided.verdicts).collect();
        Decision { position: sealed.commit.position, at: sealed.commit.at, summary, verdicts }
    });
    Ok(delivery)
}

/// The version of a stream, found by doubling and halving: the port is five calls wide and this is asked rarely.
async fn last_version(log: &dyn Log, stream: StreamId) -> Result<u64, ReadError> {
    let mut low = match log.read(stream, 1, 1).await?.last() {
        Some(first) => first.commit.last_version(),
        None => return Ok(0),
    };
    let mut step = 1;
    while let Some(found) = log.read(stream, low + step, 1).await?.last() {
        low = found.commit.last_version();
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if let Some(found) = log.read(stream, low + step, 1).await?.last() {
            low = found.commit.last_version();
        }
    }
    while let Some(found) = log.read(stream, low + 1, 1).await?.last() {
        low = found.commit.last_version();
    }
    Ok(low)
}
