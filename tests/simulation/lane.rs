//! The shell in miniature: look, ask what comes next, write or do it. The same calls as in `src/execution`.

use cutover_domain::deployment::{Aim, Command, Decision, Next, aim, decide, next, probed};
use cutover_domain::observed::{Answer, Class, Effect, Observed, Phase, Probe, Trouble};
use cutover_domain::plan::{plan, restore};
use cutover_domain::workload::Open;
use cutover_events::deployment::{DriftSeen, Handling, IntentQueued, ReasonKind, ReleaseResolved, Wish};
use cutover_events::{DeploymentId, Event, ReleaseId};

use crate::shop::{Minted, Spec};
use crate::sim::{Held, Sim};
use crate::swarm::Fault;

/// As in the shell: a lane with an open deployment looks at least this often, ms.
const OPEN_TICK_MS: u64 = 500;
/// As in the shell: a lane at rest, ms.
const REST_TICK_MS: u64 = 60_000;
/// Between two probes, ms.
const PROBE_MS: u64 = 100;
/// A lane that takes more steps than this while time stands still does not wait for what it waits for. What is taken
/// off the list of removals does not count: there may be hundreds on it after a time without the proxy.
const SPINS: u32 = 200;

impl Sim {
    /// One step of a lane: decides, or does what it decided before.
    pub(crate) fn step(&mut self, lane: usize) {
        let held = match self.engine.lanes[lane].held.take() {
            Some(held) => held,
            None => {
                let Some(held) = self.look(lane) else { return };
                if self.swarm.strikes(Fault::Stale, &mut self.random) {
                    self.engine.lanes[lane].held = Some(held);
                    return;
                }
                held
            }
        };
        self.engine.lanes[lane].spins += u32::from(!self.shortens(lane, &held.next));
        if self.engine.lanes[lane].spins > SPINS {
            self.fail(format!("w{lane} goes round and round without waiting: {:?}", held.next));
        }
        self.engine.lanes[lane].waits = matches!(held.next, Next::Wait(_));
        self.act(lane, held);
    }

    /// Whether a step takes a unit off the list of what is to be removed, which only other steps make longer.
    fn shortens(&self, lane: usize, next: &Next) -> bool {
        let listed = &self.engine.lanes[lane].state.removal;
        matches!(next, Next::Append(events) if matches!(&events[..], [Event::UnitRemoved(e)] if listed.contains(&e.unit)))
    }

    /// One look, and what comes of it.
    pub(crate) fn look(&mut self, lane: usize) -> Option<Held> {
        let now = self.now();
        if self.host.docker_back_ms > self.world.now_ms() {
            self.engine.lanes[lane].wake_ms = now.mono_ms + OPEN_TICK_MS;
            return None;
        }
        self.forget(lane);
        let mut observed = self.observe(lane);
        let state = &self.engine.lanes[lane].state;
        let asked = probed(state, &observed);
        let probes = !asked.is_empty();
        for seen in observed.containers.iter_mut().filter(|seen| !asked.contains(&seen.unit)) {
            seen.probe = Probe { answer: Answer::Unknown, failures: 0 };
        }
        let breaches = cutover_domain::invariants::seen(state, &observed);
        let next = next(state, &observed, &now);
        let version = state.version;
        if let Some(breach) = breaches.first() {
            self.fail(breach.to_string());
        }
        // What a probe says counts from the next look on.
        if probes && now.mono_ms >= self.engine.lanes[lane].probed_ms {
            self.engine.lanes[lane].probed_ms = now.mono_ms + PROBE_MS;
            self.world.probe(self.shops[lane].id);
        }
        Some(Held { next, version, observed })
    }

    fn forget(&mut self, lane: usize) {
        let (world, lane) = (&self.world, &mut self.engine.lanes[lane]);
        let seeks = lane.state.seeks().map(|intent| intent.deployment);
        lane.resolved = lane.resolved.filter(|(deployment, _)| Some(*deployment) == seeks);
        lane.answers.keep_for(seeks);
        lane.answers.resolved = lane.resolved.map(|(deployment, _)| deployment);
        lane.answers.captured.retain(|unit| world.unit(*unit).is_some());
    }

    fn act(&mut self, lane: usize, held: Held) {
        match held.next {
            Next::Append(events) => {
                if self.engine.lanes[lane].state.version == held.version && self.write(lane, events.clone()) {
                    self.engine.lanes[lane].answers.wrote(&events);
                }
            }
            Next::Decide(decision) => self.decide(lane, decision, &held.observed),
            Next::Do(effect) => {
                self.lawful(lane, effect, &held.observed);
                self.perform(lane, effect);
            }
            Next::Wait(until) => self.sleep(lane, until, &held.observed),
        }
    }

    fn sleep(&mut self, lane: usize, until: Option<u64>, observed: &Observed) {
        let mono = self.mono();
        let state = &self.engine.lanes[lane].state;
        let tick = if state.open.is_some() || !state.removal.is_empty() { OPEN_TICK_MS } else { REST_TICK_MS };
        let tick = if probed(state, observed).is_empty() { tick } else { tick.min(PROBE_MS) };
        let wake = until.unwrap_or(u64::MAX).min(mono + tick).max(mono + 1);
        self.engine.lanes[lane].wake_ms = wake;
    }

    /// What an effect may never be, whatever comes of it.
    fn lawful(&mut self, lane: usize, effect: Effect, observed: &Observed) {
        if let Effect::Start(unit, _) = effect
            && observed.seen(unit).is_none_or(|seen| seen.phase != Phase::Created)
        {
            self.fail(format!("w{lane} starts {unit}, which was started before"));
        }
    }

    fn decide(&mut self, lane: usize, decision: Decision, observed: &Observed) {
        let command = match decision {
            Decision::Begin(deployment) => Command::Begin(deployment, self.shops[lane].specs.len() as u32),
            Decision::Resolved => match self.resolved(lane) {
                Some(resolved) => Command::Resolved(resolved),
                None => return,
            },
            Decision::Plan => match self.plan(lane, observed) {
                Ok(command) => command,
                Err(kind) => {
                    let open = self.engine.lanes[lane].state.open.as_ref().map(Open::id);
                    let Some(open) = open else { return };
                    return self.trouble(lane, Effect::Plan(open), (Class::Permanent, kind));
                }
            },
            Decision::Await => {
                let Some(open) = &self.engine.lanes[lane].state.open else { return };
                let spec = &self.shops[lane].specs[open.revision as usize - 1];
                Command::Await(open.id(), spec.policy.wait_for_image_ms)
            }
            Decision::Restore => {
                let state = &self.engine.lanes[lane].state;
                let Some(id) = state.open.as_ref().map(Open::id) else { return };
                let Some(made) = restore(state, "s/w", &mut Minted(&mut self.minted)) else { return };
                Command::Restore(id, Box::new(made))
            }
            Decision::Heal(unit, drift) => {
                Command::Heal(DriftSeen { unit, drift, handling: Handling::Repair }, self.repair(lane))
            }
            Decision::Revive => Command::Queue(self.repair(lane)),
        };
        if let Ok(events) = decide(&self.engine.lanes[lane].state, command) {
            self.write(lane, events);
        }
    }

    fn repair(&mut self, lane: usize) -> IntentQueued {
        IntentQueued {
            deployment: DeploymentId(Minted(&mut self.minted).bytes()),
            workload: self.shops[lane].id,
            wish: Wish::Heal,
            revision: self.shops[lane].specs.len() as u32,
            person: false,
            change: None,
        }
    }

    fn resolved(&self, lane: usize) -> Option<ReleaseResolved> {
        let (deployment, program) = self.engine.lanes[lane].resolved?;
        Some(ReleaseResolved {
            deployment,
            release: ReleaseId(deployment.0),
            revision: self.engine.lanes[lane].state.open.as_ref().map_or(0, |open| open.revision),
            reference: format!("image:{program}"),
            image: program.to_string(),
            repo_digest: String::new(),
            change: None,
            built: None,
        })
    }

    fn plan(&mut self, lane: usize, observed: &Observed) -> Result<Command, ReasonKind> {
        let state = &self.engine.lanes[lane].state;
        let Some(open) = &state.open else { return Err(ReasonKind::NoPlan) };
        let ask = match aim(state, open) {
            Aim::Nothing => {
                Spec::farewell(state.active.as_ref().map_or_else(Default::default, |slot| slot.plan.policy))
            }
            Aim::Missing => return Err(ReasonKind::NoRelease),
            Aim::Anew(resolved) => return Ok(Command::Resolved(*resolved)),
            Aim::Release(release) => self.shops[lane].specs[release.revision as usize - 1].ask(release),
        };
        let made = plan(state, ask, observed, &mut Minted(&mut self.minted));
        Ok(Command::Planned(open.id(), Box::new(made)))
    }

    pub(crate) fn trouble(&mut self, lane: usize, effect: Effect, (class, kind): (Class, ReasonKind)) {
        let at_ms = self.mono();
        self.say(|| format!("w{lane} {effect:?} did not happen: {class:?} {kind:?}"));
        let answers = &mut self.engine.lanes[lane].answers;
        answers.failed(Trouble { effect, class, tries: 0, at_ms, kind, text: "as the simulation wants it".into() });
    }
}
