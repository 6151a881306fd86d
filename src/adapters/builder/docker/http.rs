//! Docker's HTTP API as far as builds need it: a connection per call, answers that stream, and connections that are handed
//! over. Why not by the library of `runtime/docker`: `docs/adr`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::BuildError;

/// A healthy daemon answers in milliseconds; removing a large image takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whether a daemon answers at all.
const PING: Duration = Duration::from_secs(2);
/// Largest answer to a call that does not stream, bytes: a list of thousands of images.
const MAX_ANSWER: usize = 64 << 20;
/// The version of the API from which on `BuildKit` is there without being switched on.
const BUILDKIT: (u32, u32) = (1, 39);
/// Longest text of Docker in an error, characters.
const TEXT: usize = 500;

/// What is sent.
pub(super) type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// Where Docker is.
#[derive(Clone, Debug)]
pub(super) struct Daemon {
    socket: PathBuf,
}

/// An answer on its way; its connection is closed when this is dropped.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    connection: JoinSet<()>,
}

impl Daemon {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Whether the daemon has `BuildKit`: Docker's own have had it since that version, Podman says another name.
    pub(super) async fn has_buildkit(&self) -> Result<bool, BuildError> {
        let ping = timeout(PING, self.send(request(Method::GET, "/_ping", &[], nothing())?)).await;
        let answer =
            ping.map_err(|_| BuildError::Unavailable(format!("ping: no answer in {} s", PING.as_secs())))??;
        let said = |name| answer.response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(has_buildkit(said("server"), said("ostype"), said("api-version")))
    }

    /// A call with a whole answer; `None` for what is not there, and for a conflict `Err(Refused)`.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Option<Value>, BuildError> {
        self.answered(request(method, path, &[], nothing())?).await
    }

    /// The same with something to tell.
    pub(super) async fn tell(&self, path: &str, body: &Value) -> Result<Option<Value>, BuildError> {
        let sent = Full::new(Bytes::from(body.to_string())).map_err(io::Error::other).boxed_unsync();
        let mut request = request(Method::POST, path, &[], sent)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.answered(request).await
    }

    async fn answered(&self, request: Request<Sent>) -> Result<Option<Value>, BuildError> {
        let call = async {
            let answer = self.send(request).await?;
            let status = answer.response.status();
            let body = whole(answer.response).await?;
            match status {
                status if status.is_success() => Ok(Some(serde_json::from_slice(&body).unwrap_or(Value::Null))),
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(refusal(status, &body)),
            }
        };
        timeout(PATIENCE, call).await.map_err(|_| late())?
    }

    /// A call whose answer streams; a refusal is an error.
    pub(super) async fn stream(&self, request: Request<Sent>) -> Result<Answer, BuildError> {
        let answer = self.send(request).await?;
        let status = answer.response.status();
        if status.is_success() {
            return Ok(answer);
        }
        let Answer { response, connection } = answer;
        let body = timeout(PATIENCE, whole(response)).await.map_err(|_| late())??;
        drop(connection);
        Err(refusal(status, &body))
    }

    /// A call after which the connection is ours.
    pub(super) async fn hand_over(&self, path: &str, headers: &[(&str, &str)]) -> Result<Upgraded, BuildError> {
        let more = [(CONNECTION.as_str(), "Upgrade"), (UPGRADE.as_str(), "h2c")];
        let request = request(Method::POST, path, &[headers, &more].concat(), nothing())?;
        let handing = async {
            let Answer { response, mut connection } = self.send(request).await?;
            let status = response.status();
            if status != StatusCode::SWITCHING_PROTOCOLS {
                return Err(refusal(status, &whole(response).await?));
            }
            let upgraded = hyper::upgrade::on(response).await.map_err(|error| broken(&error));
            // It has given its socket away, and ends.
            connection.join_next().await;
            upgraded
        };
        timeout(PATIENCE, handing).await.map_err(|_| late())?
    }

    async fn send(&self, request: Request<Sent>) -> Result<Answer, BuildError> {
        let place = self.socket.display();
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            BuildError::Unavailable(format!("{place}: {error}; start Docker (systemctl start docker)"))
        })?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "a connection to Docker ended");
            }
        });
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        Ok(Answer { response, connection })
    }
}

fn has_buildkit(server: &str, os: &str, version: &str) -> bool {
    let version = version.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    server.starts_with("Docker/") && os == "linux" && version.is_some_and(|version: (u32, u32)| version >= BUILDKIT)
}

/// A request with what Docker wants of each.
pub(super) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Sent,
) -> Result<Request<Sent>, BuildError> {
    let mut builder = Request::builder().method(method).uri(path).header(HOST, "docker");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder
        .header(CONTENT_TYPE, "application/x-tar")
        .body(body)
        .map_err(|error| BuildError::Refused(format!("Docker cannot be asked so: {error}")))
}

pub(super) fn nothing() -> Sent {
    Empty::new().map_err(io::Error::other).boxed_unsync()
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, BuildError> {
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| BuildError::Unavailable(error.to_string()))
}

fn late() -> BuildError {
    BuildError::Unavailable(format!("no answer within {} s", PATIENCE.as_secs()))
}

pub(super) fn broken(error: &hyper::Error) -> BuildError {
    // The context is ours: when it cannot be read, Docker is not at fault.
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(source) if error.is_user() => BuildError::Context(source.to_string()),
        _ => BuildError::Unavailable(error.to_string()),
    }
}

/// What Docker says, in one line of bounded length.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT).collect()
}

/// What a status means that is no success.
fn refusal(status: StatusCode, body: &[u8]) -> BuildError {
    let message = serde_json::from_slice::<Value>(body).ok();
    let message = message.as_ref().and_then(|value| value["message"].as_str()).map(str::to_owned);
    let said = line(&message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()));
    match status.as_u16() {
        400..=499 => BuildError::Refused(format!("Docker refuses: {said}")),
        _ => BuildError::Unavailable(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_with_buildkit_is_known_by_its_greeting() {
        assert!(has_buildkit("Docker/20.10.24+dfsg1 (linux)", "linux", "1.41"));
        assert!(has_buildkit("Docker/28.5.2 (linux)", "linux", "1.51"));
        assert!(!has_buildkit("Docker/18.06.0 (linux)", "linux", "1.38"));
        assert!(!has_buildkit("Libpod/4.3.1 (linux)", "linux", "1.41"));
        assert!(!has_buildkit("Docker/28.5.2 (windows)", "windows", "1.51"));
        assert!(!has_buildkit("", "", ""));
    }

    #[test]
    fn what_docker_refuses_is_told_from_a_bad_moment() {
        let of = |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(
            of(400, r#"{"message":"unknown\n instruction"}"#),
            BuildError::Refused("Docker refuses: unknown instruction".into())
        );
        assert_eq!(of(503, "busy"), BuildError::Unavailable("busy".into()));
    }
}
