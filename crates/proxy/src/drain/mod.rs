//! Targets and what is open to them: claims, the drain, the cut at its deadline.
//!
//! A request counts itself first and looks at the draining flag afterwards; a swap stores the new table first and sets
//! the flag afterwards (both sequentially consistent). So either the request sees the flag and goes back to the table,
//! or the swap sees the request in its count. No request reaches a former target after its count was zero.

mod claim;
mod line;
mod open;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

pub use claim::{Claim, CutSignal};
pub use line::{ABREAST, Line, TURN, Turn};
pub use open::Kind;
use open::OpenSet;

use cutover_site::site::Site;

use crate::config::{NAME_LINGER_MS, SHUN_MS};
use crate::metrics::TargetFigures;
use crate::moment;
use crate::pool::Pool;
use crate::wire;

/// One unit that serves or served. A unit that comes back after its drain began is a new object.
#[derive(Debug)]
pub struct Target {
    /// Its identity over writes.
    pub unit: String,
    place: Place,
    /// Idle connections to it.
    pub pool: Pool,
    /// Where requests stand that were held until it came.
    pub line: Line,
    /// What went through it.
    pub figures: TargetFigures,
    in_flight: AtomicU64,
    upgraded: AtomicU64,
    draining: AtomicBool,
    open: OpenSet,
    cut: [AtomicU32; 3],
    refused_at: AtomicU64,
    given_at: AtomicU64,
}

/// Where a target is, with what was read there.
#[derive(Debug)]
enum Place {
    Address(IpAddr),
    Folder(PathBuf, Option<Arc<Site>>),
}

impl Target {
    /// A target at an address that nothing is open to; the port is the route's.
    #[must_use]
    pub fn new(unit: &str, address: IpAddr) -> Arc<Self> {
        Self::at(unit, Place::Address(address))
    }

    /// A release folder that nothing is being sent from; without what was read there, requests to it fail.
    #[must_use]
    pub fn folder(unit: &str, folder: &Path, site: Option<Arc<Site>>) -> Arc<Self> {
        Self::at(unit, Place::Folder(folder.to_owned(), site))
    }

    fn at(unit: &str, place: Place) -> Arc<Self> {
        Arc::new(Self {
            unit: unit.to_owned(),
            place,
            pool: Pool::default(),
            line: Line::default(),
            figures: TargetFigures::default(),
            in_flight: AtomicU64::new(0),
            upgraded: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            open: OpenSet::default(),
            cut: [const { AtomicU32::new(0) }; 3],
            refused_at: AtomicU64::new(0),
            given_at: AtomicU64::new(0),
        })
    }

    /// Its address, unless it is a release folder.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match &self.place {
            Place::Address(address) => Some(*address),
            Place::Folder(..) => None,
        }
    }

    /// What was read in its release folder; `None` for an address, and when it could not be read.
    #[must_use]
    pub fn site(&self) -> Option<&Arc<Site>> {
        match &self.place {
            Place::Address(_) => None,
            Place::Folder(_, site) => site.as_ref(),
        }
    }

    /// Where it is, as it is written.
    #[must_use]
    pub fn place(&self) -> wire::Place {
        match &self.place {
            Place::Address(address) => wire::Place::Address(*address),
            Place::Folder(folder, _) => wire::Place::Folder(folder.clone()),
        }
    }

    /// Whether it is that one, as it is written.
    #[must_use]
    pub fn is(&self, other: &wire::Target) -> bool {
        let there = match (&self.place, &other.place) {
            (Place::Address(own), wire::Place::Address(address)) => own == address,
            (Place::Folder(own, _), wire::Place::Folder(folder)) => own == folder,
            (Place::Address(_), wire::Place::Folder(_)) | (Place::Folder(..), wire::Place::Address(_)) => false,
        };
        there && self.unit == other.unit
    }

    /// What is open to it: requests and upgraded connections.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed) + self.upgraded.load(Ordering::Relaxed)
    }

    /// Whether it refused a connection a moment ago.
    #[must_use]
    pub fn is_shunned(&self) -> bool {
        let at = self.refused_at.load(Ordering::Relaxed);
        at != 0 && moment::coarse_ms().saturating_sub(at) < SHUN_MS
    }

    /// Remembers that it refused a connection.
    pub fn shun(&self) {
        self.refused_at.store(moment::coarse_ms(), Ordering::Relaxed);
    }

    /// Whether no new request may reach it.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// From here on no new claim succeeds; idle connections are closed. Call it after the table without it is stored.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.pool.purge();
    }

    /// Remembers that its address is given as the answer to a name. Look at [`Target::is_draining`] afterwards, as a
    /// request does.
    pub fn give_out(&self) {
        self.given_at.store(moment::coarse_ms(), Ordering::SeqCst);
    }

    /// Whether somebody may still connect to its address because it was the answer to a name.
    #[must_use]
    pub fn is_remembered(&self) -> bool {
        let at = self.given_at.load(Ordering::SeqCst);
        at != 0 && moment::coarse_ms().saturating_sub(at) < NAME_LINGER_MS
    }

    /// Whether its drain began, nothing is open any more, and nobody remembers its address.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let open = self.in_flight.load(Ordering::SeqCst) + self.upgraded.load(Ordering::SeqCst);
        self.is_draining() && open == 0 && !self.is_remembered()
    }

    /// Cuts what is still open, counts it by kind, and returns how much that was.
    pub fn cut_open(&self) -> u32 {
        let cut = self.open.cut_all();
        for (total, n) in self.cut.iter().zip(cut) {
            total.fetch_add(n, Ordering::Relaxed);
        }
        cut.iter().sum()
    }

    /// Closes the whole connections of what was cut and did not end.
    pub fn force_open(&self) {
        self.open.force_all();
    }

    /// What is open, for the table's answer.
    #[must_use]
    pub fn status(&self) -> wire::TargetStatus {
        wire::TargetStatus {
            unit: self.unit.clone(),
            place: self.place(),
            in_flight: self.in_flight.load(Ordering::SeqCst),
            upgraded: self.upgraded.load(Ordering::SeqCst),
        }
    }

    /// How its drain goes, for the table's answer.
    #[must_use]
    pub fn drain_status(&self) -> wire::Drain {
        let cut = |kind: Kind| self.cut[kind as usize].load(Ordering::Relaxed);
        wire::Drain {
            unit: self.unit.clone(),
            in_flight: self.in_flight.load(Ordering::SeqCst),
            upgraded: self.upgraded.load(Ordering::SeqCst),
            done: self.is_drained(),
            cut_requests: cut(Kind::Request),
            cut_upgraded: cut(Kind::Upgraded),
            cut_streams: cut(Kind::EventStream),
        }
    }
}
