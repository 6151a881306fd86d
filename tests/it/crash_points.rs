//! The program that people run knows no crash points: what would kill the other build does nothing to it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Begins the names of what the other build reads.
const VARIABLE: &[u8] = b"CUTOVER_CRASH";
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(30);

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn cutover(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
    command.env_clear().env("CUTOVER_DATA_DIR", folder).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn a_normal_build_does_not_know_the_variables() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_cutover")).unwrap();
    assert!(program.len() > 1024 * 1024);
    let found = program.split(|byte| *byte == VARIABLE[0]).any(|rest| rest.starts_with(&VARIABLE[1..]));
    assert!(!found, "a normal build names a variable of the crash points");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process of its own is waited for, which has the real clock")]
fn a_normal_build_lives_past_the_points_that_its_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = cutover(folder.path());
    // As under a service manager, where no proxy is started; no Docker answers, which a start does not need.
    serve.arg("serve").env("INVOCATION_ID", "test").env("NOTIFY_SOCKET", folder.path().join("manager"));
    serve.env("CUTOVER_DOCKER__SOCKET", folder.path().join("none"));
    serve.env("CUTOVER_CRASH_AT", "before append EngineStarted");
    let mut serve = Ended(serve.spawn().unwrap());
    let deadline = Instant::now() + START;
    while !cutover(folder.path()).args(["status", "--json"]).status().unwrap().success() {
        assert_eq!(serve.0.try_wait().unwrap(), None, "the engine has ended");
        assert!(Instant::now() < deadline, "the engine does not answer");
    }
    assert_eq!(serve.0.try_wait().unwrap(), None);
}
