//! How a command ends: exit codes that others script against, and one line for a person.

use std::process::ExitCode;

use crate::api::problem::{Code, one_line};
use crate::api::views::{DeploymentView, Outcome};

/// Characters of the one line on stderr, its beginning included.
const MAX_LINE_CHARS: usize = 600;
/// What the line begins with.
const PREFIX: &str = "cutover: ";

/// The exit codes. Fixed: scripts decide on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// A failure that no other code names.
    Other = 1,
    /// The command line, a file named on it that cannot be read, or the configuration.
    Usage = 2,
    /// No such name or id.
    UnknownName = 3,
    /// The rules or the token do not allow it.
    NotAllowed = 4,
    /// A claim is held, or a key was used for another wish.
    Conflict = 5,
    /// The time for waiting is over; what was waited for goes on.
    TimedOut = 6,
    /// The engine does not answer.
    Unreachable = 7,
    /// The deployment failed before the swap.
    FailedBefore = 10,
    /// A newer wish took its place.
    Superseded = 11,
    /// A person ended it.
    Cancelled = 12,
    /// Green failed while it was watched; the route went back, where something was left to take over.
    RoutedBack = 13,
    /// It waits for a person.
    Parked = 14,
    /// A workload file, an image reference or a name is not well formed.
    Refused = 15,
    /// A person interrupted the waiting.
    Interrupted = 130,
}

/// Why a command did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened and what to do; empty when nothing is said.
    pub text: String,
    /// What follows on a terminal only: an excerpt of a source.
    pub excerpt: Option<String>,
}

impl Exit {
    /// As the process ends with it.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }

    /// How the end of a deployment is told to a script.
    #[must_use]
    pub fn of_deployment(view: &DeploymentView) -> Self {
        match view.outcome {
            Some(Outcome::Succeeded) | None => Self::Ok,
            Some(Outcome::Failed) if view.routed_back || view.is_live() => Self::RoutedBack,
            Some(Outcome::Failed) => Self::FailedBefore,
            Some(Outcome::Superseded) => Self::Superseded,
            Some(Outcome::Cancelled) => Self::Cancelled,
            Some(Outcome::Parked) => Self::Parked,
        }
    }

    /// How a refusal of the API is told to a script.
    #[must_use]
    pub const fn of_problem(code: Code) -> Self {
        match code {
            Code::UnknownName => Self::UnknownName,
            Code::RefusedContent | Code::TooLarge => Self::Refused,
            Code::Conflict => Self::Conflict,
            Code::NotAllowed | Code::Unauthenticated => Self::NotAllowed,
            Code::Unavailable => Self::Unreachable,
            Code::BadRequest
            | Code::NoSuchPath
            | Code::MethodNotAllowed
            | Code::UnsupportedMediaType
            | Code::TooManyStreams
            | Code::Internal => Self::Other,
        }
    }
}

impl Failure {
    /// A failure with its line.
    #[must_use]
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), excerpt: None }
    }

    /// A command line that makes no sense.
    #[must_use]
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// The reader of our output has gone: nothing to say.
    #[must_use]
    pub fn reader_gone() -> Self {
        Self::new(Exit::Ok, "")
    }

    /// The one line as it is written, without its line end; empty when nothing is said.
    #[must_use]
    pub fn line(&self) -> String {
        if self.text.is_empty() {
            return String::new();
        }
        let line = one_line(&format!("{PREFIX}{}", self.text));
        line.chars().take(MAX_LINE_CHARS).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_bounded_line() {
        let line = Failure::usage("a\r\nb\u{7}".repeat(500)).line();
        assert!(line.chars().count() <= MAX_LINE_CHARS);
        assert!(!line.contains(char::is_control));
        assert!(Failure::reader_gone().line().is_empty());
    }
}
