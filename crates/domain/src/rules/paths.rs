//! Path rules: which changed paths are those that a rule wants.
//!
//! `*` matches any run of characters within a part of a path, `?` one of them, `**` any number of whole parts. A pattern
//! without either is about the file and about everything below the folder of that name. `!` takes back what patterns
//! before it have matched: the last one that matches decides. Where the first one takes back, everything else is wanted.

/// Whether a path is one that the patterns want; with no patterns every path is.
#[must_use]
pub fn wants(patterns: &[String], path: &str) -> bool {
    let mut wanted = patterns.first().is_none_or(|first| first.starts_with('!'));
    for pattern in patterns {
        let (pattern, takes) = pattern.strip_prefix('!').map_or((pattern.as_str(), true), |rest| (rest, false));
        if wanted != takes && covers(pattern, path) {
            wanted = takes;
        }
    }
    wanted
}

/// Whether a pattern is about this path, or about a folder above it.
fn covers(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = parts(pattern).collect();
    let path: Vec<&str> = parts(path).collect();
    // Which numbers of parts of the path the parts of the pattern so far can have taken.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in &pattern {
        let mut next = vec![false; path.len() + 1];
        for at in 0..=path.len() {
            next[at] = match *part {
                "**" => reached[at] || (at > 0 && next[at - 1]),
                part => at > 0 && reached[at - 1] && fits(part.as_bytes(), path[at - 1].as_bytes()),
            };
        }
        reached = next;
    }
    let whole = path.len();
    let plain = !pattern.iter().any(|part| part.contains(['*', '?']));
    // A folder stands for what is in it.
    reached[whole] || plain && reached.iter().skip(1).any(|reached| *reached)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|part| !part.is_empty())
}

/// Whether the whole of one part is what `*` and `?` say; takes at most `pattern × text` steps.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(patterns: &[&str], path: &str) -> bool {
        wants(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>(), path)
    }

    #[test]
    fn a_path_is_wanted_by_the_last_pattern_that_is_about_it() {
        for (patterns, path, expected) in [
            (&[][..], "a", true),
            (&["services/api/**"], "services/api/src/main.rs", true),
            (&["services/api/**"], "services/apix/main.rs", false),
            (&["services/api/**"], "services/web/api/x", false),
            (&["services/api"], "services/api/src/main.rs", true),
            (&["services/api/"], "services/api/src/main.rs", true),
            (&["services/api"], "services/api-docs/x", false),
            (&["*.md"], "README.md", true),
            (&["*.md"], "docs/README.md", false),
            (&["**/*.md"], "README.md", true),
            (&["**/*.md"], "docs/a/README.md", true),
            (&["docs/*/x"], "docs/a/x", true),
            (&["docs/*/x"], "docs/a/b/x", false),
            (&["a/**/z"], "a/z", true),
            (&["a/**/z"], "a/b/c/z", true),
            (&["a/**/z"], "a/b/c/y", false),
            (&["v?.txt"], "v1.txt", true),
            (&["v?.txt"], "v12.txt", false),
            (&["services/api/**", "!**/*.md"], "services/api/README.md", false),
            (&["services/api/**", "!**/*.md"], "services/api/a.rs", true),
            (&["services/api/**", "!**/*.md", "services/api/help.md"], "services/api/help.md", true),
            (&["!docs/**"], "docs/a", false),
            (&["!docs/**"], "src/a", true),
            (&["**"], "any/thing", true),
        ] {
            assert_eq!(wanted(patterns, path), expected, "{patterns:?} {path}");
        }
    }

    #[test]
    fn an_evil_pattern_ends() {
        let evil = vec!["**/*a*a*a*a*a*a*b/".repeat(12)];
        assert!(!wants(&evil, &"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa/".repeat(60)));
    }
}
