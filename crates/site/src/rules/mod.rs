//! `_redirects` and `_headers`, in the form that users of Netlify and Cloudflare Pages know.
//!
//! A line that is not understood is left out and told with its number, as those services do. What would show to everybody
//! what its author wanted to protect (`Role=`, `Basic-Auth`) is refused instead.

mod headers;
mod pattern;
mod redirects;

pub use headers::HeaderRules;
pub use pattern::{Captures, Pattern};
pub use redirects::{Redirect, Redirects};

/// Bytes of each of the two files: 2,100 lines of usual length are a tenth of it.
pub const MAX_FILE: usize = 1024 * 1024;
/// Bytes of one line; the larger one of the two services' limits.
pub const MAX_LINE: usize = 2_000;
/// Redirects from one exact path: they cost a request one lookup together. Cloudflare's limit.
pub const MAX_EXACT: usize = 2_000;
/// Redirects with `*` or `:name`: a request is compared with each. Cloudflare's limit.
pub const MAX_PATTERNS: usize = 100;
/// Blocks of `_headers`: a request is compared with each. Cloudflare's limit.
pub const MAX_HEADER_RULES: usize = 100;

/// Something in one of the two files that is told to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `_redirects` or `_headers`.
    pub file: &'static str,
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
    /// What comes of it.
    pub weight: Weight,
}

/// What comes of a line that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is left out.
    LeftOut,
    /// No release is made.
    Refused,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// What a reader of one of the files has found wrong.
#[derive(Debug)]
struct Notes {
    file: &'static str,
    notes: Vec<Note>,
}

impl Notes {
    fn of(file: &'static str) -> Self {
        Self { file, notes: Vec::new() }
    }

    fn add(&mut self, line: usize, weight: Weight, text: impl Into<String>) {
        self.notes.push(Note { file: self.file, line, text: text.into(), weight });
    }
}

/// The lines of a file with their numbers, without empty ones, comments and what is too long.
fn lines<'a>(text: &'a str, notes: &mut Notes) -> Vec<(usize, &'a str)> {
    let mut kept = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let content = line.trim();
        if content.len() > MAX_LINE {
            notes.add(n + 1, Weight::LeftOut, format!("the line is longer than {MAX_LINE} bytes"));
        } else if !content.is_empty() && !content.starts_with('#') {
            kept.push((n + 1, line.trim_end()));
        }
    }
    kept
}
