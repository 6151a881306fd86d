//! `_headers`: a path, and below it, indented, `Name: value` to set and `! Name` to take away.

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};

use super::pattern::{Captures, Pattern, fill, taken};
use super::{MAX_HEADER_RULES, Note, Notes, Weight, lines};

/// Fields that say how an answer is sent: set by hand they would break it.
const OURS: &[&str] = &[
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "keep-alive",
    "location",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// All blocks of the file.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    line: usize,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Set(HeaderName, Value),
    Remove(HeaderName),
}

#[derive(Clone, Debug)]
enum Value {
    Fixed(HeaderValue),
    /// With `:name`s.
    Template(String),
}

impl HeaderRules {
    /// Reads the file; what is not understood is in the notes.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<Note>) {
        let mut notes = Notes::of("_headers");
        let mut rules: Vec<Rule> = Vec::new();
        let mut open = false;
        for (line, content) in lines(text, &mut notes) {
            if content.starts_with(char::is_whitespace) {
                match change(content.trim()) {
                    Ok(change) if open => extend_last(&mut rules, change),
                    Ok(_) => notes.add(line, Weight::LeftOut, "no path that is understood stands above it"),
                    Err((weight, why)) => notes.add(line, weight, why),
                }
                continue;
            }
            open = false;
            match Pattern::parse(content) {
                Ok(_) if rules.len() >= MAX_HEADER_RULES => {
                    notes.add(line, Weight::LeftOut, format!("more than {MAX_HEADER_RULES} paths"));
                }
                Ok(pattern) => {
                    rules.push(Rule { pattern, line, changes: Vec::new() });
                    open = true;
                }
                Err(why) => notes.add(line, Weight::LeftOut, format!("no path of this site: {why}")),
            }
        }
        for rule in rules.iter().filter(|rule| rule.changes.is_empty()) {
            notes.add(rule.line, Weight::LeftOut, "no header stands below it, indented");
        }
        rules.retain(|rule| !rule.changes.is_empty());
        (Self(rules), notes.notes)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes the fields of an answer for this path. The first value of a field replaces the default, further ones are
    /// added to it.
    pub fn apply(&self, path: &str, headers: &mut HeaderMap) {
        let mut set: Vec<&HeaderName> = Vec::new();
        for rule in &self.0 {
            let Some(captures) = rule.pattern.matches(path) else { continue };
            for change in &rule.changes {
                set.extend(change.apply(&captures, headers, &set));
            }
        }
    }
}

impl Change {
    /// Changes one field; returns its name when it was set. `before` are those that were set already.
    fn apply(&self, captures: &Captures<'_>, headers: &mut HeaderMap, before: &[&HeaderName]) -> Option<&HeaderName> {
        let (name, value) = match self {
            Self::Remove(name) => {
                headers.remove(name);
                return None;
            }
            Self::Set(name, Value::Fixed(value)) => (name, value.clone()),
            Self::Set(name, Value::Template(text)) => {
                (name, HeaderValue::try_from(fill(text, |name| taken(captures, name))).ok()?)
            }
        };
        put(headers, name, value, before);
        Some(name)
    }
}

fn extend_last(rules: &mut [Rule], change: Change) {
    if let Some(rule) = rules.last_mut() {
        rule.changes.push(change);
    }
}

/// Sets a field, or adds to it when it is one of those that were set before.
fn put(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue, before: &[&HeaderName]) {
    let again = before.contains(&name);
    match headers.get(name) {
        Some(_) if again && name == SET_COOKIE => {
            headers.append(name, value);
        }
        Some(known) if again => {
            let joined = [known.as_bytes(), b", ", value.as_bytes()].concat();
            if let Ok(joined) = HeaderValue::from_bytes(&joined) {
                headers.insert(name, joined);
            }
        }
        _ => {
            headers.insert(name, value);
        }
    }
}

fn change(content: &str) -> Result<Change, (Weight, String)> {
    let out = |text: String| (Weight::LeftOut, text);
    if let Some(name) = content.strip_prefix('!') {
        return Ok(Change::Remove(named(name.trim())?));
    }
    let Some((name, value)) = content.split_once(':') else {
        return Err(out(format!("{content:?} is neither `Name: value` nor `! Name`")));
    };
    let (name, value) = (named(name.trim())?, value.trim());
    let fixed = HeaderValue::from_str(value).map_err(|_| out(format!("{value:?} cannot be the value of a field")))?;
    let names = value.contains(":splat") || value.split(':').skip(1).any(|rest| rest.starts_with(char::is_alphabetic));
    Ok(Change::Set(name, if names { Value::Template(value.to_owned()) } else { Value::Fixed(fixed) }))
}

fn named(name: &str) -> Result<HeaderName, (Weight, String)> {
    let lower = name.to_ascii_lowercase();
    if lower == "basic-auth" {
        let text = "Basic-Auth: there are no passwords here, and without one everybody would see it; take it out";
        return Err((Weight::Refused, text.to_owned()));
    }
    if OURS.contains(&lower.as_str()) {
        return Err((Weight::LeftOut, format!("{name} is set by the server alone")));
    }
    HeaderName::try_from(lower).map_err(|_| (Weight::LeftOut, format!("{name:?} is no name of a field")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, path: &str) -> Vec<String> {
        let (rules, notes) = HeaderRules::parse(text);
        assert_eq!(notes, []);
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("default"));
        rules.apply(path, &mut headers);
        let mut all: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        all.sort();
        all
    }

    #[test]
    fn fields_are_set_joined_and_taken_away() {
        let text = "/*\n  X-Frame-Options: DENY\n  Cache-Control: no-cache\n\n# assets\n/assets/*\n  ! Cache-Control\n  \
                    Cache-Control: public, max-age=31536000, immutable\n  X-Robots-Tag: a\n/assets/:f\n  \
                    X-Robots-Tag: b\n  Link: <https://x.test/:f>; rel=canonical\n\tSet-Cookie: a=1\n\tSet-Cookie: b=2\n";
        assert_eq!(applied(text, "/"), ["cache-control: no-cache", "x-frame-options: DENY"]);
        assert_eq!(
            applied(text, "/assets/a b.js"),
            [
                "cache-control: public, max-age=31536000, immutable",
                "link: <https://x.test/a%20b.js>; rel=canonical",
                "set-cookie: a=1",
                "set-cookie: b=2",
                "x-frame-options: DENY",
                "x-robots-tag: a, b",
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_told_and_passwords_are_refused() {
        let text = "  X: y\nhttps://a.test/*\n  X: y\n/a\n  Content-Length: 7\n  nonsense\n/b\n/c\n  X: ok\n";
        let (rules, notes) = HeaderRules::parse(text);
        let lines: Vec<_> = notes.iter().map(|note| note.line).collect();
        assert_eq!(lines, [1, 2, 3, 5, 6, 4, 7], "{notes:?}");
        assert_eq!(rules.0.len(), 1);
        let (_, notes) = HeaderRules::parse("/x\n  Basic-Auth: a:b\n  X: y\n");
        assert_eq!(notes[0].weight, Weight::Refused);
    }

    #[test]
    fn there_is_a_limit() {
        let many: String = (0..MAX_HEADER_RULES + 2).map(|n| format!("/{n}\n X: y\n")).collect();
        let (rules, notes) = HeaderRules::parse(&many);
        assert_eq!(rules.0.len(), MAX_HEADER_RULES);
        assert_eq!(notes.len(), 4);
    }
}
