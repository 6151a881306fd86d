//! `_redirects`: `FROM [name=value …] TO [STATUS[!]]`, one a line, the first that matches wins.

use std::collections::HashMap;

use http::StatusCode;

use super::pattern::{Captures, Pattern, fill, taken};
use super::{MAX_EXACT, MAX_PATTERNS, Note, Notes, Weight, lines};
use crate::path;

/// What a line without a status means: a browser keeps a 301 for ever, so it has to be asked for.
const DEFAULT: StatusCode = StatusCode::FOUND;
/// What can be asked for.
const STATUSES: [u16; 8] = [200, 301, 302, 303, 307, 308, 404, 410];

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Its number, from 1.
    pub line: usize,
    /// Whether it wins over a file.
    pub forced: bool,
    /// 3xx: the client goes there; another one: the file there is sent with it.
    pub status: StatusCode,
    from: Pattern,
    query: Vec<(String, String)>,
    to: String,
}

/// All lines of the file, ordered for lookups.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    all: Vec<Redirect>,
    exact: HashMap<String, Vec<usize>>,
    patterns: Vec<usize>,
}

impl Redirects {
    /// Reads the file; what is not understood is in the notes.
    #[must_use]
    pub fn parse(text: &str) -> (Self, Vec<Note>) {
        let mut notes = Notes::of("_redirects");
        let mut found = Self::default();
        for (line, content) in lines(text, &mut notes) {
            match redirect(line, content) {
                Ok(redirect) => found.add(redirect, &mut notes),
                Err((weight, why)) => notes.add(line, weight, why),
            }
        }
        (found, notes.notes)
    }

    fn add(&mut self, redirect: Redirect, notes: &mut Notes) {
        let (line, at) = (redirect.line, self.all.len());
        match redirect.from.exact() {
            Some(_) if self.all.len() - self.patterns.len() >= MAX_EXACT => {
                return notes.add(line, Weight::LeftOut, format!("more than {MAX_EXACT} redirects of exact paths"));
            }
            None if self.patterns.len() >= MAX_PATTERNS => {
                let text = format!("more than {MAX_PATTERNS} redirects with * or :name");
                return notes.add(line, Weight::LeftOut, text);
            }
            Some(path) => self.exact.entry(path.to_owned()).or_default().push(at),
            None => self.patterns.push(at),
        }
        self.all.push(redirect);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first line for a decoded path and a query, and where it leads.
    #[must_use]
    pub fn find(&self, path: &str, query: Option<&str>) -> Option<(&Redirect, String)> {
        if self.all.is_empty() {
            return None;
        }
        let trimmed = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
        let mut exact = self.exact.get(trimmed).into_iter().flatten();
        let exact = exact.find_map(|at| Some((*at, self.all[*at].leads(path, query)?)));
        let before = exact.as_ref().map_or(usize::MAX, |(at, _)| *at);
        let earlier = self.patterns.iter().take_while(|at| **at < before);
        let earlier = earlier.into_iter().find_map(|at| Some((*at, self.all[*at].leads(path, query)?)));
        let (at, to) = earlier.or(exact)?;
        Some((&self.all[at], to))
    }
}

impl Redirect {
    /// Where it leads, or `None` when it is not for this path and query, or would lead to the same path again.
    fn leads(&self, path: &str, query: Option<&str>) -> Option<String> {
        let captures = self.from.matches(path)?;
        let asked = self.take_query(query.unwrap_or_default())?;
        // What stands in a query is written for an address already.
        let of_query =
            |name: &str| asked.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let to = fill(&self.to, |name| taken(&captures, name).or_else(|| of_query(name)));
        if !self.to.starts_with('/') {
            return Some(to);
        }
        // What was taken may begin with slashes: `//host` would lead to another server.
        let to = format!("/{}", to.trim_start_matches(['/', '\\']));
        let to_itself = self.status.is_redirection() && to == path::encode(path);
        (!to_itself).then_some(to)
    }

    /// What the conditions take out of a query; `None`: one of them is not met.
    fn take_query<'p>(&'p self, query: &'p str) -> Option<Captures<'p>> {
        let mut captures = Captures::new();
        for (name, wanted) in &self.query {
            let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            let (_, value) = pairs.find(|(key, _)| key == name)?;
            match wanted.strip_prefix(':') {
                Some(capture) => captures.push((capture, value)),
                None if wanted == value => {}
                None => return None,
            }
        }
        Some(captures)
    }
}

type Wrong = (Weight, String);

fn redirect(line: usize, content: &str) -> Result<Redirect, Wrong> {
    let out = |text: String| (Weight::LeftOut, text);
    // A comment may follow after a space; a `#` inside of an address is part of it.
    let words: Vec<&str> = content.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
    let Some((from, rest)) = words.split_first() else { return Err(out("the line is empty".into())) };
    let is_target = |word: &&str| word.starts_with('/') || is_address(word);
    let Some(at) = rest.iter().position(is_target) else {
        return Err(out("it needs FROM and TO: TO begins with /, http:// or https://".into()));
    };
    let query = rest[..at].iter().map(|pair| condition(pair)).collect::<Result<Vec<_>, Wrong>>()?;
    let (status, forced, more) = match rest[at + 1..].split_first() {
        Some((word, more)) if word.starts_with(|c: char| c.is_ascii_digit()) => {
            let (status, forced) = status(word).map_err(out)?;
            (status, forced, more)
        }
        other => (DEFAULT, false, other.map_or(&[][..], |_| &rest[at + 1..])),
    };
    if let Some(word) = more.first() {
        return Err(beyond(word));
    }
    let to = rest[at];
    if !status.is_redirection() && !to.starts_with('/') {
        let text = "what another server has is not fetched; give that server a route of its own".to_owned();
        return Err(out(text));
    }
    Ok(Redirect { line, forced, status, from: Pattern::parse(from).map_err(out)?, query, to: to.to_owned() })
}

fn is_address(word: &str) -> bool {
    let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic());
    word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")).is_some_and(plain)
}

fn condition(word: &str) -> Result<(String, String), Wrong> {
    match word.split_once('=') {
        Some((name, _)) if name.starts_with(|c: char| c.is_ascii_uppercase()) => Err(beyond(word)),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err((Weight::LeftOut, format!("{word:?} is neither name=value nor where it leads"))),
    }
}

fn status(word: &str) -> Result<(StatusCode, bool), String> {
    let (number, forced) = word.strip_suffix('!').map_or((word, false), |number| (number, true));
    let known = number.parse().ok().filter(|number| STATUSES.contains(number));
    let status = known.and_then(|number| StatusCode::from_u16(number).ok());
    status.map(|status| (status, forced)).ok_or_else(|| format!("{word:?} is no status; there are {STATUSES:?}"))
}

/// A condition that is not looked at. One on who may see it is not left out silently.
fn beyond(word: &str) -> Wrong {
    if word.starts_with("Role=") {
        let text =
            format!("{word}: there are no roles here, and without them everybody would see it; take the line out");
        return (Weight::Refused, text);
    }
    (Weight::LeftOut, format!("{word:?} is not looked at here"))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_LINE;
    use super::*;

    fn leads(text: &str, path: &str, query: Option<&str>) -> Option<String> {
        let (redirects, notes) = Redirects::parse(text);
        assert_eq!(notes, []);
        let (redirect, to) = redirects.find(path, query)?;
        Some(format!("{}{} {to}", redirect.status.as_u16(), if redirect.forced { "!" } else { "" }))
    }

    #[test]
    fn the_first_line_that_matches_wins() {
        let text = "# moved\n/old /new 301\n/blog/* https://blog.test/:splat\n/blog/x /never\n\
                    /u/:id/post/:post /p/:post?u=:id 308!  # by id\n/x id=:id /y/:id 301\n/x /z\n/* /index.html 200";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(leads(text, "/old/", None), some("301 /new"));
        assert_eq!(leads(text, "/blog/x", None), some("302 https://blog.test/x"));
        assert_eq!(leads(text, "/blog", None), some("302 https://blog.test/"));
        assert_eq!(leads(text, "/u/7/post/a b", None), some("308! /p/a%20b?u=7"));
        assert_eq!(leads(text, "/x", Some("a=1&id=9")), some("301 /y/9"));
        assert_eq!(leads(text, "/x", Some("id=a%20b")), some("301 /y/a%20b"));
        assert_eq!(leads(text, "/x", None), some("302 /z"));
        assert_eq!(leads(text, "/other", None), some("200 /index.html"));
    }

    #[test]
    fn a_redirect_within_the_site_stays_within_it() {
        for path in ["/go//evil.test", "/go///evil.test", "/go/\u{5c}evil.test"] {
            let to = leads("/go/* /:splat 301", path, None).unwrap();
            assert!(to.starts_with("301 /") && !to.starts_with("301 //") && !to.contains('\\'), "{to}");
        }
    }

    #[test]
    fn lines_that_are_not_understood_are_told_with_their_number() {
        let told = |text: &str| -> Vec<String> { Redirects::parse(text).1.iter().map(ToString::to_string).collect() };
        assert_eq!(told("/a /b 302"), Vec::<String>::new());
        let bad = "\n/a\n/a /b 999\na /b\n/a https://x.test/ 200\n/a /b 301 Country=de\n/a/*/* /b";
        let told = told(bad);
        assert_eq!(told.len(), 6, "{told:?}");
        for (line, note) in (2..=7).zip(&told) {
            assert!(note.starts_with(&format!("_redirects:{line}: ")), "{note}");
        }
        let (_, notes) = Redirects::parse("/admin/* /admin/:splat 200! Role=admin");
        assert_eq!(notes[0].weight, Weight::Refused);
    }

    #[test]
    fn there_are_limits() {
        let many: String = (0..MAX_EXACT + 3).map(|n| format!("/{n} /x\n")).collect();
        let (redirects, notes) = Redirects::parse(&many);
        assert_eq!((redirects.all.len(), notes.len()), (MAX_EXACT, 3));
        let many: String = (0..MAX_PATTERNS + 3).map(|n| format!("/{n}/* /x\n")).collect();
        assert_eq!(Redirects::parse(&many).1.len(), 3);
        assert_eq!(Redirects::parse(&format!("/a /{}", "b".repeat(MAX_LINE))).1.len(), 1);
    }
}
