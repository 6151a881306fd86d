//! The decision on one delivery: the verdict of every rule, with the ids of the intents that come of it.

use cutover_events::DeploymentId;
use cutover_events::delivery::{Change, ChangeKind, DeliveryDecided, DeliveryReceived, Verdict};

use super::verdict::rule;
use super::{Ruling, WorkloadRules};

/// Negative verdicts that are kept, a count: with 255 characters each they stay far below the 1 MiB of a commit.
pub const MAX_REFUSALS: usize = 1000;

/// Bytes of verdicts in one event, by estimate: leaves a quarter of the 64 KiB of an event free.
const EVENT_BUDGET_BYTES: usize = 48 * 1024;

/// Characters of one reason: a line and a half on a terminal.
const MAX_WHY_CHARS: usize = 255;

/// Bytes of a verdict beside its texts, at most.
const VERDICT_BYTES: usize = 48;

/// What is decided on `received`, which came through the hook named `hook`; usually one event, more when the verdicts
/// do not fit into one. All of them belong into one commit.
///
/// Every rule that names the hook has a verdict on every change; per change and workload at most one is positive, the
/// first rule that matches. `id` gives a new id for each intent.
pub fn decide(
    received: &DeliveryReceived,
    hook: &str,
    workloads: &[WorkloadRules],
    id: &mut dyn FnMut() -> DeploymentId,
) -> Vec<DeliveryDecided> {
    let items = received.items.iter().enumerate();
    let pairs = items.flat_map(|item| workloads.iter().map(move |workload| (item, workload)));
    let mut refusals = 0;
    let mut verdicts = Vec::new();
    for verdict in
        pairs.flat_map(|((item, change), workload)| of_workload(item, (&received.event, change), hook, workload))
    {
        refusals += usize::from(verdict.0.reference.is_none());
        if verdict.0.reference.is_some() || refusals <= MAX_REFUSALS {
            verdicts.push(recorded(verdict, id));
        }
    }
    let summary = summary(received, hook, workloads, &verdicts);
    let left_out = refusals.saturating_sub(MAX_REFUSALS);
    let summary = if left_out == 0 { summary } else { format!("{summary}; {left_out} more rules did not match") };
    split(received, &summary, verdicts)
}

type Place = (u16, cutover_events::WorkloadId, u16);

/// The rulings of one workload on one change.
fn of_workload(
    item: usize,
    (event, change): (&str, &Change),
    hook: &str,
    workload: &WorkloadRules,
) -> Vec<(Ruling, Place)> {
    let mut taken = None;
    let mut out = Vec::new();
    for (index, trigger) in workload.triggers.iter().enumerate().filter(|(_, trigger)| trigger.hook == hook) {
        let mut ruling = rule(workload, trigger, event, change);
        if ruling.reference.is_some() {
            match taken {
                Some(first) => {
                    ruling =
                        Ruling { reference: None, why: format!("rule {first} of the workload has matched before") };
                }
                None => taken = Some(index + 1),
            }
        }
        out.push((ruling, (narrow(item), workload.workload, narrow(index))));
    }
    out
}

fn narrow(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

fn recorded((ruling, (item, workload, rule)): (Ruling, Place), id: &mut dyn FnMut() -> DeploymentId) -> Verdict {
    let intent = ruling.reference.as_ref().map(|_| id());
    let why = ruling.why.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(MAX_WHY_CHARS).collect();
    Verdict { item, workload, rule, intent, reference: ruling.reference.unwrap_or_default(), why }
}

/// One line for a person about the whole delivery.
fn summary(received: &DeliveryReceived, hook: &str, workloads: &[WorkloadRules], verdicts: &[Verdict]) -> String {
    let name = |verdict: &Verdict| {
        workloads.iter().find(|w| w.workload == verdict.workload).map_or("", |w| w.name.as_str()).to_owned()
    };
    let deployed: Vec<_> = verdicts.iter().filter(|verdict| verdict.intent.is_some()).collect();
    match deployed.as_slice() {
        [] => refusal(received, hook, verdicts),
        [one] => format!("deploys {}: {}", name(one), one.why),
        [first, ..] => format!("deploys {} workloads, {} first: {}", deployed.len(), name(first), first.why),
    }
}

fn refusal(received: &DeliveryReceived, hook: &str, verdicts: &[Verdict]) -> String {
    let only = |kind| received.items.iter().all(|change| change.kind == kind);
    match verdicts {
        _ if only(ChangeKind::Ping) => "a test call: the hook works, nothing is deployed".into(),
        _ if only(ChangeKind::Other) => format!("an event \"{}\" does not deploy", received.event),
        [] if hook.is_empty() => "nothing is deployed: the hook was removed before the delivery was decided".into(),
        [] => format!("nothing is deployed: no workload has a rule for the hook {hook}"),
        [one] => format!("nothing is deployed: {}", one.why),
        [first, ..] => format!("nothing is deployed: {} rules do not match, the first: {}", verdicts.len(), first.why),
    }
}

/// Events that each hold as many verdicts as fit.
fn split(received: &DeliveryReceived, summary: &str, verdicts: Vec<Verdict>) -> Vec<DeliveryDecided> {
    let empty = || DeliveryDecided { delivery: received.delivery, summary: summary.to_owned(), verdicts: Vec::new() };
    let (mut out, mut current, mut used) = (Vec::new(), empty(), 0);
    for verdict in verdicts {
        let size = VERDICT_BYTES + verdict.why.len() + verdict.reference.len();
        if used + size > EVENT_BUDGET_BYTES {
            out.push(std::mem::replace(&mut current, empty()));
            used = 0;
        }
        used += size;
        current.verdicts.push(verdict);
    }
    out.push(current);
    out
}
