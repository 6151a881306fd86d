//! The serving process.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{ProcessError, handover, io, lock};
use crate::access_log::Journal;
use crate::admin;
use crate::config::Config;
use crate::forward::{Forwarder, ids};
use crate::metrics::ProcessFigures;
use crate::names::{Keeper, NameServer, sort};
use crate::serving::Front;
use crate::table::Switchboard;

/// Threads that serve: more gain nothing on the hosts that were measured, and each costs memory.
const WORKERS: usize = 2;
/// Exit code of a child that must not be replaced: the next one would refuse as well.
pub(super) const GAVE_UP: u8 = 78;

/// Serves with what the parent passes on standard input, until SIGTERM. This is the whole of the child's `main`.
#[must_use]
pub fn serve() -> ExitCode {
    match serve_inherited() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::from(GAVE_UP)
        }
    }
}

fn serve_inherited() -> Result<(), ProcessError> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(io("take over its sockets"))?;
    let (config, mut descriptors) = handover::receive(stdin).map_err(io("take over its sockets"))?;
    if descriptors.is_empty() {
        return Err(io("take over its sockets")(std::io::Error::other("no lock was passed")));
    }
    let _lock = lock::sign(descriptors.remove(0))?;
    let parent = std::io::stdin().as_fd().try_clone_to_owned().map_err(io("speak to its parent"))?;
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(io("start its runtime"))?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(io("watch for SIGTERM"))?;
        // An interrupt from a terminal reaches parent and child; the parent passes it on in order.
        let mut int = signal(SignalKind::interrupt()).map_err(io("watch for SIGINT"))?;
        let serving = start_under(Keeper::parent(parent), config, descriptors)?;
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => {}
            }
        }
        serving.stop().await;
        Ok(())
    })
}

/// As many descriptors as the host allows: two for each connection.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        tracing::warn!(limit = ?limit.current, "cannot raise the limit of open files");
    }
}

/// A data plane that serves in this process.
#[derive(Debug)]
pub struct Serving {
    /// What its requests share.
    pub forwarder: Arc<Forwarder>,
    /// Where it accepts traffic.
    pub listen: Vec<SocketAddr>,
    front: Arc<Front>,
    names: Arc<NameServer>,
    stop: CancellationToken,
}

impl Serving {
    /// Accepts nothing more, lets what is open end within the grace, and cuts the rest.
    pub async fn stop(&self) {
        self.names.stop();
        self.front.stop().await;
        self.stop.cancel();
    }
}

/// Restores the table and serves on the sockets, within the runtime of the caller.
///
/// # Errors
/// When the table is damaged, or socket or log cannot be opened.
pub fn start(config: Config, sockets: Vec<OwnedFd>) -> Result<Serving, ProcessError> {
    start_under(Keeper::nobody(), config, sockets)
}

fn start_under(keeper: Keeper, config: Config, sockets: Vec<OwnedFd>) -> Result<Serving, ProcessError> {
    std::fs::create_dir_all(&config.folder).map_err(io("make its folder"))?;
    let (sockets, gateways) = sort(sockets);
    let mut listeners = Vec::new();
    let mut listen = Vec::new();
    for socket in sockets {
        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true).map_err(io("use a listening socket"))?;
        listen.push(listener.local_addr().map_err(io("use a listening socket"))?);
        listeners.push(tokio::net::TcpListener::from_std(listener).map_err(io("use a listening socket"))?);
    }
    let switchboard = Switchboard::restore(config.folder.join("table.json"), ids::router_boot(), listen.clone())?;
    let figures = Arc::new(ProcessFigures::default());
    let journal = Journal::open(&config.access_log, Arc::clone(&figures)).map_err(io("open its access log"))?;
    let socket = admin::bind(&config.folder.join("admin.sock")).map_err(io("open its administrative socket"))?;
    let switchboard = Arc::new(switchboard);
    let shared = (Arc::clone(&switchboard), Arc::clone(&figures));
    let names = NameServer::new(&config, shared, (gateways, keeper));
    let forwarder = Arc::new(Forwarder::new(config, switchboard, journal, figures));
    let front = Front::new(Arc::clone(&forwarder));
    for listener in listeners {
        front.listen(listener);
    }
    front.sweep();
    names.start();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let desk = admin::Desk { forwarder: Arc::clone(&forwarder), names: Arc::clone(&names) };
    let calls = admin::serve(socket, desk, tasks.clone());
    tasks.spawn(stop.clone().run_until_cancelled_owned(calls));
    tracing::info!(?listen, "serving");
    Ok(Serving { forwarder, listen, front, names, stop })
}
