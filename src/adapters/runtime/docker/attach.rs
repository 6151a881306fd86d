//! Programs of people: `exec` in a container that runs, `attach` to one of their own.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::{ExecConfig, ExecInspectResponse, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
    ResizeContainerTTYOptions, ResizeExecOptions,
};
use cutover_domain::observed::DockerId;
use cutover_events::{ErrandId, LogId};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::super::labels as keys;
use super::client::{classify, within};
use super::create::{CREATE, body, made};
use super::{DockerRuntime, RuntimeError, labels, names};
use crate::adapters::runtime::attach::{
    Alone, Attached, Attaches, Like, Line, Printed, Program, Push, Reading, Running, Size,
};

/// A program begins within 0.1 to 0.5 s; a host under load takes many.
const BEGIN: Duration = Duration::from_secs(60);
/// Every other call.
const CALL: Duration = Duration::from_secs(10);
/// What a program has printed is read to its end before Docker has written down how it ended: measured below 50 ms.
const ENDING: Duration = Duration::from_secs(5);
/// What makes Docker let go of a program that goes on: by default Ctrl-P Ctrl-Q, of which every shell and editor has the
/// first. It cannot be switched off; this nobody types.
const NO_KEYS: &str = "ctrl-@,ctrl-^,ctrl-_,ctrl-@,ctrl-^,ctrl-_";
/// Between two looks at it.
const ENDING_PAUSE: Duration = Duration::from_millis(10);

#[async_trait]
impl Attaches for DockerRuntime {
    async fn exec(&self, container: DockerId, program: &Program) -> Result<Attached, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let tty = program.terminal.is_some();
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(tty),
            console_size: program.terminal.map(|size| vec![size.rows.into(), size.columns.into()]),
            detach_keys: Some(NO_KEYS.to_owned()),
            cmd: Some(program.command.clone()),
            ..ExecConfig::default()
        };
        let name = names::container(container);
        let made = within("exec", BEGIN, docker.create_exec(&name, config)).await?;
        let exec = made.map_err(classify("run a program in the container"))?.id;
        let options = StartExecOptions { detach: false, tty, output_capacity: None };
        let begun = within("exec", BEGIN, docker.start_exec(&exec, Some(options))).await?;
        let begun = begun.map_err(classify("run a program in the container"))?;
        let running = Running::Inside { exec, container };
        let StartExecResults::Attached { output, input } = begun else {
            return Err(RuntimeError::Unavailable("a program was begun without anybody at it".to_owned()));
        };
        if let Some(size) = program.terminal {
            self.resize_or_say(&running, size).await;
        }
        Ok(Attached { input, output: printed(output).boxed(), running })
    }

    async fn create_alone(&self, log: LogId, alone: &Alone) -> Result<DockerId, RuntimeError> {
        let container = &alone.container;
        names::checked(&container.name)?;
        names::checked(&container.network)?;
        names::reference(&container.image)?;
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let options = CreateContainerOptionsBuilder::new().name(&container.name).build();
        let mut body = body(log, container);
        body.labels = Some(labels::write_alone(log, alone));
        body.tty = Some(alone.terminal);
        (body.open_stdin, body.stdin_once) = (Some(true), Some(true));
        (body.attach_stdin, body.attach_stdout, body.attach_stderr) = (Some(true), Some(true), Some(true));
        // What a person does there is nobody else's, on no disk either.
        let unlogged = HostConfigLogConfig { typ: Some("none".to_owned()), config: None };
        body.host_config = body.host_config.map(|host| HostConfig { log_config: Some(unlogged), ..host });
        made(within("create", CREATE, docker.create_container(Some(options), body)).await?, &container.image)
    }

    async fn create_alone_like(&self, log: LogId, alone: &Alone, like: &Like) -> Result<DockerId, RuntimeError> {
        self.create_like(log, alone, like).await
    }

    async fn start_alone(&self, container: DockerId, terminal: Option<Size>) -> Result<Attached, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let name = names::container(container);
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true);
        let options = options.detach_keys(NO_KEYS).build();
        let attached = within("attach", BEGIN, docker.attach_container(&name, Some(options))).await?;
        let attached = attached.map_err(classify("attach to the container"))?;
        self.start_container(container).await?;
        let running = Running::Alone(container);
        if let Some(size) = terminal {
            self.resize_or_say(&running, size).await;
        }
        Ok(Attached { input: attached.input, output: printed(attached.output).boxed(), running })
    }

    async fn alone(&self, log: LogId) -> Result<Vec<(DockerId, ErrandId)>, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let filters = HashMap::from([("label", vec![format!("{}={log}", keys::LOG), keys::ERRAND.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = within("list", CALL, docker.list_containers(Some(options))).await?;
        let listed = listed.map_err(classify("list containers"))?;
        let one = |summary: bollard::models::ContainerSummary| {
            let errand = summary.labels?.get(keys::ERRAND)?.parse().ok()?;
            Some((labels::docker_id(&summary.id?)?, errand))
        };
        Ok(listed.into_iter().filter_map(one).collect())
    }

    async fn remove_alone(&self, container: DockerId) -> Result<(), RuntimeError> {
        self.remove_container(container).await
    }

    async fn read(
        &self,
        container: DockerId,
        reading: Reading,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, RuntimeError> {
        self.read_output(container, reading).await
    }

    async fn resize(&self, running: &Running, size: Size) -> Result<(), RuntimeError> {
        let docker = self.client.docker()?;
        let (h, w) = (i32::from(size.rows), i32::from(size.columns));
        let done = match running {
            Running::Inside { exec, .. } => {
                within("resize", CALL, docker.resize_exec(exec, ResizeExecOptions { h, w })).await?
            }
            Running::Alone(container) => {
                let options = ResizeContainerTTYOptions { h, w };
                within("resize", CALL, docker.resize_container_tty(&names::container(*container), options)).await?
            }
        };
        done.map_err(classify("set the size of a terminal"))
    }

    async fn exit_code(&self, running: &Running) -> Result<i32, RuntimeError> {
        let deadline = Instant::now() + ENDING;
        loop {
            if let Some(code) = self.ended_with(running).await? {
                return Ok(code);
            }
            if Instant::now() >= deadline {
                return Err(RuntimeError::Unavailable("a program has closed its output and goes on".to_owned()));
            }
            sleep(ENDING_PAUSE).await;
        }
    }

    async fn push(&self, running: &Running, push: Push) -> Result<(), RuntimeError> {
        let Running::Inside { exec, container } = running else { return Ok(()) };
        let signal = match push {
            Push::HangUp => Signal::HUP,
            Push::Kill => Signal::KILL,
        };
        let deadline = Instant::now() + ENDING;
        loop {
            let found = self.looked_up(exec).await?;
            let pid = found.pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            let reached = pid.map(|pid| signalled(pid, *container, signal)).transpose()?.unwrap_or(0);
            let over = found.running != Some(true) && found.exit_code.is_some();
            if reached > 0 || over {
                return Ok(());
            }
            // One that has only just begun has no process for a moment, or not in its place yet.
            if Instant::now() >= deadline {
                let text = "a program is not seen in the container that it was begun in";
                return Err(RuntimeError::Refused(text.to_owned()));
            }
            sleep(ENDING_PAUSE).await;
        }
    }
}

impl DockerRuntime {
    /// A terminal of another size is no reason to end what runs on it.
    async fn resize_or_say(&self, running: &Running, size: Size) {
        if let Err(error) = self.resize(running, size).await {
            tracing::debug!(%error, "a terminal keeps its size");
        }
    }

    async fn looked_up(&self, exec: &str) -> Result<ExecInspectResponse, RuntimeError> {
        let docker = self.client.docker()?;
        within("inspect", CALL, docker.inspect_exec(exec)).await?.map_err(classify("look at a program"))
    }

    /// `None`: it runs.
    async fn ended_with(&self, running: &Running) -> Result<Option<i32>, RuntimeError> {
        let (runs, code) = match running {
            Running::Inside { exec, .. } => {
                let found = self.looked_up(exec).await?;
                (found.running, found.exit_code)
            }
            Running::Alone(container) => {
                let found = self.inspect_raw(&names::container(*container)).await?;
                let state = found.and_then(|found| found.state);
                let state = state.ok_or_else(|| RuntimeError::NotFound("the container is gone".to_owned()))?;
                (state.running, state.exit_code)
            }
        };
        Ok(code.filter(|_| runs != Some(true)).and_then(|code| i32::try_from(code).ok()))
    }
}

/// Docker has no call that ends a program inside a container. Its processes are some of this host: runc makes each program
/// the leader of a session, so that the session names all that it has started and that has not left it by itself. They get
/// the signal if they are in the container's control group, and whoever has their numbers afterwards does not.
fn signalled(leader: Pid, container: DockerId, signal: Signal) -> Result<usize, RuntimeError> {
    let failed =
        |error: &dyn std::fmt::Display| RuntimeError::Unavailable(format!("a program cannot be told to end: {error}"));
    let all = std::fs::read_dir("/proc").map_err(|error| failed(&error))?;
    let pids = all.flatten().filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    let mut reached = 0;
    for pid in pids.filter(|pid| session(*pid) == Some(leader.as_raw_nonzero().get())) {
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Looked at again, now that the number cannot come to mean another process.
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).unwrap_or_default();
        if session(pid) != Some(leader.as_raw_nonzero().get()) || !groups.contains(&names::container(container)) {
            continue;
        }
        match pidfd_send_signal(process, signal) {
            Ok(()) => reached += 1,
            Err(rustix::io::Errno::SRCH) => (),
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(reached)
}

/// The session that a process is in.
fn session(pid: Pid) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // After the name, which may hold anything: state, parent, group, session.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().nth(3)?.parse().ok()
}

fn printed(
    output: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
) -> impl Stream<Item = Result<Printed, RuntimeError>> + Send + 'static {
    output.map(|piece| {
        Ok(match piece.map_err(classify("read what a program prints"))? {
            LogOutput::StdErr { message } => Printed::Err(message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                Printed::Out(message)
            }
        })
    })
}
