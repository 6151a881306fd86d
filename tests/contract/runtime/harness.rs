//! What a sentence of the contract stands on: Docker, or its twin.

use std::future::Future;
use std::net::Ipv4Addr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerUpdateBody, NetworkDisconnectRequest};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use cutover::adapters::probe::{MemoryProber, NetProber, Prober};
use cutover::adapters::runtime::{
    Attaches, Container, CreateContainer, MemoryRuntime, Network, Runtime, RuntimeError, Witness, assignable,
};
use cutover::adapters::units::{ReleaseFolders, Units};
use cutover::adapters::world::{Fault, OnStart, Program, Shared, Twin};
use cutover::clock::Clock;
use cutover_domain::observed::DockerId;
use cutover_events::workload::{Hardening, Limits};
use cutover_events::{DeploymentId, Digest, ErrandId, LogId, ReleaseId, UnitId, WorkloadId};
use cutover_world::Hand;
use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};

use crate::docker;

/// Longer than anything takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Signal 9: the test program, as process 1, takes no other.
const KILL: u8 = 9;

/// A runtime with a log of its own.
pub(crate) struct Harness {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) attaches: Arc<dyn Attaches>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) log: LogId,
    pub(crate) network: Network,
    /// Reference of an image that was made here.
    pub(crate) reference: String,
    image: String,
    failing_image: String,
    /// The twin's world; `None` for Docker.
    pub(crate) twin: Option<Shared>,
    /// The data folder, for what is kept in one.
    pub(crate) data: Option<tempfile::TempDir>,
    next_address: std::sync::atomic::AtomicU32,
}

/// What the container of a test does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers on port 8080.
    Serves,
    /// Ends with code 3.
    Fails,
}

/// Docker, after removing what an earlier run of this test left.
pub(crate) async fn begin_docker(test: &str) -> Harness {
    let log = docker::log_id(test);
    docker::sweep(log).await;
    let image = docker::image().await;
    let runtime = docker::runtime();
    let reference = docker::client().await.inspect_image(&image).await.expect("the image").repo_tags;
    let reference = reference.into_iter().flatten().find(|tag| tag.starts_with("cutover-test/")).expect("a tag");
    let prober = Arc::new(NetProber);
    let attaches: Arc<dyn Attaches> = runtime.clone();
    harness(HarnessParts { runtime, attaches, prober, log, reference, failing: image.clone(), image, twin: None }).await
}

/// An empty world.
pub(crate) async fn begin_memory(test: &str) -> Harness {
    let twin = Twin::shared();
    let output = |rest: &str| format!("out: \nerr: \n{rest}");
    let (image, failing) = {
        let mut twin = twin.lock();
        let serves = Program { on_start: OnStart::Ready, output: output("serves\n"), exposed: vec![8080] };
        let fails = Program { on_start: OnStart::Exits(3), output: output("last words\n"), exposed: vec![8080] };
        (twin.image_here("cutover-test/app:1", serves).id, twin.image_here("cutover-test/app:2", fails).id)
    };
    let runtime = Arc::new(MemoryRuntime::new(twin.clone()));
    let prober = Arc::new(MemoryProber::new(twin.clone()));
    let reference = "cutover-test/app:1".to_owned();
    let log = docker::log_id(test);
    let attaches: Arc<dyn Attaches> = runtime.clone();
    harness(HarnessParts { runtime, attaches, prober, log, reference, failing, image, twin: Some(twin) }).await
}

/// Release folders beside an empty world.
pub(crate) async fn begin_folders(test: &str) -> Harness {
    let mut harness = begin_memory(test).await;
    let data = tempfile::tempdir().expect("a folder");
    let release = data.path().join("sites/wl_contract/rel_contract");
    std::fs::create_dir_all(&release).expect("a release folder");
    std::fs::write(release.join("manifest.json"), "{}").expect("a manifest");
    let folders = ReleaseFolders::open(data.path(), Clock::system()).expect("notes");
    harness.runtime = Arc::new(Units::over(harness.runtime, vec![Arc::new(folders)]));
    harness.image = "site:wl_contract/rel_contract".to_owned();
    harness.data = Some(data);
    harness
}

struct HarnessParts {
    runtime: Arc<dyn Runtime>,
    attaches: Arc<dyn Attaches>,
    prober: Arc<dyn Prober>,
    log: LogId,
    reference: String,
    image: String,
    failing: String,
    twin: Option<Shared>,
}

async fn harness(parts: HarnessParts) -> Harness {
    let HarnessParts { runtime, attaches, prober, log, reference, image, failing, twin } = parts;
    let network = runtime.ensure_network(log, "contract").await.expect("a network");
    let (first, _) = assignable(&network.subnet).expect("a range");
    let next_address = u32::from(first).into();
    Harness {
        runtime,
        attaches,
        prober,
        log,
        network,
        reference,
        image,
        failing_image: failing,
        twin,
        data: None,
        next_address,
    }
}

/// Runs a sentence, and removes what it made whether it holds or not.
pub(crate) async fn run<F>(harness: Harness, sentence: F)
where
    F: for<'a> FnOnce(&'a Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
{
    let outcome = AssertUnwindSafe(sentence(&harness)).catch_unwind().await;
    if harness.twin.is_none() {
        docker::sweep(harness.log).await;
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Harness {
    /// A container that is not created yet, with an address of its own.
    pub(crate) fn container(&self, behaviour: Behaviour) -> CreateContainer {
        let clock = Clock::system();
        let unit = UnitId::from_ulid(clock.ulid());
        let address = self.next_address.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let fails = behaviour == Behaviour::Fails;
        let exit = fails.then(|| ("EXIT".to_owned(), "3".to_owned()));
        CreateContainer {
            name: format!("cutover-test-{}", unit.suffix()),
            unit,
            workload: WorkloadId::from_ulid(clock.ulid()),
            full_name: "contract/web".to_owned(),
            release: ReleaseId::from_ulid(clock.ulid()),
            deployment: DeploymentId::from_ulid(clock.ulid()),
            witness: Witness { position: 42, chain: Digest::of(b"chain") },
            image: if fails { self.failing_image.clone() } else { self.image.clone() },
            network: self.network.id.clone(),
            address: Ipv4Addr::from(address),
            alias: None,
            mounts: vec![],
            ports: vec![],
            dns: vec![],
            env: [("WHO".to_owned(), "contract".to_owned())].into_iter().chain(exit).collect(),
            command: Some(vec!["last".to_owned(), "words".to_owned()]),
            limits: Limits::default(),
            hardening: Hardening::Default,
            stop_signal: KILL,
            renewal: Default::default(),
        }
    }

    /// Creates a container that serves.
    pub(crate) async fn created(&self) -> (CreateContainer, DockerId) {
        let container = self.container(Behaviour::Serves);
        let id = self.runtime.create(self.log, &container).await.expect("a container");
        (container, id)
    }

    /// One container as it is now.
    pub(crate) async fn seen(&self, id: DockerId) -> Container {
        self.runtime.inspect(id).await.expect("an inspection").expect("the container")
    }

    /// Waits until a container is as wanted.
    pub(crate) async fn until(&self, id: DockerId, wanted: impl Fn(&Container) -> bool) -> Container {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen(id).await;
            if wanted(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{seen:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A create whose sender gives up `after` some time: it may be done, be done later, or never.
    pub(crate) async fn create_and_give_up(&self, container: &CreateContainer, after: Duration) {
        if let Some(twin) = &self.twin {
            twin.lock().fault(Fault::Hidden);
            let lost = self.runtime.create(self.log, container).await;
            assert!(matches!(lost, Err(RuntimeError::Unavailable(_))), "{lost:?}");
        } else {
            // Too early is what is wanted; in time is possible on a fast machine.
            drop(timeout(after, self.runtime.create(self.log, container)).await);
        }
    }

    /// A start whose sender gives up: it may be done, or cancelled.
    pub(crate) async fn start_and_give_up(&self, id: DockerId, after: Duration) {
        if let Some(twin) = &self.twin {
            twin.lock().fault(Fault::Lost);
            let lost = self.runtime.start(id).await;
            assert!(matches!(lost, Err(RuntimeError::Unavailable(_))), "{lost:?}");
        } else {
            drop(timeout(after, self.runtime.start(id)).await);
        }
    }

    /// A person does this to a container.
    pub(crate) async fn lay(&self, hand: Hand, unit: UnitId, id: DockerId) {
        if let Some(twin) = &self.twin {
            assert!(twin.lock().world.human(unit, hand), "{hand:?}");
            return;
        }
        let (docker, name) = (docker::client().await, hex::encode(id.0));
        match hand {
            Hand::Pause => docker.pause_container(&name).await.expect("a pause"),
            Hand::Rename => {
                let now = self.seen(id).await.name;
                let options = RenameContainerOptionsBuilder::new().name(&format!("{now}-renamed")).build();
                docker.rename_container(&name, options).await.expect("a name");
            }
            Hand::Limits => {
                let memory = Some(32 << 20);
                let body = ContainerUpdateBody { memory, memory_swap: memory, ..ContainerUpdateBody::default() };
                docker.update_container(&name, body).await.expect("limits");
            }
            Hand::Disconnect => {
                let found = docker.inspect_container(&name, None).await.expect("an inspection");
                let network = found.host_config.and_then(|host| host.network_mode).expect("a network");
                let request = NetworkDisconnectRequest { container: name, force: Some(true) };
                docker.disconnect_network(&network, request).await.expect("off the network");
            }
            Hand::Stop | Hand::Start | Hand::Restart | Hand::Policy => panic!("the contract has others for {hand:?}"),
        }
    }

    /// What Docker does by itself after a while: a create that took its name can be inspected.
    pub(crate) fn appear(&self, unit: UnitId) {
        if let Some(twin) = &self.twin {
            twin.lock().world.appear(unit);
        }
    }

    /// Somebody else's container takes a name; it is gone with [`Harness::drop_foreign`].
    pub(crate) async fn foreign(&self, name: &str) {
        match &self.twin {
            Some(twin) => twin.lock().foreign_container(name),
            None => {
                let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(name).build();
                let body =
                    bollard::models::ContainerCreateBody { image: Some(self.image.clone()), ..Default::default() };
                let docker = docker::client().await;
                docker.create_container(Some(options), body).await.expect("a foreign container");
            }
        }
    }

    /// Image of a container of its own, and its variable `WHO`.
    pub(crate) async fn made_of(&self, errand: ErrandId, id: DockerId) -> (String, String) {
        if let Some(twin) = &self.twin {
            let made = twin.lock().created_alone(errand).expect("the container");
            return (made.image, made.env.into_iter().find(|(name, _)| name == "WHO").expect("a variable").1);
        }
        let found = docker::client().await.inspect_container(&hex::encode(id.0), None).await.expect("an inspection");
        let env = found.config.and_then(|config| config.env).unwrap_or_default();
        let who = env.iter().find_map(|line| line.strip_prefix("WHO=")).expect("a variable");
        (found.image.expect("an image"), who.to_owned())
    }

    /// A name for a volume that no other test has.
    pub(crate) fn volume(&self, name: &str) -> String {
        format!("cutover-test-{}-{name}", &hex::encode(self.log.0)[..16])
    }

    /// A volume of somebody else is there; it is gone with [`Harness::drop_foreign_volume`].
    pub(crate) async fn foreign_volume(&self, name: &str) {
        if let Some(twin) = &self.twin {
            return twin.lock().foreign_volume(name);
        }
        let request = bollard::models::VolumeCreateRequest { name: Some(name.to_owned()), ..Default::default() };
        docker::client().await.create_volume(request).await.expect("a volume");
    }

    pub(crate) async fn drop_foreign_volume(&self, name: &str) {
        if self.twin.is_none() {
            let options = None::<bollard::query_parameters::RemoveVolumeOptions>;
            docker::client().await.remove_volume(name, options).await.expect("a removal");
        }
    }

    pub(crate) async fn drop_foreign(&self, name: &str) {
        if self.twin.is_none() {
            docker::remove_container(&docker::client().await, name).await;
        }
    }
}
