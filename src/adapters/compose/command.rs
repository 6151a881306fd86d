//! One run of Compose: what it is told, what it may see, how long it may take, and where its words go.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{ComposeError, Generation, Program, Project};

/// Between being asked to end and being killed: Compose leaves containers half made when it is killed at once.
const GRACE: Duration = Duration::from_secs(5);
/// After its end, for what it has printed last; who inherited its output may hold that open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes of output that go into the log of the engine: the end of a long pull says nothing that its beginning did not.
const MAX_LOGGED_BYTES: usize = 256 * 1024;
/// Bytes of one line of it.
const MAX_LINE_BYTES: usize = 2048;
/// Bytes of a value that is not shown in the log: what is shorter is a port, a word or a number.
const LEAST_SECRET_BYTES: usize = 6;
/// Variables that change what a program of the host does: a workload that could set them would be the engine.
const RESERVED: [&str; 14] = [
    "LD_",
    "DOCKER_",
    "COMPOSE_",
    "BUILDKIT_",
    "BUILDX_",
    "PYTHON",
    "SSH_",
    "SSL_",
    "GIT_",
    "XDG_",
    "GODEBUG",
    "BASH_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
];
/// Such variables, the whole name.
const RESERVED_NAMES: [&str; 9] = ["PATH", "HOME", "SHELL", "IFS", "ENV", "TMPDIR", "USER", "PWD", "NO_PROXY"];

/// Where the host's programs and Docker are.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub(super) path: String,
    pub(super) home: PathBuf,
    pub(super) docker: String,
}

/// What is run.
pub(super) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) project: &'a Project,
    /// Where the files of the project are.
    pub(super) folder: &'a Path,
    /// For messages.
    pub(super) what: &'static str,
    /// The command of Compose with its flags.
    pub(super) arguments: &'a [&'a str],
    pub(super) deadline: Duration,
}

/// Whether a variable would change what Compose itself or another program of the host does.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    RESERVED.iter().any(|begin| upper.starts_with(begin)) || RESERVED_NAMES.contains(&upper.as_str())
}

/// Refuses variables that would reach further than the stack.
pub(super) fn checked(project: &Project) -> Result<(), ComposeError> {
    let odd = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    match project.variables.iter().find(|(name, value)| odd(name) || is_reserved(name) || value.contains('\0')) {
        None => Ok(()),
        Some((name, _)) => Err(ComposeError::Unusable(format!(
            "the variable {name} of the stack would change what Compose itself does; give it another name"
        ))),
    }
}

/// All of the command but the lock.
fn command(run: &Run<'_>, around: &Surroundings) -> Command {
    let mut command = Command::new(&run.program.path);
    // Values stand behind a sign, so that none is taken for a flag of its own.
    command.arg(format!("--project-name={}", run.project.name)).arg("--ansi=never");
    if run.program.generation == Generation::Second {
        command.arg("--progress=plain");
    }
    let base = run.project.base.as_deref().unwrap_or(run.folder);
    command.arg(format!("--project-directory={}", base.display()));
    for file in &run.project.order {
        command.arg(format!("--file={}", run.folder.join(file).display()));
    }
    command.args(run.arguments).current_dir(run.folder);
    command.env_clear().envs(&run.project.variables);
    command.env("PATH", &around.path).env("HOME", &around.home).env("DOCKER_HOST", &around.docker);
    // The first generation does not tell files the name by itself.
    command.env("COMPOSE_PROJECT_NAME", &run.project.name);
    if !run.project.profiles.is_empty() {
        command.env("COMPOSE_PROFILES", run.project.profiles.join(","));
    }
    command.process_group(0).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process group that is killed when it is let go of before its end.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.0 else { return };
        if let Err(error) = kill_process_group(pid, signal) {
            tracing::debug!(pid = pid.as_raw_nonzero().get(), %error, "a process of Compose was gone already");
        }
    }

    /// Its end was seen.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// How a run was ended.
enum End {
    Itself(ExitStatus),
    Late,
    Cancelled,
}

/// Runs Compose to its end, its deadline or its cancellation; then nothing that it started is left. `started` is told
/// the process id. The file that is given is what the command holds for as long as it lives.
pub(super) async fn run(
    run: &Run<'_>,
    around: &Surroundings,
    held: File,
    started: impl FnOnce(u32),
    cancel: &CancellationToken,
) -> Result<(), ComposeError> {
    let unavailable = |error: std::io::Error| {
        ComposeError::Unavailable(format!("{} cannot be run: {error}", run.program.path.display()))
    };
    let mut child = command(run, around).stdin(Stdio::from(held)).spawn().map_err(unavailable)?;
    let pid = child.id().unwrap_or_default();
    let mut group = Group(i32::try_from(pid).ok().and_then(Pid::from_raw));
    started(pid);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let words = async { tokio::join!(keep(run, out), keep(run, err)) };
    tokio::pin!(words);
    let end = tokio::select! {
        biased;
        () = cancel.cancelled() => End::Cancelled,
        ended = timeout(run.deadline, wait(&mut child, &mut words)) => match ended {
            Ok(status) => End::Itself(status.map_err(unavailable)?),
            Err(_) => End::Late,
        },
    };
    if !matches!(end, End::Itself(_)) {
        group.signal(Signal::TERM);
        if timeout(GRACE, wait(&mut child, &mut words)).await.is_err() {
            group.signal(Signal::KILL);
            child.wait().await.map_err(unavailable)?;
        }
    }
    // Also what it has left in its group: nothing of it goes on while somebody else works on the project.
    group.signal(Signal::KILL);
    group.ended();
    match end {
        End::Itself(status) => told(run, status),
        End::Late => Err(ComposeError::TimedOut { what: run.what, after: run.deadline }),
        End::Cancelled => Err(ComposeError::Cancelled(run.what)),
    }
}

/// The end of the process, while its words are read; then its last words.
async fn wait(child: &mut Child, words: &mut (impl Future<Output = ((), ())> + Unpin)) -> std::io::Result<ExitStatus> {
    let status = tokio::select! {
        status = child.wait() => status?,
        _ = &mut *words => return child.wait().await,
    };
    if timeout(LAST_WORDS, words).await.is_err() {
        tracing::debug!("the output of Compose is still held open");
    }
    Ok(status)
}

fn told(run: &Run<'_>, status: ExitStatus) -> Result<(), ComposeError> {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    tracing::info!(project = %run.project.name, command = run.what, code, "Compose has ended");
    match code {
        0 => Ok(()),
        code => Err(ComposeError::Failed { what: run.what, code }),
    }
}

/// Reads to the end, and keeps the beginning in the log of the engine: nowhere else.
async fn keep(run: &Run<'_>, stream: Option<impl AsyncRead + Unpin>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 8192];
    let mut line = Vec::new();
    let mut logged = 0;
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(project = %run.project.name, %error, "the output of Compose cannot be read");
                break;
            }
        };
        for byte in &buffer[..read] {
            if *byte == b'\n' || line.len() >= MAX_LINE_BYTES {
                log(run, &mut line, &mut logged);
            }
            if *byte != b'\n' {
                line.push(*byte);
            }
        }
    }
    log(run, &mut line, &mut logged);
}

fn log(run: &Run<'_>, line: &mut Vec<u8>, logged: &mut usize) {
    let bytes = std::mem::take(line);
    let text = String::from_utf8_lossy(&bytes);
    let text = redacted(text.trim_end(), run.project);
    if text.is_empty() || *logged > MAX_LOGGED_BYTES {
        return;
    }
    *logged += text.len();
    tracing::info!(project = %run.project.name, command = run.what, text, "Compose says");
}

/// A line without the values of variables, which may be secrets. Short ones stay: a port is no secret, and would take every
/// number along.
fn redacted(line: &str, project: &Project) -> String {
    let values = project.variables.values().filter(|value| value.len() >= LEAST_SECRET_BYTES);
    values.fold(line.to_owned(), |line, value| line.replace(value.as_str(), "[value]"))
}

#[cfg(test)]
mod tests {
    use super::super::Anew;
    use super::*;

    #[test]
    fn variables_that_would_reach_further_are_refused() {
        let project = |name: &str| Project {
            name: "a".to_owned(),
            order: Vec::new(),
            files: [].into(),
            variables: [(name.to_owned(), "x".to_owned())].into(),
            profiles: Vec::new(),
            base: None,
            anew: Anew::Changed,
        };
        for name in ["LD_PRELOAD", "DOCKER_HOST", "PATH", "HOME", "COMPOSE_FILE", "PYTHONPATH", "", "A=B", "path"] {
            assert!(matches!(checked(&project(name)), Err(ComposeError::Unusable(_))), "{name}");
        }
        let mut known = project("A");
        known.variables = [("A".to_owned(), "hunter2".to_owned()), ("B".to_owned(), "80".to_owned())].into();
        assert_eq!(redacted("bind 80: hunter2 is no address", &known), "bind 80: [value] is no address");
        for name in ["DB_PASSWORD", "HOMEPAGE", "MY_DOCKER_HOST", "a"] {
            assert_eq!(checked(&project(name)), Ok(()), "{name}");
        }
    }
}
