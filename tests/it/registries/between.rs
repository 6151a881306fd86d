//! What stands between Docker and a registry, and does to its answers what a test says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

/// Bytes of an answer above which it is a layer, and not the configuration of an image.
const LAYER: usize = 64 * 1024;
/// The first byte of whoever wants to speak TLS.
const TLS_HELLO: u8 = 0x16;

/// What becomes of an answer.
#[derive(Clone, Copy)]
pub(super) enum Does {
    Passes,
    /// The connection ends in the middle of it.
    Cuts,
    /// The connection ends before it.
    Drops,
    /// The registry wants to be asked less often.
    Refuses,
}

/// Serves until the process ends.
pub(super) struct Between {
    pub(super) host: String,
    shared: Arc<Shared>,
}

struct Shared {
    registry: String,
    /// What becomes of the next answers; those after them pass.
    manifests: Mutex<VecDeque<Does>>,
    layers: Mutex<VecDeque<Does>>,
    /// Layers do not pass until it is let go, and how many wait.
    held: Mutex<(Held, usize)>,
    changed: Condvar,
    /// Layers that were asked for, with the part of it.
    asked: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Yes,
}

impl Between {
    pub(super) fn begin(registry: &str, manifests: &[Does], layers: &[Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            registry: registry.to_owned(),
            manifests: Mutex::new(manifests.iter().copied().collect()),
            layers: Mutex::new(layers.iter().copied().collect()),
            held: Mutex::new((Held::No, 0)),
            changed: Condvar::new(),
            asked: Mutex::default(),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                std::thread::spawn(move || shared.pass(&stream));
            }
        });
        Self { host, shared }
    }

    /// No layer passes from now on.
    pub(super) fn hold(&self) {
        self.shared.held.lock().0 = Held::Yes;
    }

    /// How many layers wait.
    pub(super) fn waiting(&self) -> usize {
        self.shared.held.lock().1
    }

    /// Layers pass again.
    pub(super) fn let_go(&self) {
        self.shared.held.lock().0 = Held::No;
        self.shared.changed.notify_all();
    }

    /// The layers that were asked for: `PATH RANGE`, where a part was.
    pub(super) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().clone()
    }
}

impl Shared {
    /// One request and its answer.
    fn pass(&self, stream: &TcpStream) -> Option<()> {
        let mut client = stream;
        let mut first = [0];
        stream.peek(&mut first).ok()?;
        if first[0] == TLS_HELLO {
            // As a registry that speaks no TLS does.
            return client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").ok();
        }
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            match line.ok()? {
                line if line.is_empty() => break,
                line => lines.push(line),
            }
        }
        let mut words = lines.first()?.split(' ');
        let (method, path) = (words.next()?, words.next()?.to_owned());
        let answer = self.asked_of_registry(&lines)?;
        let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let does = if path.contains("/manifests/") {
            self.manifests.lock().pop_front()
        } else if method == "GET" && answer.len() - body > LAYER {
            let range = lines.iter().find_map(|line| line.strip_prefix("Range: "));
            self.asked.lock().push(format!("{path} {}", range.unwrap_or_default()));
            self.wait();
            self.layers.lock().pop_front()
        } else {
            None
        };
        let sent = match does.unwrap_or(Does::Passes) {
            Does::Passes => &answer[..],
            Does::Cuts => &answer[..body + (answer.len() - body) / 2],
            Does::Drops => &[],
            Does::Refuses => {
                b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 72\r\n\
                  Connection: close\r\n\r\n\
                  {\"errors\": [{\"code\": \"TOOMANYREQUESTS\", \"message\": \"not so many, now\"}]}"
            }
        };
        client.write_all(sent).ok()?;
        stream.shutdown(Shutdown::Both).ok()
    }

    /// The whole answer of the registry to a request.
    fn asked_of_registry(&self, lines: &[String]) -> Option<Vec<u8>> {
        let mut registry = TcpStream::connect(&self.registry).ok()?;
        let kept = lines.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let head: String = kept.map(|line| format!("{line}\r\n")).collect();
        registry.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).ok()?;
        let mut answer = Vec::new();
        registry.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    fn wait(&self) {
        let mut held = self.held.lock();
        held.1 += 1;
        while held.0 == Held::Yes {
            self.changed.wait(&mut held);
        }
        held.1 -= 1;
    }
}
