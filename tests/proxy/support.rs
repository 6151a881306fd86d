//! A data plane in this process, an origin on a plain socket, and raw clients.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cutover::adapters::router::HttpRouter;
use cutover::adapters::router::{Router, RouterError};
use cutover_proxy::config::{AccessLog, Config};
use cutover_proxy::process::{self, Serving};
use cutover_proxy::wire::{Fence, Probe, Put, RefusedCode, Route, RoutePolicy, Table, Target, Witness};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Patience of every wait in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds, or fails the test.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let look = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A data plane with its own folder.
pub struct Plane {
    pub folder: Arc<TempDir>,
    pub serving: Serving,
    pub router: HttpRouter,
    pub address: SocketAddr,
    pub boot: String,
    generation: AtomicUsize,
}

/// Settings with an access log in the folder.
pub fn config(folder: &Path) -> Config {
    Config {
        folder: folder.join("proxy"),
        hooks_socket: folder.join("hooks.sock"),
        access_log: AccessLog::File(folder.join("access.log")),
        ..Config::default()
    }
}

impl Plane {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    pub async fn on(folder: Arc<TempDir>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config(folder.path());
        change(&mut config);
        let router = HttpRouter::new(config.folder.join("admin.sock"));
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let serving = process::start(config, vec![socket.into()]).unwrap();
        let address = serving.listen[0];
        let boot = router.table().await.unwrap().router_boot;
        Self { folder, serving, router, address, boot, generation: AtomicUsize::new(0) }
    }

    /// A write with the next generation: host `app.test`, all paths.
    pub fn write(&self, targets: &[(&str, SocketAddr)]) -> Put {
        let port = targets.first().map_or(9, |(_, address)| address.port());
        let generation = u64::try_from(self.generation.fetch_add(1, Ordering::SeqCst)).unwrap() + 1;
        Put {
            workload: "wl_app".into(),
            name: "default/app".into(),
            log: "log_1".into(),
            generation,
            router_boot: self.boot.clone(),
            writer_epoch: 1,
            witness: Witness { position: generation, chain: "00".into() },
            routes: vec![route("app.test", "/", port)],
            targets: targets.iter().map(|(unit, at)| target(unit, *at)).collect(),
            probe: None,
            policy: RoutePolicy { drain_ms: 10_000, half_close: false },
        }
    }

    pub async fn put(&self, put: &Put) {
        self.router.put(put).await.unwrap();
    }

    /// Routes `app.test` to these targets. All must have the same port.
    pub async fn route(&self, targets: &[(&str, SocketAddr)]) {
        self.put(&self.write(targets)).await;
    }

    pub async fn refusal(&self, put: &Put) -> RefusedCode {
        refused(self.router.put(put).await)
    }

    pub async fn table(&self) -> Table {
        self.router.table().await.unwrap()
    }

    pub fn fence(&self, generation: u64) -> Fence {
        Fence {
            workload: "wl_app".into(),
            log: "log_1".into(),
            generation,
            router_boot: self.boot.clone(),
            writer_epoch: 1,
        }
    }

    pub async fn connect(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// One request on a connection of its own, to the end of the answer.
    pub async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")).await
    }

    /// Raw bytes on a connection of its own; everything until its end.
    pub async fn ask(&self, request: &str) -> String {
        let mut raw = self.connect().await;
        raw.send(request).await;
        raw.rest().await
    }

    pub async fn access_log(&self, lines: usize) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        until("the lines of the access log", || std::future::ready(read().lines().count() >= lines)).await;
        read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub fn refused(outcome: Result<(), RouterError>) -> RefusedCode {
    match outcome {
        Err(RouterError::Refused(refused)) => refused.code,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn route(host: &str, path: &str, port: u16) -> Route {
    Route { host: host.into(), path: path.into(), port, strip: false }
}

pub fn target(unit: &str, at: SocketAddr) -> Target {
    Target { unit: unit.into(), address: at.ip() }
}

pub fn probe(port: u16, path: Option<&str>) -> Probe {
    Probe { port, path: path.map(Into::into), host: String::new(), low: 200, high: 299, timeout_ms: 2_000 }
}

/// A raw connection.
pub struct Raw(pub TcpStream);

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// Reads until the text has come.
    pub async fn expect(&mut self, wanted: &str) -> String {
        let mut got = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&got).contains(wanted) {
                let n = self.0.read_buf(&mut got).await.unwrap_or(0);
                assert!(n > 0, "ended before {wanted:?}: {:?}", String::from_utf8_lossy(&got));
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(in_time, "{wanted:?} does not come: {got:?}");
        got
    }

    /// Everything until the end or a reset.
    pub async fn rest(&mut self) -> String {
        let mut got = Vec::new();
        let reading = async { while self.0.read_buf(&mut got).await.is_ok_and(|n| n > 0) {} };
        let in_time = tokio::time::timeout(PATIENCE, reading).await.is_ok();
        let got = String::from_utf8_lossy(&got).into_owned();
        assert!(in_time, "the connection stays open: {got:?}");
        got
    }

    /// Whether the other end has closed; waits for it.
    pub async fn closes(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.0.read(&mut byte)).await.expect("it stays open");
        !matches!(read, Ok(n) if n > 0)
    }
}

/// An origin whose connections are served by a function of the test.
pub struct Origin {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Origin {
    /// Serves each connection with `serve`, which gets its number too.
    pub async fn raw<F, S>(serve: F) -> Self
    where
        F: Fn(Raw, usize) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::raw_at("127.0.0.1:0".parse().unwrap(), serve).await
    }

    pub async fn raw_at<F, S>(at: SocketAddr, serve: F) -> Self
    where
        F: Fn(Raw, usize) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                open.spawn(serve(Raw(stream), count.fetch_add(1, Ordering::SeqCst)));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// Answers each request with `answer(head, body)`, kept alive.
    pub async fn answering(answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Self {
        Self::answering_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    pub async fn answering_at(at: SocketAddr, answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::raw_at(at, move |mut raw, _| {
            let answer = Arc::clone(&answer);
            async move {
                while let Some((head, body)) = read_request(&mut raw).await {
                    let text = answer(&head, &body);
                    if raw.0.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Answers each request with its own head and body.
    pub async fn echo() -> Self {
        Self::answering(|head, body| ok(&format!("{head}{}", String::from_utf8_lossy(body)))).await
    }

    /// Answers each request with a name.
    pub async fn named(name: &'static str) -> Self {
        Self::answering(move |_, _| ok(name)).await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// One request: its head with the empty line, and its body, chunks decoded. `None` at the end of the connection.
pub async fn read_request(raw: &mut Raw) -> Option<(String, Vec<u8>)> {
    let mut got = Vec::new();
    let end = loop {
        if let Some(at) = got.windows(4).position(|part| part == b"\r\n\r\n") {
            break at + 4;
        }
        if raw.0.read_buf(&mut got).await.unwrap_or(0) == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&got[..end]).into_owned();
    let mut body = got[end..].to_vec();
    let lower = head.to_ascii_lowercase();
    if lower.contains("transfer-encoding: chunked") {
        while !body.ends_with(b"0\r\n\r\n") && !String::from_utf8_lossy(&body).contains("\r\n0\r\n") {
            if raw.0.read_buf(&mut body).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        return Some((head, dechunk(&body)));
    }
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
    while body.len() < length.unwrap_or(0) {
        if raw.0.read_buf(&mut body).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn dechunk(mut text: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = text.windows(2).position(|part| part == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&text[..at]).unwrap(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.extend_from_slice(&text[at + 2..at + 2 + size]);
        text = &text[at + 4 + size..];
    }
    body
}
