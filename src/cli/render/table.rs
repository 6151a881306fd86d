//! Aligned columns that fit the screen.

use super::Tone;
use super::screen::{Screen, clean, tail, width};

/// Between two columns.
const GAP: usize = 2;
/// What notes beneath a row are indented by.
const NOTE: &str = "  ";

/// A column: its head, and what becomes of it where the screen is too narrow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    head: &'static str,
    fit: Fit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fit {
    /// Is shown in full.
    Whole,
    /// Keeps at least so many columns; the front of its cells goes first.
    Shrinks(usize),
    /// Is left out; the highest number first.
    Drops(u8),
}

impl Column {
    /// Shown in full on any screen.
    pub(super) const fn whole(head: &'static str) -> Self {
        Self { head, fit: Fit::Whole }
    }

    /// Cut at the front to no less than `least` columns.
    pub(super) const fn shrinks(head: &'static str, least: usize) -> Self {
        Self { head, fit: Fit::Shrinks(least) }
    }

    /// Left out where the screen is too narrow; the highest `rank` goes first.
    pub(super) const fn drops(head: &'static str, rank: u8) -> Self {
        Self { head, fit: Fit::Drops(rank) }
    }
}

/// A cell: its meaning and its text.
type Cell = (Tone, String);

/// A table without lines: a header and rows whose columns are two spaces apart, each with notes beneath.
pub(super) struct Table {
    columns: Vec<Column>,
    indent: usize,
    rows: Vec<(Vec<Cell>, Vec<Cell>)>,
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), indent: 0, rows: Vec::new() }
    }

    /// The same, further right.
    pub(super) fn indented(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        let cells = cells.into_iter().map(|(tone, text)| (tone, clean(&text))).collect();
        self.rows.push((cells, Vec::new()));
    }

    /// A line beneath the newest row.
    pub(super) fn note(&mut self, tone: Tone, text: String) {
        if let Some((_, notes)) = self.rows.last_mut() {
            notes.push((tone, text));
        }
    }

    /// The lines, each with its line end; none has trailing spaces.
    pub(super) fn render(&self, screen: &Screen) -> String {
        let shown = self.fitted(screen);
        let head: Vec<Cell> = self.columns.iter().map(|column| (Tone::Quiet, column.head.to_owned())).collect();
        let mut text = self.line(&head, &shown, screen);
        for (cells, notes) in &self.rows {
            text.push_str(&self.line(cells, &shown, screen));
            for (tone, note) in notes {
                let indent = format!("{}{NOTE}", " ".repeat(self.indent));
                text.push_str(&screen.hanging(&indent, (*tone, note)));
            }
        }
        text
    }

    /// Which columns are shown, and how wide: `None` is left out.
    fn fitted(&self, screen: &Screen) -> Vec<Option<usize>> {
        let natural = |at: usize| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(at));
            let widest = cells.map(|(_, text)| width(text)).max().unwrap_or(0);
            // A column without a single word is none: its head would promise what is not there.
            if widest == 0 { None } else { Some(widest.max(width(self.columns[at].head))) }
        };
        let mut shown: Vec<Option<usize>> = (0..self.columns.len()).map(natural).collect();
        let Some(columns) = screen.columns() else { return shown };
        let columns = columns.saturating_sub(self.indent);
        while self.least(&shown) > columns {
            let Some(at) = self.next_to_drop(&shown) else { break };
            shown[at] = None;
        }
        let over = total(&shown).saturating_sub(columns);
        if let Some((width, least)) = self.shrinking(&mut shown) {
            *width = width.saturating_sub(over).max(least.min(*width));
        }
        shown
    }

    /// What is taken when everything that can shrink has.
    fn least(&self, shown: &[Option<usize>]) -> usize {
        let mut shrunk = shown.to_vec();
        if let Some((width, least)) = self.shrinking(&mut shrunk) {
            *width = least.min(*width);
        }
        total(&shrunk)
    }

    fn shrinking<'a>(&self, shown: &'a mut [Option<usize>]) -> Option<(&'a mut usize, usize)> {
        self.columns.iter().zip(shown).find_map(|(column, width)| match (column.fit, width) {
            (Fit::Shrinks(least), Some(width)) => Some((width, least.max(column.head.len()))),
            _ => None,
        })
    }

    fn next_to_drop(&self, shown: &[Option<usize>]) -> Option<usize> {
        let ranks = self.columns.iter().enumerate().filter_map(|(at, column)| match column.fit {
            Fit::Drops(rank) if shown[at].is_some() => Some((rank, at)),
            _ => None,
        });
        ranks.max().map(|(_, at)| at)
    }

    fn line(&self, cells: &[Cell], shown: &[Option<usize>], screen: &Screen) -> String {
        let mut line = String::new();
        let mut gap = self.indent;
        for ((tone, text), columns) in cells.iter().zip(shown).filter_map(|(cell, width)| Some((cell, (*width)?))) {
            let text = tail(text, columns);
            if text.is_empty() {
                gap += columns + GAP;
                continue;
            }
            line.push_str(&" ".repeat(gap));
            line.push_str(&screen.tone(*tone, &text));
            gap = columns.saturating_sub(width(&text)) + GAP;
        }
        line.push('\n');
        line
    }
}

fn total(shown: &[Option<usize>]) -> usize {
    let widths: Vec<usize> = shown.iter().flatten().copied().collect();
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// A cell without a meaning of its own.
pub(super) fn cell(text: impl Into<String>) -> Cell {
    (Tone::Normal, text.into())
}

#[cfg(test)]
mod tests {
    use super::super::Paint;
    use super::*;

    fn sample() -> Table {
        let columns =
            [Column::whole("NAME"), Column::whole("STATE"), Column::shrinks("IMAGE", 10), Column::drops("SINCE", 1)];
        let mut table = Table::new(&columns);
        table.row(vec![
            cell("shop/web"),
            (Tone::Good, "running".into()),
            cell("ghcr.io/acme/shop:1.4.2"),
            cell("5 min ago"),
        ]);
        table.note(Tone::Bad, "something to know".into());
        table.row(vec![cell("a/漢字"), cell(""), cell("x"), cell("")]);
        table
    }

    #[test]
    fn columns_align_by_what_they_take_on_a_terminal_and_nothing_trails() {
        let expected = "\
NAME      STATE    IMAGE                    SINCE
shop/web  running  ghcr.io/acme/shop:1.4.2  5 min ago
  something to know
a/漢字             x
";
        assert_eq!(sample().render(&Screen::plain(0)), expected);
    }

    #[test]
    fn a_narrow_screen_cuts_first_and_leaves_out_then() {
        let cut = "\
NAME      STATE    IMAGE             SINCE
shop/web  running  …acme/shop:1.4.2  5 min ago
";
        let at_46 = sample().render(&Screen::terminal(Paint::Plain, 46, 0));
        assert!(at_46.starts_with(cut), "{at_46}");
        let at_40 = sample().render(&Screen::terminal(Paint::Plain, 40, 0));
        assert!(at_40.starts_with("NAME      STATE    IMAGE       SINCE\n") || !at_40.contains("SINCE"), "{at_40}");
        assert!(at_40.lines().all(|line| width(line) <= 40), "{at_40}");
    }

    #[test]
    fn colours_do_not_count() {
        let text = sample().render(&Screen::terminal(Paint::Colour, 80, 0));
        assert!(text.contains("\u{1b}[32mrunning\u{1b}[0m  ghcr.io"), "{text:?}");
    }
}
