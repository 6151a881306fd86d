//! What the API is asked for: bodies of requests.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::spec::WorkloadBody;

/// What becomes of what an apply changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyMode {
    /// It is deployed.
    #[default]
    Deploy,
    /// It is deployed, and the registry is asked even where the image is here.
    Pull,
    /// It is only recorded.
    Record,
}

/// Workloads to register or to revise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyAsk {
    /// All of them or none.
    pub workloads: Vec<WorkloadBody>,
    /// What becomes of what changed.
    #[serde(default)]
    pub mode: ApplyMode,
}

/// A deployment of one workload.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeployAsk {
    /// A reference; null for the one of the spec, or of what runs where that has placeholders.
    #[schema(example = "ghcr.io/acme/shop:v2")]
    pub image: Option<String>,
    /// Whether the registry is asked even where the image is here.
    pub pull: bool,
    /// SHA-256 of an archive that was sent before (`PUT /uploads/…`): it is made of that, once, in place of what the spec names.
    /// Null for what the spec names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The hash of a plan that was shown; the deployment is refused when something has happened to the workload since,
    /// or when something else is asked for. Null: deployed as things are.
    pub plan: Option<String>,
}

/// An archive that is sent to be deployed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct UploadView {
    /// SHA-256 of its bytes.
    pub upload: String,
    /// How many.
    pub bytes: u64,
    /// Whether it is here; if not, it may be sent.
    pub here: bool,
}

/// A deployment of an earlier release.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackAsk {
    /// A release (`rel_…`), the deployment that made it (`dep_…`), a tag, the beginning of a commit or digest, or a time:
    /// what was live then. Null for the release before.
    #[schema(example = "v41")]
    pub to: Option<String>,
}

/// A person's word that changes from outside may deploy what was rejected.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AcceptAsk {
    /// A release (`rel_…`), a tag, the beginning of a commit or digest; null for everything that is rejected.
    pub what: Option<String>,
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminalAsk {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// A program that a person runs in a container that serves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecAsk {
    /// The program and its arguments. Of these only the program's name is recorded.
    pub command: Vec<String>,
    /// Its terminal; null: pipes, with errors apart.
    #[serde(default)]
    pub terminal: Option<TerminalAsk>,
    /// Process of the workload, or service of a stack; null: the workload itself, or the only service.
    #[serde(default)]
    pub process: Option<String>,
    /// Replica, from 1 on; null: the first that runs.
    #[serde(default)]
    pub replica: Option<u16>,
}

/// A program that a person runs in a container of its own, made of what serves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunAsk {
    /// In place of the image's command; its entrypoint stays. Of these only the program's name is recorded.
    pub command: Vec<String>,
    /// Its terminal; null: pipes, with errors apart.
    #[serde(default)]
    pub terminal: Option<TerminalAsk>,
    /// Service of a stack; null: the only one.
    #[serde(default)]
    pub service: Option<String>,
}

/// What is told on a stream of output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct OutputLine {
    /// What it is.
    pub kind: OutputKind,
    /// When (RFC 3339), by Docker's clock; empty for what is no line.
    pub time: String,
    /// The same to the nanosecond, since 1970: what `after` takes; 0 for what is no line.
    pub at_ns: u64,
    /// The container that has printed it; empty for what is no line.
    pub container: String,
    /// Its process, the workload's name for the workload itself, or its service; empty for what is no line.
    pub process: String,
    /// Its replica, from 1 on; with `serves`, how many containers are followed.
    pub replica: usize,
    /// What the container was made of, or what serves from here on; empty with `nothing`.
    pub release: String,
    /// What was printed, without the end of the line; with `nothing`, why.
    pub text: String,
}

/// What is told on a stream of output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// A line of output.
    Out,
    /// A line that was printed as an error.
    Err,
    /// From here on this release serves; lines of the former one may follow until its containers are gone.
    Serves,
    /// From here on nothing serves.
    Nothing,
}

/// Why the engine may be held, and what a person confirms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HeldWord {
    /// A container or the proxy knows a position that the log does not hold.
    LogWentBack,
    /// Docker's daemon is another one.
    DaemonChanged,
    /// The proxy knows a generation above the log's.
    RouterAhead,
}

/// A person's word that the engine goes on as things are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmAsk {
    /// What is confirmed.
    pub cause: HeldWord,
}

/// A person's word that nothing is done by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FreezeAsk {
    /// `project/name`, or the name alone; null for everything.
    pub workload: Option<String>,
    /// Why, for those who look later; one line, at most 400 characters.
    pub reason: String,
}

/// A person's word that it goes on by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThawAsk {
    /// `project/name`, or the name alone; null for everything.
    pub workload: Option<String>,
}

/// A source of deliveries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HookAsk {
    /// As triggers name it.
    #[schema(example = "github")]
    pub name: String,
    /// How its deliveries are verified and read.
    pub provider: ProviderWord,
    /// For `generic`: the header that holds the signature; null for `x-signature-256`.
    #[serde(default)]
    pub header: Option<String>,
    /// The shared secret; null to have one made.
    #[serde(default)]
    pub secret: Option<String>,
}

/// How deliveries are verified and read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderWord {
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// Anybody: HMAC-SHA256 of the body as hex in a header of choice.
    Generic,
}

/// A new secret for a hook.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RotateAsk {
    /// The new secret; null to have one made. The one before is accepted too until the next rotation.
    pub secret: Option<String>,
}

/// A token for the API over TCP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAsk {
    /// As people know it.
    #[schema(example = "ci")]
    pub name: String,
}
