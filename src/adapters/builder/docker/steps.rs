//! What both builders have in common while their answer is read: numbered steps, their output, and how it ends.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BuildError, Progress};
use crate::adapters::builder::progress::Lines;

/// One step.
#[derive(Debug, Default)]
struct Step {
    text: String,
    lines: Lines,
    ended: bool,
}

/// The steps so far, and what there is to tell.
#[derive(Debug, Default)]
pub(super) struct Steps {
    all: BTreeMap<u32, Step>,
    told: Vec<Progress>,
    failed: Option<(u32, String)>,
}

impl Steps {
    /// A step begins; gives its number.
    pub(super) fn begin(&mut self, text: &str) -> u32 {
        let step = u32::try_from(self.all.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.told.push(Progress::Begun { step, text: text.to_owned() });
        self.all.insert(step, Step { text: text.to_owned(), ..Step::default() });
        step
    }

    /// Output of a step.
    pub(super) fn output(&mut self, step: u32, bytes: &[u8]) {
        if let Some(of) = self.all.get_mut(&step) {
            let lines = of.lines.push(bytes);
            self.told.extend(lines.into_iter().map(|text| Progress::Line { step, text }));
        }
    }

    /// A step has ended, in one of three ways; only the first one counts.
    pub(super) fn end(&mut self, step: u32, how: End<'_>) {
        let Some(of) = self.all.get_mut(&step).filter(|of| !of.ended) else { return };
        of.ended = true;
        let rest = of.lines.rest().map(|text| Progress::Line { step, text });
        self.told.extend(rest);
        self.told.push(match how {
            End::Done => Progress::Ended { step },
            End::Cached => Progress::Cached { step },
            End::Failed(why) => {
                self.failed.get_or_insert((step, why.to_owned()));
                Progress::Failed { step, why: why.to_owned() }
            }
        });
    }

    /// What is new since the last time.
    pub(super) fn told(&mut self) -> Vec<Progress> {
        std::mem::take(&mut self.told)
    }

    /// The error of a build that failed in a step; `why` where Docker itself says more.
    pub(super) fn error(&self) -> Option<BuildError> {
        let (step, why) = self.failed.as_ref()?;
        let of = self.all.get(step)?;
        Some(BuildError::Step { step: of.text.clone(), why: why.clone(), last: of.lines.last() })
    }
}

/// How a step ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    Done,
    Cached,
    Failed(&'a str),
}

/// The error that a message of the daemon holds.
pub(super) fn error_of(message: &Value) -> Option<&str> {
    message["errorDetail"]["message"].as_str().or_else(|| message["error"].as_str())
}
