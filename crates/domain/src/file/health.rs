//! `health`: `"/path"`, `"tcp:PORT"`, or a table with all its keys.

use cutover_events::workload::{Check, Health};

use super::strict::{Entry, Fault, Section, Words, not_yet, quoted};
use super::{check, quantity, routes};

/// Between two probes of something that is ready. Three failures in a row end a bake of 10 s well before its end.
pub(super) const DEFAULT_INTERVAL_MS: u32 = 1_000;
/// For one probe: a slow first answer of an interpreter that has just started is no failure.
pub(super) const DEFAULT_TIMEOUT_MS: u32 = 5_000;
/// Below this, probes would be a load of their own.
const MIN_INTERVAL_MS: u64 = 50;
/// Above this, a failure would be seen too late to be worth probing for.
const MAX_INTERVAL_MS: u64 = 10 * 60_000;
/// What counts as ready without `status`: a redirect (to TLS, to a login) is the answer of something that works.
pub(super) const DEFAULT_STATUS: (u16, u16) = (200, 399);

pub(super) const WORDS: Words =
    Words { known: &["http", "port", "status", "headers", "interval", "timeout"], later: &["exec"] };
pub(super) const NEEDS_PORT: &str = "needs a port; add port = NUMBER (1 to 65535) to the workload or to health";

pub(super) fn read(entry: &Entry<'_>, default_port: Option<u16>) -> Result<Health, Fault> {
    if let Some(section) = entry.as_section() {
        return table(&section, default_port);
    }
    if entry.as_string().is_none() {
        return Err(entry.wrong("\"/path\", \"tcp:PORT\" or a table"));
    }
    let (check, port) = entry.text(short)?;
    let port = port.or(default_port).ok_or_else(|| entry.fault(NEEDS_PORT))?;
    Ok(Health { check, port, interval_ms: DEFAULT_INTERVAL_MS, timeout_ms: DEFAULT_TIMEOUT_MS })
}

fn short(text: &str) -> Result<(Check, Option<u16>), String> {
    if let Some(port) = text.strip_prefix("tcp:") {
        let number = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse::<i64>().ok()).flatten();
        let number = number.ok_or_else(|| format!("{} is not \"tcp:\" and a port from 1 to 65535", quoted(text)))?;
        return Ok((Check::Tcp, Some(check::port(number)?)));
    }
    if text.starts_with("exec:") {
        return Err(not_yet("exec:") + "; use \"/path\" or \"tcp:PORT\"");
    }
    if !text.starts_with('/') {
        return Err(format!(
            "{} is not a health check; expected a path that begins with \"/\", or \"tcp:PORT\"",
            quoted(text)
        ));
    }
    Ok((http(check::health_path(text)?), None))
}

fn http(path: String) -> Check {
    Check::Http { path, host: String::new(), low: DEFAULT_STATUS.0, high: DEFAULT_STATUS.1 }
}

fn table(section: &Section<'_>, default_port: Option<u16>) -> Result<Health, Fault> {
    section.expect(WORDS)?;
    let status = section.read("status", status)?;
    let host = section.read("headers", headers)?;
    let check = match section.read("http", |entry| entry.text(check::health_path))? {
        Some(path) => {
            let (low, high) = status.unwrap_or(DEFAULT_STATUS);
            Check::Http { path, host: host.unwrap_or_default(), low, high }
        }
        None if status.is_some() || host.is_some() => {
            return Err(section.fault("status and headers need http = \"/path\""));
        }
        None => Check::Tcp,
    };
    let port = section.read("port", routes::port)?.or(default_port).ok_or_else(|| section.fault(NEEDS_PORT))?;
    let interval_ms = section.read("interval", time)?.unwrap_or(DEFAULT_INTERVAL_MS);
    let timeout_ms = section.read("timeout", time)?.unwrap_or(DEFAULT_TIMEOUT_MS);
    Ok(Health { check, port, interval_ms, timeout_ms })
}

fn time(entry: &Entry<'_>) -> Result<u32, Fault> {
    entry.text(|text| interval(quantity::duration_ms(text)?))
}

/// Milliseconds of `interval` and `timeout`.
pub(super) fn interval(ms: u64) -> Result<u32, String> {
    let ms = quantity::within(ms, MIN_INTERVAL_MS, MAX_INTERVAL_MS)?;
    u32::try_from(ms).map_err(|_| "out of range".to_owned())
}

/// A status, or `"LOW-HIGH"`.
fn status(entry: &Entry<'_>) -> Result<(u16, u16), Fault> {
    let expected = "a status from 100 to 599, or a range of them as in \"200-299\"";
    let Some(text) = entry.as_string() else {
        let number = entry
            .integer(100, 599)
            .map_err(|fault| Fault { text: format!("{}; expected {expected}", fault.text), ..fault })?;
        let number = u16::try_from(number).unwrap_or(DEFAULT_STATUS.0);
        return Ok((number, number));
    };
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let range = low.parse().ok().zip(high.parse().ok());
    let bad = || entry.fault(format!("{} is not {expected}", quoted(text)));
    let (low, high) = range.ok_or_else(bad)?;
    statuses(low, high).map_err(|text| entry.fault(text))
}

/// A range of statuses.
pub(super) fn statuses(low: u16, high: u16) -> Result<(u16, u16), String> {
    if (100..=599).contains(&low) && (low..=599).contains(&high) {
        return Ok((low, high));
    }
    Err(format!("{low} to {high} is not a range of statuses; allowed is 100 to 599"))
}

/// The `Host` header; a probe carries no other.
fn headers(entry: &Entry<'_>) -> Result<String, Fault> {
    let mut host = String::new();
    for header in entry.section()?.entries() {
        if !header.name.eq_ignore_ascii_case("host") {
            return Err(header.key_fault(not_yet(&header.name) + " as a header of a health check; allowed is Host"));
        }
        host = header.text(host_header)?;
    }
    Ok(host)
}

/// A host, without a wildcard.
pub(super) fn host_header(text: &str) -> Result<String, String> {
    let host = check::host(text)?;
    if host.starts_with('*') { Err(format!("{} is not one host", quoted(text))) } else { Ok(host) }
}
