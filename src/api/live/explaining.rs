//! Why something is as it is: the chain of causes, back to a delivery or a person.

use cutover_events::{Cause, DeliveryId, DeploymentId, Event, ReleaseId, Sealed, StreamId, WorkloadId};

use super::LiveBackend;
use crate::api::backend::{About, Refusal, WorkloadName};
use crate::api::event_view;
use crate::api::time::rfc3339;
use crate::api::views::{ExplainView, LinkView, Outcome};
use crate::intake::deliveries;

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
        let state = self.commands.live().cell(id).state();
        let serving = super::telling::serving(&state);
        let Some(slot) = &state.active else {
            let answer = format!("{} runs nothing; see its timeline for why", self.full_name(id));
            return Ok(ExplainView { about: self.full_name(id), answer, chain: Vec::new() });
        };
        let mut view = self.explain_deployment(slot.deployment).await?;
        view.answer = format!("{serving} is live since {} succeeded", slot.deployment);
        view.about = self.full_name(id);
        Ok(view)
    }

    async fn explain_deployment(&self, id: DeploymentId) -> Result<ExplainView, Refusal> {
        let told = self.told(id).await?;
        let commits = self.course(id).await?;
        let mut chain = Vec::new();
        if let Some(Cause::Delivery(delivery)) = commits.first().map(|sealed| sealed.commit.cause) {
            chain.extend(self.explain_delivery(delivery).await?.chain);
        }
        let registry = self.registry();
        for sealed in &commits {
            let lines = event_view::lines(&sealed.commit, |workload| registry.full_name(workload));
            let ours = lines.into_iter().filter(|line| line.deployment_id == Some(id.to_string()));
            chain.extend(ours.map(|line| LinkView {
                position: line.position,
                time: line.time.clone(),
                text: sentence(&line),
            }));
        }
        let why = told.reason.as_ref().map(|reason| format!(": {}", reason.text)).unwrap_or_default();
        let answer = match told.outcome {
            Some(Outcome::Succeeded) => "it succeeded".into(),
            Some(Outcome::Failed) if told.routed_back => format!("it failed after the swap and was routed back{why}"),
            Some(Outcome::Failed) => format!("it failed before the swap{why}"),
            Some(Outcome::Superseded) => {
                format!("a newer wish took its place: {}", told.superseded_by.unwrap_or_default())
            }
            Some(Outcome::Cancelled) => "a person cancelled it".into(),
            Some(Outcome::Parked) => format!("it waits for a person{why}"),
            None => "it is under way".into(),
        };
        Ok(ExplainView { about: id.to_string(), answer, chain })
    }

    async fn explain_release(&self, id: ReleaseId) -> Result<ExplainView, Refusal> {
        let of = |(workload, cell): (WorkloadId, std::sync::Arc<crate::projections::Cell>)| {
            cell.state().release(id).map(|release| (workload, release.deployment))
        };
        let found = self.commands.live().cells().into_iter().find_map(of);
        let (workload, deployment) = found.ok_or_else(|| Refusal::UnknownName(format!("no release is {id}")))?;
        let mut view = self.explain_deployment(deployment).await?;
        view.answer = format!("{id} of {} was made by {deployment}; {}", self.full_name(workload), view.answer);
        Ok(view)
    }

    async fn explain_delivery(&self, id: DeliveryId) -> Result<ExplainView, Refusal> {
        let hooks: Vec<_> = self.commands.live().engine().hooks.keys().copied().collect();
        for hook in hooks {
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
        Err(Refusal::UnknownName(format!("no delivery is {id}")))
    }

    async fn course(&self, id: DeploymentId) -> Result<Vec<Sealed>, Refusal> {
        let begins = self.commands.live().with_deployments(|all| all.begins(id));
        let begins = begins.ok_or_else(|| Refusal::UnknownName(format!("no deployment is {id}")))?;
        let commits = self.commands.log().read(StreamId::Workload(begins.workload), begins.version, CHAIN).await?;
        let ours = |sealed: &Sealed| sealed.commit.events.iter().any(|event: &Event| event.deployment() == Some(id));
        Ok(commits.into_iter().filter(ours).collect())
    }
}

/// One event in one line: its kind, and why where it says so.
fn sentence(line: &crate::api::views::EventLine) -> String {
    match line.reason() {
        "" => format!("{} by {}", line.event, line.actor),
        reason => format!("{}: {reason}", line.event),
    }
}
