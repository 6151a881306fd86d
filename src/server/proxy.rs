//! The proxy beside the engine: started when none answers, and never under systemd, where it has a unit of its own and
//! would die with the engine's.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cutover_proxy::config::AccessLog;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often it is looked whether a proxy answers: a dead one is replaced within a second (design §2).
const LOOK: Duration = Duration::from_millis(500);
/// How long a start waits for the proxy that it has started.
const START: Duration = Duration::from_secs(3);

/// Sees to it that a proxy answers, now and for as long as the engine runs.
pub(super) async fn ensure(config: &Config, (tasks, stop): (&mut JoinSet<()>, &CancellationToken)) {
    let socket = config.data_dir.join("proxy/admin.sock");
    if crate::config::under_systemd() {
        return;
    }
    if !answers(&socket) {
        start(config);
        let wait = async {
            while !answers(&socket) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(START, wait).await.is_err() {
            tracing::warn!("the proxy that was started does not answer yet");
        }
    }
    tasks.spawn(watch(config.clone(), stop.clone()));
}

async fn watch(config: Config, stop: CancellationToken) {
    let socket = config.data_dir.join("proxy/admin.sock");
    let mut missing = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => (),
        }
        missing = if answers(&socket) { 0 } else { missing + 1 };
        if missing == 2 {
            tracing::warn!("no proxy answers; starting one");
            start(&config);
            missing = 0;
        }
    }
}

fn answers(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// Starts a proxy in a process group of its own, so that it outlives the engine; what it may write to is its own file,
/// unless it was asked for standard output.
fn start(config: &Config) {
    let Ok(program) = std::env::current_exe() else { return };
    let mut command = Command::new(program);
    command.arg("proxy").envs(config.for_proxy()).stdin(Stdio::null()).process_group(0);
    if config.proxy.access_log != Some(AccessLog::Stdout) {
        command.stdout(Stdio::null());
    }
    match command.spawn() {
        Ok(mut child) => {
            let reaper = std::thread::Builder::new().name("proxy-reaper".into());
            if let Err(error) = reaper.spawn(move || child.wait()) {
                tracing::debug!(%error, "the proxy will not be reaped");
            }
        }
        Err(error) => tracing::error!(%error, "the proxy cannot be started"),
    }
}
