//! Where a workload comes from, as written in its file.
//!
//! Build arguments and the text of a stack may hold secrets, as the environment may: a source names them and points at
//! sealed blobs.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::workload::{EnvVar, Mount};

/// Where a workload comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Source {
    /// An image by reference.
    Image(ImageSource),
    /// An image that is built here.
    Dockerfile(DockerfileSource),
    /// A folder of files, or the program that serves them.
    Static(StaticSource),
    /// A stack of Docker Compose.
    Compose(ComposeSource),
}

/// The kinds of sources: what a workload file calls them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SourceKind {
    /// An image by reference.
    Image,
    /// An image that is built here.
    Dockerfile,
    /// A folder of files, or the program that serves them.
    Static,
    /// A stack of Docker Compose.
    Compose,
}

/// An image, as written in the workload file; what a reference meant is recorded when it is resolved.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct ImageSource {
    /// The reference; may hold `{sha}`, `{short_sha}`, `{branch}` and `{tag}`.
    pub reference: String,
    /// When the registry is asked.
    pub pull: Pull,
    /// `os/arch[/variant]`, empty for the platform of the host.
    pub platform: String,
    /// Name of the secret that the registry wants; empty for none.
    pub credentials: String,
    /// As written: empty means the default of the source.
    pub deploy_strategy: String,
}

/// When the registry is asked for an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum Pull {
    /// What is here under that reference is used without asking.
    #[default]
    Missing,
    /// The registry is asked every time.
    Always,
    /// The registry is never asked.
    Never,
}

/// What an image is built from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct DockerfileSource {
    /// A folder, a tarball, or a repository of git with its reference and folder.
    pub context: String,
    /// The Dockerfile within the context; empty for `Dockerfile`.
    pub file: String,
    /// The stage that is built; empty for the last one.
    pub target: String,
    /// Build arguments, sorted by name.
    pub args: Vec<EnvVar>,
    /// Names of the secrets that the build may read and that stay in no layer, as written.
    pub secrets: Vec<String>,
    /// Name of the secret that the repository wants; empty for none.
    pub credentials: String,
    /// As written: empty means the default of the source.
    pub deploy_strategy: String,
}

/// A site.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct StaticSource {
    /// A folder, a tarball, or a repository of git with its reference and folder.
    pub path: String,
    /// Who serves it.
    pub mode: StaticMode,
    /// What its program may write to, one container at a time.
    pub storage: Option<Mount>,
    /// What makes the files that are served; none: they are there.
    pub build: Option<StaticBuild>,
    /// The page of a folder.
    pub index: String,
    /// The page that answers for what is not there; empty for a plain answer.
    pub not_found: String,
    /// The page that answers, with 200, for every path that no file has; empty for none.
    pub fallback: String,
    /// How long a file that the newest release does not have is answered from the one before, ms.
    pub assets_grace_ms: u64,
    /// Name of the secret that the repository wants; empty for none.
    pub credentials: String,
    /// As written: empty means the default of the source.
    pub deploy_strategy: String,
}

/// Who serves a site.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub enum StaticMode {
    /// The proxy itself, without a container.
    #[default]
    Files,
    /// A container with the site's own program.
    Deno,
}

/// A command that makes the files of a site, in a container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct StaticBuild {
    /// The image that has the programs for it.
    pub image: String,
    /// Program and arguments, run in the folder of the source.
    pub command: Vec<String>,
    /// The folder with the files afterwards, from that of the source.
    pub output: String,
}

/// A stack.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct ComposeSource {
    /// The file that it is in; empty when only the text was given.
    pub file: String,
    /// Its text; none when only the file was named.
    pub text: Option<SealedText>,
    /// The project name, in the form that Compose takes; empty for one that is derived from the workload.
    pub project_name: String,
    /// Whether containers of that project that somebody else made become ours.
    pub adopt: bool,
    /// Name of the secret that the repository wants; empty for none.
    pub credentials: String,
    /// As written: empty means the default of the source.
    pub deploy_strategy: String,
}

/// A text that may hold secrets: where it lies sealed, and how to see that it is the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, Default)]
pub struct SealedText {
    /// The sealed blob that holds it.
    pub sealed: Digest,
    /// Keyed hash of the text.
    pub mac: [u8; 16],
}

impl SourceKind {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 4] = [Self::Image, Self::Dockerfile, Self::Static, Self::Compose];

    /// The key of the workload file.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Dockerfile => "dockerfile",
            Self::Static => "static",
            Self::Compose => "compose",
        }
    }
}

impl Source {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> SourceKind {
        match self {
            Self::Image(_) => SourceKind::Image,
            Self::Dockerfile(_) => SourceKind::Dockerfile,
            Self::Static(_) => SourceKind::Static,
            Self::Compose(_) => SourceKind::Compose,
        }
    }

    /// The strategy as written; empty means the default of the kind.
    #[must_use]
    pub fn deploy_strategy(&self) -> &str {
        match self {
            Self::Image(source) => &source.deploy_strategy,
            Self::Dockerfile(source) => &source.deploy_strategy,
            Self::Static(source) => &source.deploy_strategy,
            Self::Compose(source) => &source.deploy_strategy,
        }
    }

    /// Name of the secret that opens what it comes from: a registry, or a repository; `None` for none.
    #[must_use]
    pub fn credentials(&self) -> Option<&str> {
        let name = match self {
            Self::Image(source) => &source.credentials,
            Self::Dockerfile(source) => &source.credentials,
            Self::Static(source) => &source.credentials,
            Self::Compose(source) => &source.credentials,
        };
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// The image, for a workload that comes from one.
    #[must_use]
    pub const fn image(&self) -> Option<&ImageSource> {
        match self {
            Self::Image(source) => Some(source),
            Self::Dockerfile(_) | Self::Static(_) | Self::Compose(_) => None,
        }
    }
}
