//! `host`, `port` and `[[workloads.NAME.routes]]`.

use cutover_events::workload::{Route, Source};

use super::strict::{Entry, Fault, Section, Words, quoted};
use super::{check, fits};

/// Ways into one workload; many names of one site fit.
pub(super) const MAX_ROUTES: usize = 64;

pub(super) const WORDS: Words = Words { known: &["host", "path", "port", "strip", "service"], later: &["process"] };
/// Characters of the name of a service: it is a DNS name within the stack (RFC 1035).
const MAX_SERVICE_CHARS: usize = 63;
const NEEDS_SERVICE: &str = "\"service\" is missing; a stack has several, and a route leads to one of them";
const NO_SERVICE: &str = "only a stack (compose) has services; leave it out";
const NO_PORT: &str =
    "has no meaning for static, mode = \"files\": the proxy serves the files itself, without a container";
const NEEDS_PORT: &str = "needs the port that the container listens on; add port = NUMBER (1 to 65535)";

pub(super) fn port(entry: &Entry<'_>) -> Result<u16, Fault> {
    if let Some(text) = entry.as_string() {
        let hint =
            if text.contains(':') { "; a port of the host is published with ports = [\"HOST:CONTAINER\"]" } else { "" };
        return Err(entry.fault(format!("expected a whole number from 1 to 65535, found a string{hint}")));
    }
    let number = entry.integer(i64::MIN, i64::MAX).map_err(|_| entry.wrong("a whole number from 1 to 65535"))?;
    check::port(number).map_err(|text| entry.fault(text))
}

/// The routes of both forms, in the order of the file, those of `host` first.
pub(super) fn read(section: &Section<'_>, port: Option<u16>, source: &Source) -> Result<Vec<Route>, Fault> {
    let mut routes = Vec::new();
    if let Some(entry) = section.get("host") {
        let hosts = entry.one_or_more(MAX_ROUTES)?;
        if hosts.is_empty() {
            return Err(
                entry.fault("an empty array; leave the key out when nothing leads to the workload from outside")
            );
        }
        for host in hosts {
            let (path, service) = ("/".to_owned(), String::new());
            let route = Route { host: host.text(check::host)?, path, port: port.unwrap_or(0), strip: false, service };
            let route = judged(route, source).map_err(|(_, text)| entry.key_fault(text))?;
            add(&mut routes, route).map_err(|text| host.fault(text))?;
        }
    }
    for table in section.read("routes", |entry| entry.sections(MAX_ROUTES))?.unwrap_or_default() {
        let route = table_route(&table, port)?;
        let route = judged(route, source).map_err(|(key, text)| table.fault_below(&Fault::new(key, text)))?;
        add(&mut routes, route).map_err(|text| table.fault(text))?;
    }
    Ok(routes)
}

fn table_route(table: &Section<'_>, default_port: Option<u16>) -> Result<Route, Fault> {
    table.expect(WORDS)?;
    let Some(host) = table.read("host", |entry| entry.text(check::host))? else {
        return Err(table.fault("\"host\" is missing; expected a DNS name"));
    };
    Ok(Route {
        host,
        path: table.read("path", |entry| entry.text(check::path))?.unwrap_or_else(|| "/".to_owned()),
        port: table.read("port", port)?.or(default_port).unwrap_or(0),
        strip: table.read("strip", Entry::boolean)?.unwrap_or(false),
        service: table.read("service", |entry| entry.string().map(str::to_owned))?.unwrap_or_default(),
    })
}

/// A route that leads to what its source has: a port, of a service where it is a stack, or the files of a site;
/// otherwise the key and what is wrong with it.
pub(super) fn judged(route: Route, source: &Source) -> Result<Route, (&'static str, String)> {
    let stack = matches!(source, Source::Compose(_));
    if !stack && !route.service.is_empty() {
        return Err(("service", NO_SERVICE.to_owned()));
    }
    if stack && route.service.is_empty() {
        return Err(("", NEEDS_SERVICE.to_owned()));
    }
    if stack {
        service(&route.service).map_err(|text| ("service", text))?;
    }
    match (fits::is_files(source), route.port) {
        (true, 1..) => Err(("port", NO_PORT.to_owned())),
        (false, 0) => Err(("", NEEDS_PORT.to_owned())),
        (true, 0) | (false, 1..) => Ok(route),
    }
}

/// The name of a service, as Compose allows it.
fn service(text: &str) -> Result<(), String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if first && text.len() <= MAX_SERVICE_CHARS && text.bytes().all(inner) {
        return Ok(());
    }
    Err(format!(
        "{} is not the name of a service; allowed are 1 to {MAX_SERVICE_CHARS} letters, digits, \"_\", \"-\" and \".\"",
        quoted(text)
    ))
}

/// Adds a route that is not there yet.
pub(super) fn add(routes: &mut Vec<Route>, route: Route) -> Result<(), String> {
    if routes.iter().any(|other| other.host == route.host && other.path == route.path) {
        return Err(format!("{}{} is routed twice", route.host, route.path));
    }
    if routes.len() >= MAX_ROUTES {
        return Err(format!("more than {MAX_ROUTES} routes"));
    }
    routes.push(route);
    Ok(())
}
