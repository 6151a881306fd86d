//! Whether what was declared can be had, by the claims of others and by the host.

use cutover_domain::context::Context;
use cutover_domain::file::Declared;
use cutover_domain::recipe::recipe;
use cutover_domain::registry::Apply;
use cutover_events::WorkloadId;
use cutover_events::workload::PublishedPort;

use super::LiveBackend;
use crate::api::backend::Refusal;
use crate::commands::Error;
use crate::execution::{Asked, Files, Unfit};

impl LiveBackend {
    /// What was declared can be had: no claim is in the way, and the host has it. Nothing is kept. Says whether what it is
    /// made of has changed, where that is known.
    ///
    /// # Errors
    /// A claim of another workload, a folder that may not be mounted, a port that a program has.
    pub(super) async fn fits(&self, declared: &Declared, apply: Apply) -> Result<Files, Refusal> {
        let (workload, full_name) = (apply.workload, declared.full_name());
        self.registry().apply(apply).map_err(|rejected| Refusal::from(Error::Claimed(rejected)))?;
        let mounts = declared.spec.mounts.clone();
        let ports: Vec<_> = declared.spec.ports.iter().filter(|port| !self.has(workload, port)).copied().collect();
        let recipe = recipe(&declared.spec.source);
        let first = recipe.as_ref().is_some_and(|recipe| recipe.makes.is_judged_first());
        let files = match first {
            true => self.execution.judge(workload, declared).await.map_err(|unfit| refused(&full_name, unfit))?,
            false => Files::Same,
        };
        let place = recipe.map_or(Ok(None), |recipe| recipe.place(None));
        let place = place.map_err(|why| Refusal::BadContent(format!("{full_name}: {why}")))?;
        let (source, repository) = match place {
            Some(Context::Folder(path) | Context::Tarball(path)) => (Some(path).filter(|_| !first), None),
            Some(Context::Git(repository)) => (None, Some(repository.url)),
            None => (None, None),
        };
        let asked = Asked { mounts, ports, source, repository };
        if asked.is_nothing() {
            return Ok(files);
        }
        self.execution.fits(asked).await.map(|()| files).map_err(|unfit| refused(&full_name, unfit))
    }

    /// Whether a port is with a container of this workload, which gives it up when its successor starts.
    fn has(&self, workload: WorkloadId, port: &PublishedPort) -> bool {
        let state = self.commands.live().cell(workload).state();
        let runs = state.active.is_some() || state.open.is_some() || !state.removal.is_empty();
        runs && self.registry().holds_port(workload, port)
    }
}

fn refused(full_name: &str, unfit: Unfit) -> Refusal {
    match unfit {
        Unfit::Content(why) => Refusal::BadContent(format!("{full_name}: {why}")),
        Unfit::Conflict(why) => Refusal::Conflict(format!("{full_name}: {why}")),
        Unfit::Unknown(why) => Refusal::Internal(why),
    }
}
