//! What people run in the containers of a workload, beside what it runs by itself. It takes no lane and delays nothing: a
//! deployment replaces a container whatever a person does in it.

use std::sync::Arc;

use cutover_events::errand::{ErrandBegun, ErrandEnded, Place};
use cutover_events::{ErrandId, Event};

use crate::deployment::{CorruptLog, Rejection};
use crate::workload::{Teardown, Workload};

/// Programs of people in the containers of one workload at once, a count: a team at work, and no script that forgets
/// to end what it begins.
pub const MAX_ERRANDS: usize = 16;
/// Characters of a program's name that are recorded: the longest file name that people give to one.
const MAX_PROGRAM_CHARS: usize = 64;

/// The name of a program as it is recorded: that of its file, and nothing of what a whole command line in one argument
/// would hold besides. `"psql postgres://u:secret@db"` is `psql`, `"TOKEN=secret run"` is `TOKEN`.
#[must_use]
pub fn program_name(first: &str) -> String {
    let word = first.split_whitespace().next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
    let path = word.split(|c| !plain(c)).next().unwrap_or_default();
    let name: String = path.rsplit('/').next().unwrap_or_default().chars().take(MAX_PROGRAM_CHARS).collect();
    if name.is_empty() { "?".to_owned() } else { name }
}

pub(crate) fn begin(state: &Workload, event: ErrandBegun) -> Result<Vec<Event>, Rejection> {
    if state.teardown != Teardown::No {
        return Err(Rejection::NothingRuns);
    }
    if state.errands.len() >= MAX_ERRANDS {
        return Err(Rejection::TooManyErrands(MAX_ERRANDS));
    }
    match event.place {
        Place::Unit(unit) if !state.knows(unit) => Err(Rejection::MovedOn),
        Place::Unit(_) | Place::Own => Ok(vec![event.into()]),
    }
}

pub(crate) fn end(state: &Workload, event: ErrandEnded) -> Result<Vec<Event>, Rejection> {
    match position(state, event.errand) {
        Some(_) => Ok(vec![event.into()]),
        None => Err(Rejection::NoSuchErrand(event.errand)),
    }
}

pub(crate) fn begun(state: &mut Workload, event: &Event, e: &ErrandBegun) -> Result<(), CorruptLog> {
    if position(state, e.errand).is_some() {
        return corrupt(event, format!("begins {} a second time", e.errand));
    }
    state.errands.push(Arc::new(e.clone()));
    Ok(())
}

pub(crate) fn ended(state: &mut Workload, event: &Event, errand: ErrandId) -> Result<(), CorruptLog> {
    let Some(at) = position(state, errand) else {
        return corrupt(event, format!("ends {errand}, which does not run"));
    };
    state.errands.remove(at);
    Ok(())
}

fn position(state: &Workload, errand: ErrandId) -> Option<usize> {
    state.errands.iter().position(|known| known.errand == errand)
}

fn corrupt(event: &Event, what: String) -> Result<(), CorruptLog> {
    Err(CorruptLog { event: event.kind().name, what })
}

#[cfg(test)]
mod tests {
    use cutover_events::errand::ErrandEnd;
    use cutover_events::{ReleaseId, UnitId};

    use super::*;
    use crate::deployment::{Command, decide, evolve};
    use crate::observed::Mark;

    fn event(n: u8, place: Place) -> ErrandBegun {
        let (errand, release) = (ErrandId([n; 16]), ReleaseId([1; 16]));
        ErrandBegun { errand, program: "sh".into(), place, container: "c".into(), release, terminal: true }
    }

    fn over(n: u8) -> ErrandEnded {
        ErrandEnded { errand: ErrandId([n; 16]), end: ErrandEnd::Exited(0), lasted_ms: Some(1) }
    }

    fn after(state: &mut Workload, command: Command) -> Result<(), Rejection> {
        for event in decide(state, command)? {
            evolve(state, &event, Mark::default()).unwrap();
        }
        Ok(())
    }

    #[test]
    fn of_a_command_only_the_name_of_its_program_is_kept() {
        let cases = [
            ("/bin/sh", "sh"),
            ("./migrate", "migrate"),
            ("psql postgres://u:secret@db", "psql"),
            ("TOKEN=secret run", "TOKEN"),
            ("curl\thttp://x?token=secret", "curl"),
            ("a\u{1b}[31m", "a"),
            ("", "?"),
            ("/", "?"),
            ("=secret", "?"),
            ("python3.11", "python3.11"),
        ];
        for (given, kept) in cases {
            assert_eq!(program_name(given), kept, "{given:?}");
        }
        assert_eq!(program_name(&"x".repeat(500)).len(), MAX_PROGRAM_CHARS);
    }

    #[test]
    fn each_begins_once_and_ends_once() {
        let mut state = Workload::default();
        after(&mut state, Command::BeginErrand(event(1, Place::Own))).unwrap();
        assert_eq!(state.errands.len(), 1);
        assert!(evolve(&mut state.clone(), &event(1, Place::Own).into(), Mark::default()).is_err());
        after(&mut state, Command::EndErrand(over(1))).unwrap();
        assert!(state.errands.is_empty());
        assert_eq!(after(&mut state, Command::EndErrand(over(1))), Err(Rejection::NoSuchErrand(ErrandId([1; 16]))));
        assert!(evolve(&mut state, &over(1).into(), Mark::default()).is_err());
    }

    #[test]
    fn none_begins_where_nothing_is_or_too_many_are() {
        let mut state = Workload::default();
        let unknown = Place::Unit(UnitId([9; 16]));
        assert_eq!(after(&mut state, Command::BeginErrand(event(1, unknown))), Err(Rejection::MovedOn));
        for n in 0..16 {
            after(&mut state, Command::BeginErrand(event(n, Place::Own))).unwrap();
        }
        let one_more = after(&mut state, Command::BeginErrand(event(20, Place::Own)));
        assert_eq!(one_more, Err(Rejection::TooManyErrands(MAX_ERRANDS)));
        let mut gone = Workload { teardown: Teardown::Done, ..Workload::default() };
        assert_eq!(after(&mut gone, Command::BeginErrand(event(1, Place::Own))), Err(Rejection::NothingRuns));
    }
}
