//! The contract between engine and proxy: JSON over a unix socket. Ids are text here, the proxy gives them no meaning.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /v1/table` | | [`Table`] |
//! | `PUT /v1/routes` | [`Put`] | 204, or 409 with [`PutRefused`] |
//! | `PUT /v1/fence` | [`Fence`] | 204, or 409 with [`PutRefused`] |
//! | `GET /v1/metrics` | | Prometheus text |

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Replaces the entry of one workload as a whole. The table is on disk before the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Whose entry.
    pub workload: String,
    /// `project/name`, for pages, access log and metrics.
    pub name: String,
    /// Whose table this is: the first write claims the table, a write of another log is refused.
    pub log: String,
    /// Refused when not above the entry's own.
    pub generation: u64,
    /// Must be the serving process's own: a write meant for an earlier one is refused.
    pub router_boot: String,
    /// Position of the writer's EngineStarted; lower than the highest seen is refused.
    pub writer_epoch: u64,
    /// Position and chain value of the log, kept as a witness.
    pub witness: Witness,
    /// Hosts and paths; another workload's are refused. Empty: a tombstone, traffic gets 404.
    pub routes: Vec<Route>,
    /// What serves; empty: requests are held, then 503.
    pub targets: Vec<Target>,
    /// Releases from before, the newest first: a file that a release folder does not have is answered from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<Former>,
    /// Asked of each new target inside the switch; a target that fails refuses the whole write. A release folder passes
    /// when its manifest is there and reads, whatever stands here.
    pub probe: Option<Probe>,
    /// What the other workloads of its project find the targets by; `None`: nothing.
    #[serde(default)]
    pub names: Option<Names>,
    /// Times.
    pub policy: RoutePolicy,
}

/// By what a workload is found on the network of its project, and where that is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The host's address on that network: the names are answered there and nowhere else.
    pub gateway: Ipv4Addr,
    /// Bits of the network's prefix: only what is on the network is answered.
    pub prefix: u8,
    /// Lower case, without a dot at the end. Another workload's on the same gateway are refused.
    pub names: Vec<String>,
}

/// A position of the log and the chain value there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, Default)]
pub struct Witness {
    /// Position.
    pub position: u64,
    /// Hex.
    pub chain: String,
}

/// One way in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Lower case, without port; `*.example.com` matches one label.
    pub host: String,
    /// Prefix by whole segments, begins with `/`.
    pub path: String,
    /// Port on the target; a release folder has none, 0 then.
    pub port: u16,
    /// Whether the prefix is cut off.
    pub strip: bool,
    /// Where on the target, when that is not at its own address: one of several services of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Something that serves: `{"unit": …, "address": …}` or `{"unit": …, "folder": …}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "TargetText", into = "TargetText")]
pub struct Target {
    /// The unit: its identity over writes. The same unit keeps its pool and its count.
    pub unit: String,
    /// Where it is.
    pub place: Place,
}

/// Where a target is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// At an address; the port is the route's.
    Address(IpAddr),
    /// In a release folder, named from the root, which the proxy serves by itself.
    Folder(PathBuf),
}

impl Place {
    /// The address, when it has one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Folder(_) => None,
        }
    }
}

/// As it is written: exactly one of the two.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetText {
    unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
}

impl TryFrom<TargetText> for Target {
    type Error = &'static str;

    fn try_from(text: TargetText) -> Result<Self, Self::Error> {
        let place = match (text.address, text.folder) {
            (Some(address), None) => Place::Address(address),
            (None, Some(folder)) => Place::Folder(folder),
            (None, None) | (Some(_), Some(_)) => return Err("a target has either an address or a folder"),
        };
        Ok(Self { unit: text.unit, place })
    }
}

impl From<Target> for TargetText {
    fn from(target: Target) -> Self {
        let (address, folder) = match target.place {
            Place::Address(address) => (Some(address), None),
            Place::Folder(folder) => (None, Some(folder)),
        };
        Self { unit: target.unit, address, folder }
    }
}

/// A release from before whose files are still asked for, by pages that are open in browsers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    /// Its folder, named from the root. One that cannot be read is passed over.
    pub folder: PathBuf,
    /// How long from this write on, ms; a proxy that was started again counts again.
    pub for_ms: u64,
}

/// How a target is probed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// On the target.
    pub port: u16,
    /// Begins with `/`; `None`: a connection is enough.
    pub path: Option<String>,
    /// `Host` header; empty: the address.
    pub host: String,
    /// Lowest status that passes.
    pub low: u16,
    /// Highest status that passes.
    pub high: u16,
    /// For one probe, ms.
    pub timeout_ms: u64,
}

/// Times of an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePolicy {
    /// How long requests to former targets may go on; past it they are cut and counted.
    pub drain_ms: u64,
    /// Whether a client that closed its write side still gets its answer.
    #[serde(default)]
    pub half_close: bool,
}

/// Raises the generation of an entry and changes nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fence {
    /// Whose entry.
    pub workload: String,
    /// Whose table.
    pub log: String,
    /// Refused when not above the entry's own.
    pub generation: u64,
    /// As in [`Put`].
    pub router_boot: String,
    /// As in [`Put`].
    pub writer_epoch: u64,
}

/// Why a write was refused. `code` is stable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct PutRefused {
    /// Which rule refused it.
    pub code: RefusedCode,
    /// One line for a person.
    pub text: String,
}

/// Which rule refused a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedCode {
    /// Not above the entry's own generation.
    Generation,
    /// Meant for an earlier serving process.
    RouterBoot,
    /// By a writer that is no longer the current one.
    WriterEpoch,
    /// By an engine with another log.
    OtherLog,
    /// A host and path belong to another workload.
    Claimed,
    /// A target did not pass the probe.
    Probe,
    /// The table could not be made durable.
    Disk,
    /// The request makes no sense.
    Invalid,
}

/// The whole table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Table {
    /// This serving process.
    pub router_boot: String,
    /// Process id of the serving process.
    pub pid: u32,
    /// Whose table; `None` before the first write.
    pub log: Option<String>,
    /// The newest witness.
    pub witness: Option<Witness>,
    /// Where traffic is accepted.
    pub listen: Vec<SocketAddr>,
    /// Gateways that entries have names on.
    #[serde(default)]
    pub gateways: Vec<Gateway>,
    /// Entries, tombstones too.
    pub entries: Vec<Entry>,
}

/// A gateway on which names are answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gateway {
    /// Its address.
    pub address: Ipv4Addr,
    /// Why its names are not answered, one line for a person; `None`: they are.
    pub problem: Option<String>,
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub workload: String,
    /// `project/name`.
    pub name: String,
    /// Highest generation taken, fences included.
    pub generation: u64,
    /// Hosts and paths.
    pub routes: Vec<Route>,
    /// What it is found by.
    #[serde(default)]
    pub names: Option<Names>,
    /// What serves.
    pub targets: Vec<TargetStatus>,
    /// Former targets whose drain is not over, or was over since the last write.
    pub draining: Vec<Drain>,
}

/// A target and what is open to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TargetStatus {
    /// The unit.
    pub unit: String,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// Requests whose last body byte has not passed.
    pub in_flight: u64,
    /// Websockets and other upgraded connections.
    pub upgraded: u64,
}

/// A former target.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drain {
    /// The unit.
    pub unit: String,
    /// Still open.
    pub in_flight: u64,
    /// Still open.
    pub upgraded: u64,
    /// Whether nothing is open any more, and nobody can still hold its address as the answer to a name.
    pub done: bool,
    /// Requests cut at the deadline.
    pub cut_requests: u32,
    /// Upgraded connections cut at the deadline.
    pub cut_upgraded: u32,
    /// Event streams cut at the deadline.
    pub cut_streams: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_or_a_folder() {
        let read = |text: &str| serde_json::from_str::<Target>(text);
        for (text, place) in [
            (r#"{"unit":"u","address":"10.0.0.2"}"#, Place::Address([10, 0, 0, 2].into())),
            (r#"{"unit":"u","folder":"/d/sites/w/u"}"#, Place::Folder("/d/sites/w/u".into())),
        ] {
            let target = read(text).unwrap();
            assert_eq!(target, Target { unit: "u".into(), place: place.clone() });
            assert_eq!(serde_json::to_string(&target).unwrap(), text);
            let status = TargetStatus { unit: "u".into(), place, in_flight: 1, upgraded: 0 };
            let shown = serde_json::to_string(&status).unwrap();
            assert_eq!(shown, text.replace('}', r#","in_flight":1,"upgraded":0}"#));
            assert_eq!(serde_json::from_str::<TargetStatus>(&shown).unwrap(), status);
        }
        for bad in
            [r#"{"unit":"u"}"#, r#"{"unit":"u","address":"::1","folder":"/x"}"#, r#"{"unit":"u","folder":"/x","a":1}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
