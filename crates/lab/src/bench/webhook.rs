//! Durable answers to signed deliveries, through the proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Bound, Measured, ROUNDS};
use crate::Result;
use crate::hook::{Hook, push};
use crate::report::{Verdict, progress};
use crate::stand::Stand;

/// Connections that send, one delivery at a time each.
const SENDERS: usize = 64;
/// One round, s.
const SECONDS: u64 = 10;
/// Of one body.
const BYTES: usize = 2048;

pub(super) async fn measure(stand: &Stand) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    stand.start_proxy().await?;
    stand.start_engine().await?;
    let hook = Arc::new(Hook::add(stand).await?);
    let (mut rates, mut tails) = (Vec::new(), Vec::new());
    let mut other = 0;
    for round in 0..ROUNDS {
        let sent = round_of(stand, &hook, round).await?;
        progress(&format!("round {}: {:.0} per second, p99 {:.1} ms", round + 1, sent.rate, sent.p99_ms));
        rates.push(sent.rate);
        tails.push(sent.p99_ms);
        other += sent.other;
    }
    verdict.same("deliveries that were neither accepted nor put off", other, 0);
    let figure =
        |metric: &str, unit, values| Measured { bench: "webhook", metric: metric.into(), unit, values, peer: None };
    figure("durable 202 answers, 2 KB, 64 senders", "per s", rates).judge(
        None,
        Some(Bound::at_least(8000.0)),
        &mut verdict,
    );
    figure("p99 of the answers", "ms", tails).judge(None, Some(Bound::at_most(100.0)), &mut verdict);
    let verified = stand.ask(&["log", "verify"]).await?;
    if verified.code != 0 {
        verdict.short(verified.told());
    }
    Ok(verdict)
}

struct Sent {
    rate: f64,
    p99_ms: f64,
    /// Answers other than 202, 429 and 503.
    other: u64,
}

async fn round_of(stand: &Stand, hook: &Arc<Hook>, round: usize) -> Result<Sent> {
    let next = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        let (hook, next) = (Arc::clone(hook), Arc::clone(&next));
        senders.spawn(send(
            stand.proxy,
            hook,
            move || next.fetch_add(1, Ordering::Relaxed) + ((round as u64) << 40),
            until,
        ));
    }
    let (mut times, mut other) = (Vec::new(), 0);
    while let Some(ended) = senders.join_next().await {
        let (mine, odd) = ended??;
        times.extend(mine);
        other += odd;
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Sent { rate: times.len() as f64 / SECONDS as f64, p99_ms: p99.as_secs_f64() * 1e3, other })
}

async fn send(
    proxy: std::net::SocketAddr,
    hook: Arc<Hook>,
    next: impl Fn() -> u64,
    until: Instant,
) -> Result<(Vec<Duration>, u64)> {
    let stream = TcpStream::connect(proxy).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake::<_, Full<bytes::Bytes>>(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (mut times, mut other) = (Vec::new(), 0);
    while Instant::now() < until {
        let number = next();
        let body = push("acme/shop", "main", &format!("{number:040x}"), BYTES);
        let request = hook.delivery(&format!("lab-{number}"), body)?;
        let began = Instant::now();
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        match status {
            202 => times.push(began.elapsed()),
            429 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => other += 1,
        }
    }
    Ok((times, other))
}
