//! Keys of a service that a workload does not have, and why nothing is lost, or what is.

use super::One;

/// What is kept, or means nothing outside of Compose.
const FINE: &[&str] = &[
    "image",
    "build",
    "ports",
    "expose",
    "volumes",
    "environment",
    "env_file",
    "command",
    "entrypoint",
    "healthcheck",
    "depends_on",
    "mem_limit",
    "cpus",
    "pids_limit",
    "scale",
    "stop_signal",
    "stop_grace_period",
    "profiles",
    "extends",
    "tty",
    "stdin_open",
    "attach",
    "develop",
    "pull_policy",
    "init",
    "annotations",
    "container_name",
    "security_opt",
];

/// What is not, and why.
const NOT_KEPT: &[(&str, &str)] = &[
    ("restart", ""),
    ("networks", "a workload is on the network of its project, and on no other"),
    ("labels", "workloads have none; routes are keys of their own"),
    ("logging", "Docker's own log is read"),
    ("network_mode", "a workload is on the network of its project"),
    ("privileged", "no workload is"),
    ("cap_add", "workloads have Docker's default capabilities"),
    ("cap_drop", "write hardening = \"strict\" to drop all"),
    ("read_only", "write hardening = \"strict\" for a root that cannot be written"),
    ("devices", "workloads have none"),
    ("gpus", "workloads have none"),
    ("secrets", "workloads cannot be given these files yet; put the value into a variable"),
    ("configs", "workloads cannot be given these files yet; put it into the image, or a folder"),
    ("extra_hosts", "workloads find one another by name, and everything else by DNS"),
    ("links", "the name of a workload is the same for all of its project"),
    ("deploy", ""),
    ("user", "that of the image counts"),
    ("working_dir", "that of the image counts"),
    ("hostname", "the name of the container is Cutover's"),
    ("platform", "write image = { ref = …, platform = … }"),
    ("tmpfs", "nothing is mounted there"),
    ("shm_size", "Docker's default counts"),
    ("ulimits", "Docker's defaults count"),
    ("sysctls", "Docker's defaults count"),
];

pub(super) fn judge(one: &mut One<'_>) {
    let service = one.service;
    for key in service.keys.iter().filter(|key| !key.starts_with("x-") && !FINE.contains(&key.as_str())) {
        match NOT_KEPT.iter().find(|(known, _)| known == key) {
            // Told where it is known what it says.
            Some((_, "")) => {}
            Some((_, why)) => one.note(format!("{key}: {why}")),
            None => one.note(format!("{key}: workloads have nothing like it")),
        }
    }
    if service
        .restart
        .as_deref()
        .is_some_and(|word| ["no", "false", "on-failure"].iter().any(|no| word.starts_with(no)))
    {
        one.note("restart: a workload is always started again");
    }
    if service.build.is_some() {
        one.note("build: the image is pulled, and not built");
    }
}
