//! `ports`: `"8080:80"`, `"127.0.0.1:5000-5010:5000-5010/udp"`, or mappings.

use super::Port;
use crate::tree::Node;

/// What `protocol` may say.
const TRANSPORTS: [&str; 3] = ["tcp", "udp", "sctp"];
/// Ports of one entry: a range for media may have thousands, and each costs Docker a process.
const MAX_RANGE: u16 = 10_000;

/// What makes two entries the same one for a merge.
pub(crate) fn identity(node: &Node) -> Option<String> {
    let port = read(node).ok()?;
    Some(format!("{}:{:?}:{:?}/{}", port.address, port.host, port.container, port.transport))
}

/// An entry of `ports`; the error says what is wrong without repeating it.
pub(crate) fn read(node: &Node) -> Result<Port, &'static str> {
    match node.as_str() {
        Some(text) => short(text),
        None => long(node),
    }
}

fn short(text: &str) -> Result<Port, &'static str> {
    let (numbers, transport) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = match numbers.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, numbers),
    };
    let container = range(container)?.ok_or("the port of the container is missing")?;
    let (address, host) = match rest {
        None => ("", None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((address, host)) => (address, range(host)?),
            None => ("", Some(range(rest)?.ok_or("the port of the host is missing; leave the \":\" out to have any")?)),
        },
    };
    finished((address, false), host, container, transport)
}

fn long(node: &Node) -> Result<Port, &'static str> {
    let target = node.text_of("target").ok_or("\"target\", the port of the container, is missing")?;
    let container = range(target)?.ok_or("\"target\", the port of the container, is missing")?;
    let host = node.text_of("published").map_or(Ok(None), range)?;
    let transport = node.text_of("protocol").unwrap_or("tcp");
    finished((node.text_of("host_ip").unwrap_or_default(), true), host, container, transport)
}

fn finished(
    (address, long): (&str, bool),
    host: Option<(u16, u16)>,
    container: (u16, u16),
    transport: &str,
) -> Result<Port, &'static str> {
    let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let brackets = inner.len() != address.len();
    if !inner.is_empty() && !inner.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_ipv6() == brackets || long) {
        return Err("what stands before its ports is not an IP address (one of IPv6 is in brackets)");
    }
    let transport = transport.to_ascii_lowercase();
    if !TRANSPORTS.contains(&transport.as_str()) {
        return Err("its protocol is not tcp, udp or sctp");
    }
    if container.0 == 0 {
        return Err("the port of the container is 0; allowed is 1 to 65535");
    }
    // Port 0 of the host is any.
    let host = host.filter(|host| *host != (0, 0));
    let many = container.1 - container.0;
    if host.is_some_and(|host| many > 0 && host.1 - host.0 != many) {
        return Err("its ranges of ports are not equally long");
    }
    Ok(Port { address: inner.to_owned(), host, container, transport })
}

/// A port or a range of them; nothing for an empty text.
fn range(text: &str) -> Result<Option<(u16, u16)>, &'static str> {
    if text.is_empty() {
        return Ok(None);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse::<u16>().ok())
            .flatten()
            .ok_or("a port is a number from 1 to 65535, or a range of such")
    };
    let (low, high) = (number(low)?, number(high)?);
    if high < low {
        return Err("a range of ports that ends before it begins");
    }
    if high - low >= MAX_RANGE {
        return Err("a range of more than 10000 ports");
    }
    Ok(Some((low, high)))
}

/// Whether two published ports need the same port of the host.
pub(crate) fn clash(a: &Port, b: &Port) -> bool {
    let all = |port: &Port| port.address.is_empty() || matches!(port.address.as_str(), "0.0.0.0" | "::");
    let families = a.address.is_empty() || b.address.is_empty() || a.address.contains(':') == b.address.contains(':');
    let addresses = families && (all(a) || all(b) || a.address == b.address);
    // A range of the host for one port of the container: Docker takes any of them.
    let fixed = |port: &Port| port.host.filter(|host| host.1 - host.0 == port.container.1 - port.container.0);
    let meet = fixed(a).zip(fixed(b)).is_some_and(|(a, b)| a.0 <= b.1 && b.0 <= a.1);
    addresses && meet && a.transport == b.transport
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::At;

    fn of(text: &str) -> Result<Port, &'static str> {
        read(&Node::text(At::default(), text))
    }

    #[test]
    fn short_forms() {
        for (text, address, host, container, transport) in [
            ("80", "", None, (80, 80), "tcp"),
            ("8080:80", "", Some((8080, 8080)), (80, 80), "tcp"),
            ("222:22", "", Some((222, 222)), (22, 22), "tcp"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1", Some((8080, 8080)), (80, 80), "udp"),
            ("127.0.0.1::80", "127.0.0.1", None, (80, 80), "tcp"),
            ("[::1]:53:53/UDP", "::1", Some((53, 53)), (53, 53), "udp"),
            (":80:80", "", Some((80, 80)), (80, 80), "tcp"),
            ("5000-5010:5000-5010", "", Some((5000, 5010)), (5000, 5010), "tcp"),
            ("8000-9000:80", "", Some((8000, 9000)), (80, 80), "tcp"),
            ("0:80", "", None, (80, 80), "tcp"),
        ] {
            let expected = Port { address: address.to_owned(), host, container, transport: transport.to_owned() };
            assert_eq!(of(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            ":80",
            "80:",
            "a:80",
            "80:99999",
            "65536",
            "x:80:80",
            "80/icmp",
            "::1:80:80",
            "[1.2.3.4]:80:80",
            "1-2:1-3",
            "9-1",
            "0",
            "-1",
            "80 ",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_port_twice() {
        let meet = |a: &str, b: &str| clash(&of(a).unwrap(), &of(b).unwrap());
        assert!(meet("80:80", "80:81") && meet("127.0.0.1:80:80", "80:80") && meet("5-9:5-9", "7:7"));
        assert!(!meet("80:80", "80:80/udp") && !meet("80", "80") && !meet("127.0.0.1:80:80", "127.0.0.2:80:80"));
        assert!(!meet("8000-8010:80", "8000-8010:81"));
    }
}
