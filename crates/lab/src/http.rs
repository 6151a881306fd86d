//! One request over one connection.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::Result;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// GET: status and body.
pub(crate) async fn get(addr: SocketAddr, host: &str, path: &str) -> Result<(u16, String)> {
    let request = Request::get(path).header("host", host).body(Full::new(Bytes::new()))?;
    let (status, body) = send(addr, request).await?;
    Ok((status.as_u16(), body))
}

/// Sends a request over a connection of its own.
pub(crate) async fn send(addr: SocketAddr, request: Request<Full<Bytes>>) -> Result<(StatusCode, String)> {
    exchange(TcpStream::connect(addr).await?, request).await
}

/// Sends JSON over a unix socket and returns the body; any other status than a success is an error.
pub(crate) async fn unix(socket: &Path, method: &str, path: &str, body: &str) -> Result<String> {
    let (status, text) = unix_status(socket, method, path, body).await?;
    if (200..300).contains(&status) { Ok(text) } else { Err(format!("{method} {path}: {status} {text}").into()) }
}

/// Sends JSON over a unix socket; status and body.
pub(crate) async fn unix_status(socket: &Path, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let stream = UnixStream::connect(socket).await.map_err(|error| format!("{}: {error}", socket.display()))?;
    let (status, text) = exchange(stream, request).await?;
    Ok((status.as_u16(), text))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(ANSWER, answer).await.map_err(|_| format!("no answer within {ANSWER:?}"))?
}
