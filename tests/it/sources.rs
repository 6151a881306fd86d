//! The four sources through the command line alone: `check` and `schema`; and through an engine that has not all of them.

use std::path::Path;
use std::process::{Command, Output};

use cutover::api::backend::{Backend, Refusal};
use cutover::api::views::{ApplyAsk, ApplyMode};
use cutover_domain::file::{Canonical, read};

use crate::whole::{Whole, person, policy};

/// The sources, each with the short form of a place that nobody looks at.
const SOURCES: [(&str, &str); 4] =
    [("image", "nginx:1"), ("dockerfile", "."), ("static", "site"), ("compose", "compose.yml")];

/// Runs `cutover` where no engine answers.
fn cutover(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(args).current_dir(folder).env_clear().env("CUTOVER_DATA_DIR", folder);
    command.output().unwrap()
}

/// `check` of a file with this one workload: exit code, stdout, stderr.
fn check(folder: &Path, lines: &str) -> (Option<i32>, String, String) {
    std::fs::write(folder.join("w.toml"), format!("[workloads.w]\n{lines}\n")).unwrap();
    let said = cutover(folder, &["check", "w.toml"]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (said.status.code(), text(said.stdout), text(said.stderr))
}

#[test]
fn the_matrix_is_right_through_check_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (source, place) in SOURCES {
        let stack = source == "compose";
        let values = [
            (None, true),
            (Some("\"\""), true),
            (Some("\"recreate\""), true),
            (Some("\"blue-green\""), !stack),
            (Some("\"canary\""), false),
            (Some("\"Blue-Green\""), false),
            (Some("7"), false),
        ];
        for (value, good) in values {
            let line = value.map(|value| format!("strategy = {value}")).unwrap_or_default();
            let (code, out, err) = check(folder.path(), &format!("{source} = \"{place}\"\n{line}"));
            if good {
                assert_eq!((code, err.as_str()), (Some(0), ""), "{source} {value:?}: {out}");
                assert!(out.starts_with("default/w: ok\n"), "{out}");
                assert_eq!(out.contains("warning: nothing leads to the site"), source == "static", "{out}");
                continue;
            }
            assert_eq!((code, out.as_str()), (Some(15), ""), "{source} {value:?}: {err}");
            assert!(err.starts_with("cutover: w.toml:3:12: workloads.w.strategy: "), "{err}");
            assert!(err.contains(source) && err.contains("\"recreate\"") && err.lines().count() == 1, "{err}");
            assert_eq!(err.contains("\"blue-green\""), !stack || value == Some("\"blue-green\""), "{err}");
        }
    }
}

#[test]
fn what_forces_recreate_is_told_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let site = "host = \"a.test\"\nport = 80\nstatic = { path = \".\", mode = \"deno\", storage = \"s:/s\", deploy_strategy = \"blue-green\" }";
    let (code, out, _) = check(folder.path(), site);
    assert_eq!(code, Some(0));
    assert!(out.contains("warning: static.storage: ") && out.contains("recreate"), "{out}");
}

#[test]
fn what_a_server_must_allow_is_told_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = check(folder.path(), "image = \"a\"\nvolumes = [\"/srv/data/x:/x:ro\", \"v:/v:ro\"]");
    assert_eq!((code, out.matches("warning: ").count()), (Some(0), 1), "{out}");
    assert!(out.contains("the server must allow the folder /srv/data/x: [limits] bind"), "{out}");
}

#[test]
fn schema_prints_json_and_samples_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let whole = cutover(folder.path(), &["schema"]);
    let json: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(json["$schema"], "https://json-schema.org/draft/2020-12/schema");
    for (source, _) in SOURCES {
        let one = cutover(folder.path(), &["schema", source]);
        let json: serde_json::Value = serde_json::from_slice(&one.stdout).unwrap();
        assert_eq!(json["$defs"]["workload"]["required"], serde_json::json!([source]));
        let sample = cutover(folder.path(), &["schema", source, "--sample"]);
        assert_eq!(sample.status.code(), Some(0));
        std::fs::write(folder.path().join("sample.toml"), sample.stdout).unwrap();
        let said = cutover(folder.path(), &["check", "sample.toml"]);
        assert_eq!((said.status.code(), said.stderr.as_slice()), (Some(0), &b""[..]), "{source}");
    }
    for args in [&["schema", "git"][..], &["schema", "--sample"]] {
        assert_eq!(cutover(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn every_example_and_the_folder_of_them_are_accepted() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&examples).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") {
            let said = cutover(&examples, &["check", &name]);
            assert_eq!(said.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&said.stderr));
            seen += 1;
        }
    }
    assert!(seen >= 10);
}

/// The line of a refusal that ends with exit code 5.
fn conflict(refusal: Result<(), Refusal>) -> String {
    match refusal {
        Err(Refusal::Conflict(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// `image.credentials` is no source of its own, and still more than such an engine can do.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_refuses_what_it_cannot_carry_out_in_one_line_and_records_nothing() {
    let whole = Whole::begin(policy()).await;
    let head = whole.backend.commands.log().head().position;
    let cases = [
        ("dockerfile = \".\"", "dockerfile"),
        ("static = \"site\"", "static"),
        ("static = { path = \"site\", mode = \"deno\" }", "deno"),
        ("compose = \"compose.yml\"", "compose"),
        ("image = { ref = \"x\", credentials = \"login\" }", "image.credentials"),
    ];
    for (line, word) in cases {
        let declared = read("f.toml", format!("[workloads.new]\n{line}\n").as_bytes()).unwrap();
        let body = || serde_json::from_value(serde_json::to_value(Canonical::from(&declared[0])).unwrap()).unwrap();
        let ask = || ApplyAsk { workloads: vec![body()], mode: ApplyMode::Deploy };
        let refusals =
            [whole.backend.apply(person("anna"), ask()).await.map(drop), whole.backend.plan(ask()).await.map(drop)];
        for text in refusals.map(conflict) {
            assert!(text.starts_with("default/new: this engine cannot deploy ") && text.contains(word), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
    assert_eq!(whole.backend.commands.log().head().position, head);
}
