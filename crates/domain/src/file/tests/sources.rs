//! The four sources: how each is written, what each means, and which keys say nothing to which.

use cutover_events::plan::{Strategy, Why};
use cutover_events::workload::{ComposeSource, DockerfileSource, SourceKind, StaticBuild, StaticMode, StaticSource};

use super::*;
use crate::strategy::{Choice, effective};

/// Each source in its short form, with the key of its table that has the same meaning, and a value for it.
const SHORT: [(SourceKind, &str, &str); 4] = [
    (SourceKind::Image, "ref", "nginx"),
    (SourceKind::Dockerfile, "context", "."),
    (SourceKind::Static, "path", "site"),
    (SourceKind::Compose, "file", "compose.yml"),
];

/// What `deploy_strategy` may be written as; `None` is missing.
const VALUES: [Option<&str>; 7] = [
    None,
    Some("\"\""),
    Some("\"recreate\""),
    Some("\"blue-green\""),
    Some("\"canary\""),
    Some("\"Blue-Green\""),
    Some("7"),
];

/// What a cell of the matrix comes to: a strategy with its reason, or words of the refusal.
enum Means {
    This(Strategy, Why),
    Refused(&'static [&'static str]),
}

fn means(kind: SourceKind, value: Option<&str>) -> Means {
    use Means::{Refused, This};
    use Strategy::{BlueGreen, Recreate};
    let stack = kind == SourceKind::Compose;
    match (kind, value) {
        (SourceKind::Image, None | Some("\"\"")) => This(BlueGreen, Why::Default),
        (_, None | Some("\"\"")) => This(Recreate, Why::Default),
        (_, Some("\"recreate\"")) => This(Recreate, Why::Asked),
        (SourceKind::Compose, Some("\"blue-green\"")) => {
            Refused(&["compose", "no one target that could be swapped", "allowed is \"recreate\", or \"\""])
        }
        (_, Some("\"blue-green\"")) => This(BlueGreen, Why::Asked),
        (_, Some("7")) if stack => Refused(&["a strategy of compose, \"recreate\" or \"\"", "a whole number"]),
        (_, Some("7")) => Refused(&["\"recreate\" or \"blue-green\"", "a whole number"]),
        (_, Some(_)) if stack => Refused(&["not a strategy of compose", "allowed is \"recreate\", or \"\""]),
        (_, Some(_)) => Refused(&["not a strategy of ", "\"recreate\" or \"blue-green\", or \"\""]),
    }
}

#[test]
fn four_sources_times_seven_values() {
    for (kind, key, place) in SHORT {
        let word = kind.word();
        for value in VALUES {
            let top = value.map(|value| format!("strategy = {value}\n")).unwrap_or_default();
            let inner = value.map(|value| format!(", deploy_strategy = {value}")).unwrap_or_default();
            let forms = [
                format!("[workloads.w]\n{word} = \"{place}\"\n{top}"),
                format!("[workloads.w]\n{word} = {{ {key} = \"{place}\"{inner} }}\n"),
                format!("[workloads.w]\n{word} = {{ {key} = \"{place}\"{inner} }}\n{top}"),
            ];
            forms.iter().for_each(|text| comes_to(text, word, means(kind, value)));
        }
    }
}

/// Checks one cell of the matrix.
fn comes_to(text: &str, source: &str, means: Means) {
    match means {
        Means::This(strategy, why) => assert_eq!(effective(&one(text).spec), Choice { strategy, why }, "{text}"),
        Means::Refused(words) => {
            let bad = refused(text).to_string();
            assert!(words.iter().all(|word| bad.contains(word)), "{text}\n{bad}");
            assert!(bad.contains(source) && !bad.contains('\n'), "{text}\n{bad}");
        }
    }
}

#[test]
fn two_words_for_the_strategy_must_be_one() {
    for (kind, key, place) in SHORT {
        let word = kind.word();
        for (inner, top) in [("recreate", ""), ("", "recreate")] {
            let text = format!(
                "[workloads.w]\n{word} = {{ {key} = \"{place}\", deploy_strategy = \"{inner}\" }}\nstrategy = \"{top}\"\n"
            );
            let bad = refused(&text).to_string();
            assert!(bad.contains(&format!("strategy and {word}.deploy_strategy mean the same")), "{bad}");
        }
    }
}

#[test]
fn every_key_of_every_source_reaches_the_spec() {
    let built = one("[workloads.w.dockerfile]\ncontext = \"https://h/a.git#main:api\"\nfile = \"deploy/Dockerfile\"\n\
                     target = \"run\"\nargs = { A = \"1\" }\nsecrets = [\"npm\"]\ncredentials = \"key\"\ndeploy_strategy = \"blue-green\"");
    let expected = DockerfileSource {
        context: "https://h/a.git#main:api".into(),
        file: "deploy/Dockerfile".into(),
        target: "run".into(),
        args: Vec::new(),
        secrets: vec!["npm".into()],
        credentials: "key".into(),
        deploy_strategy: "blue-green".into(),
    };
    assert_eq!(built.spec.source, Source::Dockerfile(expected));
    assert_eq!(built.values.args.get("A").map(String::as_str), Some("1"));
    let site = one(
        "[workloads.w.static]\npath = \"https://h/s.git\"\ncredentials = \"key\"\nmode = \"files\"\nindex = \"home.html\"\n\
                    not_found = \"/oops.html\"\nfallback = \"app.html\"\nassets_grace = \"1h\"\n\
                    build = { image = \"node:22\", command = [\"npm\", \"run\", \"build\"], output = \"out\" }",
    );
    let build = StaticBuild {
        image: "node:22".into(),
        command: ["npm", "run", "build"].map(String::from).to_vec(),
        output: "out".into(),
    };
    let expected = StaticSource {
        path: "https://h/s.git".into(),
        mode: StaticMode::Files,
        storage: None,
        build: Some(build),
        index: "home.html".into(),
        not_found: "oops.html".into(),
        fallback: "app.html".into(),
        assets_grace_ms: 3_600_000,
        credentials: "key".into(),
        deploy_strategy: String::new(),
    };
    assert_eq!(site.spec.source, Source::Static(expected));
    let program = one("[workloads.w.static]\npath = \".\"\nmode = \"deno\"\nstorage = \"uploads:/srv/uploads\"");
    let Source::Static(StaticSource { storage, .. }) = &program.spec.source else { panic!("{program:?}") };
    assert_eq!(*storage, Some(mount(MountFrom::Volume("uploads".into()), "/srv/uploads", Access::Exclusive)));
    let stack = one("[workloads.w.compose]\ncompose_yaml = \"services: {}\"\ncompose_project_name = \"My Shop!\"\n\
                     adopt = true\ndeploy_strategy = \"recreate\"");
    let expected = ComposeSource {
        file: String::new(),
        text: None,
        project_name: "myshop".into(),
        adopt: true,
        credentials: String::new(),
        deploy_strategy: "recreate".into(),
    };
    assert_eq!(stack.spec.source, Source::Compose(expected));
    assert_eq!(stack.values.compose_yaml.as_deref(), Some("services: {}"));
}

#[test]
fn the_short_form_is_the_long_one() {
    for (kind, key, place) in SHORT {
        let word = kind.word();
        let short = one(&format!("[workloads.w]\n{word} = \"{place}\""));
        assert_eq!(short, one(&format!("[workloads.w]\n{word} = {{ {key} = \"{place}\" }}")));
        assert_eq!(short.spec.source.kind(), kind);
    }
    let storage = |text: &str| {
        one(&format!("[workloads.w]\nstatic = {{ path = \".\", mode = \"deno\", storage = \"{text}\" }}")).spec
    };
    assert_eq!(storage("s"), storage("s:/data"));
}

#[test]
fn no_source_needs_a_host() {
    for (kind, _, place) in SHORT {
        let warnings = one(&format!("[workloads.w]\n{} = \"{place}\"", kind.word())).warnings;
        let told = warnings.iter().filter(|line| line.contains("no host")).count();
        assert_eq!(told, usize::from(kind == SourceKind::Static), "{warnings:?}");
    }
    let routed = one("[workloads.w]\nstatic = \"site\"\nhost = \"a.example.com\"");
    assert_eq!((routed.warnings.len(), routed.spec.routes[0].port), (0, 0));
}

#[test]
fn storage_forces_recreate_and_says_so() {
    let site = |lines: &str| one(&format!("[workloads.w]\nhost = \"a.b\"\nport = 1\n{lines}"));
    for strategy in ["", "blue-green"] {
        let declared = site(&format!(
            "static = {{ path = \".\", mode = \"deno\", storage = \"s:/s\", deploy_strategy = \"{strategy}\" }}"
        ));
        assert_eq!(effective(&declared.spec), Choice { strategy: Strategy::Recreate, why: Why::Storage });
        let told = declared.warnings.join("\n");
        assert!(told.contains("static.storage") && told.contains("recreate"), "{told}");
        assert_eq!(told.contains("not followed"), !strategy.is_empty(), "{told}");
    }
    let asked = site("static = { path = \".\", mode = \"deno\", storage = \"s:/s\", deploy_strategy = \"recreate\" }");
    assert_eq!(asked.warnings, Vec::<String>::new());
    let bad = refused("[workloads.w]\nstatic = { path = \".\", mode = \"deno\", storage = \"s\" }\nreplicas = 2");
    assert!(bad.text.contains("one container at a time may write to s"), "{bad}");
    let shared = "[workloads.a]\nimage = \"x\"\nvolumes = [\"s:/s\"]\n\
                  [workloads.b]\nstatic = { path = \".\", mode = \"deno\", storage = \"s\" }";
    assert!(refused(shared).text.contains("the volume s"));
}

#[test]
fn keys_that_say_nothing_to_a_source_are_refused_by_name() {
    let contained = [
        "command = [\"a\"]",
        "volumes = [\"a:/a\"]",
        "ports = [\"1:1\"]",
        "memory = \"64MiB\"",
        "cpus = 1",
        "pids = 9",
        "hardening = \"strict\"",
        "health = \"tcp:1\"",
        "replicas = 2",
        "processes = { a = { command = [\"b\"] } }",
        "port = 1",
    ];
    for line in contained {
        let key = line.split(' ').next().unwrap();
        for (source, reason) in
            [("static = \"site\"", "the proxy serves the files itself"), ("compose = \"c.yml\"", "service")]
        {
            let bad = refused(&format!("[workloads.w]\n{source}\n{line}")).to_string();
            assert!(bad.starts_with(&format!("f.toml:3:1: workloads.w.{key}: {key} has no meaning for")), "{bad}");
            assert!(bad.contains(reason), "{bad}");
        }
        for source in ["dockerfile = \".\"", "static = { path = \".\", mode = \"deno\" }"] {
            let text = format!("[workloads.w]\n{source}\nstrategy = \"blue-green\"\n{line}");
            let exclusive = line.starts_with("volumes") || line.starts_with("ports");
            assert_eq!(read("f.toml", text.as_bytes()).is_ok(), !exclusive, "{text}");
        }
    }
    let env = |source: &str| format!("[workloads.w]\n{source}\nenv = {{ A = \"1\" }}");
    assert!(refused(&env("static = \"site\"")).text.contains("for a build"));
    let built = "static = { path = \".\", build = { image = \"n\", command = [\"b\"] } }";
    for source in ["compose = \"c.yml\"", built] {
        assert_eq!(one(&env(source)).values.env.len(), 1, "{source}");
    }
}

#[test]
fn the_canonical_form_refuses_the_same_keys() {
    let json = Canonical::from(&one("[workloads.w]\ncompose = \"c.yml\""));
    let with = |change: fn(&mut Canonical)| {
        let mut given = json.clone();
        change(&mut given);
        Declared::try_from(given).expect_err("accepted").to_string()
    };
    assert!(with(|c| c.replicas = 2).starts_with("replicas: replicas has no meaning for compose"));
    assert!(with(|c| c.command = Some(vec!["a".into()])).starts_with("command: "));
    assert!(with(|c| c.limits.pids = Some(9)).starts_with("pids: "));
    assert!(with(|c| c.hardening = "strict".into()).starts_with("hardening: "));
}

#[test]
fn routes_lead_to_what_a_source_has() {
    let route =
        |source: &str, lines: &str| format!("[workloads.w]\n{source}\n[[workloads.w.routes]]\nhost = \"a.b\"\n{lines}");
    let stack = one(&route("compose = \"c.yml\"", "port = 80\nservice = \"web\"")).spec;
    assert_eq!((stack.routes[0].service.as_str(), stack.routes[0].port), ("web", 80));
    let site = one(&route("static = \"site\"", "path = \"/docs\"")).spec;
    assert_eq!((site.routes[0].port, site.routes[0].path.as_str()), (0, "/docs"));
    let cases = [
        ("compose = \"c.yml\"", "port = 80", "workloads.w.routes[0]: \"service\" is missing"),
        ("compose = \"c.yml\"", "service = \"web\"", "workloads.w.routes[0]: needs the port"),
        ("compose = \"c.yml\"", "port = 80\nservice = \"-web\"", "routes[0].service: \"-web\" is not"),
        ("static = \"site\"", "port = 80", "routes[0].port: has no meaning for static"),
        ("image = \"x\"", "port = 80\nservice = \"web\"", "routes[0].service: only a stack"),
        ("dockerfile = \".\"", "", "workloads.w.routes[0]: needs the port"),
    ];
    for (source, lines, start) in cases {
        let bad = refused(&route(source, lines)).to_string();
        assert!(bad.contains(start), "{source} {lines}\n{bad}");
    }
    let host = refused("[workloads.w]\ncompose = \"c.yml\"\nhost = \"a.b\"").text;
    assert!(host.contains("[[workloads.NAME.routes]] with host, service and port"), "{host}");
}

#[test]
fn sources_that_cannot_be() {
    let cases = [
        ("dockerfile = 1", "workloads.w.dockerfile: expected a string with a folder"),
        ("dockerfile = \"\"", "empty path"),
        ("dockerfile = \"api/Dockerfile\"", "names the folder that is built"),
        ("dockerfile = { file = \"x\" }", "\"context\" is missing"),
        ("dockerfile = { context = \".\", file = \"../Dockerfile\" }", "leads out of the folder"),
        ("dockerfile = { context = \".\", file = \"/etc/passwd\" }", "must be relative"),
        ("dockerfile = { context = \".\", target = \"-x\" }", "not a stage"),
        ("dockerfile = { context = \".\", args = { A = 1 } }", "put the value in quotes"),
        ("dockerfile = { context = \".\", args = { \"A=B\" = \"1\" } }", "not the name of a variable"),
        ("dockerfile = { context = \".\", secrets = [\"a\", \"a\"] }", "named twice"),
        ("dockerfile = { context = \".\", secrets = [\"${secret:a}\"] }", "without \"${secret:\""),
        ("dockerfile = { context = \".\", contxt = 1 }", "did you mean \"context\"?"),
        ("dockerfile = { context = \"https://u:hunter2@h/a.git\" }", "would be recorded"),
        ("static = { path = \".\", mode = \"node\" }", "\"files\" or \"deno\""),
        ("static = { mode = \"files\" }", "\"path\" is missing"),
        ("static = { path = \".\", mode = \"deno\", fallback = \"a.html\" }", "the program of the site answers"),
        ("static = { path = \".\", index = \"a/b.html\" }", "not the name of a file"),
        ("static = { path = \".\", fallback = \"../a.html\" }", "leads out"),
        ("static = { path = \".\", not_found = \".a.html\" }", "begins with a dot"),
        ("static = { path = \".\", assets_grace = \"40d\" }", "0s to 30d"),
        ("static = { path = \".\", storage = \"a:/b:ro\" }", "expected \"NAME\" or \"NAME:/target\""),
        ("static = { path = \".\", storage = \"/run:/b\" }", "never mounted"),
        ("static = { path = \".\", build = \"npm run build\" }", "a table { image, command, output }"),
        ("static = { path = \".\", build = { image = \"n\" } }", "\"command\" is missing"),
        ("static = { path = \".\", build = { image = \"n:{sha}\", command = [\"a\"] } }", "image reference"),
        ("static = { path = \".\", build = { image = \"n\", command = [\"a\"], output = \"../x\" } }", "leads out"),
        ("compose = [\"a\"]", "expected a string with the path"),
        ("compose = \"a.tgz\"", "is a tarball"),
        ("compose = \"https://h/a.git#main\"", "names no file"),
        ("compose = \"services:\\n  a: {}\"", "compose_yaml"),
        ("compose = { file = \"a\", compose_yaml = \"b\" }", "exactly one of file"),
        ("compose = { adopt = true }", "exactly one of file"),
        ("compose = { compose_yaml = \" \" }", "an empty text"),
        ("compose = { file = \"a\", adopt = \"yes\" }", "true or false"),
        ("image = { ref = \"a\", credentials = \"a b\" }", "not the name of a secret"),
        ("image = \"a\"\ndockerfile = \".\"", "workloads.w.dockerfile: a second source beside image"),
        ("static = \".\"\ncompose = \"c\"", "workloads.w.compose: a second source beside static"),
        ("dockerfile = \".\"\nreplicas = 2", "\"recreate\", the default of dockerfile, has one container at a time"),
    ];
    for (lines, word) in cases {
        let bad = refused(&format!("[workloads.w]\n{lines}")).to_string();
        assert!(bad.contains(word) && !bad.contains("hunter2"), "{lines}\n{bad}");
        assert!(bad.starts_with("f.toml:"), "{bad}");
    }
}

#[test]
fn values_of_builds_and_stacks_are_in_no_message_and_no_debug_output() {
    let good = [
        one("[workloads.w]\ndockerfile = { context = \".\", args = { A = \"hunter2\" } }"),
        one("[workloads.w]\ncompose = { compose_yaml = \"hunter2\" }"),
    ];
    assert!(!format!("{good:?}").contains("hunter2"));
    let shown = Canonical::of("p", "w", &good[1].spec);
    let back = Declared::try_from(shown).expect_err("accepted").to_string();
    assert!(back.starts_with("source.compose_yaml: null is a text that is not shown"), "{back}");
}

#[test]
fn what_is_relative_is_meant_from_the_folder_of_the_file() {
    for (kind, _, _) in SHORT {
        let of = |place: &str| one(&format!("[workloads.w]\n{} = \"{place}\"", kind.word())).below("/srv/shop");
        if kind == SourceKind::Image {
            assert_eq!(of("nginx"), one("[workloads.w]\nimage = \"nginx\""));
            continue;
        }
        assert_eq!(of("a/b"), one(&format!("[workloads.w]\n{} = \"/srv/shop/a/b\"", kind.word())));
        assert_eq!(of("/a"), one(&format!("[workloads.w]\n{} = \"/a\"", kind.word())));
        assert_eq!(
            of("https://h/a.git#m:f"),
            one(&format!("[workloads.w]\n{} = \"https://h/a.git#m:f\"", kind.word()))
        );
    }
}

#[test]
fn a_chosen_project_name_is_claimed() {
    let two = |b: &str| {
        format!("[workloads.a]\ncompose = {{ file = \"a\", compose_project_name = \"shop\" }}\n[workloads.b]\n{b}")
    };
    let bad = refused(&two("compose = { file = \"b\", compose_project_name = \"SHOP\" }"));
    assert!(bad.text.contains("the compose project shop"), "{bad}");
    assert_eq!(read("f.toml", two("compose = \"b\"").as_bytes()).map(|all| all.len()).ok(), Some(2));
}

#[test]
fn a_project_name_that_changes_is_told() {
    let of = |name: &str| {
        one(&format!("[workloads.w]\ncompose = {{ file = \"a\", compose_project_name = \"{name}\" }}"))
            .warnings
            .join("")
    };
    assert_eq!((of("shop").as_str(), of("").as_str()), ("", ""));
    assert_eq!(of("My Shop!"), "compose_project_name: \"My Shop!\" becomes \"myshop\"");
    assert!(of("--").contains("derived from the workload"));
}

#[test]
fn differences_of_sources_are_lines_for_people() {
    let of = |text: &str| one(&format!("[workloads.w]\n{text}")).spec;
    let lines = difference(&of("image = \"a\""), &of("dockerfile = { context = \".\", target = \"run\" }"));
    for line in ["image: removed a", "dockerfile: added .", "target: added run"] {
        assert!(lines.iter().any(|found| found == line), "{line}\n{lines:#?}");
    }
}

fn source() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::strategy::Strategy as _;
    let strategy = prop_oneof![Just(""), Just(", deploy_strategy = \"recreate\""), Just(", deploy_strategy = \"\"")];
    let place = "[a-z./]{1,8}|https://h/[a-z]{1,4}\\.git#[a-z]{1,4}:[a-z]{1,4}";
    let more = "[a-z]{1,6}";
    let kind = 0..5_usize;
    (kind, place, more, strategy).prop_map(|(kind, place, more, strategy)| match kind {
        0 => format!("image = {{ ref = \"{more}\", credentials = \"{more}\"{strategy} }}"),
        1 => format!(
            "dockerfile = {{ context = \"{place}\", file = \"{more}\", args = {{ {more} = \"{place}\" }}, secrets = [\"{more}\"]{strategy} }}"
        ),
        2 => format!("static = {{ path = \"{place}\", fallback = \"{more}\", assets_grace = \"9m\"{strategy} }}"),
        3 => format!(
            "static = {{ path = \"{place}\", mode = \"deno\", storage = \"{more}\", build = {{ image = \"{more}\", command = [\"{more}\"] }}{strategy} }}"
        ),
        _ => format!(
            "compose = {{ compose_yaml = \"{place}\", compose_project_name = \"{more}\", adopt = true{strategy} }}"
        ),
    })
}

proptest! {
    #[test]
    fn the_canonical_form_of_every_source_goes_there_and_back(source in source()) {
        if let Ok(mut all) = read("f", format!("[workloads.w]\n{source}\n").as_bytes()) {
            let declared = all.remove(0);
            let back = Declared::try_from(Canonical::from(&declared)).map_err(|fault| fault.to_string());
            prop_assert_eq!(back, Ok(declared));
        }
    }
}
