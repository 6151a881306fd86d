//! Between the intake and the folds: hooks with their secrets at hand, and intents through the one write path.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use cutover_domain::deployment::Command;
use cutover_domain::recipe::recipe;
use cutover_domain::rules::{Changed, Question, RejectedChange, Standing, WorkloadRules};
use cutover_domain::workload::Closed;
use cutover_events::HookId;
use cutover_events::deployment::{ImageWish, IntentQueued, Wish};
use parking_lot::RwLock;
use zeroize::Zeroizing;

use crate::commands::{By, Commands, Error};
use crate::execution::Execution;
use crate::intake::decide::{NotQueued, Wishes};
use crate::intake::hooks::{Hook, HookBook, Secrets};
use crate::intake::open::TriggeredWish;
use crate::projections::Live;
use crate::secrets::{self, Owner};
use crate::store::AppendError;

/// Hooks as the engine's stream has them, their secrets unsealed once for each change.
pub(super) struct Book {
    live: Arc<Live>,
    secrets: Arc<secrets::Secrets>,
    read: RwLock<(u64, BTreeMap<HookId, Arc<Hook>>)>,
}

impl Book {
    pub(super) fn new(live: Arc<Live>, secrets: Arc<secrets::Secrets>) -> Self {
        Self { live, secrets, read: RwLock::default() }
    }

    fn unsealed(&self, hook: &cutover_domain::engine::Hook, id: HookId) -> Hook {
        let unseal = |sealed: &cutover_events::Digest| match self.secrets.unseal(Owner::Engine, *sealed) {
            Ok(secret) => Some(Zeroizing::new(secret.as_bytes().to_vec())),
            Err(error) => {
                tracing::error!(hook = hook.name, %error, "a secret cannot be read; deliveries signed with it are refused");
                None
            }
        };
        let secrets = Secrets::new(hook.secrets.iter().filter_map(unseal).collect());
        Hook { id, name: hook.name.clone(), provider: hook.provider.clone(), secrets }
    }
}

impl HookBook for Book {
    fn find(&self, hook: HookId) -> Option<Arc<Hook>> {
        let engine = self.live.engine();
        {
            let read = self.read.read();
            if read.0 == engine.version {
                return read.1.get(&hook).cloned();
            }
        }
        let hooks = engine.hooks.iter().map(|(id, hook)| (*id, Arc::new(self.unsealed(hook, *id))));
        let hooks: BTreeMap<_, _> = hooks.collect();
        let found = hooks.get(&hook).cloned();
        *self.read.write() = (engine.version, hooks);
        found
    }
}

/// Rules from the registry, intents into the workloads' streams.
pub struct Queue {
    commands: Commands,
    execution: Option<Arc<Execution>>,
}

impl Queue {
    /// Writes through these commands.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands, execution: None }
    }

    /// Asks repositories through this.
    #[must_use]
    pub fn asking(self, execution: Arc<Execution>) -> Self {
        Self { execution: Some(execution), ..self }
    }
}

#[async_trait]
impl Wishes for Queue {
    fn rules(&self) -> Vec<WorkloadRules> {
        let live = self.commands.live();
        let registry = live.registry();
        let rules = registry.workloads.iter().filter_map(|(id, registered)| {
            let spec = registered.revisions.last()?;
            let state = live.cell(*id).state();
            let standing = match state.closed() {
                None => Standing::Open,
                Some(Closed::Stopped(by)) => Standing::Stopped { by: by.to_string() },
                Some(Closed::Leaving) => Standing::TornDown,
            };
            let rejected = state.rejected.iter().map(|rejected| RejectedChange {
                sha: rejected.sha.to_string(),
                reference: rejected.reference.to_string(),
                why: format!(
                    "{}; to let it: cutover accept {} {}",
                    rejected.why(),
                    registered.full_name(),
                    rejected.release
                ),
            });
            Some(WorkloadRules {
                workload: *id,
                name: registered.full_name(),
                triggers: spec.triggers.clone(),
                image: spec.source.image().map(|image| image.reference.clone()).unwrap_or_default(),
                files: recipe(&spec.source).map(|recipe| recipe.context.to_owned()).unwrap_or_default(),
                opened: recipe(&spec.source)
                    .filter(|recipe| !recipe.credentials.is_empty())
                    .map(|recipe| format!("{}/{}", registered.project, recipe.credentials))
                    .unwrap_or_default(),
                standing,
                rejected: rejected.collect(),
                deployed: state.current_release().map(|release| release.commit().to_owned()).unwrap_or_default(),
            })
        });
        rules.collect()
    }

    async fn changed(&self, question: &Question) -> Changed {
        match &self.execution {
            Some(execution) => execution.changed(question).await,
            None => Changed::Unknown("no repository can be asked".into()),
        }
    }

    async fn queue(&self, wish: TriggeredWish) -> Result<(), NotQueued> {
        let registry = self.commands.live().registry();
        let revision = registry.workloads.get(&wish.workload).map_or(0, |registered| registered.revision());
        let image = match registry.spec(wish.workload, revision).and_then(|spec| recipe(&spec.source)) {
            Some(_) => ImageWish::Built { fresh: false, upload: None },
            None => ImageWish::Reference { reference: wish.reference.clone(), ask_registry: wish.ask_registry },
        };
        let intent = IntentQueued {
            deployment: wish.deployment,
            workload: wish.workload,
            wish: Wish::Deploy(image),
            revision,
            person: false,
            change: Some(wish.change.clone()),
        };
        let by = By { cause: wish.cause(), actor: wish.actor(), key: Some(wish.key()) };
        match self.commands.workload(wish.workload, by, Command::Queue(intent)).await {
            Ok(_) | Err(Error::Duplicate(_)) => Ok(()),
            Err(Error::Rejected(rejection)) => Err(NotQueued::Refused(rejection.to_string())),
            Err(Error::Claimed(claimed)) => Err(NotQueued::Refused(claimed.to_string())),
            Err(Error::Disorder(disorder)) => Err(NotQueued::Refused(disorder.to_string())),
            Err(Error::Log(error @ (AppendError::NoRoom | AppendError::Conflict { .. }))) => {
                Err(NotQueued::Later(error.to_string()))
            }
            Err(error) => Err(NotQueued::Final(error.to_string())),
        }
    }
}
