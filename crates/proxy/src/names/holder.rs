//! Who has a port: from `/proc`, as far as this process may look.

use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;

/// Tables of sockets, and which of a table's sockets keep others away.
const TABLES: [(&str, Keeps); 4] = [
    ("/proc/net/udp", Keeps::All),
    ("/proc/net/udp6", Keeps::All),
    ("/proc/net/tcp", Keeps::Listening),
    ("/proc/net/tcp6", Keeps::Listening),
];
/// State of a socket that listens, as the tables write it.
const LISTENING: &str = "0A";

/// Which sockets keep others away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    All,
    Listening,
}

/// The program that keeps others from an address and port, as `name (pid N)`; `None` when nobody is seen.
pub(super) fn of(at: SocketAddrV4) -> Option<String> {
    let inodes: Vec<String> = TABLES
        .iter()
        .flat_map(|(table, keeps)| {
            let text = fs::read_to_string(table).unwrap_or_default();
            holders(&text, at, *keeps)
        })
        .collect();
    let hidden = || "a program that cannot be seen from here".to_owned();
    (!inodes.is_empty()).then(|| process(&inodes).unwrap_or_else(hidden))
}

/// Inodes of the sockets in a table that have the port at the address, or at all addresses.
fn holders(table: &str, at: SocketAddrV4, keeps: Keeps) -> Vec<String> {
    let port = format!("{:04X}", at.port());
    let own = format!("{:08X}", u32::from_ne_bytes(at.ip().octets()));
    let everywhere = |address: &str| address.bytes().all(|b| b == b'0');
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, its_port) = fields.get(1)?.split_once(':')?;
        let here = its_port == port && (everywhere(address) || address.ends_with(&own));
        let counts = keeps == Keeps::All || *fields.get(3)? == LISTENING;
        fields.get(9).filter(|_| here && counts).map(|inode| (*inode).to_owned())
    };
    table.lines().skip(1).filter_map(holder).collect()
}

/// The first process that has one of the sockets open.
fn process(inodes: &[String]) -> Option<String> {
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let mut processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes.find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let open = fs::read_dir(process.path().join("fd")).ok()?;
        let has = open.filter_map(Result::ok).any(|fd| {
            let link = fs::read_link(fd.path()).unwrap_or_default();
            sockets.iter().any(|socket| Path::new(socket) == link)
        });
        has.then(|| named(pid, &process.path()))
    })
}

fn named(pid: u32, folder: &Path) -> String {
    let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
    format!("{} (pid {pid})", if name.trim().is_empty() { "a program" } else { name.trim() })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
         1: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0 0\n\
         2: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 2 0 0\n\
         3: 3500007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 2 0 0\n\
         4: 0000000000000000FFFF00003500007F:0035 00:0000 01 0:0 0:0 0 0 0 444 2 0 0\n";

    #[test]
    fn sockets_at_the_address_and_at_all_addresses_are_found() {
        let at = |last| SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 53);
        assert_eq!(holders(TABLE, at(53), Keeps::All), ["111", "222", "444"]);
        assert_eq!(holders(TABLE, at(53), Keeps::Listening), ["222"]);
        assert_eq!(holders(TABLE, at(54), Keeps::All), ["111"]);
    }

    #[test]
    fn a_socket_leads_to_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let std::net::SocketAddr::V4(at) = listener.local_addr().unwrap() else { panic!() };
        let who = of(at).unwrap();
        assert!(who.ends_with(&format!("(pid {})", std::process::id())), "{who}");
        drop(listener);
        assert_eq!(of(at), None);
    }
}
