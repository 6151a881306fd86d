//! The command line as scripts meet it: exit codes, one line on stderr, JSON on stdout.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `cutover` with a data folder of its own, in which no engine answers.
fn cutover(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.args(args).current_dir(folder).env_clear().env("CUTOVER_DATA_DIR", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(stdin));
    child.wait_with_output().unwrap()
}

/// Runs `cutover` and expects this exit code and exactly one good line on stderr; returns the line.
fn refused(folder: &Path, args: &[&str], stdin: &[u8], code: i32) -> String {
    let said = cutover(folder, args, stdin);
    let err = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(code), "{args:?}: {err}");
    assert!(said.stdout.is_empty(), "{args:?} wrote to stdout");
    let line = err.strip_suffix('\n').unwrap_or_else(|| panic!("{args:?}: no line: {err:?}"));
    assert!(!line.contains(char::is_control), "{args:?}: {line:?}");
    assert!(line.chars().count() <= 600, "{args:?}: {line}");
    assert!(line.starts_with("cutover: ") && !line.contains("panicked"), "{args:?}: {line}");
    line.to_owned()
}

#[test]
fn usage_errors_are_one_line_and_2() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(5_000);
    let cases: &[&[&str]] = &[
        &[],
        &["bogus"],
        &["deploy"],
        &["deploy", "-rf"],
        &["deploy", "shop/web", "--wait", "live"],
        &["deploy", "shop/web", "--wait=soon"],
        &["deploy", "shop/web", "--detach", "--wait"],
        &["deploy", "shop/web", "--timeout", "soon"],
        &["deploy", "shop/web", "--timeout", "-5s"],
        &["deploy", "shop/web", "--key", "two words"],
        &["deploy", "shop/web", "--key", &long],
        &["deploy", "shop/web", &long],
        &["rollback", "shop/web", "--to", "-v1"],
        &["rollback", "shop/web", "--to", "rel_x"],
        &["cancel", "dep_\u{1b}[31m"],
        &["wait", "nothing"],
        &["events", "--after", "first"],
        &["events", "--kind", "Swaped"],
        &["logs", "shop/web", "--lines", "0"],
        &["exec", "shop/web"],
        &["exec", "shop/web", "sh"],
        &["exec", "shop/web", "--replica", "0", "--", "sh"],
        &["exec", "shop/web", "--process", "a b", "--", "sh"],
        &["run", "shop/web", "--"],
        &["confirm", "everything"],
        &["hook", "add", "gh", "--header", "x y"],
        &["hook", "add", "gh", "--header", "x-sig"],
        &["token", "revoke", "ci"],
        &["secret", "set", "shop/a=hunter2"],
        &["secret", "set", "shop/a", "hunter2"],
        &["secret", "set", "shop/a", "--file", "missing"],
        &["secret", "set", "shop/a", "--file", "x", "--exec", "y"],
        &["secret", "set", "shop/a", "--exec", "printf 'x"],
        &["secret", "set", "shop/a", "--file", "-"],
        &["secret", "import", "missing.env", "--project", "shop"],
        &["secret", "list", "Shop"],
        &["check", "missing.toml"],
        &["apply", "missing.toml"],
        &["check", "."],
        &["log", "verify", "--data", "."],
        &["--config", "missing.toml", "status"],
        &["--url", "https://example.com", "status"],
        &["--url", "http://127.0.0.1:1", "status"],
        &["--url", "nonsense", "status"],
        &["--url", "http://127.0.0.1:1", "--token-file", "missing", "status"],
        &["--token-file", "missing", "status"],
    ];
    for args in cases {
        let line = refused(folder.path(), args, b"", 2);
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn a_config_file_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.toml"), "[proxy]\nlissten = \"x\"\n").unwrap();
    let line = refused(folder.path(), &["--config", "bad.toml", "status"], b"", 2);
    assert!(line.contains("bad.toml:2:1") && line.contains("listen"), "{line}");
}

#[test]
fn refused_content_is_15_and_names_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let web = |lines: &str| format!("[workloads.web]\nimage = \"nginx:1\"\nport = 8080\n{lines}\n");
    let cases = [
        (String::new(), "image"),
        (web("helth = \"/\""), "health"),
        (web("strategy = \"canary\""), "\"recreate\""),
        (web("replicas = -1"), "replicas"),
        (web("host = \"a b\""), "host"),
        ("[workloads.\"../etc\"]\nimage = \"nginx\"\n".to_owned(), "name"),
        ("[workloads.\"-rf\"]\nimage = \"nginx\"\n".to_owned(), "name"),
        (format!("[workloads.\"{}\"]\nimage = \"nginx\"\n", "n".repeat(300)), "name"),
    ];
    for (text, word) in &cases {
        for command in ["check", "apply", "plan"] {
            let line = refused(folder.path(), &[command, "-"], text.as_bytes(), 15);
            assert!(line.contains(word) && line.contains("stdin:"), "{line}");
        }
    }
    refused(folder.path(), &["check", "-"], &vec![b' '; 8 << 20], 15);
    refused(folder.path(), &["check", "-"], b"\xff\xfe", 15);
    for name in ["../etc", "", "a/b/c", "UPPER", "schön", "a\r\nb", &"n".repeat(300)] {
        for command in ["deploy", "status", "timeline", "releases", "show", "logs", "restart", "teardown", "rollback"] {
            let line = refused(folder.path(), &[command, "--", name], b"", 15);
            assert!(line.contains("name"), "{line}");
        }
    }
    for image in ["UPPER:x", "", "a b", "a:", "nginx@sha256:12", "-rf"] {
        refused(folder.path(), &["deploy", "web", &format!("--image={image}")], b"", 15);
    }
    refused(folder.path(), &["hook", "add", "-- "], b"", 2);
    refused(folder.path(), &["hook", "add", "No"], b"", 15);
    refused(folder.path(), &["token", "add", "a b"], b"", 15);
    for name in ["Shop/a", "shop/a b", "shop/../a"] {
        refused(folder.path(), &["secret", "set", name], b"hunter2", 15);
    }
    for file in ["hunter2", "A=ENC[AES256_GCM,data:hunter2,type:str]", "A='hunter2", "A="] {
        let line = refused(folder.path(), &["secret", "import", "-", "--project", "shop"], file.as_bytes(), 15);
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn an_engine_that_is_not_there_is_7() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.toml"), "[workloads.web]\nimage = \"nginx:1\"\n").unwrap();
    let deployment = "dep_01k9zzzzzzzzzzzzzzzzzzzzz0";
    let cases: &[&[&str]] = &[
        &["status"],
        &["status", "web", "--json"],
        &["apply", "web.toml"],
        &["plan", "web.toml"],
        &["deploy", "web", "--json"],
        &["rollback", "web"],
        &["restart", "web", "--detach"],
        &["teardown", "web"],
        &["cancel", deployment],
        &["resume", deployment],
        &["wait", deployment, "--timeout", "10s"],
        &["timeline", "web"],
        &["events", "--json"],
        &["releases", "web"],
        &["explain", "web"],
        &["logs", "web"],
        &["hook", "list"],
        &["hook", "remove", "github"],
        &["token", "list"],
        &["log", "head"],
        &["log", "export"],
        &["doctor"],
        &["confirm", "daemon-changed"],
    ];
    for args in cases {
        let line = refused(folder.path(), args, b"", 7);
        assert!(line.contains("cutover serve"), "{line}");
    }
}

#[test]
fn a_socket_that_nobody_holds_is_7_too() {
    let folder = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("engine.sock")).unwrap());
    let line = refused(folder.path(), &["status"], b"", 7);
    assert!(line.contains("nothing listens"), "{line}");
}

#[test]
fn check_needs_no_engine() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.toml"),
        "[workloads.web]\nimage = \"nginx:1\"\nport = 80\nhost = \"a.example\"\n",
    )
    .unwrap();
    let said = cutover(folder.path(), &["check", "a.toml"], b"");
    assert_eq!((said.status.code(), &*said.stdout), (Some(0), &b"default/web: ok\n"[..]));
    let said = cutover(folder.path(), &["check", ".", "--json"], b"");
    let line: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(line["workload"], "default/web");
    std::fs::copy(folder.path().join("a.toml"), folder.path().join("b.toml")).unwrap();
    let line = refused(folder.path(), &["check", "."], b"", 15);
    assert!(line.contains("b.toml") && line.contains("default/web"), "{line}");
}

#[test]
fn help_and_version_are_results() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["--version"], &["deploy", "--help"], &["hook", "add", "--help"]] {
        let said = cutover(folder.path(), args, b"");
        assert_eq!(said.status.code(), Some(0));
        assert!(!said.stdout.is_empty() && said.stderr.is_empty());
        assert!(!said.stdout.contains(&0x1b), "colours without a terminal");
    }
}
