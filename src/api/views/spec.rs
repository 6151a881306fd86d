//! The canonical form of a workload as JSON: what a workload file is lowered to, what apply takes, what show prints.
//! A test holds it against the domain's own reading of the same JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One workload. What is missing has its default; an unknown key is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadBody {
    /// The namespace and network; `default` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "shop")]
    pub project: Option<String>,
    /// The name within the project.
    #[schema(example = "web")]
    pub name: String,
    /// Where it comes from.
    pub source: SourceView,
    /// What leads to it from outside.
    #[serde(default)]
    pub routes: Vec<RouteView>,
    /// Environment. Values are sealed when they are recorded and shown as null afterwards.
    #[serde(default)]
    pub env: BTreeMap<String, Option<String>>,
    /// Replaces the command of the image.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// What is mounted.
    #[serde(default)]
    pub volumes: Vec<VolumeView>,
    /// Ports of the host that lead to it, past the proxy.
    #[serde(default)]
    pub ports: Vec<PortView>,
    /// What its containers may use.
    #[serde(default)]
    pub limits: LimitsView,
    /// `default` or `strict`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "default")]
    pub hardening: Option<String>,
    /// How readiness is probed; without it the liveness window counts.
    #[serde(default)]
    pub health: Option<HealthView>,
    /// Containers of one release, 1 to 64; 1 when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replicas: Option<i64>,
    /// Which changes from outside deploy it.
    #[serde(default)]
    pub triggers: Vec<TriggerView>,
    /// Times and counts.
    #[serde(default)]
    pub policy: PolicyView,
    /// Other commands of the same release, by name. They are gated and replaced together with the workload, which is its
    /// own first process; no route and no name leads to them.
    #[serde(default)]
    pub processes: BTreeMap<String, ProcessView>,
    /// Names of workloads of the same project that must be ready before a deployment of this one starts anything.
    #[serde(default)]
    #[schema(example = json!(["db"]))]
    pub after: Vec<String>,
    /// Names of secrets of the project that become files in `/run/secrets`.
    #[serde(default)]
    #[schema(example = json!(["session_key"]))]
    pub secrets: Vec<String>,
    /// What runs once, in a container of a new release, before anything of it serves.
    #[serde(default)]
    pub release: Option<ReleaseCommandView>,
}

/// What runs once in a container of a new release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseCommandView {
    /// Replaces the command of the image; no shell runs it.
    #[schema(example = json!(["./migrate"]))]
    pub command: Vec<String>,
    /// How long it may run, ms; ten minutes when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout_ms: Option<u64>,
    /// What follows when nobody knows how it ended: `ask` or `again`; `ask` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_crash: Option<String>,
}

/// Another command of the same release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessView {
    /// Replaces the command of the image.
    #[schema(example = json!(["work"]))]
    pub command: Vec<String>,
    /// Its containers of one release; 1 when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replicas: Option<i64>,
    /// What each of its containers may use.
    #[serde(default)]
    pub limits: LimitsView,
    /// How readiness is probed; without it the liveness window counts.
    #[serde(default)]
    pub health: Option<HealthView>,
}

/// Where a workload comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SourceView {
    /// An image by reference.
    Image(ImageView),
    /// An image that is built here.
    Dockerfile(DockerfileView),
    /// A folder of files that the proxy serves, or the program that serves them.
    Static(StaticView),
    /// A stack of Docker Compose.
    Compose(ComposeView),
}

/// An image by reference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageView {
    /// The reference; may hold `{sha}`, `{short_sha}`, `{branch}` and `{tag}`.
    #[schema(example = "ghcr.io/acme/shop:{sha}")]
    pub image: String,
    /// `missing`, `always` or `never`; `missing` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pull: Option<String>,
    /// `os/arch[/variant]`; the platform of the host when missing or empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub platform: Option<String>,
    /// Name of the secret that the registry wants; empty for none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub credentials: String,
    /// `blue-green` or `recreate`; when missing or empty `blue-green`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deploy_strategy: Option<String>,
}

/// What an image is built from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DockerfileView {
    /// A folder or a tarball on the host of the engine, or an address of git.
    #[schema(example = "https://github.com/acme/shop.git#main")]
    pub context: String,
    /// The Dockerfile within the context; `Dockerfile` when missing or empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub file: String,
    /// The stage that is built; the last one when missing or empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub target: String,
    /// Arguments. Values are sealed when they are recorded and shown as null afterwards.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub args: BTreeMap<String, Option<String>>,
    /// Names of secrets that the build may read and that stay in no layer.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub secrets: Vec<String>,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub credentials: String,
    /// `recreate` or `blue-green`; when missing or empty `recreate`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deploy_strategy: Option<String>,
}

/// A site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticView {
    /// A folder or a tarball on the host of the engine, or an address of git.
    #[schema(example = "/srv/www")]
    pub path: String,
    /// `files`, which the proxy serves, or `deno`, a container with the program of the site; `files` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mode: Option<String>,
    /// What its program may write to; it forces `recreate`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub storage: Option<VolumeView>,
    /// What makes the files, in a container.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build: Option<BuildView>,
    /// The page of a folder; `index.html` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<String>,
    /// The page for what is not there; `404.html` when missing, none when empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_found: Option<String>,
    /// The page for every path that no file has; none when missing or empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub fallback: String,
    /// How long a file that the newest release does not have is answered from the one before, ms; a day when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assets_grace_ms: Option<u64>,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub credentials: String,
    /// `recreate` or `blue-green`; when missing or empty `recreate`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deploy_strategy: Option<String>,
}

/// A command that makes the files of a site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildView {
    /// The image that has the programs for it.
    #[schema(example = "node:22")]
    pub image: String,
    /// Program and arguments, run in the folder of the source.
    #[schema(example = json!(["npm", "run", "build"]))]
    pub command: Vec<String>,
    /// The folder with the files afterwards, from that of the source; `dist` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<String>,
}

/// A stack: its file, its text, or both, when the text is what the file held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComposeView {
    /// The file, on the host of the engine or in a repository; empty when there is only the text.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    #[schema(example = "/srv/shop/docker-compose.yml")]
    pub file: String,
    /// The text. It is sealed when it is recorded and shown as null afterwards.
    #[serde(default)]
    pub compose_yaml: Option<String>,
    /// The project name, in lower case without what is not `[a-z0-9_-]`; derived from the workload when missing or empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub compose_project_name: String,
    /// Whether containers of that project that somebody else made become ours.
    #[serde(default)]
    pub adopt: bool,
    /// Name of the secret that a private repository wants; empty for none.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub credentials: String,
    /// `recreate`, which is what missing or empty means too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deploy_strategy: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference in")]
fn is_zero(port: &i64) -> bool {
    *port == 0
}

/// One way in from outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteView {
    /// Lower case; `*.example.com` matches one label.
    pub host: String,
    /// Path prefix, matches whole segments; `/` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Port inside the container; missing where the proxy serves the files itself.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub port: i64,
    /// Whether the prefix is cut off before the request is passed on.
    #[serde(default)]
    pub strip: bool,
    /// Service of a stack; missing for all other sources.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub service: String,
}

/// Something of the host inside a container: exactly one of `volume` and `folder` is given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeView {
    /// Name of a volume of Docker; made when it is missing.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    #[schema(example = "pgdata")]
    pub volume: String,
    /// Absolute path of a folder of the host, below one that `[limits] bind` allows.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub folder: String,
    /// Absolute path inside the container.
    #[schema(example = "/var/lib/postgresql/data")]
    pub target: String,
    /// `exclusive`, `shared` or `read-only`; `exclusive` when missing, which makes the workload exclusive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "exclusive")]
    pub access: Option<String>,
}

/// A port of the host; one makes the workload exclusive.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortView {
    /// Address of the host; `127.0.0.1` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "127.0.0.1")]
    pub address: Option<String>,
    /// Port of the host.
    pub host: i64,
    /// Port inside the container.
    pub container: i64,
    /// `tcp` or `udp`; `tcp` when missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(example = "tcp")]
    pub transport: Option<String>,
}

/// What a container may use; null is without a limit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsView {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_milli: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

/// How readiness is probed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthView {
    /// What is asked.
    pub check: CheckKindView,
    /// Port inside the container.
    pub port: i64,
    /// Between two probes, ms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval_ms: Option<u64>,
    /// For one probe, ms.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub timeout_ms: Option<u64>,
}

/// What a probe asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum CheckKindView {
    /// `GET path` answers with a status between `low` and `high`, both included.
    Http {
        /// Begins with `/`.
        path: String,
        /// `Host` header; empty for the address.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        host: Option<String>,
        /// Lowest status that counts as ready.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        low: Option<u16>,
        /// Highest status that counts as ready.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        high: Option<u16>,
    },
    /// The port accepts a connection.
    Tcp,
}

/// Which changes deploy a workload: all parts that are given must match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerView {
    /// Name of the hook.
    pub hook: String,
    /// `owner/name`; empty for any.
    #[serde(default)]
    pub repo: String,
    /// Branch, with `*`; empty for none.
    #[serde(default)]
    pub branch: String,
    /// Tag, with `*`; empty for none.
    #[serde(default)]
    pub tag: String,
    /// Image repository; empty for none.
    #[serde(default)]
    pub image: String,
    /// Paths of the repository, of which one must have changed since what is deployed; all when missing or empty.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schema(example = json!(["services/api/**", "!**/*.md"]))]
    pub paths: Vec<String>,
}

/// Times and counts; what is missing has its default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyView {
    /// From the start of the last container until ready, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_timeout_ms: Option<u64>,
    /// Without a health check: how long a container must stay up, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_ms: Option<u64>,
    /// How long requests to blue may go on after the swap, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_ms: Option<u64>,
    /// How long green is watched while blue stands by, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake_ms: Option<u64>,
    /// How long blue keeps running afterwards, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_ms: Option<u64>,
    /// Between the stop signal and the kill, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout_ms: Option<u64>,
    /// As in `SIGTERM`; empty for the image's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Releases that stay known for a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_releases: Option<i64>,
    /// For the old release of an exclusive workload to become ready again after the new one failed, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_timeout_ms: Option<u64>,
    /// For an image that a change from outside names to be in its registry, ms; 0: it is not waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_for_image_ms: Option<u64>,
    /// What follows when its containers are not as they should be: `repair` or `report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<String>,
}
