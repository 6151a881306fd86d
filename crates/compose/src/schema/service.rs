//! The keys of a service: those of the Compose specification, and the older ones that Compose still reads.

use super::{
    Any, DISTINCT, Either, Keys, List, NUMBER_OR_TEXT, Names, Null, Number, OPTIONS, PAIRS, REFERENCES, Shape,
    TEXT_OR_LIST, TEXTS, Text, Truth, ULIMITS, Unique,
};

const COMMAND: &Shape = &Either(&[&Null, &Text, TEXTS]);
const TRUTH_OR_TEXT: &Shape = &Either(&[&Truth, &Text]);
const NUMBERS_OR_TEXTS: &Shape = &List(NUMBER_OR_TEXT);

const BUILD: &Shape = &Either(&[
    &Text,
    &Keys(&[
        ("context", &Text),
        ("dockerfile", &Text),
        ("dockerfile_inline", &Text),
        ("entitlements", TEXTS),
        ("args", PAIRS),
        ("ssh", PAIRS),
        ("labels", PAIRS),
        ("cache_from", TEXTS),
        ("cache_to", TEXTS),
        ("no_cache", &Truth),
        ("no_cache_filter", TEXT_OR_LIST),
        ("additional_contexts", PAIRS),
        ("network", &Text),
        ("provenance", TRUTH_OR_TEXT),
        ("sbom", TRUTH_OR_TEXT),
        ("pull", &Truth),
        ("target", &Text),
        ("shm_size", NUMBER_OR_TEXT),
        ("extra_hosts", EXTRA_HOSTS),
        ("isolation", &Text),
        ("privileged", &Truth),
        ("secrets", REFERENCES),
        ("tags", TEXTS),
        ("ulimits", ULIMITS),
        ("platforms", TEXTS),
    ]),
]);

const EXTRA_HOSTS: &Shape = &Either(&[&Names(TEXT_OR_LIST), TEXTS]);

const DEPENDS_ON: &Shape =
    &Either(&[DISTINCT, &Names(&Keys(&[("condition", &Text), ("restart", &Truth), ("required", &Truth)]))]);

const ENV_FILE: &Shape = &Either(&[
    &Text,
    &List(&Either(&[&Text, &Keys(&[("path", &Text), ("required", TRUTH_OR_TEXT), ("format", &Text)])])),
]);

const HEALTHCHECK: &Shape = &Keys(&[
    ("test", TEXT_OR_LIST),
    ("disable", &Truth),
    ("interval", &Text),
    ("timeout", &Text),
    ("retries", &Number),
    ("start_period", &Text),
    ("start_interval", &Text),
]);

const NETWORKS: &Shape = &Either(&[
    DISTINCT,
    &Names(&Either(&[
        &Null,
        &Keys(&[
            ("aliases", TEXTS),
            ("interface_name", &Text),
            ("ipv4_address", &Text),
            ("ipv6_address", &Text),
            ("link_local_ips", TEXTS),
            ("mac_address", &Text),
            ("driver_opts", OPTIONS),
            ("priority", &Number),
            ("gw_priority", &Number),
        ]),
    ])),
]);

const PORTS: &Shape = &List(&Either(&[
    NUMBER_OR_TEXT,
    &Keys(&[
        ("name", &Text),
        ("mode", &Text),
        ("host_ip", &Text),
        ("target", NUMBER_OR_TEXT),
        ("published", NUMBER_OR_TEXT),
        ("protocol", &Text),
        ("app_protocol", &Text),
    ]),
]));

const VOLUMES: &Shape = &List(&Either(&[
    &Text,
    &Keys(&[
        ("type", &Text),
        ("source", &Text),
        ("target", &Text),
        ("read_only", &Truth),
        ("consistency", &Text),
        (
            "bind",
            &Keys(&[("propagation", &Text), ("create_host_path", &Truth), ("recursive", &Text), ("selinux", &Text)]),
        ),
        ("volume", &Keys(&[("labels", PAIRS), ("nocopy", &Truth), ("subpath", &Text)])),
        ("tmpfs", &Keys(&[("size", NUMBER_OR_TEXT), ("mode", NUMBER_OR_TEXT)])),
        ("image", &Keys(&[("subpath", &Text)])),
        ("cluster", &Any),
    ]),
]));

const RESOURCES: &[(&str, &Shape)] = &[
    ("cpus", &Number),
    ("memory", &Text),
    ("pids", NUMBER_OR_TEXT),
    ("generic_resources", &List(&Any)),
    ("devices", &List(DEVICE_REQUEST)),
];

const DEVICE_REQUEST: &Shape = &Keys(&[
    ("capabilities", TEXTS),
    ("count", NUMBER_OR_TEXT),
    ("device_ids", TEXTS),
    ("driver", &Text),
    ("options", PAIRS),
]);

const UPDATE: &Shape = &Keys(&[
    ("parallelism", NUMBER_OR_TEXT),
    ("delay", &Text),
    ("failure_action", &Text),
    ("monitor", &Text),
    ("max_failure_ratio", NUMBER_OR_TEXT),
    ("order", &Text),
]);

const DEPLOY: &Shape = &Either(&[&Null, &Keys(DEPLOY_KEYS)]);

const DEPLOY_KEYS: &[(&str, &Shape)] = &[
    ("mode", &Text),
    ("endpoint_mode", &Text),
    ("replicas", &Number),
    ("labels", PAIRS),
    ("rollback_config", UPDATE),
    ("update_config", UPDATE),
    ("resources", &Keys(&[("limits", &Keys(RESOURCES)), ("reservations", &Keys(RESOURCES))])),
    (
        "restart_policy",
        &Keys(&[("condition", &Text), ("delay", &Text), ("max_attempts", NUMBER_OR_TEXT), ("window", &Text)]),
    ),
    (
        "placement",
        &Keys(&[
            ("constraints", TEXTS),
            ("preferences", &List(&Keys(&[("spread", &Text)]))),
            ("max_replicas_per_node", NUMBER_OR_TEXT),
        ]),
    ),
];

const HOOKS: &Shape = &List(HOOK);

const HOOK: &Shape = &Keys(&[
    ("command", COMMAND),
    ("user", &Text),
    ("privileged", &Truth),
    ("working_dir", &Text),
    ("environment", PAIRS),
    ("per_replica", &Truth),
]);

const DEVELOP: &Shape = &Keys(&[(
    "watch",
    &List(&Keys(&[
        ("path", &Text),
        ("action", &Text),
        ("target", &Text),
        ("ignore", TEXT_OR_LIST),
        ("include", TEXT_OR_LIST),
        ("exec", HOOK),
        ("initial_sync", &Truth),
    ])),
)]);

const DEVICES: &Shape =
    &List(&Either(&[&Text, &Keys(&[("source", &Text), ("target", &Text), ("permissions", &Text)])]));

const CREDENTIAL_SPEC: &Shape = &Keys(&[("config", &Text), ("file", &Text), ("registry", &Text)]);
const EXTENDS: &Shape = &Either(&[&Text, &Keys(&[("service", &Text), ("file", &Text)])]);
const LOGGING: &Shape = &Keys(&[("driver", &Text), ("options", &Names(&Either(&[&Null, NUMBER_OR_TEXT])))]);

/// A service.
pub(super) const SERVICE: &Shape = &Keys(&[
    ("annotations", PAIRS),
    ("attach", &Truth),
    ("blkio_config", &Any),
    ("build", BUILD),
    ("cap_add", TEXTS),
    ("cap_drop", TEXTS),
    ("cgroup", &Text),
    ("cgroup_parent", &Text),
    ("command", COMMAND),
    ("configs", REFERENCES),
    ("container_name", &Text),
    ("cpu_count", &Number),
    ("cpu_percent", &Number),
    ("cpu_period", &Number),
    ("cpu_quota", &Number),
    ("cpu_rt_period", NUMBER_OR_TEXT),
    ("cpu_rt_runtime", NUMBER_OR_TEXT),
    ("cpu_shares", &Number),
    ("cpus", &Number),
    ("cpuset", &Text),
    ("credential_spec", CREDENTIAL_SPEC),
    ("depends_on", DEPENDS_ON),
    ("deploy", DEPLOY),
    ("develop", DEVELOP),
    ("device_cgroup_rules", TEXTS),
    ("devices", DEVICES),
    ("dns", TEXT_OR_LIST),
    ("dns_opt", TEXTS),
    ("dns_search", TEXT_OR_LIST),
    ("domainname", &Text),
    ("entrypoint", COMMAND),
    ("env_file", ENV_FILE),
    ("environment", PAIRS),
    ("expose", NUMBERS_OR_TEXTS),
    ("extends", EXTENDS),
    ("external_links", DISTINCT),
    ("extra_hosts", EXTRA_HOSTS),
    ("gpus", &Either(&[&Text, &List(DEVICE_REQUEST)])),
    ("group_add", &Unique(NUMBER_OR_TEXT)),
    ("healthcheck", HEALTHCHECK),
    ("hostname", &Text),
    ("image", &Text),
    ("init", &Truth),
    ("ipc", &Text),
    ("isolation", &Text),
    ("label_file", TEXT_OR_LIST),
    ("labels", PAIRS),
    ("links", DISTINCT),
    ("logging", LOGGING),
    ("mac_address", &Text),
    ("mem_limit", NUMBER_OR_TEXT),
    ("mem_reservation", NUMBER_OR_TEXT),
    ("mem_swappiness", &Number),
    ("memswap_limit", NUMBER_OR_TEXT),
    ("models", &Any),
    ("network_mode", &Text),
    ("networks", NETWORKS),
    ("oom_kill_disable", &Truth),
    ("oom_score_adj", &Number),
    ("pid", &Text),
    ("pids_limit", &Number),
    ("platform", &Text),
    ("ports", PORTS),
    ("post_start", HOOKS),
    ("pre_start", HOOKS),
    ("pre_stop", HOOKS),
    ("privileged", &Truth),
    ("profiles", TEXTS),
    ("provider", &Any),
    ("pull_policy", &Text),
    ("pull_refresh_after", &Text),
    ("read_only", &Truth),
    ("restart", TRUTH_OR_TEXT),
    ("runtime", &Text),
    ("scale", &Number),
    ("secrets", REFERENCES),
    ("security_opt", DISTINCT),
    ("shm_size", NUMBER_OR_TEXT),
    ("stdin_open", &Truth),
    ("stop_grace_period", &Text),
    ("stop_signal", &Text),
    ("storage_opt", OPTIONS),
    ("sysctls", PAIRS),
    ("tmpfs", TEXT_OR_LIST),
    ("tty", &Truth),
    ("ulimits", ULIMITS),
    ("use_api_socket", &Truth),
    ("user", &Text),
    ("userns_mode", &Text),
    ("uts", &Text),
    ("volume_driver", &Text),
    ("volumes", VOLUMES),
    ("volumes_from", DISTINCT),
    ("working_dir", &Text),
]);
