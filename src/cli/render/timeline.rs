//! The timeline as a person wants to read it: one line per event, headed by its deployment.

use std::collections::BTreeMap;

use super::Tone;
use super::screen::Screen;
use super::story::{bake, ends, leads_nowhere, live, tone};
use crate::api::time::parse_rfc3339;
use crate::api::told::Names;
use crate::api::told::words::duration;
use crate::api::views::EventLine;

/// Columns of the time since the wish, at the left: `119 min 59 s`.
const ELAPSED: usize = 12;

/// What has been told so far of a log that is read in order.
#[derive(Debug, Default)]
pub(in crate::cli) struct Timeline {
    current: Option<String>,
    open: BTreeMap<String, Open>,
    names: Names,
}

/// A deployment that has not ended yet.
#[derive(Debug, Default, Clone)]
struct Open {
    began_ms: u64,
    wish: String,
    bake_ms: Option<u64>,
    been_live: bool,
}

impl Timeline {
    /// One event, its lines each with their line end; the head of its deployment first, where another one was told
    /// before.
    pub(in crate::cli) fn tell(&mut self, line: &EventLine, screen: &Screen) -> String {
        self.names.learn(line);
        let mut text = String::new();
        match &line.deployment_id {
            Some(id) => {
                if self.current.as_ref() != Some(id) {
                    text.push_str(&head(line, id, screen));
                    self.current = Some(id.clone());
                }
                // The head says what was wished, word for word.
                if line.event == "IntentQueued" {
                    self.begin(line, id);
                } else {
                    text.push_str(&self.of_deployment(line, id, screen));
                }
            }
            None => {
                self.current = None;
                text.push_str(&self.alone(line, screen));
            }
        }
        self.names.forget(line);
        text
    }

    /// Takes an event in that is told elsewhere.
    pub(in crate::cli) fn pass(&mut self, line: &EventLine) {
        self.names.learn(line);
        self.names.forget(line);
        if let Some(id) = &line.deployment_id {
            self.begin(line, id);
            self.elapsed_of(line, id);
        }
    }

    fn begin(&mut self, line: &EventLine, id: &str) -> &mut Open {
        let began_ms = parse_rfc3339(&line.time).unwrap_or_default();
        self.open.entry(id.to_owned()).or_insert_with(|| Open {
            began_ms,
            wish: line.text("wish").to_owned(),
            ..Open::default()
        })
    }

    /// The tone and words of an event of a deployment, and the time since its wish; takes the event in.
    fn elapsed_of(&mut self, line: &EventLine, id: &str) -> (u64, Tone, String) {
        let open = self.begin(line, id);
        let elapsed = parse_rfc3339(&line.time).unwrap_or_default().saturating_sub(open.began_ms);
        let mut told = (tone(line), line.told.clone());
        if line.event == "DeploymentPlanned" {
            open.bake_ms = bake(line);
        }
        if line.event == "Swapped" && !open.been_live && !leads_nowhere(line) {
            open.been_live = true;
            told = (Tone::Good, live(elapsed, open.bake_ms));
        }
        if ends(line, &open.wish) {
            self.open.remove(id);
        }
        (elapsed, told.0, told.1)
    }

    fn of_deployment(&mut self, line: &EventLine, id: &str, screen: &Screen) -> String {
        let (elapsed, tone, text) = self.elapsed_of(line, id);
        let elapsed = duration(elapsed);
        let time = screen.tone(Tone::Quiet, &elapsed);
        let columns = screen.time_columns().max(ELAPSED);
        let pad = " ".repeat(columns.saturating_sub(elapsed.len()));
        under(&format!("{pad}{time}"), (tone, &self.names.spoken(&text)), (columns, screen))
    }

    fn alone(&self, line: &EventLine, screen: &Screen) -> String {
        let name = line.workload.as_ref().map_or_else(String::new, |name| format!("{name}: "));
        let text = format!("{name}{}", self.names.spoken(&line.told));
        let age = screen.since(&line.time);
        let columns = screen.time_columns().max(ELAPSED);
        let pad = " ".repeat(columns.saturating_sub(age.len()));
        under(&format!("{pad}{}", screen.tone(Tone::Quiet, &age)), (tone(line), &text), (columns, screen))
    }
}

/// A text beside a time that takes so many columns; further lines stand under its first word.
fn under(time: &str, (tone, text): (Tone, &str), (columns, screen): (usize, &Screen)) -> String {
    let mut out = String::new();
    for (index, part) in screen.wrapped(text, columns + 2).iter().enumerate() {
        let before = if index == 0 { time.to_owned() } else { " ".repeat(columns) };
        out.push_str(&format!("{before}  {}\n", screen.tone(tone, part)));
    }
    out
}

/// `dep_…  shop/web: deploy shop:v2, asked by alice` under the time of its wish.
fn head(line: &EventLine, id: &str, screen: &Screen) -> String {
    let age = screen.since(&line.time);
    let columns = screen.time_columns().max(ELAPSED);
    let pad = " ".repeat(columns.saturating_sub(age.len()));
    let name = line.workload.as_deref().unwrap_or_default();
    let what = if line.event == "IntentQueued" { line.told.as_str() } else { "goes on" };
    let time = format!("{pad}{}", screen.tone(Tone::Quiet, &age));
    under(&time, (Tone::Strong, &format!("{name}: {what} ({id})")), (columns, screen))
}
