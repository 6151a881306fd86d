//! What a deployment would do, as people read it.

use cutover_domain::recipe::recipe;
use cutover_domain::strategy::{Choice, beside, effective};
use cutover_domain::workload::Workload;
use cutover_events::Digest;
use cutover_events::deployment::ImageWish;
use cutover_events::plan::Strategy;
use cutover_events::workload::{Process, ReleaseCommand, Spec};

use super::LiveBackend;
use crate::api::backend::{Refusal, WorkloadName};
use crate::api::told::{self, wish};
use crate::api::views::{DeployAsk, ForetoldView};

/// Digits of the hash of a plan: 64 bits, which nobody meets by chance within the life of one plan.
const HASH_DIGITS: usize = 16;

impl LiveBackend {
    /// What a deployment would do, and the version of the workload's stream that this was said of.
    pub(super) fn foretold(&self, name: &WorkloadName, ask: &DeployAsk) -> Result<(ForetoldView, u64), Refusal> {
        let id = self.find(name)?;
        let state = self.commands.live().cell(id).state();
        let sought = self.sought(id, &state, ask)?;
        let registry = self.registry();
        let registered = registry.workloads.get(&id);
        let Some((spec, revision)) = registered.and_then(|known| Some((known.revisions.last()?, known.revision())))
        else {
            return Err(Refusal::NotAllowed("it has no spec yet: apply it first".into()));
        };
        let reference = match (sought, recipe(&spec.source)) {
            (ImageWish::Reference { reference, .. }, _) => reference,
            (ImageWish::Built { upload: Some(upload), .. }, _) => format!("upload:{upload}"),
            (ImageWish::Built { .. } | ImageWish::Current, recipe) => {
                recipe.map(|recipe| recipe.origin()).unwrap_or_default()
            }
        };
        let choice = choice(spec, Some(&*state));
        let (strategy, steps) = (replaced(choice), steps(spec, choice));
        // The version stands for everything that has happened to it, the revision for the spec that it would keep.
        let whole = format!("{id} {} {revision} {reference} {} {strategy} {steps:?}", state.version, ask.pull);
        let hash = Digest::of(whole.as_bytes()).to_string().chars().take(HASH_DIGITS).collect();
        let view = ForetoldView {
            workload: self.full_name(id),
            hash,
            position: self.commands.log().head().position,
            revision,
            reference,
            serving: super::telling::serving(&state),
            strategy,
            steps,
            notes: notes(&state),
        };
        Ok((view, state.version))
    }
}

/// What a new wish would meet.
fn notes(state: &Workload) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(stopped) = &state.stopped {
        notes.push(format!("it was stopped by {}: a deployment brings it back", stopped.by));
    }
    if let Some(open) = &state.open {
        let (what, id) = (wish(&open.intent.wish), open.id());
        let fate = if open.before_pivot() { "it would be superseded" } else { "it finishes first" };
        notes.push(format!("{id} is under way ({what}): {fate}"));
    }
    let waits = state.queue.iter().chain(state.waiting.iter().map(|awaited| &awaited.intent));
    notes.extend(
        waits.map(|intent| format!("{} waits ({}): it would be superseded", intent.deployment, wish(&intent.wish))),
    );
    notes
}

/// How a workload would be replaced beside what runs of it, and why so.
pub(super) fn choice(spec: &Spec, state: Option<&Workload>) -> Choice {
    beside(effective(spec), state.and_then(|state| state.active.as_ref()).map(|slot| &*slot.plan))
}

/// A choice for a person.
pub(super) fn replaced(choice: Choice) -> String {
    told::replaced(choice.strategy, choice.why)
}

/// The steps, in their order.
pub(super) fn steps(spec: &Spec, choice: Choice) -> Vec<String> {
    let build =
        recipe(&spec.source).map(|recipe| format!("{}, unless nothing has changed since the last time", recipe.told()));
    let first = (!spec.after.is_empty()).then(|| {
        let names = spec.after.join(" and ");
        format!(
            "wait until {names} can be had, at most {}, unless it is on its way",
            seconds(spec.policy.gate_timeout_ms)
        )
    });
    let rest = match choice.strategy {
        Strategy::Recreate => recreate(spec),
        Strategy::BlueGreen => blue_green(spec),
    };
    build.into_iter().chain(first).chain(spec.release.as_ref().map(command)).chain(rest).collect()
}

/// The release command.
fn command(release: &ReleaseCommand) -> String {
    let (command, timeout) = (release.command.join(" "), seconds(release.timeout_ms));
    format!(
        "run `{command}` once in a container of its own, at most {timeout}: where it does not end well, nothing changes"
    )
}

/// How many containers of which process.
fn containers(spec: &Spec) -> String {
    let all = spec.processes.iter().map(|process| process.replicas).sum::<u16>() + spec.replicas;
    let new = format!("{all} new container{}", if all == 1 { "" } else { "s" });
    let process = |process: &Process| format!("{} of {}", process.replicas, process.name);
    let others: Vec<_> = spec.processes.iter().map(process).collect();
    if others.is_empty() { new } else { format!("{new} ({} of itself, {})", spec.replicas, others.join(", ")) }
}

fn recreate(spec: &Spec) -> Vec<String> {
    let policy = &spec.policy;
    vec![
        format!("create {}, not started", containers(spec)),
        format!("hold new requests, let those to the old one end, at most {}", seconds(policy.drain_ms)),
        format!(
            "stop the old one, at most {}, and remove it: nobody is served from here",
            seconds(policy.stop_timeout_ms)
        ),
        format!("start the new one, wait until ready, at most {}", seconds(policy.gate_timeout_ms)),
        "route to it".into(),
        format!(
            "where it does not become ready: start the release of before again, once, with {} to become ready",
            seconds(policy.restore_timeout_ms)
        ),
    ]
}

fn blue_green(spec: &Spec) -> Vec<String> {
    let policy = &spec.policy;
    let mut steps = vec![
        format!("create and start {}", containers(spec)),
        format!("wait until all are ready, at most {}", seconds(policy.gate_timeout_ms)),
        "move the route in one step".into(),
        format!("let requests to the old ones end, at most {}", seconds(policy.drain_ms)),
        format!("watch the new ones for {}", seconds(policy.bake_ms)),
    ];
    steps.push(match policy.standby_ms {
        0 => "remove the old ones".into(),
        ms => format!("keep the old ones as standby for {}, then remove them", seconds(ms)),
    });
    steps
}

fn seconds(ms: u64) -> String {
    format!("{} s", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_and_what_comes_first_is_awaited_first() {
        let file = b"[workloads.web]\nimage = \"a\"\nreplicas = 2\nafter = [\"db\", \"cache\"]\nrelease = \"rake db:migrate\"\n\
                     [workloads.web.processes.worker]\ncommand = [\"work\"]\n";
        let declared = cutover_domain::file::read("f.toml", file).unwrap().remove(0);
        let told = steps(&declared.spec, choice(&declared.spec, None));
        assert_eq!(told[0], "wait until db and cache can be had, at most 60 s, unless it is on its way");
        assert!(
            told[1].starts_with("run `rake db:migrate` once in a container of its own, at most 600 s:"),
            "{told:?}"
        );
        assert_eq!(told[2], "create and start 3 new containers (2 of itself, 1 of worker)");
    }
}
