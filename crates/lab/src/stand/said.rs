//! What a command said.

use std::process::Output;

use serde_json::Value;

use crate::Result;

/// Exit code and output of a command.
#[derive(Debug)]
pub(crate) struct Said {
    /// For messages.
    command: String,
    /// Exit code; −1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    pub(crate) fn new(args: &[&str], output: &Output) -> Self {
        Self {
            command: args.join(" "),
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// One sentence for a message.
    pub(crate) fn told(&self) -> String {
        let said: String = if self.err.trim().is_empty() { self.out.clone() } else { self.err.clone() };
        format!("`cutover {}` ended with {}: {}", self.command, self.code, said.trim())
    }

    /// Every line of the output as JSON.
    pub(crate) fn lines(&self) -> Result<Vec<Value>> {
        let parse = |line: &str| {
            serde_json::from_str(line).map_err(|error| format!("`cutover {}` printed {line:?}: {error}", self.command))
        };
        Ok(self.out.lines().filter(|line| !line.trim().is_empty()).map(parse).collect::<std::result::Result<_, _>>()?)
    }

    /// The output as one JSON value, on one line or on several.
    pub(crate) fn json(&self) -> Result<Value> {
        let text = self.out.trim();
        let last = text.lines().next_back().unwrap_or_default();
        let parsed = serde_json::from_str(text).or_else(|_| serde_json::from_str(last));
        Ok(parsed.map_err(|_| format!("{} (no JSON on its output)", self.told()))?)
    }

    /// A text of the JSON output.
    pub(crate) fn text(&self, name: &str) -> Result<String> {
        let json = self.json()?;
        let text = field(&json, name).and_then(Value::as_str);
        Ok(text.ok_or_else(|| format!("{}: no {name}", self.told()))?.to_owned())
    }
}

/// A field by its name, wherever it stands in the value; the outermost first.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|inner| field(inner, name))),
        Value::Array(items) => items.iter().find_map(|inner| field(inner, name)),
        _ => None,
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Milliseconds between the first events of two kinds of one deployment.
pub(crate) fn ms_between(events: &[Value], deployment: &str, from: &str, to: &str) -> Result<i64> {
    let at = |kind: &str| {
        let mut events = events.iter().filter(|event| event["deployment_id"] == deployment);
        let time = events.find(|event| event["event"] == kind).and_then(|event| event["time"].as_str());
        time.and_then(ms_of_day).ok_or_else(|| format!("the timeline of {deployment} lacks {kind}"))
    };
    Ok((at(to)? - at(from)?).rem_euclid(DAY_MS))
}

/// Milliseconds since midnight of a time like `2026-01-31T12:00:00.000Z`.
fn ms_of_day(time: &str) -> Option<i64> {
    let clock = time.split_once('T')?.1.trim_end_matches('Z');
    let mut parts = clock.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some((hours * 60 + minutes) * 60_000 + (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_subtracted_over_midnight() {
        let event = |kind: &str, time: &str| json!({"event": kind, "deployment_id": "dep_a", "time": time});
        let events = [event("A", "2026-01-31T23:59:59.900Z"), event("B", "2026-02-01T00:00:00.100Z")];
        assert_eq!(ms_between(&events, "dep_a", "A", "B").unwrap(), 200);
        assert!(ms_between(&events, "dep_b", "A", "B").is_err());
        assert_eq!(ms_of_day("2026-01-31T01:02:03.456Z"), Some(3_723_456));
    }
}
