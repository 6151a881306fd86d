//! What runs inside the containers of the tests: an HTTP server without dependencies, built static.
//!
//! `say OUT ERR CODE`, `cat` and `hang`, as its arguments or after its own path, are what people run in it. `EXIT=n` ends at once with that code. Every path answers 200 with the name of the variable `WHO`.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).skip_while(|word| word.contains('/')).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["say", out, err, code] => {
            print!("{out}");
            eprint!("{err}");
            std::io::stdout().flush().expect("an output");
            std::process::exit(code.parse().unwrap_or(1));
        }
        ["cat"] => {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text).expect("an input");
            std::io::stdout().write_all(&text).expect("an output");
            return;
        }
        ["hang"] => loop {
            std::thread::park();
        },
        _ => (),
    }
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
