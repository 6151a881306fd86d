//! What runs inside the containers of the tests: an HTTP server without dependencies, built static.
//!
//! `EXIT=n` ends at once with that code. A path below `/run/secrets` answers with the file, every other one with the value of
//! the variable `WHO`. What it is given as a secret it prints, as careless programs do.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    println!("out: {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    eprintln!("err: {}", std::env::var("WHO").unwrap_or_default());
    for path in ["/written", "/tmp/written"] {
        println!("{path}: {}", if std::fs::write(path, "x").is_ok() { "writable" } else { "read-only" });
    }
    for file in std::fs::read_dir("/run/secrets").into_iter().flatten().flatten() {
        println!("given: {}", std::fs::read_to_string(file.path()).unwrap_or_default());
    }
    if let Some(code) = std::env::var("EXIT").ok().and_then(|text| text.parse().ok()) {
        std::process::exit(code);
    }
    let listener = TcpListener::bind("0.0.0.0:8080").expect("port 8080 is free in a container of its own");
    for stream in listener.incoming().flatten() {
        answer(stream);
    }
}

fn answer(mut stream: std::net::TcpStream) {
    let mut request = [0; 4096];
    if matches!(stream.read(&mut request), Ok(read) if read > 0) {
        let text = String::from_utf8_lossy(&request);
        let path = text.split(' ').nth(1).filter(|path| path.starts_with("/run/secrets/"));
        let who = match path {
            Some(path) => std::fs::read_to_string(path).unwrap_or_else(|error| format!("{error:?}")),
            None => std::env::var("WHO").unwrap_or_default(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", who.len());
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(who.as_bytes()));
        drop(sent);
    }
}
