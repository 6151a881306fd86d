//! The data plane over its administrative socket.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cutover_proxy::wire::{Fence, Put, PutRefused, Table};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;

use super::{Router, RouterError};

/// How long an answer may take beyond the probe that it contains, s: an fsync on a busy disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer, bytes: ten thousand entries of 2 KiB.
const MAX_ANSWER: usize = 20 * 1024 * 1024;

/// Calls the proxy that listens on a unix socket, one connection per call.
#[derive(Clone, Debug)]
pub struct HttpRouter {
    socket: PathBuf,
}

impl HttpRouter {
    /// For the proxy whose administrative socket this is (`proxy/admin.sock` in the data folder).
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// The Prometheus text of the proxy.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<String, RouterError> {
        let (status, text) = self.call(Method::GET, "/v1/metrics", Bytes::new(), PATIENCE).await?;
        expect(status, StatusCode::OK, &text)?;
        String::from_utf8(text.into()).map_err(|e| RouterError::Unavailable(e.to_string()))
    }

    async fn write<T: Serialize + Sync>(&self, path: &str, body: &T, patience: Duration) -> Result<(), RouterError> {
        let body = serde_json::to_vec(body).map_err(|e| RouterError::Unavailable(e.to_string()))?;
        let (status, text) = self.call(Method::PUT, path, body.into(), patience).await?;
        if status == StatusCode::CONFLICT {
            let refused: PutRefused = serde_json::from_slice(&text)
                .map_err(|e| RouterError::Unavailable(format!("its refusal is not understood: {e}")))?;
            return Err(RouterError::Refused(refused));
        }
        expect(status, StatusCode::NO_CONTENT, &text)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<(StatusCode, Bytes), RouterError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "proxy")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| RouterError::Unavailable(e.to_string()))?;
        match tokio::time::timeout(patience, self.exchange(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(RouterError::Unavailable(format!("{}: {e}", self.socket.display()))),
            Err(_) => Err(RouterError::Unavailable(format!("no answer within {} s", patience.as_secs()))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> std::io::Result<(StatusCode, Bytes)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(std::io::Error::other)?;
            let status = answer.status();
            let text =
                Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(std::io::Error::other)?.to_bytes();
            Ok((status, text))
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            // The last bytes may have come with the end of the connection.
            _ = connection => exchange.await,
        }
    }
}

fn expect(status: StatusCode, wanted: StatusCode, text: &Bytes) -> Result<(), RouterError> {
    if status == wanted {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(text).chars().take(200).collect();
    Err(RouterError::Unavailable(format!("status {status} instead of {wanted}: {said}")))
}

#[async_trait]
impl Router for HttpRouter {
    async fn table(&self) -> Result<Table, RouterError> {
        let (status, text) = self.call(Method::GET, "/v1/table", Bytes::new(), PATIENCE).await?;
        expect(status, StatusCode::OK, &text)?;
        serde_json::from_slice(&text).map_err(|e| RouterError::Unavailable(format!("its table is not understood: {e}")))
    }

    async fn put(&self, put: &Put) -> Result<(), RouterError> {
        let probing = Duration::from_millis(put.probe.as_ref().map_or(0, |probe| probe.timeout_ms));
        self.write("/v1/routes", put, PATIENCE + probing).await
    }

    async fn fence(&self, fence: &Fence) -> Result<(), RouterError> {
        self.write("/v1/fence", fence, PATIENCE).await
    }
}
