//! Patterns of rules: `*` matches any run of characters, slashes included; everything else matches itself.

/// Whether the whole of `text` matches `pattern`; takes at most `pattern × text` steps, whatever the pattern.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_match_any_run() {
        for (pattern, text) in [
            ("main", "main"),
            ("*", ""),
            ("*", "a/b"),
            ("v*", "v1.2"),
            ("release/*", "release/a/b"),
            ("*-rc*", "v1-rc2"),
            ("a*b*c", "axxbyyc"),
            ("**", "x"),
            ("a*a", "aaaa"),
            ("*", "*"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [
            ("main", "maint"),
            ("main", "Main"),
            ("v*", "1v"),
            ("", "x"),
            ("a*b", "a"),
            ("a*a", "a"),
            ("?", "x"),
            ("*-rc", "v1-rc2"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn an_evil_pattern_ends() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(2000)));
    }
}
