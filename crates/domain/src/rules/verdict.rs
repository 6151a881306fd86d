//! One rule, one change: yes or no, and why.

use cutover_events::delivery::{Change, ChangeKind};
use cutover_events::workload::Trigger;

use super::image::{ImageRef, is_companion_tag, normal};
use super::{RejectedChange, Standing, WorkloadRules, glob};
use crate::recipe::place;
use crate::template::{self, SHORT_SHA_DIGITS};

/// What one rule says to one change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// The reference to deploy, with placeholders filled in; `None`: nothing is deployed.
    pub reference: Option<String>,
    /// One line for a person: why, or why not.
    pub why: String,
    /// Whether the change is one that the rule wants: what keeps it from being deployed then is the workload.
    pub fits: bool,
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
    let seen = match matched(trigger, event, change) {
        Ok(seen) => seen,
        Err(why) => return Ruling { reference: None, why, fits: false },
    };
    let named = reference(workload, change).and_then(|reference| accepted(workload, change, reference));
    let does = if workload.files.is_empty() { "deploys" } else { "deploys the files of" };
    match named {
        Ok(reference) => Ruling { why: format!("{seen}: {does} {reference}"), reference: Some(reference), fits: true },
        Err(why) => Ruling { reference: None, why, fits: true },
    }
}

/// The reference, unless it is the one that its commit was rejected with. What a moving reference means is known once it
/// is resolved: the deployment ends there.
fn accepted(workload: &WorkloadRules, change: &Change, reference: String) -> Result<String, String> {
    let known = |rejected: &&RejectedChange| rejected.sha == change.sha && rejected.reference == reference;
    let of_commit =
        if workload.files.is_empty() { !moves(change, &reference) } else { reference.contains(&change.sha) };
    let named = !change.sha.is_empty() && of_commit;
    match workload.rejected.iter().find(known).filter(|_| named) {
        Some(rejected) => Err(rejected.why.clone()),
        None => Ok(reference),
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
    if !workload.files.is_empty() {
        return place(&workload.files, Some(change)).map(|place| place.to_string());
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

#[cfg(test)]
mod tests {
    use super::*;
    use cutover_events::WorkloadId;

    const SHA: &str = "2222222222222222222222222222222222222222";

    fn trigger(branch: &str, tag: &str, image: &str) -> Trigger {
        let repo = if image.is_empty() { "acme/shop" } else { "" };
        let (hook, repo, paths) = ("h".into(), repo.into(), Vec::new());
        Trigger { hook, repo, branch: branch.into(), tag: tag.into(), image: image.into(), paths }
    }

    fn push(reference: &str) -> Change {
        let kind = if reference.starts_with("refs/tags/") { ChangeKind::Tag } else { ChangeKind::Branch };
        Change { kind, repo: "Acme/Shop".into(), reference: reference.into(), sha: SHA.into(), ..Change::default() }
    }

    fn image(reference: &str) -> Change {
        Change { kind: ChangeKind::Image, image: reference.into(), ..Change::default() }
    }

    fn of(template: &str) -> WorkloadRules {
        WorkloadRules {
            workload: WorkloadId([1; 16]),
            name: "shop/web".into(),
            triggers: Vec::new(),
            image: template.into(),
            files: String::new(),
            opened: String::new(),
            standing: Standing::Open,
            rejected: Vec::new(),
            deployed: String::new(),
        }
    }

    #[test]
    fn what_is_made_of_files_is_made_of_those_of_the_commit() {
        let built = |files: &str| WorkloadRules { files: files.into(), ..of("") };
        let (push, on_main) = (push("refs/heads/main"), trigger("main", "", ""));
        let ruling = rule(&built("https://git.test/acme/shop.git#main:api"), &on_main, "push", &push);
        assert_eq!(ruling.reference, Some(format!("https://git.test/acme/shop.git#{SHA}:api")), "{}", ruling.why);
        assert!(ruling.why.contains(": deploys the files of https://git.test/"), "{}", ruling.why);
        let folder = rule(&built("/srv/www"), &on_main, "push", &push);
        assert_eq!(folder.reference.as_deref(), Some("/srv/www"));
        let known = RejectedChange { sha: SHA.into(), reference: ruling.reference.unwrap(), why: "it failed".into() };
        let rejecting = WorkloadRules { rejected: vec![known], ..built("https://git.test/acme/shop.git#main:api") };
        let refused = rule(&rejecting, &on_main, "push", &push);
        assert_eq!((refused.reference, refused.why.as_str()), (None, "it failed"));
    }

    fn ruled(template: &str, trigger: &Trigger, change: &Change) -> Result<String, String> {
        let ruling = rule(&of(template), trigger, "push", change);
        ruling.reference.ok_or(ruling.why)
    }

    #[test]
    fn a_push_deploys_what_its_rule_names() {
        let on_main = trigger("main", "", "");
        let sha = format!("r/shop:{SHA}");
        assert_eq!(ruled("r/shop:{sha}", &on_main, &push("refs/heads/main")), Ok(sha));
        assert_eq!(ruled("r/shop:main", &on_main, &push("refs/heads/main")), Ok("r/shop:main".into()));
        let releases = trigger("", "v*", "");
        assert_eq!(ruled("r/shop:{tag}", &releases, &push("refs/tags/v1.2")), Ok("r/shop:v1.2".into()));
        let any = Trigger { repo: String::new(), ..trigger("release/*", "", "") };
        assert_eq!(ruled("r/shop:{branch}", &any, &push("refs/heads/release/1")), Ok("r/shop:release-1".into()));
    }

    #[test]
    fn a_push_that_does_not_deploy_says_why() {
        let on_main = trigger("main", "", "");
        let main = push("refs/heads/main");
        let other = Change { repo: "other/x".into(), ..main.clone() };
        let gone = Change { deleted: true, sha: String::new(), ..main.clone() };
        let bare = Change { sha: String::new(), ..main.clone() };
        let unnamed = Change { repo: String::new(), ..main.clone() };
        for (template, trigger, change, why) in [
            ("r/s:{sha}", &on_main, &push("refs/heads/dev"), "branch is dev, the rule wants main"),
            ("r/s:{sha}", &on_main, &push("refs/tags/main"), "tag is main, the rule wants branch main"),
            ("r/s:{sha}", &on_main, &other, "repository is other/x, the rule wants acme/shop"),
            ("r/s:{sha}", &on_main, &unnamed, "repository is not named, the rule wants acme/shop"),
            ("r/s:{sha}", &on_main, &gone, "branch main was deleted, nothing is left to deploy"),
            ("r/s:{sha}", &on_main, &bare, "an event \"push\" names no commit, the push beside it does"),
            ("r/s:{tag}", &on_main, &main, "the image reference wants {tag}, and the change is a push to a branch"),
            (
                "r/s:{x}",
                &on_main,
                &main,
                "the image reference holds \"{x}\"; known are {sha}, {short_sha}, {branch} and {tag}",
            ),
            (
                "r/s:{sha}",
                &trigger("", "", ""),
                &main,
                "branch is main, the rule wants nothing: it names no branch, tag or image",
            ),
            ("r/s:{sha}", &trigger("", "", "r/s"), &main, "branch is main, the rule wants image r/s"),
            (
                "r/s:{sha}",
                &on_main,
                &Change { kind: ChangeKind::Ping, ..Change::default() },
                "a test call: the hook works, nothing is deployed",
            ),
            ("r/s:{sha}", &on_main, &Change::default(), "an event \"push\" does not deploy"),
        ] {
            assert_eq!(ruled(template, trigger, change), Err(why.to_owned()));
        }
    }

    #[test]
    fn an_image_is_taken_as_it_was_sent() {
        let digest = format!("ghcr.io/acme/shop@sha256:{}", "a".repeat(64));
        let rule = trigger("", "", "ghcr.io/Acme/shop");
        for (template, sent, deployed) in [
            ("ghcr.io/acme/shop:{tag}", "ghcr.io/acme/shop:v7", "ghcr.io/acme/shop:v7"),
            ("ghcr.io/acme/shop:main", "ghcr.io/acme/shop:v7", "ghcr.io/acme/shop:v7"),
            ("ghcr.io/acme/shop", "ghcr.io/acme/shop", "ghcr.io/acme/shop:latest"),
            ("ghcr.io/acme/shop:{tag}", digest.as_str(), digest.as_str()),
            ("mirror.local/shop:{tag}", "ghcr.io/acme/shop:v7", "mirror.local/shop:v7"),
            ("mirror.local/shop:main", "ghcr.io/acme/shop:v7", "mirror.local/shop:main"),
        ] {
            assert_eq!(ruled(template, &rule, &image(sent)), Ok(deployed.to_owned()), "{template} {sent}");
        }
        let hub = trigger("", "", "docker.io/library/busybox");
        assert_eq!(ruled("busybox:1", &hub, &image("busybox:2")), Ok("busybox:2".into()));
    }

    #[test]
    fn an_image_that_does_not_deploy_says_why() {
        let rule = trigger("", "", "ghcr.io/acme/shop");
        let tagged = trigger("", "v*", "ghcr.io/acme/shop");
        let digest = format!("ghcr.io/acme/shop@sha256:{}", "a".repeat(64));
        let signature = format!("ghcr.io/acme/shop:sha256-{}.sig", "a".repeat(64));
        for (template, trigger, sent, why) in [
            ("a", &rule, "ghcr.io/acme/other:1", "image is ghcr.io/acme/other, the rule wants ghcr.io/acme/shop"),
            ("a", &tagged, "ghcr.io/acme/shop:dev", "tag is dev, the rule wants v*"),
            ("a", &tagged, "ghcr.io/acme/shop", "tag is latest, the rule wants v*"),
            (
                "a",
                &trigger("main", "", ""),
                "ghcr.io/acme/shop:1",
                "the delivery is about the image ghcr.io/acme/shop, the rule wants branch main",
            ),
            (
                "mirror/shop:{tag}",
                &rule,
                digest.as_str(),
                "the image reference wants {tag}, and the delivery about an image does not tell it",
            ),
        ] {
            assert_eq!(ruled(template, trigger, &image(sent)), Err(why.to_owned()));
        }
        assert!(
            ruled("a", &rule, &image(&signature))
                .unwrap_err()
                .ends_with("is a signature beside an image, not an image")
        );
    }

    #[test]
    fn a_workload_at_rest_takes_nothing() {
        let on_main = trigger("main", "", "");
        for (standing, why) in [
            (Standing::Stopped { by: "root".into() }, "stopped by root: start or deploy it to take deliveries again"),
            (Standing::TornDown, "torn down: apply it to take deliveries again"),
        ] {
            let workload = WorkloadRules { standing, ..of("r/s:{sha}") };
            let ruling = rule(&workload, &on_main, "push", &push("refs/heads/main"));
            assert_eq!((ruling.reference, ruling.why.as_str()), (None, why));
        }
    }

    #[test]
    fn a_rejected_commit_is_not_deployed_again_where_the_reference_names_it() {
        let on_main = trigger("main", "", "");
        let reference = format!("r/s:{SHA}");
        let why = "it was rolled back from".to_owned();
        let rejected = |reference: &str| {
            vec![RejectedChange { sha: SHA.into(), reference: reference.into(), why: "it was rolled back from".into() }]
        };
        let main = push("refs/heads/main");
        let workload = WorkloadRules { rejected: rejected(&reference), ..of("r/s:{sha}") };
        let ruling = rule(&workload, &on_main, "push", &main);
        assert_eq!((ruling.reference, ruling.why), (None, why));
        let moving = WorkloadRules { rejected: rejected("r/s:main"), ..of("r/s:{branch}") };
        assert_eq!(rule(&moving, &on_main, "push", &main).reference, Some("r/s:main".into()));
        let newer = Change { sha: "3".repeat(40), ..main };
        assert!(rule(&workload, &on_main, "push", &newer).reference.is_some());
    }

    #[test]
    fn only_what_names_its_content_does_not_move() {
        let change = push("refs/heads/main");
        let digest = format!("r/s@sha256:{}", "a".repeat(64));
        for (reference, moving) in [
            (format!("r/s:{SHA}"), false),
            ("r/s:2222222".into(), false),
            ("r/s:main-2222222".into(), false),
            (digest, false),
            ("r/s:main".into(), true),
            ("r/s".into(), true),
            ("2222222/s:main".into(), true),
        ] {
            assert_eq!(moves(&change, &reference), moving, "{reference}");
        }
        assert!(moves(&image("r/s:v7"), "r/s:v7"));
    }
}
