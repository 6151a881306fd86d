//! The repeated wake of the housekeeping. What is due is decided by age alone; the scheduler only wakes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::clock::Clock;
use crate::execution::Execution;
use crate::logs::{BuildLogs, Outputs};
use crate::store::files;

/// Between two rounds: ages are counted in days, so a round every ten minutes is early enough.
const ROUND: Duration = Duration::from_secs(600);
/// What is removed by age.
#[derive(Clone)]
pub struct Housekeeping {
    /// Raw bodies of deliveries, and how long they are kept.
    pub bodies: (PathBuf, Duration),
    /// Last output of containers that failed, and how long it is kept.
    pub outputs: (Arc<Outputs>, Duration),
    /// Logs of builds, and how long they are kept.
    pub builds: (BuildLogs, Duration),
    /// What people sent to be deployed, and how long it is kept after it was last asked for.
    pub uploads: (Arc<Execution>, Duration),
    /// Time.
    pub clock: Clock,
}

impl Housekeeping {
    /// One round.
    pub fn round(&self) {
        let now_ms = self.clock.stamp().wall_ms;
        let gone = files::remove_older(&self.bodies.0, self.bodies.1, now_ms);
        let outputs = self.outputs.0.remove_older(self.outputs.1, now_ms);
        let builds = self.builds.0.remove_older(self.builds.1, now_ms);
        let uploads = self.uploads.0.tidy_uploads(self.uploads.1, now_ms);
        for (what, gone) in [("bodies", gone), ("outputs", outputs), ("logs of builds", builds), ("uploads", uploads)] {
            match gone {
                Ok(0) => (),
                Ok(gone) => tracing::info!(what, gone, "removed by age"),
                Err(error) => tracing::warn!(what, %error, "the housekeeping cannot read a folder"),
            }
        }
    }

    /// Wakes it for as long as the scheduler lives.
    ///
    /// # Errors
    /// The scheduler cannot be started.
    pub async fn schedule(self) -> Result<JobScheduler, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let job = Job::new_repeated(ROUND, move |_, _| self.round())?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(scheduler)
    }
}
