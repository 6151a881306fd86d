//! The classes that requests end in, and their sums.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

/// Failures that are kept word by word; the first ones tell the story.
const KEPT_FAILURES: usize = 20;
/// Steps per doubling of the histogram: values are exact to one part in 8.
const STEPS: usize = 8;

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Class {
    /// As it should.
    Ok,
    /// A fresh connection was refused, reset or closed before an answer.
    FreshFailed,
    /// A reused connection was closed before the first byte of the answer: browsers try again, many clients do not.
    ReusedReset,
    /// The answer ended before it was complete.
    CutBody,
    /// The answer was complete and not what was asked for.
    WrongBody,
    /// Another status than 200.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// Not sent, because too many requests were still out.
    HeldBack,
}

#[derive(Default)]
struct Counts {
    ok: u64,
    fresh_failed: u64,
    reused_reset: u64,
    cut_body: u64,
    wrong_body: u64,
    timed_out: u64,
    held_back: u64,
    status: BTreeMap<u16, u64>,
    versions: BTreeMap<String, u64>,
    histogram: BTreeMap<usize, u64>,
    slowest: Duration,
    failures: Vec<String>,
    websocket_messages: u64,
    websocket_closes: u64,
    events: u64,
    event_closes: u64,
}

/// Shared by all senders.
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    began: Instant,
}

impl Default for Tally {
    fn default() -> Self {
        Self { counts: Mutex::default(), began: Instant::now() }
    }
}

/// The sums at the end of a load. `requests` = `ok` + `failed`; closes of streams are counted apart.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Summary {
    /// All that ended, streams by their openings.
    pub requests: u64,
    /// Ended as they should.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Part of `failed`.
    pub fresh_failed: u64,
    /// Part of `failed`.
    pub reused_reset: u64,
    /// Part of `failed`.
    pub cut_body: u64,
    /// Part of `failed`.
    pub wrong_body: u64,
    /// Part of `failed`.
    pub timed_out: u64,
    /// Part of `failed`.
    pub held_back: u64,
    /// Part of `failed`, by status.
    pub status: BTreeMap<u16, u64>,
    /// Answers by the version that gave them.
    pub versions: BTreeMap<String, u64>,
    /// Echoes that came back.
    pub websocket_messages: u64,
    /// Closes from the other side; expected at the deadline of a drain, so at most one per websocket and swap.
    pub websocket_closes: u64,
    /// Events that came.
    pub events: u64,
    /// Ends of event streams; expected as above.
    pub event_closes: u64,
    /// Milliseconds, like the next two.
    pub p50_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// How long was sent, seconds.
    pub seconds: f64,
    /// The first failures, each with the second it happened in.
    pub failures: Vec<String>,
}

impl Summary {
    /// The sentence that people look for.
    pub(crate) fn sentence(&self) -> String {
        format!("failed requests: {} of {}", self.failed, self.requests)
    }
}

impl Tally {
    /// A request has ended; `told` says which one and why, for the first failures.
    pub(crate) fn ended(&self, class: Class, took: Duration, told: impl FnOnce() -> String) {
        let mut counts = self.counts.lock();
        match class {
            Class::Ok => {
                counts.ok += 1;
                *counts.histogram.entry(bucket(took)).or_default() += 1;
                counts.slowest = counts.slowest.max(took);
                return;
            }
            Class::FreshFailed => counts.fresh_failed += 1,
            Class::ReusedReset => counts.reused_reset += 1,
            Class::CutBody => counts.cut_body += 1,
            Class::WrongBody => counts.wrong_body += 1,
            Class::TimedOut => counts.timed_out += 1,
            Class::HeldBack => counts.held_back += 1,
            Class::Status(status) => *counts.status.entry(status).or_default() += 1,
        }
        if counts.failures.len() < KEPT_FAILURES {
            let second = self.began.elapsed().as_secs_f64();
            counts.failures.push(format!("{second:.3} s: {class:?}: {}", told()));
        }
    }

    /// This version gave an answer.
    pub(crate) fn version(&self, version: &str) {
        let mut counts = self.counts.lock();
        match counts.versions.get_mut(version) {
            Some(count) => *count += 1,
            None => drop(counts.versions.insert(version.into(), 1)),
        }
    }

    /// An echo came back on a websocket.
    pub(crate) fn echoed(&self) {
        self.counts.lock().websocket_messages += 1;
    }

    /// A websocket was closed by the other side.
    pub(crate) fn websocket_closed(&self) {
        self.counts.lock().websocket_closes += 1;
    }

    /// An event came.
    pub(crate) fn event(&self) {
        self.counts.lock().events += 1;
    }

    /// An event stream ended.
    pub(crate) fn events_closed(&self) {
        self.counts.lock().event_closes += 1;
    }

    /// Failed requests and all requests so far.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let counts = self.counts.lock();
        let failed = counts.failed();
        (failed, failed + counts.ok)
    }

    /// The sums.
    pub(crate) fn summary(&self, sent_for: Duration) -> Summary {
        let counts = self.counts.lock();
        let failed = counts.failed();
        Summary {
            requests: failed + counts.ok,
            ok: counts.ok,
            failed,
            fresh_failed: counts.fresh_failed,
            reused_reset: counts.reused_reset,
            cut_body: counts.cut_body,
            wrong_body: counts.wrong_body,
            timed_out: counts.timed_out,
            held_back: counts.held_back,
            status: counts.status.clone(),
            versions: counts.versions.clone(),
            websocket_messages: counts.websocket_messages,
            websocket_closes: counts.websocket_closes,
            events: counts.events,
            event_closes: counts.event_closes,
            p50_ms: counts.percentile(0.5),
            p99_ms: counts.percentile(0.99),
            max_ms: millis(counts.slowest),
            seconds: sent_for.as_secs_f64(),
            failures: counts.failures.clone(),
        }
    }
}

impl Counts {
    fn failed(&self) -> u64 {
        let classes = self.fresh_failed + self.reused_reset + self.cut_body + self.wrong_body;
        classes + self.timed_out + self.held_back + self.status.values().sum::<u64>()
    }

    fn percentile(&self, part: f64) -> f64 {
        let wanted = (self.ok as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in &self.histogram {
            seen += count;
            if seen >= wanted {
                return upper(*bucket).min(millis(self.slowest));
            }
        }
        0.0
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Which bucket a time falls into: 8 to every doubling of microseconds.
fn bucket(time: Duration) -> usize {
    let micros = (time.as_secs_f64() * 1e6).max(1.0);
    (micros.log2() * STEPS as f64) as usize
}

/// The upper end of a bucket, ms.
fn upper(bucket: usize) -> f64 {
    let micros = ((bucket + 1) as f64 / STEPS as f64).exp2();
    micros.round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_exactly_one_class() {
        let tally = Tally::default();
        let classes = [
            Class::Ok,
            Class::FreshFailed,
            Class::ReusedReset,
            Class::CutBody,
            Class::WrongBody,
            Class::Status(502),
            Class::Status(503),
            Class::TimedOut,
            Class::HeldBack,
        ];
        for class in classes {
            tally.ended(class, Duration::from_millis(3), String::new);
        }
        let summary = tally.summary(Duration::from_secs(1));
        assert_eq!((summary.requests, summary.ok, summary.failed), (9, 1, 8));
        assert_eq!(summary.failures.len(), 8);
        assert_eq!(summary.sentence(), "failed requests: 8 of 9");
    }

    #[test]
    fn percentiles_are_exact_to_an_eighth_of_a_doubling() {
        let tally = Tally::default();
        for ms in 1..=100 {
            tally.ended(Class::Ok, Duration::from_millis(ms), String::new);
        }
        let summary = tally.summary(Duration::from_secs(1));
        assert!((50.0..55.0).contains(&summary.p50_ms), "{}", summary.p50_ms);
        assert!((99.0..108.0).contains(&summary.p99_ms), "{}", summary.p99_ms);
        assert!((summary.max_ms - 100.0).abs() < 0.01);
    }
}
