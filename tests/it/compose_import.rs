//! `cutover import compose`: what comes of a stack is a workload file, and says what it does not keep.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The program in a folder, with an environment of its own.
fn cutover(folder: &Path, arguments: &[&str], set: &[(&str, &str)], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", "/home/shop")
        .envs(set.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The workload file that came of a stack, which `check` takes.
fn imported(folder: &Path, set: &[(&str, &str)]) -> String {
    let output = cutover(folder, &["import", "compose", "compose.yml"], set, b"");
    assert!(output.status.success(), "{}: {}", folder.display(), text(&output.stderr));
    let checked = cutover(folder, &["check", "-"], &[], &output.stdout);
    assert!(checked.status.success(), "{}: {}", folder.display(), text(&checked.stderr));
    text(&output.stdout)
}

#[test]
fn each_stack_that_is_taken_becomes_a_workload_file() {
    let mut taken = 0;
    for entry in std::fs::read_dir(fixtures().join("compose")).unwrap() {
        let folder = entry.unwrap().path();
        let stack = std::fs::read_to_string(folder.join("compose.yml")).unwrap();
        // Without a service that starts there is no workload.
        let ok = stack.lines().any(|line| line == "#= ok") && !stack.contains("#= warning no service");
        if ok {
            let set = stack.lines().filter_map(|line| line.strip_prefix("#= set ")).flat_map(|line| line.split(' '));
            let set: Vec<(&str, &str)> = set.filter_map(|pair| pair.split_once('=')).collect();
            imported(&folder, &set);
            taken += 1;
        }
    }
    assert!(taken >= 12, "{taken}");
}

#[test]
fn what_comes_of_a_stack_is_as_it_was() {
    let folder = fixtures().join("compose-import");
    let came = imported(&folder, &[]).replace(&folder.display().to_string(), "/srv/shop");
    let expected = folder.join("expected.toml");
    if std::env::var_os("CUTOVER_BLESS").is_some() {
        std::fs::write(&expected, &came).unwrap();
    }
    assert_eq!(came, std::fs::read_to_string(&expected).unwrap(), "CUTOVER_BLESS=1 writes it anew");
    let output = cutover(&folder, &["import", "compose", "compose.yml", "--project", "other"], &[], b"");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.contains("project = \"other\"") && out.contains("shop_app_pgdata"));
    // What is in the comments is on stderr too, a line for each.
    for line in
        ["db: tmpfs: nothing is mounted there", "worker_mail: its name is worker-mail: others have to call it so"]
    {
        assert!(out.contains(line) && err.lines().any(|told| told == line), "{line}");
    }
}

#[test]
fn a_stack_that_is_refused_is_refused_in_one_line() {
    let folder = fixtures().join("compose");
    for (case, word) in [("alias-bomb", "aliases"), ("a-port-from-nothing", "WEB_PORT"), ("no-services", "services")] {
        let output = cutover(&folder.join(case), &["import", "compose", "compose.yml"], &[], b"");
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), told.lines().count()), (Some(15), 1), "{case}: {told}");
        assert!(told.contains(word) && output.stdout.is_empty(), "{case}: {told}");
    }
    let missing = cutover(&folder, &["import", "compose", "nowhere.yml"], &[], b"");
    assert_eq!(missing.status.code(), Some(2));
    let nothing = cutover(&folder.join("nothing-would-start"), &["import", "compose", "compose.yml"], &[], b"");
    assert_eq!(nothing.status.code(), Some(15));
}
