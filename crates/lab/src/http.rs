//! One request over one connection.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

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
    let exchange = async {
        let stream = TcpStream::connect(addr).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let answered = async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            Ok::<_, crate::Failure>((status, String::from_utf8_lossy(&body).into_owned()))
        };
        tokio::select! {
            answer = answered => answer,
            // The connection may end first when the answer is complete; the answer is what counts.
            ended = connection => Err(format!("the connection ended: {ended:?}").into()),
        }
    };
    tokio::time::timeout(ANSWER, exchange).await.map_err(|_| format!("{addr} did not answer within {ANSWER:?}"))?
}

/// Sends JSON over a unix socket and returns the body; any other status than a success is an error.
pub(crate) async fn unix(socket: &std::path::Path, method: &str, path: &str, body: &str) -> Result<String> {
    let stream =
        tokio::net::UnixStream::connect(socket).await.map_err(|error| format!("{}: {error}", socket.display()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let answered = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(body) } else { Err(format!("{method} {path}: {status} {body}").into()) }
    };
    tokio::select! {
        answer = answered => answer,
        ended = connection => Err(format!("the connection ended: {ended:?}").into()),
    }
}
