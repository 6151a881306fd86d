//! What people read: pure functions over views.

pub(super) mod deployment;
pub(super) mod folded;
pub(super) mod hooks;
pub(super) mod lists;
pub(super) mod plan;
pub(super) mod progress;
pub(super) mod screen;
pub(super) mod secrets;
pub(super) mod spec;
pub(super) mod status;
mod story;
mod table;
pub(super) mod timeline;

/// Colours of those who print beside one another: none of a [`Tone`].
const BESIDE: [&str; 6] = ["36", "35", "34", "96", "95", "94"];

/// Whether colours are used: with meaning only, never as decoration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Paint {
    /// No.
    Plain,
    /// Yes.
    Colour,
}

/// What a colour means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Needs a person.
    Bad,
    /// On the way.
    Moving,
    /// Of minor interest.
    Quiet,
    /// A heading.
    Strong,
    /// Nothing special.
    Normal,
}

impl Paint {
    /// The text in the colour of its meaning.
    pub(super) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Moving => "33",
            Tone::Quiet => "2",
            Tone::Strong => "1",
            Tone::Normal => return text.to_owned(),
        };
        self.coded(code, text)
    }

    /// A text in the colour of one of several, by which of them it is: neighbours are never of the same.
    pub(super) fn beside(self, which: usize, text: &str) -> String {
        let [first, ..] = BESIDE;
        self.coded(BESIDE.get(which % BESIDE.len()).copied().unwrap_or(first), text)
    }

    fn coded(self, code: &str, text: &str) -> String {
        if self == Self::Plain || text.is_empty() { text.to_owned() } else { format!("\u{1b}[{code}m{text}\u{1b}[0m") }
    }
}

/// What a program has printed, without what would drive a terminal.
pub(super) fn printed(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_have_colours_of_their_own_and_none_where_there_are_none() {
        let shown = |which| Paint::Colour.beside(which, "web.1 | ");
        assert!((0..20).all(|which| shown(which) != shown(which + 1) && shown(which).contains("web.1 | ")));
        assert_eq!(Paint::Plain.beside(3, "web.1 | "), "web.1 | ");
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod samples;
