//! The prober that asks over TCP.

use std::net::SocketAddrV4;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cutover_domain::observed::Answer;
use cutover_events::workload::Check;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Prober;

/// Status line and headers of an answer, bytes; the body is not read. Servers' own limits are 8 to 64 KiB.
const HEAD: usize = 64 * 1024;

/// Probes over the network, a new connection each time: a pooled one would not show that nothing listens any more.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetProber;

#[async_trait]
impl Prober for NetProber {
    async fn probe(&self, address: SocketAddrV4, check: &Check, limit: Duration) -> Answer {
        timeout(limit, ask(address, check)).await.unwrap_or(Answer::TimedOut)
    }
}

async fn ask(address: SocketAddrV4, check: &Check) -> Answer {
    let Ok(stream) = TcpStream::connect(address).await else { return Answer::NoConnection };
    match check {
        Check::Tcp => Answer::Passed,
        Check::Http { path, host, low, high } => match get(stream, address, path, host).await {
            Some(status) if (*low..=*high).contains(&status) => Answer::Passed,
            Some(status) => Answer::Status(status),
            None => Answer::NoConnection,
        },
    }
}

/// The status of an answer; `None` when the other side ends without one, or does not speak HTTP.
async fn get(stream: TcpStream, address: SocketAddrV4, path: &str, host: &str) -> Option<u16> {
    let host = if host.is_empty() { address.to_string() } else { host.to_owned() };
    let request = http::Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, concat!("cutover-probe/", env!("CARGO_PKG_VERSION")))
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await.ok()?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection moves the bytes; it may end in the same moment in which the answer is complete.
    let response = tokio::select! {
        biased;
        response = &mut answer => response,
        _ = connection => answer.await,
    };
    response.ok().map(|response| response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// Serves one connection: reads the request, and answers with these bytes.
    fn server(answer: &'static [u8]) -> (SocketAddrV4, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!() };
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).unwrap();
            // The prober may be gone before a long answer is written.
            drop(stream.write_all(answer));
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (address, thread)
    }

    fn http(low: u16, high: u16, host: &str) -> Check {
        Check::Http { path: "/ready?x=1".to_owned(), host: host.to_owned(), low, high }
    }

    #[tokio::test]
    async fn the_status_decides_and_redirects_are_not_followed() {
        let (address, thread) = server(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(NetProber.probe(address, &http(200, 299, "shop.example"), LONG).await, Answer::Passed);
        let request = thread.join().unwrap().to_ascii_lowercase();
        assert!(request.starts_with("get /ready?x=1 http/1.1\r\n"), "{request}");
        assert!(request.contains("host: shop.example\r\n"), "{request}");

        let (address, _thread) = server(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n");
        assert_eq!(NetProber.probe(address, &http(200, 299, ""), LONG).await, Answer::Status(301));
        let (address, _thread) = server(b"HTTP/1.0 500 Broken\r\n\r\nlong");
        assert_eq!(NetProber.probe(address, &http(200, 399, ""), LONG).await, Answer::Status(500));
    }

    #[tokio::test]
    async fn silence_ends_at_the_timeout_and_nobody_is_no_connection() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(address) = silent.local_addr().unwrap() else { unreachable!() };
        let short = Duration::from_millis(50);
        assert_eq!(NetProber.probe(address, &http(200, 299, ""), short).await, Answer::TimedOut);
        assert_eq!(NetProber.probe(address, &Check::Tcp, LONG).await, Answer::Passed);
        drop(silent);
        assert_eq!(NetProber.probe(address, &Check::Tcp, LONG).await, Answer::NoConnection);
        assert_eq!(NetProber.probe(address, &http(200, 299, ""), LONG).await, Answer::NoConnection);
    }

    #[tokio::test]
    async fn an_answer_without_end_is_none() {
        let (address, _thread) = server(b"");
        assert_eq!(NetProber.probe(address, &http(200, 299, ""), LONG).await, Answer::NoConnection);
        let endless: &'static [u8] =
            Box::leak([b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(100_000)].concat().into());
        let (address, _thread) = server(endless);
        assert_eq!(NetProber.probe(address, &http(200, 299, ""), LONG).await, Answer::NoConnection);
    }
}
