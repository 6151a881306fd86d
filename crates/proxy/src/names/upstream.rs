//! Names that are not ours: the host's resolvers are asked, bytes pass as they are.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::answer::belongs;
use crate::config::{Config, MAX_NAME_FORWARDS, MAX_NAME_MESSAGE, NAME_FORWARD, NAME_TRY, RESOLVERS_FOR};

/// As many as a resolver of libc reads.
const MAX_RESOLVERS: usize = 3;
/// Longest file of resolvers that is read, bytes.
const MAX_FILE: u64 = 64 * 1024;

/// How a query came, and is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Datagram,
    Connection,
}

/// What became of a query that was passed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reply(Vec<u8>),
    NobodyToAsk,
    Failed,
}

/// The host's resolvers.
#[derive(Debug)]
pub(super) struct Upstream {
    file: PathBuf,
    port: u16,
    known: Mutex<Option<(Instant, Arc<[IpAddr]>)>>,
    /// Which of them answered last: it is asked first.
    first: AtomicUsize,
    places: Arc<Semaphore>,
}

impl Upstream {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            file: config.resolvers.clone(),
            port: config.name_port,
            known: Mutex::new(None),
            first: AtomicUsize::new(0),
            places: Arc::new(Semaphore::new(MAX_NAME_FORWARDS)),
        }
    }

    /// A place for one query, when there is one.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Asks one resolver after the other, but none of those that are `ours`.
    pub(super) async fn ask(&self, query: &[u8], way: Way, ours: impl Fn(IpAddr) -> bool) -> Outcome {
        let all = self.resolvers();
        let others: Vec<IpAddr> = all.iter().copied().filter(|resolver| !ours(*resolver)).collect();
        if others.is_empty() {
            return Outcome::NobodyToAsk;
        }
        let asking = self.ask_in_turn(&others, query, way);
        match timeout(NAME_FORWARD, asking).await {
            Ok(Some(reply)) => Outcome::Reply(reply),
            Ok(None) | Err(_) => Outcome::Failed,
        }
    }

    async fn ask_in_turn(&self, resolvers: &[IpAddr], query: &[u8], way: Way) -> Option<Vec<u8>> {
        let first = self.first.load(Ordering::Relaxed);
        for turn in 0..resolvers.len() {
            let at = (first + turn) % resolvers.len();
            let resolver = SocketAddr::new(resolvers[at], self.port);
            match timeout(NAME_TRY, exchange(resolver, query, way)).await {
                Ok(Ok(reply)) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Some(reply);
                }
                Ok(Err(e)) => tracing::debug!(%resolver, error = %e, "a resolver of the host cannot be asked"),
                Err(_) => tracing::debug!(%resolver, "a resolver of the host does not answer in time"),
            }
        }
        None
    }

    /// Read again after a while: networks change under a running host.
    fn resolvers(&self) -> Arc<[IpAddr]> {
        let mut known = self.known.lock();
        match &*known {
            Some((at, resolvers)) if at.elapsed() < RESOLVERS_FOR => Arc::clone(resolvers),
            _ => {
                let found: Arc<[IpAddr]> = parse(&read(&self.file)).into();
                *known = Some((Instant::now(), Arc::clone(&found)));
                found
            }
        }
    }
}

fn read(file: &std::path::Path) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    if let Err(e) = read {
        tracing::debug!(file = %file.display(), error = %e, "the host names no resolvers");
    }
    text
}

/// The addresses in the text of a `resolv.conf`. One with a zone is left out: it holds on one link only.
fn parse(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(address).take(MAX_RESOLVERS).collect()
}

async fn exchange(resolver: SocketAddr, query: &[u8], way: Way) -> std::io::Result<Vec<u8>> {
    match way {
        Way::Datagram => datagram(resolver, query).await,
        Way::Connection => connection(resolver, query).await,
    }
}

async fn datagram(resolver: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let own: SocketAddr = if resolver.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(resolver).await?;
    socket.send(query).await?;
    // One byte more: what fills it was cut off.
    let mut reply = vec![0; MAX_NAME_MESSAGE + 1];
    loop {
        let length = socket.recv(&mut reply).await?;
        if length <= MAX_NAME_MESSAGE && belongs(query, &reply[..length]) {
            reply.truncate(length);
            return Ok(reply);
        }
    }
}

async fn connection(resolver: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    stream.write_all(&framed(query)).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    if belongs(query, &reply) { Ok(reply) } else { Err(std::io::Error::other("the answer is to another question")) }
}

/// A message as it goes over a connection: its length first. Longer ones than that can say do not exist.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_libc_reads_them() {
        let text = "# nameserver 9.9.9.9\nsearch example.com\nnameserver 10.0.0.1\nnameserver\tfd00::1 # here\n\
                    nameserver fe80::1%eth0\nnameserver nowhere\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1", "fd00::1", "10.0.0.2"]);
        assert!(parse("").is_empty());
    }
}
