//! What stands in for other people's images: a server on the ports that servers have, as much of a shell as examples need,
//! a server of a folder, and a command that ends well.
//!
//! As `/bin/sh -c TEXT` and as `sh -c TEXT`: `echo WORDS > FILE`, `exec WORDS` and programs, with `&&` between them;
//! `httpd -p PORT -h FOLDER` serves a folder; `rake …` says what it was asked and ends. Whatever else it is asked to run, it
//! answers every request on every port of [`PORTS`], and stays.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// Of web servers and of databases.
const PORTS: &[u16] =
    &[80, 443, 1883, 3000, 3001, 3306, 4000, 5000, 5432, 5672, 6379, 8000, 8080, 8081, 8443, 8888, 9000, 9090, 9200, 27017];

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
}

/// The first process of a container ends by a handler, or not at all.
extern "C" fn end(_: i32) {
    unsafe { _exit(0) }
}

fn main() {
    const SIGTERM: i32 = 15;
    unsafe { signal(SIGTERM, end) };
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    if Path::new(&name).file_name().is_some_and(|name| name == "sh") {
        return shell(words.last().map_or("", String::as_str));
    }
    run(&words);
}

fn run(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sh", .., text] => shell(text),
        ["rake", ..] => println!("done: {}", words.join(" ")),
        ["httpd", rest @ ..] => {
            let after = |flag| rest.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
            let port = after("-p").and_then(|port| port.parse().ok()).expect("a port");
            let folder = after("-h").expect("a folder").to_owned();
            serve(port, move |path| file(&folder, path));
        }
        _ => stay(),
    }
}

/// Runs what stands between `&&`; what no shell of this size understands is as good as a server.
fn shell(text: &str) {
    for command in text.split("&&") {
        let words = split(command);
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["echo", said @ .., ">", path] => std::fs::write(path, format!("{}\n", said.join(" "))).expect("a file"),
            ["exec", ..] => return run(&words[1..]),
            ["httpd", ..] => return run(&words),
            _ => return stay(),
        }
    }
}

/// Words between spaces and quotes, with variables for their values.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, Some(open)) if letter == open => quote = None,
            (' ' | '\n', None) => words.extend(word.take()),
            ('$', open) if open != Some('\'') => {
                let mut name = String::new();
                while let Some(letter) = letters.next_if(|letter| letter.is_alphanumeric() || *letter == '_') {
                    name.push(letter);
                }
                word.get_or_insert_default().push_str(&std::env::var(name).unwrap_or_default());
            }
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

fn stay() {
    println!("stays: {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    let who = std::env::var("WHO").unwrap_or_else(|_| "anything".to_owned());
    let servers: Vec<_> = PORTS
        .iter()
        .map(|port| {
            let (port, who) = (*port, who.clone());
            thread::spawn(move || serve(port, move |_| Some(who.clone().into_bytes())))
        })
        .collect();
    for server in servers {
        server.join().expect("a server");
    }
}

fn file(folder: &str, path: &str) -> Option<Vec<u8>> {
    let path = path.trim_start_matches('/');
    std::fs::read(Path::new(folder).join(if path.is_empty() { "index.html" } else { path })).ok()
}

fn serve(port: u16, content: impl Fn(&str) -> Option<Vec<u8>>) {
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("the port is free in a container of its own");
    for stream in listener.incoming().flatten() {
        answer(stream, &content);
    }
}

fn answer(mut stream: TcpStream, content: &impl Fn(&str) -> Option<Vec<u8>>) {
    let mut request = [0; 4096];
    let Ok(read @ 1..) = stream.read(&mut request) else { return };
    let text = String::from_utf8_lossy(&request[..read]);
    let found = content(text.split(' ').nth(1).unwrap_or("/"));
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let body = found.unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
}
