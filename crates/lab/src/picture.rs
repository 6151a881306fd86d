//! Pictures of a terminal: text with colours becomes an SVG, the same bytes for the same text.
//!
//! Only what `cutover` writes is understood: bold, faint, red, green, yellow, and the end of them; every character takes
//! one cell.

use std::path::{Path, PathBuf};

use crate::Result;

/// Width of a character, px: what common monospaced fonts take at [`FONT`].
const CELL: f64 = 8.4;
/// Height of a line, px.
const LINE: f64 = 20.0;
/// Size of the font, px.
const FONT: u32 = 14;
/// Between the text and the edge, px.
const PAD: f64 = 20.0;
/// Height of the bar with the three dots, px.
const BAR: f64 = 34.0;
/// What the golden texts with colours end with.
const ENDING: &str = "ansi";

/// Makes a picture of each text with colours of `from`, in `to`; how many there are.
pub(crate) fn all(from: &Path, to: &Path) -> Result<usize> {
    std::fs::create_dir_all(to)?;
    let texts = texts(from)?;
    for (name, text) in &texts {
        std::fs::write(to.join(format!("{name}.svg")), svg(text))?;
    }
    Ok(texts.len())
}

/// The texts with colours of a folder, by the name of their picture.
fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    found.sort();
    let text = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
        Ok((name.ok_or("a file without a name")?.to_owned(), std::fs::read_to_string(path)?))
    };
    found.iter().map(text).collect()
}

/// How a run of characters looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Look {
    bold: bool,
    colour: Colour,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Colour {
    #[default]
    Plain,
    Faint,
    Red,
    Green,
    Yellow,
}

impl Colour {
    /// On the dark ground of the picture, each with a contrast above 4.5 : 1.
    const fn hex(self) -> &'static str {
        match self {
            Self::Plain => "#d6deeb",
            Self::Faint => "#8494a9",
            Self::Red => "#ff7b72",
            Self::Green => "#5ecf7b",
            Self::Yellow => "#e3b341",
        }
    }
}

/// Characters that look alike, and the column that they begin in.
struct Run {
    column: usize,
    look: Look,
    text: String,
}

/// The picture of a text.
fn svg(text: &str) -> String {
    let lines: Vec<Vec<Run>> = text.lines().map(runs).collect();
    let end = |run: &Run| run.column + run.text.chars().count();
    let columns = lines.iter().flatten().map(end).max().unwrap_or(0).max(60);
    let (width, height) = (columns as f64 * CELL + 2.0 * PAD, lines.len() as f64 * LINE + BAR + PAD);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, \
         'DejaVu Sans Mono', monospace\" font-size=\"{FONT}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0f1720\"/>\n"
    );
    for (at, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = PAD + 2.0 + at as f64 * 18.0;
        out.push_str(&format!("<circle cx=\"{x}\" cy=\"17\" r=\"5.5\" fill=\"{colour}\"/>\n"));
    }
    for (row, runs) in lines.iter().enumerate() {
        let y = BAR + LINE * (row as f64 + 0.75);
        runs.iter().for_each(|run| out.push_str(&drawn(run, y)));
    }
    out.push_str("</svg>\n");
    out
}

/// A run at its column, stretched to its cells whatever font is there.
fn drawn(run: &Run, y: f64) -> String {
    let (x, length) = (PAD + run.column as f64 * CELL, run.text.chars().count() as f64 * CELL);
    let bold = if run.look.bold { " font-weight=\"bold\"" } else { "" };
    let text = run.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" fill=\"{}\"{bold} xml:space=\"preserve\">{text}</text>\n",
        run.look.colour.hex()
    )
}

/// A line in runs; spaces at either end of a run are left out.
fn runs(line: &str) -> Vec<Run> {
    let mut found = Vec::new();
    let (mut look, mut column) = (Look::default(), 0);
    for (index, part) in line.split("\u{1b}[").enumerate() {
        let text = match part.split_once('m').filter(|_| index > 0) {
            Some((code, text)) => {
                look = changed(look, code);
                text
            }
            None => part,
        };
        let lead = text.chars().take_while(|c| *c == ' ').count();
        let shown = text.trim_matches(' ');
        if !shown.is_empty() {
            found.push(Run { column: column + lead, look, text: shown.to_owned() });
        }
        column += text.chars().count();
    }
    found
}

fn changed(look: Look, code: &str) -> Look {
    match code {
        "1" => Look { bold: true, ..look },
        "2" => Look { colour: Colour::Faint, ..look },
        "31" => Look { colour: Colour::Red, ..look },
        "32" => Look { colour: Colour::Green, ..look },
        "33" => Look { colour: Colour::Yellow, ..look },
        _ => Look::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_know_their_columns_and_looks() {
        let found = runs("a  \u{1b}[32mrunning\u{1b}[0m  <b>");
        let told: Vec<_> = found.iter().map(|run| (run.column, run.look.colour, run.text.as_str())).collect();
        assert_eq!(told, [(0, Colour::Plain, "a"), (3, Colour::Green, "running"), (12, Colour::Plain, "<b>")]);
        assert!(drawn(&found[2], 1.0).contains("&lt;b&gt;"));
    }

    #[test]
    fn the_committed_pictures_are_those_of_the_pinned_texts() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let texts = texts(&root.join("tests/fixtures/terminal")).unwrap();
        assert!(!texts.is_empty());
        for (name, text) in texts {
            let committed = std::fs::read_to_string(root.join(format!("docs/img/{name}.svg"))).unwrap_or_default();
            assert!(committed == svg(&text), "docs/img/{name}.svg is not current: scripts/screenshots makes it anew");
        }
    }
}
