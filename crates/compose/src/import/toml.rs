//! TOML as people would have written it.

use std::fmt::Write;

/// Columns of a comment.
const COLUMNS: usize = 118;

/// One workload.
pub(super) struct Table {
    name: String,
    lines: Vec<(String, String)>,
    below: Vec<(String, Vec<(String, String)>)>,
}

impl Table {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new(), below: Vec::new() }
    }

    /// A key and its value as TOML.
    pub(super) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.lines.push((key.to_owned(), value.into()));
    }

    /// A list of texts; an empty one is left out.
    pub(super) fn list(&mut self, key: &str, values: Vec<String>) {
        if !values.is_empty() {
            let all: Vec<String> = values.iter().map(|value| text(value)).collect();
            self.set(key, format!("[{}]", all.join(", ")));
        }
    }

    /// A line for a person.
    pub(super) fn comment(&mut self, line: &str) {
        self.lines.push((String::new(), line.to_owned()));
    }

    /// A table below this one; an empty one is left out.
    pub(super) fn table(&mut self, name: &str, lines: Vec<(String, String)>) {
        if !lines.is_empty() {
            self.below.push((name.to_owned(), lines));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.lines.iter().any(|(known, _)| known == key)
    }

    pub(super) fn print(&self) -> String {
        let mut out = format!("\n[workloads.{}]\n", self.name);
        print_lines(&mut out, &self.lines);
        for (name, lines) in &self.below {
            out += &format!("[workloads.{}.{name}]\n", self.name);
            print_lines(&mut out, lines);
        }
        out
    }
}

fn print_lines(out: &mut String, lines: &[(String, String)]) {
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    for (key, value) in lines {
        if key.is_empty() {
            *out += &comment(value);
        } else {
            *out += &format!("{key:<width$} = {value}\n");
        }
    }
}

/// A comment over as many lines as it needs, without what would end it.
pub(super) fn comment(line: &str) -> String {
    let mut out = String::new();
    let mut column = COLUMNS;
    for word in line.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if column + word.chars().count() >= COLUMNS {
            out += if out.is_empty() { "# " } else { "\n#   " };
            column = 4;
        } else {
            out.push(' ');
        }
        column += word.chars().count() + 1;
        out += &word;
    }
    out + "\n"
}

/// A key, in quotes where it needs them.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bare { name.to_owned() } else { text(name) }
}

/// A text in quotes.
pub(super) fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\t' => out += "\\t",
            '\r' => out += "\\r",
            c if c.is_control() => {
                // Writing to a text cannot fail.
                let written = write!(out, "\\u{:04X}", u32::from(c));
                debug_assert!(written.is_ok());
            }
            c => out.push(c),
        }
    }
    out + "\""
}
