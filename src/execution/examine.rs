//! The doctor's look: the invariants of the simulation, on the real thing.

use cutover_domain::invariants;
use cutover_domain::observed::DockerId;

use super::Execution;
use super::lane::Lane;
use crate::adapters::runtime::gateway;

/// Bytes of present output that are read for one container at most.
const OUTPUT_BYTES: usize = 64 * 1024;

/// What one check has shown.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What it is about.
    pub name: String,
    /// Whether a sentence is broken.
    pub broken: bool,
    /// One line for a person.
    pub text: String,
}

impl Execution {
    /// Looks at every workload anew and checks every sentence.
    ///
    /// # Errors
    /// Docker or the proxy does not answer: nothing can be said.
    pub async fn examine(&self) -> Result<Vec<Examined>, String> {
        let mut found = Vec::new();
        let registry = self.commands.live().registry();
        for (id, cell) in self.commands.live().cells() {
            let mut lane = Lane::new(id, cell, self.clock.mono_ms());
            let state = lane.cell.state();
            self.look(&mut lane, &state).await?;
            let name = registry.full_name(id).unwrap_or_else(|| id.to_string());
            let broken = [invariants::always(&state), invariants::seen(&state, &lane.sight.observed)].concat();
            if broken.is_empty() {
                found.push(Examined { name: name.clone(), broken: false, text: "every sentence holds".into() });
            }
            found.extend(broken.into_iter().map(|text| Examined {
                name: name.clone(),
                broken: true,
                text: text.to_string(),
            }));
        }
        found.extend(self.strangers().await?);
        found.extend(self.nameless().await?);
        Ok(found)
    }

    /// Projects whose names are not answered.
    async fn nameless(&self) -> Result<Vec<Examined>, String> {
        let table = self.router.table().await.map_err(|error| error.to_string())?;
        let engine = self.commands.live().engine();
        let project = |address| {
            let made = engine.networks.values().find(|made| gateway(&made.subnet).is_some_and(|at| at.0 == address));
            made.map_or_else(|| format!("names on {address}"), |made| format!("names of {}", made.project))
        };
        let problems = table.gateways.into_iter().filter_map(|gateway| Some((gateway.address, gateway.problem?)));
        Ok(problems.map(|(at, text)| Examined { name: project(at), broken: true, text }).collect())
    }

    /// Why the names of a project are not answered, or will not be once it has a network; `None`: no reason is known.
    pub async fn nameless_project(&self, project: &str) -> Option<String> {
        let network = self.commands.live().engine().networks.get(project).cloned();
        let Some(made) = network else {
            let holder = tokio::task::spawn_blocking(cutover_proxy::names::holder_of_the_port).await.ok().flatten()?;
            return Some(format!("names of its workloads will not be answered: {holder}"));
        };
        let (address, _) = gateway(&made.subnet)?;
        let table = self.router.table().await.ok()?;
        table.gateways.into_iter().find(|gateway| gateway.address == address)?.problem
    }

    /// Containers with our log id that belong to no workload of the log.
    async fn strangers(&self) -> Result<Vec<Examined>, String> {
        let all = self.runtime.list(self.log, None).await.map_err(|error| error.to_string())?;
        let registry = self.commands.live().registry();
        let unknown = all.into_iter().filter(|container| !registry.workloads.contains_key(&container.workload));
        let text = |name: &str| format!("container {name} carries our log id and belongs to no workload of the log");
        Ok(unknown.map(|c| Examined { name: c.name.clone(), broken: true, text: text(&c.name) }).collect())
    }

    /// Whether an image is here; an engine without Docker says no.
    pub async fn has_image(&self, image: &str) -> bool {
        self.runtime.has_image(image).await.unwrap_or(false)
    }

    /// Present output of a container, by Docker's full id.
    ///
    /// # Errors
    /// Docker does not answer, or the container is gone.
    pub async fn output(&self, id: &str, lines: usize) -> Result<String, String> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(id, &mut bytes).map_err(|error| error.to_string())?;
        let text = self.runtime.output(DockerId(bytes), OUTPUT_BYTES).await.map_err(|error| error.to_string())?;
        let all: Vec<_> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}
