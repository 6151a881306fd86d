//! Rules by path: what has changed since what is deployed, whoever knows it, and what follows from that.

use std::collections::BTreeMap;

use cutover_events::WorkloadId;
use cutover_events::delivery::{Change, DeliveryReceived};
use cutover_events::workload::Trigger;

use super::{Ruling, WorkloadRules, paths, rule};
use crate::template::SHORT_SHA_DIGITS;

/// What differs between what is deployed and a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// These paths, and no others.
    Paths(Vec<String>),
    /// It is not known; why, for a person.
    Unknown(String),
}

/// What has to be known before a delivery can be decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Index of the change in the delivery.
    pub item: u16,
    /// Whose rule asks.
    pub workload: WorkloadId,
    /// Where its files are; empty for what is made of none.
    pub files: String,
    /// The secret that opens the repository, as `project/name`; empty for none.
    pub opened: String,
    /// The repository as the delivery names it.
    pub repo: String,
    /// The commit that is deployed.
    pub from: String,
    /// The commit of the change.
    pub to: String,
    /// What the delivery itself lists, if it lists all that has changed since what is deployed.
    pub listed: Option<Vec<String>>,
}

impl Question {
    /// Whether the same repository, opened by the same secret, is asked the same: its folder makes no difference.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let all = |question: &Self| {
            let address = question.files.split('#').next().unwrap_or_default().to_owned();
            (address, question.opened.clone(), question.repo.clone(), question.from.clone(), question.to.clone())
        };
        all(self) == all(other)
    }
}

/// The answers, by change and workload.
pub type Answers = BTreeMap<(u16, WorkloadId), Changed>;

/// Every question of the rules that would deploy something.
#[must_use]
pub fn questions(received: &DeliveryReceived, hook: &str, workloads: &[WorkloadRules]) -> Vec<Question> {
    let items = received.items.iter().enumerate();
    let pairs = items.flat_map(|item| workloads.iter().map(move |workload| (item, workload)));
    pairs.filter_map(|((item, change), workload)| asked(received, (item, change), hook, workload)).collect()
}

fn asked(
    received: &DeliveryReceived,
    (item, change): (usize, &Change),
    hook: &str,
    workload: &WorkloadRules,
) -> Option<Question> {
    let by_path = |trigger: &&Trigger| trigger.hook == hook && !trigger.paths.is_empty();
    let deploys = |trigger: &Trigger| rule(workload, trigger, &received.event, change).reference.is_some();
    if workload.deployed.is_empty() || !workload.triggers.iter().filter(by_path).any(deploys) {
        return None;
    }
    let item = u16::try_from(item).ok()?;
    let complete = received.lists.iter().find(|list| list.item == item && list.before == workload.deployed);
    Some(Question {
        item,
        workload: workload.workload,
        files: workload.files.clone(),
        opened: workload.opened.clone(),
        repo: change.repo.clone(),
        from: workload.deployed.clone(),
        to: change.sha.clone(),
        listed: complete.map(|list| list.paths.clone()),
    })
}

/// What becomes of a ruling by the paths of its rule. What is not known never keeps a change from being deployed.
pub(super) fn by_paths(ruling: Ruling, trigger: &Trigger, deployed: &str, changed: Option<&Changed>) -> Ruling {
    if ruling.reference.is_none() || trigger.paths.is_empty() {
        return ruling;
    }
    let since = deployed.get(..SHORT_SHA_DIGITS).unwrap_or(deployed);
    let patterns = trigger.paths.join(", ");
    let more = match changed {
        _ if deployed.is_empty() => "no commit of it is deployed, so every path counts".to_owned(),
        Some(Changed::Paths(all)) => match all.iter().find(|path| paths::wants(&trigger.paths, path)) {
            Some(path) => format!("{path} has changed since {since}"),
            None => {
                let why = format!("no path of {patterns} has changed since {since}, which is deployed");
                return Ruling { reference: None, why, fits: true };
            }
        },
        Some(Changed::Unknown(why)) => {
            format!("what has changed since {since} is not known, so all of it counts: {why}")
        }
        None => format!("what has changed since {since} is not known, so all of it counts"),
    };
    Ruling { why: format!("{}; {more}", ruling.why), ..ruling }
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;
    use cutover_events::delivery::{ChangeKind, PathList};
    use cutover_events::{DeliveryId, Digest, HookId};

    fn trigger(paths: &[&str]) -> Trigger {
        Trigger {
            hook: "github".into(),
            repo: "acme/mono".into(),
            branch: "main".into(),
            tag: String::new(),
            image: String::new(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }
    }

    fn workload(paths: &[&str], deployed: &str) -> WorkloadRules {
        WorkloadRules {
            workload: WorkloadId([1; 16]),
            name: "mono/api".into(),
            triggers: vec![trigger(paths)],
            image: String::new(),
            files: "https://git.test/acme/mono.git#main:services/api".into(),
            opened: String::new(),
            standing: Standing::Open,
            rejected: Vec::new(),
            deployed: deployed.into(),
        }
    }

    fn received(branch: &str, lists: Vec<PathList>) -> DeliveryReceived {
        let change = Change {
            kind: ChangeKind::Branch,
            repo: "acme/mono".into(),
            reference: format!("refs/heads/{branch}"),
            sha: "2".repeat(40),
            ..Change::default()
        };
        DeliveryReceived {
            delivery: DeliveryId([1; 16]),
            hook: HookId([2; 16]),
            sender_id: "one".into(),
            event: "push".into(),
            body: Digest::default(),
            items: vec![change],
            secret: 0,
            lists,
        }
    }

    fn ruled(paths: &[&str], deployed: &str, changed: Option<Changed>) -> Result<String, String> {
        let (workload, push) = (workload(paths, deployed), received("main", Vec::new()));
        let ruling = rule(&workload, &workload.triggers[0], "push", &push.items[0]);
        let ruling = by_paths(ruling, &workload.triggers[0], deployed, changed.as_ref());
        if ruling.reference.is_some() { Ok(ruling.why) } else { Err(ruling.why) }
    }

    #[test]
    fn only_a_path_of_the_rule_deploys() {
        let old = "3f2a123".repeat(6);
        let paths = &["services/api/**", "!**/*.md"];
        let changed = |paths: &[&str]| Some(Changed::Paths(paths.iter().map(|path| (*path).to_owned()).collect()));
        let why = ruled(paths, &old, changed(&["site/a", "services/api/main.rs"])).unwrap();
        assert!(why.ends_with("; services/api/main.rs has changed since 3f2a123"), "{why}");
        let why = ruled(paths, &old, changed(&["site/a", "services/api/README.md"])).unwrap_err();
        assert_eq!(why, "no path of services/api/**, !**/*.md has changed since 3f2a123, which is deployed");
        assert!(ruled(paths, &old, changed(&[])).is_err());
        assert!(ruled(&[], &old, None).is_ok());
    }

    #[test]
    fn what_is_not_known_is_deployed_and_said() {
        let paths = &["services/api/**"];
        let why = ruled(paths, &"3".repeat(40), Some(Changed::Unknown("no answer".into()))).unwrap();
        assert!(why.contains("since 3333333 is not known, so all of it counts: no answer"), "{why}");
        let why = ruled(paths, "", None).unwrap();
        assert!(why.ends_with("no commit of it is deployed, so every path counts"), "{why}");
    }

    #[test]
    fn only_what_would_be_deployed_is_asked_about_and_a_list_counts_from_what_is_deployed() {
        let old = "3".repeat(40);
        let list = |before: &str| PathList { item: 0, before: before.into(), paths: vec!["a".into()] };
        let asked = |paths: &[&str], deployed: &str, received: &DeliveryReceived| {
            questions(received, "github", &[workload(paths, deployed)])
        };
        let push = received("main", vec![list(&old)]);
        let found = asked(&["a/**"], &old, &push);
        assert_eq!((found.len(), found[0].listed.as_deref()), (1, Some(&["a".to_owned()][..])));
        assert_eq!((found[0].from.as_str(), found[0].to.as_str()), (old.as_str(), "2".repeat(40).as_str()));
        let other = asked(&["a/**"], &old, &received("main", vec![list(&"4".repeat(40))]));
        assert_eq!(other[0].listed, None, "a list against another commit says nothing about what is deployed");
        assert!(asked(&[], &old, &push).is_empty());
        assert!(asked(&["a/**"], "", &push).is_empty());
        assert!(asked(&["a/**"], &old, &received("dev", Vec::new())).is_empty());
    }
}
