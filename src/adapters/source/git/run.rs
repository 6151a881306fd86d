//! One call of the git program: an environment of its own, bounded output, a deadline, and nothing left of it when the
//! caller stops waiting.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};
use zeroize::Zeroizing;

use super::GitError;

/// Most bytes of what git prints as its answer: the paths of a very large repository.
const MAX_OUTPUT: u64 = 64 << 20;
/// Most bytes of what git says beside it.
const MAX_SAID: u64 = 64 << 10;
/// How often the size of a folder is looked at while git fills it.
const LOOK: Duration = Duration::from_millis(200);
/// Where git and what it calls are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Below this pace for [`SLOW`], bytes a second, a transfer is as good as dead.
const SLOW_PACE: &str = "1000";
/// See [`SLOW_PACE`], s.
const SLOW: &str = "30";

/// A call to be made.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The program.
    pub program: &'a Path,
    /// Where it runs.
    pub folder: &'a Path,
    /// Its arguments; what comes from outside stands behind `--`, or has been judged.
    pub args: Vec<OsString>,
    /// Which protocols it may speak, with `:` between.
    pub protocols: String,
    /// Settings, which everything that git starts takes over.
    pub settings: Vec<(String, Zeroizing<String>)>,
    /// How it calls ssh.
    pub ssh: String,
    /// When it is ended.
    pub deadline: Duration,
    /// A folder that must not hold more bytes than this.
    pub room: Option<(PathBuf, u64)>,
}

/// What git printed; its exit code was 0.
pub(super) type Answer = Vec<u8>;

/// Why there is none.
#[derive(Debug)]
pub(super) enum Failed {
    /// It ended by itself, and said so.
    Said(String),
    /// The deadline passed.
    Late,
    /// Everything else.
    Other(GitError),
}

impl Call<'_> {
    /// Runs it to its end. When this future is dropped, git and all that it has started are killed.
    pub(super) async fn run(self) -> Result<Answer, Failed> {
        let deadline = self.deadline;
        match timeout(deadline, self.whole()).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::Late),
        }
    }

    async fn whole(self) -> Result<Answer, Failed> {
        let mut child = self.command().spawn().map_err(|error| Failed::Other(GitError::Program(error.to_string())))?;
        // Dropped before the child: its number is still its own then.
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (Some(out), Some(said)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Failed::Other(GitError::Program("it has no output".to_owned())));
        };
        let working = async { tokio::join!(bounded(out, MAX_OUTPUT), bounded(said, MAX_SAID), ended(&mut child)) };
        let (out, said, status) = tokio::select! {
            done = working => done,
            limit = overfull(self.room.clone()) => return Err(Failed::Other(GitError::TooLarge { limit })),
        };
        group.0 = None;
        let broken = |error: std::io::Error| Failed::Other(GitError::Program(error.to_string()));
        let said = String::from_utf8_lossy(&said.map_err(broken)?).into_owned();
        let out = out.map_err(broken)?;
        if !status.map_err(broken)? {
            return Err(Failed::Said(said));
        }
        if out.len() as u64 > MAX_OUTPUT {
            return Err(Failed::Other(GitError::TooLarge { limit: MAX_OUTPUT }));
        }
        Ok(out)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args(&self.args).current_dir(self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.env_clear().env("PATH", PATH).env("HOME", self.folder).env("LC_ALL", "C");
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_SSH_VARIANT", "ssh"),
        ] {
            command.env(name, value);
        }
        command.env("GIT_ALLOW_PROTOCOL", &self.protocols).env("GIT_SSH_COMMAND", &self.ssh);
        let fixed = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.autocrlf", "false"),
            ("credential.helper", ""),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("protocol.version", "2"),
            ("submodule.recurse", "false"),
            ("safe.directory", "*"),
            ("http.lowSpeedLimit", SLOW_PACE),
            ("http.lowSpeedTime", SLOW),
        ];
        let own = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut count = 0;
        for (key, value) in fixed.into_iter().chain(own) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key).env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        command
    }
}

/// Git and everything that it has started; killed when this is dropped before they have ended.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "a git that is ended early is gone already");
        }
    }
}

async fn ended(child: &mut Child) -> std::io::Result<bool> {
    Ok(child.wait().await?.success())
}

/// Reads to the end and keeps one byte more than `most`, so that a cut is seen; the rest is read and dropped, so that the
/// program does not stand still.
async fn bounded(mut from: impl AsyncRead + Unpin, most: u64) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    (&mut from).take(most + 1).read_to_end(&mut kept).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// Waits until a folder holds too much, and says how much it might; for ever without a limit.
async fn overfull(room: Option<(PathBuf, u64)>) -> u64 {
    let Some((folder, limit)) = room else { return std::future::pending().await };
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let folder = folder.clone();
        let size = tokio::task::spawn_blocking(move || size_of(&folder, limit)).await.unwrap_or(0);
        if size > limit {
            return limit;
        }
    }
}

/// Bytes of all files below, counted until there are more than `limit`. What vanishes meanwhile is not counted.
pub(super) fn size_of(folder: &Path, limit: u64) -> u64 {
    let mut size = 0;
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push(entry.path()),
                Ok(meta) => size += meta.len(),
                Err(_) => {}
            }
            if size > limit {
                return size;
            }
        }
    }
    size
}
