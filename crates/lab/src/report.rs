//! How the lab speaks: progress on stderr, one JSON object a line on stdout, and a last line `ok …` or `short …`.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

/// Prints one JSON object as a line.
pub(crate) fn line(value: &impl Serialize) {
    let text = serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"));
    // Nobody reads any more: the work is cut short by SIGPIPE's absence only, never by a panic.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints a sentence for a person who watches.
pub(crate) fn progress(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// What was required and did not hold.
#[derive(Default)]
pub(crate) struct Verdict {
    short: Vec<String>,
}

impl Verdict {
    /// Something that was required did not hold.
    pub(crate) fn short(&mut self, what: impl Into<String>) {
        let what = what.into();
        progress(&format!("short: {what}"));
        self.short.push(what);
    }

    /// Requires that two values are the same.
    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: T, should_be: T) {
        if is != should_be {
            self.short(format!("{what} is {is:?}, not {should_be:?}"));
        }
    }

    /// Requires that a value does not exceed a bound.
    pub(crate) fn at_most<T: PartialOrd + std::fmt::Display>(&mut self, what: &str, is: T, bound: T) {
        if is > bound {
            self.short(format!("{what} is {is}, above {bound}"));
        }
    }

    /// Takes the error of something that had to work.
    pub(crate) fn worked<T>(&mut self, what: &str, result: crate::Result<T>) -> Option<T> {
        result.map_err(|error| self.short(format!("{what}: {error}"))).ok()
    }

    /// Whether everything that was required so far holds.
    #[cfg(test)]
    pub(crate) fn holds(&self) -> bool {
        self.short.is_empty()
    }

    /// The last line: `ok WHAT` or `short WHAT: …`; the exit code matches.
    pub(crate) fn end(self, what: &str) -> ExitCode {
        let mut out = std::io::stdout().lock();
        let (text, code) = match self.short.first() {
            None => (format!("ok {what}"), ExitCode::SUCCESS),
            Some(first) => {
                let others = self.short.len() - 1;
                let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
                (format!("short {what}: {first}{more}"), ExitCode::FAILURE)
            }
        };
        drop(writeln!(out, "{text}"));
        code
    }
}
