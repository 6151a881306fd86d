//! Paths with `*` and `:name` in them.

/// What a pattern took out of a path: names and values, `splat` for `*`.
pub type Captures<'p> = Vec<(&'p str, &'p str)>;

/// A path with at most one `*`, which takes everything, and `:name`s, which take what stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Name(String),
    Splat,
}

impl Pattern {
    /// Reads one. A slash at the end does not count.
    ///
    /// # Errors
    /// One reason, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("{text:?} does not begin with /"));
        }
        if text.contains(['?', '#']) {
            return Err(format!("{text:?}: what the query must have stands after the path, as name=value"));
        }
        let decoded = crate::path::decode(text).ok_or_else(|| format!("{text:?} is no path"))?;
        let trimmed = trim(&decoded);
        let mut parts = Vec::new();
        let mut rest = trimmed;
        while !rest.is_empty() {
            let (part, after) = first_part(rest);
            parts.push(part);
            rest = after;
        }
        if parts.iter().filter(|part| **part == Part::Splat).count() > 1 {
            return Err(format!("{text:?} has more than one *"));
        }
        let after_splat = parts.iter().skip_while(|part| **part != Part::Splat);
        if after_splat.into_iter().any(|part| matches!(part, Part::Name(_))) {
            return Err(format!("{text:?} has a :name after its *"));
        }
        Ok(Self { parts })
    }

    /// The path that it stands for, when it is only one.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some("/"),
            [Part::Literal(path)] => Some(path),
            _ => None,
        }
    }

    /// What it takes out of a decoded path, or `None` when it does not match.
    #[must_use]
    pub fn matches<'p>(&'p self, path: &'p str) -> Option<Captures<'p>> {
        let mut rest = trim(path);
        let mut taken = Vec::new();
        for (n, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => rest = after_literal(rest, literal, self.parts.get(n + 1))?,
                Part::Name(name) => {
                    let end = self.end_of_name(n, rest)?;
                    taken.push((name.as_str(), &rest[..end]));
                    rest = &rest[end..];
                }
                Part::Splat => {
                    let suffix = match self.parts.get(n + 1) {
                        Some(Part::Literal(suffix)) => suffix.as_str(),
                        Some(Part::Name(_) | Part::Splat) | None => "",
                    };
                    taken.push(("splat", rest.strip_suffix(suffix)?));
                    return Some(taken);
                }
            }
        }
        rest.is_empty().then_some(taken)
    }

    /// Where a name ends: before the literal that follows it, or the next slash.
    fn end_of_name(&self, n: usize, rest: &str) -> Option<usize> {
        let segment = rest.find('/').unwrap_or(rest.len());
        let end = match self.parts.get(n + 1) {
            Some(Part::Literal(next)) if !next.starts_with('/') => {
                let first = next.split('/').next().unwrap_or(next);
                rest[..segment].rfind(first)?
            }
            Some(Part::Literal(_) | Part::Name(_) | Part::Splat) | None => segment,
        };
        (end > 0).then_some(end)
    }
}

/// `/a/*` also stands for `/a`.
fn after_literal<'p>(rest: &'p str, literal: &str, next: Option<&Part>) -> Option<&'p str> {
    let whole = rest.strip_prefix(literal);
    if whole.is_none() && next == Some(&Part::Splat) {
        return literal.strip_suffix('/').filter(|folder| *folder == rest).map(|_| "");
    }
    whole
}

fn first_part(rest: &str) -> (Part, &str) {
    if let Some(after) = rest.strip_prefix('*') {
        return (Part::Splat, after);
    }
    if let Some(name) = rest.strip_prefix(':') {
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        if end > 0 && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return (Part::Name(name[..end].to_owned()), &name[end..]);
        }
    }
    let end = rest.char_indices().skip(1).find(|(_, c)| matches!(c, '*' | ':')).map_or(rest.len(), |(at, _)| at);
    (Part::Literal(rest[..end].to_owned()), &rest[end..])
}

/// Without the slash at its end; the root is empty.
fn trim(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// The value that was taken under a name, as it stands in an address.
pub(super) fn taken(captures: &Captures<'_>, name: &str) -> Option<String> {
    captures.iter().find(|(known, _)| *known == name).map(|(_, value)| crate::path::encode(value))
}

/// Puts values in the places of their names in a template; a name without one stays as it is.
pub(super) fn fill(template: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(':') {
        let (before, named) = rest.split_at(at);
        out.push_str(before);
        let name = &named[1..];
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        match value_of(&name[..end]) {
            Some(value) => {
                out.push_str(&value);
                rest = &name[end..];
            }
            None => {
                out.push(':');
                rest = name;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(pattern: &str, path: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let taken = pattern.matches(path)?;
        Some(taken.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn patterns_match_whole_paths() {
        let same = |text: &str| Some(text.to_owned());
        assert_eq!(taken("/old", "/old"), same(""));
        assert_eq!(taken("/old", "/old/"), same(""));
        assert_eq!(taken("/old/", "/old"), same(""));
        assert_eq!(taken("/", "/"), same(""));
        assert_eq!(taken("/old", "/older"), None);
        assert_eq!(taken("/*", "/"), same("splat="));
        assert_eq!(taken("/*", "/a/b"), same("splat=a/b"));
        assert_eq!(taken("/blog/*", "/blog"), same("splat="));
        assert_eq!(taken("/blog/*", "/blogs"), None);
        assert_eq!(taken("/*.jpg", "/a/b.jpg"), same("splat=a/b"));
        assert_eq!(taken("/*.jpg", "/a/b.png"), None);
        assert_eq!(taken("/:y/:m/x", "/2024/05/x"), same("y=2024 m=05"));
        assert_eq!(taken("/:y/x", "/2024/05/x"), None);
        assert_eq!(taken("/p/:id.html", "/p/a.b.html"), same("id=a.b"));
        assert_eq!(taken("/u/:id/*", "/u/7/a/b"), same("id=7 splat=a/b"));
        assert_eq!(taken("/u/:id", "/u/"), None);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for bad in ["old", "/*/*", "/*/:id", "/a/../b", "/%00", "/a?b=c"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn templates_are_filled_with_what_was_taken() {
        let captures = vec![("splat", "a b"), ("id", "7")];
        let filled = |template: &str| fill(template, |name| super::taken(&captures, name));
        assert_eq!(filled("https://x.test:8080/:splat?i=:id#:other"), "https://x.test:8080/a%20b?i=7#:other");
        assert_eq!(filled("/:identity/:id"), "/:identity/7");
    }

    proptest! {
        #[test]
        fn any_pattern_meets_any_path(pattern in "/[a-c:*/.]{0,12}", path in "/[a-c/.é]{0,12}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                drop(pattern.matches(&path));
            }
        }
    }
}
