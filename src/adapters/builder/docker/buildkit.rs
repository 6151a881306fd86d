//! What `BuildKit` tells while it builds: its own messages, in base64, in Docker's stream of JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::http::line;
use super::steps::{End, Steps, error_of};
use super::wire::{Field, fields};
use super::{BuildError, Progress};

/// Messages with this id hold what has happened to vertexes.
const TRACE: &str = "moby.buildkit.trace";
/// What a step says that was ended because another one failed.
const ENDED_WITH_IT: &str = "context canceled";

/// A build while it is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    steps: Steps,
    /// Our numbers of its steps.
    numbers: BTreeMap<String, u32>,
    image: Option<String>,
    error: Option<String>,
}

impl Reading {
    /// Takes a message of the stream; gives what it tells.
    pub(super) fn take(&mut self, message: &Value) -> Vec<Progress> {
        if let Some(error) = error_of(message) {
            self.error = Some(line(error));
        }
        if let Some(id) = message["aux"]["ID"].as_str() {
            self.image = Some(id.to_owned());
        }
        if message["id"].as_str() == Some(TRACE)
            && let Some(trace) = message["aux"].as_str().and_then(|text| STANDARD.decode(text).ok())
        {
            self.trace(&trace);
        }
        self.steps.told()
    }

    /// What the build has come to.
    pub(super) fn finish(self) -> Result<String, BuildError> {
        match (self.error, self.image) {
            (Some(error), _) => Err(self.steps.error().unwrap_or(BuildError::Refused(error))),
            (None, Some(image)) => Ok(image),
            (None, None) => Err(BuildError::Unavailable("the build ended without an image".to_owned())),
        }
    }

    fn trace(&mut self, trace: &[u8]) {
        for (number, field) in fields(trace) {
            match number {
                1 => self.vertex(field.bytes()),
                3 => self.output(field.bytes()),
                _ => {}
            }
        }
    }

    /// A step with its state.
    fn vertex(&mut self, vertex: &[u8]) {
        let of = |wanted: u64| fields(vertex).find(|(number, _)| *number == wanted).map(|(_, field)| field);
        let (Some(digest), name) = (of(1), of(3).map(Field::text).unwrap_or_default()) else { return };
        if of(5).is_none() {
            // It has not begun.
            return;
        }
        let step = match self.numbers.get(&digest.text()) {
            Some(step) => *step,
            None => {
                let step = self.steps.begin(&name);
                self.numbers.insert(digest.text(), step);
                step
            }
        };
        let error = of(7).map(Field::text).unwrap_or_default();
        if !error.is_empty() && !error.contains(ENDED_WITH_IT) {
            self.steps.end(step, End::Failed(&line(&error)));
        } else if of(4).is_some_and(Field::is_set) {
            self.steps.end(step, End::Cached);
        } else if of(6).is_some() {
            self.steps.end(step, End::Done);
        }
    }

    fn output(&mut self, log: &[u8]) {
        let of = |wanted: u64| fields(log).find(|(number, _)| *number == wanted).map(|(_, field)| field);
        let step = of(1).and_then(|vertex| self.numbers.get(&vertex.text())).copied();
        if let (Some(step), Some(bytes)) = (step, of(4)) {
            self.steps.output(step, bytes.bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::wire::bytes_field;
    use super::*;

    fn trace(parts: &[Vec<u8>]) -> Value {
        json!({ "id": TRACE, "aux": STANDARD.encode(parts.concat()) })
    }

    fn vertex(digest: &str, name: &str, more: &[Vec<u8>]) -> Vec<u8> {
        bytes_field(1, &[&[bytes_field(1, digest.as_bytes()), bytes_field(3, name.as_bytes())], more].concat().concat())
    }

    fn started() -> Vec<u8> {
        bytes_field(5, &[0x08, 1])
    }

    fn log(digest: &str, text: &str) -> Vec<u8> {
        bytes_field(3, &[bytes_field(1, digest.as_bytes()), bytes_field(4, text.as_bytes())].concat())
    }

    #[test]
    fn steps_are_told_as_they_come() {
        let mut reading = Reading::default();
        let mut lines = Vec::new();
        for message in [
            trace(&[vertex("a", "[1/2] FROM x", &[]), vertex("b", "[2/2] RUN y", &[])]),
            trace(&[vertex("a", "[1/2] FROM x", &[started(), vec![0x20, 1]])]),
            trace(&[vertex("b", "[2/2] RUN y", &[started()]), log("b", "one\ntw"), log("c", "of nobody")]),
            trace(&[log("b", "o\nlast"), vertex("b", "[2/2] RUN y", &[started(), bytes_field(6, &[0x08, 2])])]),
            trace(&[vertex("b", "[2/2] RUN y", &[started(), bytes_field(6, &[0x08, 2])])]),
            json!({ "id": "moby.image.id", "aux": { "ID": "sha256:00" } }),
            json!({ "id": TRACE, "aux": "not base64" }),
        ] {
            lines.extend(reading.take(&message).iter().map(ToString::to_string));
        }
        let expected = ["#1 [1/2] FROM x", "#1 CACHED", "#2 [2/2] RUN y", "#2 one", "#2 two", "#2 last", "#2 DONE"];
        assert_eq!(lines, expected);
        assert_eq!(reading.finish(), Ok("sha256:00".to_owned()));
    }

    #[test]
    fn a_failing_step_is_told_with_its_last_lines() {
        let mut reading = Reading::default();
        reading.take(&trace(&[vertex("a", "[1/1] RUN x", &[started()]), log("a", "no such file\n")]));
        reading.take(&trace(&[vertex("b", "[other] RUN y", &[started(), bytes_field(7, b"context canceled")])]));
        reading.take(&trace(&[vertex("a", "[1/1] RUN x", &[started(), bytes_field(7, b"exit code: 3")])]));
        reading.take(&json!({ "errorDetail": { "message": "failed to solve: exit code: 3" } }));
        let error = reading.finish().unwrap_err();
        assert_eq!(error.to_string(), "the build failed in [1/1] RUN x: exit code: 3\n  no such file");
        let mut early = Reading::default();
        early.take(&json!({ "error": "dockerfile parse error\n line 1" }));
        assert_eq!(early.finish(), Err(BuildError::Refused("dockerfile parse error line 1".to_owned())));
        assert!(matches!(Reading::default().finish(), Err(BuildError::Unavailable(_))));
    }
}
