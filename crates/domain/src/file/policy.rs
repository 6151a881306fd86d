//! `[workloads.NAME.policy]`: times and counts.

use cutover_events::workload::{OnDrift, Policy};

use super::strict::{Entry, Fault, Words, choice, quoted};
use super::{check, quantity};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A time of the policy: its key, its bounds and its place.
pub(super) struct Time {
    /// In the file.
    pub(super) key: &'static str,
    /// Lowest allowed, ms.
    pub(super) low_ms: u64,
    /// Highest allowed, ms.
    pub(super) high_ms: u64,
    /// Where it is kept.
    pub(super) place: fn(&mut Policy) -> &mut u64,
}

/// All times. The lane is held for as long as gate, drain and bake take, so a day would be a mistake.
pub(super) const TIMES: [Time; 8] = [
    Time { key: "gate_timeout", low_ms: 100, high_ms: HOUR_MS, place: |policy| &mut policy.gate_timeout_ms },
    Time { key: "liveness", low_ms: 100, high_ms: 10 * MINUTE_MS, place: |policy| &mut policy.liveness_ms },
    Time { key: "drain", low_ms: 0, high_ms: HOUR_MS, place: |policy| &mut policy.drain_ms },
    Time { key: "bake", low_ms: 0, high_ms: HOUR_MS, place: |policy| &mut policy.bake_ms },
    Time { key: "standby", low_ms: 0, high_ms: 30 * DAY_MS, place: |policy| &mut policy.standby_ms },
    Time { key: "stop_timeout", low_ms: 0, high_ms: 10 * MINUTE_MS, place: |policy| &mut policy.stop_timeout_ms },
    Time { key: "restore_timeout", low_ms: SECOND_MS, high_ms: DAY_MS, place: |policy| &mut policy.restore_timeout_ms },
    Time { key: "wait_for_image", low_ms: 0, high_ms: DAY_MS, place: |policy| &mut policy.wait_for_image_ms },
];

/// Releases that stay known: each keeps its image from being pruned.
pub(super) const KEEP_RELEASES: (i64, i64) = (1, 100);

/// Signals that ask a process to end, by their number on Linux.
pub(super) const SIGNALS: &[(&str, u8)] = &[
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGTERM", 15),
    ("SIGWINCH", 28),
    ("SIGRTMIN+3", 37),
];

/// What `drift` may say.
pub(super) const DRIFTS: &[(&str, OnDrift)] = &[("repair", OnDrift::Repair), ("report", OnDrift::Report)];

pub(super) const WORDS: Words = Words {
    known: &[
        "gate_timeout",
        "liveness",
        "drain",
        "bake",
        "standby",
        "stop_timeout",
        "stop_signal",
        "keep_releases",
        "restore_timeout",
        "wait_for_image",
        "drift",
    ],
    later: &[],
};

pub(super) fn read(entry: &Entry<'_>) -> Result<Policy, Fault> {
    let section = entry.section()?;
    section.expect(WORDS)?;
    let mut policy = Policy::default();
    for time in &TIMES {
        if let Some(ms) = section.read(time.key, |entry| duration(entry, time))? {
            *(time.place)(&mut policy) = ms;
        }
    }
    if let Some(number) = section.read("stop_signal", |entry| entry.text(signal))? {
        policy.stop_signal = number;
    }
    if let Some(word) = section.read("drift", |entry| entry.text(|text| check::word(text, DRIFTS)))? {
        policy.drift = word;
    }
    if let Some(entry) = section.get("keep_releases") {
        let number = entry.integer(KEEP_RELEASES.0, KEEP_RELEASES.1)?;
        policy.keep_releases = keep_releases(number).map_err(|text| entry.fault(text))?;
    }
    Ok(policy)
}

fn duration(entry: &Entry<'_>, time: &Time) -> Result<u64, Fault> {
    if entry.as_string().is_none() {
        return Err(entry.fault(format!("expected a duration as text, as in \"30s\", found {}", entry.kind())));
    }
    entry.text(|text| time.within(quantity::duration_ms(text)?))
}

impl Time {
    /// Milliseconds within the bounds of this time.
    pub(super) fn within(&self, ms: u64) -> Result<u64, String> {
        quantity::within(ms, self.low_ms, self.high_ms)
    }
}

/// The number of a signal; 0 for an empty text, the image's own.
pub(super) fn signal(text: &str) -> Result<u8, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let full = if text.starts_with("SIG") { text.to_owned() } else { format!("SIG{text}") };
    check::word(&full, SIGNALS).map_err(|_| {
        let names: Vec<&str> = SIGNALS.iter().map(|(name, _)| *name).collect();
        format!("{} is not a signal that is known here; allowed is {}", quoted(text), choice(&names))
    })
}

/// The name of a signal; empty for 0.
pub(super) fn signal_name(number: u8) -> String {
    SIGNALS.iter().find(|(_, known)| *known == number).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// A count of releases.
pub(super) fn keep_releases(number: i64) -> Result<u16, String> {
    let (low, high) = KEEP_RELEASES;
    let good = (low..=high).contains(&number).then(|| u16::try_from(number).ok()).flatten();
    good.ok_or_else(|| format!("{number} is out of range; allowed is {low} to {high}"))
}
