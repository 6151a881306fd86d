//! A connection and one request on it.

use std::fmt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::{Call, CallError};
use crate::api::request::IDEMPOTENCY_KEY;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an engine may take to begin its answer: longer than one request waits, and than a whole log is verified.
pub(super) const ANSWER: Duration = Duration::from_secs(180);
/// How long a file may be on its way, until it is judged: 1 GiB over 1 Mbit/s takes two and a half hours.
pub(super) const SENT: Duration = Duration::from_secs(6 * 60 * 60);
/// How much of a file is read at once, bytes.
const PIECE: usize = 256 << 10;

/// Where the engine is.
#[derive(Debug, Clone)]
pub(in crate::cli) enum Target {
    /// Its socket.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

/// An answer whose body is still coming. The connection lives as long as this does.
pub(in crate::cli) struct Exchange {
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) body: Incoming,
    pub(super) connection: JoinSet<()>,
    /// What the connection becomes, where the call asked for that.
    pub(super) upgrade: Option<OnUpgrade>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(authority) => write!(f, "http://{authority}"),
        }
    }
}

impl Target {
    /// What a person can do when nobody answers.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Unix(_) => "start it with `cutover serve`, or name its configuration with --config",
            Self::Tcp(_) => "check the address, and that [api] listen is set there",
        }
    }
}

/// What a call that asks to become a connection comes to.
pub(super) enum Upgrading {
    /// It has.
    Done(TokioIo<Upgraded>),
    /// It has not; the answer says why.
    Refused(Exchange),
}

/// Sends a call that asks to become a connection of frames.
pub(super) async fn upgrade(target: &Target, token: Option<&str>, call: &Call) -> Result<Upgrading, CallError> {
    let Exchange { status, body, connection, upgrade } = open(target, token, call).await?;
    let exchange = Exchange { status, body, connection, upgrade: None };
    match upgrade.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS) {
        None => Ok(Upgrading::Refused(exchange)),
        Some(upgrade) => {
            // The driver of the connection gives it away only while it runs.
            let upgraded = upgrade.await.map_err(|e| CallError::Broken(e.to_string()))?;
            drop(exchange);
            Ok(Upgrading::Done(TokioIo::new(upgraded)))
        }
    }
}

pub(super) async fn open(target: &Target, token: Option<&str>, call: &Call) -> Result<Exchange, CallError> {
    match target {
        Target::Unix(path) => {
            let stream = in_time(UnixStream::connect(path)).await?;
            exchange(stream, request("localhost", token, call)?, call.patience).await
        }
        Target::Tcp(authority) => {
            let stream = in_time(TcpStream::connect(authority.as_str())).await?;
            exchange(stream, request(authority, token, call)?, call.patience).await
        }
    }
}

async fn in_time<T>(connect: impl Future<Output = std::io::Result<T>>) -> Result<T, CallError> {
    let connected = tokio::time::timeout(CONNECT, connect).await;
    let connected = connected.map_err(|_| CallError::Unreachable("it does not answer in time".to_owned()))?;
    connected.map_err(|e| CallError::Unreachable(plain(&e)))
}

/// Without the number that the system adds: people read this.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no socket".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied: the socket is for its user and group".to_owned(),
        _ => error.to_string(),
    }
}

/// A body, whole or as it is read.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The body of a call: a file is read piece by piece, from its beginning however often it is sent.
fn body(call: &Call) -> Body {
    let Some((file, _)) = &call.file else {
        let whole = Full::new(call.body.clone().unwrap_or_default());
        return whole.map_err(|never| match never {}).boxed_unsync();
    };
    let begin = (file.clone(), 0_u64, call.counted.clone());
    let pieces = stream::try_unfold(begin, |(file, at, counted)| async move {
        if let Some(counted) = &counted {
            counted.store(at, Ordering::Relaxed);
        }
        let reader = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let length = reader.read_at(&mut piece, at)?;
            piece.truncate(length);
            std::io::Result::Ok(piece)
        });
        let piece = read.await.map_err(std::io::Error::other)??;
        let next = at + piece.len() as u64;
        Ok((!piece.is_empty()).then(|| (Frame::data(Bytes::from(piece)), (file, next, counted))))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn request(host: &str, token: Option<&str>, call: &Call) -> Result<Request<Body>, CallError> {
    let mut request = Request::builder().method(call.method.clone()).uri(&call.path).header(header::HOST, host);
    request = request.header(header::ACCEPT, call.accept).header(header::USER_AGENT, USER_AGENT);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(key) = &call.key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    if let Some(protocol) = call.upgrade {
        request = request.header(header::CONNECTION, "upgrade").header(header::UPGRADE, protocol);
    }
    if call.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some((_, length)) = call.file {
        request =
            request.header(header::CONTENT_TYPE, "application/octet-stream").header(header::CONTENT_LENGTH, length);
    }
    if let Some(coding) = call.packed {
        request = request.header(header::CONTENT_ENCODING, coding);
    }
    request.body(body(call)).map_err(|e| CallError::Unreachable(format!("the request cannot be built: {e}")))
}

const USER_AGENT: &str = concat!("cutover/", env!("CARGO_PKG_VERSION"));

async fn exchange<S>(stream: S, request: Request<Body>, patience: Duration) -> Result<Exchange, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |e: hyper::Error| CallError::Broken(e.to_string());
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut connection = JoinSet::new();
    // What the driver meets, the request and its body meet too.
    connection.spawn(async move { drop(driver.with_upgrades().await) });
    let answer = tokio::time::timeout(patience, sender.send_request(request)).await;
    let mut answer = answer.map_err(|_| CallError::Broken("no answer in time".to_owned()))?.map_err(broken)?;
    let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = switched.then(|| hyper::upgrade::on(&mut answer));
    let (parts, body) = answer.into_parts();
    Ok(Exchange { status: parts.status, body, connection, upgrade })
}
