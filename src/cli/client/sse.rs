//! Server-sent events, as the API sends them.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::JoinSet;

use super::transport::Exchange;

/// A stream without a sign of life for this long is dead: the engine gives one every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// Bytes of one frame: an event is at most 64 KiB in the log, and a few times that as JSON.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// One event of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::cli) struct Frame {
    /// Its type; empty for a plain one.
    pub(in crate::cli) event: String,
    /// Its data.
    pub(in crate::cli) data: String,
}

/// The events of one connection.
pub(in crate::cli) struct Frames {
    body: Incoming,
    parser: Parser,
    _connection: JoinSet<()>,
}

impl Frames {
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { body: exchange.body, parser: Parser::default(), _connection: exchange.connection }
    }

    /// The next event; `None` when the connection is over, for whatever reason.
    pub(in crate::cli) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.parser.next() {
                return Some(frame);
            }
            if self.parser.pending.len() > MAX_FRAME_BYTES {
                return None;
            }
            let chunk = tokio::time::timeout(SILENCE, self.body.frame()).await.ok()??.ok()?;
            if let Ok(data) = chunk.into_data() {
                self.parser.pending.extend_from_slice(&data);
            }
        }
    }
}

/// Bytes on the way to frames.
#[derive(Default)]
struct Parser {
    pending: Vec<u8>,
    frame: Frame,
}

impl Parser {
    /// The next whole frame that has data.
    fn next(&mut self) -> Option<Frame> {
        while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if !line.is_empty() {
                self.field(line);
                continue;
            }
            let frame = std::mem::take(&mut self.frame);
            if !frame.data.is_empty() {
                return Some(frame);
            }
        }
        None
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" if self.frame.data.is_empty() => value.clone_into(&mut self.frame.data),
            "data" => {
                self.frame.data.push('\n');
                self.frame.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.frame.event),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let sent = b": following\nretry: 1000\n\nid: 7\ndata: {\"a\":1}\n\n: \n\nevent: bye\ndata: x\r\ndata: y\n\n";
        for cut in 0..sent.len() {
            let mut parser = Parser::default();
            let mut frames = Vec::new();
            for part in [&sent[..cut], &sent[cut..]] {
                parser.pending.extend_from_slice(part);
                frames.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(frames.len(), 2, "cut at {cut}");
            assert_eq!(frames[0], Frame { event: String::new(), data: "{\"a\":1}".into() });
            assert_eq!(frames[1], Frame { event: "bye".into(), data: "x\ny".into() });
        }
    }
}
