//! The search for an image, beside its lane: what a reference means, or what a build makes. The lane goes on looking
//! meanwhile, and takes up what comes of it.

use std::sync::Arc;

use cutover_domain::observed::{Class, Effect};
use cutover_domain::workload::Workload;
use cutover_events::deployment::{BuiltFrom, ImageWish, IntentQueued, ReasonKind, ReleaseResolved};
use cutover_events::workload::{Pull, Spec};
use cutover_events::{DeploymentId, ReleaseId, WorkloadId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Execution;
use super::lane::Lane;
use super::perform::Failed;
use crate::adapters::runtime::Image;
use crate::crash;

/// What an image was found to be.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// Who asked.
    pub(super) deployment: DeploymentId,
    /// What was asked for, as exactly as it can be said.
    pub(super) reference: String,
    /// The image, which is here.
    pub(super) image: Image,
    /// What it was built from, if it was.
    pub(super) built: Option<BuiltFrom>,
}

impl Resolved {
    /// The event that records it for the open deployment.
    pub(super) fn recorded(self, state: &Workload) -> ReleaseResolved {
        let open = state.open.as_ref();
        ReleaseResolved {
            deployment: self.deployment,
            release: ReleaseId(self.deployment.0),
            revision: open.map_or(0, |open| open.revision),
            reference: self.reference,
            image: self.image.id,
            repo_digest: self.image.repo_digest,
            change: open.and_then(|open| open.intent.change.clone()),
            built: self.built,
        }
    }
}

/// What is sought, and for whom.
pub(super) struct Order {
    pub(super) workload: WorkloadId,
    pub(super) intent: Arc<IntentQueued>,
    /// As the deployment keeps it.
    pub(super) spec: Arc<Spec>,
    /// Ends the search: the deployment has ended before.
    pub(super) stop: CancellationToken,
}

type Ended = (DeploymentId, Result<Resolved, Failed>);

/// The searches of one lane: at most one goes on, those before it are ending.
#[derive(Default)]
pub(super) struct Search {
    tasks: JoinSet<Ended>,
    under_way: Option<(DeploymentId, CancellationToken)>,
    over: Vec<Ended>,
}

impl Search {
    /// Begins one; the one before it is ended.
    fn begin(&mut self, id: DeploymentId, stop: CancellationToken, task: impl Future<Output = Ended> + Send + 'static) {
        self.keep_for(None);
        self.under_way = Some((id, stop));
        self.tasks.spawn(task);
    }

    /// For whom one goes on.
    fn under_way(&self) -> Option<DeploymentId> {
        self.under_way.as_ref().map(|(id, _)| *id)
    }

    /// Ends what is not for this one.
    pub(super) fn keep_for(&mut self, seeks: Option<DeploymentId>) {
        if let Some((_, stop)) = self.under_way.take_if(|(id, _)| Some(*id) != seeks) {
            stop.cancel();
        }
        self.over.retain(|(id, _)| Some(*id) == seeks);
    }

    /// Returns when one has ended; never, when none goes on.
    pub(super) async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(ended) => self.keep(ended),
            None => std::future::pending().await,
        }
    }

    fn keep(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(ended) => {
                self.under_way.take_if(|(id, _)| *id == ended.0);
                self.over.push(ended);
            }
            // What has panicked says no more who it was: whoever still seeks begins anew.
            Err(error) => {
                tracing::error!(%error, "the search for an image has ended without an answer");
                self.under_way = None;
            }
        }
    }

    /// What has ended since the last time.
    fn take(&mut self) -> Vec<Ended> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.keep(ended);
        }
        std::mem::take(&mut self.over)
    }
}

impl Execution {
    /// Begins the search for the image of a deployment.
    pub(super) fn seek(self: &Arc<Self>, lane: &mut Lane, state: &Workload, id: DeploymentId) {
        let Some(intent) = state.seeks().filter(|intent| intent.deployment == id) else { return };
        let registry = self.commands.live().registry();
        let newest = registry.workloads.get(&lane.id).map_or(0, |registered| registered.revision());
        let revision = state.open.as_ref().map_or(newest, |open| open.revision);
        let Some(spec) = registry.spec(lane.id, revision) else {
            let why = Failed::for_good(ReasonKind::NoPlan, "the spec revision of the deployment is not in the log");
            return self.trouble(lane, Effect::Resolve(id), why);
        };
        let stop = CancellationToken::new();
        let order = Order { workload: lane.id, intent: intent.clone(), spec: spec.clone(), stop: stop.clone() };
        let shell = self.clone();
        lane.sight.search.begin(id, stop, async move { (id, shell.sought(order).await) });
        lane.sight.observed.answers.resolving = Some(id);
    }

    /// Takes up what searches have come to. What comes too late for its deployment is nobody's, and is swept.
    pub(super) fn take_up(&self, lane: &mut Lane, state: &Workload) {
        let seeks = state.seeks().map(|intent| intent.deployment);
        for (id, found) in lane.sight.search.take().into_iter().filter(|(id, _)| Some(*id) == seeks) {
            match found {
                Ok(resolved) => {
                    lane.sight.resolved = Some(resolved);
                    lane.sight.observed.answers.over(Effect::Resolve(id));
                }
                Err(failed) => self.trouble(lane, Effect::Resolve(id), failed),
            }
        }
        let answers = &mut lane.sight.observed.answers;
        answers.resolved = lane.sight.resolved.as_ref().map(|resolved| resolved.deployment);
        answers.resolving = lane.sight.search.under_way();
    }

    async fn sought(&self, order: Order) -> Result<Resolved, Failed> {
        let deployment = order.intent.deployment;
        let point = crash::before(|| crash::effect(&Effect::Resolve(deployment)));
        let found = match order.intent.wish.seeks() {
            Some(ImageWish::Built { .. }) => self.built(&order).await,
            Some(ImageWish::Reference { reference, ask_registry }) => {
                self.pulled(&order, (reference, *ask_registry)).await
            }
            Some(ImageWish::Current) | None => Err(Failed::for_good(ReasonKind::NoPlan, "it seeks no image")),
        };
        if let Ok(resolved) = &found {
            self.runtime.tag(&resolved.image.id, ReleaseId(deployment.0)).await?;
        }
        point.after();
        found
    }

    async fn pulled(&self, order: &Order, (reference, ask): (&str, bool)) -> Result<Resolved, Failed> {
        let _permit = self.pulls.acquire().await.map_err(|_| Failed::ends())?;
        let image = order.spec.source.image();
        let (pull, platform) = image.map_or((Pull::Missing, ""), |image| (image.pull, image.platform.as_str()));
        let pull = if ask && pull == Pull::Missing { Pull::Always } else { pull };
        let login = self.login(order.workload, &order.spec)?;
        tokio::select! {
            image = self.runtime.resolve(reference, (pull, platform), login.as_ref()) => {
                let (deployment, reference) = (order.intent.deployment, reference.to_owned());
                Ok(Resolved { deployment, reference, image: image?, built: None })
            }
            () = order.stop.cancelled() => Err(Failed::ends()),
        }
    }
}

impl Failed {
    /// Nobody waits for it any more.
    pub(super) fn ends() -> Self {
        Self { class: Class::Transient, kind: ReasonKind::Unavailable, text: "it was not waited for any more".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> DeploymentId {
        DeploymentId([n; 16])
    }

    fn nothing(n: u8) -> Ended {
        (id(n), Err(Failed::ends()))
    }

    #[tokio::test]
    async fn a_search_for_another_one_is_ended_and_what_it_finds_is_nobodys() {
        let mut search = Search::default();
        let stop = CancellationToken::new();
        let token = stop.clone();
        search.begin(id(1), stop.clone(), async move {
            token.cancelled().await;
            nothing(1)
        });
        search.keep_for(Some(id(1)));
        assert!(search.under_way() == Some(id(1)) && !stop.is_cancelled());
        search.keep_for(Some(id(2)));
        assert!(search.under_way().is_none() && stop.is_cancelled());
        search.begin(id(2), CancellationToken::new(), async { nothing(2) });
        search.ended().await;
        search.ended().await;
        assert_eq!(search.under_way(), None);
        search.keep_for(Some(id(2)));
        assert_eq!(search.take().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id(2)]);
        assert_eq!(search.take().len(), 0);
    }

    #[tokio::test]
    async fn a_search_that_panics_is_begun_anew() {
        let mut search = Search::default();
        search.begin(id(1), CancellationToken::new(), async { panic!("as the test wants it") });
        search.ended().await;
        assert_eq!((search.under_way(), search.take().len()), (None, 0));
    }
}
