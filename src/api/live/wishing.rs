//! Wishes: deploy, rollback, restart, teardown, and what persons say to a deployment.

use cutover_domain::deployment::{Command, Rejection};
use cutover_domain::recipe::recipe;
use cutover_domain::reference::Reference;
use cutover_domain::workload::{Teardown, Workload};
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use cutover_events::engine::{Confirmed, HeldCause};
use cutover_events::workload::VolumesUnwanted;
use cutover_events::{DeploymentId, Event, Key, Sealed, WorkloadId};

use super::{LiveBackend, by};
use crate::api::backend::{Asker, Refusal, RollbackTo, Volumes, WorkloadName};
use crate::api::views::{AcceptedView, ConfirmAsk, DeployAsk, DeploymentView, HeldWord, StatusView};
use crate::commands::{By, Error};

impl LiveBackend {
    pub(super) async fn deployed(
        &self,
        asker: Asker,
        name: &WorkloadName,
        ask: DeployAsk,
    ) -> Result<AcceptedView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let wish = Wish::Deploy(self.sought(id, &state, &ask)?);
        let Some(hash) = &ask.plan else { return self.queue(&asker, id, wish).await };
        let (foretold, version) = self.foretold(name, &DeployAsk { plan: None, ..ask.clone() })?;
        // A plan of another world is asked for at a version that there never is: only who asked before under the same
        // key is answered.
        let version = if foretold.hash == *hash { version } else { u64::MAX };
        let intent = self.intent(id, wish);
        match self.accepted(&asker, (id, intent.deployment), Command::QueueAt(version, intent)).await {
            Err(Error::Rejected(Rejection::MovedOn)) => Err(Refusal::NotAllowed(format!(
                "{} has moved on since the plan {hash} was made, or something else is asked for: `cutover plan {}` shows \
                 what would happen now",
                foretold.workload, foretold.workload
            ))),
            Err(error) => Err(error.into()),
            Ok(view) => view,
        }
    }

    /// The image that a deployment would look for.
    pub(super) fn sought(&self, id: WorkloadId, state: &Workload, ask: &DeployAsk) -> Result<ImageWish, Refusal> {
        if state.teardown != Teardown::No {
            return Err(Refusal::NotAllowed(format!("{} is torn down: apply it first", self.full_name(id))));
        }
        let registry = self.registry();
        let spec = registry.workloads.get(&id).and_then(|registered| registered.revisions.last());
        let Some(spec) = spec else {
            return Err(Refusal::NotAllowed("it has no spec yet: apply it first".into()));
        };
        let kind = spec.source.kind().word();
        if recipe(&spec.source).is_some() {
            let upload = ask.upload.as_deref().map(|upload| self.named_upload(upload)).transpose()?;
            return match &ask.image {
                None => Ok(ImageWish::Built { fresh: ask.pull, upload }),
                Some(_) => {
                    Err(Refusal::NotAllowed(format!("it comes from {kind}: leave --image out, and it is built")))
                }
            };
        }
        if ask.upload.is_some() {
            return Err(Refusal::NotAllowed(format!(
                "it comes from {kind}: it is made of no files that could be sent"
            )));
        }
        let Some(source) = spec.source.image() else {
            return Err(Refusal::NotAllowed(format!("it comes from {kind}, not from an image reference")));
        };
        let reference = match &ask.image {
            Some(text) => {
                Reference::parse(text).map_err(|error| Refusal::BadContent(error.to_string()))?;
                text.clone()
            }
            None if source.reference.contains('{') => match state.releases.last() {
                Some(release) => release.reference.to_string(),
                None => {
                    let text = "waits for the first delivery; to deploy without one, name an image: --image REF";
                    return Err(Refusal::NotAllowed(text.into()));
                }
            },
            None => source.reference.clone(),
        };
        Ok(ImageWish::Reference { reference, ask_registry: ask.pull })
    }

    pub(super) async fn rolled_back(
        &self,
        asker: Asker,
        name: &WorkloadName,
        to: RollbackTo,
    ) -> Result<AcceptedView, Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let release = self.rollback_target(id, &state, to).await?;
        self.queue(&asker, id, Wish::Rollback(release)).await
    }

    pub(super) async fn wished(&self, asker: Asker, name: &WorkloadName, wish: Wish) -> Result<AcceptedView, Refusal> {
        self.queue(&asker, self.find(name)?, wish).await
    }

    pub(super) async fn torn_down(
        &self,
        asker: Asker,
        name: &WorkloadName,
        volumes: Volumes,
    ) -> Result<AcceptedView, Refusal> {
        let id = self.find(name)?;
        if self.said(id, volumes).await? == Volumes::Keep {
            return self.queue(&asker, id, Wish::Teardown).await;
        }
        let state = self.commands.live().cell(id).state();
        let over = state.teardown == Teardown::Done && state.queue.is_empty();
        let before = self.commands.live().with_deployments(|all| {
            let ended = all.last_ended(id)?;
            Some((ended, all.begins(ended)?.position))
        });
        let ended = before.filter(|_| over);
        let accepted = match ended {
            // What is torn down already has volumes all the same; who waits sees the end of that teardown.
            Some((deployment, position)) => {
                AcceptedView { deployment_id: deployment.to_string(), workload: self.full_name(id), position }
            }
            None => self.queue(&asker, id, Wish::Teardown).await?,
        };
        let deployment = accepted.deployment_id.parse().map_err(|_| Refusal::Internal("an id is damaged".into()))?;
        if self.registry().unwanted.get(&id) != Some(&deployment) {
            let event = VolumesUnwanted { workload: id, deployment }.into();
            self.commands.note(By { key: None, ..by(&asker) }, event).await?;
            self.execution.look_for_leftovers();
        }
        Ok(accepted)
    }

    /// What becomes of the volumes where that depends on the source.
    async fn said(&self, id: WorkloadId, volumes: Volumes) -> Result<Volumes, Refusal> {
        if matches!(volumes, Volumes::Keep | Volumes::Remove) {
            return Ok(volumes);
        }
        let registry = self.registry();
        let spec = registry.workloads.get(&id).and_then(|registered| registered.revisions.last());
        if !spec.and_then(|spec| recipe(&spec.source)).is_some_and(|recipe| recipe.makes.has_own_volumes()) {
            return Ok(Volumes::Keep);
        }
        let going = self.execution.own_volumes(id).await.map_err(Refusal::Internal)?;
        if volumes == Volumes::Usual || going.is_empty() {
            return Ok(Volumes::Remove);
        }
        let told: Vec<String> = going
            .into_iter()
            .map(|(name, bytes)| bytes.map_or(name.clone(), |bytes| format!("{name} ({bytes} bytes)")))
            .collect();
        Err(Refusal::Conflict(format!(
            "{} has volumes that go with it, with all that is in them: {}; say --keep-volumes to spare them, or --yes",
            self.full_name(id),
            told.join(", ")
        )))
    }

    /// Queues a wish of a person; the same key finds what it queued before.
    pub(super) async fn queue(&self, asker: &Asker, id: WorkloadId, wish: Wish) -> Result<AcceptedView, Refusal> {
        let intent = self.intent(id, wish);
        self.accepted(asker, (id, intent.deployment), Command::Queue(intent)).await?
    }

    fn intent(&self, id: WorkloadId, wish: Wish) -> IntentQueued {
        let registry = self.registry();
        let deployment = DeploymentId::from_ulid(self.clock.ulid());
        let revision = registry.workloads.get(&id).map_or(0, |registered| registered.revision());
        IntentQueued { deployment, workload: id, wish, revision, person: true, change: None }
    }

    /// What a wish came to; inside, what a wish under the same key came to before.
    async fn accepted(
        &self,
        asker: &Asker,
        (id, deployment): (WorkloadId, DeploymentId),
        command: Command,
    ) -> Result<Result<AcceptedView, Refusal>, Error> {
        let workload = self.full_name(id);
        match self.commands.workload(id, by(asker), command).await {
            Ok(receipt) => {
                let (deployment_id, position) = (deployment.to_string(), receipt.position);
                Ok(Ok(AcceptedView { deployment_id, workload, position }))
            }
            Err(Error::Duplicate(original)) => Ok(self.accepted_before(asker, &original, workload)),
            Err(error) => Err(error),
        }
    }

    fn accepted_before(&self, asker: &Asker, original: &Sealed, workload: String) -> Result<AcceptedView, Refusal> {
        let same = match (&original.commit.key, &asker.key) {
            (Some(Key::Client { request, .. }), Some(key)) => *request == key.request,
            _ => true,
        };
        let queued = original.commit.events.iter().find_map(Event::deployment).filter(|_| same);
        let Some(deployment) = queued else {
            return Err(Refusal::Conflict("the idempotency key was used for another wish: choose another key".into()));
        };
        let position = original.commit.last_position();
        Ok(AcceptedView { deployment_id: deployment.to_string(), workload, position })
    }

    /// Cancel and resume.
    pub(super) async fn ordered(
        &self,
        asker: Asker,
        id: DeploymentId,
        command: Command,
    ) -> Result<DeploymentView, Refusal> {
        let begins = self.commands.live().with_deployments(|all| all.begins(id));
        let begins = begins.ok_or_else(|| {
            Refusal::UnknownName(format!("no deployment is {id}: `cutover timeline NAME` lists those of a workload"))
        })?;
        match self.commands.workload(begins.workload, by(&asker), command).await {
            Ok(_) | Err(Error::Duplicate(_)) => self.told(id).await,
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn confirmed(&self, asker: Asker, ask: ConfirmAsk) -> Result<StatusView, Refusal> {
        let cause = match ask.cause {
            HeldWord::LogWentBack => HeldCause::LogWentBack,
            HeldWord::DaemonChanged => HeldCause::DaemonChanged,
            HeldWord::RouterAhead => HeldCause::RouterAhead,
        };
        let decided = self.commands.engine(by(&asker), |engine| match engine.held.contains_key(&cause) {
            true => Ok(vec![Event::from(Confirmed { cause })]),
            false => Err(Refusal::NotAllowed("the engine is not held for that: see cutover status".into())),
        });
        decided.await?;
        for (_, cell) in self.commands.live().cells() {
            cell.changed.notify_one();
        }
        self.status_of(None).await
    }
}
