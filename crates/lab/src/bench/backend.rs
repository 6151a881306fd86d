//! The origin that proxies are measured with: it answers as fast as it can, on one thread.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Result;

/// Serves `/1k` and `/64k` until it is ended.
pub(super) async fn serve(addr: SocketAddr) -> Result<ExitCode> {
    let listener = TcpListener::bind(addr).await?;
    let small = Bytes::from(vec![b'x'; 1024]);
    let large = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(_) = connections.join_next() => continue,
            () = crate::interrupted() => return Ok(ExitCode::SUCCESS),
        };
        stream.set_nodelay(true)?;
        let (small, large) = (small.clone(), large.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let body = if request.uri().path() == "/64k" { large.clone() } else { small.clone() };
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(body))))
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        connections.spawn(async move { drop(connection.await) });
    }
}
