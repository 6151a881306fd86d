//! The command line: commands, flags and values. Fixed, because others script against it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::from::From;
use super::secret::Secret;
use super::values;
use crate::api::views::{HeldWord, ProviderWord};

/// Keeps web workloads running on Docker and replaces them without losing a request.
#[derive(Parser, Debug)]
#[command(name = "cutover", version, disable_help_subcommand = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Which engine, and as whom.
#[derive(Args, Debug, Clone)]
pub(super) struct Global {
    /// Configuration file; without one the defaults work
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Speak to an engine over TCP, e.g. http://10.0.0.5:7070; needs a token
    #[arg(long, value_name = "URL", global = true)]
    pub(super) url: Option<String>,
    /// File with the token for --url; without it CUTOVER_TOKEN is used
    #[arg(long, value_name = "FILE", global = true, requires = "url")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run the engine in the foreground; starts a proxy when none answers
    Serve,
    /// Run the proxy in the foreground
    Proxy,
    /// Register or revise workloads, deploy what changed, and wait
    Apply(Apply),
    /// Judge workload files without an engine
    Check(Files),
    /// Print the JSON Schema of workload files, for editors, or a commented sample
    Schema(Schema),
    /// Make a workload file out of what another tool uses
    #[command(subcommand)]
    Import(Import),
    /// Show what an apply of a file, or a deploy of a workload, would do
    Plan(Plan),
    /// Print the effective spec of a workload
    Show(Show),
    /// Deploy a workload and wait
    Deploy(Deploy),
    /// Send an image of this machine's Docker to the engine, without a registry; layers that it has are not sent
    Push(Push),
    /// Go back to an earlier release and wait
    Rollback(Rollback),
    /// Replace the containers of the current release and wait
    Restart(Wished),
    /// Take a workload out of service and wait; it keeps its name, routes, ports and volumes
    Stop(Wished),
    /// Bring a stopped workload back and wait
    Start(Wished),
    /// Let deliveries deploy again what failed or was rolled back from
    Accept(Accept),
    /// End a deployment before its point of no return
    Cancel(Cancel),
    /// Let a parked deployment go on
    Resume(Deployment),
    /// Let a held engine go on as things are
    Confirm(Confirm),
    /// Do nothing by itself to a workload, or to any, until it is thawed: no repair, no push
    Freeze(Freeze),
    /// Let a workload, or everything, go on by itself
    Thaw(Thaw),
    /// Remove a workload and wait
    Teardown(Removal),
    /// Show what runs
    Status(Status),
    /// Show what happened to a workload, and why
    Timeline(Timeline),
    /// Show the releases of a workload and what a rollback to each would take
    Releases(Named),
    /// Say why something is as it is: a workload, deployment, release or delivery
    Explain(Explain),
    /// Show all events of the log
    Events(Events),
    /// Wait for a deployment
    Wait(Wait),
    /// Show the output of the containers of a workload, failed ones too
    Logs(Logs),
    /// Run a program in a container that serves; its exit code is this command's
    Exec(Exec),
    /// Run a program in a container of its own, made of what serves and removed afterwards
    Run(Run),
    /// Sources of deliveries
    #[command(subcommand)]
    Hook(Hook),
    /// Secrets of projects: values that workloads are given and nobody is shown
    #[command(subcommand)]
    Secret(Secret),
    /// Tokens for the API over TCP
    #[command(subcommand)]
    Token(Token),
    /// The log itself
    #[command(subcommand)]
    Log(Log),
    /// Check the invariants on the real thing
    Doctor(Json),
}

/// For programs.
#[derive(Args, Debug, Clone, Copy)]
pub(super) struct Json {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is waited for.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Until the route was seen on green
    Live,
    /// Until the deployment has ended
    End,
}

#[derive(Args, Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// Wait until it is live, or (the default) to the end
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "end",
          value_name = "live|end", hide_possible_values = true, conflicts_with = "detach")]
    wait: Option<Goal>,
    /// Stop waiting after this time, e.g. 120s; the deployment goes on
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", value_parser = values::timeout, conflicts_with = "detach")]
    pub(super) timeout: Option<std::time::Duration>,
    /// Do not wait
    #[arg(long)]
    detach: bool,
}

impl Waiting {
    /// Whether anything was said about it.
    pub(super) fn is_asked_for(self) -> bool {
        self.detach || self.wait.is_some() || self.timeout.is_some()
    }

    /// What is waited for; `None` with `--detach`.
    pub(super) fn goal(self) -> Option<Goal> {
        if self.detach { None } else { Some(self.wait.unwrap_or(Goal::End)) }
    }
}

/// What makes a wish happen once, and how it is told.
#[derive(Args, Debug, Clone)]
pub(super) struct Wish {
    #[command(flatten)]
    pub(super) waiting: Waiting,
    /// The same key attaches to the same deployment instead of asking for another one
    #[arg(long, allow_hyphen_values = true, value_name = "KEY", value_parser = values::key)]
    pub(super) key: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Apply {
    /// Workload file, folder of *.toml files, or - for stdin
    #[arg(value_name = "FILE|DIR|-")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) mode: Mode,
    #[command(flatten)]
    pub(super) wish: Wish,
}

/// What becomes of what an apply changes.
#[derive(Args, Debug, Clone, Copy)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "two flags of the command line, of which at most one is given")]
pub(super) struct Mode {
    /// Only record
    #[arg(long)]
    pub(super) no_deploy: bool,
    /// Ask the registry even where the image is here
    #[arg(long)]
    pub(super) pull: bool,
}

#[derive(Args, Debug)]
pub(super) struct Files {
    /// Workload file, folder of *.toml files, or - for stdin
    #[arg(value_name = "FILE|DIR|-")]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) json: Json,
}

/// A source of workloads.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceWord {
    /// An image by reference
    Image,
    /// An image that is built here
    Dockerfile,
    /// A folder of files
    Static,
    /// A stack of Docker Compose
    Compose,
}

#[derive(Args, Debug)]
pub(super) struct Schema {
    /// Only for files whose workloads have this source
    #[arg(value_enum, hide_possible_values = true, value_name = "image|dockerfile|static|compose")]
    pub(super) source: Option<SourceWord>,
    /// Print a workload file with every key of that source, and a word about each
    #[arg(long, requires = "source")]
    pub(super) sample: bool,
}

/// What is imported.
#[derive(Subcommand, Debug)]
pub(super) enum Import {
    /// A compose file: stateless services blue-green, those that keep data recreate; prints the workload file
    Compose(ImportCompose),
}

#[derive(Args, Debug)]
pub(super) struct ImportCompose {
    /// Compose file; a compose.override.yml beside it is merged
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Project of the workloads; the name of the stack without it
    #[arg(long, allow_hyphen_values = true, value_name = "NAME", value_parser = values::project)]
    pub(super) project: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Plan {
    /// Workload file, folder of *.toml files, - for stdin, or the name of a workload
    #[arg(value_name = "FILE|DIR|-|NAME")]
    pub(super) what: PathBuf,
    /// With the name of a workload: the image that would be deployed
    #[arg(long, allow_hyphen_values = true, value_name = "REF")]
    pub(super) image: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Show {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// A revision; the newest without it
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) revision: Option<u32>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Deploy {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Image reference; without it the one of the spec, or what runs
    #[arg(long, allow_hyphen_values = true, value_name = "REF")]
    pub(super) image: Option<String>,
    /// Ask the registry even where the image is here
    #[arg(long)]
    pub(super) pull: bool,
    /// Folder (., ./DIR, /DIR), archive (.tar, .tar.gz, .tgz) or - for one on standard input: sent to the engine and deployed,
    /// this once, in place of what the workload file names
    #[arg(long, allow_hyphen_values = true, value_name = "DIR|FILE|-", conflicts_with = "image", value_parser = From::read)]
    pub(super) from: Option<From>,
    /// Only as `cutover plan NAME` has shown it: refused once anything has happened to the workload since
    #[arg(long, allow_hyphen_values = true, value_name = "HASH", value_parser = values::plan)]
    pub(super) plan: Option<String>,
    #[command(flatten)]
    pub(super) wish: Wish,
}

#[derive(Args, Debug)]
pub(super) struct Push {
    /// Image of this machine's Docker, by a name with a tag; DOCKER_HOST and the context of Docker are respected
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Workload that it is deployed to at once: project/name, or its name where that is unambiguous
    #[arg(value_name = "PROJECT/WORKLOAD")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) wish: Wish,
}

#[derive(Args, Debug)]
pub(super) struct Accept {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// What was rejected: a release (rel_…), tag, commit or digest; all of it without one
    #[arg(allow_hyphen_values = true, value_name = "RELEASE|TAG|COMMIT|DIGEST", value_parser = values::version)]
    pub(super) what: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Rollback {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Release (rel_…), deployment (dep_…), tag, commit, digest, or time in UTC, e.g. "2026-01-31 14:02" or "2h ago":
    /// what was live then; without it the release before
    #[arg(long, allow_hyphen_values = true, value_name = "RELEASE|DEPLOYMENT|TAG|COMMIT|TIME", value_parser = values::rollback_to)]
    pub(super) to: Option<String>,
    /// Only show what would change
    #[arg(long, short = 'n')]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) wish: Wish,
}

#[derive(Args, Debug)]
pub(super) struct Wished {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    #[command(flatten)]
    pub(super) wish: Wish,
}

#[derive(Args, Debug)]
pub(super) struct Removal {
    #[command(flatten)]
    pub(super) wished: Wished,
    /// Remove the volumes that were made for it too, with what is in them; those of a stack are, unless they are kept
    #[arg(long)]
    pub(super) volumes: bool,
    #[command(flatten)]
    pub(super) spared: Spared,
}

#[derive(Args, Debug)]
pub(super) struct Spared {
    /// Keep the volumes of a stack
    #[arg(long, conflicts_with = "volumes")]
    pub(super) keep_volumes: bool,
    #[command(flatten)]
    pub(super) sure: Sure,
}

#[derive(Args, Debug)]
pub(super) struct Sure {
    /// Do not ask before the volumes of a stack go
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct Cancel {
    #[command(flatten)]
    pub(super) deployment: Deployment,
    /// Also in the middle of its release command, whatever that has done by then
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Args, Debug)]
pub(super) struct Deployment {
    /// Deployment: dep_…
    #[arg(value_parser = values::deployment)]
    pub(super) deployment: String,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Confirm {
    /// What is confirmed; `cutover status` shows what holds the engine
    #[arg(value_enum)]
    pub(super) cause: HeldWord,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Freeze {
    /// Workload; everything without it
    pub(super) name: Option<String>,
    /// Why, for those who look later
    #[arg(long, allow_hyphen_values = true, value_name = "TEXT", default_value = "", hide_default_value = true,
          value_parser = values::reason)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Thaw {
    /// Workload; everything without it
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Status {
    /// Workload; all without it
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Named {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    #[command(flatten)]
    pub(super) json: Json,
}

/// A part of the log.
#[derive(Args, Debug, Clone)]
pub(super) struct Range {
    /// Only events after this position
    #[arg(long, allow_hyphen_values = true, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) after: u64,
    /// Only events of this deployment
    #[arg(long, allow_hyphen_values = true, value_name = "DEPLOYMENT", value_parser = values::deployment)]
    pub(super) deployment: Option<String>,
    /// Only events of these kinds, separated by commas
    #[arg(long, allow_hyphen_values = true, value_name = "KIND", value_delimiter = ',', value_parser = values::kind)]
    pub(super) kind: Vec<String>,
    /// Go on with what happens
    #[arg(long, short)]
    pub(super) follow: bool,
}

#[derive(Args, Debug)]
pub(super) struct Timeline {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Every event, instead of one line per deployment
    #[arg(long, short)]
    pub(super) steps: bool,
    #[command(flatten)]
    pub(super) range: Range,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Events {
    #[command(flatten)]
    pub(super) range: Range,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// Workload, deployment (dep_…), release (rel_…) or delivery (dlv_…)
    pub(super) about: String,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Wait {
    /// Deployment: dep_…
    #[arg(value_parser = values::deployment)]
    pub(super) deployment: String,
    /// Wait until it is live, or (the default) to the end
    #[arg(long = "for", value_enum, value_name = "live|end", default_value = "end", hide_possible_values = true)]
    pub(super) goal: Goal,
    /// Stop waiting after this time, e.g. 120s; the deployment goes on
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", value_parser = values::timeout)]
    pub(super) timeout: Option<std::time::Duration>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Logs {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Lines of each container
    #[arg(long, visible_alias = "tail", allow_hyphen_values = true, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(super) lines: u32,
    #[command(flatten)]
    pub(super) of: OfBuild,
    /// Go on, across deployments and restarts of the engine; with --build, for as long as it builds
    #[arg(long, short)]
    pub(super) follow: bool,
    #[command(flatten)]
    pub(super) part: OfOutput,
    /// Only the last words that were kept of this deployment's container
    #[arg(long, allow_hyphen_values = true, value_name = "DEPLOYMENT", value_parser = values::deployment)]
    pub(super) deployment: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

/// Which part of the output of what serves.
#[derive(Args, Debug)]
pub(super) struct OfOutput {
    /// Only lines since then: how long ago, as in 10m, or a time in UTC, as in 14:02
    #[arg(long, allow_hyphen_values = true, value_name = "TIME", conflicts_with_all = ["build", "deployment"])]
    pub(super) since: Option<String>,
    /// Only of this process, or this service of a stack; the workload's name is the workload itself
    #[arg(long, visible_alias = "service", allow_hyphen_values = true, value_name = "NAME", value_parser = values::part, conflicts_with_all = ["build", "deployment"])]
    pub(super) process: Option<String>,
    /// Only of this replica, counted from 1
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), conflicts_with_all = ["build", "deployment"])]
    pub(super) replica: Option<u16>,
}

impl OfOutput {
    /// Whether a part is asked for, and not all that was kept.
    pub(super) fn is_asked_for(&self) -> bool {
        self.since.is_some() || self.process.is_some() || self.replica.is_some()
    }
}

#[derive(Args, Debug)]
pub(super) struct OfBuild {
    /// What the newest build has printed, or that of --deployment
    #[arg(long)]
    pub(super) build: bool,
    /// With --build: only lines that hold this text, upper and lower case alike
    #[arg(long, allow_hyphen_values = true, value_name = "TEXT", requires = "build", conflicts_with = "follow")]
    pub(super) grep: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Exec {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Process of the workload, or service of a stack; the workload itself without it
    #[arg(long, visible_alias = "service", allow_hyphen_values = true, value_name = "NAME", value_parser = values::part)]
    pub(super) process: Option<String>,
    /// Replica, counted from 1; the first that runs without it
    #[arg(long, allow_hyphen_values = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) replica: Option<u16>,
    /// Program and arguments, after --; of these only the program's name is recorded
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct Run {
    /// Workload: project/name, or its name where that is unambiguous
    pub(super) name: String,
    /// Service of a stack; the only one without it
    #[arg(long, allow_hyphen_values = true, value_name = "NAME", value_parser = values::part)]
    pub(super) service: Option<String>,
    /// What stands in place of the image's command, after --; of these only the program's name is recorded
    #[arg(last = true, required = true, num_args = 1.., value_name = "CMD")]
    pub(super) command: Vec<String>,
}

#[derive(Subcommand, Debug)]
pub(super) enum Hook {
    /// Add a source of deliveries; its secret is printed once
    Add(HookAdd),
    /// Show every hook
    List(Json),
    /// Give a hook a new secret; the one before is accepted until the next rotation
    Rotate(HookRotate),
    /// Remove a hook
    Remove(HookNamed),
    /// Show the newest deliveries and what was decided on them
    Deliveries(HookDeliveries),
}

#[derive(Args, Debug)]
pub(super) struct HookAdd {
    /// Name, as triggers use it
    pub(super) name: String,
    /// How deliveries are verified and read
    #[arg(long, value_enum, default_value = "github")]
    pub(super) provider: ProviderWord,
    /// For generic: the header that holds the signature
    #[arg(long, allow_hyphen_values = true, value_name = "HEADER", value_parser = values::header)]
    pub(super) header: Option<String>,
    #[command(flatten)]
    pub(super) secret: SecretFile,
}

#[derive(Args, Debug)]
pub(super) struct SecretFile {
    /// File with the secret, or - for stdin; without it one is made
    #[arg(long, allow_hyphen_values = true, value_name = "FILE|-")]
    pub(super) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct HookRotate {
    /// Name or hook_…
    pub(super) hook: String,
    #[command(flatten)]
    pub(super) secret: SecretFile,
}

#[derive(Args, Debug)]
pub(super) struct HookNamed {
    /// Name or hook_…
    pub(super) hook: String,
}

#[derive(Args, Debug)]
pub(super) struct HookDeliveries {
    /// Name or hook_…
    pub(super) hook: String,
    /// How many
    #[arg(long, allow_hyphen_values = true, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Subcommand, Debug)]
pub(super) enum Token {
    /// Make a token; its value is printed once
    Add(TokenAdd),
    /// Show every token, without values
    List(Json),
    /// Refuse a token from here on
    Revoke(TokenRevoke),
}

#[derive(Args, Debug)]
pub(super) struct TokenAdd {
    /// Name, for people
    pub(super) name: String,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct TokenRevoke {
    /// Token: tok_…
    #[arg(value_parser = values::token)]
    pub(super) token: String,
}

#[derive(Subcommand, Debug)]
pub(super) enum Log {
    /// Read the whole log and check its chain
    Verify(LogData),
    /// Print the whole log, a commit a line
    Export(LogExport),
    /// Show where the log ends
    Head(LogData),
}

/// Which log.
#[derive(Args, Debug)]
pub(super) struct LogData {
    /// Read this data folder instead of asking the engine
    #[arg(long, allow_hyphen_values = true, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct LogExport {
    /// Only commits that end after this position
    #[arg(long, allow_hyphen_values = true, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(super) after: u64,
    #[command(flatten)]
    pub(super) log: LogData,
}
