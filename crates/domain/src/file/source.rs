//! Where a workload comes from: exactly one source, in its short or its long form.

use std::collections::BTreeMap;

use cutover_events::workload::{Source, SourceKind};

use super::compose::Stack;
use super::strict::{Entry, Fault, Section, choice};
use super::{check, compose, dockerfile, image, site};
use crate::context::Context;

/// The sources, for messages.
pub(super) const SOURCES: &str =
    "image = \"REF\", dockerfile = \"DIR or git URL\", static = \"DIR\" or compose = \"FILE\"";

/// A source with the values that are sealed before it is recorded.
#[derive(Debug)]
pub(super) struct Sourced {
    /// Without its values.
    pub(super) source: Source,
    /// Build arguments, in the clear.
    pub(super) args: BTreeMap<String, String>,
    /// The text of a stack, in the clear.
    pub(super) compose_yaml: Option<String>,
    /// What was read otherwise than it was written.
    pub(super) note: Option<String>,
}

/// The one source of a workload.
pub(super) fn read(section: &Section<'_>) -> Result<Sourced, Fault> {
    let found: Vec<(SourceKind, Entry<'_>)> =
        SourceKind::ALL.into_iter().filter_map(|kind| Some((kind, section.get(kind.word())?))).collect();
    let (kind, entry) = match found.as_slice() {
        [] => return Err(section.fault(format!("no source; exactly one is needed: {SOURCES}"))),
        [(kind, entry)] => (*kind, entry),
        [(first, _), (_, second), ..] => {
            let text = format!("a second source beside {}; exactly one is needed: {SOURCES}", first.word());
            return Err(second.key_fault(text));
        }
    };
    let mut read = one(kind, entry)?;
    let Some(strategy) = section.get("strategy") else { return Ok(read) };
    let word = strategy_of(&strategy, kind)?;
    let inner = entry.as_section().and_then(|table| table.get("deploy_strategy"));
    if inner.is_some() && word != read.source.deploy_strategy() {
        return Err(strategy.fault(format!(
            "strategy and {}.deploy_strategy mean the same and have different values; write one of them",
            kind.word()
        )));
    }
    *written(&mut read.source) = word;
    Ok(read)
}

fn one(kind: SourceKind, entry: &Entry<'_>) -> Result<Sourced, Fault> {
    let alone = |source| Sourced { source, args: BTreeMap::new(), compose_yaml: None, note: None };
    Ok(match kind {
        SourceKind::Image => alone(Source::Image(image::read(entry)?)),
        SourceKind::Static => alone(Source::Static(site::read(entry)?)),
        SourceKind::Dockerfile => {
            let (source, args) = dockerfile::read(entry)?;
            Sourced { args, ..alone(Source::Dockerfile(source)) }
        }
        SourceKind::Compose => {
            let Stack { source, text, note } = compose::read(entry)?;
            Sourced { compose_yaml: text, note, ..alone(Source::Compose(source)) }
        }
    })
}

fn written(source: &mut Source) -> &mut String {
    match source {
        Source::Image(source) => &mut source.deploy_strategy,
        Source::Dockerfile(source) => &mut source.deploy_strategy,
        Source::Static(source) => &mut source.deploy_strategy,
        Source::Compose(source) => &mut source.deploy_strategy,
    }
}

/// `deploy_strategy` in the table of a source; empty when it is not there.
pub(super) fn strategy_in(section: &Section<'_>, kind: SourceKind) -> Result<String, Fault> {
    Ok(section.read("deploy_strategy", |entry| strategy_of(entry, kind))?.unwrap_or_default())
}

/// `credentials` in the table of a source; empty when it is not there.
pub(super) fn credentials_in(section: &Section<'_>) -> Result<String, Fault> {
    Ok(section.read("credentials", |entry| entry.text(check::secret))?.unwrap_or_default())
}

/// Refuses credentials where there is no repository that they could open.
pub(super) fn opens_something(source: &Source) -> Result<(), Fault> {
    let place = match source {
        Source::Image(_) => return Ok(()),
        Source::Dockerfile(source) => &source.context,
        Source::Static(source) => &source.path,
        Source::Compose(source) => &source.file,
    };
    if source.credentials().is_none() {
        return Ok(());
    }
    let key = format!("{}.credentials", source.kind().word());
    match Context::parse(place) {
        Ok(Context::Git(repository)) if repository.url.starts_with("git://") => {
            Err(Fault::new(key, "git:// knows no credentials; write the address as https://… or ssh://…"))
        }
        Ok(Context::Git(_)) => Ok(()),
        Ok(Context::Folder(_) | Context::Tarball(_)) | Err(_) => Err(Fault::new(
            key,
            "names what opens a private repository of git, and the source is none; write its address, or leave credentials out",
        )),
    }
}

fn strategy_of(entry: &Entry<'_>, kind: SourceKind) -> Result<String, Fault> {
    if entry.as_string().is_none() {
        let words = choice(check::strategies(kind));
        return Err(entry.wrong(&format!("a strategy of {}, {words} or \"\" for its default", kind.word())));
    }
    entry.text(|text| check::strategy(text, kind))
}

/// Where its files are, when they are somewhere.
pub(super) fn place(source: &mut Source) -> Option<&mut String> {
    let place = match source {
        Source::Image(_) => return None,
        Source::Dockerfile(source) => &mut source.context,
        Source::Static(source) => &mut source.path,
        Source::Compose(source) => &mut source.file,
    };
    (!place.is_empty()).then_some(place)
}
