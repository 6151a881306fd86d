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
use cutover_proxy::wire::{Fence, Place, Probe, Put, RefusedCode, Route, RoutePolicy, Table, Target, Witness};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Patience of every wait in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds, or fails the test.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let look = async {
        while !holds().await {
            look.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A data plane with its own folder.
pub(crate) struct Plane {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) serving: Serving,
    pub(crate) router: HttpRouter,
    pub(crate) address: SocketAddr,
    pub(crate) boot: String,
    generation: AtomicUsize,
}

/// Settings with an access log in the folder.
pub(crate) fn config(folder: &Path) -> Config {
    Config {
        folder: folder.join("proxy"),
        hooks_socket: folder.join("hooks.sock"),
        access_log: AccessLog::File(folder.join("access.log")),
        ..Config::default()
    }
}

impl Plane {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), change).await
    }

    pub(crate) async fn on(folder: Arc<TempDir>, change: impl FnOnce(&mut Config)) -> Self {
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
    pub(crate) fn write(&self, targets: &[(&str, SocketAddr)]) -> Put {
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
            former: Vec::new(),
            probe: None,
            names: None,
            policy: RoutePolicy { drain_ms: 10_000, half_close: false },
        }
    }

    pub(crate) async fn put(&self, put: &Put) {
        self.router.put(put).await.unwrap();
    }

    /// Routes `app.test` to these targets. All must have the same port.
    pub(crate) async fn route(&self, targets: &[(&str, SocketAddr)]) {
        self.put(&self.write(targets)).await;
    }

    pub(crate) async fn refusal(&self, put: &Put) -> RefusedCode {
        refused(self.router.put(put).await)
    }

    pub(crate) async fn table(&self) -> Table {
        self.router.table().await.unwrap()
    }

    pub(crate) fn fence(&self, generation: u64) -> Fence {
        Fence {
            workload: "wl_app".into(),
            log: "log_1".into(),
            generation,
            router_boot: self.boot.clone(),
            writer_epoch: 1,
        }
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// One request on a connection of its own, to the end of the answer.
    pub(crate) async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n")).await
    }

    /// Raw bytes on a connection of its own; everything until its end.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut raw = self.connect().await;
        raw.send(request).await;
        raw.rest().await
    }

    pub(crate) async fn access_log(&self, lines: usize) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("access.log");
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        until("the lines of the access log", || std::future::ready(read().lines().count() >= lines)).await;
        read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn refused(outcome: Result<(), RouterError>) -> RefusedCode {
    match outcome {
        Err(RouterError::Refused(refused)) => refused.code,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn route(host: &str, path: &str, port: u16) -> Route {
    Route { host: host.into(), path: path.into(), port, strip: false, address: None }
}

pub(crate) fn target(unit: &str, at: SocketAddr) -> Target {
    Target { unit: unit.into(), place: Place::Address(at.ip()) }
}

pub(crate) fn probe(port: u16, path: Option<&str>) -> Probe {
    Probe { port, path: path.map(Into::into), host: String::new(), low: 200, high: 299, timeout_ms: 2_000 }
}

/// A raw connection, with what was read and not yet asked for.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    held: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).await.unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, held: Vec::new() }
    }

    /// Sends what it can: whoever has gone away is noticed by what is read.
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        drop(self.stream.write_all(text.as_ref()).await);
    }

    /// Reads more; whether there was any.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.held)).await;
        let held = || String::from_utf8_lossy(&self.held);
        let Ok(read) = read else { panic!("nothing comes after {:?}", held()) };
        read.is_ok_and(|n| n > 0)
    }

    /// Everything up to the end of this text.
    pub(crate) async fn expect(&mut self, wanted: &str) -> String {
        let found = |held: &[u8]| held.windows(wanted.len()).position(|part| part == wanted.as_bytes());
        let end = loop {
            if let Some(at) = found(&self.held) {
                break at + wanted.len();
            }
            assert!(self.more().await, "ended before {wanted:?}: {:?}", String::from_utf8_lossy(&self.held));
        };
        let got: Vec<u8> = self.held.drain(..end).collect();
        String::from_utf8_lossy(&got).into_owned()
    }

    /// Everything until the end or a reset.
    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }

    /// This many bytes, or `None` at the end.
    async fn exactly(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.held.len() < len {
            if !self.more().await {
                return None;
            }
        }
        Some(self.held.drain(..len).collect())
    }

    /// Everything up to the end of this text, or `None` at the end of the connection.
    async fn up_to(&mut self, wanted: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.held.windows(wanted.len()).position(|part| part == wanted) {
                return Some(self.held.drain(..at + wanted.len()).collect());
            }
            // An idle connection may stay open for as long as the test wants.
            if self.stream.read_buf(&mut self.held).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }
}

/// An origin whose connections are served by a function of the test.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Origin {
    /// Serves each connection with `serve`, which gets its number too.
    pub(crate) async fn raw<F, S>(serve: F) -> Self
    where
        F: Fn(Raw, usize) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        Self::raw_at("127.0.0.1:0".parse().unwrap(), serve).await
    }

    pub(crate) async fn raw_at<F, S>(at: SocketAddr, serve: F) -> Self
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
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(Raw::of(stream), count.fetch_add(1, Ordering::SeqCst)));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// Answers each request with `answer(head, body)`, kept alive.
    pub(crate) async fn answering(answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Self {
        Self::answering_at("127.0.0.1:0".parse().unwrap(), answer).await
    }

    pub(crate) async fn answering_at(
        at: SocketAddr,
        answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        Self::raw_at(at, move |raw, _| answer_all(raw, Arc::clone(&answer))).await
    }

    /// Answers each request with its own head and body.
    pub(crate) async fn echo() -> Self {
        Self::answering(|head, body| ok(&format!("{head}{}", String::from_utf8_lossy(body)))).await
    }

    /// Answers each request with a name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::answering(move |_, _| ok(name)).await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn answer_all(mut raw: Raw, answer: Arc<impl Fn(&str, &[u8]) -> String>) {
    while let Some((head, body)) = read_request(&mut raw).await {
        raw.send(answer(&head, &body)).await;
    }
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// One request: its head with the empty line, and its body, chunks decoded. `None` at the end of the connection.
pub(crate) async fn read_request(raw: &mut Raw) -> Option<(String, Vec<u8>)> {
    let head = String::from_utf8_lossy(&raw.up_to(b"\r\n\r\n").await?).into_owned();
    let lower = head.to_ascii_lowercase();
    if !lower.contains("transfer-encoding: chunked") {
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
        let body = raw.exactly(length.unwrap_or(0)).await?;
        return Some((head, body));
    }
    let mut body = Vec::new();
    loop {
        let size = raw.up_to(b"\r\n").await?;
        let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim(), 16).unwrap();
        body.extend(raw.exactly(size).await?);
        raw.exactly(2).await?;
        if size == 0 {
            return Some((head, body));
        }
    }
}
