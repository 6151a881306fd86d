//! `release`: what runs once before anything of a new release serves. `"CMD"`, or a table with all its keys.

use cutover_events::workload::{OnCrash, ReleaseCommand};

use super::canonical::{CanonicalRelease, command, of_key};
use super::strict::{Entry, Fault, Words, quoted};
use super::{check, quantity, workload};

/// Without `timeout`: most migrations take seconds; what locks a table for longer should be said.
pub(super) const DEFAULT_TIMEOUT_MS: u64 = 10 * 60_000;
/// A command that is over at once still has to be started.
const MIN_TIMEOUT_MS: u64 = 1_000;
/// The lane is held meanwhile: more than a day is a mistake.
const MAX_TIMEOUT_MS: u64 = 24 * 3_600_000;

/// What `on_crash` may say.
pub(super) const ON_CRASH: &[(&str, OnCrash)] = &[("ask", OnCrash::Ask), ("again", OnCrash::Again)];

pub(super) const WORDS: Words = Words { known: &["command", "timeout", "on_crash"], later: &[] };

/// What a shell would do something with: a command goes past every shell.
const OF_A_SHELL: &[char] = &['|', '&', ';', '<', '>', '$', '`', '*', '?', '(', ')', '\\', '\n'];

pub(super) fn read(entry: &Entry<'_>) -> Result<ReleaseCommand, Fault> {
    let short = |command| ReleaseCommand { command, timeout_ms: DEFAULT_TIMEOUT_MS, on_crash: OnCrash::default() };
    let Some(section) = entry.as_section() else { return Ok(short(arguments(entry)?)) };
    section.expect(WORDS)?;
    let Some(command) = section.read("command", arguments)? else {
        return Err(entry.key_fault("it has no command; write command = \"PROGRAM ARGUMENT\""));
    };
    let timeout = |text: &str| timeout(quantity::duration_ms(text)?);
    let ReleaseCommand { timeout_ms, on_crash, .. } = short(Vec::new());
    Ok(ReleaseCommand {
        command,
        timeout_ms: section.read("timeout", |entry| entry.text(timeout))?.unwrap_or(timeout_ms),
        on_crash: section.read("on_crash", |e| e.text(|t| check::word(t, ON_CRASH)))?.unwrap_or(on_crash),
    })
}

/// A text, which is divided into words, or an array.
fn arguments(entry: &Entry<'_>) -> Result<Vec<String>, Fault> {
    if entry.as_string().is_none() {
        return workload::command(entry);
    }
    let words = entry.text(|text| words(&check::value(text)?))?;
    if words.len() > workload::MAX_ARGUMENTS {
        return Err(entry.fault(format!("{} words; at most {} are allowed", words.len(), workload::MAX_ARGUMENTS)));
    }
    Ok(words)
}

/// The words of a command: divided at blanks outside of quotes, as a shell does it, and nothing else of a shell.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, _) if OF_A_SHELL.contains(&letter) => {
                return Err(format!(
                    "{} is something for a shell, and no shell runs it; write [\"sh\", \"-c\", \"…\"] for one",
                    quoted(&letter.to_string())
                ));
            }
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    match (quote, words.is_empty()) {
        (Some(open), _) => Err(format!("a quotation is not closed: {} is missing", quoted(&open.to_string()))),
        (None, true) => Err("an empty command".to_owned()),
        (None, false) => Ok(words),
    }
}

fn timeout(ms: u64) -> Result<u64, String> {
    quantity::within(ms, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS)
}

/// That of the canonical form.
pub(super) fn judged(given: CanonicalRelease) -> Result<ReleaseCommand, Fault> {
    Ok(ReleaseCommand {
        command: command(given.command).map_err(|fault| Fault::new("release.command", fault.text))?,
        timeout_ms: timeout(given.timeout_ms).map_err(of_key("release.timeout_ms"))?,
        on_crash: check::word(&given.on_crash, ON_CRASH).map_err(of_key("release.on_crash"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_text_is_divided_as_a_shell_would_and_no_shell_runs_it() {
        assert_eq!(words("./migrate").unwrap(), ["./migrate"]);
        assert_eq!(words("  rake  db:migrate ").unwrap(), ["rake", "db:migrate"]);
        assert_eq!(words("run \"two words\" '' a'b c'd").unwrap(), ["run", "two words", "", "ab cd"]);
        for (text, why) in [("a && b", "sh"), ("a > b", "sh"), ("$HOME/x", "sh"), ("a 'b", "closed"), ("  ", "empty")] {
            assert!(words(text).unwrap_err().contains(why), "{text}");
        }
    }
}
