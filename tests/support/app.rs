//! What runs inside the containers of the tests: an HTTP server without dependencies, built static.
//!
//! `say OUT ERR CODE`, `cat`, `hang` and more words, as its arguments or after its own path, are what people run in it.
//! `EXIT=n` ends at once with that code. A path below `/run/secrets` answers with the file, every other one with the value of
//! the variable `WHO`; each is told on the output as `asked PATH`. What it is given as a secret it prints, as careless
//! programs do.

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
        ["hang"] => hang(),
        // A child that goes on, whoever ends this one.
        ["spawn"] => {
            drop(std::process::Command::new("/app").arg("hang").spawn());
            hang()
        }
        ["flood", bytes] => {
            let line = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
            let mut out = std::io::stdout().lock();
            for _ in 0..bytes.parse::<usize>().unwrap_or(0) / line.len() {
                out.write_all(line).expect("an output");
            }
            return;
        }
        ["env", name] => return println!("{}", std::env::var(name).unwrap_or_default()),
        ["write", path, text] => return std::fs::write(path, text).expect("a file"),
        ["read", path] => return println!("{}", std::fs::read_to_string(path).unwrap_or_default()),
        // The size of the terminal, again for each line that is typed.
        ["sizes"] => {
            println!("{}", size());
            for _ in std::io::stdin().lines() {
                println!("{}", size());
            }
            return;
        }
        _ => (),
    }
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

fn hang() -> ! {
    println!("hangs");
    std::io::stdout().flush().expect("an output");
    loop {
        std::thread::park();
    }
}

unsafe extern "C" {
    fn ioctl(fd: i32, request: u64, ...) -> i32;
}

/// Columns and rows of the terminal.
fn size() -> String {
    const TIOCGWINSZ: u64 = 0x5413;
    let mut size = [0_u16; 4];
    match unsafe { ioctl(0, TIOCGWINSZ, &raw mut size) } {
        0 => format!("{} {}", size[1], size[0]),
        _ => "none".to_owned(),
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
        let asked = text.split(' ').nth(1).unwrap_or_default();
        println!("asked {asked}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", who.len());
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(who.as_bytes()));
        drop(sent);
    }
}
