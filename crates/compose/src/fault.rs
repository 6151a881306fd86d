//! What is wrong with a stack, for a person and for a program.

use std::fmt;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Larger, deeper or longer than is read.
    Limit,
    /// Not YAML.
    Syntax,
    /// A key that Compose does not know, or a value of the wrong kind.
    Shape,
    /// A name that nothing is declared under, or a file that is not there.
    Missing,
    /// A value that does not mean anything: a port, a volume, an image.
    Value,
    /// A variable that a port, a volume or an image needs is not set, or one that the file demands.
    Unset,
    /// Two things that cannot be together.
    Conflict,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The file, as the caller named it or another one names it.
    pub file: String,
    /// The line, from 1; 0 where there is none.
    pub line: u32,
}

impl Place {
    /// A place in a file.
    #[must_use]
    pub fn new(file: &str, line: u32) -> Self {
        Self { file: file.to_owned(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str(&self.file) } else { write!(f, "{}:{}", self.file, self.line) }
    }
}

/// One thing that is wrong: one line of text, which never repeats the value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What kind of thing.
    pub code: Code,
    /// What, and what is expected.
    pub text: String,
}

impl Fault {
    /// A fault at a place.
    #[must_use]
    pub fn new(code: Code, place: Place, text: impl Into<String>) -> Self {
        Self { place, code, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.file.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.place, self.text) }
    }
}
