//! The two sockets of a gateway, and why they cannot be had.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::NAME_PORT;
use crate::holder::{self, HIDDEN, Holder, Transport};

/// Connections that wait to be accepted: as many as are served.
const BACKLOG: i32 = 64;

/// What to do about a program that has the port everywhere.
const REMEDY: &str = "let it listen on its own addresses only";

/// An address that no host has (RFC 5737): only who has the port on all addresses has it there.
const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Who keeps the sockets of an address from their port, if somebody is seen.
fn holder(at: SocketAddrV4) -> Option<String> {
    let seen = [Transport::Udp, Transport::Tcp].map(|transport| holder::of(at.into(), transport));
    let hidden = seen.contains(&Holder::Hidden).then(|| HIDDEN.to_owned());
    let program = |holder| if let Holder::Program(who) = holder { Some(who) } else { None };
    seen.into_iter().find_map(program).or(hidden)
}

/// Who keeps every gateway from the port on which names are asked, and what to do about it; `None` when nobody does.
#[must_use]
pub fn holder_of_the_port() -> Option<String> {
    let who = holder(SocketAddrV4::new(NOBODYS, NAME_PORT))?;
    Some(format!("port {NAME_PORT} of all addresses is taken by {who}; {REMEDY}"))
}

/// Both sockets on which names are asked at one address.
#[derive(Debug)]
pub struct Pair {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections: answers that do not fit into a datagram.
    pub tcp: TcpListener,
}

impl Pair {
    /// Listens at an address that the host need not have yet: the network of a project comes and goes under us.
    ///
    /// # Errors
    /// One line for a person.
    pub fn bind(address: Ipv4Addr, port: u16) -> Result<Self, String> {
        let at = SocketAddrV4::new(address, port);
        let bound = open(at, Type::STREAM, Protocol::TCP).and_then(|tcp| {
            tcp.listen(BACKLOG)?;
            Ok(Self { udp: open(at, Type::DGRAM, Protocol::UDP)?.into(), tcp: tcp.into() })
        });
        bound.map_err(|e| why(at, &e))
    }
}

fn open(at: SocketAddrV4, kind: Type, protocol: Protocol) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
    socket.set_freebind_v4(true)?;
    socket.set_nonblocking(true)?;
    // Not for datagrams: two sockets could then share the port, and one would take the other's questions.
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SocketAddr::V4(at).into())?;
    Ok(socket)
}

fn why(at: SocketAddrV4, error: &std::io::Error) -> String {
    let (address, port) = (at.ip(), at.port());
    let what = format!("names of workloads are not answered on {address}");
    match error.kind() {
        ErrorKind::AddrInUse => {
            let who = holder(at).unwrap_or_else(|| "another program".to_owned());
            format!("{what}: port {port} is taken by {who}; {REMEDY}")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "{what}: the proxy may not listen on port {port}; give it CAP_NET_BIND_SERVICE, or start it as root"
            )
        }
        _ => format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_not_there_yet_is_bound() {
        let pair = Pair::bind(Ipv4Addr::new(192, 0, 2, 1), 0).unwrap();
        assert_eq!(pair.udp.local_addr().unwrap().ip(), Ipv4Addr::new(192, 0, 2, 1));
    }

    #[test]
    fn whoever_has_the_port_is_named() {
        let me = std::process::id().to_string();
        let everywhere = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        let text = Pair::bind(Ipv4Addr::new(127, 0, 0, 77), port).unwrap_err();
        assert!(text.contains(&format!("port {port} is taken by")) && text.contains(&me), "{text}");
        let listener = TcpListener::bind("127.0.0.78:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let text = Pair::bind(Ipv4Addr::new(127, 0, 0, 78), port).unwrap_err();
        assert!(text.contains(&me), "{text}");
    }
}
