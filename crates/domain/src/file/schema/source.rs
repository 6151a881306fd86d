//! The tables of the four sources.

use cutover_events::workload::SourceKind;
use serde_json::{Value, json};

use super::{Table, duration, either, list, of, pattern, strategy, text, truth, variables, words};
use crate::context::MAX_CONTEXT_CHARS;
use crate::file::check::MAX_SECRET_CHARS;
use crate::file::workload::{MAX_ARGUMENTS, MAX_VARIABLES};
use crate::file::{compose, dockerfile, image, site};

/// What is said of every place of files.
const PLACE: &str = "A folder or a tarball (.tar, .tar.gz, .tgz), relative to this file, or an address of git: https://HOST/PATH.git#REFERENCE:FOLDER";

/// What is said of what opens a repository.
const CREDENTIALS: &str =
    "Name of the secret that opens a private repository: a deploy key for ssh, TOKEN or USER:TOKEN for https";

fn place(about: &str) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": MAX_CONTEXT_CHARS, "description": format!("{about}. {PLACE}")})
}

pub(super) fn secret(about: &str) -> Value {
    let rest = MAX_SECRET_CHARS - 1;
    pattern(about, &format!("^[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{rest}}}$"))
}

/// The short form of each source, and its table.
pub(super) fn of_workload(kind: SourceKind) -> Value {
    let (short, about) = match kind {
        SourceKind::Image => (text("The reference of an image"), "From an image, by its reference"),
        SourceKind::Dockerfile => (place("What is built"), "From an image that is built here, by its folder"),
        SourceKind::Static => (place("What is served"), "A folder of files, served by the proxy without a container"),
        SourceKind::Compose => (text("The path of a compose file"), "A stack of Docker Compose, by its file"),
    };
    either(about, &[short, of(kind.word(), "With all its keys")])
}

pub(super) fn image() -> Table {
    Table {
        words: image::WORDS,
        about: "An image by reference",
        required: &["ref"],
        keys: vec![
            ("ref", text("The reference; {sha}, {short_sha}, {branch} and {tag} come from the change that asked")),
            ("pull", words(image::PULLS, "When the registry is asked. Default: missing")),
            ("platform", text("os/arch or os/arch/variant. Default: that of the host")),
            ("credentials", secret("Name of the secret that the registry wants")),
            ("deploy_strategy", strategy(SourceKind::Image)),
        ],
    }
}

pub(super) fn dockerfile() -> Table {
    let secrets = list(
        secret("Name of a secret"),
        dockerfile::MAX_SECRETS,
        "Secrets that the build may read, as RUN --mount=type=secret,id=NAME; they stay in no layer",
    );
    Table {
        words: dockerfile::WORDS,
        about: "An image that is built here",
        required: &["context"],
        keys: vec![
            ("context", place("What is built")),
            ("file", text("The Dockerfile within the context. Default: Dockerfile")),
            ("target", text("The stage that is built. Default: the last one")),
            ("args", variables(MAX_VARIABLES, "Build arguments; stored sealed, but seen in the history of the image")),
            ("secrets", secrets),
            ("credentials", secret(CREDENTIALS)),
            ("deploy_strategy", strategy(SourceKind::Dockerfile)),
        ],
    }
}

pub(super) fn site() -> Table {
    let storage = "Volume that the program may write to, NAME or NAME:/target; it forces recreate";
    Table {
        words: site::WORDS,
        about: "A folder of files that the proxy serves, or the program that serves them",
        required: &["path"],
        keys: vec![
            ("path", place("The site")),
            (
                "mode",
                words(
                    site::MODES,
                    "files: the proxy serves them; deno: a container with the site's own program. Default: files",
                ),
            ),
            ("storage", text(storage)),
            ("build", of("build", "What makes the files, in a container. Default: they are there")),
            ("index", text("The page of a folder. Default: index.html")),
            (
                "not_found",
                text("The page for what is not there, with 404; empty for a plain answer. Default: 404.html"),
            ),
            ("fallback", text("The page for every path that no file has, with 200. Default: none")),
            (
                "assets_grace",
                duration(
                    "How long a file that the newest release does not have is answered from the one before, up to 30d. Default: 1d",
                ),
            ),
            ("credentials", secret(CREDENTIALS)),
            ("deploy_strategy", strategy(SourceKind::Static)),
        ],
    }
}

pub(super) fn build() -> Table {
    let argument = text("Program, then arguments");
    let mut command = list(argument, MAX_ARGUMENTS, "What makes the files, run in the folder of the source");
    command["minItems"] = json!(1);
    Table {
        words: site::BUILD,
        about: "A command that makes the files of a site, in a container",
        required: &["image", "command"],
        keys: vec![
            ("image", text("The image that has the programs for it")),
            ("command", command),
            ("output", text("The folder with the files afterwards. Default: dist")),
        ],
    }
}

pub(super) fn compose() -> Table {
    let mut yaml = text("The stack itself; stored sealed");
    yaml["maxLength"] = json!(compose::MAX_TEXT_BYTES);
    Table {
        words: compose::WORDS,
        about: "A stack of Docker Compose: exactly one of file and compose_yaml",
        required: &[],
        keys: vec![
            ("file", text("Its file, relative to this one, or in a repository: https://HOST/PATH.git#REFERENCE:FILE")),
            ("compose_yaml", yaml),
            ("compose_project_name", text("Its project name, made of [a-z0-9_-]. Default: derived from the workload")),
            ("adopt", truth("Whether containers of that project that somebody else made become ours. Default: false")),
            ("credentials", secret(CREDENTIALS)),
            ("deploy_strategy", strategy(SourceKind::Compose)),
        ],
    }
}
