//! A world as the engine sees it.

use cutover_domain::observed::{Answer as ProbeAnswer, Observed, Probe, RouterSeen, Seen};
use cutover_events::WorkloadId;
use cutover_events::deployment::Cut;

use super::{Body, World};

impl World {
    /// The engine probes every running container of a workload; the answers belong to their present runs.
    pub fn probe(&mut self, workload: WorkloadId) {
        for body in self.containers.iter_mut().filter(|body| body.workload == workload && body.runs()) {
            let answer = body.answer();
            let failures = if answer == ProbeAnswer::Passed { 0 } else { body.probe.failures.saturating_add(1) };
            body.probe = Probe { answer, failures };
        }
    }

    /// The engine that remembered the answers of its probes, and what ended with the daemon, is gone.
    pub fn forget_probes(&mut self) {
        for body in &mut self.containers {
            body.lost = false;
            body.probe = Probe { answer: ProbeAnswer::Unknown, failures: 0 };
        }
    }

    /// One complete look at a workload; a witness above `head` is one that the log does not know.
    #[must_use]
    pub fn observed(&self, workload: WorkloadId, head: u64) -> Observed {
        let ours = self.containers().filter(|body| body.workload == workload);
        let mut containers: Vec<_> = ours.map(|body| self.seen(body, head)).collect();
        containers.sort_by_key(|seen| seen.unit);
        let router = self.router_answers().then(|| self.router_seen(workload));
        Observed { containers, router, ..Observed::default() }
    }

    fn seen(&self, body: &Body, head: u64) -> Seen {
        let lasted = self.now_ms().saturating_sub(body.since_ms);
        let (up_ms, down_ms) = if body.runs() { (lasted, 0) } else { (0, lasted) };
        Seen {
            unit: body.unit,
            id: body.id,
            phase: body.phase,
            restart: body.restart,
            restarts: body.restarts,
            exit_code: body.exit_code,
            up_ms,
            age_ms: up_ms,
            down_ms,
            health: body.health,
            probe: body.probe,
            witnessed: body.position <= head,
            paused_ms: self.counted(body.paused_since),
            apart_ms: self.counted(body.apart_since.filter(|_| body.runs())),
            renamed: body.renamed,
            resized: body.resized,
            lost: body.lost,
            folder: body.folder,
        }
    }

    /// Counted from one, as the shell does.
    fn counted(&self, since: Option<u64>) -> u64 {
        since.map_or(0, |since| self.now_ms().saturating_sub(since) + 1)
    }

    fn router_seen(&self, workload: WorkloadId) -> RouterSeen {
        let drains = || self.drains().filter(|drain| drain.workload == workload);
        let targets: Vec<_> = self.targets(workload).iter().collect();
        let mut busy: Vec<_> = targets.iter().copied().filter(|unit| self.open_to_target(*unit) > 0).collect();
        for drain in drains().filter(|drain| !drain.done) {
            if !busy.contains(&drain.unit) {
                busy.push(drain.unit);
            }
        }
        let cut = drains().fold(Cut::default(), |sum, drain| Cut {
            requests: sum.requests + drain.cut.requests,
            upgraded: sum.upgraded + drain.cut.upgraded,
            streams: sum.streams + drain.cut.streams,
        });
        let generation = self.routes().find(|route| route.workload == workload).map_or(0, |route| route.generation);
        RouterSeen { generation, targets, busy, cut }
    }
}
