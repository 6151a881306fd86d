//! What stands around events: streams, stamps, causes, keys, and the commit as the unit of atomicity.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{BootId, DeliveryId, DeploymentId, Digest, HookId, TokenId, WorkloadId};
use crate::kind::Event;

/// Whose history a commit belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum StreamId {
    /// Registrations, spec revisions, claims.
    Registry,
    /// Starts, hooks, tokens, networks, what persons confirm.
    Engine,
    /// Intents, deployments and units of one workload.
    Workload(WorkloadId),
    /// Deliveries of one hook.
    Hook(HookId),
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry => f.write_str("registry"),
            Self::Engine => f.write_str("engine"),
            Self::Workload(id) => write!(f, "{id}"),
            Self::Hook(id) => write!(f, "{id}"),
        }
    }
}

/// When something was written: the wall clock is for display only, durations use the monotonic clock of one boot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct Stamp {
    /// Milliseconds since 1970, for display.
    pub wall_ms: u64,
    /// The boot that `mono_ms` belongs to.
    pub boot: BootId,
    /// `CLOCK_MONOTONIC`, ms.
    pub mono_ms: u64,
}

/// What brought a commit about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// A person, through the API.
    Person,
    /// A delivery.
    Delivery(DeliveryId),
    /// A spec revision of a workload.
    Revision(u32),
    /// The world differed from the log.
    Drift,
    /// The course of a deployment.
    Deployment(DeploymentId),
    /// The engine itself: starts, expiries, repairs.
    Engine,
}

/// Who brought a commit about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Actor {
    /// Somebody on this machine, through the local socket: user id and, where known, name.
    Local {
        /// User id.
        uid: u32,
        /// Login name, empty when unknown.
        user: String,
    },
    /// The holder of a token.
    Token(TokenId),
    /// A sender of deliveries.
    Hook(HookId),
    /// The engine.
    Engine,
}

/// What makes an append happen once: (stream, kind, what it is about).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Key {
    /// A delivery, by the sender's id for it.
    Delivery {
        /// Through which hook.
        hook: HookId,
        /// The sender's id.
        sender_id: String,
    },
    /// The decision on a delivery.
    Decision {
        /// Which delivery.
        delivery: DeliveryId,
    },
    /// The intent that came of one rule and one item of a delivery.
    Triggered {
        /// Which delivery.
        delivery: DeliveryId,
        /// Item in it.
        item: u16,
        /// Rule of the workload.
        rule: u16,
    },
    /// The intent that came of a spec revision.
    Revision {
        /// Which revision.
        revision: u32,
    },
    /// A client's own key.
    Client {
        /// Whose: a token's id, or `local:UID`.
        owner: String,
        /// As the client sent it.
        key: String,
        /// Digest of what was asked: the same key with another wish is refused.
        request: Digest,
    },
}

impl Key {
    /// The bytes that the key is looked up by, within a stream; what a client asked for is not part of them.
    #[must_use]
    pub fn lookup(&self, stream: StreamId) -> Vec<u8> {
        let about = match self {
            Self::Client { owner, key, .. } => {
                Self::Client { owner: owner.clone(), key: key.clone(), request: Digest::default() }
            }
            other => other.clone(),
        };
        crate::codec::encode(&(stream, about)).unwrap_or_default()
    }
}

/// What one append wrote: 1..n events of one stream, all or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Position of the first event in the whole log; the first event of a log has position 1.
    pub position: u64,
    /// Whose history.
    pub stream: StreamId,
    /// Index of the first event within the stream; the first event of a stream has version 1.
    pub version: u64,
    /// When.
    pub at: Stamp,
    /// What brought it about.
    pub cause: Cause,
    /// Who brought it about.
    pub actor: Actor,
    /// What makes it happen once.
    pub key: Option<Key>,
    /// What happened.
    pub events: Vec<Event>,
}

/// A commit in its stored form, with the chain value after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// What was written.
    pub commit: Commit,
    /// The stored bytes of the commit.
    pub body: Vec<u8>,
    /// SHA-256 of the chain value before and the body.
    pub chain: Digest,
}

impl Commit {
    /// Position of the last event.
    #[must_use]
    pub fn last_position(&self) -> u64 {
        self.position + self.events.len() as u64 - 1
    }

    /// Version of the last event.
    #[must_use]
    pub fn last_version(&self) -> u64 {
        self.version + self.events.len() as u64 - 1
    }
}
