//! Starting, killing and asking the processes of a stand.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::{Said, Stand};
use crate::judge::Subject;
use crate::{Result, process};

/// How long a start may take before it counts as failed: recovery of a million events takes six seconds.
const START: Duration = Duration::from_secs(30);
/// Where Linux tells its boot id.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// How long a command may take: the longest waits for a deployment with its gate, drain and bake.
const COMMAND: Duration = Duration::from_secs(180);

impl Stand {
    /// Starts the proxy; it takes connections afterwards.
    pub(crate) async fn start_proxy(&self) -> Result {
        let child = self.spawn("proxy")?;
        self.children.lock().proxy = Some(child);
        let deadline = Instant::now() + START;
        // The parent listens before its child can be asked.
        let asked = self.data().join("proxy").join("admin.sock");
        while tokio::net::UnixStream::connect(&asked).await.is_err() {
            if Instant::now() > deadline {
                return Err(format!("the proxy cannot be asked:\n{}", self.output("proxy")).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Starts the engine; it answers afterwards. Returns how long that took.
    pub(crate) async fn start_engine(&self) -> Result<Duration> {
        let child = self.spawn("serve")?;
        self.children.lock().engine = Some(child);
        self.engine_answers().await
    }

    /// Starts the engine that dies where its environment says; it may not live long enough to answer.
    pub(crate) fn arm_engine(&self, environment: &[(&str, &str)]) -> Result {
        let binary = self.binary().with_file_name("cutover-crash");
        if !binary.exists() {
            return Err(format!("{} is missing; scripts/prove kill --points builds it", binary.display()).into());
        }
        let mut command = command(&binary, &self.config(), &["serve"]);
        let child = self.logged(command.envs(environment.iter().copied()), "engine")?;
        self.children.lock().engine = Some(child);
        Ok(())
    }

    /// Waits until the engine has been killed by itself, at most that long. Whether it was.
    pub(crate) async fn engine_dies(&self, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        loop {
            let status = match self.children.lock().engine.as_mut() {
                Some(engine) => engine.try_wait()?,
                None => return Err("no engine runs".into()),
            };
            if let Some(status) = status {
                drop(self.children.lock().engine.take());
                let killed = status.signal() == Some(Signal::KILL.as_raw());
                let otherwise = || format!("the engine ended with {status}:\n{}", self.output("engine"));
                return killed.then_some(true).ok_or_else(|| otherwise().into());
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the engine answers; returns how long that took.
    pub(crate) async fn engine_answers(&self) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let said = self.ask(&["status", "--json"]).await?;
            if said.code == 0 {
                return Ok(began.elapsed());
            }
            let ended = match self.children.lock().engine.as_mut() {
                Some(engine) => engine.try_wait()?,
                None => None,
            };
            if ended.is_some() || began.elapsed() > START {
                return Err(
                    format!("the engine does not answer: {}\n{}", said.err.trim(), self.output("engine")).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the engine with -9 and waits until it is gone.
    pub(crate) async fn kill_engine(&self) -> Result {
        let engine = self.children.lock().engine.take();
        let Some(mut engine) = engine else { return Err("no engine runs".into()) };
        if let Some(pid) = engine.id() {
            process::signal(pid, Signal::KILL);
        }
        engine.wait().await?;
        Ok(())
    }

    /// Kills parent and child of the proxy with -9 and waits until they are gone.
    pub(crate) async fn kill_proxy(&self) -> Result {
        let pids = self.proxy_pids()?;
        pids.iter().for_each(|pid| process::signal(*pid, Signal::KILL));
        let proxy = self.children.lock().proxy.take();
        if let Some(mut proxy) = proxy {
            proxy.wait().await?;
        }
        process::end(&pids, START).await;
        Ok(())
    }

    /// The process id of the engine.
    pub(crate) fn engine_pid(&self) -> Result<u32> {
        let pid = self.children.lock().engine.as_ref().and_then(Child::id);
        pid.ok_or_else(|| "no engine runs".into())
    }

    /// The process ids of the proxy: parent and child.
    pub(crate) fn proxy_pids(&self) -> Result<Vec<u32>> {
        let pid = self.children.lock().proxy.as_ref().and_then(Child::id);
        pid.map(process::tree).ok_or_else(|| "no proxy runs".into())
    }

    fn spawn(&self, process: &str) -> Result<Child> {
        let name = if process == "serve" { "engine" } else { process };
        self.logged(&mut self.process(process), name)
    }

    fn logged(&self, command: &mut Command, name: &str) -> Result<Child> {
        let output =
            std::fs::File::options().create(true).append(true).open(self.folder().join(format!("{name}.log")))?;
        command.stdout(output.try_clone()?).stderr(output);
        Ok(command.spawn()?)
    }

    /// What the judge looks at.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { binary: self.binary(), config: &self.config, data: self.data(), docker: &self.docker }
    }

    /// A process of the program under test; under another boot id where one is set, by a mount that only it sees.
    fn process(&self, process: &str) -> Command {
        let Some(boot) = self.boot.lock().clone() else { return self.command(&[process]) };
        let mount = format!("mount --bind '{}' {BOOT_ID} && exec \"$0\" \"$@\"", boot.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "sh", "-c", &mount]);
        command.arg(self.binary()).arg("--config").arg(self.config()).arg(process);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// From here on processes find another boot id than the machine's: what a restart of the host is to them.
    pub(crate) fn other_boot(&self) -> Result {
        let path = self.folder().join("boot_id");
        std::fs::write(&path, "c0ffee00-0000-4000-8000-000000000001\n")?;
        *self.boot.lock() = Some(path);
        Ok(())
    }

    /// A command of the program under test, with the config of this stand; ended when it is dropped.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(self.binary(), &self.config(), args)
    }

    /// Runs a command to its end and returns what it said.
    pub(crate) async fn ask(&self, args: &[&str]) -> Result<Said> {
        self.ask_with(&self.config(), args).await
    }

    /// Runs a command with another config file.
    pub(crate) async fn ask_with(&self, config: &Path, args: &[&str]) -> Result<Said> {
        ask(self.binary(), config, args).await
    }

    /// Runs a command that must end with 0.
    pub(crate) async fn must(&self, args: &[&str]) -> Result<Said> {
        let said = self.ask(args).await?;
        if said.code == 0 { Ok(said) } else { Err(said.told().into()) }
    }

    /// All events of the log.
    pub(crate) async fn events(&self) -> Result<Vec<Value>> {
        self.must(&["events", "--json"]).await?.lines()
    }

    /// All events of a workload.
    pub(crate) async fn timeline(&self, name: &str) -> Result<Vec<Value>> {
        self.must(&["timeline", &self.full_name(name), "--json"]).await?.lines()
    }

    /// The log id, as the first event tells it.
    pub(super) async fn logged_id(&self) -> Result<String> {
        let events = self.ask(&["events", "--json"]).await?.lines()?;
        let begun = events.iter().find(|event| event["event"] == "LogBegun").ok_or("the log is empty")?;
        let log = super::said::field(begun, "log").and_then(Value::as_str);
        Ok(log.ok_or("LogBegun names no log")?.to_owned())
    }

    /// GET through the proxy: status and body.
    pub(crate) async fn get(&self, name: &str, path: &str) -> Result<(u16, String)> {
        crate::http::get(self.proxy, &self.host(name), path).await
    }
}

fn command(binary: &Path, config: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.arg("--config").arg(config).args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command of a program with a config to its end and returns what it said.
pub(crate) async fn ask(binary: &Path, config: &Path, args: &[&str]) -> Result<Said> {
    let output = tokio::time::timeout(COMMAND, command(binary, config, args).output()).await;
    let output = output.map_err(|_| format!("cutover {} did not end within {COMMAND:?}", args.join(" ")))??;
    Ok(Said::new(args, &output))
}
