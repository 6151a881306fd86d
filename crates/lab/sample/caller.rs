//! A workload that calls others by their names, as any program does: the resolver of libc, a fresh connection for each
//! request. One file over the standard library.
//!
//! `CALL` lists what it calls, as `name:port/path` separated by spaces, each every `EVERY_MS` (default 50). A call is good
//! when its answer is 200 with a body. On `PORT` (default 8080) it tells what came of them, as JSON: for each name the
//! calls, those that failed, the first failures in words, and how often each body was seen.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Patience of one connection, one write, one read.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures that are told in words.
const TOLD: usize = 5;
/// Longest answer that is read, bytes.
const ANSWER_LIMIT: u64 = 64 * 1024;

#[derive(Default)]
struct Tally {
    calls: u64,
    failed: u64,
    failures: Vec<String>,
    bodies: BTreeMap<String, u64>,
    slowest: Duration,
}

type Tallies = Arc<Mutex<BTreeMap<String, Tally>>>;

fn main() -> io::Result<()> {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let every = Duration::from_millis(number("EVERY_MS", 50));
    let tallies = Tallies::default();
    for call in std::env::var("CALL").unwrap_or_default().split_whitespace() {
        let (call, tallies) = (call.to_owned(), Arc::clone(&tallies));
        thread::spawn(move || call_for_ever(&call, every, &tallies));
    }
    let port = u16::try_from(number("PORT", 8080)).unwrap_or(8080);
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    println!("caller: listening on port {port}");
    for stream in listener.incoming() {
        if let Err(error) = stream.and_then(|stream| tell(stream, &tallies)) {
            eprintln!("caller: a reader went away: {error}");
        }
    }
    Ok(())
}

fn call_for_ever(call: &str, every: Duration, tallies: &Tallies) {
    let mut next = Instant::now();
    loop {
        let began = Instant::now();
        let outcome = one(call);
        note(call, outcome, began.elapsed(), tallies);
        next = (next + every).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn note(call: &str, outcome: io::Result<String>, took: Duration, tallies: &Tallies) {
    let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
    let tally = tallies.entry(call.to_owned()).or_default();
    tally.calls += 1;
    tally.slowest = tally.slowest.max(took);
    match outcome {
        Ok(body) => *tally.bodies.entry(body).or_default() += 1,
        Err(error) => {
            tally.failed += 1;
            eprintln!("caller: {call}: {error} after {took:?}");
            if tally.failures.len() < TOLD {
                tally.failures.push(format!("{error} after {took:?}"));
            }
        }
    }
}

/// One call: the name is looked up anew, the connection is a fresh one.
fn one(call: &str) -> io::Result<String> {
    let (host, path) = call.split_once('/').unwrap_or((call, ""));
    let mut last = io::Error::other("the name has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return request(stream, host, path),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(last)
}

fn request(mut stream: TcpStream, host: &str, path: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_LIMIT).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("the answer was cut off"))?;
    if head.starts_with("HTTP/1.1 200") && !body.is_empty() {
        return Ok(body.to_owned());
    }
    Err(io::Error::other(format!("it answered {:?}", head.lines().next().unwrap_or_default())))
}

fn tell(mut stream: TcpStream, tallies: &Tallies) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; 4096];
    let mut read = 0;
    while !head[..read].windows(4).any(|end| end == b"\r\n\r\n") && read < head.len() {
        match stream.read(&mut head[read..])? {
            0 => break,
            n => read += n,
        }
    }
    let text = json(&tallies.lock().unwrap_or_else(PoisonError::into_inner));
    let length = text.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}")
}

fn json(tallies: &BTreeMap<String, Tally>) -> String {
    let each = |(call, tally): (&String, &Tally)| {
        let bodies: Vec<_> = tally.bodies.iter().map(|(body, n)| format!("{}:{n}", quoted(body))).collect();
        let failures: Vec<_> = tally.failures.iter().map(|text| quoted(text)).collect();
        format!(
            "{}:{{\"calls\":{},\"failed\":{},\"slowest_ms\":{},\"failures\":[{}],\"bodies\":{{{}}}}}",
            quoted(call),
            tally.calls,
            tally.failed,
            tally.slowest.as_millis(),
            failures.join(","),
            bodies.join(","),
        )
    };
    format!("{{{}}}", tallies.iter().map(each).collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}
