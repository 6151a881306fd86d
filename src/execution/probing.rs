//! Readiness of the containers that are gated or watched: asked often at first, then at the plan's interval.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::observed::{Answer, DockerId, Probe};
use cutover_events::UnitId;
use cutover_events::plan::Plan;
use cutover_events::workload::{Check, Health};
use tokio::task::JoinSet;

use crate::adapters::probe::Prober;
use crate::adapters::runtime::Container;

/// First pause between two probes, ms: a container is ready 1–5 ms after its start at best (facts: docker §3).
const FIRST_PAUSE_MS: u64 = 5;
/// Pause between two tries of a port, without a health check, ms.
const PORT_PAUSE_MS: u64 = 250;
/// For one try of a port, ms.
const PORT_TIMEOUT_MS: u32 = 1_000;

/// One run of a container: an answer counts for no other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    id: DockerId,
    started_at: String,
    address: SocketAddrV4,
}

struct Asked {
    probe: Probe,
    pause_ms: u64,
    due_ms: u64,
    under_way: bool,
}

impl Asked {
    fn answered(&mut self, answer: Answer) {
        self.under_way = false;
        let failures = if answer == Answer::Passed { 0 } else { self.probe.failures.saturating_add(1) };
        self.probe = Probe { answer, failures };
    }
}

/// What probing has shown.
#[derive(Default)]
pub(super) struct Probes {
    asked: BTreeMap<Run, Asked>,
    running: JoinSet<(Run, Answer)>,
    ended: Vec<(Run, Answer)>,
}

impl Probes {
    /// Forgets runs that are over; what ended since the last look now counts, because a look lies on both sides of it.
    pub(super) fn take_in(&mut self, containers: &[Container]) {
        while let Some(Ok(ended)) = self.running.try_join_next() {
            self.ended.push(ended);
        }
        for (run, answer) in std::mem::take(&mut self.ended) {
            if let Some(asked) = self.asked.get_mut(&run) {
                asked.answered(answer);
            }
        }
        self.asked.retain(|run, _| containers.iter().any(|c| c.id == run.id && c.started_at == run.started_at));
    }

    /// Begins the probes that are due, each by the plan of its container, and forgets what nobody asks for any more.
    pub(super) fn ask(&mut self, prober: &Arc<dyn Prober>, targets: &[(&Container, Arc<Plan>)], now_ms: u64) {
        let mut wanted = BTreeSet::new();
        for (container, plan) in targets {
            let (Some(address), Some(health)) = (container.address, health_of(plan, container.unit)) else { continue };
            let address = SocketAddrV4::new(address, health.port);
            let run = Run { id: container.id, started_at: container.started_at.clone(), address };
            wanted.insert(run.clone());
            let fresh = Asked { probe: UNKNOWN, pause_ms: FIRST_PAUSE_MS, due_ms: now_ms, under_way: false };
            let asked = self.asked.entry(run.clone()).or_insert(fresh);
            if asked.under_way || asked.due_ms > now_ms {
                continue;
            }
            asked.under_way = true;
            asked.due_ms = now_ms + asked.pause_ms;
            asked.pause_ms = (asked.pause_ms * 3 / 2).min(u64::from(health.interval_ms));
            let (prober, check) = (prober.clone(), health.check.clone());
            let timeout = Duration::from_millis(u64::from(health.timeout_ms));
            self.running.spawn(async move { (run, prober.probe(address, &check, timeout).await) });
        }
        self.asked.retain(|run, _| wanted.contains(run));
    }

    /// The newest answer for the present run of a container.
    pub(super) fn newest(&self, container: &Container) -> Probe {
        let here = |run: &&Run| run.id == container.id && run.started_at == container.started_at;
        let mut runs = self.asked.iter().filter(|(run, _)| here(run));
        runs.next().map_or(UNKNOWN, |(_, asked)| asked.probe)
    }

    /// How long until a probe is due, ms; long, when none is asked for.
    pub(super) fn next_due(&self, now_ms: u64) -> u64 {
        let due = self.asked.values().filter(|asked| !asked.under_way).map(|asked| asked.due_ms).min();
        due.map_or(u64::MAX, |due| due.saturating_sub(now_ms).max(1))
    }

    /// Returns when a probe has ended; never, when none is under way.
    pub(super) async fn ended(&mut self) {
        match self.running.join_next().await {
            Some(Ok(ended)) => self.ended.push(ended),
            Some(Err(_)) => (),
            None => std::future::pending().await,
        }
    }
}

const UNKNOWN: Probe = Probe { answer: Answer::Unknown, failures: 0 };

/// What is probed: the health check of its process, or the port that traffic will use.
fn health_of(plan: &Plan, unit: UnitId) -> Option<Health> {
    let part = plan.part(unit);
    part.health.cloned().or_else(|| {
        Some(Health {
            check: Check::Tcp,
            port: part.port?,
            interval_ms: PORT_PAUSE_MS as u32,
            timeout_ms: PORT_TIMEOUT_MS,
        })
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use cutover_domain::observed::{ImageHealth, Phase, Restart};
    use cutover_events::plan::{Strategy, Template, Why};
    use cutover_events::workload::Limits;
    use cutover_events::{DeploymentId, ReleaseId, WorkloadId};

    use super::*;

    struct Passes;

    #[async_trait]
    impl Prober for Passes {
        async fn probe(&self, _: SocketAddrV4, _: &Check, _: Duration) -> Answer {
            Answer::Passed
        }
    }

    fn container() -> Container {
        Container {
            id: DockerId([1; 32]),
            name: "cutover-shop-web".into(),
            full_name: "shop/web".into(),
            unit: UnitId([1; 16]),
            workload: WorkloadId([1; 16]),
            release: ReleaseId([1; 16]),
            deployment: DeploymentId([1; 16]),
            witness: None,
            phase: Phase::Running,
            paused: false,
            connected: true,
            limits: Limits::default(),
            restart: Restart::No,
            restarts: 0,
            exit_code: 0,
            oom_killed: false,
            started_at: "2026-01-01T00:00:00Z".into(),
            up_ms: 1,
            age_ms: 1,
            health: ImageHealth::None,
            address: Some([127, 0, 0, 1].into()),
            folder: None,
            mounts: Vec::new(),
            ports: Vec::new(),
        }
    }

    fn plan() -> Plan {
        Plan {
            release: None,
            strategy: Strategy::BlueGreen,
            why: Why::Default,
            units: Vec::new(),
            slot: Vec::new(),
            blue: Vec::new(),
            adopts: false,
            template: Template { port: Some(8080), ..Template::default() },
            routes: Vec::new(),
            health: None,
            policy: Default::default(),
            steps: Vec::new(),
            processes: Vec::new(),
            after: Vec::new(),
            release_command: None,
        }
    }

    #[tokio::test]
    async fn what_nobody_asks_for_any_more_is_neither_due_nor_known() {
        let (mut probes, container, plan) = (Probes::default(), container(), Arc::new(plan()));
        let prober: Arc<dyn Prober> = Arc::new(Passes);
        probes.ask(&prober, &[(&container, plan)], 0);
        probes.ended().await;
        probes.take_in(std::slice::from_ref(&container));
        assert_eq!(probes.newest(&container).answer, Answer::Passed);
        assert!(probes.next_due(1_000_000) < 10);
        probes.ask(&prober, &[], 1_000_000);
        assert_eq!(probes.next_due(1_000_000), u64::MAX);
        assert_eq!(probes.newest(&container).answer, Answer::Unknown);
    }
}
