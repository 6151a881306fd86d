//! The parent: lock, sockets, and one child at a time.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::child::GAVE_UP;
use super::{ProcessError, handover, io, lock};
use crate::config::{Config, STOP_GRACE};
use crate::names::Kept;

/// Connections that wait while no child serves; the kernel's own limit is lower on most hosts.
const BACKLOG: i32 = 4_096;
/// A child that lived longer is replaced at once, a shorter one after [`RESPAWN_PAUSE`], s.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// Pause between children that do not live, ms.
const RESPAWN_PAUSE: Duration = Duration::from_millis(200);
/// Time beyond the child's own grace after which it is killed, s.
const KILL_AFTER: Duration = Duration::from_secs(2);

/// How a child is started: this program again, with arguments that make it call [`super::serve`].
#[derive(Clone, Debug)]
pub struct Reexec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// Holds lock and sockets and keeps a child serving, until SIGTERM or SIGINT has ended both.
///
/// # Errors
/// When the folder is held by another proxy, an address is taken, or the child refuses to serve.
pub fn run(config: &Config, reexec: &Reexec) -> Result<(), ProcessError> {
    std::fs::create_dir_all(&config.folder).map_err(io("make its folder"))?;
    let lock = lock::sign(OwnedFd::from(lock::take(&config.folder.join("lock"))?))?;
    let listeners = listeners(config)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("start its runtime"))?;
    runtime.block_on(keep_serving(config, reexec, Held { lock, listeners, gateways: Kept::default() }))
}

struct Held {
    lock: File,
    listeners: Vec<OwnedFd>,
    /// Opened by a child, for its successor.
    gateways: Kept,
}

/// Those of socket activation, or else our own.
fn listeners(config: &Config) -> Result<Vec<OwnedFd>, ProcessError> {
    let mut given = ListenFd::from_env();
    let mut sockets = Vec::new();
    for at in 0..given.len() {
        if let Some(listener) = given.take_tcp_listener(at).map_err(io("take the socket that systemd passed"))? {
            sockets.push(listener.into());
        }
    }
    if sockets.is_empty() {
        for address in &config.listen {
            let bound = bind(*address).map_err(|source| ProcessError::Listen { address: *address, source })?;
            sockets.push(bound.into());
        }
    }
    Ok(sockets)
}

/// Opens a listening socket.
///
/// # Errors
/// When the address is taken or not ours.
pub(super) fn bind(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn keep_serving(config: &Config, reexec: &Reexec, mut held: Held) -> Result<(), ProcessError> {
    let mut term = signal(SignalKind::terminate()).map_err(io("watch for SIGTERM"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(io("watch for SIGINT"))?;
    loop {
        let born = Instant::now();
        let (mut child, said) = spawn(config, reexec, &held)?;
        let ended = tokio::select! {
            ended = child.wait() => ended.map_err(io("wait for its child"))?,
            () = asked(&mut term, &mut int) => return end(child).await,
            never = listen(&said, &mut held.gateways) => match never {},
        };
        // What it said last.
        while held.gateways.take(&said).is_ok() {}
        if ended.code() == Some(i32::from(GAVE_UP)) {
            return Err(ProcessError::GaveUp);
        }
        tracing::warn!(%ended, "the serving process ended and is replaced");
        if born.elapsed() < SHORT_LIFE {
            tokio::select! {
                () = tokio::time::sleep(RESPAWN_PAUSE) => {}
                () = asked(&mut term, &mut int) => return Ok(()),
            }
        }
    }
}

/// Keeps what the child passes to it.
async fn listen(child: &tokio::net::UnixStream, gateways: &mut Kept) -> Infallible {
    loop {
        let taken = match child.readable().await {
            Ok(()) => child.try_io(Interest::READABLE, || gateways.take(child)),
            Err(e) => Err(e),
        };
        if taken.is_err_and(|e| e.kind() != ErrorKind::WouldBlock) {
            // It says nothing any more: it ends, and the wait for that goes on.
            std::future::pending::<Infallible>().await;
        }
    }
}

async fn asked(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// A child, and the end at which it speaks to us.
fn spawn(config: &Config, reexec: &Reexec, held: &Held) -> Result<(Child, tokio::net::UnixStream), ProcessError> {
    let (ours, theirs) = UnixStream::pair().map_err(io("make a socket pair"))?;
    let child = Command::new(&reexec.program)
        .args(&reexec.args)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .map_err(io("start its serving process"))?;
    let listeners = held.listeners.iter().map(AsFd::as_fd);
    let descriptors: Vec<_> =
        std::iter::once(held.lock.as_fd()).chain(listeners).chain(held.gateways.descriptors()).collect();
    match handover::send(&ours, config, &descriptors) {
        // It died before it had read everything: the wait for its end sees that.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => return Err(io("pass its sockets")(e)),
        Ok(()) | Err(_) => {}
    }
    ours.set_nonblocking(true).map_err(io("listen to its child"))?;
    Ok((child, tokio::net::UnixStream::from_std(ours).map_err(io("listen to its child"))?))
}

async fn end(mut child: Child) -> Result<(), ProcessError> {
    if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)) {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .map_err(|e| io("stop its child")(e.into()))?;
    }
    if tokio::time::timeout(STOP_GRACE + KILL_AFTER, child.wait()).await.is_err() {
        child.kill().await.map_err(io("kill its child"))?;
    }
    Ok(())
}
