//! Secret values are taken out of output once, before it is written anywhere.
//!
//! Each value is looked for as it is, in base64 (at any place of the encoded text, both alphabets) and percent-encoded; of
//! a value of several lines each line too, since programs print them one by one. Output comes in chunks of any size: what
//! could be the beginning of a value is held back until the next chunk decides.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands in the place of a value.
pub const MASK: &str = "[secret]";

/// Shortest value, and shortest encoded form, that is looked for, bytes: `1` or `on` would vanish from every line. A secret
/// that is this short can be guessed, and is no secret.
pub const MIN_VALUE: usize = 4;

/// Shortest line of a value of several lines that is looked for by itself, bytes: the others are brackets and ends.
const MIN_LINE: usize = 12;

/// What is looked for. Made once for a set of values, and shared by everything that is redacted with it.
#[derive(Clone, Debug)]
pub struct Redactor {
    /// `None` when there is nothing to look for.
    search: Option<AhoCorasick>,
    /// In order.
    patterns: Vec<Vec<u8>>,
    longest: usize,
    /// Which bytes a pattern begins with: nearly every place is passed over by this alone.
    first: [bool; 256],
}

impl Redactor {
    /// For these values; those that are shorter than [`MIN_VALUE`] are not looked for.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = BTreeSet::new();
        for value in values {
            add_forms(value.trim_ascii(), &mut all);
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            lines.filter(|line| line.len() >= MIN_LINE).for_each(|line| add_forms(line, &mut all));
        }
        let patterns: Vec<Vec<u8>> = all.into_iter().collect();
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        // Building fails only for more patterns than memory could hold; then nothing of the output may be shown.
        let search = if patterns.is_empty() { None } else { AhoCorasick::new(&patterns).ok() };
        let mut first = [false; 256];
        patterns.iter().filter_map(|pattern| pattern.first()).for_each(|byte| first[usize::from(*byte)] = true);
        Self { search, patterns, longest, first }
    }

    /// A text without the values.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut out = stream.push(text.as_bytes());
        out.extend(stream.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// For output that comes in chunks.
    #[must_use]
    pub fn stream(&self) -> Redaction {
        Redaction { redactor: self.clone(), held: Vec::new(), hidden: 0, masked: false }
    }

    /// The places of values in `bytes`, in order; they may touch and overlap.
    fn found(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut found: Vec<_> = match &self.search {
            Some(search) => search.find_overlapping_iter(bytes).map(|found| found.range()).collect(),
            None if self.patterns.is_empty() => Vec::new(),
            None => std::iter::once(0..bytes.len()).collect(),
        };
        found.sort_by_key(|range| range.start);
        found
    }

    /// Where the first suffix begins that more bytes could make a value.
    fn undecided(&self, bytes: &[u8]) -> usize {
        let from = (bytes.len() + 1).saturating_sub(self.longest);
        let begins = |at: &usize| {
            let suffix = &bytes[*at..];
            if !self.first[usize::from(suffix[0])] {
                return false;
            }
            let next = self.patterns.partition_point(|pattern| pattern.as_slice() <= suffix);
            self.patterns.get(next).is_some_and(|pattern| pattern.starts_with(suffix))
        };
        (from..bytes.len()).find(begins).unwrap_or(bytes.len())
    }
}

/// Every form in which a value may be printed.
fn add_forms(value: &[u8], all: &mut BTreeSet<Vec<u8>>) {
    let mut add = |form: Vec<u8>| {
        if form.len() >= MIN_VALUE {
            all.insert(form);
        }
    };
    if value.len() < MIN_VALUE {
        return;
    }
    add(value.to_vec());
    for shift in 0..3 {
        let shifted = [&[0; 2][..shift], value].concat();
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            // Only the characters that hold nothing but bits of the value.
            let first = (shift * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            add(encoded.as_bytes()[first..last].to_vec());
        }
    }
    for hex in [*b"0123456789ABCDEF", *b"0123456789abcdef"] {
        let encoded = percent(value, &hex);
        add(encoded.split(|byte| *byte == b' ').collect::<Vec<_>>().join(&b"%20"[..]));
        add(encoded.split(|byte| *byte == b' ').collect::<Vec<_>>().join(&b'+'));
    }
}

/// Percent-encoded but for spaces, of which there are two ways.
fn percent(value: &[u8], hex: &[u8; 16]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b' ' => out.push(*byte),
            byte => out.extend([b'%', hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]),
        }
    }
    out
}

/// Output on its way. What is held back is never longer than the longest form of a value.
#[derive(Debug)]
pub struct Redaction {
    redactor: Redactor,
    held: Vec<u8>,
    /// How many of the bytes that are held belong to a value that has ended in them.
    hidden: usize,
    /// Whether the last byte that was given out belongs to a value.
    masked: bool,
}

impl Redaction {
    /// Takes a chunk, and gives what is decided.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(chunk);
        let decided = self.redactor.undecided(&self.held);
        self.give(decided)
    }

    /// Whether something is held back.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Gives what was held back: nothing more comes, or not soon enough for whoever waits for it.
    pub fn finish(&mut self) -> Vec<u8> {
        self.give(self.held.len())
    }

    /// Gives the first `decided` bytes, with one mask for each stretch of bytes that belong to values.
    fn give(&mut self, decided: usize) -> Vec<u8> {
        let earlier = std::iter::once(0..self.hidden);
        let hidden = earlier.chain(self.redactor.found(&self.held));
        let mut out = Vec::new();
        let mut reach = 0;
        for stretch in hidden {
            let shown = reach.min(decided)..stretch.start.min(decided);
            if !shown.is_empty() {
                out.extend_from_slice(&self.held[shown]);
                self.masked = false;
            }
            if stretch.end.min(decided) > reach.max(stretch.start) && !self.masked {
                out.extend_from_slice(MASK.as_bytes());
                self.masked = true;
            }
            reach = reach.max(stretch.end);
        }
        if reach < decided {
            out.extend_from_slice(&self.held[reach..decided]);
            self.masked = false;
        }
        self.hidden = reach.saturating_sub(decided);
        self.held.drain(..decided);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        Redactor::new(values.iter().map(|value| value.as_bytes()))
    }

    fn chunks(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        let mut at = 0;
        for cut in cuts.iter().map(|cut| cut % (text.len() + 1)).chain([text.len()]) {
            if cut >= at {
                out.extend(stream.push(&text[at..cut]));
                at = cut;
            }
        }
        out.extend(stream.finish());
        out
    }

    #[test]
    fn a_value_is_hidden_in_every_form() {
        let value = "p@ss w?rd/1>~";
        let redactor = redactor(&[value]);
        let places = ["", "x", "xy", "xyz"].map(|shift| ["", "!", "!!"].map(|tail| format!("{shift}{value}{tail}")));
        for plain in places.concat() {
            for encoded in [STANDARD_NO_PAD.encode(&plain), URL_SAFE_NO_PAD.encode(&plain)] {
                let out = redactor.text(&format!("token={encoded};"));
                assert!(out.contains(MASK) && out.len() < 24 + 8, "{encoded}: {out}");
            }
        }
        for encoded in ["p%40ss%20w%3Frd%2F1%3E~", "p%40ss+w%3frd%2f1%3e~", value] {
            assert_eq!(redactor.text(&format!("a={encoded}&b")), format!("a={MASK}&b"));
        }
    }

    #[test]
    fn lines_of_a_key_are_hidden_one_by_one() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASC\nAA==\n-----END KEY-----\n";
        let out = redactor(&[key]).text("#5 1.2 MIIEvQIBADANBgkqhkiG\n#5 1.3 9w0BAQEFAASC AA==");
        assert_eq!(out, format!("#5 1.2 {MASK}\n#5 1.3 {MASK} AA=="));
    }

    #[test]
    fn values_that_overlap_are_hidden_together() {
        assert_eq!(redactor(&["abcdef", "defghi"]).text("xabcdefghiy"), format!("x{MASK}y"));
        assert_eq!(redactor(&["aaaa"]).text("aaaaaaaaab"), format!("{MASK}b"));
        assert_eq!(redactor(&["abcd", "abcdefgh"]).text("abcdefgx"), format!("{MASK}efgx"));
    }

    #[test]
    fn what_is_no_secret_stays() {
        for values in [&[][..], &["8", "on", ""], &["hunter2!"]] {
            assert_eq!(redactor(values).text("listening on 8080, ok"), "listening on 8080, ok");
        }
    }

    #[test]
    fn only_what_may_become_a_value_is_held_back() {
        let mut stream = redactor(&["secret-value"]).stream();
        assert_eq!(stream.push(b"line of text\nsec"), b"line of text\n");
        assert_eq!(stream.push(b"ond\n"), b"second\n");
        assert_eq!(stream.push(b"secret-"), b"");
        assert_eq!(stream.push(b"value!"), format!("{MASK}!").as_bytes());
        assert_eq!(stream.push(b"secret-valu"), b"");
        assert_eq!(stream.finish(), b"secret-valu");
    }

    proptest! {
        /// The same, however the output was cut; and no value is left in it.
        #[test]
        fn chunks_change_nothing(
            values in proptest::collection::vec("[ab]{4,7}", 1..4),
            text in "[abc]{0,80}",
            cuts in proptest::collection::vec(0..100_usize, 0..8),
        ) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let redactor = redactor(&values);
            let mut cuts = cuts;
            cuts.sort_unstable();
            let whole = redactor.text(&text);
            prop_assert_eq!(chunks(&redactor, text.as_bytes(), &cuts), whole.as_bytes());
            for value in &values {
                prop_assert!(!whole.contains(value), "{} in {}", value, whole);
            }
            if !values.iter().any(|value| text.contains(value)) {
                prop_assert_eq!(whole, text);
            }
        }

        /// A value of any bytes, between any others, in any form.
        #[test]
        fn a_value_never_comes_out(
            value in proptest::collection::vec(any::<u8>(), 8..40),
            before in proptest::collection::vec(any::<u8>(), 0..20),
            after in proptest::collection::vec(any::<u8>(), 0..20),
            cut in 0..200_usize,
        ) {
            let redactor = Redactor::new([value.as_slice()]);
            let value = value.trim_ascii();
            prop_assume!(value.len() >= MIN_VALUE);
            let plain = [&before[..], value, &after[..]].concat();
            let encoded = STANDARD_NO_PAD.encode(&plain).into_bytes();
            for text in [&plain, &encoded] {
                let out = chunks(&redactor, text, &[cut]);
                prop_assert!(out.windows(MASK.len()).any(|window| window == MASK.as_bytes()));
            }
            let out = chunks(&redactor, &plain, &[cut]);
            prop_assert!(!out.windows(value.len()).any(|window| window == value));
        }
    }
}
