//! Durations, ages and short forms as people write them.

use crate::api::time::parse_rfc3339;

/// Characters of a digest that tell it apart from others on one machine.
const SHORT_DIGEST: usize = 12;

/// A duration: `340 ms`, `1.6 s`, `2 min 5 s`, `1 h 3 min`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms % 1_000 < 100 => format!("{seconds} s"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => two((seconds / 60, "min"), (seconds % 60, "s")),
        _ => two((seconds / 3_600, "h"), (seconds / 60 % 60, "min")),
    }
}

/// A number of one unit and, unless it is nothing, of the next smaller one.
fn two((large, unit): (u64, &str), (small, smaller): (u64, &str)) -> String {
    if small == 0 { format!("{large} {unit}") } else { format!("{large} {unit} {small} {smaller}") }
}

/// How long ago a time was: `just now`, `8 s ago`, `3 min ago`, `2 h ago`, `5 d ago`.
#[must_use]
pub fn ago(time: &str, now_ms: u64) -> String {
    let Some(then) = parse_rfc3339(time) else { return String::new() };
    let seconds = now_ms.saturating_sub(then) / 1_000;
    match seconds {
        0..2 => "just now".to_owned(),
        2..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// The first characters of a digest, without its algorithm: `sha256:0123…` is `0123456789ab`.
#[must_use]
pub fn short_digest(digest: &str) -> String {
    let hex = digest.rsplit(':').next().unwrap_or(digest);
    hex.chars().take(SHORT_DIGEST).collect()
}

/// A count with its noun.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let told: Vec<String> = [0, 340, 1_600, 10_000, 59_999, 60_000, 125_000, 3_780_000].map(duration).into();
        assert_eq!(told, ["0 ms", "340 ms", "1.6 s", "10 s", "59.9 s", "1 min", "2 min 5 s", "1 h 3 min"]);
    }

    #[test]
    fn ages_read_well() {
        let now = parse_rfc3339("2026-01-02T12:00:00.000Z").unwrap();
        assert_eq!(ago("2026-01-02T11:59:59.500Z", now), "just now");
        assert_eq!(ago("2026-01-02T11:58:30.000Z", now), "90 s ago");
        assert_eq!(ago("2026-01-02T10:30:00.000Z", now), "90 min ago");
        assert_eq!(ago("2025-12-20T12:00:00.000Z", now), "13 d ago");
        assert_eq!(ago("2026-01-03T12:00:00.000Z", now), "just now");
        assert_eq!(ago("", now), "");
    }
}
