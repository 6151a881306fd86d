//! What of a workload waits for what, and until when: from the fold and the newest look, for people to read.

use cutover_domain::observed::{Behind, Mark, Now};
use cutover_domain::retry::heal_delay;
use cutover_domain::workload::{Open, Phase, Workload};
use cutover_events::Stamp;
use cutover_events::deployment::{Drift, ImageWish};
use cutover_events::plan::{Plan, Step};
use cutover_events::workload::OnDrift;

use super::freezing;
use crate::api::time::rfc3339;
use crate::api::told::words::count;
use crate::api::told::{differs, wish};
use crate::api::views::{FreezeView, WaitKind, WaitView};
use crate::projections::{ContainerRow, Rows, World};

/// Everything that waits, what needs a person first; `behind` is what the open deployment comes after and is not ready,
/// `freeze` what holds the workload back, `build` what its build does, `at` is now and when the engine began to look.
pub(super) fn waits(
    state: &Workload,
    seen: &Rows,
    (behind, freeze, build): (&[Behind], Option<&FreezeView>, Option<&str>),
    at: (Stamp, u64),
) -> Vec<WaitView> {
    let now = Now { boot: at.0.boot, mono_ms: at.0.mono_ms, engine_start_ms: at.1 };
    let look = Look { state, seen, behind, at: at.0, now, freeze, build };
    let mut found = Vec::new();
    if let Some(open) = &state.open {
        look.open(open, &mut found);
    }
    found.extend(look.image());
    found.extend(freeze.map(|freeze| plain(WaitKind::Thaw, freezing::told(freeze), freezing::thaw(freeze))));
    look.queue(&mut found);
    look.drifts(&mut found);
    found.extend(look.heal());
    found.extend(look.removal());
    found.extend(look.standby());
    found
}

struct Look<'a> {
    state: &'a Workload,
    seen: &'a Rows,
    behind: &'a [Behind],
    at: Stamp,
    now: Now,
    freeze: Option<&'a FreezeView>,
    build: Option<&'a str>,
}

/// A wait without a limit.
fn plain(kind: WaitKind, text: String, hint: String) -> WaitView {
    WaitView { kind, deployment_id: None, text, until: None, then: String::new(), hint }
}

impl Look<'_> {
    /// The wall clock at a deadline: for display only, as every wall clock.
    fn until(&self, since: Mark, wait_ms: u64) -> Option<String> {
        let left = self.now.deadline(since, wait_ms).saturating_sub(self.now.mono_ms);
        Some(rfc3339(self.at.wall_ms.saturating_add(left)))
    }

    fn open(&self, open: &Open, found: &mut Vec<WaitView>) {
        let (id, what) = (open.id().to_string(), wish(&open.intent.wish));
        let wait = |kind, text: String| WaitView {
            kind,
            deployment_id: Some(id.clone()),
            text: format!("{what}: {text}"),
            until: None,
            then: String::new(),
            hint: String::new(),
        };
        if open.parked {
            let hint = format!("`cutover resume {id}` lets it go on, `cutover cancel {id}` ends it");
            found.push(WaitView { hint, ..wait(WaitKind::Person, "parked, waits for a person".into()) });
            return;
        }
        match (&open.phase, &open.plan) {
            (Phase::Preparing, None) => found.push(wait(WaitKind::Image, self.preparing(open).into())),
            (Phase::Preparing | Phase::Down, Some(plan)) => found.push(self.step(open, plan, wait)),
            (Phase::Opened(_), _) => found.push(wait(WaitKind::Route, "new requests are held back".into())),
            (Phase::Unrouted, plan) => found.push(WaitView {
                until: plan.as_ref().and_then(|plan| self.until(open.step_since, plan.policy.drain_ms)),
                then: "what is still open is cut".into(),
                ..wait(WaitKind::Drain, "open connections of the old container end".into())
            }),
            (Phase::Committed(_), _) => found.push(wait(WaitKind::Route, "the route moves".into())),
            (Phase::Fencing(..), _) => {
                found.push(wait(WaitKind::Route, "the proxy refused the swap; the route is made sure of".into()));
            }
            (Phase::RoutingBack(_, reason, _), _) => {
                found.push(wait(WaitKind::Route, format!("the route goes back: {}", reason.text)));
            }
            (Phase::Swapped { since, drained }, Some(plan)) => {
                self.settling(plan, (*since, *drained), wait, found);
            }
            (Phase::Swapped { .. } | Phase::Down, None) => (),
        }
    }

    fn preparing(&self, open: &Open) -> &str {
        match (open.release, open.intent.wish.seeks()) {
            (Some(_), _) => "is planned",
            (None, Some(ImageWish::Built { .. })) => self.build.unwrap_or("is about to build its image"),
            (None, _) => self.build.unwrap_or("finds out what its image is, and has it pulled where it is not here"),
        }
    }

    fn step(&self, open: &Open, plan: &Plan, wait: impl Fn(WaitKind, String) -> WaitView) -> WaitView {
        let all = plan.steps.len();
        let at = open.recorded.min(all.saturating_sub(1));
        let Some(planned) = plan.steps.get(at) else { return wait(WaitKind::Step, "begins".into()) };
        let number = at + 1;
        if let Some(stranger) = self.stranger(planned.step) {
            let hint = format!("when nobody needs it: docker rm -f {stranger}");
            let text = format!("the container {stranger} is in the way, and the log does not know it");
            return WaitView { hint, ..wait(WaitKind::Person, text) };
        }
        if planned.step == Step::Await && !self.behind.is_empty() {
            let names: Vec<&str> = self.behind.iter().map(|one| &*one.name).collect();
            let comes = self.behind.iter().any(|one| one.coming);
            return WaitView {
                until: self.until(open.step_since, planned.timeout_ms).filter(|_| !comes),
                then: if comes { String::new() } else { "it fails and nothing changes".into() },
                ..wait(WaitKind::Gate, format!("waits for {} (step {number} of {all})", names.join(" and ")))
            };
        }
        if matches!(planned.step, Step::Run(_)) && open.commands() {
            return WaitView {
                until: self.until(open.step_since, planned.timeout_ms),
                then: "it is ended, and nothing changes".into(),
                hint: format!("`cutover cancel {} --force` ends it in the middle", open.id()),
                ..wait(WaitKind::Step, format!("{} (step {number} of {all})", doing(planned.step)))
            };
        }
        if planned.step != Step::Gate {
            let doing = match planned.step {
                Step::Start(_) if plan.template.is_stack() => "has Compose bring the stack up",
                step => doing(step),
            };
            return wait(WaitKind::Step, format!("{doing} (step {number} of {all})"));
        }
        let gated = count(plan.slot.len() as u64, "container gets", "containers get");
        let then = match (&open.phase, &open.restores, &open.was) {
            (Phase::Preparing, ..) => "it fails and nothing changes",
            (_, None, Some(_)) => "the release of before is started again",
            (_, None, None) => "it fails",
            (_, Some(_), _) => "it fails, and what was started is routed to as soon as it is ready",
        };
        WaitView {
            until: self.until(open.step_since, planned.timeout_ms),
            then: then.into(),
            ..wait(WaitKind::Gate, format!("{gated} ready (step {number} of {all})"))
        }
    }

    /// What nothing may start beside, and is not touched because the log does not know it.
    fn stranger(&self, step: Step) -> Option<&str> {
        let unknown = |row: &&ContainerRow| !self.state.knows(row.unit);
        self.seen.0.iter().filter(|_| step == Step::Clear).find(unknown).map(|row| row.name.as_str())
    }

    fn settling(
        &self,
        plan: &Plan,
        (since, drained): (Mark, bool),
        wait: impl Fn(WaitKind, String) -> WaitView,
        found: &mut Vec<WaitView>,
    ) {
        if !drained && !plan.blue.is_empty() {
            found.push(WaitView {
                until: self.until(since, plan.policy.drain_ms),
                then: "what is still open is cut".into(),
                ..wait(WaitKind::Drain, "open connections of the former containers end".into())
            });
        }
        if !plan.slot.is_empty() && !self.now.passed(since, plan.policy.bake_ms) {
            found.push(WaitView {
                until: self.until(since, plan.policy.bake_ms),
                then: "it has succeeded".into(),
                ..wait(WaitKind::Bake, "live, and watched".into())
            });
        }
    }

    /// A wish that waits for its image, without the lane.
    fn image(&self) -> Option<WaitView> {
        let awaited = self.state.waiting.as_ref()?;
        let id = awaited.intent.deployment.to_string();
        Some(WaitView {
            kind: WaitKind::Image,
            text: format!("{}: waits until its registry has the image", wish(&awaited.intent.wish)),
            until: self.until(awaited.since, awaited.wait_ms),
            then: "it fails".into(),
            hint: format!("a newer wish takes its place, `cutover cancel {id}` ends it"),
            deployment_id: Some(id),
        })
    }

    fn queue(&self, found: &mut Vec<WaitView>) {
        let mut before = self.state.open.as_ref().map(Open::id);
        for intent in &self.state.queue {
            let thaw = self.freeze.filter(|_| !intent.person);
            let behind = before.filter(|_| thaw.is_none());
            let lane = behind.map_or_else(|| "is about to begin".to_owned(), |id| format!("waits behind {id}"));
            let behind = if thaw.is_some() { "waits until it is thawed".to_owned() } else { lane };
            found.push(WaitView {
                kind: WaitKind::Lane,
                deployment_id: Some(intent.deployment.to_string()),
                text: format!("{}: {behind}", wish(&intent.wish)),
                until: None,
                then: String::new(),
                hint: String::new(),
            });
            before = Some(intent.deployment);
        }
    }

    /// The back-off of repairs, while something is broken and nothing else is wished.
    fn heal(&self) -> Option<WaitView> {
        let heals = self.state.heals;
        let runs = |unit: &cutover_events::UnitId| World::runs(self.seen, *unit);
        let whole = self.state.active.as_ref().is_some_and(|slot| slot.units.iter().all(runs));
        let broken = self.state.down.is_some() || (self.state.active.is_some() && !whole);
        if heals.failed == 0 || self.state.open.is_some() || !broken {
            return None;
        }
        let failed = count(heals.failed.into(), "repair has failed", "repairs in a row have failed");
        Some(WaitView {
            kind: WaitKind::Heal,
            deployment_id: None,
            text: failed,
            until: self.until(heals.last, heal_delay(heals.failed)),
            then: "the next one is tried".into(),
            hint: "`cutover logs NAME` shows the last words of what failed; a deploy or rollback goes first".into(),
        })
    }

    /// What is not as it should be, and what becomes of it.
    fn drifts(&self, found: &mut Vec<WaitView>) {
        let reports = self.state.active.as_ref().is_some_and(|slot| slot.plan.policy.drift == OnDrift::Report);
        for (unit, drift) in self.state.drifts.iter().filter(|(_, drift)| *drift != Drift::Restarted) {
            let row = self.seen.0.iter().find(|row| row.unit == *unit);
            let name = row.map_or_else(|| unit.to_string(), |row| row.name.clone());
            let then = match (self.freeze, reports) {
                (Some(_), _) => "left as it is until it is thawed",
                (None, true) => {
                    "left to you, because the policy says drift = \"report\"; `cutover restart NAME` replaces all"
                }
                (None, false) => "a repair follows",
            };
            found.push(plain(WaitKind::Drift, format!("{name} {}", differs(*drift)), then.into()));
        }
    }

    fn removal(&self) -> Option<WaitView> {
        let removal = &self.state.removal;
        if removal.is_empty() {
            return None;
        }
        let busy = self.seen.1.as_ref().map_or(0, |route| removal.iter().filter(|u| route.busy.contains(u)).count());
        let what = count(removal.len() as u64, "container is removed", "containers are removed");
        let text = if busy > 0 { format!("{what} when their connections have ended") } else { what };
        Some(WaitView {
            kind: WaitKind::Removal,
            deployment_id: None,
            text,
            until: None,
            then: String::new(),
            hint: String::new(),
        })
    }

    fn standby(&self) -> Option<WaitView> {
        let (slot, since) = self.state.standby.as_ref()?;
        if self.state.open.as_ref().is_some_and(Open::adopts) {
            return None;
        }
        let reference = self.state.release(slot.release).map_or("", |release| &release.reference);
        Some(WaitView {
            kind: WaitKind::Standby,
            deployment_id: Some(slot.deployment.to_string()),
            text: format!("{reference} stands by for an instant rollback"),
            until: self.until(*since, slot.plan.policy.standby_ms),
            then: "it is removed".into(),
            hint: String::new(),
        })
    }
}

/// A step while it goes on.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Retire(_) => "sets aside what is dead",
        Step::Create(_) => "creates its containers",
        Step::Start(_) => "starts its containers",
        Step::Gate => "gets ready",
        Step::Keep => "sets the restart policy",
        Step::Swap => "is about to move the route",
        Step::Settle => "is watched",
        Step::Clear => "waits until the old container is gone",
        Step::Await => "waits for what it comes after",
        Step::Run(_) => "runs its release command",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cutover_domain::workload::Waiting;
    use cutover_events::deployment::{IntentQueued, Wish};
    use cutover_events::plan::{PlannedStep, Strategy, Template, Undo, Why};
    use cutover_events::workload::Policy;
    use cutover_events::{BootId, DeploymentId, UnitId, WorkloadId};

    use super::*;

    /// 2026-01-31T12:00:00Z, 100 s after boot.
    fn at() -> Stamp {
        Stamp { wall_ms: 1_769_860_800_000, boot: BootId([1; 16]), mono_ms: 100_000 }
    }

    fn mark(mono_ms: u64) -> Mark {
        Mark { boot: BootId([1; 16]), mono_ms }
    }

    fn intent(n: u8, wish: Wish) -> Arc<IntentQueued> {
        let (deployment, workload) = (DeploymentId([n; 16]), WorkloadId([1; 16]));
        Arc::new(IntentQueued { deployment, workload, wish, revision: 1, person: true, change: None })
    }

    fn open(phase: Phase, recorded: usize) -> Workload {
        let unit = UnitId([7; 16]);
        let step = |step| PlannedStep { step, undo: Undo::Nothing, timeout_ms: 60_000 };
        let plan = Plan {
            release: None,
            strategy: Strategy::BlueGreen,
            why: Why::Default,
            units: Vec::new(),
            slot: vec![unit],
            blue: vec![UnitId([8; 16])],
            adopts: false,
            template: Template::default(),
            routes: Vec::new(),
            health: None,
            policy: Policy { gate_timeout_ms: 60_000, drain_ms: 10_000, bake_ms: 20_000, ..Policy::default() },
            processes: Vec::new(),
            after: Vec::new(),
            release_command: None,
            steps: [Step::Create(unit), Step::Gate, Step::Swap].map(step).to_vec(),
        };
        let begun = Open::begun(intent(1, Wish::Restart), 1, mark(90_000));
        let open = Open { plan: Some(Arc::new(plan)), recorded, step_since: mark(95_000), phase, ..begun };
        Workload { open: Some(open), ..Workload::default() }
    }

    fn told(state: &Workload) -> Vec<(WaitKind, String, Option<String>)> {
        let waits = waits(state, &Rows::default(), (&[], None, None), (at(), 50_000));
        waits.into_iter().map(|wait| (wait.kind, wait.text, wait.until)).collect()
    }

    #[test]
    fn a_gate_has_its_deadline_on_the_wall_clock() {
        let text = "restart: 1 container gets ready (step 2 of 3)".to_owned();
        let until = Some("2026-01-31T12:00:55.000Z".to_owned());
        assert_eq!(told(&open(Phase::Preparing, 1)), [(WaitKind::Gate, text, until)]);
        let text = "restart: creates its containers (step 1 of 3)".to_owned();
        assert_eq!(told(&open(Phase::Preparing, 0)), [(WaitKind::Step, text, None)]);
    }

    #[test]
    fn what_comes_after_others_names_them_and_has_a_deadline_unless_they_come() {
        let mut state = open(Phase::Preparing, 0);
        if let Some(plan) = state.open.as_mut().and_then(|open| open.plan.as_mut()) {
            Arc::make_mut(plan).steps[0].step = Step::Await;
        }
        let behind = |coming| [Behind { name: "shop/db".into(), coming }];
        let told = |coming| waits(&state, &Rows::default(), (&behind(coming), None, None), (at(), 50_000)).remove(0);
        assert_eq!(told(true).text, "restart: waits for shop/db (step 1 of 3)");
        assert_eq!(told(true).until, None);
        assert_eq!(told(false).until.as_deref(), Some("2026-01-31T12:00:55.000Z"));
    }

    #[test]
    fn drain_and_bake_go_on_side_by_side() {
        let kinds =
            |state: &Workload| told(state).into_iter().map(|(kind, _, until)| (kind, until)).collect::<Vec<_>>();
        let swapped = |drained| Phase::Swapped { since: mark(99_000), drained };
        let (drain, bake) = ("2026-01-31T12:00:09.000Z".to_owned(), "2026-01-31T12:00:19.000Z".to_owned());
        let both = [(WaitKind::Drain, Some(drain)), (WaitKind::Bake, Some(bake.clone()))];
        assert_eq!(kinds(&open(swapped(false), 3)), both);
        assert_eq!(kinds(&open(swapped(true), 3)), [(WaitKind::Bake, Some(bake))]);
    }

    #[test]
    fn each_wish_waits_behind_the_one_before() {
        let mut state = open(Phase::Committed(4), 3);
        state.queue = vec![intent(2, Wish::Rollback(None)), intent(3, Wish::Teardown)];
        let texts: Vec<_> = told(&state).into_iter().map(|(_, text, _)| text).collect();
        let behind = |n| DeploymentId([n; 16]);
        assert_eq!(texts[1], format!("roll back to the release before: waits behind {}", behind(1)));
        assert_eq!(texts[2], format!("tear down: waits behind {}", behind(2)));
    }

    #[test]
    fn a_wish_that_waits_for_its_image_says_for_what_and_until_when() {
        let reference = ImageWish::Reference { reference: "shop:v2".into(), ask_registry: false };
        let awaited = Waiting { intent: intent(1, Wish::Deploy(reference)), since: mark(99_000), wait_ms: 1_200_000 };
        let state = Workload { waiting: Some(awaited), ..Workload::default() };
        let text = "deploy shop:v2: waits until its registry has the image".to_owned();
        assert_eq!(told(&state), [(WaitKind::Image, text, Some("2026-01-31T12:19:59.000Z".to_owned()))]);
    }

    #[test]
    fn frozen_a_push_waits_and_says_for_what() {
        let mut state = Workload::default();
        let push = IntentQueued { person: false, ..(*intent(2, Wish::Restart)).clone() };
        state.queue = vec![Arc::new(push)];
        state.drifts = vec![(UnitId([7; 16]), Drift::Paused)];
        let freeze = FreezeView {
            workload: Some("shop/web".into()),
            by: "alice".into(),
            since: String::new(),
            reason: "backup".into(),
        };
        let waits = waits(&state, &Rows::default(), (&[], Some(&freeze), None), (at(), 0));
        let texts: Vec<_> = waits.iter().map(|wait| wait.text.as_str()).collect();
        assert_eq!(texts[0], "frozen by alice (backup): nothing is repaired, and pushes wait");
        assert_eq!(waits[0].hint, "`cutover thaw shop/web` lets it go on by itself");
        assert_eq!(texts[1], "restart: waits until it is thawed");
        assert!(texts[2].ends_with("is paused") && waits[2].hint == "left as it is until it is thawed");
    }

    #[test]
    fn what_is_parked_says_what_a_person_can_do() {
        let mut state = open(Phase::Preparing, 1);
        if let Some(open) = &mut state.open {
            open.parked = true;
        }
        let wait = waits(&state, &Rows::default(), (&[], None, None), (at(), 0)).remove(0);
        assert_eq!(wait.kind, WaitKind::Person);
        assert!(
            wait.hint.contains("cutover resume dep_") && wait.hint.contains("cutover cancel dep_"),
            "{}",
            wait.hint
        );
    }
}
