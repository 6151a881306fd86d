//! What a waiting person sees: one line per step of one deployment.

use serde_json::Value;

use super::story::{TEARDOWN, bake, leads_nowhere, live, tone};
use super::{Paint, Tone};
use crate::api::time::parse_rfc3339;
use crate::api::told::Names;
use crate::api::told::words::duration;
use crate::api::views::EventLine;

/// Characters that the time takes at the left.
const TIME_WIDTH: usize = 10;

/// How far the deployment is, as far as its events have been told.
#[derive(Debug, Default)]
pub(in crate::cli) struct Progress {
    began_ms: Option<u64>,
    bake_ms: Option<u64>,
    steps: usize,
    done: usize,
    stage: Stage,
    wish: Wish,
    names: Names,
}

/// What the end of the deployment is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Its own end.
    #[default]
    Run,
    /// That nothing of the workload is left.
    Remove,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Live,
    Back,
    Ended,
}

impl Progress {
    /// Takes in an event and tells it; `None` for what follows from another line.
    pub(in crate::cli) fn tell(&mut self, line: &EventLine, paint: Paint) -> Option<String> {
        let at = parse_rfc3339(&line.time).unwrap_or_default();
        let began = *self.began_ms.get_or_insert(at);
        let elapsed = at.saturating_sub(began);
        self.names.learn(line);
        let (tone, text) = self.take_in(line, elapsed)?;
        let text = self.names.spoken(&text);
        let time = paint.tone(Tone::Quiet, &format!("{:>TIME_WIDTH$}", duration(elapsed)));
        Some(format!("{time}  {}", paint.tone(tone, &text)))
    }

    fn take_in(&mut self, line: &EventLine, elapsed: u64) -> Option<(Tone, String)> {
        let usual = (tone(line), line.told.clone());
        match line.event.as_str() {
            "DeploymentPlanned" => {
                self.bake_ms = bake(line);
                let steps = line.fields.get("plan").and_then(|plan| plan.get("steps"));
                self.steps = steps.and_then(Value::as_array).map_or(0, Vec::len);
            }
            "StepSucceeded" => {
                self.done += 1;
                let shown = !matches!(line.text("step"), "swap" | "settle");
                return shown.then(|| (Tone::Normal, format!("[{}/{}] {}", self.done, self.steps, usual.1)));
            }
            "IntentQueued" if line.text("wish") == TEARDOWN => self.wish = Wish::Remove,
            "Swapped" if leads_nowhere(line) => (),
            "Swapped" if self.stage == Stage::Before => {
                self.stage = Stage::Live;
                return Some((Tone::Good, live(elapsed, self.bake_ms)));
            }
            "Swapped" => return Some((Tone::Moving, "the route is back on blue".to_owned())),
            "RouteBackCommitted" => self.stage = Stage::Back,
            "DeploymentSucceeded" if self.wish == Wish::Remove => {
                return Some((Tone::Normal, "what is left of it is removed".to_owned()));
            }
            "WorkloadTornDown"
            | "DeploymentSucceeded"
            | "DeploymentFailed"
            | "IntentSuperseded"
            | "IntentCancelled"
            | "Parked" => {
                self.stage = Stage::Ended;
            }
            "Resumed" => self.stage = Stage::Before,
            _ => (),
        }
        Some(usual)
    }

    /// Something that no event tells of, below the line before it.
    pub(in crate::cli) fn beside(&self, text: &str, paint: Paint) -> String {
        format!("{:>TIME_WIDTH$}  {}", "", paint.tone(Tone::Quiet, text))
    }

    /// Whether its image may still be sought: it has begun, and nothing is planned.
    pub(in crate::cli) fn prepares(&self) -> bool {
        self.began_ms.is_some() && self.steps == 0 && self.stage == Stage::Before
    }

    /// Whether the route was seen on green, and it was not left since.
    pub(in crate::cli) fn live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether it has ended, or is parked.
    pub(in crate::cli) fn ended(&self) -> bool {
        self.stage == Stage::Ended
    }
}

#[cfg(test)]
mod tests {
    use cutover_events::deployment::WorkloadTornDown;
    use cutover_events::deployment::{DeploymentSucceeded, Lists, SwapCommitted, Swapped, Wish as Wished};

    use super::super::samples::{UNIT, deployment_story, event, id, queued, routed_back_story};
    use super::*;

    fn told_of(story: &[EventLine]) -> (Vec<String>, Progress) {
        let mut progress = Progress::default();
        let lines = story.iter().filter_map(|line| progress.tell(line, Paint::Plain)).collect();
        (lines, progress)
    }

    #[test]
    fn a_deployment_reads_as_a_story() {
        let (lines, progress) = told_of(&deployment_story());
        assert_eq!(
            lines,
            [
                "      0 ms  deploy ghcr.io/acme/shop:v2, asked by alice",
                "      5 ms  begun, with spec revision 3",
                "     95 ms  ghcr.io/acme/shop:v2 is digest 0123456789ab",
                "    100 ms  planned: blue-green (default), 6 steps",
                "    300 ms  [1/6] created cutover-shop-web-1",
                "    500 ms  [2/6] started cutover-shop-web-1",
                "     1.5 s  [3/6] ready",
                "     1.5 s  the route moves to 1 container, generation 4",
                "     1.6 s  live after 1.6 s, watching 10 s",
                "       2 s  blue is drained; cut: 1 websocket",
                "    11.6 s  succeeded",
            ]
        );
        assert!(progress.ended());
    }

    #[test]
    fn a_teardown_ends_when_nothing_is_left() {
        let (deployment, to) = (id(1), Vec::new());
        let mut story = vec![
            event(1, 0, queued(1, Wished::Teardown)),
            event(2, 90, SwapCommitted { deployment, generation: 6, from: vec![UNIT], to: to.clone() }),
            event(3, 130, Swapped { deployment, generation: 6, to }),
            event(4, 150, DeploymentSucceeded { deployment, lists: Lists::default() }),
        ];
        let (lines, progress) = told_of(&story);
        assert!(!progress.live() && !progress.ended());
        assert_eq!(lines[2], "    130 ms  no traffic is routed to it any more");
        story.push(event(5, 900, WorkloadTornDown { deployment }));
        let (lines, progress) = told_of(&story);
        assert!(progress.ended());
        assert_eq!(lines[4], "    900 ms  torn down: nothing of it is left");
    }

    #[test]
    fn a_route_back_is_told_and_is_not_live() {
        let (lines, progress) = told_of(&routed_back_story());
        let told = lines.join("\n");
        assert!(told.contains("green failed, the route goes back: exited with code 3"), "{told}");
        assert!(told.contains("the route is back on blue"), "{told}");
        assert!(told.ends_with("failed and routed back: exited with code 3"), "{told}");
        assert!(progress.ended() && !progress.live());
    }
}
