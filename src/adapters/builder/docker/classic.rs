//! What the classic builder tells: a text that was made for people, in Docker's stream of JSON.

use serde_json::Value;

use super::http::line;
use super::steps::{End, Steps, error_of};
use super::{BuildError, Progress};

/// A build while it is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    steps: Steps,
    step: u32,
    comes: Comes,
    image: Option<String>,
    error: Option<String>,
    made: Made,
}

/// Where the image of the present step comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Comes {
    /// The step makes it.
    #[default]
    Made,
    /// An earlier build has made it.
    Cached,
    /// It is the one that a stage begins with.
    Taken,
}

/// What a build leaves on the daemon before it has an image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Made {
    /// The container of the present step.
    pub(super) container: Option<String>,
    /// Images of steps that this build has made, short ids, oldest first.
    pub(super) images: Vec<String>,
}

impl Reading {
    /// Takes a message of the stream; gives what it tells.
    pub(super) fn take(&mut self, message: &Value) -> Vec<Progress> {
        if let Some(error) = error_of(message) {
            let error = line(error);
            self.steps.end(self.step, End::Failed(&error));
            self.error = Some(error);
        }
        if let Some(id) = message["aux"]["ID"].as_str() {
            self.image = Some(id.to_owned());
        }
        if let Some(text) = message["stream"].as_str() {
            self.text(text);
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

    /// What is there to be removed when the build gives no image.
    pub(super) fn made(&self) -> Made {
        self.made.clone()
    }

    fn text(&mut self, text: &str) {
        let trimmed = text.trim_end();
        if let Some(step) = trimmed.strip_prefix("Step ").filter(|step| step.contains(" : ")) {
            self.next(step);
        } else if trimmed == " ---> Using cache" {
            self.comes = Comes::Cached;
        } else if let Some(id) = short_id(trimmed, " ---> Running in ") {
            self.made.container = Some(id.to_owned());
        } else if let Some(id) = short_id(trimmed, " ---> ") {
            if self.comes == Comes::Made {
                self.made.images.push(id.to_owned());
            }
            self.steps.end(self.step, if self.comes == Comes::Cached { End::Cached } else { End::Done });
        } else if short_id(trimmed, "Removing intermediate container ").is_some() {
            self.made.container = None;
        } else {
            self.steps.output(self.step, text.as_bytes());
        }
    }

    /// `2/3 : RUN x` begins.
    fn next(&mut self, step: &str) {
        self.steps.end(self.step, End::Done);
        let (number, instruction) = step.split_once(" : ").unwrap_or(("", step));
        let takes = instruction.to_ascii_uppercase().starts_with("FROM ");
        self.comes = if takes { Comes::Taken } else { Comes::Made };
        self.step = self.steps.begin(&format!("[{number}] {instruction}"));
    }
}

/// A line that says `prefix` and then a short id.
fn short_id<'a>(line: &'a str, prefix: &str) -> Option<&'a str> {
    let id = line.strip_prefix(prefix)?;
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(texts: &[&str]) -> (Reading, Vec<String>) {
        let mut reading = Reading::default();
        let mut lines = Vec::new();
        for text in texts {
            lines.extend(reading.take(&json!({ "stream": text })).iter().map(ToString::to_string));
        }
        (reading, lines)
    }

    #[test]
    fn steps_are_told_and_what_they_leave_is_known() {
        let (mut reading, lines) = read(&[
            "Step 1/4 : FROM base",
            "\n",
            " ---> aaaaaaaaaaaa\n",
            "Step 2/4 : COPY a b",
            "\n",
            " ---> Using cache\n",
            " ---> bbbbbbbbbbbb\n",
            "Step 3/4 : RUN x\n",
            " ---> Running in cccccccccccc\n",
            "one\ntwo",
            "Removing intermediate container cccccccccccc\n",
            " ---> dddddddddddd\n",
            "Step 4/4 : RUN y\n",
            " ---> Running in eeeeeeeeeeee\n",
        ]);
        let expected =
            ["#1 [1/4] FROM base", "#1 DONE", "#2 [2/4] COPY a b", "#2 CACHED", "#3 [3/4] RUN x", "#3 one", "#3 two"];
        assert_eq!(lines[..7], expected);
        let made = Made { container: Some("eeeeeeeeeeee".to_owned()), images: vec!["dddddddddddd".to_owned()] };
        assert_eq!(reading.made(), made);
        reading.take(&json!({ "stream": "no such file\n" }));
        reading.take(&json!({ "errorDetail": { "code": 3, "message": "returned a non-zero code: 3" }, "error": "x" }));
        let error = reading.finish().unwrap_err().to_string();
        assert_eq!(error, "the build failed in [4/4] RUN y: returned a non-zero code: 3\n  no such file");
    }

    #[test]
    fn an_image_ends_it() {
        let (mut reading, _) = read(&["Step 1/1 : FROM scratch\n", " ---> aaaaaaaaaaaa\n"]);
        reading.take(&json!({ "aux": { "ID": "sha256:ff" } }));
        assert_eq!(reading.made().images, Vec::<String>::new());
        assert_eq!(reading.finish(), Ok("sha256:ff".to_owned()));
        assert!(matches!(Reading::default().finish(), Err(BuildError::Unavailable(_))));
    }
}
