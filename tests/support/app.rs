//! What runs inside the containers of the tests: an HTTP server without dependencies, built static.
//!
//! `EXIT=n` ends at once with that code. Every path answers 200 with the name of the variable `WHO`.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    println!("out: {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    eprintln!("err: {}", std::env::var("WHO").unwrap_or_default());
    for path in ["/written", "/tmp/written"] {
        println!("{path}: {}", if std::fs::write(path, "x").is_ok() { "writable" } else { "read-only" });
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
        let who = std::env::var("WHO").unwrap_or_default();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", who.len());
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(who.as_bytes()));
        drop(sent);
    }
}
