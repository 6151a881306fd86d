//! Sockets: the local one, whose peers are known by the kernel, and TCP, where a token is needed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::auth::Origin;

/// Name of the local socket in the data folder.
pub const ENGINE_SOCKET: &str = "engine.sock";
/// Connections of one listener that are open at once, a count: more wait in the backlog.
const MAX_CONNECTIONS: usize = 1024;
/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may take once the engine ends; event streams end by themselves.
const ENDING: Duration = Duration::from_secs(5);
/// After an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Who may speak to the engine without a token: its user and its group.
const SOCKET_MODE: u32 = 0o660;

/// A unix socket at this path, in place of an earlier one: whoever holds the lock of the data folder is the only one
/// who may listen there, and a process that is just being started can keep a dead one's socket open for a moment.
///
/// # Errors
/// The path cannot be bound.
pub fn bind_unix(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// Serves the local socket until `end`: requests need no token, their actor is the peer's user.
pub async fn serve_unix(listener: UnixListener, router: Router, end: CancellationToken) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = next(&mut connections, &end, listener.accept()).await {
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(connection(peer(&stream), stream, router.clone(), end.clone()))),
            Err(error) => pause(&error).await,
        }
    }
    finish(connections).await;
}

/// Serves TCP until `end`: every request needs a token.
pub async fn serve_tcp(listener: TcpListener, router: Router, end: CancellationToken) {
    let mut connections = JoinSet::new();
    while let Some(accepted) = next(&mut connections, &end, listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                drop(connections.spawn(connection(Origin::Network, stream, router.clone(), end.clone())));
            }
            Err(error) => pause(&error).await,
        }
    }
    finish(connections).await;
}

/// The next connection, once there is room for it; `None` at the end.
async fn next<T>(
    connections: &mut JoinSet<()>,
    end: &CancellationToken,
    accept: impl Future<Output = std::io::Result<T>>,
) -> Option<std::io::Result<T>> {
    while connections.try_join_next().is_some() {}
    while connections.len() >= MAX_CONNECTIONS {
        tokio::select! {
            _ = connections.join_next() => (),
            () = end.cancelled() => return None,
        }
    }
    tokio::select! {
        accepted = accept => Some(accepted),
        () = end.cancelled() => None,
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection to the API could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn finish(mut connections: JoinSet<()>) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(ENDING, all).await.is_err() {
        connections.shutdown().await;
    }
}

fn peer(stream: &UnixStream) -> Origin {
    match stream.peer_cred() {
        Ok(peer) => Origin::Local { uid: peer.uid(), user: user_name(peer.uid()) },
        Err(error) => {
            tracing::warn!(%error, "the peer of a local connection is unknown; it needs a token");
            Origin::Network
        }
    }
}

/// The login name of a user in `/etc/passwd`, empty when it is not there.
fn user_name(uid: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(of).unwrap_or_default()
}

async fn connection<S>(origin: Origin, stream: S, router: Router, end: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(origin.clone());
        service.call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(None);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = end.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error, "a connection to the API ended early");
    }
}
