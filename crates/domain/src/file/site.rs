//! `static`: the folder that is served, or a table with all its keys.

use cutover_events::workload::{Access, Mount, SourceKind, StaticBuild, StaticMode, StaticSource};

use super::strict::{Entry, Fault, Section, Words, quoted};
use super::{check, quantity, source, volumes};
use crate::context::{self, Context};

/// Where storage is mounted when only its name is given.
pub(super) const STORAGE_TARGET: &str = "/data";
/// The page of a folder, as every server names it.
pub(super) const DEFAULT_INDEX: &str = "index.html";
/// What answers for what is not there, when the site has it.
pub(super) const DEFAULT_NOT_FOUND: &str = "404.html";
/// What builders of sites write into as a rule.
pub(super) const DEFAULT_OUTPUT: &str = "dist";
/// A day: a page that was opened before a release still finds what it names.
pub(super) const DEFAULT_GRACE_MS: u64 = 24 * 60 * 60_000;
/// A month: what is older is not open in anybody's browser.
const MAX_GRACE_MS: u64 = 30 * DEFAULT_GRACE_MS;

/// What `mode` may say.
pub(super) const MODES: &[(&str, StaticMode)] = &[("files", StaticMode::Files), ("deno", StaticMode::Deno)];

pub(super) const WORDS: Words = Words {
    known: &[
        "path",
        "mode",
        "storage",
        "build",
        "index",
        "not_found",
        "fallback",
        "assets_grace",
        "credentials",
        "deploy_strategy",
    ],
    later: &[],
};
pub(super) const BUILD: Words = Words { known: &["image", "command", "output"], later: &[] };

/// What the proxy answers by, and a program of the site's own does not.
pub(super) const OF_FILES: &[&str] = &["index", "not_found", "fallback", "assets_grace"];
/// Why a key of [`OF_FILES`] is refused for a program.
pub(super) const NOT_OF_A_PROGRAM: &str =
    "is for mode = \"files\", which the proxy serves; in mode = \"deno\" the program of the site answers by itself";

pub(super) fn read(entry: &Entry<'_>) -> Result<StaticSource, Fault> {
    if let Some(section) = entry.as_section() {
        return table(&section);
    }
    if entry.as_string().is_none() {
        return Err(entry.wrong(
            "a string with a folder, a tarball or an address of git, or a table { path, mode, storage, build, index, not_found, fallback, assets_grace, credentials, deploy_strategy }",
        ));
    }
    Ok(StaticSource { path: entry.text(place)?, ..plain() })
}

/// A site with every default.
pub(super) fn plain() -> StaticSource {
    StaticSource {
        index: DEFAULT_INDEX.to_owned(),
        not_found: DEFAULT_NOT_FOUND.to_owned(),
        assets_grace_ms: DEFAULT_GRACE_MS,
        ..StaticSource::default()
    }
}

fn table(section: &Section<'_>) -> Result<StaticSource, Fault> {
    section.expect(WORDS)?;
    let Some(path) = section.read("path", |entry| entry.text(place))? else {
        return Err(section.fault("\"path\" is missing; expected a folder, a tarball or an address of git"));
    };
    let mode = section.read("mode", |entry| entry.text(|text| check::word(text, MODES)))?.unwrap_or_default();
    if mode == StaticMode::Deno
        && let Some(key) = OF_FILES.iter().find_map(|key| section.get(key))
    {
        return Err(key.key_fault(NOT_OF_A_PROGRAM));
    }
    let usual = plain();
    Ok(StaticSource {
        path,
        mode,
        storage: section.read("storage", stored)?,
        build: section.read("build", built)?,
        index: section.read("index", |entry| entry.text(index))?.unwrap_or(usual.index),
        not_found: section.read("not_found", |entry| entry.text(page))?.unwrap_or(usual.not_found),
        fallback: section.read("fallback", |entry| entry.text(page))?.unwrap_or_default(),
        assets_grace_ms: section.read("assets_grace", duration)?.unwrap_or(usual.assets_grace_ms),
        credentials: source::credentials_in(section)?,
        deploy_strategy: source::strategy_in(section, SourceKind::Static)?,
    })
}

fn duration(entry: &Entry<'_>) -> Result<u64, Fault> {
    entry.text(|text| grace(quantity::duration_ms(text)?))
}

/// Milliseconds of `assets_grace`.
pub(super) fn grace(ms: u64) -> Result<u64, String> {
    quantity::within(ms, 0, MAX_GRACE_MS)
}

fn stored(entry: &Entry<'_>) -> Result<Mount, Fault> {
    entry.text(|text| {
        let (from, target) = text.split_once(':').unwrap_or((text, STORAGE_TARGET));
        storage(from, target)
    })
}

/// A volume, or a folder of the host, that one container at a time may write to.
pub(super) fn storage(from: &str, target: &str) -> Result<Mount, String> {
    if target.contains(':') {
        return Err(format!(
            "{} is not a place in the container; expected \"NAME\" or \"NAME:/target\": one container at a time writes to storage, volumes has the other ways",
            quoted(target)
        ));
    }
    let from = if from.starts_with(['/', '.', '~']) { volumes::folder(from)? } else { volumes::volume(from)? };
    Ok(Mount { from, target: check::target(target)?, access: Access::Exclusive })
}

fn built(entry: &Entry<'_>) -> Result<StaticBuild, Fault> {
    let section = entry.section().map_err(|_| {
        entry.wrong("a table { image, command, output }: the image has the programs, the command makes the files, output is their folder")
    })?;
    section.expect(BUILD)?;
    let missing = |what: &str| {
        section.fault(format!("{what}, as in {{ image = \"node:22\", command = [\"npm\", \"run\", \"build\"] }}"))
    };
    let image = section.read("image", |entry| entry.text(image))?;
    let command = section.read("command", super::workload::command)?;
    Ok(StaticBuild {
        image: image.ok_or_else(|| missing("\"image\" is missing; expected an image that has the programs for it"))?,
        command: command.ok_or_else(|| missing("\"command\" is missing; expected what makes the files"))?,
        output: section.read("output", |entry| entry.text(output))?.unwrap_or_else(|| DEFAULT_OUTPUT.to_owned()),
    })
}

/// The image of a build: there is no change whose commit could fill it in.
pub(super) fn image(text: &str) -> Result<String, String> {
    crate::reference::Reference::parse(text).map(|_| text.to_owned()).map_err(|bad| bad.0)
}

/// The folder that a build writes.
pub(super) fn output(text: &str) -> Result<String, String> {
    context::inside(text).map_err(|why| format!("the folder {} {why}", quoted(text)))?;
    Ok(text.to_owned())
}

/// Where the files of a site are.
pub(super) fn place(text: &str) -> Result<String, String> {
    Context::parse(text).map(|context| context.to_string())
}

/// The page of a folder: a plain name.
pub(super) fn index(text: &str) -> Result<String, String> {
    if text.contains('/') {
        return Err(format!("{} is not the name of a file in each folder, as in \"{DEFAULT_INDEX}\"", quoted(text)));
    }
    page(text).and_then(|name| match name.is_empty() {
        true => Err("an empty name; leave the key out for \"index.html\"".to_owned()),
        false => Ok(name),
    })
}

/// A page of the site, from its folder; empty for none.
pub(super) fn page(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('/').unwrap_or(text);
    if text.is_empty() {
        return Ok(String::new());
    }
    context::inside(text).map_err(|why| format!("the page {} {why}", quoted(text)))?;
    if text.split('/').any(|part| part.starts_with('.')) {
        return Err(format!("the page {} begins with a dot; such files are never served", quoted(text)));
    }
    Ok(text.to_owned())
}
