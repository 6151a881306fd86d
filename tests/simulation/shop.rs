//! What is wished in a run: workloads with their settings, and images that behave well or badly.

use cutover_domain::plan::{Ask, Ids};
use cutover_domain::workload::Release;
use cutover_events::plan::{Strategy, Template, Why};
use cutover_events::workload::{Check, Health, Policy, Route};
use cutover_events::{UnitId, WorkloadId};
use std::net::Ipv4Addr;

use crate::random::Random;

/// A workload as its owner wrote it down.
pub(crate) struct Shop {
    pub(crate) id: WorkloadId,
    /// Every revision, counted from 1.
    pub(crate) specs: Vec<Spec>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) replicas: u16,
    pub(crate) health: bool,
    pub(crate) policy: Policy,
}

impl Spec {
    pub(crate) fn drawn(random: &mut Random) -> Self {
        Self {
            replicas: random.pick(&[1, 1, 1, 2, 2, 3, 4]),
            health: random.chance(700),
            policy: Policy {
                gate_timeout_ms: random.pick(&[1_500, 4_000]),
                liveness_ms: random.pick(&[200, 1_000]),
                drain_ms: random.pick(&[0, 500, 2_000]),
                bake_ms: random.pick(&[0, 500, 2_000]),
                standby_ms: random.pick(&[0, 0, 3_000, 60_000]),
                stop_timeout_ms: 1_000,
                stop_signal: 0,
                keep_releases: random.pick(&[1, 2, 10]),
            },
        }
    }

    /// One container, everything short.
    pub(crate) fn plain(replicas: u16) -> Self {
        let policy = Policy {
            gate_timeout_ms: 2_000,
            liveness_ms: 200,
            drain_ms: 500,
            bake_ms: 500,
            standby_ms: 0,
            stop_timeout_ms: 1_000,
            stop_signal: 0,
            keep_releases: 10,
        };
        Self { replicas, health: true, policy }
    }

    /// As the shell asks for a plan of a release with these settings.
    pub(crate) fn ask(&self, release: &Release) -> Ask {
        let health = Health {
            check: Check::Http { path: "/".into(), host: String::new(), low: 200, high: 299 },
            port: 80,
            interval_ms: 100,
            timeout_ms: 100,
        };
        Ask {
            release: Some(release.id),
            full_name: "s/w".into(),
            strategy: (Strategy::BlueGreen, Why::Default),
            template: Template { image: release.image.to_string(), port: Some(80), ..Template::default() },
            routes: vec![Route { host: "s".into(), path: "/".into(), port: 80, strip: false }],
            health: self.health.then_some(health),
            policy: self.policy,
            replicas: self.replicas,
        }
    }

    /// As the shell asks for the plan of a teardown.
    pub(crate) fn farewell(policy: Policy) -> Ask {
        Ask {
            release: None,
            full_name: "s/w".into(),
            strategy: (Strategy::BlueGreen, Why::Default),
            template: Template::default(),
            routes: Vec::new(),
            health: None,
            policy,
            replicas: 0,
        }
    }
}

/// How the containers of an image behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// From start to ready.
    pub(crate) ready_ms: u64,
    pub(crate) fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Good,
    /// Ends at once.
    Exits,
    /// Never listens.
    Silent,
    /// Ends this long after its start.
    Dies(u64),
    /// Answers 500 from this long after its start.
    Sickens(u64),
}

impl Program {
    pub(crate) const GOOD: Self = Self { ready_ms: 50, fate: Fate::Good };

    pub(crate) fn drawn(random: &mut Random) -> Self {
        let later = random.pick(&[100, 700, 1_500, 5_000]);
        let bad = random.pick(&[Fate::Exits, Fate::Silent, Fate::Dies(later), Fate::Sickens(later)]);
        let fate = if random.chance(750) { Fate::Good } else { bad };
        Self { ready_ms: random.pick(&[0, 20, 300, 1_000]), fate }
    }
}

/// Ids that nothing else has.
pub(crate) struct Minted<'a>(pub(crate) &'a mut u64);

impl Minted<'_> {
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        *self.0 += 1;
        u128::from(*self.0).to_be_bytes()
    }
}

impl Ids for Minted<'_> {
    fn unit(&mut self) -> UnitId {
        UnitId(self.bytes())
    }

    fn address(&mut self) -> Ipv4Addr {
        *self.0 += 1;
        Ipv4Addr::from(0x0A00_0000 | (*self.0 as u32 & 0x00FF_FFFF))
    }
}
