//! What happens to the engine itself: starts, networks, tokens, what persons confirm.

use serde::{Deserialize, Serialize};

use crate::id::{BootId, Digest, InstanceId, LogId, RouterBoot, TokenId, WorkloadId};

/// An engine has taken over; its position is the writer epoch.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EngineStarted {
    /// This start.
    pub instance: InstanceId,
    /// Minted by the first commit of a log, the same ever after.
    pub log: LogId,
    /// The boot of the host.
    pub boot: BootId,
    /// Docker's own id of the daemon; empty when it did not answer yet.
    pub daemon: String,
    /// The serving process of the proxy; `None` when it did not answer yet.
    pub router: Option<RouterBoot>,
    /// Version of the program.
    pub version: String,
}

/// The log id was minted: always the first event of a log.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LogBegun {
    /// The id.
    pub log: LogId,
}

/// A network for a project.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NetworkMade {
    /// Whose.
    pub project: String,
    /// Docker's id of it.
    pub network: String,
    /// In CIDR form.
    pub subnet: String,
}

/// A network was seen gone.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NetworkRemoved {
    /// Whose.
    pub project: String,
    /// Docker's id of it.
    pub network: String,
}

/// A token for the API; only its hash is kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TokenAdded {
    /// Its id.
    pub token: TokenId,
    /// As people know it.
    pub name: String,
    /// SHA-256 of the secret part.
    pub hash: Digest,
}

/// A token is no longer accepted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// Which one.
    pub token: TokenId,
}

/// The engine refuses destructive effects until a person decides.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Held {
    /// What was seen.
    pub cause: HeldCause,
    /// One line for a person: what was seen and what can be done.
    pub text: String,
}

/// Why the engine is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum HeldCause {
    /// A witness knows a position that the log does not hold: the log went back in time.
    LogWentBack,
    /// Docker's daemon is another one.
    DaemonChanged,
    /// The proxy knows a generation above the log's.
    RouterAhead,
}

/// A person has decided that the engine goes on as things are.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Confirmed {
    /// What is confirmed.
    pub cause: HeldCause,
}

/// A person is at work: from here on the engine does nothing by itself to what is frozen.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Frozen {
    /// What is frozen; `None`: everything.
    pub workload: Option<WorkloadId>,
    /// Why, in the words of the person; may be empty.
    pub reason: String,
}

/// The engine goes on by itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Thawed {
    /// What was frozen; `None`: everything. What was frozen apart stays so.
    pub workload: Option<WorkloadId>,
}
