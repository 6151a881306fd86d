//! How long a container has run. Docker tells when it started by the wall clock, which may jump; the kernel knows the age
//! of its process. Docker's figure is finer and counts from the end of its own preparations, so it is taken when the two
//! agree.

use cutover_events::Stamp;

/// A tick of the kernel's accounting in ms: `USER_HZ` is 100 on every platform that runs Docker.
const TICK_MS: u64 = 10;
/// Docker prepares a process before it counts as started (0.1 to 0.6 s measured, more on a busy host): up to here the
/// two figures agree, ms.
const AGREE_MS: u64 = 3_000;
/// Docker's "never".
const NEVER: &str = "0001-01-01";

/// The start as Docker tells it, empty for a container that was never started.
pub(super) fn started_at(text: Option<String>) -> String {
    text.filter(|text| !text.starts_with(NEVER)).unwrap_or_default()
}

/// The age of a running process in ms.
pub(super) fn up_ms(started_at: &str, pid: i64, now: Stamp) -> u64 {
    let told = unix_ms(started_at).map(|then| now.wall_ms.saturating_sub(then));
    match (told, process_ms(pid)) {
        (Some(told), Some(kernel)) if told.abs_diff(kernel) <= AGREE_MS => told.min(kernel),
        (_, Some(kernel)) => kernel,
        (Some(told), None) => told,
        (None, None) => 0,
    }
}

/// How long ago a running process began at the latest, ms: by the kernel's clock alone where it is to be seen from here,
/// so that no jump of the wall clock makes it younger than something that came after it.
pub(super) fn age_ms(started_at: &str, pid: i64, now: Stamp) -> u64 {
    process_ms(pid).unwrap_or_else(|| up_ms(started_at, pid, now))
}

/// The age of a process by the kernel's own clock, `None` when it is not to be seen from here.
fn process_ms(pid: i64) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().filter(|_| pid > 0)?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    Some(uptime_ms(&uptime)?.saturating_sub(start_ticks(&stat)? * TICK_MS))
}

/// Field 22 of `/proc/PID/stat`; the command in field 2 may hold spaces and brackets.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The first figure of `/proc/uptime`, seconds with two decimals.
fn uptime_ms(text: &str) -> Option<u64> {
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1000 + hundredths.parse::<u64>().ok()? * TICK_MS)
}

/// Milliseconds since 1970 of a UTC time in RFC 3339, as Docker writes it.
fn unix_ms(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let ms: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = ((days_since_1970(year, month, day)? * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1000 + ms)
}

/// Days of the Gregorian calendar, counted in years that begin in March so that the leap day is the last one.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_times_are_read() {
        assert_eq!(unix_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ms("2024-02-29T12:34:56.789123456Z"), Some(1_709_210_096_789));
        assert_eq!(unix_ms("2026-11-25T03:49:01.5Z"), Some(1_795_578_541_500));
        for bad in ["", "0001-01-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00+01:00"] {
            assert_eq!(unix_ms(bad), None, "{bad}");
        }
        assert_eq!(started_at(Some("0001-01-01T00:00:00Z".to_owned())), "");
    }

    #[test]
    fn the_kernel_knows_the_age_of_a_process() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 4242 99 98";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(uptime_ms("4242.07 1.00\n"), Some(4_242_070));
        let own = i64::from(std::process::id());
        assert!(process_ms(own).is_some_and(|age| age < 3_600_000));
    }

    #[test]
    fn a_jump_of_the_wall_clock_makes_nothing_older_or_younger() {
        let own = i64::from(std::process::id());
        let kernel = process_ms(own).unwrap();
        let year_later = Stamp { wall_ms: 1_900_000_000_000, ..Stamp::default() };
        let before = Stamp { wall_ms: 1_000_000_000_000, ..Stamp::default() };
        for now in [year_later, before] {
            assert!(up_ms("2026-11-25T03:49:01.5Z", own, now).abs_diff(kernel) < 10_000);
        }
    }
}
