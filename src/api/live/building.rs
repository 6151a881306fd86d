//! The logs of builds, as they are asked for.

use cutover_events::{DeploymentId, WorkloadId};

use super::LiveBackend;
use crate::api::backend::{Refusal, Stretch, WorkloadName};
use crate::api::views::BuildLogView;
use crate::logs::MAX_FOUND;

impl LiveBackend {
    /// A stretch of the log of a build: of this deployment, or the newest one that has a log.
    pub(super) async fn build_log_of(
        &self,
        name: &WorkloadName,
        deployment: Option<DeploymentId>,
        stretch: Stretch,
    ) -> Result<BuildLogView, Refusal> {
        let id = self.find(name)?;
        let none = BuildLogView {
            workload: self.full_name(id),
            deployment_id: String::new(),
            doing: None,
            left_out: 0,
            text: String::new(),
            next: stretch.from,
            ended: true,
            found: Vec::new(),
        };
        let Some(deployment) = self.built(id, deployment)? else { return Ok(none) };
        let view = BuildLogView { deployment_id: deployment.to_string(), ..none };
        let unreadable = |error: std::io::Error| Refusal::Internal(format!("the log of the build: {error}"));
        if let Some(text) = stretch.search {
            let logs = self.build_logs.clone();
            let found = tokio::task::spawn_blocking(move || logs.search(deployment, &text, MAX_FOUND)).await;
            let found = found.map_err(|error| Refusal::Internal(error.to_string()))?.map_err(unreadable)?;
            return Ok(BuildLogView { found: found.into_iter().map(|found| found.line).collect(), ..view });
        }
        let waited = tokio::time::timeout(stretch.wait, self.build_logs.follow(deployment, stretch.from)).await;
        let piece = waited.unwrap_or_else(|_| self.build_logs.read(deployment, stretch.from)).map_err(unreadable)?;
        Ok(BuildLogView {
            doing: self.world.build_of(id, deployment),
            left_out: piece.left_out,
            next: piece.next(),
            ended: piece.bytes.is_empty() && !self.build_logs.grows(deployment),
            text: String::from_utf8_lossy(&piece.bytes).into_owned(),
            ..view
        })
    }

    /// Whose build is asked for; `None` when there is no log.
    fn built(&self, id: WorkloadId, deployment: Option<DeploymentId>) -> Result<Option<DeploymentId>, Refusal> {
        let holds = |deployment: DeploymentId| self.build_logs.holds(deployment);
        let Some(asked) = deployment else {
            return Ok(self.commands.live().with_deployments(|all| all.newest(id, holds)));
        };
        match self.commands.live().with_deployments(|all| all.begins(asked)) {
            Some(begins) if begins.workload == id => Ok(Some(asked).filter(|asked| holds(*asked))),
            _ => Err(Refusal::UnknownName(format!("{} has no deployment {asked}", self.full_name(id)))),
        }
    }
}
