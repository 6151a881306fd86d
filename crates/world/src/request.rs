//! What can be asked of the world, and what it answers: copies of numbers.

use std::fmt;
use std::net::Ipv4Addr;

use cutover_domain::observed::{Class, DockerId, Restart};
use cutover_events::deployment::ReasonKind;
use cutover_events::{RouterBoot, UnitId, WorkloadId};

/// What is created.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Create {
    /// For the label.
    pub workload: WorkloadId,
    /// For name and label.
    pub unit: UnitId,
    /// Position of its witness.
    pub position: u64,
    /// Its address; 0.0.0.0 when addresses do not matter.
    pub address: Ipv4Addr,
    /// Whether it is a release folder and no container.
    pub folder: bool,
}

/// One thing asked of Docker or the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Creates the container of a unit, whose name is made of the unit's id.
    Create(Create),
    /// Starts what is created or has ended.
    Start(DockerId),
    /// Sets the restart policy.
    SetRestart(DockerId, Restart),
    /// Lets it go on.
    Unpause(DockerId),
    /// Gives it its own name back.
    Rename(DockerId),
    /// Sets what it may use to what its plan says.
    SetLimits(DockerId),
    /// Ends it; Docker does not restart it then, whatever its policy.
    Stop(DockerId),
    /// Ends it and begins to remove it.
    Remove(DockerId),
    /// Writes the route of a workload, with a probe of each new target.
    Put {
        /// Whose route.
        workload: WorkloadId,
        /// What to route to.
        to: Units,
        /// Refused when not above the entry's own.
        generation: u64,
        /// Refused when it is not the present process.
        boot: RouterBoot,
        /// Refused when lower than the highest seen.
        epoch: u64,
    },
    /// Raises the generation of a workload's entry.
    Fence {
        /// Whose entry.
        workload: WorkloadId,
        /// As in `Put`.
        generation: u64,
        /// As in `Put`.
        boot: RouterBoot,
        /// As in `Put`.
        epoch: u64,
    },
}

/// What Docker or the proxy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done (201, 204).
    Done,
    /// Created (201).
    Created(DockerId),
    /// It was so already (304).
    AlreadySo,
    /// The name is held by this container of the same unit (409, then found by inspect).
    Exists(DockerId),
    /// The name is held by something that cannot be inspected yet (409, then 404).
    Conflict,
    /// The name is held by somebody else's container.
    Foreign,
    /// No such container (404).
    NotFound,
    /// It is being removed (409).
    RemovalInProgress,
    /// Another started container has the address (403).
    AddressInUse,
    /// The proxy refused.
    Refused(Refusal),
    /// The proxy is not there.
    Unavailable,
}

/// Why the proxy refuses a write: the part of its reasons that depends on ids and numbers alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// It was meant for another process of the proxy.
    RouterBoot,
    /// A newer engine has written.
    WriterEpoch,
    /// The generation is not above the entry's own.
    Generation,
    /// A new target does not answer its probe.
    Probe,
}

/// Why an effect did not happen, as the shell remembers it.
pub type Failed = (Class, ReasonKind);

/// Nobody has heard the request, or its answer: trying again can help.
pub const AWAY: Failed = (Class::Transient, ReasonKind::Unavailable);

impl Answer {
    /// What the shell makes of it.
    ///
    /// # Errors
    /// The effect did not happen, or is not known to have.
    pub fn verdict(self) -> Result<(), Failed> {
        match self {
            Self::Done | Self::Created(_) | Self::AlreadySo | Self::Exists(_) | Self::RemovalInProgress => Ok(()),
            Self::Conflict | Self::Unavailable => Err(AWAY),
            Self::NotFound => Err((Class::Transient, ReasonKind::Vanished)),
            Self::Foreign | Self::AddressInUse => Err((Class::Permanent, ReasonKind::Refused)),
            Self::Refused(Refusal::Probe) => Err((Class::ProbeRefused, ReasonKind::NotReady)),
            Self::Refused(Refusal::Generation | Refusal::RouterBoot) => Err(AWAY),
            Self::Refused(Refusal::WriterEpoch) => Err((Class::Permanent, ReasonKind::Refused)),
        }
    }
}

/// More units than one route can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} units: the in-memory world routes to at most {max}", max = Units::MAX)]
pub struct TooManyUnits(pub usize);

/// Up to eight units, inline: a request stays a copy.
#[derive(Clone, Copy, Default)]
pub struct Units {
    len: u8,
    items: [Option<UnitId>; Self::MAX],
}

impl Units {
    /// More replicas than any simulated workload has.
    pub const MAX: usize = 8;

    /// These units, in this order.
    ///
    /// # Errors
    /// When there are more than [`Units::MAX`].
    pub fn of(units: &[UnitId]) -> Result<Self, TooManyUnits> {
        if units.len() > Self::MAX {
            return Err(TooManyUnits(units.len()));
        }
        let mut out = Self::default();
        for (place, unit) in out.items.iter_mut().zip(units) {
            *place = Some(*unit);
        }
        out.len = u8::try_from(units.len()).unwrap_or(u8::MAX);
        Ok(out)
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = UnitId> + '_ {
        self.items.iter().take(usize::from(self.len)).flatten().copied()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, unit: UnitId) -> bool {
        self.iter().any(|one| one == unit)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl PartialEq for Units {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Units {}

impl std::hash::Hash for Units {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        for unit in self.iter() {
            unit.hash(state);
        }
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
