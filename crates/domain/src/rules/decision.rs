//! The decision on one delivery: the verdict of every rule, with the ids of the intents that come of it.

use cutover_events::DeploymentId;
use cutover_events::delivery::{Change, ChangeKind, DeliveryDecided, DeliveryReceived, Verdict};

use super::since::by_paths;
use super::verdict::rule;
use super::{Answers, Ruling, WorkloadRules};

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
/// first rule that matches. `answers` are those to [`questions`](super::questions); `id` gives a new id for each intent.
pub fn decide(
    received: &DeliveryReceived,
    hook: &str,
    workloads: &[WorkloadRules],
    answers: &Answers,
    id: &mut dyn FnMut() -> DeploymentId,
) -> Vec<DeliveryDecided> {
    let items = received.items.iter().enumerate();
    let pairs = items.flat_map(|item| workloads.iter().map(move |workload| (item, workload)));
    let mut refusals = 0;
    let mut verdicts = Vec::new();
    // What a rule wanted, and its workload did not take, says more than all rules that wanted something else.
    let mut not_taken = None;
    for verdict in pairs
        .flat_map(|((item, change), workload)| of_workload((item, &received.event, change), hook, workload, answers))
    {
        refusals += usize::from(verdict.0.reference.is_none());
        if verdict.0.reference.is_none() && verdict.0.fits {
            not_taken.get_or_insert_with(|| verdict.0.why.clone());
        }
        if verdict.0.reference.is_some() || refusals <= MAX_REFUSALS {
            verdicts.push(recorded(verdict, id));
        }
    }
    let summary = match not_taken.filter(|_| verdicts.iter().all(|verdict| verdict.intent.is_none())) {
        Some(why) => format!("nothing is deployed: {why}"),
        None => summary(received, hook, workloads, &verdicts),
    };
    let left_out = refusals.saturating_sub(MAX_REFUSALS);
    let summary = if left_out == 0 { summary } else { format!("{summary}; {left_out} more rules did not match") };
    split(received, &summary, verdicts)
}

type Place = (u16, cutover_events::WorkloadId, u16);

/// The rulings of one workload on one change.
fn of_workload(
    (item, event, change): (usize, &str, &Change),
    hook: &str,
    workload: &WorkloadRules,
    answers: &Answers,
) -> Vec<(Ruling, Place)> {
    let changed = answers.get(&(narrow(item), workload.workload));
    let mut taken = None;
    let mut out = Vec::new();
    for (index, trigger) in workload.triggers.iter().enumerate().filter(|(_, trigger)| trigger.hook == hook) {
        let mut ruling = by_paths(rule(workload, trigger, event, change), trigger, &workload.deployed, changed);
        if ruling.reference.is_some() {
            match taken {
                Some(first) => {
                    let why = format!("rule {first} of the workload has matched before");
                    ruling = Ruling { reference: None, why, fits: true };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Standing;
    use cutover_events::workload::Trigger;
    use cutover_events::{DeliveryId, Digest, HookId, WorkloadId};

    fn trigger(hook: &str, branch: &str) -> Trigger {
        let (repo, tag, image) = ("acme/shop".into(), String::new(), String::new());
        Trigger { hook: hook.into(), repo, branch: branch.into(), tag, image, paths: Vec::new() }
    }

    fn workload(number: u8, triggers: Vec<Trigger>) -> WorkloadRules {
        WorkloadRules {
            workload: WorkloadId([number; 16]),
            name: format!("shop/w{number}"),
            triggers,
            image: "r.example.com/shop:{short_sha}".into(),
            files: String::new(),
            opened: String::new(),
            standing: Standing::Open,
            rejected: Vec::new(),
            deployed: String::new(),
        }
    }

    fn push(branch: &str) -> Change {
        Change {
            kind: ChangeKind::Branch,
            repo: "acme/shop".into(),
            reference: format!("refs/heads/{branch}"),
            sha: "2".repeat(40),
            ..Change::default()
        }
    }

    fn received(items: Vec<Change>) -> DeliveryReceived {
        DeliveryReceived {
            delivery: DeliveryId([1; 16]),
            hook: HookId([2; 16]),
            sender_id: "one".into(),
            event: "push".into(),
            body: Digest::default(),
            items,
            secret: 0,
            lists: Vec::new(),
        }
    }

    fn decided(items: Vec<Change>, workloads: &[WorkloadRules]) -> Vec<DeliveryDecided> {
        let mut next = 0_u128;
        let mut id = || {
            next += 1;
            DeploymentId(next.to_be_bytes())
        };
        decide(&received(items), "github", workloads, &Answers::new(), &mut id)
    }

    #[test]
    fn every_rule_of_the_hook_answers_and_the_first_match_deploys() {
        let rules =
            vec![trigger("github", "dev"), trigger("github", "main"), trigger("ci", "main"), trigger("github", "m*")];
        let decided = decided(vec![push("main")], &[workload(1, rules), workload(2, vec![trigger("ci", "main")])]);
        let seen: Vec<_> =
            decided[0].verdicts.iter().map(|v| (v.rule, v.intent.is_some(), v.reference.as_str())).collect();
        assert_eq!(seen, [(0, false, ""), (1, true, "r.example.com/shop:2222222"), (3, false, "")]);
        assert_eq!(decided[0].verdicts[2].why, "rule 2 of the workload has matched before");
        assert!(decided[0].summary.starts_with("deploys shop/w1: branch main of acme/shop is at 2222222"));
    }

    #[test]
    fn the_summary_names_what_keeps_a_change_that_is_wanted_from_being_deployed() {
        let stopped = Standing::Stopped { by: "alice".into() };
        let web = WorkloadRules { standing: stopped, ..workload(2, vec![trigger("github", "main")]) };
        let decided = decided(vec![push("main")], &[workload(1, vec![trigger("github", "dev")]), web]);
        let summary = &decided[0].summary;
        assert_eq!(summary, "nothing is deployed: stopped by alice: start or deploy it to take deliveries again");
    }

    #[test]
    fn every_item_has_its_own_intent() {
        let decided =
            decided(vec![push("main"), push("dev"), push("main")], &[workload(1, vec![trigger("github", "main")])]);
        let intents: Vec<_> = decided[0].verdicts.iter().map(|v| (v.item, v.intent)).collect();
        let id = |n: u128| Some(DeploymentId(n.to_be_bytes()));
        assert_eq!(intents, [(0, id(1)), (1, None), (2, id(2))]);
        assert!(decided[0].summary.starts_with("deploys 2 workloads, shop/w1 first"));
    }

    #[test]
    fn the_summary_of_nothing_says_why() {
        let one = [workload(1, vec![trigger("github", "main")])];
        assert_eq!(
            decided(vec![push("dev")], &one)[0].summary,
            "nothing is deployed: branch is dev, the rule wants main"
        );
        assert_eq!(
            decided(vec![push("dev")], &[])[0].summary,
            "nothing is deployed: no workload has a rule for the hook github"
        );
        let ping = Change { kind: ChangeKind::Ping, ..Change::default() };
        assert_eq!(decided(vec![ping], &one)[0].summary, "a test call: the hook works, nothing is deployed");
        assert_eq!(decided(vec![Change::default()], &one)[0].summary, "an event \"push\" does not deploy");
    }

    #[test]
    fn what_does_not_fit_into_one_event_goes_into_several() {
        let many: Vec<_> =
            (0..700).map(|_| workload(1, vec![trigger("github", "main"), trigger("github", "x")])).collect();
        let events = decided(vec![push("main"), push("dev")], &many);
        assert!(events.len() > 1);
        let all: Vec<_> = events.iter().flat_map(|event| &event.verdicts).collect();
        assert_eq!(all.iter().filter(|v| v.intent.is_some()).count(), 700);
        assert_eq!(all.len(), 700 + MAX_REFUSALS);
        assert!(events[0].summary.ends_with("; 1100 more rules did not match"), "{}", events[0].summary);
        let sizes = events.iter().map(|event| cutover_events::Event::from(event.clone()).payload().unwrap().len());
        assert!(sizes.max().unwrap() <= cutover_events::codec::MAX_EVENT_BYTES);
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let odd = Change { repo: format!("a\u{7}{}", "x".repeat(5000)), ..push("main") };
        let decided = decided(vec![odd], &[workload(1, vec![trigger("github", "main")])]);
        let why = &decided[0].verdicts[0].why;
        assert!(why.chars().count() <= MAX_WHY_CHARS && !why.chars().any(char::is_control));
    }
}
