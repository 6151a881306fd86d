//! What is read from Docker itself: Compose's own listings differ between its programs, labels do not.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::ComposeError;

/// A listing reads a few files for each container; a hung daemon takes connections and never answers.
const LIST: Duration = Duration::from_secs(20);
/// Sizes are counted file by file.
const COUNT: Duration = Duration::from_secs(60);
/// Largest answer, bytes: two thousand containers of 8 KiB.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The socket of Docker; one connection per call.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    socket: PathBuf,
}

impl Engine {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// All containers of a project, or volumes of one, as Docker tells them.
    pub(super) async fn labelled(&self, what: &str, label: &str) -> Result<Value, ComposeError> {
        self.get(&format!("/{what}?{}", query(label)), LIST).await
    }

    /// All containers, whether they run or not.
    pub(super) async fn containers(&self) -> Result<Value, ComposeError> {
        self.get("/containers/json?all=1", LIST).await
    }

    /// What takes how much of the disk.
    pub(super) async fn usage(&self) -> Result<Value, ComposeError> {
        self.get("/system/df", COUNT).await
    }

    async fn get(&self, path: &str, deadline: Duration) -> Result<Value, ComposeError> {
        let unavailable = |why: String| ComposeError::Unavailable(format!("Docker does not answer: {why}"));
        match timeout(deadline, self.exchange(path)).await {
            Ok(Ok((StatusCode::OK, body))) => {
                serde_json::from_slice(&body).map_err(|error| unavailable(format!("its answer is not JSON: {error}")))
            }
            Ok(Ok((status, _))) => Err(unavailable(format!("it answers with status {status}"))),
            Ok(Err(error)) => Err(unavailable(format!("{}: {error}", self.socket.display()))),
            Err(_) => Err(unavailable(format!("no answer within {} s", deadline.as_secs()))),
        }
    }

    async fn exchange(&self, path: &str) -> std::io::Result<(StatusCode, Bytes)> {
        let other = std::io::Error::other::<Box<dyn std::error::Error + Send + Sync>>;
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| other(e.into()))?;
        let request = Request::get(path).header(HOST, "docker").body(Empty::<Bytes>::new());
        let request = request.map_err(|e| other(e.into()))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|e| other(e.into()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(other)?;
            Ok((status, body.to_bytes()))
        };
        tokio::pin!(connection);
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended.map_err(|e| other(e.into()))?;
                answer.await
            }
        }
    }
}

/// Asks for what carries a label, whether it runs or not.
fn query(label: &str) -> String {
    let filters = serde_json::json!({ "label": [label] }).to_string();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("all", "1").append_pair("filters", &filters).finish()
}
