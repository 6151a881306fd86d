//! The clocks of the data plane, and the text of a moment.

use rustix::time::{ClockId, clock_gettime};

/// Monotonic time, ms, good to 4 ms and nearly free: for limits.
#[must_use]
pub fn coarse_ms() -> u64 {
    let t = clock_gettime(ClockId::MonotonicCoarse);
    to_u64(t.tv_sec) * 1_000 + to_u64(t.tv_nsec) / 1_000_000
}

/// Monotonic time, µs: for durations that are shown.
#[must_use]
pub fn micros() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    to_u64(t.tv_sec) * 1_000_000 + to_u64(t.tv_nsec) / 1_000
}

/// Wall time, ms since 1970: for display only.
#[must_use]
pub fn wall_ms() -> u64 {
    let t = clock_gettime(ClockId::RealtimeCoarse);
    to_u64(t.tv_sec) * 1_000 + to_u64(t.tv_nsec) / 1_000_000
}

fn to_u64(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Appends `2026-11-25T03:44:51.123Z`.
pub fn push_rfc3339(out: &mut Vec<u8>, wall_ms: u64) {
    let (secs, ms) = (wall_ms / 1000, wall_ms % 1000);
    let (year, month, day) = civil(secs / 86_400);
    let of_day = secs % 86_400;
    push_padded(out, year, 4);
    for (mark, value) in
        [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)]
    {
        out.push(mark);
        push_padded(out, value, 2);
    }
    out.push(b'.');
    push_padded(out, ms, 3);
    out.push(b'Z');
}

fn push_padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Days since 1970 to year, month and day (proleptic Gregorian, years counted from March).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_people_read_them() {
        let text = |ms| {
            let mut out = Vec::new();
            push_rfc3339(&mut out, ms);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_795_578_291_042), "2026-11-25T03:44:51.042Z");
    }
}
