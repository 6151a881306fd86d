//! What is written where: results on stdout, everything else on stderr.

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::exit::{Exit, Failure};
use super::render::Paint;
use super::render::screen::Screen;

/// Columns of a terminal that does not say how many it has.
const USUAL_COLUMNS: usize = 80;

/// Standard output and error of this process.
pub(super) struct Output {
    out: std::io::BufWriter<std::io::Stdout>,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { out: std::io::BufWriter::new(std::io::stdout()) }
    }

    /// One line of the result. It is not seen before [`Output::flush`].
    ///
    /// # Errors
    /// The reader has gone, which is no failure, or the output cannot be written.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.out, "{text}").map_err(|e| written(&e))
    }

    /// One JSON value as one line.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|e| Failure::new(Exit::Other, e.to_string()))?;
        self.line(&text)
    }

    /// Whole lines, each with its line end.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(|e| written(&e))
    }

    /// Everything written so far is with the reader.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| written(&e))
    }

    /// One line beside the result, for a person. A reader that has gone is none of our business.
    pub(super) fn aside(&self, text: &str) {
        drop(writeln!(std::io::stderr(), "{text}"));
    }

    /// What results are written on, at this time.
    pub(super) fn screen(&self, now_ms: u64) -> Screen {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Screen::plain(now_ms);
        }
        let size = rustix::termios::tcgetwinsize(&out).map(|size| usize::from(size.ws_col));
        Screen::terminal(paint(&out), size.ok().filter(|columns| *columns > 0).unwrap_or(USUAL_COLUMNS), now_ms)
    }

    /// How results are painted.
    pub(super) fn paint(&self) -> Paint {
        paint(&std::io::stdout())
    }

    /// How what stands beside results is painted.
    pub(super) fn paint_aside(&self) -> Paint {
        paint(&std::io::stderr())
    }
}

/// Colours only on a terminal that takes them, and not against the person's wish (<https://no-color.org>).
fn paint(stream: &impl IsTerminal) -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stream.is_terminal() && !unwanted && !dumb { Paint::Colour } else { Paint::Plain }
}

fn written(error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        return Failure::reader_gone();
    }
    Failure::new(Exit::Other, format!("the output cannot be written: {error}"))
}

/// Tells a failure: one line on stderr, and its excerpt where a terminal shows it.
pub(super) fn tell(failure: &Failure) {
    let line = failure.line();
    if line.is_empty() {
        return;
    }
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{line}"));
    if let Some(excerpt) = failure.excerpt.as_ref().filter(|_| std::io::stderr().is_terminal()) {
        drop(writeln!(stderr, "{excerpt}"));
    }
}
