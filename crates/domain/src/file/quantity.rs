//! Times, sizes and shares, as people write them.

use super::strict::quoted;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Units of time with their milliseconds, longest suffix first.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", SECOND_MS), ("m", MINUTE_MS), ("h", HOUR_MS), ("d", DAY_MS)];

/// Units of memory with their bytes, longest suffix first.
const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Thousandths of a core in a core.
const MILLI: u64 = 1_000;

/// Milliseconds of a text like `30s`, `500ms`, `2m`, `1h` or `7d`; `0` needs no unit.
///
/// # Errors
/// Another form, or more than fits.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "{} is not a duration; write a whole number with its unit, as in \"30s\", \"500ms\", \"2m\" or \"1h\"",
            quoted(text)
        )
    };
    if text == "0" {
        return Ok(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = TIMES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale)).ok_or_else(bad)
}

/// A duration within bounds.
///
/// # Errors
/// Not a duration, or out of bounds.
pub fn duration_within(text: &str, low_ms: u64, high_ms: u64) -> Result<u64, String> {
    within(duration_ms(text)?, low_ms, high_ms)
}

/// Milliseconds within bounds.
///
/// # Errors
/// Out of bounds.
pub fn within(ms: u64, low_ms: u64, high_ms: u64) -> Result<u64, String> {
    if (low_ms..=high_ms).contains(&ms) {
        return Ok(ms);
    }
    Err(format!(
        "{} is out of range; allowed is {} to {}",
        show_duration(ms),
        show_duration(low_ms),
        show_duration(high_ms)
    ))
}

/// The shortest text that [`duration_ms`] reads as these milliseconds.
#[must_use]
pub fn show_duration(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let fits = TIMES.iter().rev().find(|(_, scale)| ms.is_multiple_of(*scale));
    fits.map_or_else(|| format!("{ms}ms"), |(unit, scale)| format!("{}{unit}", ms / scale))
}

/// Bytes of a text like `512MiB` or `1GB`.
///
/// # Errors
/// Another form, or more than fits.
pub fn bytes(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "{} is not a size; write a whole number with its unit, as in \"512MiB\" or \"1GiB\" (units: B, kB, MB, GB, KiB, MiB, GiB)",
            quoted(text)
        )
    };
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let (_, scale) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale)).ok_or_else(bad)
}

/// The shortest text that [`bytes`] reads as this size, in binary units.
#[must_use]
pub fn show_bytes(size: u64) -> String {
    let fits = SIZES[..3].iter().rev().find(|(_, scale)| size > 0 && size.is_multiple_of(*scale));
    fits.map_or_else(|| format!("{size}B"), |(unit, scale)| format!("{}{unit}", size / scale))
}

/// Thousandths of a core of a text like `0.5` or `2`.
///
/// # Errors
/// Not a number with at most three digits after the point.
pub fn cpu_milli(text: &str) -> Result<u64, String> {
    let bad = || {
        format!(
            "{} is not a number of cores; write one with at most three digits after the point, as in 0.5 or 2",
            quoted(text)
        )
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || !digits(whole) || !digits(part) || text.ends_with('.') {
        return Err(bad());
    }
    let whole = whole.parse::<u64>().ok().and_then(|cores| cores.checked_mul(MILLI)).ok_or_else(bad)?;
    let part = format!("{part:0<3}").parse::<u64>().map_err(|_| bad())?;
    whole.checked_add(part).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        for (text, ms) in
            [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("7d", 604_800_000), ("0", 0)]
        {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
        for text in
            ["", "30", "s", "1.5s", "-1s", "30 s", "30S", "99999999999999999999s", "18446744073709551615d", "1h30m"]
        {
            assert!(duration_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_read() {
        for ms in [0, 1, 999, 1_000, 90_000, 3_600_000, 86_400_000, 86_400_001] {
            assert_eq!(duration_ms(&show_duration(ms)), Ok(ms));
        }
        assert_eq!(show_duration(90_000), "90s");
    }

    #[test]
    fn sizes_have_a_unit() {
        for (text, size) in [("512MiB", 536_870_912), ("1GB", 1_000_000_000), ("7B", 7)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "512", "512M", "512mib", "1.5GiB", "-1B", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(show_bytes(536_870_912), "512MiB");
        assert_eq!(show_bytes(1_000), "1000B");
    }

    #[test]
    fn cores_have_three_digits() {
        for (text, milli) in [("0.5", 500), ("2", 2_000), ("0.001", 1), ("1.25", 1_250)] {
            assert_eq!(cpu_milli(text), Ok(milli), "{text}");
        }
        for text in ["", ".5", "1.", "0.0001", "-1", "1e3", "NaN", "99999999999999999999"] {
            assert!(cpu_milli(text).is_err(), "{text}");
        }
    }
}
