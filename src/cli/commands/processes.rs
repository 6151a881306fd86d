//! The two processes that stay in the foreground.

use std::ffi::OsString;

use cutover_proxy::config::AccessLog;
use cutover_proxy::process::{Reexec, run};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::exit::{Exit, Failure};
use crate::config::{Config, LogFormat};
use crate::{server, telemetry};

/// Threads of the engine: its work waits for Docker and the disk.
const WORKERS: usize = 2;
/// The hidden argument that makes this program the serving child of a proxy.
pub(crate) const CHILD: &str = "proxy-child";

/// `serve`: until SIGTERM or SIGINT; an engine that cannot go on ends with an error, to be started again.
pub(super) fn serve(config: &Config) -> Result<Exit, Failure> {
    log(config);
    tracing::info!("configuration:\n{config}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Other, format!("no threads can be started: {error}")))?;
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut engine = std::pin::pin!(server::run(config.clone(), stop.clone()));
        let signals = async {
            let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::select! {
                _ = term.recv() => (),
                _ = int.recv() => (),
            }
            Ok::<_, std::io::Error>(())
        };
        tokio::select! {
            ended = &mut engine => return ended,
            heard = signals => if let Err(error) = heard {
                tracing::warn!(%error, "signals are not heard");
                return engine.await;
            },
        }
        tracing::info!("ending; what is under way goes on when an engine is started again");
        stop.cancel();
        engine.await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended.map(|()| Exit::Ok).map_err(|error| Failure::new(Exit::Other, error.to_string()))
}

/// `proxy`: until SIGTERM or SIGINT.
pub(super) fn proxy(config: &Config) -> Result<Exit, Failure> {
    log(config);
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Other, format!("this program cannot find itself: {error}")))?;
    let reexec = Reexec { program, args: vec![OsString::from(CHILD)] };
    let data_plane = cutover_proxy::config::Config {
        folder: config.data_dir.join("proxy"),
        listen: config.proxy.listen.clone(),
        hooks_host: config.hooks.host.clone(),
        hooks_socket: config.data_dir.join("hooks.sock"),
        trusted_proxies: config.proxy.trusted.clone(),
        access_log: config.proxy.access_log.clone().unwrap_or(AccessLog::Stdout),
        ..cutover_proxy::config::Config::default()
    };
    run(&data_plane, &reexec).map(|()| Exit::Ok).map_err(|error| Failure::new(Exit::Other, error.to_string()))
}

fn log(config: &Config) {
    let format = match config.log.format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::init(format, &config.log.level);
}
