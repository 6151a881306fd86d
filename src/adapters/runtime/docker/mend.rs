//! What puts right what a person has done to a container, addressed by Docker's id alone.

use std::time::Duration;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::RenameContainerOptionsBuilder;
use cutover_domain::observed::DockerId;
use cutover_events::workload::Limits;

use super::client::{classify, status, text, within};
use super::look::limits;
use super::{DockerRuntime, RuntimeError, create, names};

/// Each waits for the lock of its container, which a start or a clean-up can hold for half a second.
const CALL: Duration = Duration::from_secs(20);
/// What stands for "without a limit" in an update, where 0 means "as it is".
const UNLIMITED: i64 = -1;

impl DockerRuntime {
    /// Its processes go on, or went on already, or have ended meanwhile.
    pub(super) async fn let_go_on(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let name = names::container(id);
        let call = docker.unpause_container(&name);
        match within("unpause", CALL, call).await? {
            Err(error) if text(&error).contains("not paused") => Ok(()),
            other => other.map_err(classify("let the container go on")),
        }
    }

    /// It has that name.
    pub(super) async fn call_again(&self, id: DockerId, wanted: &str) -> Result<(), RuntimeError> {
        names::checked(wanted)?;
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let name = names::container(id);
        let options = RenameContainerOptionsBuilder::new().name(wanted).build();
        let call = docker.rename_container(&name, options);
        match within("rename", CALL, call).await? {
            // It has the name already.
            Err(error) if status(&error) == Some(400) && text(&error).contains("same name") => Ok(()),
            other => other.map_err(classify("give the container its name")),
        }
    }

    /// It may use that much. Docker cannot lift every limit of a container that runs: that is told, and tried again.
    pub(super) async fn limit(&self, id: DockerId, wanted: Limits) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let name = names::container(id);
        let (memory, nano_cpus) = create::limits(wanted);
        let memory = Some(memory.unwrap_or(UNLIMITED));
        let body = ContainerUpdateBody {
            memory,
            memory_swap: memory,
            nano_cpus,
            pids_limit: Some(wanted.pids.map_or(UNLIMITED, i64::from)),
            ..ContainerUpdateBody::default()
        };
        within("update", CALL, docker.update_container(&name, body)).await?.map_err(classify("set the limits"))?;
        let seen = self.inspect_raw(&name).await?.and_then(|found| found.host_config);
        match seen.as_ref().map(limits) {
            Some(now) if now != wanted => Err(RuntimeError::Unavailable(
                "Docker keeps other limits than it was told to set; `cutover restart` makes new containers".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}
