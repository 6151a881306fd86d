//! What is written on: a terminal with so many columns, or a file or pipe that must stay stable.

use unicode_width::UnicodeWidthStr;

use super::{Paint, Tone};
use crate::api::time::parse_rfc3339;
use crate::api::told::words::{ago, duration};

/// Columns that are laid out for at least: narrower terminals break lines themselves.
const MIN_COLUMNS: usize = 40;
/// What a relative time takes at most: `119 min ago`.
pub(super) const AGE_COLUMNS: usize = 11;
/// What an absolute time takes: `2026-01-31 12:00:00Z`.
const TIME_COLUMNS: usize = 20;

/// Units of time, which stay with their number.
const UNITS: [&str; 5] = ["ms", "s", "min", "h", "d"];

/// What is written on, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Screen {
    /// Whether colours are used.
    pub(in crate::cli) paint: Paint,
    columns: Option<usize>,
    now_ms: u64,
}

impl Screen {
    /// A terminal: lines are laid out for its columns, times are relative to now.
    pub(in crate::cli) fn terminal(paint: Paint, columns: usize, now_ms: u64) -> Self {
        Self { paint, columns: Some(columns.max(MIN_COLUMNS)), now_ms }
    }

    /// A file or a pipe: no colours, nothing is broken or cut, and the same state reads the same at any time.
    pub(in crate::cli) fn plain(now_ms: u64) -> Self {
        Self { paint: Paint::Plain, columns: None, now_ms }
    }

    /// Columns to lay out for; `None`: as many as it takes.
    pub(super) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Whether at least so many columns are there.
    pub(super) fn has(&self, columns: usize) -> bool {
        self.columns.is_none_or(|all| all >= columns)
    }

    /// The text in the colour of its meaning.
    pub(super) fn tone(&self, tone: Tone, text: &str) -> String {
        self.paint.tone(tone, text)
    }

    /// A time that has been: `5 min ago`, or in full where the text must stay stable.
    pub(super) fn since(&self, time: &str) -> String {
        if self.columns.is_some() { ago(time, self.now_ms) } else { absolute(time) }
    }

    /// What [`Screen::since`] takes at most.
    pub(super) fn time_columns(&self) -> usize {
        if self.columns.is_some() { AGE_COLUMNS } else { TIME_COLUMNS }
    }

    /// A time that is to come: `48 s left`, or `until …` in full where the text must stay stable.
    pub(super) fn until(&self, time: &str) -> String {
        if self.columns.is_none() {
            return format!("until {}", absolute(time));
        }
        match parse_rfc3339(time).map(|at| at.saturating_sub(self.now_ms)) {
            None => String::new(),
            Some(left) if left < 1_000 => "any moment now".into(),
            // Whole seconds: what is left is an upper bound, and tenths of it would be noise.
            Some(left) => format!("{} left", duration(left / 1_000 * 1_000)),
        }
    }

    /// Words on lines that fit beside an indent: the first one has `first` columns taken already.
    pub(super) fn wrapped(&self, text: &str, taken: usize) -> Vec<String> {
        match self.columns {
            None => vec![clean(text)],
            Some(columns) => wrap(text, columns.saturating_sub(taken).max(MIN_COLUMNS / 2)),
        }
    }

    /// A paragraph after a head: further lines stand under the first word. Every line ends with its line end.
    pub(super) fn hanging(&self, head: &str, text: (Tone, &str)) -> String {
        self.beside((Tone::Normal, head), text)
    }

    /// The same with a head that has a meaning of its own.
    pub(super) fn beside(&self, (of_head, head): (Tone, &str), (tone, text): (Tone, &str)) -> String {
        let indent = width(head);
        let mut out = String::new();
        for (index, line) in self.wrapped(text, indent).iter().enumerate() {
            match index {
                0 => out.push_str(&self.tone(of_head, head)),
                _ => out.push_str(&" ".repeat(indent)),
            }
            out.push_str(&self.tone(tone, line));
            out.push('\n');
        }
        out
    }
}

/// The columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text without what a terminal would take for an order.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The time to the second as people read it; an unknown time is none.
fn absolute(time: &str) -> String {
    match (time.get(..10), time.get(11..19)) {
        (Some(date), Some(clock)) => format!("{date} {clock}Z"),
        _ => String::new(),
    }
}

/// Lines of at most `columns`; a word that is longer has a line of its own and is never cut: it may be an id.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let text = clean(text);
    let mut lines = vec![String::new()];
    for word in &words(&text) {
        let line = lines.last_mut().map_or(0, |line| width(line));
        match lines.last_mut() {
            Some(last) if line == 0 => last.push_str(word),
            Some(last) if line + 1 + width(word) <= columns => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

/// The words of a text; a number and its unit of time are one: `1.6 s` is not torn apart.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', '.', ':', ')']);
        match words.last_mut() {
            Some(number) if UNITS.contains(&bare) && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// A text in at most `columns`: what does not fit goes at the front, because the end of an image reference tells more.
pub(super) fn tail(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars().rev() {
        let wider = format!("{c}{kept}");
        if width(&wider) >= columns {
            break;
        }
        kept = wider;
    }
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_relative_times_and_a_file_gets_stable_ones() {
        let (now, at) = (parse_rfc3339("2026-01-31T12:05:00.000Z").unwrap(), "2026-01-31T12:00:00.000Z");
        let later = "2026-01-31T12:05:48.700Z";
        let terminal = Screen::terminal(Paint::Plain, 80, now);
        assert_eq!((terminal.since(at), terminal.until(later)), ("5 min ago".into(), "48 s left".into()));
        assert_eq!(terminal.until(at), "any moment now");
        let file = Screen::plain(now);
        assert_eq!(file.since(at), "2026-01-31 12:00:00Z");
        assert_eq!(file.until(later), "until 2026-01-31 12:05:48Z");
    }

    #[test]
    fn words_break_between_and_never_within() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("a dep_01k9zzzzzzz b", 4), ["a", "dep_01k9zzzzzzz", "b"]);
        assert_eq!(wrap("after 1.6 s, then", 9), ["after", "1.6 s,", "then"]);
        assert_eq!(wrap("漢字 漢字", 5), ["漢字", "漢字"]);
        assert_eq!(wrap("\u{1b}[31mred", 40), ["[31mred"]);
    }

    #[test]
    fn the_end_of_a_reference_is_kept() {
        assert_eq!(tail("ghcr.io/acme/shop:1.4.2", 12), "…/shop:1.4.2");
        assert_eq!(tail("shop:v2", 12), "shop:v2");
        assert!(width(&tail("漢字漢字漢字", 6)) <= 6);
    }
}
