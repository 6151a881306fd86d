//! What a container prints, line by line, with Docker's own time of each.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use cutover_domain::observed::DockerId;
use futures_util::future::ready;
use futures_util::stream::{BoxStream, StreamExt};

use super::client::classify;
use super::{DockerRuntime, RuntimeError, names};
use crate::adapters::runtime::attach::{Line, Pipe, Reading, Until};

/// Bytes of one line: Docker cuts them at 16 KiB, which is put together again up to here.
const MAX_LINE: usize = 64 * 1024;

/// Lines that are not whole yet, one of each pipe.
#[derive(Default)]
struct Pending([Option<Line>; 2]);

impl Pending {
    /// A piece as Docker sends it: its time, a blank, and what was printed; whole where it ends a line.
    fn take(&mut self, piece: LogOutput) -> Option<Line> {
        let pipe = if matches!(piece, LogOutput::StdErr { .. }) { Pipe::Err } else { Pipe::Out };
        let text = String::from_utf8_lossy(&piece.into_bytes()).into_owned();
        let (time, text) = text.split_once(' ').unwrap_or((&text, ""));
        let [out, err] = &mut self.0;
        let held = if pipe == Pipe::Err { err } else { out };
        let mut line = held.take().unwrap_or_else(|| Line { at_ns: nanos(time.trim_end()), pipe, text: String::new() });
        line.text.push_str(text.strip_suffix('\n').unwrap_or(text));
        if text.ends_with('\n') || text.is_empty() || line.text.len() > MAX_LINE {
            return Some(line);
        }
        *held = Some(line);
        None
    }
}

impl DockerRuntime {
    /// What it prints.
    pub(super) async fn read_output(
        &self,
        container: DockerId,
        reading: Reading,
    ) -> Result<BoxStream<'static, Result<Line, RuntimeError>>, RuntimeError> {
        self.client.ping().await?;
        let docker = self.client.docker()?;
        let tail = reading.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).timestamps(true).tail(&tail);
        let since = i32::try_from(reading.since_s).unwrap_or(i32::MAX);
        let options = options.since(since).follow(reading.until == Until::End).build();
        let pieces = docker.logs(&names::container(container), Some(options));
        let lines = pieces.scan(Pending::default(), |pending, piece| {
            let line = piece.map(|piece| pending.take(piece)).map_err(classify("read what a container prints"));
            ready(Some(line.transpose()))
        });
        Ok(lines.filter_map(ready).boxed())
    }
}

/// Nanoseconds since 1970 of a time as Docker writes it, RFC 3339 in UTC; 0 for any other text.
fn nanos(text: &str) -> u64 {
    let part = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let read = || {
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        let seconds = (part(11..13)? * 60 + part(14..16)?) * 60 + part(17..19)?;
        let fraction = text.get(19..)?.trim_start_matches('.').trim_end_matches('Z');
        let fraction: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        // Days since 1970, by a calendar whose years begin in March.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
        let days = days.checked_sub(719_469)?;
        Some((days * 86_400 + seconds) * 1_000_000_000 + fraction)
    };
    read().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &'static str) -> LogOutput {
        LogOutput::StdOut { message: text.into() }
    }

    #[test]
    fn lines_are_whole_whatever_docker_cuts() {
        let mut pending = Pending::default();
        assert_eq!(pending.take(piece("2026-01-31T14:02:03.000000001Z one ")), None);
        let err = LogOutput::StdErr { message: "2026-01-31T14:02:03.000000001Z other\n".into() };
        assert_eq!(pending.take(err).unwrap().text, "other");
        let line = pending.take(piece("2026-01-31T14:02:03.000000002Z two\n")).unwrap();
        assert_eq!(line, Line { at_ns: 1_769_868_123_000_000_001, pipe: Pipe::Out, text: "one two".into() });
        assert_eq!(pending.take(piece("2026-01-31T14:02:03.000000003Z \n")).unwrap().text, "");
    }
}
