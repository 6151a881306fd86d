//! Secrets of projects: set, listed, removed and sealed anew. No answer and no error holds a value.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cutover_domain::file::check;
use cutover_domain::registry::Registry;
use cutover_domain::secret::{Secret, SecretRefused, Version};
use cutover_events::deployment::{ImageWish, Wish};
use cutover_events::plan::Plan;
use cutover_events::secret::{SecretRekeyed, SecretRemoved, SecretUsed, SecretWay};
use cutover_events::{Digest, Event, StreamId, WorkloadId};
use zeroize::Zeroizing;

use super::{LiveBackend, by};
use crate::api::backend::{Asker, Refusal, SecretName};
use crate::api::event_view::way;
use crate::api::time::rfc3339;
use crate::api::views::{
    RekeyedView, SecretDeploymentView, SecretSetView, SecretUserView, SecretValue, SecretVersionView, SecretView,
    SecretsAsk, SecretsSetView, SecretsView,
};
use crate::commands::{By, Error};
use crate::secrets::{Owner, SecretsError};

/// Bytes of one value: certificates with their chains and service accounts have a tenth of it.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// A value that is ready to be recorded.
struct Ready {
    name: String,
    mac: [u8; 16],
    /// Where it lies sealed; none where the newest version has it already.
    sealed: Option<Digest>,
}

impl LiveBackend {
    pub(super) async fn set_secrets(
        &self,
        asker: Asker,
        project: &str,
        ask: SecretsAsk,
    ) -> Result<SecretsSetView, Refusal> {
        let project = project_name(project)?;
        let _turn = self.secrets.turn().await;
        let ready = self.ready(&project, ask.values)?;
        let held = self.held(&project);
        let mut dropped = Vec::new();
        let set = self.commands.registry(keyless(&asker), |registry| {
            let (events, gone) = recorded(registry, &project, &ready, &held)?;
            dropped = gone;
            Ok::<_, Refusal>(events)
        });
        set.await?;
        self.forget(dropped);
        let changed: BTreeSet<_> =
            ready.iter().filter(|ready| ready.sealed.is_some()).map(|r| r.name.clone()).collect();
        let deployments = if ask.deploy { self.deploy_users(&asker, &project, &changed).await? } else { Vec::new() };
        let registry = self.registry();
        let view = |ready: &Ready| {
            let secret = registry.secrets.get(&project, &ready.name)?;
            Some(SecretSetView {
                name: ready.name.clone(),
                version: secret.last,
                changed: changed.contains(&ready.name),
                used_by: self.users(&registry, (&project, &ready.name)),
            })
        };
        let secrets = ready.iter().filter_map(view).collect();
        Ok(SecretsSetView { project, secrets, deployments, position: self.commands.log().head().position })
    }

    /// Checked, hashed, and sealed where the value is a new one.
    fn ready(&self, project: &str, values: BTreeMap<String, SecretValue>) -> Result<Vec<Ready>, Refusal> {
        if values.is_empty() {
            return Err(Refusal::BadContent("no value: name at least one secret".into()));
        }
        let registry = self.registry();
        let owner = Owner::Project(project);
        let one = |(name, value): (String, SecretValue)| {
            let name = check::secret(&name).map_err(Refusal::BadContent)?;
            let value = bytes(&name, value)?;
            let internal = |error: SecretsError| Refusal::Internal(format!("{name}: {error}"));
            let mac = self.secrets.mac(owner, &value).map_err(internal)?;
            let newest = registry.secrets.get(project, &name).and_then(|secret| secret.versions.last());
            let known = newest.is_some_and(|newest| newest.mac == mac);
            let sealed = (!known).then(|| self.secrets.seal(owner, &value).map_err(internal)).transpose()?;
            Ok(Ready { name, mac, sealed })
        };
        values.into_iter().map(one).collect()
    }

    /// Versions that something was made with which runs, stands by or is about to.
    fn held(&self, project: &str) -> BTreeSet<(String, u32)> {
        let registry = self.registry();
        let of_project = registry.workloads.iter().filter(|(_, known)| known.project == project);
        let used = |id: &WorkloadId| {
            let all = self.plans(*id).into_iter().flat_map(|plan| plan.template.secrets.clone());
            all.map(|used| (used.name, used.version)).collect::<Vec<_>>()
        };
        of_project.flat_map(|(id, _)| used(id)).collect()
    }

    fn plans(&self, id: WorkloadId) -> Vec<std::sync::Arc<Plan>> {
        let state = self.commands.live().cell(id).state();
        let open = state.open.as_ref();
        let was = open.and_then(|open| open.was.as_ref());
        let slots = state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot)).chain(was);
        slots.map(|slot| slot.plan.clone()).chain(open.and_then(|open| open.plan.clone())).collect()
    }

    /// Deploys what runs of the workloads that need one of these; what is stopped or was never deployed stays so.
    async fn deploy_users(
        &self,
        asker: &Asker,
        project: &str,
        names: &BTreeSet<String>,
    ) -> Result<Vec<SecretDeploymentView>, Refusal> {
        let registry = self.registry();
        let users: BTreeMap<_, _> = names.iter().flat_map(|name| registry.users(project, name)).collect();
        let asker = Asker { key: None, ..asker.clone() };
        let mut deployments = Vec::new();
        for (id, workload) in users {
            if self.commands.live().cell(id).state().active.is_none() {
                continue;
            }
            let accepted = self.queue(&asker, id, Wish::Deploy(ImageWish::Current)).await?;
            deployments.push(SecretDeploymentView { workload, deployment_id: accepted.deployment_id });
        }
        Ok(deployments)
    }

    /// Workloads that need a secret, with the version that runs.
    fn users(&self, registry: &Registry, (project, name): (&str, &str)) -> Vec<SecretUserView> {
        let view = |(id, workload): (WorkloadId, String)| {
            let spec = registry.workloads.get(&id).and_then(|known| known.revisions.last());
            let ways = spec.iter().flat_map(|spec| spec.needed_secrets()).filter(|(needed, _)| *needed == name);
            let state = self.commands.live().cell(id).state();
            let plan = state.active.as_ref().map(|slot| slot.plan.clone());
            let used = plan.and_then(|plan| given(&plan, name));
            SecretUserView {
                workload,
                ways: ways.map(|(_, given)| way(given).to_owned()).collect(),
                runs_with: used.map(|used| used.version),
            }
        };
        registry.users(project, name).into_iter().map(view).collect()
    }

    pub(super) async fn all_secrets(&self, project: Option<&str>) -> Result<SecretsView, Refusal> {
        let wanted = project.map(project_name).transpose()?;
        let registry = self.registry();
        let of_workloads = registry.workloads.values().map(|known| known.project.clone());
        let projects: BTreeSet<String> = of_workloads.chain(registry.secrets.projects().map(str::to_owned)).collect();
        let mut secrets = Vec::new();
        for project in registry.secrets.projects().filter(|one| wanted.as_deref().is_none_or(|wanted| wanted == *one)) {
            for (name, secret) in registry.secrets.of(project) {
                let newest = secret.versions.last().into_iter();
                secrets.push(self.secret_view(&registry, (project, name), (secret, newest)).await);
            }
        }
        Ok(SecretsView { projects: projects.into_iter().collect(), secrets })
    }

    pub(super) async fn one_secret(&self, name: &SecretName) -> Result<SecretView, Refusal> {
        let registry = self.registry();
        let SecretName { project, name } = name;
        let secret = registry.secrets.get(project, name).ok_or_else(|| unknown(&registry, project, name))?;
        let all = secret.versions.iter().rev();
        Ok(self.secret_view(&registry, (project, name), (secret, all)).await)
    }

    async fn secret_view<'a>(
        &self,
        registry: &Registry,
        (project, name): (&str, &str),
        (secret, shown): (&Secret, impl Iterator<Item = &'a Version>),
    ) -> SecretView {
        let mut versions = Vec::new();
        for version in shown {
            versions.push(self.version_view(version).await);
        }
        SecretView {
            project: project.to_owned(),
            name: name.to_owned(),
            versions,
            kept: secret.versions.len() as u32,
            used_by: self.users(registry, (project, name)),
        }
    }

    /// Who and when are in the commit.
    async fn version_view(&self, version: &Version) -> SecretVersionView {
        let read = self.commands.log().read(StreamId::Registry, version.event, 1).await;
        let commit = read.ok().and_then(|mut all| all.pop()).map(|sealed| sealed.commit);
        SecretVersionView {
            version: version.number,
            time: commit.as_ref().map(|commit| rfc3339(commit.at.wall_ms)).unwrap_or_default(),
            by: commit.map(|commit| self.known_as(&commit.actor)).unwrap_or_default(),
            hash: hex::encode(version.mac),
        }
    }

    /// Removes a secret that no workload needs; its values are removed too, and the identity with the last of them.
    pub(super) async fn remove_secret(&self, asker: Asker, name: &SecretName) -> Result<(), Refusal> {
        let SecretName { project, name } = name;
        let running = self.held(project).iter().any(|(held, _)| held == name);
        let _turn = self.secrets.turn().await;
        let (mut sealed, mut last) = (Vec::new(), false);
        let removed = self.commands.registry(keyless(&asker), |registry| {
            let secret = registry.secrets.get(project, name).ok_or_else(|| unknown(registry, project, name))?;
            let users: Vec<_> = registry.users(project, name).into_iter().map(|(_, workload)| workload).collect();
            if !users.is_empty() {
                return Err(refused(SecretRefused::Needed { name: name.clone(), users: users.join(" and ") }));
            }
            if running {
                return Err(Refusal::NotAllowed(format!(
                    "the secret {name} was given to containers that run or stand by: deploy what no longer needs it first"
                )));
            }
            sealed.extend(secret.versions.iter().map(|version| version.sealed));
            last = registry.secrets.of(project).count() == 1;
            Ok(vec![SecretRemoved { project: project.clone(), name: name.clone() }.into()])
        });
        removed.await?;
        self.forget(sealed);
        if last {
            self.secrets.destroy(Owner::Project(project)).map_err(|error| Refusal::Internal(error.to_string()))?;
        }
        Ok(())
    }

    /// Gives a project another identity and seals every value with it; the old one is destroyed. One that was begun before
    /// goes on.
    pub(super) async fn rekey_secrets(&self, asker: Asker, project: &str) -> Result<RekeyedView, Refusal> {
        let project = project_name(project)?;
        let owner = Owner::Project(&project);
        let internal = |error: SecretsError| Refusal::Internal(error.to_string());
        let _turn = self.secrets.turn().await;
        let before = self.registry();
        if before.secrets.of(&project).next().is_none() {
            return Err(Refusal::UnknownName(format!("the project {project} has no secrets")));
        }
        let all = before.secrets.of(&project).flat_map(|(_, secret)| &secret.versions).map(|version| version.sealed);
        let anew = self.sealed_anew(&project, all.collect()).await?;
        let mut view = RekeyedView { project: project.clone(), secrets: 0, versions: 0 };
        let rekeyed = self.commands.registry(keyless(&asker), |registry| {
            let of_one = |(name, secret): (&str, &Secret)| {
                let moved = secret.versions.iter().filter_map(|v| Some((v.number, *anew.get(&v.sealed)?)));
                SecretRekeyed { project: project.clone(), name: name.to_owned(), sealed: moved.collect() }
            };
            let events: Vec<_> = registry.secrets.of(&project).map(of_one).filter(|e| !e.sealed.is_empty()).collect();
            view.secrets = events.len() as u32;
            view.versions = events.iter().map(|event| event.sealed.len() as u32).sum();
            Ok::<_, Refusal>(events.into_iter().map(Event::from).collect())
        });
        rekeyed.await?;
        let registry = self.registry();
        let used = registry.secrets.of(&project).flat_map(|(_, secret)| &secret.versions).map(|version| version.sealed);
        let used: Vec<_> = used.collect();
        self.secrets.finish_renewal(owner, &used).map_err(internal)?;
        self.forget(anew.into_keys().collect());
        Ok(view)
    }

    /// Where each of these values lies from here on; every one is made durable, so that this takes a while.
    async fn sealed_anew(&self, project: &str, all: Vec<Digest>) -> Result<BTreeMap<Digest, Digest>, Refusal> {
        let (secrets, project) = (self.secrets.clone(), project.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let owner = Owner::Project(&project);
            secrets.begin_renewal(owner)?;
            let one = |old: Digest| Ok((old, secrets.reseal(owner, old)?));
            all.into_iter().map(one).collect::<Result<_, SecretsError>>()
        });
        let done = work.await.map_err(|_| Refusal::Unavailable("the engine ends".into()))?;
        done.map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// Removes blobs that nothing names any more. One that stays behind is sealed, and costs room alone.
    fn forget(&self, sealed: Vec<Digest>) {
        for digest in sealed {
            if let Err(error) = self.secrets.forget(digest) {
                tracing::warn!(%error, "a sealed value that nothing names any more cannot be removed");
            }
        }
    }
}

/// The events that record new values, and where values lie that are kept no longer.
fn recorded(
    registry: &Registry,
    project: &str,
    ready: &[Ready],
    held: &BTreeSet<(String, u32)>,
) -> Result<(Vec<Event>, Vec<Digest>), SecretRefused> {
    let mut after = registry.clone();
    let (mut events, mut dropped) = (Vec::new(), Vec::new());
    for (name, mac, sealed) in ready.iter().filter_map(|ready| Some((&ready.name, ready.mac, ready.sealed?))) {
        let known = after.secrets.get(project, name).map(|secret| secret.versions.clone()).unwrap_or_default();
        let Some(set) = after.secrets.set((project, name), (sealed, mac), held)? else { continue };
        let gone = known.iter().filter(|version| set.dropped.contains(&version.number));
        dropped.extend(gone.map(|version| version.sealed));
        let event = Event::from(set);
        after.evolve(&event);
        events.push(event);
    }
    Ok((events, dropped))
}

/// The version that containers of a plan are given: what has opened their registry is not in them.
fn given(plan: &Plan, name: &str) -> Option<SecretUsed> {
    let given = |used: &&SecretUsed| used.name == name && used.way != SecretWay::Login;
    plan.template.secrets.iter().find(given).cloned()
}

/// A key would be recorded with a digest of the request, and that of a short value can be tried out. The same value again
/// changes nothing by itself.
fn keyless(asker: &Asker) -> By {
    By { key: None, ..by(asker) }
}

fn project_name(text: &str) -> Result<String, Refusal> {
    check::name(text).map_err(|why| Refusal::BadContent(format!("not the name of a project: {why}")))
}

fn bytes(name: &str, value: SecretValue) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let bytes = match value {
        SecretValue::Text(text) => text.into_bytes(),
        SecretValue::Bytes { base64 } => BASE64_STANDARD
            .decode(base64)
            .map_err(|_| Refusal::BadContent(format!("{name}: its value is not base64")))?,
    };
    let bytes = Zeroizing::new(bytes);
    if bytes.is_empty() || bytes.len() > MAX_VALUE_BYTES {
        let text = format!("{name}: its value has {} bytes; allowed is 1 to {MAX_VALUE_BYTES}", bytes.len());
        return Err(Refusal::BadContent(text));
    }
    Ok(bytes)
}

fn unknown(registry: &Registry, project: &str, name: &str) -> Refusal {
    Refusal::UnknownName(registry.secrets.missing(project, name).to_string())
}

fn refused(why: SecretRefused) -> Refusal {
    match why {
        SecretRefused::Missing { .. } => Refusal::UnknownName(why.to_string()),
        SecretRefused::Needed { .. } | SecretRefused::Full { .. } => Refusal::NotAllowed(why.to_string()),
    }
}

impl From<SecretRefused> for Refusal {
    fn from(why: SecretRefused) -> Self {
        refused(why)
    }
}

/// What a command refuses for a secret, by whom it concerns.
pub(super) fn of_apply(error: &Error) -> Option<Refusal> {
    match error {
        Error::Claimed(why @ cutover_domain::registry::ApplyRejected::Secret { .. }) => {
            Some(Refusal::BadContent(why.to_string()))
        }
        _ => None,
    }
}
