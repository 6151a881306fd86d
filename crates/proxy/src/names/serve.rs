//! Questions by datagram and by connection, each within its limits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::NameServer;
use super::answer::{self, Asked};
use super::sockets::Pair;
use super::upstream::{Outcome, Way, framed};
use crate::config::{MAX_NAME_MESSAGE, NAME_IDLE};

/// Pause after a failed receive or accept, ms: out of memory or descriptors, which ends only when something closes.
const PAUSE: Duration = Duration::from_millis(50);

/// What is to be done with a question.
enum Step {
    Say(Vec<u8>),
    PassOn(Box<Asked>),
    Nothing,
}

impl NameServer {
    /// Serves both sockets of a gateway until the token is cancelled.
    pub(super) fn serve(self: &Arc<Self>, gateway: Ipv4Addr, pair: Pair) -> io::Result<CancellationToken> {
        pair.udp.set_nonblocking(true)?;
        pair.tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(pair.udp)?, TcpListener::from_std(pair.tcp)?);
        let served = self.stop.child_token();
        let datagrams = Arc::clone(self).datagrams(gateway, Arc::new(udp));
        let connections = Arc::clone(self).connections(gateway, tcp);
        self.tasks.spawn(served.clone().run_until_cancelled_owned(datagrams));
        self.tasks.spawn(served.clone().run_until_cancelled_owned(connections));
        Ok(served)
    }

    async fn datagrams(self: Arc<Self>, gateway: Ipv4Addr, socket: Arc<UdpSocket>) {
        let mut buffer = vec![0; MAX_NAME_MESSAGE];
        loop {
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let query = &buffer[..length];
            match self.step(gateway, peer.ip(), query) {
                Step::Say(reply) => send(&socket, &reply, peer).await,
                Step::PassOn(asked) => self.pass_on_beside(asked, query.to_vec(), (Arc::clone(&socket), peer)).await,
                Step::Nothing => {}
            }
        }
    }

    /// Beside the loop, which goes on with the next question.
    async fn pass_on_beside(self: &Arc<Self>, asked: Box<Asked>, query: Vec<u8>, to: (Arc<UdpSocket>, SocketAddr)) {
        let (socket, peer) = to;
        let Some(place) = self.upstream.place() else {
            self.figures.names_failed.fetch_add(1, Ordering::Relaxed);
            if let Some(reply) = asked.failed() {
                send(&socket, &reply, peer).await;
            }
            return;
        };
        let server = Arc::clone(self);
        let passing = async move {
            if let Some(reply) = server.pass_on(&asked, &query, Way::Datagram).await {
                send(&socket, &reply, peer).await;
            }
            drop(place);
        };
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(passing));
    }

    async fn connections(self: Arc<Self>, gateway: Ipv4Addr, listener: TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    self.tasks.spawn(Arc::clone(&self).attend(gateway, (stream, peer), place));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn attend(self: Arc<Self>, gateway: Ipv4Addr, from: (TcpStream, SocketAddr), place: OwnedSemaphorePermit) {
        let (stream, peer) = from;
        if let Err(e) = self.connection(gateway, stream, peer.ip()).await {
            tracing::debug!(%peer, error = %e, "a connection that asked for names ended");
        }
        drop(place);
    }

    async fn connection(&self, gateway: Ipv4Addr, mut stream: TcpStream, peer: IpAddr) -> io::Result<()> {
        loop {
            let query = timeout(NAME_IDLE, receive(&mut stream)).await??;
            let reply = match self.step(gateway, peer, &query) {
                Step::Say(reply) => Some(reply),
                Step::PassOn(asked) => match self.upstream.place() {
                    Some(_place) => self.pass_on(&asked, &query, Way::Connection).await,
                    None => asked.failed(),
                },
                Step::Nothing => None,
            };
            let Some(reply) = reply else { return Ok(()) };
            timeout(NAME_IDLE, stream.write_all(&framed(&reply))).await??;
        }
    }

    fn step(&self, gateway: Ipv4Addr, peer: IpAddr, query: &[u8]) -> Step {
        if !self.switchboard.load().names.may_ask(gateway, peer) {
            self.figures.names_refused.fetch_add(1, Ordering::Relaxed);
            return Step::Nothing;
        }
        let asked = match answer::read(query) {
            Ok(asked) => asked,
            Err(reply) => return reply.map_or(Step::Nothing, Step::Say),
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match asked.name().and_then(|name| self.addresses(gateway, &name, turn)) {
            Some(addresses) => {
                self.figures.names_answered.fetch_add(1, Ordering::Relaxed);
                asked.answer(&addresses).map_or(Step::Nothing, Step::Say)
            }
            None => Step::PassOn(Box::new(asked)),
        }
    }

    async fn pass_on(&self, asked: &Asked, query: &[u8], way: Way) -> Option<Vec<u8>> {
        self.figures.names_forwarded.fetch_add(1, Ordering::Relaxed);
        match self.upstream.ask(query, way, |address| self.is_ours(address)).await {
            Outcome::Reply(reply) => Some(reply),
            Outcome::NobodyToAsk => asked.nobody_to_ask(),
            Outcome::Failed => {
                self.figures.names_failed.fetch_add(1, Ordering::Relaxed);
                asked.failed()
            }
        }
    }
}

/// A datagram that cannot be sent is one that got lost: who asked asks again.
async fn send(socket: &UdpSocket, reply: &[u8], peer: SocketAddr) {
    if let Err(e) = socket.send_to(reply, peer).await {
        tracing::debug!(%peer, error = %e, "an answer to a name could not be sent");
    }
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length > MAX_NAME_MESSAGE {
        return Err(io::Error::other("the question is too long"));
    }
    let mut query = vec![0; length];
    stream.read_exact(&mut query).await?;
    Ok(query)
}
