//! Apply and plan: what is declared against what is recorded.

use std::collections::BTreeMap;

use cutover_domain::ability::lacking;
use cutover_domain::file::{Declared, difference};
use cutover_domain::recipe::recipe;
use cutover_domain::registry::{Apply, same};
use cutover_events::deployment::{ImageWish, Wish};
use cutover_events::workload::Spec;
use cutover_events::{Key, StreamId, WorkloadId};

use super::spec::declared;
use super::{LiveBackend, by, foretelling};
use crate::api::backend::{Asker, Refusal};
use crate::api::views::{
    AppliedView, ApplyAsk, ApplyMode, ApplyView, DifferenceView, PlanView, PlannedView, WorkloadBody,
};
use crate::commands::Error;
use crate::execution::Files;
use crate::recovery::{queue_revision, wish_of};

/// What is said when nothing is to be done.
const NOTHING_NEW: &str = "nothing new";

impl LiveBackend {
    pub(super) async fn applied(&self, asker: Asker, ask: ApplyAsk) -> Result<ApplyView, Refusal> {
        let declared = self.declared(ask.workloads)?;
        let mut files = Vec::with_capacity(declared.len());
        for (workload, apply) in declared.iter().zip(self.in_order(&declared, ask.mode)?) {
            files.push(self.fits(workload, apply).await?);
        }
        let mut all = Vec::with_capacity(declared.len());
        for workload in &declared {
            all.push(self.sealed(workload, ask.mode)?);
        }
        let ids: Vec<_> = all.iter().map(|apply| apply.workload).collect();
        let mut recorded = by(&asker);
        recorded.key = None;
        let revisions = self.commands.apply(recorded, all).await?;
        let mut workloads = Vec::with_capacity(declared.len());
        let mut nameless = BTreeMap::new();
        for project in declared.iter().map(|one| one.project.as_str()) {
            // Who has the port is looked for among all programs of the host: once.
            if !nameless.contains_key(project) {
                nameless.insert(project.to_owned(), self.execution.nameless_project(project).await);
            }
        }
        for (((id, declared), revision), files) in ids.iter().zip(&declared).zip(revisions).zip(files) {
            let mut view = self.deploy_applied(&asker, (*id, declared), (revision, files), ask.mode).await?;
            if let Some(Some(why)) = nameless.get(&declared.project) {
                view.note = format!("{}; {why}", view.note);
            }
            workloads.push(view);
        }
        Ok(ApplyView { workloads })
    }

    /// What was sent, as far as this engine can carry it out.
    fn declared(&self, sent: Vec<WorkloadBody>) -> Result<Vec<Declared>, Refusal> {
        let all = sent.into_iter().map(declared).collect::<Result<Vec<_>, _>>()?;
        for one in &all {
            if let Some(why) = lacking(&one.spec, self.abilities) {
                return Err(Refusal::Conflict(format!("{}: {why}", one.full_name())));
            }
        }
        Ok(all)
    }

    /// The intent that an applied workload wants, if any.
    async fn deploy_applied(
        &self,
        asker: &Asker,
        (id, declared): (WorkloadId, &Declared),
        (revision, files): (Option<u32>, Files),
        mode: ApplyMode,
    ) -> Result<AppliedView, Refusal> {
        let registry = self.registry();
        let current = registry.workloads.get(&id).map_or(0, |registered| registered.revision());
        let mut view = AppliedView {
            workload: declared.full_name(),
            revision: current,
            changed: revision.is_some(),
            position: self.commands.log().head().position,
            deployment_id: None,
            note: NOTHING_NEW.into(),
        };
        let state = self.commands.live().cell(id).state();
        // The engine may have died between a revision and its intent, before anybody was told of either.
        let revision = match revision {
            None if self.never_queued(&registry, (id, current)).await? => Some(current),
            other => other,
        };
        let wish = match (mode, revision) {
            (ApplyMode::Record, Some(_)) => {
                view.note = "recorded; deploy it when you want it".into();
                return Ok(view);
            }
            (ApplyMode::Deploy, None) if files == Files::Changed => {
                Some(Wish::Deploy(ImageWish::Built { fresh: false, upload: None }))
            }
            (ApplyMode::Record, None) | (ApplyMode::Deploy, None) => return Ok(view),
            (ApplyMode::Deploy, Some(_)) => wish_of(&registry, id, &state),
            (ApplyMode::Pull, _) => wish_of(&registry, id, &state).map(|wish| self.asking(&registry, id, wish)),
        };
        let Some(wish) = wish else {
            view.note = "waits for the first delivery".into();
            return Ok(view);
        };
        let actor = asker.actor.clone();
        let queued = match revision {
            Some(revision) => queue_revision(&self.commands, self.clock, (id, revision), (wish, actor)).await,
            None => return self.queued_again(asker, (id, view), wish).await,
        };
        match queued {
            Ok(deployment) => view.deployment_id = Some(deployment.to_string()),
            Err(Error::Duplicate(original)) => {
                view.deployment_id =
                    original.commit.events.first().and_then(|e| e.deployment()).map(|id| id.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        view.note = "deploying".into();
        view.position = self.commands.log().head().position;
        Ok(view)
    }

    /// Whether a revision wants a deployment that the log does not hold.
    async fn never_queued(
        &self,
        registry: &cutover_domain::registry::Registry,
        (id, revision): (WorkloadId, u32),
    ) -> Result<bool, Refusal> {
        let wanted = registry.workloads.get(&id).is_some_and(|registered| registered.wanted);
        let key = Key::Revision { revision };
        Ok(wanted && self.commands.log().find(StreamId::Workload(id), &key).await?.is_none())
    }

    async fn queued_again(
        &self,
        asker: &Asker,
        (id, view): (WorkloadId, AppliedView),
        wish: Wish,
    ) -> Result<AppliedView, Refusal> {
        let accepted = self.queue(asker, id, wish).await?;
        let (deployment_id, position) = (Some(accepted.deployment_id), accepted.position);
        Ok(AppliedView { deployment_id, position, note: "deploying".into(), ..view })
    }

    /// The same wish, with the registry asked.
    fn asking(&self, registry: &cutover_domain::registry::Registry, id: WorkloadId, wish: Wish) -> Wish {
        let spec = registry.workloads.get(&id).and_then(|registered| registered.revisions.last());
        if spec.is_some_and(|spec| recipe(&spec.source).is_some()) {
            return Wish::Deploy(ImageWish::Built { fresh: true, upload: None });
        }
        let Some(image) = spec.and_then(|spec| spec.source.image()) else { return wish };
        match wish {
            Wish::Deploy(_) if !image.reference.contains('{') => {
                Wish::Deploy(ImageWish::Reference { reference: image.reference.clone(), ask_registry: true })
            }
            other => other,
        }
    }

    pub(super) async fn planned(&self, ask: ApplyAsk) -> Result<PlanView, Refusal> {
        let declared = self.declared(ask.workloads)?;
        let mut workloads = Vec::with_capacity(declared.len());
        for (workload, apply) in declared.iter().zip(self.in_order(&declared, ask.mode)?) {
            workloads.push(self.plan_one(workload, apply, ask.mode).await?);
        }
        Ok(PlanView { position: self.commands.log().head().position, workloads })
    }

    async fn plan_one(&self, declared: &Declared, apply: Apply, mode: ApplyMode) -> Result<PlannedView, Refusal> {
        let registry = self.registry();
        let known = registry.workloads.get(&apply.workload);
        let before = known.and_then(|registered| registered.revisions.last());
        // A workload that is not known has no cell, and asking for one would make it.
        let state = known.map(|_| self.commands.live().cell(apply.workload).state());
        let choice = foretelling::choice(&apply.spec, state.as_deref());
        let torn_down = state.is_some_and(|state| state.teardown != cutover_domain::workload::Teardown::No);
        let unchanged = before.is_some_and(|spec| same(spec, &apply.spec)) && !torn_down && mode != ApplyMode::Pull;
        let files = self.fits(declared, apply.clone()).await?;
        let unchanged = unchanged && files == Files::Same;
        let told = before.map(|spec| difference(spec, &apply.spec)).unwrap_or_default();
        let differences = told.iter().map(|line| differing(line));
        let action = match (before, unchanged) {
            (None, _) => "register and deploy",
            (Some(_), true) => NOTHING_NEW,
            (Some(_), false) if files == Files::Changed && told.is_empty() => "deploy what has changed in its files",
            (Some(_), false) => "revise and deploy",
        };
        Ok(PlannedView {
            workload: declared.full_name(),
            action: action.into(),
            differences: differences.collect(),
            strategy: foretelling::replaced(choice),
            steps: if unchanged { Vec::new() } else { foretelling::steps(&apply.spec, choice) },
            images: images(&apply.spec),
            notes: declared.warnings.clone(),
        })
    }

    /// What is applied together, as [`Self::compared`], when it can come after what it says.
    fn in_order(&self, declared: &[Declared], mode: ApplyMode) -> Result<Vec<Apply>, Refusal> {
        let all = declared.iter().map(|one| self.compared(one, mode)).collect::<Result<Vec<_>, _>>()?;
        self.registry().in_order(&all).map_err(|disorder| Refusal::BadContent(disorder.to_string()))?;
        Ok(all)
    }
}

/// What its containers would run.
fn images(spec: &Spec) -> Vec<String> {
    let named = spec.source.image().map(|image| image.reference.clone());
    named.or_else(|| recipe(&spec.source).map(|recipe| recipe.origin())).into_iter().collect()
}

/// A difference as `key: before -> after`, `key: added VALUE`, `key: removed VALUE` or `key: changed`, taken apart.
pub(super) fn differing(line: &str) -> DifferenceView {
    let (key, what) = line.split_once(": ").unwrap_or((line, "changed"));
    let view = |from: &str, to: &str| DifferenceView { key: key.into(), from: from.into(), to: to.into() };
    let value = |rest: &str| if rest.is_empty() { "(sealed)".to_owned() } else { rest.trim_start().to_owned() };
    if let Some((from, to)) = what.split_once(" -> ") {
        view(from, to)
    } else if let Some(rest) = what.strip_prefix("added") {
        view("", &value(rest))
    } else if let Some(rest) = what.strip_prefix("removed") {
        view(&value(rest), "")
    } else {
        view("(sealed)", "(another value)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_a_key_and_two_values() {
        let told = |line: &str| {
            let view = differing(line);
            (view.key, view.from, view.to)
        };
        let all = |key: &str, from: &str, to: &str| (key.to_owned(), from.to_owned(), to.to_owned());
        assert_eq!(told("replicas: 1 -> 2"), all("replicas", "1", "2"));
        assert_eq!(told("host: added a.test"), all("host", "", "a.test"));
        assert_eq!(told("memory: removed 64MiB"), all("memory", "64MiB", ""));
        assert_eq!(told("env KEY: added"), all("env KEY", "", "(sealed)"));
        assert_eq!(told("env KEY: changed"), all("env KEY", "(sealed)", "(another value)"));
    }
}
