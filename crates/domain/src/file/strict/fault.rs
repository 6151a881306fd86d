//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;

/// A message is cut here: it is one line on somebody's terminal or in a log.
pub const MAX_MESSAGE_CHARS: usize = 600;
/// Characters of the name of the file that a message repeats.
const MAX_FILE_CHARS: usize = 120;
/// Characters of a source line that an excerpt shows: the width of a usual terminal.
const MAX_EXCERPT_CHARS: usize = 120;

/// What is wrong with one value, before its place is turned into line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, dotted from the top; empty for the file itself.
    pub key: String,
    /// What is wrong, and what is allowed; one line.
    pub text: String,
    /// Bytes of the source that it is about.
    pub at: Option<Range<usize>>,
}

/// A file that is refused: nothing of it takes effect. Displays as one line of at most 600 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile {
    /// As it was named by whoever asked.
    pub file: String,
    /// Counts from 1.
    pub line: usize,
    /// In characters, counts from 1.
    pub column: usize,
    /// The key, dotted from the top; empty for the file itself.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub text: String,
    /// The line of the source with a mark under the place: for terminals only, it may hold a value.
    pub excerpt: Option<String>,
}

impl Fault {
    /// A fault without a place.
    #[must_use]
    pub fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { key: key.into(), text: text.into(), at: None }
    }

    /// The same fault at a place.
    #[must_use]
    pub fn at(self, place: Range<usize>) -> Self {
        Self { at: Some(place), ..self }
    }

    /// The fault with file, line, column and excerpt.
    #[must_use]
    pub fn locate(self, file: &str, source: &str) -> BadFile {
        let start = floor(source, self.at.as_ref().map_or(0, |range| range.start));
        let before = &source[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = source[line_start..start].chars().count() + 1;
        let excerpt = self.at.as_ref().map(|_| excerpt(&source[line_start..], column));
        BadFile {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column,
            key: self.key,
            text: self.text,
            excerpt,
        }
    }
}

/// The nearest character boundary at or before `index`.
fn floor(source: &str, index: usize) -> usize {
    let mut index = index.min(source.len());
    while !source.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn excerpt(rest: &str, column: usize) -> String {
    let line = rest.lines().next().unwrap_or_default();
    let skipped = column.saturating_sub(MAX_EXCERPT_CHARS / 2);
    let shown: String = line.chars().skip(skipped).take(MAX_EXCERPT_CHARS).map(visible).collect();
    format!("  {shown}\n  {}^", " ".repeat(column - 1 - skipped.min(column - 1)))
}

/// The name, or the end of a long one: what is wrong must stay within the line.
fn shown_file(file: &str) -> String {
    let count = file.chars().count();
    if count <= MAX_FILE_CHARS {
        return file.to_owned();
    }
    let end: String = file.chars().skip(count - MAX_FILE_CHARS).collect();
    format!("…{end}")
}

fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.key.is_empty() { "" } else { ": " };
        let place = format!("{}:{}:{}", shown_file(&self.file), self.line, self.column);
        let all = format!("{place}: {}{colon}{}", self.key, self.text);
        for c in all.chars().take(MAX_MESSAGE_CHARS) {
            fmt::Write::write_char(f, visible(c))?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.key.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", self.key, self.text)
    }
}

impl std::error::Error for BadFile {}
impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line_and_a_column_of_characters() {
        let source = "a = 1\nü = \"x\"\n";
        let bad = Fault::new("ü", "wrong").at(11..14).locate("f.toml", source);
        assert_eq!((bad.line, bad.column), (2, 5));
        assert_eq!(bad.to_string(), "f.toml:2:5: ü: wrong");
        assert_eq!(bad.excerpt.as_deref(), Some("  ü = \"x\"\n      ^"));
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let bad = Fault::new("k\n".repeat(900), "t").at(7..9).locate("f", "");
        let text = bad.to_string();
        assert!(text.chars().count() <= MAX_MESSAGE_CHARS && !text.contains('\n'));
    }

    #[test]
    fn a_long_name_of_a_file_leaves_room_for_what_is_wrong() {
        let bad = Fault::new("key", "what is wrong").locate(&format!("{}/shop.toml", "d".repeat(4_000)), "");
        assert!(bad.to_string().ends_with("/shop.toml:1:1: key: what is wrong"), "{bad}");
    }

    #[test]
    fn the_mark_of_a_long_line_stays_below_its_character() {
        let source = format!("{}X{}", "a".repeat(300), "b".repeat(300));
        let bad = Fault::new("k", "t").at(300..301).locate("f", &source);
        let excerpt = bad.excerpt.unwrap_or_default();
        let (shown, mark) = excerpt.split_once('\n').unwrap_or_default();
        assert_eq!(shown.find('X'), mark.find('^'));
    }
}
