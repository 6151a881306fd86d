//! `.env` and `env_file`: `NAME=value` lines, as Compose 2 reads them.

use crate::interpolate::{self, Unfilled};
use crate::variables::{Values, Variables};

/// Bytes that the values of one file may come to once variables are filled in.
const MAX_VALUES_BYTES: usize = 4 * 1024 * 1024;

/// Why a line means nothing. Never repeats what the line holds: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    pub(crate) line: u32,
    pub(crate) why: &'static str,
}

/// The values of a file. A name without `=` takes its value from the environment, where there is one.
///
/// # Errors
/// The first line that means nothing.
pub(crate) fn parse(text: &str, variables: &Variables) -> Result<Values, BadLine> {
    let mut reader = Reader { rest: text, line: 1, scope: variables.clone(), found: Values::new(), bytes: 0 };
    reader.scope.dotenv.clear();
    while reader.statement()? {}
    Ok(reader.found)
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
    /// What variables within values stand for; what was read before is among it.
    scope: Variables,
    found: Values,
    bytes: usize,
}

impl<'a> Reader<'a> {
    fn bad(&self, why: &'static str) -> BadLine {
        BadLine { line: self.line, why }
    }

    /// One line, or several where a quote goes over them; false at the end.
    fn statement(&mut self) -> Result<bool, BadLine> {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\u{feff}']);
        if trimmed.is_empty() {
            return Ok(false);
        }
        self.rest = trimmed;
        if trimmed.starts_with(['#', '\n']) {
            self.skip_line();
            return Ok(true);
        }
        let end = trimmed.find('\n').unwrap_or(trimmed.len());
        let line = trimmed[..end].strip_prefix("export ").map_or(&trimmed[..end], str::trim_start);
        let skipped = end - line.len();
        let Some(sign) = line.find(['=', ':']) else {
            let name = line.split('#').next().unwrap_or("").trim();
            let value = self.scope.get(name).map(str::to_owned);
            self.insert(name, value)?;
            self.skip_line();
            return Ok(true);
        };
        let name = line[..sign].trim();
        let begun = self.line;
        let after = &trimmed[skipped + sign + 1..];
        let value = self.value(after)?;
        // The value may have gone over lines.
        self.insert(name, Some(value)).map_err(|bad| BadLine { line: begun, ..bad })?;
        Ok(true)
    }

    fn insert(&mut self, name: &str, value: Option<String>) -> Result<(), BadLine> {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || !name.bytes().all(inner) {
            return Err(self.bad("expected NAME=value"));
        }
        let Some(value) = value else { return Ok(()) };
        self.bytes += name.len() + value.len();
        if self.bytes > MAX_VALUES_BYTES {
            return Err(self.bad("its variables make the file larger than 4 MiB"));
        }
        self.scope.dotenv.insert(name.to_owned(), value.clone());
        self.found.insert(name.to_owned(), value);
        Ok(())
    }

    /// The value behind a sign; afterwards the next line is next.
    fn value(&mut self, after: &'a str) -> Result<String, BadLine> {
        let begin = after.trim_start_matches([' ', '\t']);
        match begin.chars().next() {
            Some('\'') => self.quoted(&begin[1..], '\'').map(str::to_owned),
            Some('"') => {
                let text = unescape(self.quoted(&begin[1..], '"')?);
                self.fill(&text)
            }
            _ => {
                let line = begin.split('\n').next().unwrap_or("");
                let value = line.find(" #").map_or(line, |at| &line[..at]);
                let value = if value.starts_with('#') { "" } else { value.trim() };
                let filled = self.fill(value);
                self.rest = begin;
                self.skip_line();
                filled
            }
        }
    }

    /// What lies between quotes.
    fn quoted(&mut self, begin: &'a str, quote: char) -> Result<&'a str, BadLine> {
        let mut escaped = false;
        let end = begin.char_indices().find(|(_, c)| {
            let closes = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else { return Err(self.bad("a quote that is not closed")) };
        let inner = &begin[..end];
        self.line = self.line.saturating_add(u32::try_from(inner.matches('\n').count()).unwrap_or(u32::MAX));
        self.rest = &begin[end + 1..];
        self.skip_line();
        Ok(inner)
    }

    fn fill(&self, text: &str) -> Result<String, BadLine> {
        let room = MAX_VALUES_BYTES.saturating_sub(self.bytes);
        interpolate::fill(text, &self.scope, room).map(|filled| filled.text).map_err(|error| {
            self.bad(match error {
                Unfilled::Form => "a \"${\" without a variable; write \"$$\" for \"$\"",
                Unfilled::Required { .. } => "a variable that it requires is not set",
                Unfilled::Limit => "its variables make the file larger than 4 MiB",
            })
        })
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        self.line = self.line.saturating_add(1);
    }
}

/// The escapes that double quotes know; any other backslash stands for itself.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            // As the interpolation writes it.
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\' | '\'')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let environment = [("HOME".to_owned(), "/root".to_owned())].into();
        let variables = Variables { environment, ..Variables::default() };
        parse(text, &variables).unwrap().into_iter().collect()
    }

    #[test]
    fn lines() {
        for (text, expected) in [
            ("A=1\nB = two # not this\n#C=3\n\nexport D=4", vec![("A", "1"), ("B", "two"), ("D", "4")]),
            ("A='$HOME # \"x\"'", vec![("A", "$HOME # \"x\"")]),
            ("A=\"$HOME\\n\\$x\"", vec![("A", "/root\n$x")]),
            ("A=1\r\nB=$A${HOME}", vec![("A", "1"), ("B", "1/root")]),
            ("A=\"two\nlines\"\nB=x", vec![("A", "two\nlines"), ("B", "x")]),
            ("HOME\nNOBODY\nA=", vec![("A", ""), ("HOME", "/root")]),
            ("A: yaml\nB=a#b", vec![("A", "yaml"), ("B", "a#b")]),
            ("A=#b", vec![("A", "")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_that_mean_nothing() {
        for (text, line) in [("A=1\n=2", 2), ("two words", 1), ("A=\"open\nB=1", 1), ("A=1\n\nB=${", 3)] {
            assert_eq!(parse(text, &Variables::default()).unwrap_err().line, line, "{text}");
        }
        let doubling = (0..40).map(|n| format!("A{}=$A{n}$A{n}\n", n + 1)).collect::<String>();
        assert!(parse(&format!("A0=xx\n{doubling}"), &Variables::default()).is_err());
    }
}
