//! Programs of people in units of every kind: in a stack they run in the containers that Compose has made for its service.

use std::sync::Arc;

use async_trait::async_trait;
use cutover_domain::observed::DockerId;
use cutover_events::{ErrandId, LogId};
use futures_util::stream::BoxStream;

use super::{Kind, StackUnits};
use crate::adapters::runtime::{
    Alone, Attached, Attaches, Like, Line, Program, Push, Reading, Running, RuntimeError, Size,
};

/// Docker's programs, and those in stacks beside them. The id of a unit that is a stack stands for the container of its
/// only service; a container of a service goes by its own id, as every other one does.
pub struct Programs {
    docker: Arc<dyn Attaches>,
    stacks: Arc<StackUnits>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Programs").field("stacks", &self.stacks).finish_non_exhaustive()
    }
}

impl Programs {
    /// What runs programs in containers, and the stacks.
    #[must_use]
    pub fn over(docker: Arc<dyn Attaches>, stacks: Arc<StackUnits>) -> Self {
        Self { docker, stacks }
    }

    async fn container(&self, id: DockerId) -> Result<DockerId, RuntimeError> {
        if self.stacks.holds(id) { self.stacks.only_container(id).await } else { Ok(id) }
    }
}

#[async_trait]
impl Attaches for Programs {
    async fn exec(&self, container: DockerId, program: &Program) -> Result<Attached, RuntimeError> {
        self.docker.exec(self.container(container).await?, program).await
    }

    async fn create_alone(&self, log: LogId, alone: &Alone) -> Result<DockerId, RuntimeError> {
        if !self.stacks.makes(&alone.container.image) {
            return self.docker.create_alone(log, alone).await;
        }
        let like = self.stacks.only_like(log, &alone.container).await?;
        self.docker.create_alone_like(log, alone, &like).await
    }

    async fn create_alone_like(&self, log: LogId, alone: &Alone, like: &Like) -> Result<DockerId, RuntimeError> {
        self.docker.create_alone_like(log, alone, like).await
    }

    async fn start_alone(&self, container: DockerId, terminal: Option<Size>) -> Result<Attached, RuntimeError> {
        self.docker.start_alone(container, terminal).await
    }

    async fn alone(&self, log: LogId) -> Result<Vec<(DockerId, ErrandId)>, RuntimeError> {
        self.docker.alone(log).await
    }

    async fn remove_alone(&self, container: DockerId) -> Result<(), RuntimeError> {
        self.docker.remove_alone(container).await
    }

    async fn read(
        &self,
        container: DockerId,
        reading: Reading,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, RuntimeError> {
        self.docker.read(self.container(container).await?, reading).await
    }

    async fn resize(&self, running: &Running, size: Size) -> Result<(), RuntimeError> {
        self.docker.resize(running, size).await
    }

    async fn exit_code(&self, running: &Running) -> Result<i32, RuntimeError> {
        self.docker.exit_code(running).await
    }

    async fn push(&self, running: &Running, push: Push) -> Result<(), RuntimeError> {
        self.docker.push(running, push).await
    }
}
