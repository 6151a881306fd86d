//! What `BuildKit` asks back while it builds: the values of secrets, and what opens a registry.
//!
//! The daemon is handed a connection on which it is the client, by gRPC over HTTP/2. Three calls of one message each are
//! all that a build of ours can need.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use zeroize::Zeroizing;

use super::http::Daemon;
use super::wire::{bytes_field, fields, frame, unframe};
use super::{Build, BuildError, BuildSecret, RegistryLogin};

/// The value of a secret.
const SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// User and password of a registry.
const LOGIN: &str = "/moby.filesync.v1.Auth/Credentials";
/// Whether we are still there.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// Largest question, bytes: a name or two.
const MAX_QUESTION: usize = 64 << 10;
/// How Docker Hub calls itself where it asks for a login.
const HUB: [&str; 3] = ["registry-1.docker.io", "https://index.docker.io/v1/", "index.docker.io"];

/// The status of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    Ok = 0,
    NotFound = 5,
    Unimplemented = 12,
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// What may be asked for.
struct Answers {
    secrets: Vec<BuildSecret>,
    logins: Vec<RegistryLogin>,
}

/// Opens the session of a build; it is served for as long as [`serve`] is polled.
pub(super) async fn open(daemon: &Daemon, id: &str) -> Result<Upgraded, BuildError> {
    let headers = [
        ("X-Docker-Expose-Session-Uuid", id),
        ("X-Docker-Expose-Session-Name", "cutover"),
        ("X-Docker-Expose-Session-Sharedkey", ""),
        ("X-Docker-Expose-Session-Grpc-Method", SECRET),
        ("X-Docker-Expose-Session-Grpc-Method", LOGIN),
        ("X-Docker-Expose-Session-Grpc-Method", HEALTH),
    ];
    daemon.hand_over("/session", &headers).await
}

/// Answers until the daemon closes the session.
pub(super) async fn serve(session: Upgraded, build: &Build) {
    let answers = Arc::new(Answers { secrets: build.secrets.clone(), logins: build.logins.clone() });
    let service = service_fn(move |request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, Infallible>(answers.take(request).await) }
    });
    let served = http2::Builder::new(TokioExecutor::new()).serve_connection(session, service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "the session of a build ended");
    }
}

impl Answers {
    async fn take(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let Ok(question) = Limited::new(request.into_body(), MAX_QUESTION).collect().await else {
            return reply(Status::Unimplemented, None);
        };
        let question = question.to_bytes();
        self.answer(&path, unframe(&question).unwrap_or_default())
            .map_or_else(|status| reply(status, None), |message| reply(Status::Ok, Some(&message)))
    }

    fn answer(&self, path: &str, question: &[u8]) -> Result<Zeroizing<Vec<u8>>, Status> {
        let asked =
            fields(question).find(|(number, _)| *number == 1).map(|(_, field)| field.text()).unwrap_or_default();
        match path {
            SECRET => {
                let secret = self.secrets.iter().find(|secret| secret.id == asked).ok_or(Status::NotFound)?;
                Ok(Zeroizing::new(bytes_field(1, &secret.value)))
            }
            LOGIN => {
                let hub = HUB.contains(&asked.as_str());
                let of = |login: &&RegistryLogin| login.registry == asked || (hub && login.registry == "docker.io");
                let Some(login) = self.logins.iter().find(of) else { return Ok(Zeroizing::default()) };
                let message = [bytes_field(1, login.user.as_bytes()), bytes_field(2, login.password.as_bytes())];
                Ok(Zeroizing::new(message.concat()))
            }
            // SERVING.
            HEALTH => Ok(Zeroizing::new(vec![0x08, 0x01])),
            _ => Err(Status::Unimplemented),
        }
    }
}

fn reply(status: Status, message: Option<&[u8]>) -> Reply {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status as u16));
    let message = message.map(|message| Frame::data(frame(message)));
    let frames = message.into_iter().chain([Frame::trailers(trailers)]).map(Ok);
    let mut reply =
        Response::new(StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())).boxed_unsync());
    reply.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_handed_over_is_answered() {
        let secret = |id: &str, value: &str| BuildSecret {
            id: id.to_owned(),
            value: Zeroizing::new(value.as_bytes().to_vec()),
            version: String::new(),
        };
        let login = |registry: &str| RegistryLogin {
            registry: registry.to_owned(),
            user: "bob".to_owned(),
            password: Zeroizing::new("pw".to_owned()),
        };
        let answers = Answers { secrets: vec![secret("a", "1"), secret("b", "2")], logins: vec![login("docker.io")] };
        let ask = |path: &str, name: &str| answers.answer(path, &bytes_field(1, name.as_bytes())).map(|m| m.to_vec());
        assert_eq!(ask(SECRET, "b"), Ok(b"\x0a\x012".to_vec()));
        assert_eq!(ask(SECRET, "c"), Err(Status::NotFound));
        assert_eq!(ask(LOGIN, "registry-1.docker.io"), Ok(b"\x0a\x03bob\x12\x02pw".to_vec()));
        assert_eq!(ask(LOGIN, "other.example"), Ok(Vec::new()));
        assert_eq!(ask("/x.Y/Z", ""), Err(Status::Unimplemented));
    }
}
