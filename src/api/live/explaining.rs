//! Why something is as it is: the chain of causes, back to a delivery or a person.

use std::sync::Arc;

use cutover_domain::workload::{Phase, Teardown, Workload};
use cutover_events::{Cause, DeliveryId, DeploymentId, Event, HookId, ReleaseId, Sealed, StreamId, WorkloadId};

use super::LiveBackend;
use crate::api::backend::{About, Refusal, WorkloadName};
use crate::api::event_view;
use crate::api::time::rfc3339;
use crate::api::told::Names;
use crate::api::views::{EventLine, ExplainView, LinkView, Outcome};
use crate::intake::deliveries;

/// Commits of the engine's own stream that are read at once: hooks are few, and so are starts.
const PAGE: usize = 256;
/// Commits of one deployment that a chain is taken from.
const CHAIN: usize = 256;

impl LiveBackend {
    pub(super) async fn explained(&self, about: About) -> Result<ExplainView, Refusal> {
        match about {
            About::Workload(name) => self.explain_workload(&name).await,
            About::Deployment(id) => self.explain_deployment(id).await,
            About::Release(id) => self.explain_release(id).await,
            About::Delivery(id) => self.explain_delivery(id).await,
        }
    }

    async fn explain_workload(&self, name: &WorkloadName) -> Result<ExplainView, Refusal> {
        let id = self.find(name)?;
        let (full, state) = (self.full_name(id), self.commands.live().cell(id).state());
        let last = self.commands.live().with_deployments(|all| all.last_ended(id));
        let (deployment, answer) = match why(&state) {
            Why::Live(deployment) => {
                let serving = super::telling::serving(&state);
                (deployment, format!("{serving} is live since {deployment}"))
            }
            Why::Watched(deployment) => {
                let serving = super::telling::serving(&state);
                (deployment, format!("{serving} is live; {deployment} brought it about and still watches it"))
            }
            Why::UnderWay(deployment) => (deployment, format!("it runs nothing yet; {deployment} is under way")),
            Why::Stopped(deployment, by) => (deployment, format!("it was stopped by {by} with {deployment}")),
            Why::Nothing => match last {
                Some(last) if state.teardown != Teardown::No => (last, format!("it was torn down by {last}")),
                Some(last) => (last, format!("it runs nothing; {last} was the last to change that")),
                None => {
                    let answer = "it was never deployed: `cutover deploy` does it, or the first delivery".into();
                    return Ok(ExplainView { about: full, answer, chain: Vec::new() });
                }
            },
        };
        let view = self.explain_deployment(deployment).await?;
        let failed = matches!(why(&state), Why::Nothing) && state.teardown == Teardown::No;
        let answer = if failed { format!("{answer}: {}", view.answer) } else { answer };
        let freeze = self.freeze_of(id).await.map(|freeze| format!("; {}", super::freezing::told(&freeze)));
        let answer = format!("{answer}{}", freeze.unwrap_or_default());
        Ok(ExplainView { about: full, answer, ..view })
    }

    async fn explain_deployment(&self, id: DeploymentId) -> Result<ExplainView, Refusal> {
        let told = self.told(id).await?;
        let commits = self.course(id).await?;
        let mut chain = Vec::new();
        if let Some(Cause::Delivery(delivery)) = commits.first().map(|sealed| sealed.commit.cause) {
            chain.extend(self.explain_delivery(delivery).await?.chain);
        }
        let registry = self.registry();
        let mut names = Names::default();
        for sealed in &commits {
            let lines = event_view::lines(&sealed.commit, |workload| registry.full_name(workload));
            for line in lines.iter().filter(|line| line.deployment_id == Some(id.to_string())) {
                names.learn(line);
                chain.extend(link(line, &names));
            }
        }
        let why = told.reason.as_ref().map(|reason| format!(": {}", reason.text)).unwrap_or_default();
        let answer = match told.outcome {
            Some(Outcome::Succeeded) => "it succeeded".into(),
            Some(Outcome::Failed) if told.routed_back => format!("it failed after the swap and was routed back{why}"),
            Some(Outcome::Failed) if told.is_live() => {
                format!("it failed after the swap, and nothing could take over{why}")
            }
            Some(Outcome::Failed) => format!("it failed before the swap{why}"),
            Some(Outcome::Superseded) => {
                format!("a newer wish took its place: {}", told.superseded_by.unwrap_or_default())
            }
            Some(Outcome::Cancelled) => "a person cancelled it".into(),
            Some(Outcome::Parked) => {
                format!(
                    "it waits for a person{why}; `cutover resume {id}` lets it go on, `cutover cancel {id}` ends it"
                )
            }
            None => "it is under way".into(),
        };
        Ok(ExplainView { about: id.to_string(), answer, chain })
    }

    async fn explain_release(&self, id: ReleaseId) -> Result<ExplainView, Refusal> {
        let of = |(workload, cell): (WorkloadId, Arc<crate::projections::Cell>)| {
            cell.state().release(id).map(|release| (workload, release.deployment))
        };
        let found = self.commands.live().cells().into_iter().find_map(of);
        let (workload, deployment) = found.ok_or_else(|| {
            Refusal::UnknownName(format!("no release is {id}: `cutover releases NAME` lists those of a workload"))
        })?;
        let mut view = self.explain_deployment(deployment).await?;
        view.answer = format!("{id} of {} was made by {deployment}; {}", self.full_name(workload), view.answer);
        Ok(view)
    }

    async fn explain_delivery(&self, id: DeliveryId) -> Result<ExplainView, Refusal> {
        for hook in self.every_hook().await? {
            let Some(delivery) = deliveries::show(&**self.commands.log(), hook, id).await? else { continue };
            let received = format!("delivery {} ({}) received", delivery.received.sender_id, delivery.received.event);
            let mut chain =
                vec![LinkView { position: delivery.position, time: rfc3339(delivery.at.wall_ms), text: received }];
            let Some(decision) = delivery.decision else {
                return Ok(ExplainView { about: id.to_string(), answer: "it is not decided yet".into(), chain });
            };
            let verdict =
                |why: String| LinkView { position: decision.position, time: rfc3339(decision.at.wall_ms), text: why };
            let whys = decision.verdicts.iter().map(|v| format!("{}: {}", self.full_name(v.workload), v.why));
            chain.extend(whys.map(verdict));
            return Ok(ExplainView { about: id.to_string(), answer: decision.summary, chain });
        }
        let text = format!("no delivery is {id}; `cutover hook deliveries HOOK` lists the newest of a hook");
        Err(Refusal::UnknownName(text))
    }

    /// Every hook that there ever was, those that are there first: what came in through a removed one stays explained.
    async fn every_hook(&self) -> Result<Vec<HookId>, Refusal> {
        let here = self.commands.live().engine().hooks.clone();
        let mut hooks: Vec<_> = here.keys().copied().collect();
        let mut from = 1;
        loop {
            let commits = self.commands.log().read(StreamId::Engine, from, PAGE).await?;
            let Some(last) = commits.last() else { return Ok(hooks) };
            from = last.commit.last_version() + 1;
            let added = commits.iter().flat_map(|sealed| &sealed.commit.events).filter_map(|event| match event {
                Event::HookAdded(added) => Some(added.hook),
                _ => None,
            });
            hooks.extend(added.filter(|hook| !here.contains_key(hook)));
        }
    }

    async fn course(&self, id: DeploymentId) -> Result<Vec<Sealed>, Refusal> {
        let begins = self.commands.live().with_deployments(|all| all.begins(id));
        let begins = begins.ok_or_else(|| {
            Refusal::UnknownName(format!("no deployment is {id}: `cutover timeline NAME` lists those of a workload"))
        })?;
        let commits = self.commands.log().read(StreamId::Workload(begins.workload), begins.version, CHAIN).await?;
        let ours = |sealed: &Sealed| sealed.commit.events.iter().any(|event: &Event| event.deployment() == Some(id));
        Ok(commits.into_iter().filter(ours).collect())
    }
}

/// Which deployment says why a workload is as it is.
enum Why {
    /// It made active what serves, and is over.
    Live(DeploymentId),
    /// Its green serves already, and it goes on.
    Watched(DeploymentId),
    /// Nothing serves, and it may change that.
    UnderWay(DeploymentId),
    /// A person took it out of service; who.
    Stopped(DeploymentId, Arc<str>),
    /// Nothing serves, and nothing is under way.
    Nothing,
}

fn why(state: &Workload) -> Why {
    let open = state.open.as_ref();
    // While green is watched it serves, and the active slot is still blue.
    let swapped = open.filter(|open| matches!(open.phase, Phase::Swapped { .. }) && !open.intent.wish.ends_service());
    match (swapped, &state.active, open) {
        (Some(open), ..) => Why::Watched(open.id()),
        (None, Some(slot), _) => Why::Live(slot.deployment),
        (None, None, Some(open)) => Why::UnderWay(open.id()),
        (None, None, None) => match &state.stopped {
            Some(stopped) => Why::Stopped(stopped.deployment, stopped.by.clone()),
            None => Why::Nothing,
        },
    }
}

/// An event as a link of a chain; single steps are for the timeline.
fn link(line: &EventLine, names: &Names) -> Option<LinkView> {
    let text = names.spoken(&line.told);
    (line.event != "StepSucceeded").then(|| LinkView { position: line.position, time: line.time.clone(), text })
}

#[cfg(test)]
mod tests {
    use cutover_domain::observed::Mark;
    use cutover_domain::workload::Open;
    use cutover_events::WorkloadId;
    use cutover_events::deployment::{IntentQueued, Wish};

    use super::*;

    fn open(phase: Phase) -> Workload {
        let (deployment, workload) = (DeploymentId([2; 16]), WorkloadId([1; 16]));
        let wish = Wish::Rollback(None);
        let intent = IntentQueued { deployment, workload, wish, revision: 1, person: true, change: None };
        let open = Open { phase, ..Open::begun(Arc::new(intent), 1, Mark::default()) };
        Workload { open: Some(open), ..Workload::default() }
    }

    #[test]
    fn what_is_watched_is_explained_by_the_deployment_that_brought_it() {
        let swapped = open(Phase::Swapped { since: Mark::default(), drained: true });
        assert!(matches!(why(&swapped), Why::Watched(id) if id == DeploymentId([2; 16])));
        assert!(matches!(why(&open(Phase::Preparing)), Why::UnderWay(_)));
        assert!(matches!(why(&Workload::default()), Why::Nothing));
    }
}
