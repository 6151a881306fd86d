//! One rule, one change: yes or no, and why.

use cutover_events::delivery::{Change, ChangeKind};
use cutover_events::workload::Trigger;

use super::image::{ImageRef, is_companion_tag, normal};
use super::{Standing, WorkloadRules, glob};
use crate::template::{self, SHORT_SHA_DIGITS};

/// What one rule says to one change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// The reference to deploy, with placeholders filled in; `None`: nothing is deployed.
    pub reference: Option<String>,
    /// One line for a person: why, or why not.
    pub why: String,
}

/// Whether the registry must be asked what `reference` means now: it holds neither a digest nor the commit of `change`.
///
/// A function of what the log holds, so that an intent that is appended after a crash asks as the first one would have.
#[must_use]
pub fn moves(change: &Change, reference: &str) -> bool {
    let Ok(image) = ImageRef::parse(reference) else { return true };
    let short = change.sha.get(..SHORT_SHA_DIGITS).unwrap_or(&change.sha);
    let of_commit = !short.is_empty() && image.tag.is_some_and(|tag| tag.contains(short));
    image.digest.is_none() && !of_commit
}

/// What rule `trigger` of `workload` says to `change`, which came as the sender's event `event`.
#[must_use]
pub fn rule(workload: &WorkloadRules, trigger: &Trigger, event: &str, change: &Change) -> Ruling {
    match matched(trigger, event, change).and_then(|seen| Ok((seen, reference(workload, change)?))) {
        Ok((seen, reference)) => Ruling { why: format!("{seen}: deploys {reference}"), reference: Some(reference) },
        Err(why) => Ruling { reference: None, why },
    }
}

/// What was seen when the rule matches; otherwise why it does not.
fn matched(trigger: &Trigger, event: &str, change: &Change) -> Result<String, String> {
    match change.kind {
        ChangeKind::Ping => Err("a test call: the hook works, nothing is deployed".into()),
        ChangeKind::Other => Err(format!("an event \"{event}\" does not deploy")),
        ChangeKind::Branch | ChangeKind::Tag => git(trigger, event, change),
        ChangeKind::Image => image(trigger, change),
    }
}

fn git(trigger: &Trigger, event: &str, change: &Change) -> Result<String, String> {
    repository(trigger, change)?;
    let (what, name, pattern) = match change.kind {
        ChangeKind::Tag => ("tag", change.tag(), &trigger.tag),
        ChangeKind::Branch | ChangeKind::Image | ChangeKind::Ping | ChangeKind::Other => {
            ("branch", change.branch(), &trigger.branch)
        }
    };
    let name = name.unwrap_or(&change.reference);
    if pattern.is_empty() {
        return Err(format!("{what} is {name}, the rule wants {}", wanted(trigger)));
    }
    if !glob::matches(pattern, name) {
        return Err(format!("{what} is {name}, the rule wants {pattern}"));
    }
    if change.deleted {
        return Err(format!("{what} {name} was deleted, nothing is left to deploy"));
    }
    if change.sha.is_empty() {
        return Err(format!("an event \"{event}\" names no commit, the push beside it does"));
    }
    let short = change.sha.get(..SHORT_SHA_DIGITS).unwrap_or(&change.sha);
    Ok(format!("{what} {name} of {} is at {short}", change.repo))
}

fn image(trigger: &Trigger, change: &Change) -> Result<String, String> {
    let image = ImageRef::parse(&change.image).map_err(|e| format!("image {e}"))?;
    if trigger.image.is_empty() {
        return Err(format!(
            "the delivery is about the image {}, the rule wants {}",
            image.repository,
            wanted(trigger)
        ));
    }
    if normal(image.repository) != normal(&trigger.image) {
        return Err(format!("image is {}, the rule wants {}", image.repository, trigger.image));
    }
    if !trigger.repo.is_empty() && !change.repo.is_empty() {
        repository(trigger, change)?;
    }
    let tag = image.tag.unwrap_or(if image.digest.is_some() { "" } else { "latest" });
    if !trigger.tag.is_empty() && !glob::matches(&trigger.tag, tag) {
        return Err(format!("tag is {tag}, the rule wants {}", trigger.tag));
    }
    if is_companion_tag(tag) {
        return Err(format!("tag {tag} is a signature beside an image, not an image"));
    }
    if change.deleted {
        return Err("the image was deleted, nothing is left to deploy".into());
    }
    Ok(format!("image {} was pushed", change.image))
}

fn repository(trigger: &Trigger, change: &Change) -> Result<(), String> {
    if trigger.repo.is_empty() || trigger.repo.eq_ignore_ascii_case(&change.repo) {
        return Ok(());
    }
    let seen = if change.repo.is_empty() { "not named" } else { &change.repo };
    Err(format!("repository is {seen}, the rule wants {}", trigger.repo))
}

/// What a rule waits for, for people.
fn wanted(trigger: &Trigger) -> String {
    let parts = [("branch", &trigger.branch), ("tag", &trigger.tag), ("image", &trigger.image)];
    let given: Vec<_> =
        parts.iter().filter(|(_, value)| !value.is_empty()).map(|(what, value)| format!("{what} {value}")).collect();
    if given.is_empty() { "nothing: it names no branch, tag or image".into() } else { given.join(" or ") }
}

/// The reference that the workload deploys for `change`.
fn reference(workload: &WorkloadRules, change: &Change) -> Result<String, String> {
    match &workload.standing {
        Standing::Open => {}
        Standing::Stopped { by } => {
            return Err(format!("stopped by {by}: start or deploy it to take deliveries again"));
        }
        Standing::TornDown => return Err("torn down: apply it to take deliveries again".into()),
    }
    if let Some(delivered) = delivered(workload, change) {
        return Ok(delivered);
    }
    let filled = template::fill(&workload.image, change).map_err(|why| format!("the image reference {why}"))?;
    match ImageRef::parse(&filled) {
        Ok(_) => Ok(filled),
        Err(why) => Err(format!("the image reference becomes \"{filled}\", which {why}")),
    }
}

/// A delivery about an image of the workload's own repository is taken as sent; without tag and digest it means `latest`.
fn delivered(workload: &WorkloadRules, change: &Change) -> Option<String> {
    if change.kind != ChangeKind::Image {
        return None;
    }
    let sent = ImageRef::parse(&change.image).ok()?;
    let own = own_repository(&workload.image);
    if normal(own) != normal(sent.repository) {
        return None;
    }
    let bare = sent.tag.is_none() && sent.digest.is_none();
    Some(if bare { format!("{}:latest", change.image) } else { change.image.clone() })
}

/// The repository of a reference that may hold placeholders.
fn own_repository(template: &str) -> &str {
    let name = template.split_once('@').map_or(template, |(name, _)| name);
    let last = name.rfind('/').map_or(0, |at| at + 1);
    name[last..].find(':').map_or(name, |at| &name[..last + at])
}
