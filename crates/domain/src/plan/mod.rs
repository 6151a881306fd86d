//! Makes plans, and checks them.

mod blue_green;
mod lint;

use std::net::Ipv4Addr;

use cutover_events::plan::{Strategy, Template, Why};
use cutover_events::workload::{Health, Policy, Route};
use cutover_events::{ReleaseId, UnitId};

pub use blue_green::plan;
pub use lint::{Violation, lint};

/// What a plan is made from.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The release that shall serve; `None` for a teardown.
    pub release: Option<ReleaseId>,
    /// The full name, which container names begin with.
    pub full_name: String,
    /// How, and why so.
    pub strategy: (Strategy, Why),
    /// What all containers have in common.
    pub template: Template,
    /// What leads to them.
    pub routes: Vec<Route>,
    /// How readiness is probed.
    pub health: Option<Health>,
    /// Times and counts.
    pub policy: Policy,
    /// Containers of the release.
    pub replicas: u16,
}

/// The ids and addresses that a plan needs.
pub trait Ids {
    /// A unit id that no other unit has.
    fn unit(&mut self) -> UnitId;
    /// An address on the project's network that nothing has had for ten minutes.
    fn address(&mut self) -> Ipv4Addr;
}
