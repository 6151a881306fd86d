//! What the data plane is told at its start, and its limits.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bytes of one request head, and the size of hyper's read buffer: cookies and tokens of real browsers stay below
/// 32 KiB, and 10,000 connections of hostile size stay below 640 MiB.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Header fields of one request; hyper's own limit, which needs no allocation (431 beyond it).
pub const MAX_HEADER_FIELDS: usize = 100;
/// Time in which a request head must be complete, and a new connection must have sent one (slow loris), s.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a kept-alive connection may be silent between requests, s; nginx's value, above those of load balancers
/// (60 s), so that they close first.
pub const CLIENT_IDLE: Duration = Duration::from_secs(75);
/// How long a client may send nothing of a body that it announced, or take nothing of an answer, s.
pub const CLIENT_STALL: Duration = Duration::from_secs(60);
/// Open client connections; more wait in the backlog. Two descriptors each stay below the usual hard limit.
pub const MAX_CONNECTIONS: usize = 10_000;
/// Streams that one HTTP/2 connection may have open; the default of nginx.
pub const MAX_STREAMS: u32 = 128;
/// How long a connection to a target may take to open, s: they are on this host.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long an idle upstream connection is used again, s: Node and uvicorn close theirs after 5.
pub const POOL_IDLE: Duration = Duration::from_secs(4);
/// Idle upstream connections kept per target: more than two busy workers need, below an origin's usual limit.
pub const POOL_PER_TARGET: usize = 256;
/// Attempts at one request in all: the first, and two more under the retry rules.
pub const MAX_ATTEMPTS: u32 = 3;
/// How long a target that refused a connection is passed over while others serve, ms.
pub const SHUN_MS: u64 = 1_000;
/// How long a request waits for a first target, s: a recreate of a usual container takes less.
pub const HOLD_FOR: Duration = Duration::from_secs(10);
/// Requests held at once over all workloads: each costs about 4 KiB.
pub const MAX_HELD: usize = 1_024;
/// What `Retry-After` says, s.
pub const RETRY_AFTER: u32 = 5;
/// How long an answer's head may take before 504, s; long polls stay below it.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a hook is held while the engine is away, s: GitHub gives up after 10.
pub const HOOK_HOLD: Duration = Duration::from_secs(8);
/// Pause between two attempts to reach the engine, ms.
pub const HOOK_RETRY: Duration = Duration::from_millis(50);
/// Body of one hook: GitHub's own limit, 25 MiB, and a little.
pub const MAX_HOOK_BODY: usize = 26 * 1024 * 1024;
/// Bodies of all hooks that are held, in KiB: 64 MiB.
pub const HOOK_MEMORY_KIB: usize = 64 * 1024;
/// Hooks on their way to the engine at once.
pub const MAX_HOOKS: usize = 256;
/// How long what is open may go on when the process is told to stop, s.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// Body of one administrative call: a table entry is below 64 KiB.
pub const MAX_ADMIN_BODY: usize = 1024 * 1024;
/// Access log lines not yet written, bytes; beyond it lines are dropped and counted.
pub const MAX_LOG_BACKLOG: usize = 1024 * 1024;

/// How long the answer to a name may be used, s: the shortest that every cache understands.
pub const NAME_TTL: u32 = 1;
/// How long after its last answer an address that left the table is kept serving, ms: the time to live, and as much
/// again for a connection that is being opened.
pub const NAME_LINGER_MS: u64 = 2_000;
/// Where names are asked, here and on the host's resolvers.
pub const NAME_PORT: u16 = 53;
/// Bytes of one query, and of an answer by datagram: what resolvers announce at most.
pub const MAX_NAME_MESSAGE: usize = 4_096;
/// Addresses in one answer: with the longest name they fit the 512 bytes that every resolver takes; the others get
/// their turn.
pub const MAX_NAME_ANSWERS: usize = 12;
/// Queries on their way to the host's resolvers at once: each costs a descriptor and about 5 KiB.
pub const MAX_NAME_FORWARDS: usize = 256;
/// Connections that ask for names at once, over all gateways.
pub const MAX_NAME_CONNECTIONS: usize = 64;
/// How long one of the host's resolvers may take, s.
pub const NAME_TRY: Duration = Duration::from_secs(2);
/// How long all of them together may take, ms: Docker's resolver waits for 4 s.
pub const NAME_FORWARD: Duration = Duration::from_millis(3_500);
/// How long a connection that asks for names may be silent, s.
pub const NAME_IDLE: Duration = Duration::from_secs(10);
/// Pause between two attempts to listen on a gateway, s.
pub const NAME_RETRY: Duration = Duration::from_secs(2);
/// How long the list of the host's resolvers is used before it is read again, s.
pub const RESOLVERS_FOR: Duration = Duration::from_secs(5);

/// How the data plane is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder `proxy/` of the data folder; made when missing.
    pub folder: PathBuf,
    /// Where traffic is accepted; not used under socket activation.
    pub listen: Vec<SocketAddr>,
    /// The host on which `/hooks/` goes to the engine; `None`: every host that no workload routes.
    pub hooks_host: Option<String>,
    /// The socket of the engine that takes hooks.
    pub hooks_socket: PathBuf,
    /// Whose `X-Forwarded-*` and `Forwarded` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Where the access log goes.
    pub access_log: AccessLog,
    /// Largest request body, bytes; `None`: any.
    pub max_body: Option<u64>,
    /// How long the head of an answer may take, ms.
    pub answer_timeout_ms: u64,
    /// How long a request waits for a first target, ms.
    pub hold_ms: u64,
    /// Open client connections.
    pub max_connections: usize,
    /// Time for a request head, ms.
    pub head_timeout_ms: u64,
    /// Silence between two requests of a connection, ms.
    pub client_idle_ms: u64,
    /// Silence inside a body, ms.
    pub client_stall_ms: u64,
    /// Port on which names are asked, here and on the host's resolvers.
    pub name_port: u16,
    /// The file that names the host's resolvers.
    pub resolvers: PathBuf,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output, one JSON object a line.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("proxy"),
            listen: vec![SocketAddr::from(([0, 0, 0, 0], 80))],
            hooks_host: None,
            hooks_socket: PathBuf::from("hooks.sock"),
            trusted_proxies: Vec::new(),
            access_log: AccessLog::Stdout,
            max_body: None,
            answer_timeout_ms: millis(ANSWER_TIMEOUT),
            hold_ms: millis(HOLD_FOR),
            max_connections: MAX_CONNECTIONS,
            head_timeout_ms: millis(HEAD_TIMEOUT),
            client_idle_ms: millis(CLIENT_IDLE),
            client_stall_ms: millis(CLIENT_STALL),
            name_port: NAME_PORT,
            resolvers: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

impl Config {
    /// Whether a peer's forwarding headers are believed.
    #[must_use]
    pub fn trust(&self, peer: IpAddr) -> Trust {
        let listed = self.trusted_proxies.iter().any(|network| network.contains(peer));
        if listed { Trust::Listed } else { Trust::Stranger }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whose word on where a request came from counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anybody: what it says is replaced.
    Stranger,
    /// A listed proxy: what it says is kept, and our peer added.
    Listed,
}

/// Addresses with a common prefix, written `10.0.0.0/8` or as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of that many leading bits that the address is in.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Self {
        Self { address, bits }
    }

    /// Whether the address is in it. An IPv4 address in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address.to_canonical(), peer.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(peer)) => same(u32::from(net).into(), u32::from(peer).into(), 32, self.bits),
            (IpAddr::V6(net), IpAddr::V6(peer)) => same(net.into(), peer.into(), 128, self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn same(a: u128, b: u128, width: u32, bits: u8) -> bool {
    let shift = width.saturating_sub(u32::from(bits));
    shift >= width || (a ^ b) >> shift == 0
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network: write an address or ADDRESS/BITS, as 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| wrong())?;
        if bits > width { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let net = Network::try_from("10.1.0.0/16".to_owned()).unwrap();
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.0.9".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(Network::try_from("10.0.0.0/33".to_owned()).is_err());
        assert!(Network::try_from("0.0.0.0/0".to_owned()).unwrap().contains("9.9.9.9".parse().unwrap()));
        assert!(Network::try_from("::1".to_owned()).unwrap().contains("::1".parse().unwrap()));
    }
}
