//! Whether the host has what a workload asks of it: folders that may be mounted, ports that are free.

use std::path::Path;

use cutover_domain::file::Declared;
use cutover_domain::registry::{Apply, told_port};
use cutover_events::WorkloadId;
use cutover_events::workload::{Mount, MountFrom, PublishedPort};

use super::LiveBackend;
use crate::adapters::host::{FolderRefused, Taken};
use crate::api::backend::Refusal;

/// Why a host does not have what is asked for.
enum Unfit {
    Folder(FolderRefused),
    Port(PublishedPort, Taken),
}

impl LiveBackend {
    /// What was declared can be had: no claim is in the way, and the host has it. Nothing is kept.
    ///
    /// # Errors
    /// A claim of another workload, a folder that may not be mounted, a port that a program has.
    pub(super) async fn fits(&self, declared: &Declared, apply: Apply) -> Result<(), Refusal> {
        let (workload, full_name) = (apply.workload, declared.full_name());
        self.registry().apply(apply).map_err(|claimed| Refusal::Conflict(claimed.to_string()))?;
        let host = self.execution.host.clone();
        let mounts = declared.spec.mounts.clone();
        let ports: Vec<_> = declared.spec.ports.iter().filter(|port| !self.has(workload, port)).copied().collect();
        if mounts.is_empty() && ports.is_empty() {
            return Ok(());
        }
        let looked = tokio::task::spawn_blocking(move || {
            for Mount { from, .. } in &mounts {
                if let MountFrom::Folder(path) = from {
                    host.folder(Path::new(path)).map_err(Unfit::Folder)?;
                }
            }
            let taken = ports.into_iter().find_map(|port| Some(Unfit::Port(port, host.taken(&port)?)));
            taken.map_or(Ok(()), Err)
        });
        match looked.await.map_err(|error| Refusal::Internal(error.to_string()))? {
            Ok(()) => Ok(()),
            Err(Unfit::Folder(why)) => Err(Refusal::BadContent(format!("{full_name}: {why}"))),
            Err(Unfit::Port(port, Taken::By(who))) => Err(Refusal::Conflict(format!(
                "{full_name}: {} is taken on this host by {who}: stop it there, or choose another port",
                told_port(&port)
            ))),
            Err(Unfit::Port(port, Taken::NoSuchAddress)) => Err(Refusal::BadContent(format!(
                "{full_name}: {} cannot be had: this host does not have the address {}",
                told_port(&port),
                port.address
            ))),
        }
    }

    /// Whether a port is with a container of this workload, which gives it up when its successor starts.
    fn has(&self, workload: WorkloadId, port: &PublishedPort) -> bool {
        let state = self.commands.live().cell(workload).state();
        let runs = state.active.is_some() || state.open.is_some() || !state.removal.is_empty();
        runs && self.registry().holds_port(workload, port)
    }
}
