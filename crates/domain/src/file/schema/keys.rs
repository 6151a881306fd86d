//! The tables that all sources have in common.

use cutover_events::workload::SourceKind;
use serde_json::{Value, json};

use super::{
    MAX_WORKLOADS, NAME, Table, by_name, duration, either, list, number, of, pattern, source, text, truth, variables,
    words,
};
use crate::file::after::MAX_AFTER;
use crate::file::check::STRATEGIES;
use crate::file::policy::{DRIFTS, KEEP_RELEASES, SIGNALS};
use crate::file::processes::MAX_PROCESSES;
use crate::file::routes::MAX_ROUTES;
use crate::file::secrets::MAX_USED;
use crate::file::triggers::MAX_TRIGGERS;
use crate::file::workload::{HARDENINGS, MAX_ARGUMENTS, MAX_REPLICAS, MAX_VARIABLES};
use crate::file::{TOP, health, ports, processes, release, routes, triggers, volumes};

/// The ports that there are.
const PORTS: (i64, i64) = (1, 65_535);
/// The statuses that there are.
const STATUSES: (i64, i64) = (100, 599);
/// The processes that one container may have.
const PIDS: (i64, i64) = (1, 4_194_304);

pub(super) fn top() -> Table {
    Table {
        words: TOP,
        about: "What should run",
        required: &["workloads"],
        keys: vec![
            ("project", pattern("Namespace and network of its own. Default: default", NAME)),
            ("workloads", by_name("workload", MAX_WORKLOADS, "What is kept running, by name")),
        ],
    }
}

pub(super) fn workload() -> Table {
    let strategies: Vec<&str> = std::iter::once("").chain(STRATEGIES.iter().copied()).collect();
    let mut keys: Vec<(&'static str, Value)> =
        SourceKind::ALL.map(|kind| (kind.word(), source::of_workload(kind))).to_vec();
    let strategy = "How it is replaced, as deploy_strategy in the table of the source. Default: that of the source";
    keys.push(("strategy", json!({"enum": strategies, "description": strategy})));
    keys.extend(ways_in());
    keys.extend(container());
    keys.extend([
        ("replicas", number((1, MAX_REPLICAS), "Containers of one release. Default: 1")),
        ("deploy", deploys("HOOK:OWNER/NAME@BRANCH or HOOK:OWNER/NAME@tag:TAG", "Which changes deploy it")),
        ("triggers", list(of("trigger", "A rule"), MAX_TRIGGERS, "Which changes deploy it, with all keys")),
        ("policy", of("policy", "Times and counts")),
        ("processes", by_name("process", MAX_PROCESSES, "Other commands of the same release, by name")),
        (
            "after",
            list(
                pattern("Name of a workload", NAME),
                MAX_AFTER,
                "Workloads of the same project that must be ready first",
            ),
        ),
        ("release", before()),
        (
            "secrets",
            list(source::secret("Name of a secret"), MAX_USED, "Secrets of the project, as files in /run/secrets"),
        ),
    ]);
    // In the order of the reader, so that both can be held side by side.
    keys.sort_by_key(|(key, _)| crate::file::workload::WORDS.known.iter().position(|known| known == key));
    Table { words: crate::file::workload::WORDS, about: "One workload: exactly one source", keys, required: &[] }
}

fn before() -> Value {
    let each = [text("PROGRAM ARGUMENT"), command("Program, then arguments"), of("release", "With all keys")];
    either("What runs once before anything of a new release serves", &each)
}

fn ways_in() -> Vec<(&'static str, Value)> {
    vec![
        ("host", several("A DNS name, or *. and a DNS name", MAX_ROUTES, "What leads to it from outside")),
        ("port", number(PORTS, "Port inside the container")),
        ("routes", list(of("route", "A way in"), MAX_ROUTES, "What leads to it from outside, with all keys")),
        ("health", probe("How readiness is probed. Default: it must stay up for policy.liveness")),
    ]
}

fn container() -> Vec<(&'static str, Value)> {
    let volume = either(
        "A volume",
        &[text("NAME:/target, NAME:/target:shared or /folder:/target:ro"), of("volume", "With all keys")],
    );
    let port = either(
        "A port",
        &[text("HOST:CONTAINER or ADDRESS:HOST:CONTAINER, /udp at the end for UDP"), of("port", "With all keys")],
    );
    let mut keys = vec![
        (
            "env",
            variables(MAX_VARIABLES, "The environment; values are stored sealed, ${secret:NAME} stands for a secret"),
        ),
        ("command", command("Replaces the command of the image")),
        ("volumes", list(volume, volumes::MAX_VOLUMES, "What is mounted; a writable one makes the workload exclusive")),
        ("ports", list(port, ports::MAX_PORTS, "Ports of the host, past the proxy; one makes the workload exclusive")),
        ("hardening", words(HARDENINGS, "How closed its containers are. Default: default")),
    ];
    keys.extend(limits());
    keys
}

fn limits() -> Vec<(&'static str, Value)> {
    let cores = [json!({"type": "number"}), pattern("As text", r"^[0-9]+(\.[0-9]{1,3})?$")];
    vec![
        ("memory", pattern("Memory of one container, with its unit", "^[0-9]+(B|kB|MB|GB|KiB|MiB|GiB)$")),
        ("cpus", either("Cores of one container", &cores)),
        ("pids", number(PIDS, "Processes and threads of one container")),
    ]
}

fn command(about: &str) -> Value {
    let mut command = list(text("Program, then arguments"), MAX_ARGUMENTS, about);
    command["minItems"] = json!(1);
    command
}

/// One text, or a list of them.
fn several(each: &str, most: usize, about: &str) -> Value {
    either(about, &[text(each), list(text(each), most, about)])
}

/// A rule in its short form or as a table, or a list of them.
fn deploys(each: &str, about: &str) -> Value {
    let one = || either("A rule", &[text(each), of("trigger", "With all keys")]);
    either(about, &[text(each), of("trigger", "With all keys"), list(one(), MAX_TRIGGERS, about)])
}

fn probe(about: &str) -> Value {
    either(about, &[pattern("/path or tcp:PORT", "^(/.*|tcp:[0-9]+)$"), of("health", "With all keys")])
}

pub(super) fn route() -> Table {
    Table {
        words: routes::WORDS,
        about: "A way in from outside",
        required: &["host"],
        keys: vec![
            ("host", text("A DNS name, or *. and a DNS name")),
            ("path", pattern("Path prefix, of whole segments. Default: /", "^/")),
            ("port", number(PORTS, "Port inside the container. Default: that of the workload")),
            ("strip", truth("Whether the prefix is cut off. Default: false")),
            ("service", text("Service of a stack; for compose alone, and needed there")),
        ],
    }
}

pub(super) fn volume() -> Table {
    Table {
        words: volumes::WORDS,
        about: "Something of the host in a container: exactly one of volume and folder",
        required: &["target"],
        keys: vec![
            ("volume", text("Name of a volume of Docker; made when it is missing")),
            ("folder", pattern("Folder of the host, below one that the server allows", "^/")),
            ("target", pattern("Path inside the container", "^/")),
            ("access", words(volumes::ACCESSES, "Who may write. Default: exclusive")),
        ],
    }
}

pub(super) fn port() -> Table {
    Table {
        words: ports::WORDS,
        about: "A port of the host",
        required: &["host", "container"],
        keys: vec![
            ("address", text("Address of the host. Default: 127.0.0.1")),
            ("host", number(PORTS, "Port of the host")),
            ("container", number(PORTS, "Port inside the container")),
            ("transport", words(ports::TRANSPORTS, "What is spoken on it. Default: tcp")),
        ],
    }
}

pub(super) fn health() -> Table {
    let status = either(
        "What counts as ready: a status, or LOW-HIGH. Default: 200-399",
        &[number(STATUSES, "A status"), pattern("A range", "^[0-9]{3}(-[0-9]{3})?$")],
    );
    let headers = json!({
        "type": "object",
        "propertyNames": {"pattern": "^[Hh][Oo][Ss][Tt]$"},
        "additionalProperties": {"type": "string"},
        "description": "Header of the probe: Host",
    });
    Table {
        words: health::WORDS,
        about: "How readiness is probed: HTTP with a path, TCP without",
        required: &[],
        keys: vec![
            ("http", pattern("Path that is asked", "^/")),
            ("port", number(PORTS, "Port inside the container. Default: that of the workload")),
            ("status", status),
            ("headers", headers),
            ("interval", duration("Between two probes. Default: 1s")),
            ("timeout", duration("For one probe. Default: 5s")),
        ],
    }
}

pub(super) fn trigger() -> Table {
    Table {
        words: triggers::WORDS,
        about: "Which changes deploy it: all parts that are given must match",
        required: &["hook"],
        keys: vec![
            ("hook", pattern("Name of a hook (cutover hook list)", NAME)),
            ("repo", text("OWNER/NAME. Default: any")),
            ("branch", text("Branch, * for any characters")),
            ("tag", text("Tag, * for any characters")),
            ("image", text("Image without tag, for deliveries about images")),
            (
                "paths",
                list(
                    text(
                        "Path from the top of the repository; * within a part, ** for any number of parts, ! takes back",
                    ),
                    triggers::MAX_PATHS,
                    "Paths of which one must have changed since what is deployed. Default: all",
                ),
            ),
        ],
    }
}

pub(super) fn process() -> Table {
    let mut keys = vec![
        ("command", command("Replaces the command of the image")),
        ("replicas", number((1, MAX_REPLICAS), "Its containers of one release. Default: 1")),
        ("health", probe("How readiness is probed. Default: it must stay up for policy.liveness")),
    ];
    keys.extend(limits());
    Table { words: processes::WORDS, about: "Another command of the same release", keys, required: &["command"] }
}

pub(super) fn release() -> Table {
    let command = [text("PROGRAM ARGUMENT"), command("Program, then arguments")];
    Table {
        words: release::WORDS,
        about: "What runs once, in a container of a new release, before anything of it serves",
        required: &["command"],
        keys: vec![
            ("command", either("Replaces the command of the image; no shell runs it", &command)),
            ("timeout", duration("How long it may run. Default: 10m")),
            ("on_crash", words(release::ON_CRASH, "When nobody knows how it ended. Default: ask")),
        ],
    }
}

pub(super) fn policy() -> Table {
    let signals: Vec<&str> = SIGNALS.iter().flat_map(|(name, _)| [*name, name.trim_start_matches("SIG")]).collect();
    let keep = number(KEEP_RELEASES, "Releases that stay known for a rollback. Default: 10");
    Table {
        words: crate::file::policy::WORDS,
        about: "Times and counts",
        required: &[],
        keys: vec![
            ("gate_timeout", duration("From the start of the last container until ready. Default: 60s")),
            ("liveness", duration("Without a health check: how long a container must stay up. Default: 5s")),
            ("drain", duration("How long requests to the old containers may go on. Default: 10s")),
            ("bake", duration("How long the new ones are watched. Default: 10s")),
            ("standby", duration("How long the old ones keep running afterwards. Default: 0s")),
            ("stop_timeout", duration("Between the stop signal and the kill. Default: 10s")),
            (
                "stop_signal",
                json!({"enum": signals, "description": "What asks a container to end. Default: that of the image"}),
            ),
            ("keep_releases", keep),
            (
                "restore_timeout",
                duration("For the old release to become ready again after the new one failed. Default: 10m"),
            ),
            ("wait_for_image", duration("For an image that a change names to be in its registry. Default: 20m")),
            ("drift", words(DRIFTS, "What follows when containers are not as they should be. Default: repair")),
        ],
    }
}
