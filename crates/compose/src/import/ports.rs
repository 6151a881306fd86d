//! Published ports: what the proxy can serve becomes a route, the rest stays a port of the host.

use super::One;
use super::volumes::Volumes;
use crate::model::Port;

/// Ports of the host that a workload may have.
const MAX_PORTS: usize = 32;
/// Ports at which programs do not speak HTTP: mail, names, files, databases, queues.
const NOT_HTTP: &[u16] = &[
    21, 22, 23, 25, 53, 110, 111, 143, 389, 443, 445, 465, 514, 587, 636, 853, 873, 993, 995, 1433, 1521, 1883, 2049,
    2375, 2376, 3306, 3389, 5432, 5433, 5672, 6379, 6380, 6432, 6543, 7687, 8883, 9042, 9092, 9300, 11211, 27017,
    50051,
];

/// What becomes of the ports of a service.
#[derive(Default)]
pub(super) struct Published {
    /// Ports of the host, in the short form.
    pub(super) fixed: Vec<String>,
    /// Lines for a person: a route that waits for its host.
    pub(super) hints: Vec<String>,
}

pub(super) fn of(one: &mut One<'_>, volumes: &Volumes) -> Published {
    let mut published = Published::default();
    let service = one.service;
    if service.keys.contains("network_mode") {
        return published;
    }
    for port in &service.ports {
        let Some(host) = port.host else {
            one.note(format!(
                "port {}: a port of the host that Docker chooses; write a route, or a port",
                port.container.0
            ));
            continue;
        };
        // One host or path, and without a gap; what is recreated anyway may keep its port as well.
        if !volumes.writable && http(port) {
            route(one, &mut published, port, host.0);
        } else {
            fixed(one, &mut published, port, host);
        }
    }
    published
}

fn http(port: &Port) -> bool {
    let single = port.container.0 == port.container.1 && port.host.is_some_and(|host| host.0 == host.1);
    port.transport == "tcp" && single && !NOT_HTTP.contains(&port.container.0)
}

fn route(one: &mut One<'_>, published: &mut Published, port: &Port, host: u16) {
    let container = port.container.0;
    if published.hints.is_empty() {
        published.hints.push(format!("host = \"{}.example.com\"", one.names[&one.service.name]));
        published.hints.push(format!("port = {container}"));
    }
    one.note(format!("port {host} of the host: requests come through the proxy; write host, and port = {container}"));
}

fn fixed(one: &mut One<'_>, published: &mut Published, port: &Port, host: (u16, u16)) {
    let many = port.container.1 - port.container.0;
    if port.transport == "sctp" {
        one.note(format!("port {}: sctp is not published", host.0));
        return;
    }
    if published.fixed.len() + usize::from(many) >= MAX_PORTS {
        one.note(format!("ports {}-{} of the host: a workload has at most {MAX_PORTS}", host.0, host.1));
        return;
    }
    let address = match (port.address.as_str(), port.address.contains(':')) {
        ("", _) => "0.0.0.0".to_owned(),
        (address, true) => format!("[{address}]"),
        (address, false) => address.to_owned(),
    };
    let suffix = if port.transport == "udp" { "/udp" } else { "" };
    for offset in 0..=many {
        let text = format!("{address}:{}:{}{suffix}", host.0 + offset, port.container.0 + offset);
        if !published.fixed.contains(&text) {
            published.fixed.push(text);
        }
    }
}
