//! What a build says while it runs.

use std::collections::VecDeque;
use std::fmt;

use super::LAST_LINES;

/// Longest line that is kept whole, characters: what is longer is cut, and says so.
const MAX_LINE: usize = 4_000;
/// Longest line that is waited for, bytes: a program that never ends its line is told in pieces.
const MAX_PARTIAL: usize = 16 << 10;

/// One thing that a build says; its text form is a line of the build log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// An earlier build of the same content and arguments is used.
    Reused {
        /// `sha256:…`.
        image: String,
    },
    /// A step begins.
    Begun {
        /// From 1, in the order in which they begin.
        step: u32,
        /// As it stands in the Dockerfile, with its number there.
        text: String,
    },
    /// It was made before, and is taken from Docker's cache.
    Cached {
        /// Which.
        step: u32,
    },
    /// A line of its output, without the line's end.
    Line {
        /// Which.
        step: u32,
        /// What it printed.
        text: String,
    },
    /// It is done.
    Ended {
        /// Which.
        step: u32,
    },
    /// It failed.
    Failed {
        /// Which.
        step: u32,
        /// What Docker says.
        why: String,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reused { image } => write!(f, "nothing has changed since the build of {image}: it is used again"),
            Self::Begun { step, text } => write!(f, "#{step} {text}"),
            Self::Cached { step } => write!(f, "#{step} CACHED"),
            Self::Line { step, text } => write!(f, "#{step} {text}"),
            Self::Ended { step } => write!(f, "#{step} DONE"),
            Self::Failed { step, why } => write!(f, "#{step} ERROR: {why}"),
        }
    }
}

/// Output of a step, put together into lines, of which the last ones are remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    last: VecDeque<String>,
}

impl Lines {
    /// The lines that end in these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") || self.partial.len() > MAX_PARTIAL {
                lines.extend(self.rest());
            }
        }
        lines
    }

    /// What came without the end of a line.
    pub(super) fn rest(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&line);
        // Of a line that was written over again and again, what stands there at last.
        let shown = text.trim_end().rsplit('\r').next().unwrap_or_default();
        if shown.is_empty() {
            return None;
        }
        let plain = without_colours(shown);
        let mut line: String = plain.chars().take(MAX_LINE).collect();
        if line.len() < plain.len() {
            line.push('…');
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.clone());
        Some(line)
    }

    /// The last lines so far.
    pub(super) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

/// The text without what only a terminal understands.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            // Parameters, and one letter that ends them.
            while chars.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
            chars.next();
        } else if !c.is_control() || c == '\t' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_the_last_ones_kept() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"on"), Vec::<String>::new());
        assert_eq!(lines.push(b"e\r\n10%\r100%\n\n\x1b[1;31mtwo\x1b[0m"), ["one", "100%"]);
        assert_eq!(lines.rest().as_deref(), Some("two"));
        assert_eq!(lines.rest(), None);
        for n in 0..100 {
            lines.push(format!("{n}\n").as_bytes());
        }
        assert_eq!(lines.last().len(), LAST_LINES);
        assert_eq!(lines.last().last().map(String::as_str), Some("99"));
        let long = lines.push("x".repeat(MAX_PARTIAL + 1).as_bytes());
        assert_eq!(long.len(), 1);
        assert!(long[0].ends_with("x…"));
    }
}
