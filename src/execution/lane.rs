//! The loop of one workload: look, ask what comes next, do it; sleep until something changes.

use std::sync::Arc;
use std::time::Duration;

use cutover_domain::deployment::{Command, Decision, Next, next};
use cutover_domain::observed::{Class, Effect, Now, Trouble};
use cutover_events::deployment::{DriftSeen, Handling, IntentQueued, ReasonKind, Wish};
use cutover_events::{Cause, DeploymentId, Event, WorkloadId};
use tokio_util::sync::CancellationToken;

use super::Execution;
use super::look::Sight;
use super::perform::Failed;
use crate::commands::{By, Error};
use crate::projections::Cell;
use crate::store::AppendError;

/// How long a lane that waits for the world sleeps at most while a deployment is open, ms: events are hints only.
const OPEN_TICK_MS: u64 = 500;
/// How long a lane at rest sleeps at most, ms: hints and the general look wake it earlier.
const REST_TICK_MS: u64 = 60_000;
/// How long a lane waits after a look or an append that failed, ms.
const AGAIN_MS: u64 = 500;
/// Longest wait between two failing looks, ms.
const AGAIN_LONGEST_MS: u64 = 5_000;
/// Two looks at an open deployment that lie further apart than this are a break, ms: the engine was stopped, the host
/// slept, or an effect hung. Ten times [`OPEN_TICK_MS`], so that no ordinary delay counts as one.
const BREAK_MS: u64 = 10 * OPEN_TICK_MS;

/// One lane, with what it remembers between looks; all of it may be lost in a crash.
pub(super) struct Lane {
    pub(super) id: WorkloadId,
    pub(super) cell: Arc<Cell>,
    pub(super) sight: Sight,
    looking: Looking,
}

/// Since when a lane has been looking without a break, and when it looked last: `CLOCK_MONOTONIC`, ms.
#[derive(Clone, Copy)]
struct Looking {
    since_ms: u64,
    last_ms: u64,
}

impl Looking {
    fn from(ms: u64) -> Self {
        Self { since_ms: ms, last_ms: ms }
    }

    /// Takes in a look at an open deployment. What it waits for counts from the end of a break: nobody was there to see
    /// it in time.
    fn watches(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.last_ms) > BREAK_MS {
            self.since_ms = now_ms;
        }
        self.last_ms = now_ms;
    }

    /// Takes in a look at a lane at rest, which may look as seldom as it likes.
    fn rests(&mut self, now_ms: u64) {
        self.last_ms = now_ms;
    }
}

impl Lane {
    /// A lane that has looked at nothing yet, at `now_ms` of the monotonic clock.
    pub(super) fn new(id: WorkloadId, cell: Arc<Cell>, now_ms: u64) -> Self {
        Self { id, cell, sight: Sight::default(), looking: Looking::from(now_ms) }
    }
}

enum Step {
    Again,
    Sleep(u64),
}

impl Execution {
    pub(super) async fn lane(self: Arc<Self>, id: WorkloadId, stop: CancellationToken) {
        let cell = self.commands.live().cell(id);
        let mut lane = Lane::new(id, cell, self.started_ms);
        let mut failures = 0u32;
        while !stop.is_cancelled() {
            let sleep = match self.step(&mut lane).await {
                Ok(Step::Again) => {
                    failures = 0;
                    continue;
                }
                Ok(Step::Sleep(ms)) => {
                    failures = 0;
                    ms
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(workload = %self.full_name(id), why, "cannot look or write; trying again");
                    (AGAIN_MS << failures.min(4)).min(AGAIN_LONGEST_MS)
                }
            };
            tokio::select! {
                () = stop.cancelled() => (),
                () = lane.cell.changed.notified() => (),
                () = lane.sight.something_ended() => (),
                () = tokio::time::sleep(Duration::from_millis(sleep)) => (),
            }
        }
    }

    async fn step(self: &Arc<Self>, lane: &mut Lane) -> Result<Step, String> {
        let state = lane.cell.state();
        if state.version == 0 || self.is_held() {
            return Ok(Step::Sleep(REST_TICK_MS));
        }
        for (effect, result) in std::mem::take(&mut lane.sight.removed) {
            match result {
                Ok(()) => lane.sight.observed.answers.over(effect),
                Err(failed) => self.trouble(lane, effect, failed),
            }
        }
        // Read before the look: what a look shows is at least as young as the time it is judged at.
        let mono_ms = self.clock.mono_ms();
        match state.open {
            Some(_) => lane.looking.watches(mono_ms),
            None => lane.looking.rests(mono_ms),
        }
        let now = Now { boot: self.clock.boot(), mono_ms, engine_start_ms: lane.looking.since_ms };
        self.look(lane, &state).await?;
        self.take_up(lane, &state);
        let asked = next(&state, &lane.sight.observed, &now);
        match asked {
            Next::Append(events) => {
                let over = events.iter().any(|event| matches!(event, Event::WorkloadTornDown(_)));
                let written = self.commands.advance(lane.id, &state, events.clone()).await;
                if written.is_ok() {
                    lane.sight.observed.answers.wrote(&events);
                }
                let step = self.written(written.map(drop));
                if over {
                    self.leftovers.notify_one();
                }
                step
            }
            Next::Decide(decision) => self.decide(lane, &state, decision).await,
            Next::Do(effect) => {
                self.effect(lane, &state, effect).await;
                Ok(Step::Again)
            }
            Next::Wait(until) => {
                let tick = if state.open.is_some() || !state.removal.is_empty() { OPEN_TICK_MS } else { REST_TICK_MS };
                let due = until.map_or(tick, |at| at.saturating_sub(now.mono_ms).max(1));
                Ok(Step::Sleep(due.min(tick).min(lane.sight.next_probe(now.mono_ms))))
            }
        }
    }

    /// What a write came to: refused because something else came first means to look again.
    fn written(&self, result: Result<(), Error>) -> Result<Step, String> {
        match result {
            Ok(()) | Err(Error::Rejected(_) | Error::Duplicate(_) | Error::Claimed(_) | Error::Disorder(_)) => {
                Ok(Step::Again)
            }
            Err(Error::Log(AppendError::NoRoom)) => Err("no room for the log".into()),
            Err(Error::Log(AppendError::Conflict { .. })) => Ok(Step::Again),
            Err(error @ (Error::Log(AppendError::Poisoned(_) | AppendError::Codec(_)) | Error::Corrupt(_))) => {
                self.poison(error.to_string());
                Err(error.to_string())
            }
            Err(Error::Log(AppendError::Duplicate { .. })) => Ok(Step::Again),
        }
    }

    /// Performs an effect and remembers what did not simply happen.
    async fn effect(self: &Arc<Self>, lane: &mut Lane, state: &cutover_domain::workload::Workload, effect: Effect) {
        if let Effect::Resolve(id) = effect {
            return self.seek(lane, state, id);
        }
        lane.sight.observed.answers.asks(effect);
        match self.perform(lane, state, effect).await {
            Ok(()) => lane.sight.observed.answers.over(effect),
            Err(failed) => self.trouble(lane, effect, failed),
        }
    }

    pub(super) fn trouble(&self, lane: &mut Lane, effect: Effect, failed: Failed) {
        tracing::info!(workload = %self.full_name(lane.id), ?effect, why = failed.text, "an effect did not happen");
        lane.sight.observed.answers.failed(Trouble {
            effect,
            class: failed.class,
            tries: 0,
            at_ms: self.clock.mono_ms(),
            kind: failed.kind,
            text: failed.text.into(),
        });
    }

    async fn decide(
        self: &Arc<Self>,
        lane: &mut Lane,
        state: &cutover_domain::workload::Workload,
        decision: Decision,
    ) -> Result<Step, String> {
        let command = match decision {
            Decision::Begin(deployment) => {
                let registry = self.commands.live().registry();
                let revision = registry.workloads.get(&lane.id).map_or(0, |registered| registered.revision());
                Command::Begin(deployment, revision)
            }
            Decision::Resolved => match lane.sight.resolved.clone() {
                Some(resolved) => Command::Resolved(resolved.recorded(state)),
                None => return Ok(Step::Again),
            },
            Decision::Await => {
                let Some(open) = &state.open else { return Ok(Step::Again) };
                let registry = self.commands.live().registry();
                let spec = registry.spec(lane.id, open.revision);
                Command::Await(open.id(), spec.map_or(0, |spec| spec.policy.wait_for_image_ms))
            }
            Decision::Plan | Decision::Restore => {
                let planned = match decision {
                    Decision::Restore => self.restore(lane, state).await,
                    _ => self.plan(lane, state).await,
                };
                match planned {
                    Ok(command) => command,
                    Err(failed) => {
                        let open = state.open.as_ref().map_or(DeploymentId([0; 16]), |open| open.id());
                        self.trouble(lane, Effect::Plan(open), failed);
                        return Ok(Step::Again);
                    }
                }
            }
            Decision::Heal(unit, drift) => {
                Command::Heal(DriftSeen { unit, drift, handling: Handling::Repair }, self.repair(lane.id))
            }
            Decision::Revive => Command::Queue(self.repair(lane.id)),
        };
        let cause = match (&decision, &state.open) {
            (Decision::Heal(..) | Decision::Revive, _) => Cause::Drift,
            (Decision::Begin(deployment), _) => Cause::Deployment(*deployment),
            (_, Some(open)) => Cause::Deployment(open.id()),
            (_, None) => Cause::Engine,
        };
        let written = self.commands.workload(lane.id, By::engine(cause), command).await.map(drop);
        self.written(written)
    }

    /// The wish that the engine has by itself.
    fn repair(&self, workload: WorkloadId) -> IntentQueued {
        let registry = self.commands.live().registry();
        IntentQueued {
            deployment: DeploymentId::from_ulid(self.clock.ulid()),
            workload,
            wish: Wish::Heal,
            revision: registry.workloads.get(&workload).map_or(0, |registered| registered.revision()),
            person: false,
            change: None,
        }
    }
}

impl Failed {
    /// Trying again cannot help.
    pub(super) fn for_good(kind: ReasonKind, text: impl Into<String>) -> Self {
        Self { class: Class::Permanent, kind, text: text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{BREAK_MS, Looking};

    #[test]
    fn a_break_in_an_open_deployment_begins_its_waits_again() {
        let mut looking = Looking::from(1_000);
        looking.watches(1_000 + BREAK_MS);
        assert_eq!(looking.since_ms, 1_000, "an ordinary delay is none");
        looking.watches(1_001 + 2 * BREAK_MS);
        assert_eq!(looking.since_ms, 1_001 + 2 * BREAK_MS);
    }

    #[test]
    fn a_lane_at_rest_may_look_as_seldom_as_it_likes() {
        let mut looking = Looking::from(0);
        looking.rests(10 * BREAK_MS);
        looking.watches(10 * BREAK_MS + 1);
        assert_eq!(looking.since_ms, 0);
    }
}
