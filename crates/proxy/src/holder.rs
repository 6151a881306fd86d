//! Who has a port: from `/proc`, as far as this process may look.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// State of a TCP socket that listens, as the tables write it.
const LISTENING: &str = "0A";
/// Hex digits of one word of an address.
const WORD: usize = 8;

/// What is spoken on a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// TCP: only a socket that listens keeps others away.
    Tcp,
    /// UDP: any socket does.
    Udp,
}

/// Who keeps others from a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// Nobody is seen.
    Nobody,
    /// Somebody whose files this process may not look at.
    Hidden,
    /// This program, as `name (pid N)`.
    Program(String),
}

/// What is said of a program that this process may not look at.
pub const HIDDEN: &str = "a program that cannot be seen from here";

/// Who keeps others from an address and port.
#[must_use]
pub fn of(at: SocketAddr, transport: Transport) -> Holder {
    let tables = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let sockets: Vec<String> = texts.iter().flat_map(|text| sockets(text, at, transport)).collect();
    if sockets.is_empty() { Holder::Nobody } else { process(&sockets).map_or(Holder::Hidden, Holder::Program) }
}

/// The sockets of a table that keep others away, as links name them.
fn sockets(table: &str, at: SocketAddr, transport: Transport) -> Vec<String> {
    let holds = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, number) = fields.get(1)?.split_once(':')?;
        let address = address_of(address)?;
        let meets = address == at.ip() || address.is_unspecified() || at.ip().is_unspecified();
        let counts = transport == Transport::Udp || *fields.get(3)? == LISTENING;
        let here = meets && counts && u16::from_str_radix(number, 16).ok()? == at.port();
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
         5: 0000000000000000FFFF00000100007F:1538 0:0000 0A 0:0 0:0 0 0 0 666 1\n\
         6: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 711 2 0 0\n\
         7: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 722 2 0 0\n\
         8: 3500007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 733 2 0 0\n\
         9: 0000000000000000FFFF00003500007F:0035 00:0000 01 0:0 0:0 0 0 0 744 2 0 0\n";

    #[test]
    fn a_table_says_which_sockets_are_in_the_way() {
        let found =
            |at: &str, transport| sockets(TABLE, at.parse().unwrap(), transport).join(" ").replace("socket:", "");
        assert_eq!(found("127.0.0.1:5432", Transport::Tcp), "[111] [222] [666]");
        assert_eq!(found("127.0.0.2:5432", Transport::Tcp), "[111]");
        assert_eq!(found("[::1]:5432", Transport::Tcp), "[111] [555]");
        assert_eq!(found("0.0.0.0:5432", Transport::Tcp), "[111] [222] [555] [666]");
        assert_eq!(found("127.0.0.1:5432", Transport::Udp), "[111] [222] [444] [666]");
        assert_eq!(found("127.0.0.53:53", Transport::Udp), "[711] [722] [744]");
        assert_eq!(found("127.0.0.53:53", Transport::Tcp), "[722]");
        assert_eq!(found("127.0.0.54:53", Transport::Udp), "[711]");
    }

    #[test]
    fn a_socket_leads_to_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let Holder::Program(who) = of(at, Transport::Tcp) else { panic!("nobody is seen") };
        assert!(who.ends_with(&format!("(pid {})", std::process::id())), "{who}");
        drop(listener);
        assert_eq!(of(at, Transport::Tcp), Holder::Nobody);
    }
}
