//! `deploy = "hook:owner/name@branch"` and `[[workloads.NAME.triggers]]`.

use cutover_events::workload::Trigger;

use super::check;
use super::strict::{Entry, Fault, Section, Words, quoted};
use crate::reference::Reference;

/// Rules of one workload; each is judged for each delivery.
pub(super) const MAX_TRIGGERS: usize = 32;
/// Patterns of one rule: each is held against every path that a push has changed.
pub(super) const MAX_PATHS: usize = 32;
/// Characters of one pattern: as of a branch, and above the depth of any folder that was met.
const MAX_PATH_CHARS: usize = 255;

pub(super) const WORDS: Words =
    Words { known: &["hook", "repo", "branch", "tag", "image", "paths"], later: &["semver", "skip", "schedule"] };

pub(super) fn read(section: &Section<'_>) -> Result<Vec<Trigger>, Fault> {
    let mut triggers = Vec::new();
    for entry in section.read("deploy", |entry| entry.one_or_more(MAX_TRIGGERS))?.unwrap_or_default() {
        triggers.push(match entry.as_section() {
            Some(table) => table_trigger(&table)?,
            None => entry.text(short)?,
        });
    }
    for table in section.read("triggers", |entry| entry.sections(MAX_TRIGGERS))?.unwrap_or_default() {
        triggers.push(table_trigger(&table)?);
    }
    if triggers.len() > MAX_TRIGGERS {
        return Err(section.fault(format!("{} triggers; at most {MAX_TRIGGERS} are allowed", triggers.len())));
    }
    Ok(triggers)
}

/// `hook:owner/name@branch`, or `hook:owner/name@tag:v*`.
fn short(text: &str) -> Result<Trigger, String> {
    let bad = || {
        format!(
            "{} is not a trigger; expected \"HOOK:OWNER/NAME@BRANCH\" or \"HOOK:OWNER/NAME@tag:TAG\", as in \"github:acme/shop@main\"",
            quoted(text)
        )
    };
    let (hook, rest) = text.split_once(':').ok_or_else(bad)?;
    let (repo, reference) = rest.split_once('@').ok_or_else(bad)?;
    let (branch, tag) = match reference.strip_prefix("tag:") {
        Some(tag) => (String::new(), tag.to_owned()),
        None => (reference.to_owned(), String::new()),
    };
    if hook.is_empty() || repo.is_empty() || (branch.is_empty() && tag.is_empty()) {
        return Err(bad());
    }
    let (hook, repo, image) = (hook.to_owned(), repo.to_owned(), String::new());
    let trigger = Trigger { hook, repo, branch, tag, image, paths: Vec::new() };
    judged(trigger).map_err(|(_, why)| why)
}

fn table_trigger(table: &Section<'_>) -> Result<Trigger, Fault> {
    table.expect(WORDS)?;
    let text = |key: &str| {
        table.read(key, |entry: &Entry<'_>| entry.string().map(str::to_owned)).map(Option::unwrap_or_default)
    };
    let trigger = Trigger {
        hook: text("hook")?,
        repo: text("repo")?,
        branch: text("branch")?,
        tag: text("tag")?,
        image: text("image")?,
        paths: table.read("paths", patterns)?.unwrap_or_default(),
    };
    judged(trigger).map_err(|(key, why)| table.fault_below(&Fault::new(key, why)))
}

/// A trigger whose parts are well formed: a branch is for changes of branches, a tag for those of tags and images, an
/// image for those of images; otherwise the key and what is wrong with it.
pub(super) fn judged(trigger: Trigger) -> Result<Trigger, (&'static str, String)> {
    let Trigger { hook, repo, branch, tag, image, paths } = &trigger;
    if hook.is_empty() {
        return Err(("", "\"hook\" is missing; expected the name of a hook (cutover hook list)".to_owned()));
    }
    check::name(hook).map_err(|why| ("hook", why))?;
    part(repo, check::repo).map_err(|why| ("repo", why))?;
    part(branch, check::pattern).map_err(|why| ("branch", why))?;
    part(tag, check::pattern).map_err(|why| ("tag", why))?;
    part(image, repository).map_err(|why| ("image", why))?;
    if branch.is_empty() && tag.is_empty() && image.is_empty() {
        return Err(("", "one of branch, tag and image is needed; nothing would match".to_owned()));
    }
    if paths.len() > MAX_PATHS {
        return Err(("paths", format!("{} patterns; at most {MAX_PATHS} are allowed", paths.len())));
    }
    paths.iter().try_for_each(|pattern| path(pattern).map(drop)).map_err(|why| ("paths", why))?;
    if !paths.is_empty() && branch.is_empty() && tag.is_empty() {
        return Err(("paths", "paths change with commits: a branch or a tag is needed beside them".to_owned()));
    }
    Ok(trigger)
}

fn patterns(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    entry.one_or_more(MAX_PATHS)?.iter().map(|one| one.text(path)).collect()
}

/// A pattern of paths from the top of the repository.
fn path(text: &str) -> Result<String, String> {
    let pattern = text.strip_prefix('!').unwrap_or(text);
    let bad = |why: &str| {
        Err(format!("the pattern {} {why}; expected one as in \"services/api/**\" or \"!**/*.md\"", quoted(text)))
    };
    if pattern.is_empty() || text.chars().count() > MAX_PATH_CHARS {
        return bad(&format!("must have 1 to {MAX_PATH_CHARS} characters"));
    }
    if pattern.starts_with('/') || pattern.split('/').any(|part| matches!(part, "." | "..")) {
        return bad("does not begin at the top of the repository");
    }
    if pattern.contains(|c: char| c.is_control() || c == '\\') {
        return bad("holds what no path has");
    }
    if pattern.split('/').any(|part| part.contains("**") && part != "**") {
        return bad("has ** beside other characters; it stands for whole folders");
    }
    Ok(text.to_owned())
}

fn part(text: &str, check: fn(&str) -> Result<String, String>) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { check(text).map(drop) }
}

/// An image without tag and digest.
fn repository(text: &str) -> Result<String, String> {
    let reference = Reference::parse(text).map_err(|bad| bad.0)?;
    let tagged = text.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if reference.digest.is_some() || tagged {
        return Err(format!(
            "{} has a tag or digest; expected the repository alone, the tag goes to \"tag\"",
            quoted(text)
        ));
    }
    Ok(text.to_owned())
}
