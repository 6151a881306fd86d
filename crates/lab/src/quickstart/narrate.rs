//! How the quickstart speaks.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU32, Ordering};

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader who went away does not stop the show; the exit code still tells.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

fn marked(mark: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\x1b[{mark}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The name of the show.
pub(super) fn title(text: &str) {
    print(&format!("\n{}", marked("1", text)));
}

/// A new act; they are counted.
pub(super) fn act(text: &str) {
    static ACTS: AtomicU32 = AtomicU32::new(1);
    let number = ACTS.fetch_add(1, Ordering::Relaxed);
    print(&format!("\n{}", marked("1;36", &format!("{number}. {text}"))));
}

/// A sentence.
pub(super) fn plain(text: &str) {
    print(&format!("   {text}"));
}

/// A command, as a person would type it.
pub(super) fn command(text: &str) {
    print(&format!("   {} {text}", marked("1;32", "$")));
}

/// Something that held.
pub(super) fn held(text: &str) {
    print(&format!("   {} {text}", marked("1;32", "✓")));
}

/// What a command said.
pub(super) fn quote(text: &str) {
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        print(&format!("   {} {line}", marked("2", "│")));
    }
}
