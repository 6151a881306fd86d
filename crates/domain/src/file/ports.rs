//! `ports`: `"5432:5432"`, `"[::1]:53:53/udp"`, or tables with all keys.

use std::net::{IpAddr, Ipv4Addr};

use cutover_events::workload::{PublishedPort, Transport};

use super::strict::{Entry, Fault, Section, Words, quoted};
use super::{check, routes};
use crate::registry;

/// Ports of the host of one workload: each is a process of Docker.
pub(super) const MAX_PORTS: usize = 32;
/// Where a port is published without an address: nothing is opened to the network by accident.
pub(super) const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What `transport` may say.
pub(super) const TRANSPORTS: &[(&str, Transport)] = &[("tcp", Transport::Tcp), ("udp", Transport::Udp)];

pub(super) const WORDS: Words = Words { known: &["address", "host", "container", "transport"], later: &[] };
const EXPECTED: &str = "\"HOST:CONTAINER\", as in \"5432:5432\", \"127.0.0.1:5432:5432\" or \"[::1]:53:53/udp\"";

/// All ports, in the order of the file.
pub(super) fn read(entry: &Entry<'_>) -> Result<Vec<PublishedPort>, Fault> {
    let mut ports = Vec::new();
    for one in entry.values(MAX_PORTS)? {
        let port = match one.as_section() {
            Some(section) => table(&section)?,
            None if one.as_string().is_none() => {
                return Err(one.wrong(&format!("{EXPECTED}, or a table {{ address, host, container, transport }}")));
            }
            None => one.text(short)?,
        };
        add(&mut ports, port).map_err(|text| one.fault(text))?;
    }
    Ok(ports)
}

fn short(text: &str) -> Result<PublishedPort, String> {
    let bad = || format!("{} is not a port of the host and one of the container; expected {EXPECTED}", quoted(text));
    let (numbers, transport) = match text.split_once('/') {
        Some((numbers, word)) => (numbers, check::word(word, TRANSPORTS)?),
        None => (text, Transport::Tcp),
    };
    let (rest, container) = numbers.rsplit_once(':').ok_or_else(bad)?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => (address_in_brackets(address)?, host),
        None => (DEFAULT_ADDRESS, rest),
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        check::port(digits.then(|| text.parse().ok()).flatten().ok_or_else(bad)?)
    };
    Ok(PublishedPort { address, host: number(host)?, container: number(container)?, transport })
}

/// An address as it stands before a port: that of IPv6 is in brackets.
fn address_in_brackets(text: &str) -> Result<IpAddr, String> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = address(inner.unwrap_or(text))?;
    if address.is_ipv6() == inner.is_some() {
        return Ok(address);
    }
    Err(format!("{} is not an address before a port; only an IPv6 address has brackets, as in \"[::1]\"", quoted(text)))
}

/// An address of the host.
pub(super) fn address(text: &str) -> Result<IpAddr, String> {
    let parsed: IpAddr = text.parse().map_err(|_| {
        format!(
            "{} is not an address of this host; expected one as in \"127.0.0.1\", \"0.0.0.0\" or \"::1\"",
            quoted(text)
        )
    })?;
    if parsed.is_multicast() {
        return Err(format!("{} is not an address of this host: it stands for a group of hosts", quoted(text)));
    }
    Ok(parsed)
}

fn table(section: &Section<'_>) -> Result<PublishedPort, Fault> {
    section.expect(WORDS)?;
    let missing = |key: &str| section.fault(format!("\"{key}\" is missing; expected a port from 1 to 65535"));
    let host = section.read("host", routes::port)?.ok_or_else(|| missing("host"))?;
    let transport = section.read("transport", |entry| entry.text(|text| check::word(text, TRANSPORTS)))?;
    Ok(PublishedPort {
        address: section.read("address", |entry| entry.text(address))?.unwrap_or(DEFAULT_ADDRESS),
        host,
        container: section.read("container", routes::port)?.ok_or_else(|| missing("container"))?,
        transport: transport.unwrap_or(Transport::Tcp),
    })
}

/// Adds a port that the others leave free.
pub(super) fn add(ports: &mut Vec<PublishedPort>, port: PublishedPort) -> Result<(), String> {
    if let Some(other) = ports.iter().find(|other| registry::same_port(other, &port)) {
        return Err(format!("{} is published twice: {} takes it too", show_host(&port), show(other)));
    }
    if ports.len() >= MAX_PORTS {
        return Err(format!("more than {MAX_PORTS} ports"));
    }
    ports.push(port);
    Ok(())
}

/// The side of the host.
fn show_host(port: &PublishedPort) -> String {
    match port.address {
        IpAddr::V4(address) => format!("{address}:{}", port.host),
        IpAddr::V6(address) => format!("[{address}]:{}", port.host),
    }
}

/// The short form, with its address.
pub(super) fn show(port: &PublishedPort) -> String {
    let transport = match port.transport {
        Transport::Tcp => "",
        Transport::Udp => "/udp",
    };
    format!("{}:{}{transport}", show_host(port), port.container)
}
