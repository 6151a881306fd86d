//! Logs of builds: kept beside the log of events, read while they grow.

use std::time::Duration;

use cutover_domain::workload::Workload;
use cutover_events::deployment::ImageWish;
use cutover_events::{DeploymentId, WorkloadId};

use super::LiveBackend;
use crate::api::backend::{BuildLogAsk, Patience, Refusal, WorkloadName};
use crate::api::views::{BuildLogView, OutputView};
use crate::logs::{MAX_FOUND, Piece};

/// How long an answer waits for more, when it may: shorter than any proxy in between cuts a silent connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether a build that waits for its turn has begun.
const AGAIN: Duration = Duration::from_millis(200);
/// Last lines of a build that are told with its failure.
const LAST_LINES: usize = 20;

impl LiveBackend {
    pub(super) async fn build_log_of(&self, name: &WorkloadName, ask: BuildLogAsk) -> Result<BuildLogView, Refusal> {
        let id = self.find(name)?;
        let workload = self.full_name(id);
        let state = self.commands.live().cell(id).state();
        let deployment = match ask.deployment {
            Some(deployment) => deployment,
            None => self.newest_build(id, &state).ok_or_else(|| {
                Refusal::UnknownName(format!("{workload} has no log of a build: nothing was built, or it is too old"))
            })?,
        };
        let unreadable = |error: std::io::Error| Refusal::Internal(format!("the build log cannot be read: {error}"));
        if let Some(text) = &ask.grep {
            let found = self.execution.build_logs.search(deployment, text, MAX_FOUND).map_err(unreadable)?;
            let found = found.into_iter().map(|found| found.line).collect();
            let ended = !self.builds(id, deployment);
            let (deployment_id, text) = (deployment.to_string(), String::new());
            return Ok(BuildLogView { workload, deployment_id, at: 0, left_out: 0, next: 0, text, found, ended });
        }
        let piece = match ask.patience {
            Patience::None => self.execution.build_logs.read(deployment, ask.from),
            Patience::AWhile => self.wait_for_more(id, deployment, ask.from).await,
        };
        let piece = whole_lines(piece.map_err(unreadable)?);
        Ok(BuildLogView {
            workload,
            deployment_id: deployment.to_string(),
            at: piece.at,
            left_out: piece.left_out,
            next: piece.next(),
            ended: piece.bytes.is_empty() && !self.builds(id, deployment),
            text: String::from_utf8_lossy(&piece.bytes).into_owned(),
            found: Vec::new(),
        })
    }

    async fn wait_for_more(&self, id: WorkloadId, deployment: DeploymentId, from: u64) -> std::io::Result<Piece> {
        match tokio::time::timeout(PATIENCE, self.more(id, deployment, from)).await {
            Ok(piece) => piece,
            Err(_) => self.execution.build_logs.read(deployment, from),
        }
    }

    /// What comes, or nothing once nothing will.
    async fn more(&self, id: WorkloadId, deployment: DeploymentId, from: u64) -> std::io::Result<Piece> {
        loop {
            let piece = self.execution.build_logs.follow(deployment, from).await?;
            if !piece.bytes.is_empty() || !self.builds(id, deployment) {
                return Ok(piece);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether the image of a deployment is being built, or about to be.
    fn builds(&self, id: WorkloadId, deployment: DeploymentId) -> bool {
        let state = self.commands.live().cell(id).state();
        let queued = state.queue.iter().any(|intent| intent.deployment == deployment);
        let open = state.open.as_ref().filter(|open| open.id() == deployment);
        queued || open.is_some_and(|open| open.release.is_none() && open.before_pivot())
    }

    /// What is done for the image of a deployment now: it is built, or pulled.
    pub(super) fn doing(&self, id: WorkloadId, deployment: DeploymentId) -> Option<String> {
        self.world.build_of(id, deployment).or_else(|| self.execution.pulling(id, deployment))
    }

    /// The newest deployment that has a log of its build, or is about to have one.
    fn newest_build(&self, id: WorkloadId, state: &Workload) -> Option<DeploymentId> {
        let built = |wish: Option<&ImageWish>| matches!(wish, Some(ImageWish::Built { .. }));
        let open = state.open.as_ref().filter(|open| built(open.intent.wish.seeks())).map(|open| open.id());
        let last = self.commands.live().with_deployments(|all| all.last_ended(id));
        let released = state.releases.iter().rev().map(|release| release.deployment);
        let kept = last.into_iter().chain(released).filter(|id| self.execution.build_logs.holds(*id)).max();
        open.or(kept)
    }

    /// The last lines of a failed build.
    pub(super) fn last_of_build(&self, deployment: DeploymentId, time: String) -> Option<OutputView> {
        let lines = self.execution.build_logs.last(deployment, LAST_LINES).ok()?;
        let (container, role) = ("its build".into(), "build".into());
        let view = OutputView { container, role, deployment_id: deployment.to_string(), time, lines };
        Some(view).filter(|view| !view.lines.is_empty())
    }
}

/// The stretch up to its last end of a line, unless it has none.
fn whole_lines(mut piece: Piece) -> Piece {
    if let Some(end) = piece.bytes.iter().rposition(|byte| *byte == b'\n') {
        piece.bytes.truncate(end + 1);
    }
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_with_a_line_where_it_has_one() {
        let cut = |text: &str| {
            let piece = whole_lines(Piece { at: 7, left_out: 0, bytes: text.as_bytes().to_vec() });
            (piece.next(), String::from_utf8(piece.bytes).unwrap())
        };
        assert_eq!(cut("one\ntwo\nthr"), (15, "one\ntwo\n".to_owned()));
        assert_eq!(cut("one"), (10, "one".to_owned()));
        assert_eq!(cut(""), (7, String::new()));
    }
}
