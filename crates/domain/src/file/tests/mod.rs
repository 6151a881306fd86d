//! Whole files: what is accepted means this, what is refused says that.

mod exclusive;
mod processes;
mod schema;
mod sources;

use cutover_events::secret::{SecretUse, SecretWay};
use cutover_events::workload::{
    Access, Check, Hardening, Health, ImageSource, Limits, Mount, MountFrom, OnCrash, OnDrift, Policy, Process,
    PublishedPort, Pull, ReleaseCommand, Route, Source, Spec, Transport, Trigger,
};
use proptest::prelude::*;

use self::exclusive::DATABASE;
use super::strict::MAX_MESSAGE_CHARS;
use super::{BadFile, Canonical, CanonicalPort, Declared, MAX_FILE_BYTES, difference, read};

const FULL: &str = r#"
project = "shop"
[workloads.web]
image = { ref = "ghcr.io/acme/shop:{sha}", pull = "always", platform = "linux/amd64", credentials = "registry", deploy_strategy = "blue-green" }
strategy = "blue-green"
host = ["Shop.example.com", "*.shop.example.com"]
port = 8080
env = { A = "1", "dotted.name" = "x ${secret:db_password} ${secret:api}" }
command = ["serve", "--all"]
volumes = ["uploads:/srv/uploads:shared", { folder = "/srv/data/fonts/", target = "/fonts", access = "read-only" }]
memory = "512MiB"
cpus = 0.5
pids = 100
hardening = "strict"
replicas = 2
after = ["db", "cache"]
release = { command = "./migrate '--all tables'", timeout = "1h", on_crash = "again" }
secrets = ["session_key", "db_password"]
deploy = [{ hook = "github", repo = "acme/shop", branch = "main", paths = ["api/**", "!**/*.md"] }, "github:acme/shop@tag:v*"]
[workloads.web.health]
http = "/healthz?deep"
port = 9090
status = "201-299"
headers = { Host = "shop.example.com" }
interval = "2s"
timeout = "500ms"
[[workloads.web.routes]]
host = "api.example.com"
path = "/v1"
port = 8081
strip = true
[[workloads.web.triggers]]
hook = "registry"
image = "ghcr.io/acme/shop"
tag = "v*"
[workloads.web.policy]
gate_timeout = "2m"
liveness = "1s"
drain = "30s"
bake = "0s"
standby = "10m"
stop_timeout = "3s"
stop_signal = "SIGINT"
keep_releases = 3
restore_timeout = "1h"
wait_for_image = "5m"
drift = "report"
[workloads.web.processes]
worker = { command = ["work", "--all"] }
mailer = { command = ["mail"], replicas = 2, memory = "256MiB", health = "tcp:9000" }
"#;
/// The first workload of a file that is accepted, by the schema too.
fn one(text: &str) -> Declared {
    let declared = read("f.toml", text.as_bytes()).unwrap_or_else(|bad| panic!("{bad}")).remove(0);
    schema::judged(text).unwrap_or_else(|why| panic!("{text}\n{why}"));
    declared
}

fn refused(text: &str) -> BadFile {
    read("f.toml", text.as_bytes()).expect_err(text)
}

fn web(lines: &str) -> String {
    format!("[workloads.web]\nimage = \"nginx\"\n{lines}\n")
}

fn given() -> Vec<SecretUse> {
    let all = [
        ("api", SecretWay::Env),
        ("db_password", SecretWay::File),
        ("db_password", SecretWay::Env),
        ("session_key", SecretWay::File),
    ];
    all.map(|(name, way)| SecretUse { name: name.into(), way }).to_vec()
}

fn full_spec() -> Spec {
    let route = |host: &str, path: &str, port, strip| {
        let (host, path, service) = (host.into(), path.into(), String::new());
        Route { host, path, port, strip, service }
    };
    let trigger = |hook: &str, repo: &str, branch: &str, tag: &str, image: &str| Trigger {
        hook: hook.into(),
        repo: repo.into(),
        branch: branch.into(),
        tag: tag.into(),
        image: image.into(),
        paths: if tag.is_empty() && image.is_empty() { vec!["api/**".into(), "!**/*.md".into()] } else { Vec::new() },
    };
    Spec {
        source: Source::Image(ImageSource {
            reference: "ghcr.io/acme/shop:{sha}".into(),
            pull: Pull::Always,
            platform: "linux/amd64".into(),
            credentials: "registry".into(),
            deploy_strategy: "blue-green".into(),
        }),
        routes: vec![
            route("shop.example.com", "/", 8080, false),
            route("*.shop.example.com", "/", 8080, false),
            route("api.example.com", "/v1", 8081, true),
        ],
        env: Vec::new(),
        command: Some(vec!["serve".into(), "--all".into()]),
        mounts: vec![
            mount(MountFrom::Volume("uploads".into()), "/srv/uploads", Access::Shared),
            mount(MountFrom::Folder("/srv/data/fonts".into()), "/fonts", Access::ReadOnly),
        ],
        ports: Vec::new(),
        limits: Limits { memory_bytes: Some(536_870_912), cpu_milli: Some(500), pids: Some(100) },
        hardening: Hardening::Strict,
        health: Some(Health {
            check: Check::Http { path: "/healthz?deep".into(), host: "shop.example.com".into(), low: 201, high: 299 },
            port: 9090,
            interval_ms: 2_000,
            timeout_ms: 500,
        }),
        replicas: 2,
        triggers: vec![
            trigger("github", "acme/shop", "main", "", ""),
            trigger("github", "acme/shop", "", "v*", ""),
            trigger("registry", "", "", "v*", "ghcr.io/acme/shop"),
        ],
        policy: Policy {
            gate_timeout_ms: 120_000,
            liveness_ms: 1_000,
            drain_ms: 30_000,
            bake_ms: 0,
            standby_ms: 600_000,
            stop_timeout_ms: 3_000,
            stop_signal: 2,
            keep_releases: 3,
            restore_timeout_ms: 3_600_000,
            wait_for_image_ms: 300_000,
            drift: OnDrift::Report,
        },
        processes: processes(),
        after: vec!["db".into(), "cache".into()],
        release: Some(ReleaseCommand {
            command: vec!["./migrate".into(), "--all tables".into()],
            timeout_ms: 3_600_000,
            on_crash: OnCrash::Again,
        }),
        secrets: given(),
    }
}

fn processes() -> Vec<Process> {
    let shared = Limits { memory_bytes: Some(268_435_456), cpu_milli: Some(500), pids: Some(100) };
    vec![
        Process {
            name: "mailer".into(),
            command: vec!["mail".into()],
            replicas: 2,
            limits: shared,
            health: Some(Health { check: Check::Tcp, port: 9000, interval_ms: 1_000, timeout_ms: 5_000 }),
        },
        Process {
            name: "worker".into(),
            command: vec!["work".into(), "--all".into()],
            replicas: 1,
            limits: Limits { memory_bytes: Some(536_870_912), ..shared },
            health: None,
        },
    ]
}

fn mount(from: MountFrom, target: &str, access: Access) -> Mount {
    Mount { from, target: target.into(), access }
}

fn port(address: &str, host: u16, container: u16, transport: Transport) -> PublishedPort {
    PublishedPort { address: address.parse().unwrap(), host, container, transport }
}

#[test]
fn every_key_reaches_the_spec() {
    let declared = one(FULL);
    assert_eq!(declared.full_name(), "shop/web");
    assert_eq!(declared.spec, full_spec());
    assert_eq!(
        declared.values.env.get("dotted.name").map(String::as_str),
        Some("x ${secret:db_password} ${secret:api}")
    );
    assert_eq!(declared.warnings, Vec::<String>::new());
}

#[test]
fn a_file_may_say_little() {
    let declared = one(&web(""));
    assert_eq!(declared.full_name(), "default/web");
    assert_eq!((declared.spec.replicas, declared.spec.health.clone(), declared.spec.routes.len()), (1, None, 0));
    assert_eq!(declared.spec.policy, Policy::default());
    let Source::Image(image) = &declared.spec.source else { panic!("{declared:?}") };
    assert_eq!((image.deploy_strategy.as_str(), image.pull), ("", Pull::Missing));
}

#[test]
fn the_short_forms_mean_the_same_as_the_long_ones() {
    let pairs = [
        ("health = \"tcp:5432\"", "health = { port = 5432 }"),
        ("port = 80\nhealth = \"/up\"", "health = { http = \"/up\", port = 80 }"),
        ("port = 80\nhost = \"a.b\"", "routes = [{ host = \"a.b\", port = 80 }]"),
        ("deploy = \"gh:a/b@main\"", "triggers = [{ hook = \"gh\", repo = \"a/b\", branch = \"main\" }]"),
        ("cpus = 2", "cpus = \"2.0\""),
        ("policy.stop_signal = \"INT\"", "policy.stop_signal = \"SIGINT\""),
        ("strategy = \"\"", ""),
        ("volumes = [\"a:/b\"]", "volumes = [{ volume = \"a\", target = \"/b\", access = \"exclusive\" }]"),
        ("volumes = [\"a:/b:rw\"]", "volumes = [\"a:/b\"]"),
        ("volumes = [\"/a/:/b/:ro\"]", "volumes = [{ folder = \"/a\", target = \"/b\", access = \"read-only\" }]"),
        ("ports = [\"1:2\"]", "ports = [{ host = 1, container = 2, address = \"127.0.0.1\", transport = \"tcp\" }]"),
        ("ports = [\"[::]:1:2/udp\"]", "ports = [{ address = \"::\", host = 1, container = 2, transport = \"udp\" }]"),
    ];
    for (short, long) in pairs {
        assert_eq!(one(&web(short)).spec, one(&web(long)).spec, "{short}");
    }
    let table = "[workloads.web]\nimage = { ref = \"nginx\", deploy_strategy = \"blue-green\" }";
    assert_eq!(one(table).spec, one(&web("strategy = \"blue-green\"")).spec);
}

#[test]
fn the_canonical_form_goes_there_and_back() {
    for text in [FULL.to_owned(), DATABASE.to_owned(), web(""), web("health = \"tcp:1\"")] {
        let declared = one(&text);
        let back = Declared::try_from(Canonical::from(&declared)).unwrap();
        assert_eq!((back.spec, back.values), (declared.spec, declared.values));
    }
}

#[test]
fn the_canonical_form_is_judged_like_a_file() {
    let base = Canonical::from(&one(FULL));
    let refuse = |change: fn(&mut Canonical)| {
        let mut given = base.clone();
        change(&mut given);
        Declared::try_from(given).expect_err("accepted").to_string()
    };
    assert!(refuse(|c| c.name = "../etc".into()).contains("name"));
    assert!(refuse(|c| c.routes[1].port = 70_000).starts_with("routes[1].port: "));
    assert!(refuse(|c| c.routes[1].host = "a b".into()).starts_with("routes[1].host: "));
    assert!(refuse(|c| c.replicas = -1).starts_with("replicas: "));
    assert!(refuse(|c| c.policy.bake_ms = u64::MAX).starts_with("policy.bake_ms: "));
    assert!(refuse(|c| c.triggers[0].branch = String::new()).starts_with("triggers[0]: "));
    assert!(refuse(|c| c.routes[1] = c.routes[0].clone()).contains("twice"));
    assert!(refuse(|c| drop(c.env.insert("A".into(), None))).starts_with("env.A: "));
    assert!(refuse(|c| c.command = Some(vec![])).starts_with("command: "));
    assert!(refuse(|c| c.volumes[0].volume = "a/b".into()).starts_with("volumes[0].volume: "));
    assert!(refuse(|c| c.volumes[0].folder = "/a".into()).starts_with("volumes[0]: exactly one"));
    assert!(refuse(|c| c.volumes[1].folder = "/run/docker.sock".into()).starts_with("volumes[1].folder: "));
    assert!(refuse(|c| c.volumes[0].target = "/proc".into()).starts_with("volumes[0].target: "));
    assert!(refuse(|c| c.volumes[0].access = "mine".into()).starts_with("volumes[0].access: "));
    assert!(refuse(|c| c.volumes[0].access = "exclusive".into()).starts_with("volumes[0]: one container"));
    assert!(refuse(|c| c.volumes[1].target = c.volumes[0].target.clone()).starts_with("volumes[1]: "));
    let port = || CanonicalPort { address: "::1".into(), host: 1, container: 1, transport: "tcp".into() };
    let mut given = Canonical { ports: vec![port(), port()], ..Canonical::from(&one(&web(""))) };
    assert!(Declared::try_from(given.clone()).unwrap_err().to_string().starts_with("ports[1]: "));
    given.ports = vec![CanonicalPort { host: 70_000, ..port() }];
    assert!(Declared::try_from(given).unwrap_err().to_string().starts_with("ports[0].host: "));
}

#[test]
fn faults_have_a_place_a_key_and_what_is_allowed() {
    let cases: &[(&str, &str, &str)] = &[
        ("imge = \"x\"", "3:1: workloads.web.imge", "\"image\""),
        ("zzzzzz = 1", "3:1: workloads.web.zzzzzz", "image, dockerfile, static, compose, strategy, host"),
        ("qqqqqq = 1", "3:1: workloads.web.qqqqqq", "not yet supported are env_file"),
        ("env_file = []", "3:1: workloads.web.env_file", "not yet supported"),
        ("port = 0", "3:8: workloads.web.port", "1 to 65535"),
        ("port = 70000", "3:8: workloads.web.port", "1 to 65535"),
        ("port = \"80\"", "3:8: workloads.web.port", "found a string"),
        ("replicas = -1", "3:12: workloads.web.replicas", "1 to 64"),
        ("replicas = 1000000000", "3:12: workloads.web.replicas", "1 to 64"),
        ("replicas = 1.5", "3:12: workloads.web.replicas", "whole number"),
        ("strategy = \"rolling\"", "3:12: workloads.web.strategy", "\"recreate\" or \"blue-green\""),
        ("port = 80\nhost = \"a b\"", "4:8: workloads.web.host", "DNS name"),
        ("port = 80\nhost = \"a\\r\\nb\"", "4:8: workloads.web.host", "DNS name"),
        ("port = 80\nhost = [\"a.b\", \"a.b\"]", "4:16: workloads.web.host[1]", "twice"),
        ("host = \"a.b\"", "3:1: workloads.web.host", "add port"),
        ("health = \"healthz\"", "3:10: workloads.web.health", "begins with \"/\""),
        ("health = \"/healthz\"", "3:10: workloads.web.health", "needs a port"),
        ("health = \"exec:true\"", "3:10: workloads.web.health", "not yet supported"),
        ("health = \"tcp:0\"", "3:10: workloads.web.health", "1 to 65535"),
        ("health = { port = 1, headers = { X = \"1\" } }", "3:34: workloads.web.health.headers.X", "not yet supported"),
        ("health = { http = \"/\", status = \"20-299\" }", "3:33: workloads.web.health.status", "100 to 599"),
        ("health = { http = \"/\", status = \"300-200\" }", "3:33: workloads.web.health.status", "100 to 599"),
        ("health = { http = \"/\", status = \"ok\" }", "3:33: workloads.web.health.status", "200-299"),
        ("health = { http = \"/\", status = 99 }", "3:33: workloads.web.health.status", "100 to 599"),
        ("env = { A = 1 }", "3:13: workloads.web.env.A", "quotes"),
        ("env = { A = true }", "3:13: workloads.web.env.A", "quotes"),
        ("env = { A = \"${secret:x\" }", "3:13: workloads.web.env.A", "does not end"),
        ("secrets = [\"a\", \"a\"]", "3:17: workloads.web.secrets[1]", "named twice"),
        ("secrets = [\"a/b\"]", "3:12: workloads.web.secrets[0]", "not the name of a secret"),
        ("command = [\"${secret:x}\"]", "3:12: workloads.web.command[0]", "everybody on the host"),
        ("env = [\"A=1\"]", "3:7: workloads.web.env", "expected a table"),
        ("command = \"serve\"", "3:11: workloads.web.command", "array of strings"),
        ("memory = 512", "3:10: workloads.web.memory", "expected a string"),
        ("memory = \"512\"", "3:10: workloads.web.memory", "512MiB"),
        ("memory = \"1KiB\"", "3:10: workloads.web.memory", "6MiB"),
        ("cpus = true", "3:8: workloads.web.cpus", "cores"),
        ("cpus = -1.0", "3:8: workloads.web.cpus", "cores"),
        ("cpus = nan", "3:8: workloads.web.cpus", "cores"),
        ("pids = 0", "3:8: workloads.web.pids", "1 to 4194304"),
        ("hardening = \"strickt\"", "3:13: workloads.web.hardening", "\"strict\""),
        ("deploy = \"main\"", "3:10: workloads.web.deploy", "HOOK:OWNER/NAME@BRANCH"),
        ("policy = { drain = 30 }", "3:20: workloads.web.policy.drain", "\"30s\""),
        ("policy = { drain = \"2d\" }", "3:20: workloads.web.policy.drain", "0s to 1h"),
        ("policy = { drian = \"2s\" }", "3:12: workloads.web.policy.drian", "\"drain\""),
        ("policy = { drift = \"ignore\" }", "3:20: workloads.web.policy.drift", "\"repair\""),
        ("policy = { restore_timeout = \"0s\" }", "3:30: workloads.web.policy.restore_timeout", "1s to 1d"),
        ("policy = { wait_for_image = \"2d\" }", "3:29: workloads.web.policy.wait_for_image", "0s to 1d"),
        ("policy = { liveness = \"2m\" }", "3:1: workloads.web.policy", "gate_timeout"),
        ("[[workloads.web.triggers]]\nhook = \"gh\"", "3:1: workloads.web.triggers[0]", "branch, tag and image"),
        ("[[workloads.web.triggers]]\nhook = \"g h\"", "4:1: workloads.web.triggers[0].hook", "name"),
        (
            "[[workloads.web.routes]]\nhost = \"a\"\nport=1\npath = \"/../x\"",
            "6:8: workloads.web.routes[0].path",
            "\"..\"",
        ),
        ("image = \"a\"", "3:1", "duplicate key"),
    ];
    for (lines, place, word) in cases {
        let bad = refused(&web(lines)).to_string();
        assert!(bad.starts_with(&format!("f.toml:{place}: ")), "{lines}\n{bad}");
        assert!(bad.contains(word), "{lines}\n{bad}");
    }
}

#[test]
fn sources_are_needed_once() {
    let cases = [
        ("[workloads.web]\n", "1:12: workloads.web: no source"),
        ("[workloads.web]\nimage = 1", "2:9: workloads.web.image: expected a string with an image reference"),
        ("[workloads.web]\nimage = { pull = \"always\" }", "2:1: workloads.web.image: \"ref\" is missing"),
        ("[workloads.web]\nimage = \"a:{commit}\"", "2:9: workloads.web.image: unknown placeholder"),
        ("[workloads.web]\nimage = \"A\"", "2:9: workloads.web.image: \"A\" is not an image reference"),
        (
            "[workloads.web]\nimage = { ref = \"a\", deploy_strategy = \"blue-green\" }\nstrategy = \"\"",
            "3:12: workloads.web.strategy: strategy and image.deploy_strategy",
        ),
    ];
    for (text, start) in cases {
        let bad = refused(text).to_string();
        assert!(bad.starts_with(&format!("f.toml:{start}")), "{bad}");
    }
}

#[test]
fn lists_are_bounded() {
    let hosts: Vec<String> = (0..65).map(|n| format!("\"h{n}.example.com\"")).collect();
    assert!(refused(&web(&format!("port = 1\nhost = [{}]", hosts.join(", ")))).text.contains("at most 64"));
    let tables = "[[workloads.web.routes]]\nhost = \"a\"\n".repeat(65);
    assert!(refused(&web(&tables)).text.contains("at most 64"));
}

#[test]
fn names_are_refused_with_that_word() {
    let long = "a".repeat(300);
    for name in ["../etc", "-rf", "", "ä", "A", &long] {
        for text in [
            format!("[workloads.\"{name}\"]\nimage = \"nginx\""),
            format!("project = \"{name}\"\n[workloads.a]\nimage = \"nginx\""),
        ] {
            assert!(refused(&text).text.contains("name"), "{text}");
        }
    }
}

#[test]
fn files_that_are_none() {
    assert!(refused("").text.contains("no workload"));
    assert!(refused("project = \"a\"").text.contains("no workload"));
    assert!(refused("workloads = 1").text.contains("expected a table"));
    assert!(refused("[workloads.web\nimage").text.contains("not valid TOML"));
    assert!(refused("workload.web.image = \"a\"").text.contains("\"workloads\""));
    let utf16 = read("f.toml", b"a = \"\xff\xfe\"").unwrap_err();
    assert_eq!((utf16.line, utf16.column), (1, 6));
    assert!(utf16.text.contains("UTF-8"));
    let large = read("f.toml", &vec![b'#'; 8 << 20]).unwrap_err().to_string();
    assert!(large.contains(&MAX_FILE_BYTES.to_string()) && large.contains("8388608"), "{large}");
    let two = "[workloads.a]\nimage='x'\nport=1\nhost='h'\n[workloads.b]\nimage='x'\nport=1\nhost='h'\n";
    assert!(refused(two).text.contains("another workload"));
}

#[test]
fn a_value_of_the_environment_is_in_no_message_and_no_debug_output() {
    let bad = refused(&web("env = { A = \"hunter2 ${secret:x x}\" }"));
    assert!(!bad.to_string().contains("hunter2"));
    let good = one(&web("env = { A = \"hunter2\" }"));
    assert!(!format!("{good:?}").contains("hunter2"));
}

#[test]
fn what_was_probably_not_meant_is_said() {
    let cases = [("port = 80", "no effect"), ("port = 80\nroutes = [{ host = \"a.b\", strip = true }]", "strip")];
    for (lines, word) in cases {
        let warnings = one(&web(lines)).warnings;
        assert!(warnings.iter().any(|line| line.contains(word)), "{lines}: {warnings:?}");
    }
    let open = one("[workloads.web]\nimage = \"a:{sha}\"");
    assert!(open.warnings[0].contains("{sha}"));
}

#[test]
fn a_spec_fits_into_an_event() {
    let variables: Vec<String> = (0..400).map(|n| format!("\"{}{n}\" = \"\"", "v".repeat(100))).collect();
    let bad = refused(&web(&format!("env = {{ {} }}", variables.join(", "))));
    assert!(bad.text.contains("at most 40960"), "{bad}");
}

#[test]
fn differences_are_lines_for_people() {
    let (old, new) = (one(&web("port = 80\nhost = \"a.b\"")).spec, one(FULL).spec);
    assert_eq!(difference(&old, &old), Vec::<String>::new());
    let lines = difference(&old, &new);
    for line in [
        "image: nginx -> ghcr.io/acme/shop:{sha}",
        "memory: added 512MiB",
        "route a.b/: removed port 80",
        "drain: 10s -> 30s",
        "volume on /srv/uploads: added uploads:/srv/uploads:shared",
        "replicas: 1 -> 2",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line}\n{lines:#?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(read("f", &bytes));
    }

    #[test]
    fn no_mutation_of_a_good_file_makes_it_panic(
        at in 0..FULL.len(), cut in 0..12_usize, with in "\\PC{0,8}|[\\[\\]{}\"=.,\n\r\0]{1,6}"
    ) {
        let mut bytes = FULL.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        if let Err(bad) = read("f", &bytes) {
            let text = bad.to_string();
            prop_assert!(text.chars().count() <= MAX_MESSAGE_CHARS && text.starts_with("f:"));
            prop_assert!(!text.contains('\n') && !bad.text.is_empty());
        }
    }

    #[test]
    fn what_is_accepted_is_accepted_again(at in 0..FULL.len(), with in "[a-z0-9]{0,3}") {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes.splice(at..at, with.bytes());
        if let Ok(mut all) = read("f", &bytes) {
            prop_assert_eq!(schema::judged(&String::from_utf8_lossy(&bytes)), Ok(()));
            let declared = all.remove(0);
            let back = Declared::try_from(Canonical::from(&declared)).unwrap();
            prop_assert_eq!(back.spec, declared.spec);
        }
    }
}
