//! The two processes that stay in the foreground.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;

use cutover_proxy::config as proxy_config;
use cutover_proxy::process::{self, Reexec};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::cli::exit::{Exit, Failure};
use crate::cli::grammar::SERVING_PROXY;
use crate::config::{Config, LogFormat};
use crate::server;

/// `serve`: the engine, until SIGTERM or SIGINT.
pub(super) fn serve(config: Config) -> Result<Exit, Failure> {
    log_to_stderr(&config)?;
    for line in config.to_string().lines().filter(|line| !line.is_empty()) {
        tracing::info!("configuration: {line}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| other(format!("the runtime cannot be started: {e}")))?;
    let served = runtime.block_on(async {
        let stop = CancellationToken::new();
        let signals = stop_on_signal(stop.clone())?;
        let ended = tokio::select! {
            ended = server::run(config, stop.clone()) => ended,
            never = signals => match never {},
        };
        ended.map_err(|error| other(error.to_string()))
    });
    served.map(|()| Exit::Ok)
}

/// Cancels `stop` at the first signal; never ends by itself, so that the engine ends in order.
fn stop_on_signal(stop: CancellationToken) -> Result<impl Future<Output = std::convert::Infallible>, Failure> {
    let watched = |kind| signal(kind).map_err(|e| other(format!("signals cannot be watched: {e}")));
    let (mut term, mut int) = (watched(SignalKind::terminate())?, watched(SignalKind::interrupt())?);
    Ok(async move {
        loop {
            tokio::select! {
                _ = term.recv() => (),
                _ = int.recv() => (),
            }
            tracing::info!("the engine ends; traffic goes on through the proxy");
            stop.cancel();
        }
    })
}

/// `proxy`: the parent that holds lock and sockets, until SIGTERM or SIGINT.
pub(super) fn proxy(config: &Config) -> Result<Exit, Failure> {
    log_to_stderr(config)?;
    let program = std::env::current_exe().map_err(|e| other(format!("this program cannot be found: {e}")))?;
    let reexec = Reexec { program, args: vec![OsString::from(SERVING_PROXY)] };
    let settings = proxy_config::Config {
        folder: config.data_dir.join("proxy"),
        listen: config.proxy.listen.clone(),
        hooks_host: config.hooks.host.clone(),
        hooks_socket: config.data_dir.join("hooks.sock"),
        ..proxy_config::Config::default()
    };
    process::run(&settings, &reexec).map(|()| Exit::Ok).map_err(|error| other(error.to_string()))
}

/// The child of `proxy`: serves with what its parent passes on standard input.
pub(in crate::cli) fn serving_proxy() -> ExitCode {
    let config = Config::default();
    if let Err(failure) = log_to_stderr(&config) {
        crate::cli::output::tell(&failure);
        return failure.exit.code();
    }
    process::serve()
}

/// The log of the process, on stderr: results are on stdout.
fn log_to_stderr(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log.level)
        .map_err(|e| Failure::usage(format!("[log] level = \"{}\": {e}; expected e.g. info", config.log.level)))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match config.log.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    set.map_err(|e| other(format!("the log cannot be set up: {e}")))
}

fn other(text: String) -> Failure {
    Failure::new(Exit::Other, text)
}
