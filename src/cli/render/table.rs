//! Aligned columns.

use super::{Paint, Tone};

/// A table without lines: a header and rows whose columns are two spaces apart.
pub(super) struct Table {
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|cell| (Tone::Quiet, (*cell).to_owned())).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<(Tone, String)>) {
        self.rows.push(cells);
    }

    /// The lines, each with its line end; none has trailing spaces.
    pub(super) fn render(&self, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(|row| line(row, &widths, paint)).collect()
    }
}

fn line(row: &[(Tone, String)], widths: &[usize], paint: Paint) -> String {
    let mut line = String::new();
    let mut gap = 0;
    for ((tone, text), width) in row.iter().zip(widths) {
        if text.is_empty() {
            gap += width + 2;
            continue;
        }
        line.push_str(&" ".repeat(gap));
        line.push_str(&paint.tone(*tone, text));
        gap = width - text.chars().count() + 2;
    }
    line.push('\n');
    line
}

/// A cell without a meaning of its own.
pub(super) fn cell(text: impl Into<String>) -> (Tone, String) {
    (Tone::Normal, text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_nothing_trails() {
        let mut table = Table::new(&["NAME", "STATE", "NOTE"]);
        table.row(vec![cell("shop/web"), (Tone::Good, "running".into()), cell("")]);
        table.row(vec![cell("a/b"), cell(""), cell("x")]);
        assert_eq!(table.render(Paint::Plain), "NAME      STATE    NOTE\nshop/web  running\na/b                x\n");
        assert!(table.render(Paint::Colour).contains("\u{1b}[32mrunning\u{1b}[0m"));
    }
}
