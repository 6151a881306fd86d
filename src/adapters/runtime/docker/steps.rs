//! What is done to a container that exists, addressed by Docker's id alone: a late request must miss.

use std::time::Duration;

use bollard::models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder,
};
use cutover_domain::observed::{DockerId, Restart};
use futures_util::StreamExt;

use super::client::{classify, status, text, within};
use super::{DockerRuntime, RuntimeError, names};

/// A start takes 0.2 to 1.2 s; a host under load, or a slow volume, takes many.
const START: Duration = Duration::from_secs(60);
/// Changing a policy waits for the lock of the container.
const UPDATE: Duration = Duration::from_secs(20);
/// What Docker needs past the grace of a stop: the kill, and the clean-up after it.
const STOP_MARGIN: Duration = Duration::from_secs(30);
/// A forced removal kills, cleans up and deletes files.
const REMOVE: Duration = Duration::from_secs(60);
/// Reading the end of an output.
const OUTPUT: Duration = Duration::from_secs(10);
/// Lines of output that are asked for; the bytes are bounded apart.
const OUTPUT_LINES: &str = "200";

impl DockerRuntime {
    /// Runs, or ran already.
    pub(super) async fn start_container(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let name = names::container(id);
        let call = docker.start_container(&name, None::<StartContainerOptions>);
        within("start", START, call).await?.map_err(classify("start the container"))
    }

    /// The policy is set.
    pub(super) async fn set_policy(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let policy = match restart {
            Restart::No => RestartPolicyNameEnum::NO,
            Restart::Always => RestartPolicyNameEnum::ALWAYS,
        };
        let policy = RestartPolicy { name: Some(policy), maximum_retry_count: None };
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..ContainerUpdateBody::default() };
        let name = names::container(id);
        let call = docker.update_container(&name, body);
        within("update", UPDATE, call).await?.map_err(classify("set the restart policy"))
    }

    /// Ended, or gone.
    pub(super) async fn stop_container(&self, id: DockerId, grace: Duration) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        // Docker counts whole seconds; a fraction is granted in full.
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let name = names::container(id);
        let call = docker.stop_container(&name, Some(options));
        match within("stop", grace.saturating_add(STOP_MARGIN), call).await? {
            Err(error) if status(&error) == Some(404) => Ok(()),
            other => other.map_err(classify("stop the container")),
        }
    }

    /// Gone with its anonymous volumes, or being removed.
    pub(super) async fn remove_container(&self, id: DockerId) -> Result<(), RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let name = names::container(id);
        let call = docker.remove_container(&name, Some(options));
        match within("remove", REMOVE, call).await? {
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) if status(&error) == Some(409) && text(&error).contains("already in progress") => Ok(()),
            other => other.map_err(classify("remove the container")),
        }
    }

    /// The end of both streams, as they came, without a first line that was cut in two.
    pub(super) async fn last_output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(OUTPUT_LINES).build();
        let name = names::container(id);
        let read = async {
            let mut stream = std::pin::pin!(docker.logs(&name, Some(options)));
            let mut tail = Tail::new(bytes);
            while let Some(piece) = stream.next().await {
                tail.push(piece?.as_ref());
            }
            Ok(tail.text())
        };
        within("logs", OUTPUT, read).await?.map_err(classify("read the output"))
    }
}

/// The last bytes of what is pushed; holds at most twice the limit and one piece.
struct Tail {
    limit: usize,
    kept: Vec<u8>,
    cut: bool,
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), cut: false }
    }

    fn push(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
        if self.kept.len() > self.limit.saturating_mul(2) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let over = self.kept.len().saturating_sub(self.limit);
        if over > 0 {
            self.kept.drain(..over);
            self.cut = true;
        }
    }

    fn text(mut self) -> String {
        self.trim();
        let broken = self.kept.iter().position(|byte| *byte == b'\n').filter(|_| self.cut).map_or(0, |at| at + 1);
        // A single line that is longer than everything is better than nothing.
        let start = if broken < self.kept.len() { broken } else { 0 };
        String::from_utf8_lossy(&self.kept[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_last_lines_are_kept() {
        let mut tail = Tail::new(10);
        for line in 0..1000 {
            tail.push(format!("line {line}\n").as_bytes());
            assert!(tail.kept.len() <= 29);
        }
        assert_eq!(tail.text(), "line 999\n");
        let mut long = Tail::new(10);
        long.push(b"0123456789abcdefg\n");
        assert_eq!(long.text(), "89abcdefg\n");
        let mut short = Tail::new(10);
        short.push(b"a\nb\n");
        assert_eq!(short.text(), "a\nb\n");
    }
}
