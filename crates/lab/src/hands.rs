//! What a person does to containers, networks, images and volumes, as `docker` does it.

use std::collections::HashMap;

use bollard::models::{ContainerUpdateBody, NetworkDisconnectRequest, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    PruneImagesOptionsBuilder, PruneVolumesOptionsBuilder, RemoveImageOptionsBuilder, RenameContainerOptionsBuilder,
    RestartContainerOptions, StartContainerOptions, StopContainerOptions,
};

use crate::Result;
use crate::docker::Docker;

impl Docker {
    pub(crate) async fn stop(&self, id: &str) -> Result {
        Ok(self.0.stop_container(id, None::<StopContainerOptions>).await?)
    }

    pub(crate) async fn start(&self, id: &str) -> Result {
        Ok(self.0.start_container(id, None::<StartContainerOptions>).await?)
    }

    pub(crate) async fn restart(&self, id: &str) -> Result {
        Ok(self.0.restart_container(id, None::<RestartContainerOptions>).await?)
    }

    pub(crate) async fn pause(&self, id: &str) -> Result {
        Ok(self.0.pause_container(id).await?)
    }

    pub(crate) async fn unpause(&self, id: &str) -> Result {
        Ok(self.0.unpause_container(id).await?)
    }

    pub(crate) async fn rename(&self, id: &str, name: &str) -> Result {
        Ok(self.0.rename_container(id, RenameContainerOptionsBuilder::new().name(name).build()).await?)
    }

    /// `docker update --restart=no`.
    pub(crate) async fn never_restart(&self, id: &str) -> Result {
        let policy = RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None };
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..Default::default() };
        Ok(self.0.update_container(id, body).await?)
    }

    /// `docker update --memory`.
    pub(crate) async fn limit_memory(&self, id: &str, bytes: i64) -> Result {
        let body = ContainerUpdateBody { memory: Some(bytes), memory_swap: Some(bytes), ..Default::default() };
        Ok(self.0.update_container(id, body).await?)
    }

    pub(crate) async fn disconnect(&self, network: &str, id: &str) -> Result {
        let request = NetworkDisconnectRequest { container: id.to_owned(), force: Some(true) };
        Ok(self.0.disconnect_network(network, request).await?)
    }

    pub(crate) async fn remove_network(&self, network: &str) -> Result {
        Ok(self.0.remove_network(network).await?)
    }

    /// `docker image rm -f`.
    pub(crate) async fn remove_image(&self, reference: &str) -> Result {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        self.0.remove_image(reference, Some(options), None).await?;
        Ok(())
    }

    /// `docker image prune -a`, of images that carry the label with that value.
    pub(crate) async fn prune_images(&self, label: &str, value: &str) -> Result {
        let filters =
            HashMap::from([("dangling", vec!["false".to_owned()]), ("label", vec![format!("{label}={value}")])]);
        self.0.prune_images(Some(PruneImagesOptionsBuilder::new().filters(&filters).build())).await?;
        Ok(())
    }

    /// `docker volume prune`, of volumes that carry the label with that value.
    pub(crate) async fn prune_volumes(&self, label: &str, value: &str) -> Result {
        let filters = HashMap::from([("label", vec![format!("{label}={value}")])]);
        self.0.prune_volumes(Some(PruneVolumesOptionsBuilder::new().filters(&filters).build())).await?;
        Ok(())
    }

    /// What an inspection shows of a container, when it is there.
    pub(crate) async fn look(&self, id: &str) -> Option<Looked> {
        let found = self.0.inspect_container(id, None).await.ok()?;
        let host = found.host_config.unwrap_or_default();
        let state = found.state.unwrap_or_default();
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        Some(Looked {
            name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            phase: state.status.map(|status| status.to_string()).unwrap_or_default(),
            always: host.restart_policy.and_then(|policy| policy.name) == Some(RestartPolicyNameEnum::ALWAYS),
            memory: host.memory.unwrap_or(0),
            networks: networks.len(),
        })
    }
}

/// What an inspection shows.
#[derive(Debug)]
pub(crate) struct Looked {
    pub name: String,
    /// `running`, `paused`, `exited`, …
    pub phase: String,
    /// Whether Docker restarts it.
    pub always: bool,
    /// Bytes.
    pub memory: i64,
    /// On how many networks it is.
    pub networks: usize,
}
