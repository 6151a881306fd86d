//! Who has a port: from `/proc`, as far as this process may look.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use cutover_events::workload::{PublishedPort, Transport};

/// State of a TCP socket that listens, as the tables write it.
const LISTENING: &str = "0A";
/// Hex digits of one word of an address.
const WORD: usize = 8;

/// The program that has a port, as `name (pid N)`; `None` when nobody is seen.
pub(super) fn holder(port: &PublishedPort) -> Option<String> {
    let tables = match port.transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<String> = texts.iter().flat_map(|text| inodes(text, port)).collect();
    if sockets.is_empty() { None } else { process(&sockets) }
}

/// The sockets of a table that keep others from a port, as links name them.
fn inodes(table: &str, port: &PublishedPort) -> Vec<String> {
    let holds = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, number) = fields.get(1)?.split_once(':')?;
        let address = address_of(address)?;
        let meets = address == port.address || address.is_unspecified() || port.address.is_unspecified();
        let counts = port.transport == Transport::Udp || *fields.get(3)? == LISTENING;
        let here = meets && counts && u16::from_str_radix(number, 16).ok()? == port.host;
        fields.get(9).filter(|_| here).map(|inode| format!("socket:[{inode}]"))
    };
    table.lines().skip(1).filter_map(holds).collect()
}

/// An address as the tables write it: words of 32 bits, each in the byte order of the host.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * WORD..(at + 1) * WORD)?, 16).ok()?.to_ne_bytes());
    if hex.len() == WORD {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical())
}

/// The first process that has one of the sockets open.
fn process(sockets: &[String]) -> Option<String> {
    let mut processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let open = fs::read_dir(process.path().join("fd")).ok()?;
        let has = open.filter_map(Result::ok).any(|fd| {
            let link = fs::read_link(fd.path()).unwrap_or_default();
            sockets.iter().any(|socket| Path::new(socket) == link)
        });
        has.then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("{} (pid {pid})", if name.trim().is_empty() { "a program" } else { name.trim() })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
         0: 00000000:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n\
         1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1\n\
         2: 0100007F:1539 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n\
         3: 0100007F:1538 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 444 1\n\
         4: 00000000000000000000000001000000:1538 0:0000 0A 0:0 0:0 0 0 0 555 1\n\
         5: 0000000000000000FFFF00000100007F:1538 0:0000 0A 0:0 0:0 0 0 0 666 1\n";

    #[test]
    fn a_table_says_which_sockets_are_in_the_way() {
        let found = |address: &str, transport| {
            let port = PublishedPort { address: address.parse().unwrap(), host: 5432, container: 1, transport };
            inodes(TABLE, &port).join(" ").replace("socket:", "")
        };
        assert_eq!(found("127.0.0.1", Transport::Tcp), "[111] [222] [666]");
        assert_eq!(found("127.0.0.2", Transport::Tcp), "[111]");
        assert_eq!(found("::1", Transport::Tcp), "[111] [555]");
        assert_eq!(found("0.0.0.0", Transport::Tcp), "[111] [222] [555] [666]");
        assert_eq!(found("127.0.0.1", Transport::Udp), "[111] [222] [444] [666]");
    }
}
