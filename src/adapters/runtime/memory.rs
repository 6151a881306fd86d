//! The twin of Docker: the same contract, over a [`World`](crate::adapters::world::World).

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cutover_domain::observed::{DockerId, Restart};
use cutover_events::workload::{Access, Limits, Mount, MountFrom, Pull};
use cutover_events::{LogId, ReleaseId, WorkloadId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Container, CreateContainer, Hint, Image, Login, Mounted, Network, Runtime, RuntimeError, Volume};
use crate::adapters::world::{Answer, Body, Create, Details, Request, Shared, Twin};

/// How long a name may be taken by a container that cannot be inspected, as for Docker.
const CONFLICT_DEADLINE: Duration = Duration::from_secs(2);
/// Between two looks at such a name.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);
/// Hints that are waiting; past it the watcher looks at everything anyway.
const HINTS: usize = 256;

/// Docker, in memory.
#[derive(Clone, Debug)]
pub struct MemoryRuntime {
    twin: Shared,
}

impl MemoryRuntime {
    /// Over a world that the other in-memory adapters share.
    #[must_use]
    pub fn new(twin: Shared) -> Self {
        Self { twin }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.twin
    }

    fn effect(&self, request: Request) -> Result<Answer, RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        twin.effect(request).ok_or_else(|| RuntimeError::Unavailable("the answer was lost".to_owned()))
    }

    fn try_create(&self, log: LogId, container: &CreateContainer) -> Result<Option<DockerId>, RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        let other = |details: &Details| details.create.name == container.name && details.create.unit != container.unit;
        let held = twin.details.values().any(|details| other(details) && twin.world.holds(details.create.unit));
        if held || twin.foreign_names.contains(&container.name) {
            return Err(RuntimeError::NameTaken(container.name.clone()));
        }
        if !twin.programs.contains_key(&container.image) {
            return Err(RuntimeError::ImageMissing(format!("the image {} is not here", container.image)));
        }
        let held_by_other_log = twin.details.get(&container.unit).is_some_and(|details| details.log != log);
        if held_by_other_log && twin.world.holds(container.unit) {
            return Err(RuntimeError::NameTaken(container.name.clone()));
        }
        if !twin.world.holds(container.unit) {
            make_volumes(&mut twin, log, container);
            twin.details.insert(container.unit, Details { log, create: container.clone() });
        }
        let request = Request::Create(Create {
            workload: container.workload,
            unit: container.unit,
            position: container.witness.position,
            address: container.address,
            folder: false,
        });
        match twin.effect(request) {
            Some(Answer::Created(id) | Answer::Exists(id)) => Ok(Some(id)),
            Some(Answer::Conflict) => Ok(None),
            Some(Answer::Foreign) => Err(RuntimeError::NameTaken(container.name.clone())),
            Some(other) => Err(refused(other)),
            None => Err(RuntimeError::Unavailable("the answer was lost".to_owned())),
        }
    }
}

pub(super) fn check(twin: &Twin) -> Result<(), RuntimeError> {
    twin.away().map_or(Ok(()), |why| Err(RuntimeError::Unavailable(why.to_owned())))
}

fn refused(answer: Answer) -> RuntimeError {
    match answer {
        Answer::NotFound => RuntimeError::NotFound("no such container".to_owned()),
        Answer::AddressInUse => RuntimeError::Refused("Address already in use".to_owned()),
        Answer::RemovalInProgress => RuntimeError::Refused("the container is being removed".to_owned()),
        other => RuntimeError::Refused(format!("{other:?}")),
    }
}

fn done(answer: Answer) -> Result<(), RuntimeError> {
    match answer {
        Answer::Done | Answer::AlreadySo => Ok(()),
        other => Err(refused(other)),
    }
}

fn container(twin: &Twin, body: &Body) -> Option<(LogId, Container)> {
    let Details { log, create } = twin.details.get(&body.unit)?;
    let started = if body.runs == 0 { String::new() } else { format!("run {}", body.runs) };
    let found = Container {
        id: body.id,
        name: if body.renamed { format!("{}-renamed", create.name) } else { create.name.clone() },
        full_name: create.full_name.clone(),
        unit: body.unit,
        workload: body.workload,
        release: create.release,
        deployment: create.deployment,
        witness: Some(create.witness),
        phase: body.phase,
        paused: body.paused_since.is_some(),
        connected: body.apart_since.is_none(),
        limits: if body.resized { Limits { pids: Some(1), ..create.limits } } else { create.limits },
        restart: body.restart,
        restarts: body.restarts,
        exit_code: body.exit_code,
        oom_killed: false,
        started_at: started,
        // The time of the twin stands still: what runs has run for ever.
        age_ms: if body.runs() { u64::MAX } else { 0 },
        up_ms: if body.runs() { twin.world.now_ms().saturating_sub(body.since_ms) } else { 0 },
        health: body.health,
        address: Some(create.address).filter(|address| !address.is_unspecified() && body.apart_since.is_none()),
        folder: None,
        services: Vec::new(),
        mounts: mounted(create),
        ports: {
            let mut ports = create.ports.clone();
            ports.sort_unstable();
            ports
        },
    };
    Some((*log, found))
}

fn mounted(create: &CreateContainer) -> Vec<Mounted> {
    let one = |mount: &Mount| Mounted {
        from: mount.from.clone(),
        target: mount.target.clone(),
        writable: mount.access != Access::ReadOnly,
    };
    let mut all: Vec<Mounted> = create.mounts.iter().map(one).collect();
    all.sort_by(|a, b| a.target.cmp(&b.target));
    all
}

/// The volumes of a create are made with it, unless they are there.
fn make_volumes(twin: &mut Twin, log: LogId, create: &CreateContainer) {
    let project = create.full_name.split('/').next().unwrap_or_default();
    for mount in &create.mounts {
        if let MountFrom::Volume(name) = &mount.from {
            let volume = Volume { name: name.clone(), workload: create.workload, project: project.to_owned() };
            twin.volumes.entry(name.clone()).or_insert(Some((log, volume)));
        }
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    async fn daemon(&self) -> Result<String, RuntimeError> {
        check(&self.twin.lock())?;
        Ok("MEMORY".to_owned())
    }

    async fn list(&self, log: LogId, workload: Option<WorkloadId>) -> Result<Vec<Container>, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        let all = twin.world.containers().filter_map(|body| container(&twin, body));
        let ours = all.filter(|(its, found)| *its == log && workload.is_none_or(|wanted| wanted == found.workload));
        Ok(ours.map(|(_, found)| found).collect())
    }

    async fn inspect(&self, id: DockerId) -> Result<Option<Container>, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        Ok(twin.world.container(id).and_then(|body| container(&twin, body)).map(|(_, found)| found))
    }

    async fn resolve(
        &self,
        reference: &str,
        (pull, _platform): (Pull, &str),
        _login: Option<&Login>,
    ) -> Result<Image, RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        let here = twin.here.get(reference).cloned();
        let ask = match (&here, pull) {
            (_, Pull::Never) | (Some(_), Pull::Missing) => false,
            (Some(image), Pull::Always) => !image.repo_digest.is_empty() && !reference.contains('@'),
            (None, Pull::Missing | Pull::Always) => true,
        };
        let known = if ask { twin.registry.get(reference).cloned() } else { None };
        if let Some(image) = &known {
            twin.here.insert(reference.to_owned(), image.clone());
        }
        known.or(here).ok_or_else(|| match ask {
            true => {
                RuntimeError::NotPushed(format!("the image {reference} is not here and its registry does not have it"))
            }
            false => RuntimeError::ImageMissing(format!("the image {reference} is not here")),
        })
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        Ok(twin.here.values().any(|here| here.id == image))
    }

    fn folder(&self, _image: &str) -> Option<PathBuf> {
        None
    }

    async fn tag(&self, image: &str, release: ReleaseId) -> Result<(), RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        let Some(found) = twin.here.values().find(|here| here.id == image).cloned() else {
            return Err(RuntimeError::NotFound(image.to_owned()));
        };
        twin.here.insert(format!("cutover/{release}"), found);
        Ok(())
    }

    async fn ensure_network(&self, log: LogId, project: &str) -> Result<Network, RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        if let Some((_, found)) = twin.networks.iter().find(|(its, found)| *its == log && found.project == project) {
            return Ok(found.clone());
        }
        twin.networks_made += 1;
        let subnet = format!("{}/22", Ipv4Addr::new(10, 210, twin.networks_made.wrapping_mul(4), 0));
        let id = cutover_events::Digest::of(format!("{log} {project} {subnet}").as_bytes()).to_string();
        let network = Network { id, project: project.to_owned(), subnet };
        twin.networks.push((log, network.clone()));
        Ok(network)
    }

    async fn networks(&self, log: LogId) -> Result<Vec<Network>, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        Ok(twin.networks.iter().filter(|(its, _)| *its == log).map(|(_, found)| found.clone()).collect())
    }

    async fn remove_network(&self, id: &str) -> Result<(), RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        let used = |body: &Body| twin.details.get(&body.unit).is_some_and(|details| details.create.network == id);
        if twin.world.containers().any(|body| body.runs() && used(body)) {
            return Err(RuntimeError::Refused(format!("the network {id} has active endpoints")));
        }
        twin.networks.retain(|(_, found)| found.id != id);
        Ok(())
    }

    async fn volumes(&self, log: LogId) -> Result<Vec<Volume>, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        let ours = twin.volumes.values().flatten().filter(|(its, _)| *its == log);
        Ok(ours.map(|(_, volume)| volume.clone()).collect())
    }

    async fn remove_volume(&self, log: LogId, name: &str) -> Result<(), RuntimeError> {
        let mut twin = self.twin.lock();
        check(&twin)?;
        match twin.volumes.get(name) {
            None => return Ok(()),
            Some(Some((its, _))) if *its == log => (),
            Some(_) => {
                return Err(RuntimeError::Refused(format!(
                    "the volume {name} was not made by this engine, and is kept"
                )));
            }
        }
        let mounts = |body: &Body| {
            let create = twin.details.get(&body.unit).map(|details| &details.create);
            create.is_some_and(|create| create.mounts.iter().any(|m| m.from == MountFrom::Volume(name.to_owned())))
        };
        if twin.world.containers().any(mounts) {
            return Err(RuntimeError::Refused(format!("the volume {name} is in use")));
        }
        twin.volumes.remove(name);
        Ok(())
    }

    async fn create(&self, log: LogId, container: &CreateContainer) -> Result<DockerId, RuntimeError> {
        let deadline = Instant::now() + CONFLICT_DEADLINE;
        loop {
            if let Some(id) = self.try_create(log, container)? {
                return Ok(id);
            }
            if Instant::now() >= deadline {
                return Err(RuntimeError::Unavailable(format!(
                    "the name {} is taken, by nothing seen",
                    container.name
                )));
            }
            sleep(CONFLICT_PAUSE).await;
        }
    }

    async fn start(&self, id: DockerId) -> Result<(), RuntimeError> {
        done(self.effect(Request::Start(id))?)
    }

    async fn set_restart(&self, id: DockerId, restart: Restart) -> Result<(), RuntimeError> {
        done(self.effect(Request::SetRestart(id, restart))?)
    }

    async fn unpause(&self, id: DockerId) -> Result<(), RuntimeError> {
        done(self.effect(Request::Unpause(id))?)
    }

    async fn rename(&self, id: DockerId, _name: &str) -> Result<(), RuntimeError> {
        done(self.effect(Request::Rename(id))?)
    }

    async fn set_limits(&self, id: DockerId, _limits: Limits) -> Result<(), RuntimeError> {
        done(self.effect(Request::SetLimits(id))?)
    }

    async fn stop(&self, id: DockerId, _grace: Duration) -> Result<(), RuntimeError> {
        match self.effect(Request::Stop(id))? {
            Answer::NotFound => Ok(()),
            other => done(other),
        }
    }

    async fn remove(&self, id: DockerId) -> Result<(), RuntimeError> {
        match self.effect(Request::Remove(id))? {
            Answer::NotFound | Answer::RemovalInProgress => Ok(()),
            other => done(other),
        }
    }

    async fn output(&self, id: DockerId, bytes: usize) -> Result<String, RuntimeError> {
        let twin = self.twin.lock();
        check(&twin)?;
        let body = twin.world.container(id).ok_or_else(|| RuntimeError::NotFound("no such container".to_owned()))?;
        let image = twin.details.get(&body.unit).map(|details| &details.create.image);
        let text = image.and_then(|image| twin.programs.get(image)).map(|program| program.output.as_str());
        let text = if body.runs == 0 { "" } else { text.unwrap_or_default() };
        let from = (text.len().saturating_sub(bytes)..=text.len()).find(|at| text.is_char_boundary(*at));
        Ok(text[from.unwrap_or(text.len())..].to_owned())
    }

    fn hints(self: Arc<Self>, log: LogId) -> mpsc::Receiver<Hint> {
        let (sender, receiver) = mpsc::channel(HINTS);
        // The channel is new and has room.
        if sender.try_send(Hint::LookAtAll).is_ok() {
            self.twin.lock().watch(log, sender);
        }
        receiver
    }
}
