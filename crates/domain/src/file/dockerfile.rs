//! `dockerfile`: the folder that is built, or a table with all its keys.

use std::collections::BTreeMap;

use cutover_events::workload::{DockerfileSource, SourceKind};

use super::strict::{Entry, Fault, Section, Words, quoted};
use super::{check, source};
use crate::context::{self, Context};

/// Secrets of one build: many times of what builds need.
pub(super) const MAX_SECRETS: usize = 32;
/// Characters of the name of a stage: as for the name of a volume, far above what is written.
const MAX_STAGE_CHARS: usize = 128;
/// The name that a Dockerfile has as a rule.
pub(super) const DEFAULT_FILE: &str = "Dockerfile";

pub(super) const WORDS: Words =
    Words { known: &["context", "file", "target", "args", "secrets", "credentials", "deploy_strategy"], later: &[] };

/// The source, and the values of its arguments.
pub(super) fn read(entry: &Entry<'_>) -> Result<(DockerfileSource, BTreeMap<String, String>), Fault> {
    let Some(section) = entry.as_section() else {
        if entry.as_string().is_none() {
            return Err(entry.wrong(
                "a string with a folder, a tarball or an address of git, or a table { context, file, target, args, secrets, credentials, deploy_strategy }",
            ));
        }
        let source = DockerfileSource { context: entry.text(place)?, ..DockerfileSource::default() };
        return Ok((source, BTreeMap::new()));
    };
    table(&section)
}

fn table(section: &Section<'_>) -> Result<(DockerfileSource, BTreeMap<String, String>), Fault> {
    section.expect(WORDS)?;
    let Some(context) = section.read("context", |entry| entry.text(place))? else {
        return Err(section.fault("\"context\" is missing; expected a folder, a tarball or an address of git"));
    };
    let source = DockerfileSource {
        context,
        file: section.read("file", |entry| entry.text(file))?.unwrap_or_default(),
        target: section.read("target", |entry| entry.text(stage))?.unwrap_or_default(),
        args: Vec::new(),
        secrets: section.read("secrets", secrets)?.unwrap_or_default(),
        credentials: source::credentials_in(section)?,
        deploy_strategy: source::strategy_in(section, SourceKind::Dockerfile)?,
    };
    Ok((source, section.read("args", super::workload::build_arguments)?.unwrap_or_default()))
}

fn secrets(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for one in entry.elements(MAX_SECRETS)? {
        let text = one.string()?;
        add_secret(&mut names, text).map_err(|text| one.fault(text))?;
    }
    Ok(names)
}

/// Adds the name of a secret that is not there yet.
pub(super) fn add_secret(names: &mut Vec<String>, text: &str) -> Result<(), String> {
    let name = check::secret(text)?;
    if names.contains(&name) {
        return Err(format!("{} is named twice", quoted(text)));
    }
    if names.len() >= MAX_SECRETS {
        return Err(format!("more than {MAX_SECRETS} secrets"));
    }
    names.push(name);
    Ok(())
}

/// Where the files are that are built.
pub(super) fn place(text: &str) -> Result<String, String> {
    let context = Context::parse(text)?;
    if text.rsplit('/').next() == Some(DEFAULT_FILE) {
        return Err(format!(
            "{} is the file, and dockerfile names the folder that is built; write its folder, or {{ context = \"FOLDER\", file = \"FILE\" }}",
            quoted(text)
        ));
    }
    Ok(context.to_string())
}

/// The Dockerfile within the context; empty for the usual one.
pub(super) fn file(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    context::inside(text).map_err(|why| format!("the file {} {why}", quoted(text)))?;
    Ok(text.to_owned())
}

/// The stage that is built; empty for the last one.
pub(super) fn stage(text: &str) -> Result<String, String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let first = text.bytes().next().is_none_or(|b| b.is_ascii_alphanumeric());
    if first && text.len() <= MAX_STAGE_CHARS && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{} is not a stage of a Dockerfile; expected its name after AS, of letters, digits, \"-\", \"_\" and \".\", or its number",
        quoted(text)
    ))
}
