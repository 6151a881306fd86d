//! Known words, and the one that somebody probably meant.

/// Characters of a foreign value that a message repeats: enough to find it again.
const MAX_QUOTED_CHARS: usize = 60;

/// The keys of one table.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// What is understood.
    pub known: &'static [&'static str],
    /// What has a meaning that this version does not carry out.
    pub later: &'static [&'static str],
}

impl Words {
    /// What is wrong with a key; `None` when it is known.
    #[must_use]
    pub fn refuse(&self, key: &str) -> Option<String> {
        if self.known.contains(&key) {
            return None;
        }
        if self.later.contains(&key) {
            return Some(not_yet(key));
        }
        let all = || self.known.iter().chain(self.later).copied();
        Some(match nearest(key, all()) {
            Some(word) if self.later.contains(&word) => {
                format!("unknown key; the nearest known one is \"{word}\", which is not yet supported")
            }
            Some(word) => format!("unknown key; did you mean \"{word}\"?"),
            None if self.known.is_empty() => "unknown key; no key is known here".to_owned(),
            None if self.later.is_empty() => format!("unknown key; known keys are {}", self.known.join(", ")),
            None => {
                let (known, later) = (self.known.join(", "), self.later.join(", "));
                format!("unknown key; known keys are {known}; not yet supported are {later}")
            }
        })
    }
}

/// The text for something that has a meaning, but not in this version.
#[must_use]
pub fn not_yet(what: &str) -> String {
    format!("{} is not yet supported", quoted(what))
}

/// A foreign text between quotes: on one line, without control characters, cut to 60 characters.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out: String = text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        out.push('…');
    }
    format!("\"{out}\"")
}

/// `"a", "b" or "c"`.
#[must_use]
pub fn choice(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The word that is nearest to `text`, when one is near: a third of its letters may differ, or one is the beginning
/// of the other.
#[must_use]
pub fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<char> = text.chars().take(2 * MAX_QUOTED_CHARS).flat_map(char::to_lowercase).collect();
    let mut best: Option<(usize, &str)> = None;
    for word in words {
        let letters: Vec<char> = word.chars().collect();
        let beginning =
            text.len().min(letters.len()) >= 3 && (text.starts_with(&letters) || letters.starts_with(&text));
        let distance = if beginning { 1 } else { distance(&text, &letters) };
        let near = distance <= (letters.len().max(text.len()) / 3).max(1);
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, word));
        }
    }
    best.map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let width = b.len() + 1;
    let mut rows = vec![vec![0_usize; width]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..width {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_what_was_meant() {
        let words = ["image", "host", "health", "env", "replicas", "port", "ports"];
        let near = |text| nearest(text, words.into_iter());
        let cases = [
            ("imgae", Some("image")),
            ("Image", Some("image")),
            ("environment", Some("env")),
            ("healthcheck", Some("health")),
            ("replica", Some("replicas")),
            ("prot", Some("port")),
            ("wibble", None),
            ("", None),
        ];
        for (text, word) in cases {
            assert_eq!(near(text), word, "{text}");
        }
    }

    #[test]
    fn a_foreign_text_stays_on_one_line() {
        assert_eq!(quoted("a\r\nb\u{1b}"), "\"a\\r\\nb\\u{1b}\"");
        assert!(quoted(&"x".repeat(10_000)).chars().count() < 64);
    }

    #[test]
    fn all_words_are_named_where_none_is_near() {
        let words = Words { known: &["image", "host"], later: &["volumes"] };
        assert_eq!(
            words.refuse("zzzzz"),
            Some("unknown key; known keys are image, host; not yet supported are volumes".to_owned())
        );
        assert_eq!(words.refuse("volumes"), Some("\"volumes\" is not yet supported".to_owned()));
        assert!(words.refuse("volume").is_some_and(|text| text.contains("volumes") && text.contains("not yet")));
        assert_eq!(words.refuse("image"), None);
    }
}
