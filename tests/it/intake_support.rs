//! Hooks, signatures, a listener on loopback and a small client.

use std::path::PathBuf;
use std::sync::Arc;

use cutover::clock::Clock;
use cutover::intake::bodies::BodyFolder;
use cutover::intake::hooks::{Hook, HookBook, Secrets};
use cutover::intake::listener::{Intake, router};
use cutover::intake::receive::Room;
use cutover_events::HookId;
use cutover_events::workload::Provider;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::intake_log::TestLog;

pub(crate) const SECRET: &str = "a secret of these tests";
pub(crate) const OLD_SECRET: &str = "the secret before";
pub(crate) const GITHUB: HookId = HookId([1; 16]);
pub(crate) const GENERIC: HookId = HookId([2; 16]);

/// The signature of GitHub, with its prefix.
pub(crate) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

pub(crate) fn secrets(newest_first: &[&str]) -> Secrets {
    Secrets::new(newest_first.iter().map(|secret| Zeroizing::new(secret.as_bytes().to_vec())).collect())
}

pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut out = HeaderMap::new();
    for (name, value) in pairs {
        out.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    out
}

pub(crate) fn generic() -> Provider {
    Provider::Generic { header: "x-signature".into() }
}

/// One of the project's own payloads.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hooks").join(name)).unwrap()
}

/// Payloads collected from real senders, where this machine has them.
#[expect(clippy::disallowed_methods, reason = "how a test is told where they are")]
pub(crate) fn collected(folder: &str) -> Option<PathBuf> {
    let root = std::env::var("CUTOVER_SHARED").map_or_else(|_| PathBuf::from("../shared"), PathBuf::from);
    let found = Some(root.join("webhooks").join(folder)).filter(|path| path.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: no collected payloads ({folder}); set CUTOVER_SHARED to the folder that holds webhooks/");
    }
    found
}

/// Hooks that a test changes.
#[derive(Default)]
pub(crate) struct Hooks(Mutex<Vec<Arc<Hook>>>);

impl Hooks {
    pub(crate) fn both() -> Arc<Self> {
        let hooks = Self::default();
        hooks.put(GITHUB, "github", Provider::GitHub, &[SECRET, OLD_SECRET]);
        hooks.put(GENERIC, "ci", generic(), &[SECRET]);
        Arc::new(hooks)
    }

    pub(crate) fn put(&self, id: HookId, name: &str, provider: Provider, newest_first: &[&str]) {
        let mut hooks = self.0.lock();
        hooks.retain(|hook| hook.id != id);
        hooks.push(Arc::new(Hook { id, name: name.into(), provider, secrets: secrets(newest_first) }));
    }
}

impl HookBook for Hooks {
    fn find(&self, hook: HookId) -> Option<Arc<Hook>> {
        self.0.lock().iter().find(|known| known.id == hook).cloned()
    }
}

/// A listener on loopback; ends with this value.
pub(crate) struct Served {
    pub(crate) intake: Arc<Intake>,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) bodies: tempfile::TempDir,
    _serving: JoinSet<()>,
}

pub(crate) async fn serve(log: Arc<TestLog>) -> Served {
    serve_with(log, Room::default()).await
}

pub(crate) async fn serve_with(log: Arc<TestLog>, room: Room) -> Served {
    let bodies = tempfile::tempdir().unwrap();
    let folder = Arc::new(BodyFolder::open(bodies.path()).unwrap());
    let intake = Arc::new(Intake::new(log, Hooks::both(), folder, Clock::system()).with_room(room));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    let app = router(intake.clone());
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    Served { intake, address, bodies, _serving: serving }
}

/// An answer: status, lower-case head, body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Served {
    /// Sends one request and reads the answer to its end.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("content-length".to_owned(), body.len().to_string())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&head(method, path, &all)).await.unwrap();
        // The answer may come before the body has been taken: a refusal is no error of the client.
        let written = stream.write_all(body).await;
        let answer = read(&mut stream).await;
        written.unwrap_or_else(|e| assert!(answer.status >= 400, "{e}: {answer:?}"));
        answer
    }

    /// A signed GitHub call.
    pub(crate) async fn github(&self, event: &str, delivery: &str, body: &[u8]) -> Answer {
        let signature = sign(SECRET, body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ];
        self.send("POST", &format!("/hooks/{GITHUB}"), &headers, body).await
    }

    /// A signed generic call.
    pub(crate) async fn generic(&self, extra: &[(&str, &str)], body: &[u8]) -> Answer {
        let signature = sign(SECRET, body);
        let mut headers = vec![("content-type", "application/json"), ("x-signature", signature.as_str())];
        headers.extend_from_slice(extra);
        self.send("POST", &format!("/hooks/{GENERIC}"), &headers, body).await
    }
}

pub(crate) fn head(method: &str, path: &str, headers: &[(String, String)]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nhost: hooks.test\r\nconnection: close\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    out.into_bytes()
}

pub(crate) async fn read(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(e) => {
                assert!(!bytes.is_empty(), "no answer: {e}");
                break;
            }
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
