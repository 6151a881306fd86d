//! Values on their way into containers and builds, and out of everything that these print.

use std::collections::BTreeSet;

use cutover_domain::context::Repository;
use cutover_domain::file::SECRETS_FOLDER;
use cutover_domain::secret::filled;
use cutover_domain::workload::{Slot, Workload};
use cutover_events::deployment::{ImageWish, ReasonKind, Wish};
use cutover_events::plan::Plan;
use cutover_events::secret::{SecretUse, SecretUsed, SecretWay};
use cutover_events::workload::{Access, EnvVar, Mount, MountFrom, Pull, Spec};
use cutover_events::{DeploymentId, UnitId, WorkloadId};
use zeroize::Zeroizing;

use super::Execution;
use super::perform::Failed;
use crate::adapters::builder::BuildSecret;
use crate::adapters::runtime::Login;
use crate::adapters::source::git::{Credential, GitError};
use crate::logs::Redactor;
use crate::secrets::{Owner, SecretsError};

/// What opens a private repository, by the newest version of its secret.
pub(super) struct Opens {
    /// Which version that is.
    pub(super) used: SecretUsed,
    value: Zeroizing<Vec<u8>>,
}

impl Opens {
    /// What git is given for a repository.
    pub(super) fn credential(&self, repository: &Repository) -> Result<Credential, Failed> {
        let address = repository.url.parse().map_err(GitError::from)?;
        let credential = Credential::of(&address, &self.value);
        credential.map_err(|why| refused(format!("the secret {}: {why}", self.used.name)))
    }
}

impl Execution {
    /// The environment of a plan's containers, references filled in with the versions that the plan recorded.
    pub(super) fn environment(&self, workload: WorkloadId, plan: &Plan) -> Result<Vec<(String, String)>, Failed> {
        let project = self.project(workload);
        let value = |var: &EnvVar| {
            let refused = |error: SecretsError| refused(format!("{}: {error}", var.name));
            let text = self.secrets.unseal(Owner::Workload(workload), var.sealed).map_err(refused)?;
            let text = filled(&text, |name, out| self.write_out((&project, plan), name, out))?;
            Ok((var.name.clone(), text))
        };
        plan.template.env.iter().map(value).collect()
    }

    /// Appends the value of a secret to a variable.
    fn write_out(&self, (project, plan): (&str, &Plan), name: &str, out: &mut String) -> Result<(), Failed> {
        let of_env = |used: &&SecretUsed| used.name == name && used.way == SecretWay::Env;
        let Some(used) = plan.template.secrets.iter().find(of_env) else {
            return Err(refused(format!("the plan names no version of the secret {name}: apply the workload anew")));
        };
        self.append((project, used), out)
    }

    fn append(&self, (project, used): (&str, &SecretUsed), out: &mut String) -> Result<(), Failed> {
        let (name, value) = (&used.name, self.value(project, used)?);
        match std::str::from_utf8(&value) {
            Ok(text) if !text.contains('\0') => out.push_str(text),
            _ => {
                let text = format!("the secret {name} holds bytes that no variable can: give it as a file (`secrets`)");
                return Err(refused(text));
            }
        }
        Ok(())
    }

    /// A variable of what is built or brought up, references filled in with the newest versions; those are noted.
    pub(super) fn newest_in(&self, project: &str, text: &str, used: &mut Vec<SecretUsed>) -> Result<String, Failed> {
        let registry = self.commands.live().registry();
        filled(text, |name, out| {
            let newest =
                registry.secrets.newest(project, name, SecretWay::Env).map_err(|why| refused(why.to_string()))?;
            self.append((project, &newest), out)?;
            used.push(newest);
            Ok(())
        })
    }

    /// What a unit has mounted of its secrets, written to where it will be; none when it is given none as files.
    pub(super) async fn given_files(
        &self,
        (workload, unit): (WorkloadId, UnitId),
        plan: &Plan,
    ) -> Result<Option<Mount>, Failed> {
        let project = self.project(workload);
        let files = plan.template.secrets.iter().filter(|used| used.way == SecretWay::File);
        let files = files.map(|used| Ok((used.name.clone(), self.value(&project, used)?)));
        let files = files.collect::<Result<Vec<_>, Failed>>()?;
        if files.is_empty() {
            return Ok(None);
        }
        let secrets = self.secrets.clone();
        let put = tokio::task::spawn_blocking(move || secrets.files().put(unit, &files)).await;
        let folder = put.map_err(|_| Failed::ends())?;
        let folder = folder.map_err(|error| refused(format!("the files of its secrets cannot be written: {error}")))?;
        let from = MountFrom::Folder(folder.to_string_lossy().into_owned());
        Ok(Some(Mount { from, target: SECRETS_FOLDER.to_owned(), access: Access::ReadOnly }))
    }

    /// What the steps of a build may read, and which versions that is.
    pub(super) fn build_secrets(
        &self,
        workload: WorkloadId,
        names: &[String],
    ) -> Result<Vec<(BuildSecret, SecretUsed)>, Failed> {
        let project = self.project(workload);
        let registry = self.commands.live().registry();
        let one = |name: &String| {
            let newest = registry.secrets.newest(&project, name, SecretWay::Build);
            let used = newest.map_err(|why| Failed::for_good(ReasonKind::BuildFailed, why.to_string()))?;
            let value = self.value(&project, &used)?;
            Ok((BuildSecret { id: name.clone(), value, version: hex::encode(used.mac) }, used))
        };
        names.iter().map(one).collect()
    }

    /// What opens the registry of a workload's image: the newest version of its secret, since what opened it before has
    /// usually been taken back. `None` where its source names none.
    pub(super) fn login(&self, workload: WorkloadId, spec: &Spec) -> Result<Option<Login>, Failed> {
        let name = spec.source.image().map_or("", |image| image.credentials.as_str());
        let Some(opens) = self.opens(workload, name)? else { return Ok(None) };
        Login::read(name, &opens.value).map(Some).map_err(|why| refused(why.to_string()))
    }

    /// Has an image by its digest that was pruned meanwhile, as the revision of its plan's release says.
    pub(super) async fn fetched_again(&self, (id, plan): (WorkloadId, &Plan), digest: &str) -> Result<(), Failed> {
        let registry = self.commands.live().registry();
        let state = self.commands.live().cell(id).state();
        let revision = plan.release.and_then(|release| state.release(release)).map(|release| release.revision);
        let spec = revision.and_then(|revision| registry.spec(id, revision));
        let login = spec.map(|spec| self.login(id, spec)).transpose()?.flatten();
        let platform = spec.and_then(|spec| spec.source.image()).map_or("", |image| image.platform.as_str());
        Ok(self.runtime.resolve(digest, (Pull::Missing, platform), login.as_ref()).await.map(drop)?)
    }

    /// How far the pull is that a deployment waits for, one line; `None` when it waits for none.
    #[must_use]
    pub fn pulling(&self, workload: WorkloadId, deployment: DeploymentId) -> Option<String> {
        let state = self.commands.live().cell(workload).state();
        let open = state.open.as_ref().filter(|open| open.id() == deployment && open.release.is_none())?;
        match open.intent.wish.seeks()? {
            ImageWish::Reference { reference, .. } => self.runtime.pulling(reference),
            ImageWish::Current | ImageWish::Built { .. } => None,
        }
    }

    /// What a source's `credentials` name; `None` when they name nothing.
    pub(super) fn opens(&self, workload: WorkloadId, name: &str) -> Result<Option<Opens>, Failed> {
        self.opens_in(&self.project(workload), name)
    }

    /// The same for a workload of this project that is not recorded yet.
    pub(super) fn opens_in(&self, project: &str, name: &str) -> Result<Option<Opens>, Failed> {
        if name.is_empty() {
            return Ok(None);
        }
        let newest = self.commands.live().registry().secrets.newest(project, name, SecretWay::Login);
        let used = newest.map_err(|why| refused(why.to_string()))?;
        let value = self.value(project, &used)?;
        Ok(Some(Opens { used, value }))
    }

    /// The value of a version.
    fn value(&self, project: &str, used: &SecretUsed) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let registry = self.commands.live().registry();
        let (name, number) = (&used.name, used.version);
        let Some(version) = registry.secrets.version(project, used) else {
            let text =
                format!("version {number} of the secret {name} is kept no longer: deploy it with the newest one");
            return Err(refused(text));
        };
        let value = self.secrets.unseal_bytes(Owner::Project(project), version.sealed);
        value.map_err(|error| refused(format!("version {number} of the secret {name}: {error}")))
    }

    /// Takes the secrets that a workload is given, in any version that is kept, out of what it prints.
    #[must_use]
    pub fn redactor(&self, workload: WorkloadId) -> Redactor {
        let project = self.project(workload);
        let (registry, state) = (self.commands.live().registry(), self.commands.live().cell(workload).state());
        let spec = registry.workloads.get(&workload).and_then(|known| known.revisions.last());
        let mut names: BTreeSet<&str> =
            spec.iter().flat_map(|spec| spec.needed_secrets()).map(|(name, _)| name).collect();
        names.extend(plans(&state).flat_map(|plan| &plan.template.secrets).map(|used| used.name.as_str()));
        let kept =
            names.iter().filter_map(|name| registry.secrets.get(&project, name)).flat_map(|secret| &secret.versions);
        let value = |version: &cutover_domain::secret::Version| {
            let value = self.secrets.unseal_bytes(Owner::Project(&project), version.sealed);
            value.inspect_err(|error| tracing::warn!(project, %error, "a secret cannot be taken out of output")).ok()
        };
        let values: Vec<_> = kept.filter_map(value).collect();
        Redactor::new(values.iter().map(|value| value.as_slice()))
    }

    /// Writes the files of what should run where they are missing: the host may have restarted.
    pub(super) async fn give_again(&self) {
        for (id, cell) in self.commands.live().cells() {
            let state = cell.state();
            let of_slot = |slot: &Slot| slot.units.iter().map(|unit| (*unit, slot.plan.clone())).collect::<Vec<_>>();
            let missing = |(unit, _): &(UnitId, _)| !self.secrets.files().has(*unit);
            let units: Vec<_> = slots(&state).flat_map(of_slot).filter(missing).collect();
            for (unit, plan) in units {
                self.give(id, unit, &plan).await;
            }
        }
    }

    async fn give(&self, id: WorkloadId, unit: UnitId, plan: &Plan) {
        if let Err(failed) = self.given_files((id, unit), plan).await {
            tracing::warn!(workload = %self.full_name(id), %unit, why = failed.text, "secrets cannot be given again");
        }
    }

    /// Removes the files of units that are no more.
    pub(super) async fn tidy_files(&self) {
        let mut keep = BTreeSet::new();
        for (_, cell) in self.commands.live().cells() {
            let state = cell.state();
            let of_plan = |plan: &Plan| {
                let command = plan.release_command.as_ref().map(|command| command.unit);
                plan.slot.iter().copied().chain(command).collect::<Vec<_>>()
            };
            keep.extend(plans(&state).flat_map(of_plan));
            keep.extend(slots(&state).flat_map(|slot| slot.units.iter().copied()));
            keep.extend(&state.removal);
            keep.extend(state.errands.iter().map(|begun| UnitId(begun.errand.0)));
        }
        let secrets = self.secrets.clone();
        match tokio::task::spawn_blocking(move || secrets.files().keep_only(&keep)).await {
            Ok(Ok(0)) | Err(_) => (),
            Ok(Ok(gone)) => tracing::info!(gone, "files of secrets of containers that are gone are removed"),
            Ok(Err(error)) => tracing::warn!(%error, "files of secrets of containers that are gone cannot be removed"),
        }
    }

    /// The files of a unit that is stopped for good go.
    pub(super) fn take_back(&self, unit: UnitId) {
        if let Err(error) = self.secrets.files().remove(unit) {
            tracing::warn!(%unit, %error, "the files of its secrets cannot be removed yet; trying again");
        }
    }

    pub(super) fn project(&self, workload: WorkloadId) -> String {
        let registry = self.commands.live().registry();
        registry.workloads.get(&workload).map(|known| known.project.clone()).unwrap_or_default()
    }
}

/// The secrets whose versions a plan records: what its containers are given, and what has opened the registry.
pub(super) fn recorded(spec: &Spec) -> Vec<SecretUse> {
    let login = spec.source.image().map(|image| image.credentials.clone()).filter(|name| !name.is_empty());
    let login = login.map(|name| SecretUse { name, way: SecretWay::Login });
    spec.secrets.iter().cloned().chain(login).collect()
}

/// The versions that a plan keeps: a repair puts in place of what died what runs beside it. Everything else takes the newest.
pub(super) fn kept(state: &Workload) -> &[SecretUsed] {
    let heals = state.open.as_ref().is_some_and(|open| open.intent.wish == Wish::Heal);
    state.active.as_ref().filter(|_| heals).map_or(&[], |slot| &slot.plan.template.secrets)
}

fn slots(state: &Workload) -> impl Iterator<Item = &Slot> {
    let was = state.open.as_ref().and_then(|open| open.was.as_ref());
    state.active.iter().chain(state.standby.iter().map(|(slot, _)| slot)).chain(was)
}

/// The plans of everything that runs or is about to.
fn plans(state: &Workload) -> impl Iterator<Item = &Plan> {
    let open = state.open.as_ref().and_then(|open| open.plan.as_deref());
    slots(state).map(|slot| &*slot.plan).chain(open)
}

fn refused(text: String) -> Failed {
    Failed::for_good(ReasonKind::Refused, text)
}

impl From<String> for Failed {
    fn from(text: String) -> Self {
        refused(text)
    }
}
