//! Docker and the proxy as one plain value: the twin of both, without clock, randomness or I/O.
//!
//! [`World`] holds ids and numbers only and is cheap to clone, so that a simulation can branch at every step; time and
//! choices are arguments. Texts (names, images, routes) belong to the in-memory adapters of the engine.
//!
//! Phases that Docker has and an answer hides are moves of their own: a create takes its name before it can be
//! inspected ([`World::reserve`], [`World::appear`]), a removal keeps the name until it is over ([`World::gone`]), and a
//! request can outlive the one who sent it ([`World::send`], [`World::land`]).

mod containers;
mod look;
mod request;
mod router;

pub use containers::{Body, Hand, LiveRestore, Serving};
pub use request::{AWAY, Answer, Create, Failed, Refusal, Request, TooManyUnits, Units};
pub use router::{DrainBody, Route, TableFate};

use cutover_domain::observed::DockerId;
use cutover_domain::protocol::{Rule, on};
use cutover_events::{RouterBoot, UnitId};

/// Docker and the proxy. Equal worlds behave equally.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct World {
    /// Milliseconds since the world began; moved by [`World::advance`] alone.
    now_ms: u64,
    /// Ids given so far: Docker never gives one twice.
    ids: u64,
    /// In the order of creation; those being removed are still here.
    containers: Vec<Body>,
    /// Names (by the unit that they are made of) that belong to somebody else.
    foreign: Vec<UnitId>,
    /// Who had which id, where requests reach whoever has the name now (a rule that is switched off).
    named: Vec<(DockerId, UnitId)>,
    /// Sent, and not arrived yet.
    pending: Vec<Request>,
    /// The proxy.
    router: router::RouterState,
}

impl World {
    /// An empty world, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Time goes on.
    pub fn advance(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// Milliseconds since the world began.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Does one thing now. The answer is what Docker or the proxy would say; whether it is heard is the caller's choice.
    pub fn perform(&mut self, request: Request) -> Answer {
        match request {
            Request::Create(create) => self.create(create),
            Request::Start(id) => self.start(id),
            Request::SetRestart(id, restart) => self.set_restart(id, restart),
            Request::Unpause(id) => self.unpause(id),
            Request::Rename(id) => self.rename(id),
            Request::SetLimits(id) => self.set_limits(id),
            Request::Stop(id) => self.stop(id),
            Request::Remove(id) => self.remove(id),
            Request::Put { .. } | Request::Fence { .. } => self.route(request, router::Probing::Asked),
        }
    }

    /// The request as it arrives: at the id that it names, and at no other container that has the name by now.
    #[must_use]
    pub fn addressed(&self, request: Request) -> Request {
        if on(Rule::Ids) {
            return request;
        }
        let now = |id: DockerId| {
            let named = self.named.iter().find(|(known, _)| *known == id).map(|(_, unit)| *unit);
            named.and_then(|unit| self.unit(unit)).map_or(id, |body| body.id)
        };
        match request {
            Request::Start(id) => Request::Start(now(id)),
            Request::SetRestart(id, restart) => Request::SetRestart(now(id), restart),
            Request::Unpause(id) => Request::Unpause(now(id)),
            Request::Rename(id) => Request::Rename(now(id)),
            Request::SetLimits(id) => Request::SetLimits(now(id)),
            Request::Stop(id) => Request::Stop(now(id)),
            Request::Remove(id) => Request::Remove(now(id)),
            Request::Create(_) | Request::Put { .. } | Request::Fence { .. } => request,
        }
    }

    /// Sends something that arrives later, or never; gives its index among the pending ones.
    pub fn send(&mut self, request: Request) -> usize {
        self.pending.push(request);
        self.pending.len() - 1
    }

    /// What is sent and has not arrived.
    #[must_use]
    pub fn pending(&self) -> &[Request] {
        &self.pending
    }

    /// A pending request arrives now; later ones move up by one. `None` when there is no such request.
    pub fn land(&mut self, index: usize) -> Option<Answer> {
        let request = self.cancel(index)?;
        Some(self.perform(request))
    }

    /// A pending request never arrives: its context was cancelled. Later ones move up by one.
    pub fn cancel(&mut self, index: usize) -> Option<Request> {
        (index < self.pending.len()).then(|| self.pending.remove(index))
    }

    /// The serving process of the proxy: what writes must be addressed to.
    #[must_use]
    pub fn router_boot(&self) -> RouterBoot {
        self.router.boot()
    }
}

#[cfg(test)]
mod tests;
