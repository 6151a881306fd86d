//! The timeline as a person wants to read it: one line per event, folded by deployment.

use std::collections::BTreeMap;

use super::told::{asked, bake, leads_nowhere, live, told, wish};
use super::words::{ago, duration};
use super::{Paint, Tone};
use crate::api::time::parse_rfc3339;
use crate::api::views::EventLine;

/// Characters that the time takes at the left.
const TIME_WIDTH: usize = 12;

/// What has been told so far of a log that is read in order.
#[derive(Debug, Default)]
pub(in crate::cli) struct Timeline {
    current: Option<String>,
    open: BTreeMap<String, Open>,
}

/// A deployment that has not ended yet.
#[derive(Debug, Default, Clone, Copy)]
struct Open {
    began_ms: u64,
    bake_ms: Option<u64>,
    been_live: bool,
}

impl Timeline {
    /// The lines of one event: its own, and the head of its deployment where another one was told before.
    pub(in crate::cli) fn tell(&mut self, line: &EventLine, now_ms: u64, paint: Paint) -> Vec<String> {
        let mut lines = Vec::new();
        match &line.deployment_id {
            Some(id) => {
                if self.current.as_ref() != Some(id) {
                    lines.push(head(line, id, now_ms, paint));
                    self.current = Some(id.clone());
                }
                lines.push(self.of_deployment(line, id, paint));
            }
            None => {
                self.current = None;
                lines.push(alone(line, now_ms, paint));
            }
        }
        lines
    }

    fn of_deployment(&mut self, line: &EventLine, id: &str, paint: Paint) -> String {
        let at = parse_rfc3339(&line.time).unwrap_or_default();
        let open = self.open.entry(id.to_owned()).or_insert(Open { began_ms: at, ..Open::default() });
        let elapsed = at.saturating_sub(open.began_ms);
        let (tone, text) = match line.event.as_str() {
            "Swapped" if !open.been_live && !leads_nowhere(line) => {
                open.been_live = true;
                (Tone::Good, live(elapsed, open.bake_ms))
            }
            "DeploymentPlanned" => {
                open.bake_ms = bake(line);
                told(line)
            }
            _ => told(line),
        };
        if matches!(
            line.event.as_str(),
            "DeploymentSucceeded" | "DeploymentFailed" | "IntentSuperseded" | "IntentCancelled"
        ) {
            self.open.remove(id);
        }
        let time = paint.tone(Tone::Quiet, &format!("{:>TIME_WIDTH$}", duration(elapsed)));
        format!("{time}  {}", paint.tone(tone, &text))
    }
}

fn head(line: &EventLine, id: &str, now_ms: u64, paint: Paint) -> String {
    let age = paint.tone(Tone::Quiet, &format!("{:>TIME_WIDTH$}", ago(&line.time, now_ms)));
    let name = line.workload.as_deref().unwrap_or_default();
    let what = match line.event.as_str() {
        "IntentQueued" => format!("{}, {}", wish(line), asked(line)),
        _ => "goes on".to_owned(),
    };
    format!("{age}  {} {name}: {what}", paint.tone(Tone::Strong, id))
}

fn alone(line: &EventLine, now_ms: u64, paint: Paint) -> String {
    let age = paint.tone(Tone::Quiet, &format!("{:>TIME_WIDTH$}", ago(&line.time, now_ms)));
    let (tone, text) = told(line);
    let name = line.workload.as_ref().map_or_else(String::new, |name| format!("{name}: "));
    format!("{age}  {name}{}", paint.tone(tone, &text))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{deployment_story, event, now_ms};
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_folded_by_deployment() {
        let mut story = deployment_story();
        let mut started = event(9, 0, "EngineStarted", json!({"version": "0.1.0"}));
        started.deployment_id = None;
        started.workload = None;
        story.insert(0, started);
        let mut removed = event(22, 12_000, "UnitRemoved", json!({"unit": "unit_01k9zzzzzzzzzzzzzzzzzzzzz9"}));
        removed.deployment_id = None;
        story.push(removed);
        let mut timeline = Timeline::default();
        let lines: Vec<String> = story.iter().flat_map(|line| timeline.tell(line, now_ms(), Paint::Plain)).collect();
        assert_eq!(lines[0], "   5 min ago  engine 0.1.0 started");
        assert_eq!(
            lines[1],
            "   5 min ago  dep_01k9zzzzzzzzzzzzzzzzzzzzz0 shop/web: deploy ghcr.io/acme/shop:v2, asked by alice"
        );
        assert_eq!(lines[2], "        0 ms  queued: deploy ghcr.io/acme/shop:v2");
        assert_eq!(lines[10], "       1.6 s  live after 1.6 s, watching 10 s");
        assert_eq!(lines[13], "      11.6 s  succeeded");
        assert_eq!(lines[14], "   4 min ago  shop/web: unit_01k9zzzzzzzzzzzzzzzzzzzzz9 is gone");
        assert!(timeline.open.is_empty());
    }

    #[test]
    fn no_line_has_colours_without_a_terminal() {
        let mut timeline = Timeline::default();
        for line in deployment_story() {
            let plain = timeline.tell(&line, now_ms(), Paint::Plain).concat();
            assert!(!plain.contains('\u{1b}'), "{plain:?}");
        }
    }
}
