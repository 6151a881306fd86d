//! What the parent passes to its child: the configuration as text, the lock and the listening sockets as descriptors.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use crate::config::Config;

/// Descriptors passed at once; the kernel takes no more.
const MAX_DESCRIPTORS: usize = 253;
/// Bytes of a configuration; a hostile parent does not exist, a wrong one might.
const MAX_CONFIG: u64 = 1024 * 1024;

/// Sends everything and ends the sending.
pub(super) fn send(to: &UnixStream, config: &Config, descriptors: &[BorrowedFd<'_>]) -> std::io::Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(std::io::Error::other(format!("more than {MAX_DESCRIPTORS} listening sockets")));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(std::io::Error::other("the descriptors do not fit"));
    }
    rustix::net::sendmsg(to, &[IoSlice::new(b"1")], &mut control, SendFlags::empty())?;
    let mut to = to;
    to.write_all(&serde_json::to_vec(config)?)?;
    to.shutdown(Shutdown::Write)
}

/// Receives everything.
pub(super) fn receive(from: OwnedFd) -> std::io::Result<(Config, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut mark = [0];
    rustix::net::recvmsg(from.as_fd(), &mut [IoSliceMut::new(&mut mark)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    let mut text = Vec::new();
    UnixStream::from(from).take(MAX_CONFIG).read_to_end(&mut text)?;
    Ok((serde_json::from_slice(&text)?, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_settings_arrive() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &Config::default(), &[listener.as_fd()]).unwrap();
        let (config, mut descriptors) = receive(theirs.into()).unwrap();
        assert_eq!(config, Config::default());
        let copy = std::net::TcpListener::from(descriptors.remove(0));
        assert_eq!(copy.local_addr().unwrap(), listener.local_addr().unwrap());
        assert!(descriptors.is_empty());
    }
}
