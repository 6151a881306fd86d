//! One pattern of a `.dockerignore`, matched in time that grows with pattern times path and never faster.

/// A part of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// This character.
    One(char),
    /// Any character but `/`.
    Any,
    /// Any number of characters but `/`.
    Star,
    /// Any number of whole folders, none too.
    Folders,
    /// Everything.
    Rest,
    /// One character of these ranges, or of none of them.
    Class { none: bool, ranges: Vec<(char, char)> },
}

impl Part {
    /// The character of a part that stands for itself.
    fn plain(&self) -> Option<char> {
        if let Self::One(c) = self { Some(*c) } else { None }
    }
}

/// A pattern, ready to be matched. What stands for itself at its ends is compared first: that decides nearly always.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Glob {
    head: Vec<char>,
    parts: Vec<Part>,
    tail: Vec<char>,
}

impl Glob {
    /// Reads a pattern that is a clean path; `None` when its syntax is wrong.
    pub(super) fn read(pattern: &str) -> Option<Self> {
        let text: Vec<char> = pattern.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&c) = text.get(at) {
            let (part, length) = match c {
                '*' => stars(&text[at..]),
                '?' => (Part::Any, 1),
                '[' => class(&text[at..])?,
                '\\' => (Part::One(*text.get(at + 1)?), 2),
                c => (Part::One(c), 1),
            };
            parts.push(part);
            at += length;
        }
        // `**` before a plain text is about the end of the path, whatever stands before it.
        let plain = parts.iter().skip(1).all(|part| matches!(part, Part::One(_)));
        if parts.first() == Some(&Part::Folders) && text.get(2) != Some(&'/') && plain && !pattern.contains('\\') {
            parts[0] = Part::Rest;
        }
        let plain = |part: &&Part| matches!(part, Part::One(_));
        let head: Vec<char> = parts.iter().take_while(plain).filter_map(Part::plain).collect();
        let parts = parts.split_off(head.len());
        let length = parts.iter().rev().take_while(plain).count();
        let tail = parts[parts.len() - length..].iter().filter_map(Part::plain).collect();
        Some(Self { head, parts: parts[..parts.len() - length].to_vec(), tail })
    }

    /// The pattern that matches this text alone.
    pub(super) fn exactly(text: &str) -> Self {
        Self { head: text.chars().collect(), parts: Vec::new(), tail: Vec::new() }
    }

    /// Whether the whole path is what the pattern says.
    pub(super) fn matches(&self, path: &[char]) -> bool {
        let path = path.strip_prefix(self.head.as_slice()).and_then(|path| path.strip_suffix(self.tail.as_slice()));
        let Some(path) = path else { return false };
        // Which lengths of the path the parts so far can have taken.
        let mut reached = vec![false; path.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            reached = after(part, &reached, path);
        }
        reached[path.len()]
    }
}

fn after(part: &Part, reached: &[bool], path: &[char]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    let mut open = false;
    for at in 0..reached.len() {
        let before = at.checked_sub(1).map(|before| (reached[before], path[before]));
        let one = |fits: &dyn Fn(char) -> bool| before.is_some_and(|(reached, c)| reached && fits(c));
        next[at] = match part {
            Part::One(wanted) => one(&|c| c == *wanted),
            Part::Any => one(&|c| c != '/'),
            Part::Class { none, ranges } => {
                one(&|c| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *none)
            }
            Part::Star => {
                open = reached[at] || (open && before.is_some_and(|(_, c)| c != '/'));
                open
            }
            Part::Rest => {
                open |= reached[at];
                open
            }
            Part::Folders => {
                let ended = open && before.is_some_and(|(_, c)| c == '/');
                open |= reached[at];
                reached[at] || ended
            }
        };
    }
    next
}

/// `*`, `**` or `**/`, and how many characters that is.
fn stars(text: &[char]) -> (Part, usize) {
    if text.get(1) != Some(&'*') {
        return (Part::Star, 1);
    }
    let length = if text.get(2) == Some(&'/') { 3 } else { 2 };
    (if length == text.len() { Part::Rest } else { Part::Folders }, length)
}

/// `[a-z]`, `[^a-z]`, and how many characters that is.
fn class(text: &[char]) -> Option<(Part, usize)> {
    let none = text.get(1) == Some(&'^');
    let mut at = if none { 2 } else { 1 };
    let mut ranges = Vec::new();
    loop {
        if text.get(at) == Some(&']') && !ranges.is_empty() {
            return Some((Part::Class { none, ranges }, at + 1));
        }
        let (low, length) = member(&text[at..])?;
        at += length;
        let mut high = low;
        if text.get(at) == Some(&'-') {
            let (end, length) = member(text.get(at + 1..)?)?;
            high = end;
            at += 1 + length;
        }
        ranges.push((low, high));
    }
}

fn member(text: &[char]) -> Option<(char, usize)> {
    match *text.first()? {
        '-' | ']' => None,
        '\\' => Some((*text.get(1)?, 2)),
        c => Some((c, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Glob::read(pattern).unwrap().matches(&path.chars().collect::<Vec<_>>())
    }

    #[test]
    fn patterns_mean_what_docker_says() {
        for (pattern, path) in [
            ("*", "notes.txt"),
            ("*.rs", "main.rs"),
            ("src/*.rs", "src/main.rs"),
            ("src?", "src1"),
            ("**", "a/b/c"),
            ("**/", "a/b"),
            ("src/**", "src/a/b"),
            ("**/target", "target"),
            ("**/target", "a/b/target"),
            ("**target", "a/mytarget"),
            ("**/t*t", "a/b/test"),
            ("a**/*.txt", "a/b/c.txt"),
            ("a/*.txt**", "a/b.txt"),
            ("v[0-9]", "v7"),
            ("v[^0-9]", "vx"),
            ("[\\]x]", "]"),
            ("a\\*b", "a*b"),
            ("a.|)$(}+{b", "a.|)$(}+{b"),
            ("a?b", "a☺b"),
            ("[a-ζ]*", "αβ"),
            ("ab*ba", "abba"),
            ("a", "a"),
            ("**/", ""),
        ] {
            assert!(matches(pattern, path), "{pattern} does not match {path}");
        }
        for (pattern, path) in [
            ("*", "a/b"),
            ("*.rs", "src/main.rs"),
            ("src/**", "src"),
            ("a/*.txt", "a/b/c.txt"),
            ("**/.env", "x.env"),
            ("v[0-9]", "vx"),
            ("a.b", "axb"),
            ("a?b", "a/b"),
            ("**/**/*.c", "a/b.h"),
            ("a\\*b", "axb"),
            ("ab*ba", "aba"),
            ("a", "ab"),
            ("a", ""),
        ] {
            assert!(!matches(pattern, path), "{pattern} matches {path}");
        }
        for bad in ["[", "[]a]", "[^", "[a", "[a-", "[-x]", "[x-]", "\\", "a[", "[a-b-c]"] {
            assert_eq!(Glob::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let pattern = "**/*a".repeat(200);
        let path: Vec<char> = "a/".repeat(1500).chars().collect();
        assert!(!Glob::read(&pattern).unwrap().matches(&path));
    }
}
