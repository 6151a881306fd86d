//! The boot sequence. It has no special case for what was open: the lanes drive it on, as they drive anything else.
//!
//! Order: fold the log; look at Docker and the proxy and compare every witness; EngineStarted; intents that a revision
//! wants and that are missing. Deliveries that are open are decided by the intake, from the same log.

use std::sync::Arc;
use std::time::Duration;

use cutover_domain::engine::Engine;
use cutover_domain::recipe::recipe;
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use cutover_events::engine::{EngineStarted, Held, HeldCause};
use cutover_events::{Actor, Cause, DeploymentId, Event, InstanceId, Key, RouterBoot, StreamId, WorkloadId};
use cutover_proxy::wire::Table;

use crate::adapters::router::Router;
use crate::adapters::runtime::{Container, Runtime};
use crate::clock::Clock;
use crate::commands::{By, Commands, Error};

/// How long a start waits for Docker and for the proxy before it goes on without them, each. What they would have
/// shown is compared when they answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a start saw of the world.
#[derive(Debug, Default)]
pub struct Seen {
    /// Docker's own id of the daemon.
    pub daemon: Option<String>,
    /// Every container of this log.
    pub containers: Option<Vec<Container>>,
    /// The proxy's table.
    pub table: Option<Table>,
}

/// Looks at Docker and the proxy, without waiting long for either.
pub async fn look(runtime: &dyn Runtime, router: &dyn Router, commands: &Commands) -> Seen {
    let docker = async {
        let daemon = runtime.daemon().await?;
        Ok::<_, crate::adapters::runtime::RuntimeError>((daemon, runtime.list(commands.log().log_id(), None).await?))
    };
    let (docker, table) =
        tokio::join!(tokio::time::timeout(ANSWER, docker), tokio::time::timeout(ANSWER, router.table()));
    let (daemon, containers) = match docker {
        Ok(Ok((daemon, containers))) => (Some(daemon), Some(containers)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "Docker does not answer; the engine accepts wishes and carries them out when it does");
            (None, None)
        }
        Err(_) => {
            tracing::warn!(
                "Docker does not answer in time; the engine accepts wishes and carries them out when it does"
            );
            (None, None)
        }
    };
    let table = table.ok().and_then(Result::ok);
    if table.is_none() {
        tracing::warn!("the proxy does not answer yet; routes are written when it does");
    }
    Seen { daemon, containers, table }
}

/// What holds the engine: a witness that the log does not know, another daemon, a router that is ahead.
///
/// # Errors
/// The log cannot be read.
pub async fn compare(seen: &Seen, commands: &Commands) -> Result<Vec<Held>, crate::store::ReadError> {
    let mut held = Vec::new();
    if let Some(text) = went_back(seen, commands).await? {
        held.push(Held { cause: HeldCause::LogWentBack, text });
    }
    let engine = commands.live().engine();
    if let Some(daemon) = seen.daemon.as_deref().filter(|daemon| !engine.daemon.is_empty() && *daemon != engine.daemon)
    {
        let text = format!(
            "Docker is another one ({daemon} instead of {}): if that is meant, say so with: cutover confirm daemon",
            engine.daemon
        );
        held.push(Held { cause: HeldCause::DaemonChanged, text });
    }
    for (id, entry) in
        seen.table.iter().flat_map(|table| &table.entries).filter_map(|e| Some((e.workload.parse().ok()?, e)))
    {
        let logged = commands.live().cell(id).state().generation;
        if entry.generation > logged {
            let text = format!(
                "the proxy has generation {} for {}, the log only {logged}: the log went back; restore it, or say that it \
                 is right with: cutover confirm router",
                entry.generation, entry.name
            );
            held.push(Held { cause: HeldCause::RouterAhead, text });
            break;
        }
    }
    Ok(held)
}

/// The text for a person when a container or the proxy knows a position that the log does not hold.
async fn went_back(seen: &Seen, commands: &Commands) -> Result<Option<String>, crate::store::ReadError> {
    let log = commands.log();
    let of_containers = seen.containers.iter().flatten().filter_map(|container| {
        let witness = container.witness?;
        Some((witness.position, witness.chain.to_string(), format!("container {}", container.name)))
    });
    let ours = seen.table.as_ref().filter(|table| table.log.as_deref() == Some(log.log_id().to_string().as_str()));
    let of_proxy = ours.and_then(|table| table.witness.as_ref());
    let of_proxy = of_proxy.map(|witness| (witness.position, witness.chain.clone(), "the proxy".to_owned()));
    for (position, chain, who) in of_containers.chain(of_proxy) {
        let known = log.chain_at(position).await?;
        if known.map(|digest| digest.to_string()) != Some(chain) {
            return Ok(Some(format!(
                "{who} knows position {position} of this log, and the log does not hold it: it went back in time (a restored \
                 backup, a lost tail). Restore the newer log, or go on with this one: cutover confirm log"
            )));
        }
    }
    Ok(None)
}

/// Records the start, what holds the engine, and the intents that revisions want. Returns the writer epoch.
///
/// # Errors
/// Not taken by the log.
pub async fn take_over(commands: &Commands, clock: Clock, seen: &Seen, held: Vec<Held>) -> Result<u64, Error> {
    let daemon_held = held.iter().any(|held| held.cause == HeldCause::DaemonChanged);
    let started = EngineStarted {
        instance: InstanceId::from_ulid(clock.ulid()),
        log: commands.log().log_id(),
        boot: clock.boot(),
        daemon: seen.daemon.clone().filter(|_| !daemon_held).unwrap_or_default(),
        router: seen.table.as_ref().and_then(|table| table.router_boot.parse::<RouterBoot>().ok()),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let receipt = commands
        .engine(By::engine(Cause::Engine), |engine: &Engine| {
            let new = held.into_iter().filter(|held| !engine.held.contains_key(&held.cause));
            Ok::<_, Error>(std::iter::once(Event::from(started)).chain(new.map(Event::from)).collect())
        })
        .await?;
    wanted(commands, clock).await?;
    Ok(receipt.map_or(0, |receipt| receipt.position))
}

/// Appends the intent of every newest revision that wants one, once.
async fn wanted(commands: &Commands, clock: Clock) -> Result<(), Error> {
    let registry = commands.live().registry();
    for (id, registered) in registry.workloads.iter().filter(|(_, registered)| registered.wanted) {
        let state = commands.live().cell(*id).state();
        let Some(wish) = wish_of(&registry, *id, &state) else { continue };
        // Nearly always it is there: nothing is asked of the log's writer then.
        let key = Key::Revision { revision: registered.revision() };
        if let Ok(Some(_)) = commands.log().find(StreamId::Workload(*id), &key).await {
            continue;
        }
        match queue_revision(commands, clock, (*id, registered.revision()), (wish, Actor::Engine)).await {
            Ok(_) => {
                tracing::info!(workload = registered.full_name(), "a deployment that a revision wants was missing")
            }
            Err(Error::Duplicate(_) | Error::Rejected(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Queues what a revision wants, under the key of the revision: at most once.
///
/// # Errors
/// [`Error::Duplicate`] when it was queued before, or not taken by the log.
pub async fn queue_revision(
    commands: &Commands,
    clock: Clock,
    (workload, revision): (WorkloadId, u32),
    (wish, actor): (Wish, Actor),
) -> Result<DeploymentId, Error> {
    let deployment = DeploymentId::from_ulid(clock.ulid());
    let person = actor != Actor::Engine;
    let intent = IntentQueued { deployment, workload, wish, revision, person, change: None };
    let by = By { cause: Cause::Revision(revision), actor, key: Some(Key::Revision { revision }) };
    commands.workload(workload, by, cutover_domain::deployment::Command::Queue(intent)).await?;
    Ok(deployment)
}

/// Whether the reference of a new revision cannot be filled in yet: the first change from outside deploys it, and no
/// start of the engine does.
#[must_use]
pub fn waits_for_a_change(spec: &cutover_events::workload::Spec, state: &cutover_domain::workload::Workload) -> bool {
    spec.source.image().is_some_and(|image| image.reference.contains('{')) && !runs(state)
}

/// Whether something runs whose image a new revision can keep; what a person has stopped counts as if it did.
fn runs(state: &cutover_domain::workload::Workload) -> bool {
    state.active.is_some() || state.stopped.as_ref().is_some_and(|stopped| stopped.release.is_some())
}

/// What a revision wishes: its image when the image line is new, or what it is built from; otherwise what runs with the new
/// settings; nothing, when the reference waits for its first change.
#[must_use]
pub fn wish_of(
    registry: &cutover_domain::registry::Registry,
    id: WorkloadId,
    state: &cutover_domain::workload::Workload,
) -> Option<Wish> {
    let revisions = &registry.workloads.get(&id)?.revisions;
    let (newest, before) = (revisions.last()?, revisions.len().checked_sub(2).and_then(|at| revisions.get(at)));
    if let Some(built) = recipe(&newest.source) {
        let same = before.is_some_and(|before| built.is_same(newest, before)) && runs(state);
        let image = if same { ImageWish::Current } else { ImageWish::Built { fresh: false, upload: None } };
        return Some(Wish::Deploy(image));
    }
    let image = newest.source.image()?;
    let before = before.and_then(|spec| spec.source.image());
    let same_line = before.is_some_and(|old| old.reference == image.reference && old.pull == image.pull);
    if same_line && runs(state) {
        return Some(Wish::Deploy(ImageWish::Current));
    }
    if image.reference.contains('{') {
        return runs(state).then_some(Wish::Deploy(ImageWish::Current));
    }
    Some(Wish::Deploy(ImageWish::Reference { reference: image.reference.clone(), ask_registry: false }))
}

/// Looks again until Docker and the proxy have both been compared; holds the engine when they do not fit.
///
/// # Errors
/// The log cannot be read or written.
pub async fn compare_late(
    commands: Commands,
    (runtime, router): (Arc<dyn Runtime>, Arc<dyn Router>),
    mut seen: Seen,
) -> Result<(), String> {
    while seen.containers.is_none() || seen.table.is_none() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        seen = look(&*runtime, &*router, &commands).await;
        let held = compare(&seen, &commands).await.map_err(|error| error.to_string())?;
        commands
            .engine(By::engine(Cause::Engine), |engine: &Engine| {
                let new = held.into_iter().filter(|held| !engine.held.contains_key(&held.cause));
                Ok::<_, Error>(new.map(Event::from).collect())
            })
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
