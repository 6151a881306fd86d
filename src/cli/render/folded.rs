//! The timeline folded: one line per deployment, told when it has ended, and what happened between deployments.

use std::collections::BTreeMap;

use super::Tone;
use super::screen::{Screen, width};
use super::story::{STOP, TEARDOWN, ends, leads_nowhere, tone};
use crate::api::time::parse_rfc3339;
use crate::api::told::Names;
use crate::api::told::words::duration;
use crate::api::views::EventLine;

/// Columns of the outcome: `routed back`.
const OUTCOME: usize = 11;
/// Columns of an id of a deployment.
const ID: usize = 30;
/// Screens that are narrower have the id at the end of the text instead of in a column of its own.
const WIDE: usize = 110;
/// Between two columns.
const GAP: usize = 2;

/// What has been told so far of a log that is read in order.
#[derive(Debug, Default)]
pub(in crate::cli) struct Folded {
    open: BTreeMap<String, Story>,
    names: Names,
}

/// A deployment as far as its events have been read.
#[derive(Debug, Default, Clone)]
struct Story {
    first: u64,
    began_ms: u64,
    last_time: String,
    kind: String,
    wish: String,
    live_ms: Option<u64>,
    parked: Option<String>,
    step: String,
    end: Option<End>,
}

#[derive(Debug, Clone)]
struct End {
    outcome: &'static str,
    tone: Tone,
    why: String,
}

impl Folded {
    /// Takes an event in; the lines of what it ends or is by itself, each with its line end, mostly none.
    pub(in crate::cli) fn tell(&mut self, line: &EventLine, screen: &Screen) -> String {
        self.names.learn(line);
        let text = match &line.deployment_id {
            Some(id) => self.of_deployment(line, id, screen),
            None => self.alone(line, screen),
        };
        self.names.forget(line);
        text
    }

    /// The lines of what has not ended, oldest first, and each of them forgotten.
    pub(in crate::cli) fn rest(&mut self, screen: &Screen) -> String {
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_iter().collect();
        open.sort_by_key(|(_, story)| story.first);
        open.iter().map(|(id, story)| row(id, story, screen)).collect()
    }

    fn of_deployment(&mut self, line: &EventLine, id: &str, screen: &Screen) -> String {
        let at = parse_rfc3339(&line.time).unwrap_or_default();
        let fresh = Story { first: line.position, began_ms: at, ..Story::default() };
        let story = self.open.entry(id.to_owned()).or_insert(fresh);
        line.time.clone_into(&mut story.last_time);
        story.hear(line, at, &self.names);
        if !ends(line, &story.kind) {
            return String::new();
        }
        let told = row(id, story, screen);
        self.open.remove(id);
        told
    }

    /// What happened outside of deployments; removals and freed claims follow from what was told already.
    fn alone(&self, line: &EventLine, screen: &Screen) -> String {
        if matches!(line.event.as_str(), "UnitRemoved" | "ClaimsFreed") {
            return String::new();
        }
        entry((word(line), tone(line)), (&line.time, ""), &self.names.spoken(&line.told), screen)
    }
}

/// In one word what happened outside of deployments.
fn word(line: &EventLine) -> &'static str {
    match line.event.as_str() {
        "WorkloadRegistered" => "registered",
        "SpecRevised" => "revised",
        "DriftSeen" => "drift",
        "DriftEnded" => "settled",
        "Frozen" => "frozen",
        "Thawed" => "thawed",
        "RouteReasserted" => "repaired",
        "SecretSet" | "SecretRemoved" | "SecretRekeyed" => "secret",
        "StandbyExpired" => "standby",
        "Accepted" => "accepted",
        "ErrandBegun" => "run",
        "ErrandEnded" => "ran",
        _ => "",
    }
}

impl Story {
    fn hear(&mut self, line: &EventLine, at: u64, names: &Names) {
        let elapsed = at.saturating_sub(self.began_ms);
        match line.event.as_str() {
            "IntentQueued" => {
                self.wish = asked(line);
                line.text("wish").clone_into(&mut self.kind);
            }
            "Swapped" if !leads_nowhere(line) => self.live_ms = self.live_ms.or(Some(elapsed)),
            "Parked" => self.parked = Some(line.reason().to_owned()),
            "Resumed" => self.parked = None,
            "WorkloadTornDown" => self.ended("torn down", Tone::Good, format!("took {}", duration(elapsed))),
            "DeploymentSucceeded" if self.kind == TEARDOWN => {
                "what is left of it is removed".clone_into(&mut self.step)
            }
            "DeploymentSucceeded" if self.kind == STOP => self.ended("stopped", Tone::Good, String::new()),
            "DeploymentSucceeded" => self.ended("succeeded", Tone::Good, String::new()),
            "DeploymentFailed" if line.fields.get("routed_back") == Some(&true.into()) => {
                self.ended("routed back", Tone::Bad, line.reason().to_owned());
            }
            "DeploymentFailed" => self.ended("failed", Tone::Bad, line.reason().to_owned()),
            "IntentSuperseded" => self.ended("superseded", Tone::Quiet, String::new()),
            "IntentCancelled" => self.ended("cancelled", Tone::Quiet, line.told.replacen("cancelled", "ended", 1)),
            _ => self.step = names.spoken(&line.told),
        }
    }

    fn ended(&mut self, outcome: &'static str, tone: Tone, why: String) {
        self.end = Some(End { outcome, tone, why });
    }
}

/// The wish in the fewest words: who asked, and the change that a delivery brought.
fn asked(line: &EventLine) -> String {
    match (line.cause.as_str(), line.told.split_once(", asked by ")) {
        (cause, Some((wish, _))) if cause.starts_with("delivery:") => format!("{wish} by a delivery"),
        (_, Some((wish, who))) => format!("{wish} by {who}"),
        (_, None) => line.told.clone(),
    }
}

fn row(id: &str, story: &Story, screen: &Screen) -> String {
    let (outcome, tone, why) = match (&story.end, &story.parked) {
        (Some(end), _) => (end.outcome, end.tone, end.why.clone()),
        (None, Some(reason)) => {
            ("parked", Tone::Bad, format!("{reason}; `cutover resume {id}` or `cutover cancel {id}`"))
        }
        (None, None) => ("goes on", Tone::Moving, story.step.clone()),
    };
    let live = story.live_ms.map(|ms| format!("live after {}", duration(ms)));
    let parts = [Some(story.wish.clone()), live, Some(why)];
    let text: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    // Where a line is short, the id is for those that a person may want to do something about; `--steps` has all.
    let done = matches!(tone, Tone::Good | Tone::Quiet) && !screen.has(WIDE);
    entry((outcome, tone), (&story.last_time, if done { "" } else { id }), &text.join("; "), screen)
}

/// When, what became of it, which deployment, and the text beside.
fn entry((outcome, tone): (&str, Tone), (time, id): (&str, &str), text: &str, screen: &Screen) -> String {
    let when = screen.since(time);
    let mut head = format!("{}{}", " ".repeat(screen.time_columns().saturating_sub(width(&when))), when);
    head = screen.tone(Tone::Quiet, &head);
    head.push_str(&" ".repeat(GAP));
    head.push_str(&screen.tone(tone, outcome));
    head.push_str(&" ".repeat(OUTCOME.saturating_sub(width(outcome)) + GAP));
    let mut taken = screen.time_columns() + OUTCOME + 2 * GAP;
    let wide = screen.has(WIDE);
    if wide {
        head.push_str(&screen.tone(Tone::Quiet, id));
        head.push_str(&" ".repeat(ID.saturating_sub(width(id)) + GAP));
        taken += ID + GAP;
    }
    let text = if wide || id.is_empty() { text.to_owned() } else { format!("{text} ({id})") };
    let mut out = String::new();
    for (index, part) in screen.wrapped(&text, taken).iter().enumerate() {
        if index > 0 {
            out.push_str(&" ".repeat(taken));
        } else {
            out.push_str(&head);
        }
        out.push_str(part);
        out.push('\n');
    }
    out
}
