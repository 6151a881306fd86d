//! The gate's verdict, taken again by the router at the switch.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::wire::{Probe, PutRefused, RefusedCode, Target};

/// Probes all targets that have an address at once: all pass, or the first that does not is named.
///
/// # Errors
/// [`RefusedCode::Probe`] with the unit and what it did.
pub async fn all(probe: &Probe, targets: &[Target]) -> Result<(), PutRefused> {
    let addresses = targets.iter().filter_map(|target| Some((target, target.place.address()?)));
    let asked = addresses.map(|(target, address)| async move {
        let address = SocketAddr::new(address, probe.port);
        let limit = Duration::from_millis(probe.timeout_ms);
        let verdict = match tokio::time::timeout(limit, one(probe, address)).await {
            Ok(verdict) => verdict,
            Err(_) => Err(format!("no answer within {} ms", probe.timeout_ms)),
        };
        let what = probe.path.as_deref().unwrap_or("a connection");
        verdict.map_err(|why| PutRefused {
            code: RefusedCode::Probe,
            text: format!("{} at {address} did not pass the probe ({what}): {why}", target.unit),
        })
    });
    futures_util::future::try_join_all(asked).await.map(|_| ())
}

async fn one(probe: &Probe, address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let Some(path) = &probe.path else { return Ok(()) };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let host = if probe.host.is_empty() { address.to_string() } else { probe.host.clone() };
    let request = hyper::Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "cutover-probe")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // An answer with `Connection: close` may come with the end of its connection.
        _ = connection => answer.await,
    };
    let answer = answer.map_err(|e| e.to_string())?;
    let status = answer.status().as_u16();
    if (probe.low..=probe.high).contains(&status) {
        Ok(())
    } else {
        Err(format!("status {status}, wanted {} to {}", probe.low, probe.high))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_comes_with_the_end_of_its_connection_is_heard() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let probe = Probe {
            port: address.port(),
            path: Some("/".into()),
            host: String::new(),
            low: 200,
            high: 299,
            timeout_ms: 1_000,
        };
        let (verdict, ()) = tokio::join!(one(&probe, address), answer);
        assert_eq!(verdict, Ok(()));
    }
}
