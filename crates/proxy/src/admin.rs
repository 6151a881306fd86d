//! The engine's socket: [`crate::wire`] as JSON over HTTP/1.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config::MAX_ADMIN_BODY;
use crate::forward::Forwarder;
use crate::metrics;
use crate::names::NameServer;
use crate::wire::{PutRefused, RefusedCode, Table};

/// Connections of engine and people at once.
const MAX_ADMINS: usize = 64;
/// Time for the head of a call, s.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Owner and group: the group may be that of people who deploy.
const MODE: u32 = 0o660;
/// Pause after a failed accept, ms.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What can be asked about.
#[derive(Clone, Debug)]
pub struct Desk {
    /// Routes and figures.
    pub forwarder: Arc<Forwarder>,
    /// Names.
    pub names: Arc<NameServer>,
}

/// Opens the socket; a socket file without a listener is replaced. The lock on the folder must be held.
///
/// # Errors
/// When it cannot be made.
pub fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

/// Serves calls until it is dropped.
pub async fn serve(listener: UnixListener, desk: Desk, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(MAX_ADMINS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.clone();
                tasks.spawn(async move {
                    connection(stream, &desk).await;
                    drop(place);
                });
            }
            Err(e) => {
                tracing::warn!(error = %e, "cannot accept on the administrative socket");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, desk: &Desk) {
    let service = hyper::service::service_fn(|request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(call(&desk, request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(e) = served {
        tracing::debug!(error = %e, "administrative connection ended");
    }
}

async fn call(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let switchboard = &desk.forwarder.switchboard;
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/v1/table") => {
            json(StatusCode::OK, &Table { gateways: desk.names.gateways(), ..switchboard.view() })
        }
        (&Method::GET, "/v1/metrics") => {
            let text = metrics::render(&desk.forwarder.figures, &switchboard.load());
            plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
        }
        (&Method::PUT, "/v1/routes") => match read(request).await {
            Ok(put) => done(switchboard.put(&put).await),
            Err(refused) => done(Err(refused)),
        },
        (&Method::PUT, "/v1/fence") => match read(request).await {
            Ok(fence) => done(switchboard.fence(&fence).await),
            Err(refused) => done(Err(refused)),
        },
        (_, "/v1/table" | "/v1/metrics" | "/v1/routes" | "/v1/fence") => {
            plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::from_static(b"another method\n"))
        }
        _ => plain(StatusCode::NOT_FOUND, "text/plain", Bytes::from_static(b"no such call\n")),
    }
}

async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, PutRefused> {
    let invalid = |text: String| PutRefused { code: RefusedCode::Invalid, text };
    let body = Limited::new(request.into_body(), MAX_ADMIN_BODY).collect().await;
    let body = body.map_err(|e| invalid(format!("the body cannot be read: {e}")))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|e| invalid(format!("the body is not understood: {e}")))
}

fn done(outcome: Result<(), PutRefused>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(()) => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Err(refused) => json(StatusCode::CONFLICT, &refused),
    }
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(text) => plain(status, "application/json", text.into()),
        Err(e) => plain(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", e.to_string().into()),
    }
}

fn plain(status: StatusCode, kind: &'static str, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
