//! Bad input, as far as it is judged without an engine: one line that names place, key and what is allowed.

use cutover_domain::file::{BadFile, Canonical, Declared, MAX_FILE_BYTES, read};
use cutover_domain::reference::Reference;

/// The longest line that an error may be.
const MAX_LINE: usize = 600;

fn refused(bytes: &[u8]) -> BadFile {
    let bad = read("shop.toml", bytes).expect_err("accepted");
    let line = bad.to_string();
    assert!(line.chars().count() <= MAX_LINE, "{line}");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.starts_with(&format!("shop.toml:{}:{}: ", bad.line, bad.column)), "{line}");
    assert!(!line.contains("panicked") && !line.contains("Error {"), "{line}");
    bad
}

fn web(lines: &str) -> Vec<u8> {
    format!("[workloads.web]\nimage = \"nginx:1\"\nport = 8080\n{lines}\n").into_bytes()
}

fn named(name: &str) -> Vec<u8> {
    format!("[workloads.\"{name}\"]\nimage = \"nginx:1\"\n").into_bytes()
}

#[test]
fn files_that_are_not_workload_files() {
    let whole = web("host = \"shop.example.com\"");
    for length in [0, 5, 14, 20, 30, whole.len() - 3] {
        let bad = refused(&whole[..length]);
        assert!(!bad.text.is_empty(), "cut at {length}");
    }
    assert!(refused(b"").text.contains("image = \"REF\""));
    let latin = refused(b"[workloads.web]\nimage = \"nginx\"\nenv = { A = \"\xe9\" }\n");
    assert_eq!((latin.line, latin.column), (3, 14));
    assert!(latin.text.contains("UTF-8"));
    assert!(refused(&vec![b' '; 8 << 20]).text.contains(&format!("{MAX_FILE_BYTES} bytes")));
    assert!(refused(&[0x1f, 0x8b, 8, 0, 0, 0]).text.contains("UTF-8"));
    assert!(refused(b"\0\0\0\0").text.contains("not valid TOML"));
    assert!(refused(b"{\"project\": \"shop\"}").text.contains("not valid TOML"));
}

#[test]
fn unknown_words() {
    let cases = [
        ("helth = \"/\"", "helth", "\"health\""),
        ("wobble = 1", "wobble", "image, dockerfile, static, compose, strategy, host, port, routes"),
        ("strategy = \"canary\"", "strategy", "\"recreate\" or \"blue-green\""),
        ("strategy = \"blue_green\"", "strategy", "\"recreate\" or \"blue-green\""),
        ("hardening = \"strct\"", "hardening", "\"strict\""),
        ("policy = { bakee = \"1s\" }", "bakee", "\"bake\""),
        ("deploy = { hook = \"h\", branch = \"m\", path = [\"a\"] }", "path", "\"paths\""),
        ("deploy = { hook = \"h\", branch = \"m\", paths = [\"/a\"] }", "paths", "top of the repository"),
        ("deploy = { hook = \"h\", image = \"a/b\", paths = [\"a\"] }", "paths", "a branch or a tag"),
    ];
    for (lines, key, word) in cases {
        let bad = refused(&web(lines));
        assert!(bad.key.contains(key) && bad.text.contains(word), "{bad}");
        assert_eq!(bad.line, 4, "{bad}");
    }
}

#[test]
fn every_key_that_comes_later_is_named_as_not_yet_supported() {
    let keys = ["env_file", "after_deploy"];
    for key in keys {
        let bad = refused(&web(&format!("{key} = \"x\"")));
        let name = key.rsplit('.').next().unwrap_or_default();
        assert!(bad.text.contains("not yet supported") && bad.text.contains(name), "{bad}");
    }
}

#[test]
fn examples_are_workload_files() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let read = read(&path.display().to_string(), &std::fs::read(&path).unwrap());
        let warned: Vec<String> =
            read.unwrap_or_else(|bad| panic!("{bad}")).into_iter().flat_map(|one| one.warnings).collect();
        assert_eq!(warned, Vec::<String>::new(), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn values_out_of_bounds() {
    let cases = [
        ("replicas = -1", "1 to 64"),
        ("replicas = 1000000000", "1 to 64"),
        ("replicas = 99999999999999999999", "not valid TOML"),
        ("replicas = \"two\"", "whole number"),
        ("health = \"healthz\"", "\"/\""),
        ("health = \"\"", "\"/\""),
        ("health = { http = \"healthz\" }", "\"/\""),
        ("health = { port = 0 }", "1 to 65535"),
        ("host = \"shop example\"", "DNS name"),
        ("host = \"shop\\r\\nX-Evil: 1\"", "DNS name"),
        ("host = \"http://shop.example.com\"", "DNS name"),
        ("host = 5", "a string"),
        ("env = { PORT = 80 }", "quotes"),
        ("pids = true", "whole number"),
        ("policy = { drain = \"-1s\" }", "duration"),
        ("policy = { gate_timeout = \"99h\" }", "100ms to 1h"),
    ];
    for (lines, word) in cases {
        assert!(refused(&web(lines)).text.contains(word), "{lines}: {}", refused(&web(lines)));
    }
    for port in [0, 70_000, -80] {
        let bad = refused(format!("[workloads.web]\nimage = \"nginx\"\nport = {port}").as_bytes());
        assert!(bad.text.contains("1 to 65535") && bad.key == "workloads.web.port" && bad.line == 3, "{bad}");
    }
}

#[test]
fn names_that_are_none() {
    for name in ["../etc", "-rf", &"n".repeat(300), "größe", "", "a b", "a/b", "web\\n"] {
        assert!(refused(&named(name)).text.contains("name"), "{name}");
    }
}

#[test]
fn files_made_to_hurt_are_answered_soon() {
    let deep = format!("a{} = 1", ".a".repeat(200_000));
    let nested = format!("a = {}", "[".repeat(500_000));
    let tables = "[workloads.web]\n".repeat(60_000);
    let keys: String = (0..60_000).map(|n| format!("k{n} = 1\n")).collect();
    let braces = format!("[workloads.web]\nimage = \"{}\"", "{".repeat(900_000));
    let host = String::from_utf8(web(&format!("host = \"{}\"", "a.".repeat(400_000)))).unwrap();
    for text in [deep, nested, tables, keys, braces, host] {
        refused(text.as_bytes());
    }
}

#[test]
fn many_workloads_are_one_file() {
    let file =
        |count: usize| -> String { (0..count).map(|n| format!("[workloads.w{n}]\nimage = \"nginx\"\n")).collect() };
    assert_eq!(read("shop.toml", file(1_024).as_bytes()).map(|all| all.len()), Ok(1_024));
    assert!(refused(file(1_025).as_bytes()).text.contains("1024"));
}

#[test]
fn the_canonical_form_is_json_and_as_strict() {
    let json = r#"{"name":"web","source":{"kind":"image","image":"nginx:1","deploy_strategy":""}}"#;
    let given: Canonical = serde_json::from_str(json).unwrap();
    let declared = Declared::try_from(given).unwrap();
    assert_eq!(declared.spec, read("f", b"workloads.web.image = \"nginx:1\"").unwrap()[0].spec);
    let shown = serde_json::to_value(Canonical::from(&declared)).unwrap();
    assert_eq!(shown["source"]["kind"], "image");
    assert_eq!(shown["source"]["deploy_strategy"], "");
    assert_eq!(shown["policy"]["drain_ms"], 10_000);
    assert_eq!(serde_json::from_value::<Canonical>(shown).unwrap(), Canonical::from(&declared));
    for (bad, word) in [
        (r#"{"name":"web","source":{"kind":"image","image":"x"},"wobble":1}"#, "wobble"),
        (r#"{"name":"web","source":{"kind":"image","image":"x","wobble":1}}"#, "wobble"),
        (r#"{"name":"web","source":{"kind":"pebble","image":"x"}}"#, "pebble"),
        (r#"{"name":"web"}"#, "source"),
        (r#"{"name":"web","source":{"kind":"image","image":"x"},"replicas":"2"}"#, "string \"2\""),
    ] {
        let text = serde_json::from_str::<Canonical>(bad).expect_err(bad).to_string();
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn references_on_the_command_line() {
    for bad in ["", "-rf", "../etc", "a b", "A", "a:", "a@sha256:1", "a\r\nb", &"a".repeat(3_000)] {
        let line = Reference::parse(bad).expect_err(bad).to_string();
        assert!(line.chars().count() <= MAX_LINE && !line.chars().any(char::is_control), "{line}");
        assert!(line.contains("image reference"), "{line}");
    }
}
