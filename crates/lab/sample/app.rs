//! The workload that the lab deploys: one static program over the standard library alone, a thread per connection.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a page that shows which version and which container answer |
//! | `/1k` `/64k` | 1,024 or 65,536 times `x` |
//! | `/id` `/version` | the host name of the container; the version |
//! | `/healthz` | 200 when ready, 503 before; after `HEALTH_MS` |
//! | `/slow?ms=` | after that time (default 300) |
//! | `/sse?ms=` | an event every `ms` (default 200): `data: VERSION N` with N counting from 0 |
//! | `/ws` | a websocket that echoes |
//! | `POST /echo` | `LENGTH CHECKSUM` of the body (FNV-1a, 64 bit, hex) |
//! | `/headers` | the request's header fields, one a line |
//!
//! It misbehaves on wish, by environment: `EXIT_AT_START`, `NEVER_LISTEN`, `STATUS_500` (any value but empty),
//! `READY_AFTER_MS`, `EXIT_AFTER_READY_MS`. Its last words go to stderr. With `DATABASE` (`name:port`) `/1k` and `/healthz`
//! ask a PostgreSQL first; with the argument `work` it is a worker beside it, see `database.rs`;
//! with `stay` it is one that needs nothing. A worker ends at once under `WORKER_EXITS`.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// Longest request head that is read, bytes.
const HEAD_LIMIT: u64 = 64 * 1024;
/// Longest websocket message that is echoed, bytes.
const MESSAGE_LIMIT: u64 = 64 * 1024;
/// Stack of a connection's thread, bytes; the default of 2 MiB is for deeper programs.
const STACK: usize = 128 * 1024;
/// How long requests in flight may go on after the signal to end.
const GRACE: Duration = Duration::from_secs(10);
/// Signal numbers and the flag of `shutdown(2)` on Linux.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;
const SHUT_RDWR: i32 = 2;

static STOPPING: AtomicBool = AtomicBool::new(false);
static LISTENER: AtomicI32 = AtomicI32::new(-1);
static IN_FLIGHT: AtomicU64 = AtomicU64::new(0);
static SERVED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    safe fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    safe fn shutdown(fd: i32, how: i32) -> i32;
    safe fn _exit(code: i32) -> !;
}

/// Wakes `accept`; before there is a listener, ends at once. Only calls that a signal handler may make.
extern "C" fn on_signal(_: i32) {
    STOPPING.store(true, SeqCst);
    let listener = LISTENER.load(SeqCst);
    if listener < 0 {
        _exit(0);
    }
    shutdown(listener, SHUT_RDWR);
}

struct Settings {
    version: String,
    id: String,
    health: Duration,
    ready_after: Duration,
    exit_after_ready: Option<Duration>,
    status_500: bool,
    started: Instant,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn millis(name: &str) -> Option<Duration> {
    env(name).and_then(|value| value.parse().ok()).map(Duration::from_millis)
}

fn settings() -> &'static Settings {
    SETTINGS.get_or_init(|| Settings {
        version: env("VERSION").unwrap_or_else(|| "v0".into()),
        id: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().into(),
        health: millis("HEALTH_MS").unwrap_or_default(),
        ready_after: millis("READY_AFTER_MS").unwrap_or_default(),
        exit_after_ready: millis("EXIT_AFTER_READY_MS"),
        status_500: env("STATUS_500").is_some(),
        started: Instant::now(),
    })
}

fn main() -> ExitCode {
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    let settings = settings();
    let version = &settings.version;
    match std::env::args().nth(1).as_deref() {
        Some("work") => return database::work(),
        Some("stay") => return stay(),
        Some("build") => return build(),
        _ => {}
    }
    if env("EXIT_AT_START").is_some() {
        eprintln!("sample {version}: cannot read its settings, giving up");
        return ExitCode::from(3);
    }
    if env("NEVER_LISTEN").is_some() {
        eprintln!("sample {version}: waiting for a database that never comes");
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    let port: u16 = env("PORT").and_then(|port| port.parse().ok()).unwrap_or(8080);
    let listener = match TcpListener::bind(("0.0.0.0", port)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("sample {version}: cannot listen on port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    LISTENER.store(listener.as_raw_fd(), SeqCst);
    println!("sample {version}: listening on port {port}");
    accept(&listener);
    let deadline = Instant::now() + GRACE;
    while IN_FLIGHT.load(SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    println!("sample {version}: ends after {} requests", SERVED.load(SeqCst));
    ExitCode::SUCCESS
}

/// A step of a build: it takes as many seconds as the second argument says, and fails where it says nothing.
fn build() -> ExitCode {
    let seconds = std::env::args().nth(2).and_then(|seconds| seconds.parse().ok());
    let Some(seconds) = seconds else {
        eprintln!("sample: there is nothing to build");
        return ExitCode::from(6);
    };
    println!("sample: builds for {seconds} s");
    thread::sleep(Duration::from_secs(seconds));
    ExitCode::SUCCESS
}

/// A worker without work: it stays, or ends at once.
fn stay() -> ExitCode {
    if env("WORKER_EXITS").is_none() {
        loop {
            thread::park();
        }
    }
    eprintln!("sample {}: a worker without work, giving up", settings().version);
    ExitCode::from(5)
}

fn accept(listener: &TcpListener) {
    while !STOPPING.load(SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let serve = move || drop(serve(stream));
                if let Err(error) = thread::Builder::new().stack_size(STACK).spawn(serve) {
                    eprintln!("sample: no thread for a connection: {error}");
                }
            }
            Err(_) if STOPPING.load(SeqCst) => return,
            Err(error) => {
                eprintln!("sample: accept: {error}");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A request whose body has not been read yet.
struct Request {
    method: String,
    path: String,
    query: String,
    fields: Vec<(String, String)>,
    keep: bool,
}

enum Framing {
    Length(u64),
    Chunked,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1.parse().ok()
    }

    fn framing(&self) -> Framing {
        if self.field("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
            return Framing::Chunked;
        }
        Framing::Length(self.field("content-length").and_then(|value| value.parse().ok()).unwrap_or(0))
    }
}

/// Counts a request for as long as its answer is not complete.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        IN_FLIGHT.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.fetch_sub(1, SeqCst);
        SERVED.fetch_add(1, SeqCst);
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_head(&mut reader)? {
        match request.path.as_str() {
            "/ws" => return websocket(&request, &mut reader, &mut stream),
            "/sse" => return events(&request, &mut stream),
            _ => {}
        }
        let in_flight = InFlight::begin();
        let body = read_body(&request, &mut reader)?;
        answer(&request, body, &mut stream)?;
        drop(in_flight);
        if !request.keep || STOPPING.load(SeqCst) {
            return Ok(());
        }
    }
    Ok(())
}

fn broken(text: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

/// The head of the next request; `None` when the peer has closed.
fn read_head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut limited = reader.take(HEAD_LIMIT);
    let mut line = String::new();
    if limited.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(target), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err(broken("not a request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        fields: Vec::new(),
        keep: protocol == "HTTP/1.1",
    };
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line)? == 0 {
            return Err(broken("head cut off or too long"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken("field without a colon"))?;
        request.fields.push((name.into(), value.trim().into()));
    }
    match request.field("connection").map(str::to_ascii_lowercase).as_deref() {
        Some("close") => request.keep = false,
        Some("keep-alive") => request.keep = true,
        _ => {}
    }
    Ok(Some(request))
}

/// What is remembered of a body: its length and its checksum.
struct Sum {
    length: u64,
    hash: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn add_exactly(&mut self, reader: &mut BufReader<TcpStream>, mut left: u64) -> io::Result<()> {
        let mut buffer = [0_u8; 16 * 1024];
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            reader.read_exact(&mut buffer[..want])?;
            self.add(&buffer[..want]);
            left -= want as u64;
        }
        Ok(())
    }
}

fn read_body(request: &Request, reader: &mut BufReader<TcpStream>) -> io::Result<Sum> {
    let mut sum = Sum { length: 0, hash: 0xcbf2_9ce4_8422_2325 };
    match request.framing() {
        Framing::Length(length) => sum.add_exactly(reader, length)?,
        Framing::Chunked => loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| broken("not a chunk size"))?;
            sum.add_exactly(reader, size)?;
            let mut end = String::new();
            reader.read_line(&mut end)?;
            // Trailer fields are read and dropped.
            while size == 0 && !end.trim_end().is_empty() {
                end.clear();
                reader.read_line(&mut end)?;
            }
            if size == 0 {
                break;
            }
        },
    }
    Ok(sum)
}

fn answer(request: &Request, body: Sum, stream: &mut TcpStream) -> io::Result<()> {
    let settings = settings();
    if settings.status_500 {
        eprintln!("sample {}: answers 500 to {}", settings.version, request.path);
        return send(request, "500 Internal Server Error", b"broken on purpose\n", stream);
    }
    match request.path.as_str() {
        "/" => send(request, "200 OK", page().as_bytes(), stream),
        "/1k" if !database::answers() => send(request, "502 Bad Gateway", b"no database\n", stream),
        "/1k" => send(request, "200 OK", &[b'x'; 1024], stream),
        "/64k" => send(request, "200 OK", &vec![b'x'; 64 * 1024], stream),
        "/id" => send(request, "200 OK", settings.id.as_bytes(), stream),
        "/version" => send(request, "200 OK", settings.version.as_bytes(), stream),
        "/healthz" => health(request, stream),
        "/slow" => {
            thread::sleep(Duration::from_millis(request.number("ms").unwrap_or(300)));
            send(request, "200 OK", b"slow\n", stream)
        }
        "/echo" if request.method == "POST" => {
            send(request, "200 OK", format!("{} {:016x}", body.length, body.hash).as_bytes(), stream)
        }
        "/headers" => {
            let lines: String = request.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            send(request, "200 OK", lines.as_bytes(), stream)
        }
        _ => send(request, "404 Not Found", b"no such path\n", stream),
    }
}

fn health(request: &Request, stream: &mut TcpStream) -> io::Result<()> {
    static SEEN_READY: AtomicBool = AtomicBool::new(false);
    let settings = settings();
    thread::sleep(settings.health);
    if settings.started.elapsed() < settings.ready_after || !database::answers() {
        return send(request, "503 Service Unavailable", b"warming up\n", stream);
    }
    send(request, "200 OK", b"ready\n", stream)?;
    if let Some(after) = settings.exit_after_ready.filter(|_| !SEEN_READY.swap(true, SeqCst)) {
        thread::spawn(move || {
            thread::sleep(after);
            eprintln!("sample {}: lost its nerve after {} ms", settings.version, after.as_millis());
            _exit(4);
        });
    }
    Ok(())
}

fn send(request: &Request, status: &str, body: &[u8], stream: &mut TcpStream) -> io::Result<()> {
    let kind = if request.path == "/" { "text/html; charset=utf-8" } else { "text/plain" };
    let settings = settings();
    let close = if request.keep && !STOPPING.load(SeqCst) { "" } else { "Connection: close\r\n" };
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nX-Version: {}\r\nX-Instance: {}\r\n{close}\r\n",
        body.len(),
        settings.version,
        settings.id,
    )
    .into_bytes();
    if request.method != "HEAD" {
        out.extend_from_slice(body);
    }
    stream.write_all(&out)
}

fn page() -> String {
    let settings = settings();
    let hue = settings.version.bytes().fold(200_u32, |hue, byte| hue.wrapping_mul(31).wrapping_add(u32::from(byte))) % 360;
    format!(
        "<!doctype html><meta charset=utf-8><title>{version}</title>\
         <style>body{{font:2rem system-ui;margin:15vh auto;max-width:30em;background:hsl({hue} 60% 92%)}}\
         small{{font-size:1rem;color:#555}}</style>\
         <h1>Version {version}</h1><p>answered by container <code>{id}</code>\
         <p><small>This page asks again every half second; watch it change while no request fails.</small>\
         <script>setInterval(()=>fetch('/version').then(r=>r.text()).then(v=>{{if(v!=='{version}')location.reload()}})\
         .catch(()=>{{}}),500)</script>\n",
        version = settings.version,
        id = settings.id,
    )
}

fn events(request: &Request, stream: &mut TcpStream) -> io::Result<()> {
    let pause = Duration::from_millis(request.number("ms").unwrap_or(200).max(1));
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut number = 0_u64;
    while !STOPPING.load(SeqCst) {
        let event = format!("data: {} {number}\n\n", settings().version);
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
        number += 1;
        thread::sleep(pause);
    }
    stream.write_all(b"0\r\n\r\n")
}

fn websocket(request: &Request, reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> io::Result<()> {
    let Some(key) = request.field("sec-websocket-key") else {
        return send(request, "400 Bad Request", b"not a websocket handshake\n", stream);
    };
    let accept = base64(&sha1(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes()));
    stream.write_all(
        format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
            .as_bytes(),
    )?;
    loop {
        let mut head = [0_u8; 2];
        reader.read_exact(&mut head)?;
        let mut length = u64::from(head[1] & 0x7f);
        if length >= 126 {
            let mut wide = [0_u8; 8];
            let bytes = if length == 126 { 2 } else { 8 };
            reader.read_exact(&mut wide[8 - bytes..])?;
            length = u64::from_be_bytes(wide);
        }
        let mut mask = [0_u8; 4];
        if head[1] & 0x80 == 0 || length > MESSAGE_LIMIT {
            return Err(broken("an unmasked or very long frame"));
        }
        reader.read_exact(&mut mask)?;
        let mut payload = vec![0_u8; usize::try_from(length).unwrap_or(0)];
        reader.read_exact(&mut payload)?;
        payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= mask[index % 4]);
        match head[0] & 0x0f {
            0 | 1 | 2 => frame(stream, head[0], &payload)?,
            8 => return frame(stream, 0x88, &payload),
            9 => frame(stream, 0x8a, &payload)?,
            _ => {}
        }
    }
}

fn frame(stream: &mut TcpStream, first: u8, payload: &[u8]) -> io::Result<()> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(short as u8),
        long => {
            out.push(if long < 65_536 { 126 } else { 127 });
            let wide = (long as u64).to_be_bytes();
            out.extend_from_slice(if long < 65_536 { &wide[6..] } else { &wide[..] });
        }
    }
    out.extend_from_slice(payload);
    stream.write_all(&out)
}

fn sha1(message: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (mix, constant) = match at / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(mix).wrapping_add(e).wrapping_add(constant).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(value);
        }
    }
    let mut digest = [0_u8; 20];
    digest.chunks_exact_mut(4).zip(state).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_be_bytes()));
    digest
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let wide = group.iter().fold(0_u32, |wide, byte| wide << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(wide >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
