//! The canonical form of a source.

use std::collections::BTreeMap;

use cutover_events::workload::{
    Access, ComposeSource, DockerfileSource, EnvVar, ImageSource, Mount, Pull, Source, SourceKind, StaticBuild,
    StaticMode, StaticSource,
};
use serde::{Deserialize, Serialize};

use super::{CanonicalVolume, command, name_of, of_key, variable};
use crate::file::source::Sourced;
use crate::file::strict::Fault;
use crate::file::{Values, check, compose, dockerfile, image, site};

/// Where a workload comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum CanonicalSource {
    /// An image by reference.
    Image(CanonicalImage),
    /// An image that is built here.
    Dockerfile(CanonicalDockerfile),
    /// A folder of files, or the program that serves them.
    Static(CanonicalStatic),
    /// A stack.
    Compose(CanonicalCompose),
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalImage {
    /// The reference, with its placeholders.
    pub image: String,
    /// `missing`, `always` or `never`.
    #[serde(default = "default_pull")]
    pub pull: String,
    /// `os/arch[/variant]`, empty for the host's.
    #[serde(default)]
    pub platform: String,
    /// Name of a secret; empty for none.
    #[serde(default)]
    pub credentials: String,
    /// Empty means the default of the source.
    #[serde(default)]
    pub deploy_strategy: String,
}

/// What an image is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalDockerfile {
    /// A folder, a tarball or an address of git.
    pub context: String,
    /// The Dockerfile within the context; empty for the usual one.
    #[serde(default)]
    pub file: String,
    /// The stage that is built; empty for the last one.
    #[serde(default)]
    pub target: String,
    /// Arguments; `null` is a value that is not shown, and is refused when it is sent.
    #[serde(default)]
    pub args: BTreeMap<String, Option<String>>,
    /// Names of secrets.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(default)]
    pub credentials: String,
    /// Empty means the default of the source.
    #[serde(default)]
    pub deploy_strategy: String,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalStatic {
    /// A folder, a tarball or an address of git.
    pub path: String,
    /// `files` or `deno`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// What its program may write to; `access` is `exclusive`.
    #[serde(default)]
    pub storage: Option<CanonicalVolume>,
    /// What makes the files.
    #[serde(default)]
    pub build: Option<CanonicalBuild>,
    /// The page of a folder.
    #[serde(default = "default_index")]
    pub index: String,
    /// The page for what is not there; empty for none.
    #[serde(default = "default_not_found")]
    pub not_found: String,
    /// The page for every path that no file has; empty for none.
    #[serde(default)]
    pub fallback: String,
    /// How long files of the release before are answered, ms.
    #[serde(default = "default_grace")]
    pub assets_grace_ms: u64,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(default)]
    pub credentials: String,
    /// Empty means the default of the source.
    #[serde(default)]
    pub deploy_strategy: String,
}

/// A command that makes the files of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalBuild {
    /// The image that has the programs for it.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The folder with the files afterwards.
    #[serde(default = "default_output")]
    pub output: String,
}

/// A stack: its file, its text, or both, when the text is what the file held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanonicalCompose {
    /// The file; empty when there is only the text.
    #[serde(default)]
    pub file: String,
    /// The text; `null` when it is not shown, or when there is only the file.
    #[serde(default)]
    pub compose_yaml: Option<String>,
    /// Empty for one that is derived from the workload.
    #[serde(default)]
    pub compose_project_name: String,
    /// Whether containers of that project that somebody else made become ours.
    #[serde(default)]
    pub adopt: bool,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(default)]
    pub credentials: String,
    /// Empty means the default of the source.
    #[serde(default)]
    pub deploy_strategy: String,
}

fn default_pull() -> String {
    name_of(image::PULLS, Pull::default())
}

fn default_mode() -> String {
    name_of(site::MODES, StaticMode::default())
}

fn default_index() -> String {
    site::DEFAULT_INDEX.to_owned()
}

fn default_not_found() -> String {
    site::DEFAULT_NOT_FOUND.to_owned()
}

fn default_grace() -> u64 {
    site::DEFAULT_GRACE_MS
}

fn default_output() -> String {
    site::DEFAULT_OUTPUT.to_owned()
}

impl From<&Source> for CanonicalSource {
    fn from(source: &Source) -> Self {
        match source {
            Source::Image(source) => Self::Image(CanonicalImage {
                image: source.reference.clone(),
                pull: name_of(image::PULLS, source.pull),
                platform: source.platform.clone(),
                credentials: source.credentials.clone(),
                deploy_strategy: source.deploy_strategy.clone(),
            }),
            Source::Dockerfile(source) => Self::Dockerfile(CanonicalDockerfile {
                context: source.context.clone(),
                file: source.file.clone(),
                target: source.target.clone(),
                args: source.args.iter().map(|EnvVar { name, .. }| (name.clone(), None)).collect(),
                secrets: source.secrets.clone(),
                credentials: source.credentials.clone(),
                deploy_strategy: source.deploy_strategy.clone(),
            }),
            Source::Static(source) => Self::Static(CanonicalStatic::from(source)),
            Source::Compose(source) => Self::Compose(CanonicalCompose {
                file: source.file.clone(),
                compose_yaml: None,
                compose_project_name: source.project_name.clone(),
                adopt: source.adopt,
                credentials: source.credentials.clone(),
                deploy_strategy: source.deploy_strategy.clone(),
            }),
        }
    }
}

impl From<&StaticSource> for CanonicalStatic {
    fn from(source: &StaticSource) -> Self {
        Self {
            path: source.path.clone(),
            mode: name_of(site::MODES, source.mode),
            storage: source.storage.as_ref().map(CanonicalVolume::from),
            build: source.build.as_ref().map(|StaticBuild { image, command, output }| CanonicalBuild {
                image: image.clone(),
                command: command.clone(),
                output: output.clone(),
            }),
            index: source.index.clone(),
            not_found: source.not_found.clone(),
            fallback: source.fallback.clone(),
            assets_grace_ms: source.assets_grace_ms,
            credentials: source.credentials.clone(),
            deploy_strategy: source.deploy_strategy.clone(),
        }
    }
}

impl CanonicalSource {
    /// The same, with the values that were declared.
    pub(super) fn with(mut self, values: &Values) -> Self {
        match &mut self {
            Self::Dockerfile(build) => {
                build.args = values.args.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
            }
            Self::Compose(stack) => stack.compose_yaml.clone_from(&values.compose_yaml),
            Self::Image(_) | Self::Static(_) => {}
        }
        self
    }
}

/// A source of the canonical form.
pub(super) fn judged(given: CanonicalSource) -> Result<Sourced, Fault> {
    let alone = |source| Sourced { source, args: BTreeMap::new(), compose_yaml: None, note: None };
    Ok(match given {
        CanonicalSource::Image(given) => alone(Source::Image(image_of(given)?)),
        CanonicalSource::Static(given) => alone(Source::Static(static_of(given)?)),
        CanonicalSource::Dockerfile(given) => {
            let args = given.args.clone().into_iter().map(|one| variable("source.args", one, check::build_argument));
            let args = args.collect::<Result<_, _>>()?;
            Sourced { args, ..alone(Source::Dockerfile(dockerfile_of(given)?)) }
        }
        CanonicalSource::Compose(given) => {
            let text = given.compose_yaml.as_deref().map(compose::text).transpose();
            let (compose_yaml, note) =
                (text.map_err(of_key("source.compose_yaml"))?, compose::note(&given.compose_project_name));
            Sourced { compose_yaml, note, ..alone(Source::Compose(compose_of(given)?)) }
        }
    })
}

fn strategy_of(text: &str, kind: SourceKind) -> Result<String, Fault> {
    check::strategy(text, kind).map_err(of_key("source.deploy_strategy"))
}

fn credentials_of(name: String) -> Result<String, Fault> {
    let name = if name.is_empty() { Ok(name) } else { check::secret(&name) };
    name.map_err(of_key("source.credentials"))
}

fn image_of(given: CanonicalImage) -> Result<ImageSource, Fault> {
    Ok(ImageSource {
        reference: image::reference(&given.image).map_err(of_key("source.image"))?,
        pull: check::word(&given.pull, image::PULLS).map_err(of_key("source.pull"))?,
        platform: check::platform(&given.platform).map_err(of_key("source.platform"))?,
        credentials: credentials_of(given.credentials)?,
        deploy_strategy: strategy_of(&given.deploy_strategy, SourceKind::Image)?,
    })
}

fn dockerfile_of(given: CanonicalDockerfile) -> Result<DockerfileSource, Fault> {
    let mut secrets = Vec::new();
    for (index, name) in given.secrets.iter().enumerate() {
        dockerfile::add_secret(&mut secrets, name).map_err(of_key(&format!("source.secrets[{index}]")))?;
    }
    Ok(DockerfileSource {
        context: dockerfile::place(&given.context).map_err(of_key("source.context"))?,
        file: dockerfile::file(&given.file).map_err(of_key("source.file"))?,
        target: dockerfile::stage(&given.target).map_err(of_key("source.target"))?,
        args: Vec::new(),
        secrets,
        credentials: credentials_of(given.credentials)?,
        deploy_strategy: strategy_of(&given.deploy_strategy, SourceKind::Dockerfile)?,
    })
}

fn static_of(given: CanonicalStatic) -> Result<StaticSource, Fault> {
    let mode = check::word(&given.mode, site::MODES).map_err(of_key("source.mode"))?;
    let source = StaticSource {
        path: site::place(&given.path).map_err(of_key("source.path"))?,
        mode,
        storage: given.storage.map(storage_of).transpose().map_err(of_key("source.storage"))?,
        build: given.build.map(build_of).transpose()?,
        index: site::index(&given.index).map_err(of_key("source.index"))?,
        not_found: site::page(&given.not_found).map_err(of_key("source.not_found"))?,
        fallback: site::page(&given.fallback).map_err(of_key("source.fallback"))?,
        assets_grace_ms: site::grace(given.assets_grace_ms).map_err(of_key("source.assets_grace_ms"))?,
        credentials: credentials_of(given.credentials)?,
        deploy_strategy: strategy_of(&given.deploy_strategy, SourceKind::Static)?,
    };
    let usual = site::plain();
    let said = [
        ("index", source.index != usual.index),
        ("not_found", source.not_found != usual.not_found),
        ("fallback", source.fallback != usual.fallback),
        ("assets_grace_ms", source.assets_grace_ms != usual.assets_grace_ms),
    ];
    match said.into_iter().find(|(_, said)| *said && mode == StaticMode::Deno) {
        Some((key, _)) => Err(Fault::new(format!("source.{key}"), site::NOT_OF_A_PROGRAM)),
        None => Ok(source),
    }
}

fn storage_of(given: CanonicalVolume) -> Result<Mount, String> {
    let mount = match (given.volume.as_str(), given.folder.as_str()) {
        (name, "") => site::storage(name, &given.target)?,
        ("", path) => site::storage(path, &given.target)?,
        _ => return Err("exactly one of volume and folder is needed".to_owned()),
    };
    if given.access == name_of(crate::file::volumes::ACCESSES, Access::Exclusive) {
        return Ok(mount);
    }
    Err("one container at a time writes to storage; for another access use volumes".to_owned())
}

fn build_of(given: CanonicalBuild) -> Result<StaticBuild, Fault> {
    Ok(StaticBuild {
        image: site::image(&given.image).map_err(of_key("source.build.image"))?,
        command: command(given.command).map_err(|fault| Fault::new("source.build.command", fault.text))?,
        output: site::output(&given.output).map_err(of_key("source.build.output"))?,
    })
}

fn compose_of(given: CanonicalCompose) -> Result<ComposeSource, Fault> {
    if given.file.is_empty() && given.compose_yaml.is_none() {
        return Err(Fault::new(
            "source.compose_yaml",
            "null is a text that is not shown; a text is needed, or the path of a file",
        ));
    }
    let named = if given.file.is_empty() { Ok(String::new()) } else { compose::file(&given.file) };
    Ok(ComposeSource {
        file: named.map_err(of_key("source.file"))?,
        text: None,
        project_name: compose::project_name(&given.compose_project_name),
        adopt: given.adopt,
        credentials: credentials_of(given.credentials)?,
        deploy_strategy: strategy_of(&given.deploy_strategy, SourceKind::Compose)?,
    })
}
