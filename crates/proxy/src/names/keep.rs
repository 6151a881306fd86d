//! The sockets of the gateways outlive the process that serves them: its parent holds a copy of each, and passes them
//! to the successor. Meanwhile questions wait in the socket, as connections wait in the backlog.
//!
//! One message is five bytes, what to do and the gateway, with both descriptors where they are to be kept.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use socket2::{Socket, Type};

use super::sockets::Pair;

/// A pair is kept from here on.
const KEEP: u8 = b'k';
/// A pair is closed.
const FORGET: u8 = b'f';
/// Bytes of a message.
const MESSAGE: usize = 5;
/// Gateways that are kept at most: their pairs, the lock and the listening sockets are passed on at once, and the
/// kernel takes 253 descriptors. What is beyond is opened anew by the successor.
const MAX_KEPT: usize = 96;

/// What keeps the sockets of the gateways: the parent, at the other end of a socket, or nobody.
#[derive(Debug)]
pub struct Keeper(Option<OwnedFd>);

impl Keeper {
    /// The parent that listens at the other end.
    #[must_use]
    pub fn parent(socket: OwnedFd) -> Self {
        Self(Some(socket))
    }

    /// Nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    pub(super) fn keep(&self, gateway: Ipv4Addr, pair: &Pair) {
        self.tell(KEEP, gateway, &[pair.udp.as_fd(), pair.tcp.as_fd()]);
    }

    pub(super) fn forget(&self, gateway: Ipv4Addr) {
        self.tell(FORGET, gateway, &[]);
    }

    fn tell(&self, what: u8, gateway: Ipv4Addr, descriptors: &[BorrowedFd<'_>]) {
        let Some(parent) = &self.0 else { return };
        let [a, b, c, d] = gateway.octets();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return;
        }
        let message = [what, a, b, c, d];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        if let Err(e) = rustix::net::sendmsg(parent, &[IoSlice::new(&message)], &mut control, flags) {
            // Without a parent nothing outlives us, and nothing else changes.
            tracing::debug!(%gateway, error = %e, "the parent does not keep the sockets of a gateway");
        }
    }
}

/// The pairs that a parent holds.
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<Ipv4Addr, [OwnedFd; 2]>);

impl Kept {
    /// Takes one message of the child, without waiting for one.
    ///
    /// # Errors
    /// [`std::io::ErrorKind::WouldBlock`] when there is none, another kind when there will be none any more.
    pub fn take(&mut self, child: impl AsFd) -> std::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut message = [0; MESSAGE];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let read = rustix::net::recvmsg(child, &mut [IoSliceMut::new(&mut message)], &mut control, flags)?;
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                descriptors.extend(received);
            }
        }
        if read.bytes != MESSAGE {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let [what, a, b, c, d] = message;
        self.note(what, Ipv4Addr::new(a, b, c, d), descriptors);
        Ok(())
    }

    fn note(&mut self, what: u8, gateway: Ipv4Addr, descriptors: Vec<OwnedFd>) {
        match (what, <[OwnedFd; 2]>::try_from(descriptors)) {
            (KEEP, Ok(pair)) if self.0.len() < MAX_KEPT || self.0.contains_key(&gateway) => {
                self.0.insert(gateway, pair);
            }
            (FORGET, _) => {
                self.0.remove(&gateway);
            }
            _ => tracing::debug!(%gateway, "the sockets of a gateway are not kept"),
        }
    }

    /// Every descriptor, for the successor.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().flatten().map(AsFd::as_fd)
    }
}

/// Tells the sockets of gateways from those that take traffic: a gateway has one of each kind at the same address.
#[must_use]
pub fn sort(descriptors: Vec<OwnedFd>) -> (Vec<OwnedFd>, BTreeMap<Ipv4Addr, Pair>) {
    let sockets: Vec<Socket> = descriptors.into_iter().map(Socket::from).collect();
    let (datagrams, mut streams): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|socket| socket.r#type().is_ok_and(|kind| kind == Type::DGRAM));
    let mut pairs = BTreeMap::new();
    for udp in datagrams {
        let Some(at) = udp.local_addr().ok().and_then(|at| at.as_socket()) else { continue };
        let same = |other: &Socket| other.local_addr().ok().and_then(|other| other.as_socket()) == Some(at);
        let (IpAddr::V4(gateway), Some(place)) = (at.ip(), streams.iter().position(same)) else { continue };
        let tcp = TcpListener::from(streams.swap_remove(place));
        pairs.insert(gateway, Pair { udp: UdpSocket::from(udp), tcp });
    }
    (streams.into_iter().map(OwnedFd::from).collect(), pairs)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_a_child_has_opened_goes_to_its_successor() {
        let (parent, child) = UnixStream::pair().unwrap();
        let keeper = Keeper::parent(child.into());
        let gateways = [Ipv4Addr::new(127, 0, 0, 91), Ipv4Addr::new(127, 0, 0, 92)];
        let port = std::net::UdpSocket::bind("127.0.0.91:0").unwrap().local_addr().unwrap().port();
        for gateway in gateways {
            keeper.keep(gateway, &Pair::bind(gateway, port).unwrap());
        }
        keeper.forget(gateways[1]);
        let mut kept = Kept::default();
        for _ in 0..3 {
            kept.take(&parent).unwrap();
        }
        assert_eq!(kept.take(&parent).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(keeper);
        assert_eq!(kept.take(&parent).unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        let traffic = TcpListener::bind("127.0.0.1:0").unwrap();
        let passed = std::iter::once(traffic.as_fd()).chain(kept.descriptors());
        let passed = passed.map(|fd| fd.try_clone_to_owned().unwrap()).collect();
        let (listeners, mut pairs) = sort(passed);
        assert_eq!((listeners.len(), pairs.len()), (1, 1));
        let pair = pairs.remove(&gateways[0]).unwrap();
        assert_eq!(pair.udp.local_addr().unwrap(), pair.tcp.local_addr().unwrap());
        assert!(Pair::bind(gateways[0], port).is_err(), "it was never let go of");
        assert!(Pair::bind(gateways[1], port).is_ok());
    }
}
