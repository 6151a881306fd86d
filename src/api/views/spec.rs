//! The canonical spec of a workload as JSON: what a workload file is lowered to, what apply takes, what show prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A workload with its canonical spec.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadBody {
    /// The namespace and network.
    #[schema(example = "shop")]
    pub project: String,
    /// The name within the project.
    #[schema(example = "web")]
    pub name: String,
    /// What should run.
    pub spec: SpecView,
}

/// What should run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecView {
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
    /// What its containers may use.
    #[serde(default)]
    pub limits: LimitsView,
    /// `default` or `strict`.
    #[serde(default = "default_word")]
    #[schema(example = "default")]
    pub hardening: String,
    /// How readiness is probed; without it the liveness window counts.
    #[serde(default)]
    pub health: Option<HealthView>,
    /// Containers of one release.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 64)]
    pub replicas: u32,
    /// Which changes from outside deploy it.
    #[serde(default)]
    pub triggers: Vec<TriggerView>,
    /// Times and counts; what is missing has its default.
    #[serde(default)]
    pub policy: PolicyView,
}

/// Where a workload comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceView {
    /// `image`; other sources are not supported yet.
    #[schema(example = "image")]
    pub kind: String,
    /// The reference; may hold `{sha}`, `{short_sha}`, `{branch}` and `{tag}`.
    #[schema(example = "ghcr.io/acme/shop:{sha}")]
    pub image: String,
    /// `missing`, `always` or `never`.
    #[serde(default = "missing_word")]
    pub pull: String,
    /// `os/arch[/variant]`, empty for the platform of the host.
    #[serde(default)]
    pub platform: String,
    /// Empty for the default of the source, or `blue-green`.
    #[serde(default)]
    pub deploy_strategy: String,
}

/// One way in from outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteView {
    /// Lower case; `*.example.com` matches one label.
    pub host: String,
    /// Path prefix, matches whole segments.
    #[serde(default = "root_path")]
    pub path: String,
    /// Port inside the container.
    pub port: u32,
    /// Whether the prefix is cut off before the request is passed on.
    #[serde(default)]
    pub strip: bool,
}

/// What a container may use; null is without a limit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsView {
    /// Bytes of memory.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    #[serde(default)]
    pub cpu_milli: Option<u32>,
    /// Processes and threads.
    #[serde(default)]
    pub pids: Option<u32>,
}

/// How readiness is probed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthView {
    /// Path of a GET; null: the port accepts a connection.
    #[serde(default)]
    pub http: Option<String>,
    /// `Host` header, empty for the address.
    #[serde(default)]
    pub host: String,
    /// Port inside the container.
    pub port: u32,
    /// Lowest status that counts as ready.
    #[serde(default = "low_status")]
    pub low: u32,
    /// Highest status that counts as ready.
    #[serde(default = "high_status")]
    pub high: u32,
    /// Between two probes, ms.
    #[serde(default = "probe_interval")]
    pub interval_ms: u64,
    /// For one probe, ms.
    #[serde(default = "probe_timeout")]
    pub timeout_ms: u64,
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
}

/// Times and counts; null is the default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyView {
    /// From the start of the last container until ready, ms.
    pub gate_timeout_ms: Option<u64>,
    /// Without a health check: how long a container must stay up, ms.
    pub liveness_ms: Option<u64>,
    /// How long requests to blue may go on after the swap, ms.
    pub drain_ms: Option<u64>,
    /// How long green is watched while blue stands by, ms.
    pub bake_ms: Option<u64>,
    /// How long blue keeps running afterwards, ms.
    pub standby_ms: Option<u64>,
    /// Between the stop signal and the kill, ms.
    pub stop_timeout_ms: Option<u64>,
    /// Signal number that asks a container to end; 0 is the image's own.
    pub stop_signal: Option<u32>,
    /// Releases that stay known for a rollback.
    pub keep_releases: Option<u32>,
}

fn default_word() -> String {
    "default".to_owned()
}

fn missing_word() -> String {
    "missing".to_owned()
}

fn root_path() -> String {
    "/".to_owned()
}

fn one() -> u32 {
    1
}

fn low_status() -> u32 {
    200
}

fn high_status() -> u32 {
    299
}

fn probe_interval() -> u64 {
    1_000
}

fn probe_timeout() -> u64 {
    5_000
}
