//! Times as people and programs read them.

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// RFC 3339 in UTC with milliseconds, from milliseconds since 1970.
#[must_use]
pub fn rfc3339(wall_ms: u64) -> String {
    let (year, month, day) = civil(wall_ms / DAY_MS);
    let ms = wall_ms % DAY_MS;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
}

/// Milliseconds since 1970 of a time that [`rfc3339`] has written; `None` for any other text.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let ms = ((part(11..13)? * 60 + part(14..16)?) * 60 + part(17..19)?) * 1_000 + part(20..23)?;
    Some(days(year, month, day)? * DAY_MS + ms)
}

/// Milliseconds since 1970 of a time that a person writes, in UTC: `2026-01-31`, `2026-01-31 14:02`, RFC 3339 with any
/// offset, `14:02` of this day, `90m ago`; `None` for any other text. `now_ms` is the present.
#[must_use]
pub fn parse_when(text: &str, now_ms: u64) -> Option<u64> {
    if let Some(span) = text.strip_suffix(" ago") {
        let ms = cutover_domain::file::quantity::duration_ms(&span.replace(' ', "")).ok()?;
        return now_ms.checked_sub(ms);
    }
    if text.len() <= "14:02:03".len() && text.contains(':') {
        return Some(now_ms / DAY_MS * DAY_MS + clock(text)?);
    }
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let mut parts = date.split('-');
    let mut part = |digits: usize| parts.next().filter(|part| part.len() == digits)?.parse::<u64>().ok();
    let day = days(part(4)?, part(2)?, part(2)?)? * DAY_MS;
    if parts.next().is_some() {
        return None;
    }
    let Some(time) = rest.strip_prefix(['T', 't', ' ']) else { return rest.is_empty().then_some(day) };
    let (time, offset_ms) = offset(time)?;
    (day + clock(time)?).checked_add_signed(-offset_ms)
}

/// A time of day, from its beginning, ms: `14:02`, `14:02:03`, `14:02:03.250`.
fn clock(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = whole.split(':');
    let mut part = |limit: u64| {
        let part = parts.next()?;
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<u64>().ok().filter(|number| digits && *number < limit)
    };
    let (hours, minutes) = (part(24)?, part(60)?);
    let seconds = if whole.len() > 5 { part(60)? } else { 0 };
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    (parts.next().is_none() && digits).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + ms)
}

/// A time of day without its offset from UTC, and that offset, ms.
fn offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (time, offset) = text.split_at(at);
    let ms = i64::try_from(clock(offset.get(1..)?)?).ok()?;
    Some((time, if offset.starts_with('-') { -ms } else { ms }))
}

/// Year, month and day of a number of days since 1970 (proleptic Gregorian calendar, eras of 400 years).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days since 1970 of a date; `None` before 1970 and for impossible months.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(rfc3339(1_767_225_599_999), "2025-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn people_write_times_in_many_ways() {
        let now = parse_rfc3339("2026-01-31T12:00:00.000Z").unwrap();
        for (text, same) in [
            ("2026-01-31", "2026-01-31T00:00:00.000Z"),
            ("2026-01-30 14:02", "2026-01-30T14:02:00.000Z"),
            ("2026-01-30T14:02:03Z", "2026-01-30T14:02:03.000Z"),
            ("2026-01-30T14:02:03.25+02:00", "2026-01-30T12:02:03.250Z"),
            ("2026-01-30T23:30-01:00", "2026-01-31T00:30:00.000Z"),
            ("09:30", "2026-01-31T09:30:00.000Z"),
            ("90m ago", "2026-01-31T10:30:00.000Z"),
        ] {
            assert_eq!(parse_when(text, now), parse_rfc3339(same), "{text}");
        }
        for text in
            ["", "v41", "24:00", "2026-13-01", "2026-01-31x", "2026-01-31T", "soon ago", "2026-1-1 10:00", "c0ffee1"]
        {
            assert_eq!(parse_when(text, now), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_two_centuries_survives_text() {
        for day in 0..80_000 {
            let ms = day * DAY_MS + 45_296_789;
            assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
        }
        assert_eq!(parse_rfc3339("yesterday"), None);
    }
}
