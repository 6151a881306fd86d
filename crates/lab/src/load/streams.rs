//! Long-lived connections: websockets and event streams. A close from the other side is expected at the deadline of
//! a drain and counted apart; an opening that fails, a wrong echo, a gap or a silence is a failed request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Plan;
use super::tally::{Class, Tally};

/// Between two messages of a websocket.
const MESSAGE_EVERY: Duration = Duration::from_millis(250);
/// Silence on a stream that should speak several times a second.
const SILENCE: Duration = Duration::from_secs(10);
/// The key and the answer of the example in RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Stream = BufReader<TcpStream>;

/// How a stream ended that had been opened.
enum End {
    /// By the other side.
    Closed,
    /// By us.
    Stopped,
    /// In a way that no swap explains.
    Failed(Class, String),
}

/// Keeps one websocket open until `stop`.
pub(super) async fn websocket(plan: Plan, tally: Arc<Tally>, stop: CancellationToken) {
    let head = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {KEY}\r\n\r\n",
        plan.host
    );
    while !stop.is_cancelled() {
        let Some(mut stream) = opened(&plan, &head, 101, &tally).await else { continue };
        match echo(&mut stream, &tally, &stop).await {
            End::Closed => tally.websocket_closed(),
            End::Failed(class, why) => tally.ended(class, Duration::ZERO, || format!("websocket {why}")),
            End::Stopped => return,
        }
    }
}

/// Keeps one event stream open until `stop`.
pub(super) async fn events(plan: Plan, tally: Arc<Tally>, stop: CancellationToken) {
    let head = format!("GET /sse?ms=200 HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", plan.host);
    while !stop.is_cancelled() {
        let Some(mut stream) = opened(&plan, &head, 200, &tally).await else { continue };
        match listen(&mut stream, &tally, &stop).await {
            End::Closed => tally.events_closed(),
            End::Failed(class, why) => tally.ended(class, Duration::ZERO, || format!("events {why}")),
            End::Stopped => return,
        }
    }
}

/// Opens a stream and counts the opening as a request; `None` when it failed.
async fn opened(plan: &Plan, head: &str, status: u16, tally: &Tally) -> Option<Stream> {
    let began = Instant::now();
    let (class, why, stream) = match tokio::time::timeout(super::ANSWER, open(plan, head)).await {
        Err(_) => (Class::TimedOut, String::new(), None),
        Ok(Err(error)) => (Class::FreshFailed, error.to_string(), None),
        Ok(Ok((got, _, _))) if got != status => (Class::Status(got), String::new(), None),
        Ok(Ok((101, fields, _))) if !fields.contains(ACCEPT) => (Class::WrongBody, fields, None),
        Ok(Ok((_, _, stream))) => (Class::Ok, String::new(), Some(stream)),
    };
    let failed = stream.is_none();
    tally.ended(class, began.elapsed(), || format!("opening {why}"));
    if failed {
        // An origin that refuses is not asked thousands of times a second.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stream
}

async fn open(plan: &Plan, head: &str) -> io::Result<(u16, String, Stream)> {
    let mut stream = BufReader::new(TcpStream::connect(plan.addr).await?);
    stream.get_mut().set_nodelay(true)?;
    stream.get_mut().write_all(head.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"))?;
    let mut fields = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? <= 2 {
            return Ok((status, fields, stream));
        }
        fields.push_str(&line);
    }
}

async fn echo(stream: &mut Stream, tally: &Tally, stop: &CancellationToken) -> End {
    let mut number = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            () = tokio::time::sleep(MESSAGE_EVERY) => {}
            // A close is seen at once, as a person's browser sees it.
            filled = stream.fill_buf() => match filled {
                Ok(bytes) if !bytes.is_empty() && bytes[0] & 0x0f != 8 => {
                    return End::Failed(Class::WrongBody, "an unasked message".into());
                }
                _ => return End::Closed,
            },
        }
        number += 1;
        let text = format!("message {number}");
        let answered = tokio::time::timeout(SILENCE, exchange(stream, text.as_bytes())).await;
        match answered {
            Err(_) => return End::Failed(Class::TimedOut, "no echo".into()),
            Ok(Err(_)) => return End::Closed,
            Ok(Ok(Some(echo))) if echo == text.as_bytes() => tally.echoed(),
            Ok(Ok(Some(_))) => return End::Failed(Class::WrongBody, "another echo".into()),
            Ok(Ok(None)) => return End::Closed,
        }
    }
}

/// Sends a masked text and reads one frame; `None` for a close frame.
async fn exchange(stream: &mut Stream, text: &[u8]) -> io::Result<Option<Vec<u8>>> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | text.len() as u8];
    frame.extend_from_slice(&MASK);
    frame.extend(text.iter().enumerate().map(|(index, byte)| byte ^ MASK[index % 4]));
    stream.get_mut().write_all(&frame).await?;
    let mut head = [0_u8; 2];
    stream.read_exact(&mut head).await?;
    if head[0] & 0x0f == 8 {
        return Ok(None);
    }
    let mut payload = vec![0_u8; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut payload).await?;
    Ok(Some(payload))
}

async fn listen(stream: &mut Stream, tally: &Tally, stop: &CancellationToken) -> End {
    let mut next = 0_u64;
    loop {
        let mut line = String::new();
        let read = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            read = tokio::time::timeout(SILENCE, stream.read_line(&mut line)) => read,
        };
        match read {
            Err(_) => return End::Failed(Class::TimedOut, "silent".into()),
            Ok(Err(_) | Ok(0)) => return End::Closed,
            Ok(Ok(_)) => {}
        }
        // Chunk sizes and empty lines stand between the events.
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let number = data.trim_end().rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
        match number {
            Some(number) if number == next => next += 1,
            // A line that was cut off ends the stream with the next read.
            _ if !line.ends_with('\n') => {}
            _ => return End::Failed(Class::WrongBody, format!("event {next} is missing: {data:?}")),
        }
        tally.event();
    }
}
