//! What went through, per workload and unit, and its Prometheus text.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::table::Snapshot;

/// Upper bounds of the duration histogram, s: from an answer out of memory to a long poll.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0];
/// The same in µs.
const BUCKETS_US: [u64; 10] =
    [1_000, 5_000, 10_000, 25_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000, 120_000_000];

/// Counts of one unit.
#[derive(Debug, Default)]
pub struct TargetFigures {
    by_class: [AtomicU64; 6],
    sent: AtomicU64,
    received: AtomicU64,
}

impl TargetFigures {
    /// Counts a finished request: its status, the bytes of its body and of its answer's.
    pub fn count(&self, status: u16, received: u64, sent: u64) {
        self.by_class[usize::from(status / 100).min(5)].fetch_add(1, Ordering::Relaxed);
        self.sent.fetch_add(sent, Ordering::Relaxed);
        if received != 0 {
            self.received.fetch_add(received, Ordering::Relaxed);
        }
    }
}

/// Counts of one workload, over all its writes.
#[derive(Debug, Default)]
pub struct WorkloadFigures {
    buckets: [AtomicU64; 11],
    sum_us: AtomicU64,
    /// Requests that were tried again.
    pub retries: AtomicU64,
    /// Requests that waited for a first target.
    pub held: AtomicU64,
    /// Requests that the proxy answered itself, as 502, 503 and 504.
    pub failed: AtomicU64,
}

impl WorkloadFigures {
    /// Counts a finished request's duration.
    pub fn observe(&self, micros: u64) {
        let at = BUCKETS_US.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS_US.len());
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Counts of the whole process.
#[derive(Debug, Default)]
pub struct ProcessFigures {
    /// Client connections accepted.
    pub accepted: AtomicU64,
    /// Client connections open.
    pub connections: AtomicU64,
    /// Requests no workload routes, and malformed ones.
    pub unrouted: AtomicU64,
    /// Requests passed to the engine's hooks socket.
    pub hooks: AtomicU64,
    /// Requests that wait for a target or for the engine.
    pub waiting: AtomicU64,
    /// Access log lines dropped because the writer did not keep up.
    pub log_dropped: AtomicU64,
    /// Names answered from the table.
    pub names_answered: AtomicU64,
    /// Names asked of the host's resolvers.
    pub names_forwarded: AtomicU64,
    /// Names that nobody answered in time, or that there was no place for.
    pub names_failed: AtomicU64,
    /// Questions from outside the network.
    pub names_refused: AtomicU64,
}

/// The Prometheus text of everything.
#[must_use]
pub fn render(process: &ProcessFigures, table: &Snapshot) -> String {
    let mut out = String::with_capacity(4096);
    for (name, kind, help, value) in [
        ("connections_total", "counter", "Client connections accepted.", &process.accepted),
        ("connections", "gauge", "Client connections open.", &process.connections),
        ("unrouted_requests_total", "counter", "Requests that no workload routes.", &process.unrouted),
        ("hook_requests_total", "counter", "Requests passed to the engine.", &process.hooks),
        ("waiting_requests", "gauge", "Requests that wait for a target or for the engine.", &process.waiting),
        ("access_log_dropped_total", "counter", "Access log lines dropped.", &process.log_dropped),
        ("names_answered_total", "counter", "Names answered from the table.", &process.names_answered),
        ("names_forwarded_total", "counter", "Names asked of the host's resolvers.", &process.names_forwarded),
        ("names_failed_total", "counter", "Names that nobody answered.", &process.names_failed),
        ("names_refused_total", "counter", "Questions for names from elsewhere.", &process.names_refused),
    ] {
        head(&mut out, name, kind, help);
        line(&mut out, name, "", value.load(Ordering::Relaxed));
    }
    units(&mut out, table);
    workloads(&mut out, table);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    out.push_str(&format!("# HELP cutover_proxy_{name} {help}\n# TYPE cutover_proxy_{name} {kind}\n"));
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    // Writing to a String does not fail.
    writeln!(out, "cutover_proxy_{name}{braces} {value}").unwrap_or_default();
}

fn units(out: &mut String, table: &Snapshot) {
    let units: Vec<_> = table
        .entries
        .values()
        .flat_map(|entry| entry.targets.iter().chain(&entry.draining).map(move |target| (entry, target)))
        .map(|(entry, target)| {
            (format!("workload=\"{}\",unit=\"{}\"", escape(&entry.name), escape(&target.unit)), target)
        })
        .collect();
    head(out, "requests_total", "counter", "Requests answered by a unit, by class of the status.");
    for (labels, target) in &units {
        for (class, count) in target.figures.by_class.iter().enumerate().skip(1) {
            line(out, "requests_total", &format!("{labels},class=\"{class}xx\""), count.load(Ordering::Relaxed));
        }
    }
    head(out, "sent_bytes_total", "counter", "Body bytes of a unit's answers.");
    for (labels, target) in &units {
        line(out, "sent_bytes_total", labels, target.figures.sent.load(Ordering::Relaxed));
    }
    head(out, "received_bytes_total", "counter", "Body bytes of the requests to a unit.");
    for (labels, target) in &units {
        line(out, "received_bytes_total", labels, target.figures.received.load(Ordering::Relaxed));
    }
    head(out, "in_flight", "gauge", "Requests whose last body byte has not passed.");
    for (labels, target) in &units {
        line(out, "in_flight", labels, target.status().in_flight);
    }
    head(out, "upgraded", "gauge", "Websockets and other upgraded connections.");
    for (labels, target) in &units {
        line(out, "upgraded", labels, target.status().upgraded);
    }
}

fn workloads(out: &mut String, table: &Snapshot) {
    let all: Vec<(String, &Arc<WorkloadFigures>)> = table
        .entries
        .values()
        .filter(|entry| !entry.routes.is_empty())
        .map(|entry| (format!("workload=\"{}\"", escape(&entry.name)), &entry.figures))
        .collect();
    type Pick = fn(&WorkloadFigures) -> &AtomicU64;
    let counters: [(&str, &str, Pick); 3] = [
        ("retries_total", "Requests that were tried again.", |f| &f.retries),
        ("held_total", "Requests that waited for a first target.", |f| &f.held),
        ("failed_total", "Requests answered by the proxy itself with 502, 503 or 504.", |f| &f.failed),
    ];
    for (name, help, pick) in counters {
        head(out, name, "counter", help);
        for (labels, figures) in &all {
            line(out, name, labels, pick(figures).load(Ordering::Relaxed));
        }
    }
    head(out, "request_duration_seconds", "histogram", "From the request's head to the last byte of its answer.");
    for (labels, figures) in &all {
        let mut total = 0;
        for (bound, count) in BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]).zip(&figures.buckets) {
            total += count.load(Ordering::Relaxed);
            line(out, "request_duration_seconds_bucket", &format!("{labels},le=\"{bound}\""), total);
        }
        line(out, "request_duration_seconds_count", labels, total);
        let (secs, micros) = {
            let sum = figures.sum_us.load(Ordering::Relaxed);
            (sum / 1_000_000, sum % 1_000_000)
        };
        writeln!(out, "cutover_proxy_request_duration_seconds_sum{{{labels}}} {secs}.{micros:06}").unwrap_or_default();
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
