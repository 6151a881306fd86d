//! `host`, `port` and `[[workloads.NAME.routes]]`.

use cutover_events::workload::Route;

use super::check;
use super::strict::{Entry, Fault, Section, Words};

/// Ways into one workload; many names of one site fit.
pub(super) const MAX_ROUTES: usize = 64;

const WORDS: Words = Words { known: &["host", "path", "port", "strip"], later: &["process", "service"] };
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
pub(super) fn read(section: &Section<'_>, port: Option<u16>) -> Result<Vec<Route>, Fault> {
    let mut routes = Vec::new();
    if let Some(entry) = section.get("host") {
        let hosts = entry.one_or_more(MAX_ROUTES)?;
        let port = port.ok_or_else(|| entry.key_fault(NEEDS_PORT))?;
        if hosts.is_empty() {
            return Err(
                entry.fault("an empty array; leave the key out when nothing leads to the workload from outside")
            );
        }
        for host in hosts {
            let route = Route { host: host.text(check::host)?, path: "/".to_owned(), port, strip: false };
            add(&mut routes, route).map_err(|text| host.fault(text))?;
        }
    }
    for table in section.read("routes", |entry| entry.sections(MAX_ROUTES))?.unwrap_or_default() {
        let route = table_route(&table, port)?;
        add(&mut routes, route).map_err(|text| table.fault(text))?;
    }
    Ok(routes)
}

fn table_route(table: &Section<'_>, default_port: Option<u16>) -> Result<Route, Fault> {
    table.expect(WORDS)?;
    let Some(host) = table.read("host", |entry| entry.text(check::host))? else {
        return Err(table.fault("\"host\" is missing; expected a DNS name"));
    };
    let Some(port) = table.read("port", port)?.or(default_port) else {
        return Err(table.fault(NEEDS_PORT));
    };
    Ok(Route {
        host,
        path: table.read("path", |entry| entry.text(check::path))?.unwrap_or_else(|| "/".to_owned()),
        port,
        strip: table.read("strip", Entry::boolean)?.unwrap_or(false),
    })
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
