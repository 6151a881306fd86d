//! `.dockerignore`: what of a folder stays away from the build.

use super::glob::Glob;

/// Most patterns of a file: it is matched against every name.
const MAX_PATTERNS: usize = 10_000;

/// Why a pattern cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Its syntax is wrong.
    #[error("line {line}: {pattern:?} is not a pattern: close its bracket, or escape the character by a backslash")]
    Syntax {
        /// From 1.
        line: usize,
        /// As written.
        pattern: String,
    },
    /// There are too many.
    #[error("it holds more than {MAX_PATTERNS} patterns")]
    TooMany,
}

/// The patterns of a file, in their order: the last one that matches a name, or a folder above it, decides.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    /// Whether it takes back what earlier ones left out.
    exception: bool,
    text: String,
    glob: Glob,
}

impl Pattern {
    /// The exception for one name.
    fn exactly(name: &str) -> Self {
        Self { exception: true, text: name.to_owned(), glob: Glob::exactly(name) }
    }
}

impl Ignore {
    /// Reads a file by Docker's rules: one pattern a line, `#` at its very start for comments, `!` for exceptions.
    ///
    /// # Errors
    /// A pattern is malformed, or there are too many.
    pub fn read(text: &str) -> Result<Self, BadPattern> {
        let mut patterns = Vec::new();
        for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let pattern = if line.starts_with('#') { "" } else { line.trim() };
            if pattern.is_empty() {
                continue;
            }
            if patterns.len() == MAX_PATTERNS {
                return Err(BadPattern::TooMany);
            }
            let bad = || BadPattern::Syntax { line: n + 1, pattern: pattern.to_owned() };
            let (exception, path) = match pattern.strip_prefix('!') {
                Some(path) => (true, path.trim()),
                None => (false, pattern),
            };
            let text = clean(path);
            let glob = Glob::read(&text).filter(|_| !path.is_empty()).ok_or_else(bad)?;
            patterns.push(Pattern { exception, text, glob });
        }
        Ok(Self { patterns })
    }

    /// Adds an exception for exactly this name.
    pub fn keep(&mut self, name: &str) {
        self.patterns.push(Pattern::exactly(name));
    }

    /// Leaves out exactly this name, and what is below it.
    pub fn leave_out(&mut self, name: &str) {
        self.patterns.push(Pattern { exception: false, ..Pattern::exactly(name) });
    }

    /// Whether the name is left out.
    #[must_use]
    pub fn excludes(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let folders = name.iter().enumerate().filter(|(_, c)| **c == '/').map(|(at, _)| &name[..at]);
        let paths: Vec<&[char]> = folders.chain([name.as_slice()]).collect();
        let mut out = false;
        for pattern in &self.patterns {
            // What would change nothing need not be matched.
            if pattern.exception == out && paths.iter().any(|path| pattern.glob.matches(path)) {
                out = !pattern.exception;
            }
        }
        out
    }

    /// Whether something below this folder, which is left out itself, can be taken back by an exception.
    #[must_use]
    pub fn reaches_below(&self, folder: &str) -> bool {
        let below = |pattern: &Pattern| {
            let plain = pattern.text.find(['*', '?', '[', '\\']).unwrap_or(pattern.text.len());
            let fixed = &pattern.text[..plain];
            let inside = fixed.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            // A wildcard may stand for this folder, or for one above it.
            inside || (plain < pattern.text.len() && folder.starts_with(fixed))
        };
        self.patterns.iter().any(|pattern| pattern.exception && below(pattern))
    }
}

/// The shortest path of the same meaning, without a leading `/`: `a//b/./c/../d/` is `a/b/d`.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    if parts.is_empty() { if rooted { "/".to_owned() } else { ".".to_owned() } } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ignore(text: &str) -> Ignore {
        Ignore::read(text).unwrap()
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let file = ignore("\u{feff}# all\n*\n!src\n\nsrc/*.tmp\n  !src/keep.tmp \n# !a\n");
        for out in ["a", "docs/x", "src/a.tmp"] {
            assert!(file.excludes(out), "{out}");
        }
        for kept in ["src", "src/a.rs", "src/deep/a.tmp", "src/keep.tmp"] {
            assert!(!file.excludes(kept), "{kept}");
        }
        // What is behind an exception is matched with its folders, as everything is.
        assert!(ignore("**\n!web\nweb/out").excludes("web/out/a"));
        assert!(!ignore("docs\n!docs/README.md").excludes("docs/README.md"));
        assert!(ignore("!a\n*").excludes("a"));
    }

    #[test]
    fn patterns_are_paths_from_the_folder() {
        for pattern in ["/target", "./target/", "target", "a/../target", "  target  ", "//target"] {
            assert!(ignore(pattern).excludes("target/x"), "{pattern}");
            assert!(!ignore(pattern).excludes("a/target"), "{pattern}");
        }
        assert_eq!(clean("../../a"), "../../a");
        assert!(!ignore("../a").excludes("a") && !ignore(".").excludes("a"));
    }

    #[test]
    fn a_malformed_pattern_is_named_with_its_line() {
        let bad = Ignore::read("a\n\n[x").unwrap_err();
        assert_eq!(bad, BadPattern::Syntax { line: 3, pattern: "[x".to_owned() });
        assert!(Ignore::read("!").is_err() && Ignore::read("! ").is_err());
        assert_eq!(Ignore::read(&"a\n".repeat(MAX_PATTERNS + 1)), Err(BadPattern::TooMany));
    }

    #[test]
    fn folders_are_passed_over_only_when_nothing_below_comes_back() {
        let file = ignore("*\n!src/deep/a\n!docs/*.md");
        for (folder, reaches) in
            [("src", true), ("src/deep", true), ("docs", true), ("node_modules", false), ("sr", false)]
        {
            assert_eq!(file.reaches_below(folder), reaches, "{folder}");
        }
        assert!(ignore("*\n!**/a").reaches_below("anything"));
        assert!(!ignore("*").reaches_below("anything"));
    }

    proptest! {
        #[test]
        fn a_plain_name_leaves_out_itself_and_what_is_below(name in "[a-z]{1,6}(/[a-z.]{0,2}[a-z]){0,3}") {
            let file = ignore(&name);
            let below = format!("{name}/x");
            prop_assert!(file.excludes(&name) && file.excludes(&below));
            let (longer, deeper) = (format!("{name}x"), format!("0/{name}"));
            prop_assert!(!file.excludes(&longer) && !file.excludes(&deeper));
            let mut kept = ignore("**");
            kept.keep(&name);
            prop_assert!(!kept.excludes(&name) && kept.excludes(&longer));
        }

        #[test]
        fn whatever_stands_in_the_file_is_read_or_refused(text in "[\\PC\n]{0,200}", name in "\\PC{1,40}") {
            if let Ok(file) = Ignore::read(&text) {
                std::hint::black_box(file.excludes(&name));
            }
        }

        /// What a walk that passes over folders leaves out is left out by the patterns too.
        #[test]
        fn passing_over_changes_nothing(
            patterns in proptest::collection::vec("!?[ab*?]{1,2}(/[ab*]{1,2}){0,2}", 1..6),
            name in "[ab]{1,2}(/[ab]{1,2}){1,3}",
        ) {
            let file = ignore(&patterns.join("\n"));
            for (at, _) in name.match_indices('/') {
                let folder = &name[..at];
                if file.excludes(folder) && !file.reaches_below(folder) {
                    prop_assert!(file.excludes(&name), "{folder} hides {name}");
                }
            }
        }
    }
}
