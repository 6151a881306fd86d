//! The doctor, the log itself, and figures.

use super::LiveBackend;
use crate::api::backend::{Refusal, Span};
use crate::api::event_view;
use crate::api::views::{CheckView, DoctorView, ExportLine, Finding, VerifyView};
use crate::execution::{Examined, Verdict};
use crate::store;

impl LiveBackend {
    pub(super) async fn examined(&self) -> Result<DoctorView, Refusal> {
        let mut checks = Vec::new();
        let mut add = |name: &str, finding, text: String| checks.push(CheckView { name: name.into(), finding, text });
        match self.verified().await {
            Ok(verify) if verify.ok => add("log", Finding::Holds, verify.text),
            Ok(verify) => add("log", Finding::Broken, verify.text),
            Err(refusal) => add("log", Finding::Unknown, refusal.to_string()),
        }
        for text in self.commands.live().engine().held.values() {
            add("held", Finding::Broken, format!("{text}; `cutover status` says how to go on"));
        }
        for freeze in self.freezes(None).await {
            let name = freeze.workload.clone().unwrap_or_else(|| "frozen".into());
            add(
                &name,
                Finding::Note,
                format!("{}; {}", super::freezing::told(&freeze), super::freezing::thaw(&freeze)),
            );
        }
        match self.execution.examine().await {
            Ok(examined) => examined.into_iter().for_each(|Examined { name, verdict, text }| {
                let finding = match verdict {
                    Verdict::Holds => Finding::Holds,
                    Verdict::Busy => Finding::Note,
                    Verdict::Broken => Finding::Broken,
                };
                add(&name, finding, text);
            }),
            Err(why) => {
                add("world", Finding::Unknown, format!("Docker does not answer, so nothing was looked at: {why}"))
            }
        }
        let ok = checks.iter().all(|check| matches!(check.finding, Finding::Holds | Finding::Note));
        Ok(DoctorView { ok, checks })
    }

    pub(super) async fn verified(&self) -> Result<VerifyView, Refusal> {
        let dir = self.data_dir.clone();
        let read = tokio::task::spawn_blocking(move || store::verify(&dir)).await;
        let report = match read.map_err(|error| Refusal::Internal(error.to_string()))? {
            Ok(report) => report,
            Err(damage) => {
                let text = damage.to_string();
                return Ok(VerifyView { ok: false, position: 0, chain: String::new(), commits: 0, text });
            }
        };
        let (position, chain, commits) = (report.head.position, report.head.chain.to_string(), report.commits);
        let text = format!("{commits} commits to position {position}, the chain is intact");
        Ok(VerifyView { ok: true, position, chain, commits, text })
    }

    pub(super) async fn exported(&self, span: Span) -> Result<Vec<ExportLine>, Refusal> {
        let registry = self.registry();
        let commits = self.commands.log().read_all(span.after + 1, span.limit).await?;
        let line = |sealed: cutover_events::Sealed| ExportLine {
            position: sealed.commit.position,
            stream: sealed.commit.stream.to_string(),
            version: sealed.commit.version,
            chain: sealed.chain.to_string(),
            body: hex::encode(&sealed.body),
            events: event_view::lines(&sealed.commit, |id| registry.full_name(id)),
        };
        Ok(commits.into_iter().map(line).collect())
    }

    /// Figures that the folds hold; base units, no ids in labels.
    pub(super) fn figures(&self) -> String {
        let live = self.commands.live();
        let cells = live.cells();
        let (mut open, mut queued, mut active, mut removal, mut drifts) = (0, 0, 0, 0, 0);
        for (_, cell) in &cells {
            let state = cell.state();
            open += usize::from(state.open.is_some());
            queued += state.queue.len();
            active += usize::from(state.active.is_some());
            removal += state.removal.len();
            drifts += state.drifts.len();
        }
        let head = self.commands.log().head().position;
        let gauges = [
            ("cutover_log_position", "Position of the last event of the log.", head as usize),
            ("cutover_workloads_active", "Workloads with an active release.", active),
            ("cutover_deployments_in_progress", "Deployments that hold a lane.", open),
            ("cutover_intents_queued", "Wishes that wait for a lane.", queued),
            ("cutover_units_to_remove", "Units on a removal list.", removal),
            (
                "cutover_held",
                "Whether destructive effects are refused until a person decides.",
                live.engine().held.len(),
            ),
            ("cutover_frozen", "Freezes in effect: what is frozen is not repaired.", live.engine().frozen.len()),
            ("cutover_drifts", "Differences of containers that were recorded and are not over.", drifts),
        ];
        gauges
            .iter()
            .map(|(name, help, value)| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
            .collect()
    }
}
