//! A history in words, and the crash points in it.

use cutover_events::Event;

use crate::moves::Move;
use crate::scene::{Case, Scene, Step};
use crate::walk::begin;

/// A history, told.
pub(crate) struct Told {
    /// One line a move.
    pub(crate) lines: Vec<String>,
    /// Where the engine died: `append:N:before|after`, `effect:N:before|after`, counted from the beginning of the walk.
    pub(crate) points: Vec<String>,
}

/// Walks one history again and tells it.
pub(crate) fn tell(case: &Case, trail: &[Move]) -> Told {
    let mut told = Told { lines: Vec::new(), points: Vec::new() };
    let Ok(mut scene) = begin(case) else { return told };
    let mut last = Last::default();
    for step in trail {
        if matches!(step, Move::Crash | Move::CrashUnsynced | Move::Reboot | Move::LoseTail(_)) {
            let point = last.point(&scene);
            told.points.push(point.clone());
            told.lines.push(format!("{step:?} at {point}"));
        }
        let after = match scene.after(case, *step) {
            Ok(after) => after,
            Err(_) => {
                told.lines.push(format!("{step:?} {}", intent(&scene)));
                break;
            }
        };
        last.count(&scene, *step, &after);
        told.lines.extend(line(&scene, *step, &after));
        scene = after;
    }
    told
}

/// What the engine did last.
#[derive(Default)]
struct Last {
    appends: u32,
    effects: u32,
    effect: bool,
}

impl Last {
    fn count(&mut self, before: &Scene, step: Move, after: &Scene) {
        if after.log.count() > before.log.count() {
            self.appends += 1;
            self.effect = false;
        }
        if let (Move::Ask(_), Step::Do(..)) = (step, &before.mind.step) {
            self.effects += 1;
            self.effect = true;
        }
    }

    fn point(&self, scene: &Scene) -> String {
        match &scene.mind.step {
            Step::Append(_) | Step::Decide(_) => format!("append:{}:before", self.appends + 1),
            Step::Do(..) => format!("effect:{}:before", self.effects + 1),
            _ if self.effect => format!("effect:{}:after", self.effects),
            _ => format!("append:{}:after", self.appends),
        }
    }
}

fn line(before: &Scene, step: Move, after: &Scene) -> Option<String> {
    let events = || after.log.newest().iter().map(brief).collect::<Vec<_>>().join(" + ");
    let written = after.log.count() > before.log.count();
    match step {
        Move::Look => match &after.mind.step {
            Step::Wait(until) => Some(format!("the lane waits for {:?} ms", until.map(|at| at - after.world.now_ms()))),
            _ => None,
        },
        Move::Write if written => Some(format!("append {}", events())),
        Move::Write => Some("what was decided is refused: something else came first".into()),
        Move::Ask(_) => Some(format!("{step:?} {}", intent(before))),
        Move::Wish | Move::WishUnheard if written => Some(format!("{step:?}: {}", events())),
        Move::Due | Move::Lasts => Some(format!("{} ms go by", after.world.now_ms() - before.world.now_ms())),
        Move::TakeAway(at, outcome) => {
            let removal = before.mind.removals.get(usize::from(at));
            removal.map(|removal| format!("removal of {}: {:?} {outcome:?}", removal.unit, removal.request()))
        }
        Move::Resolves(outcome) => before.mind.answers.resolving.map(|id| format!("the image of {id}: {outcome:?}")),
        Move::Land(at) => before.world.pending().get(usize::from(at)).map(|late| format!("late: {late:?}")),
        Move::Crash | Move::CrashUnsynced | Move::Reboot | Move::LoseTail(_) => None,
        other => Some(format!("{other:?}")),
    }
}

fn intent(scene: &Scene) -> String {
    match &scene.mind.step {
        Step::Do(effect, sending) => format!("{effect:?} as {sending:?}"),
        Step::Append(events) => events.iter().map(brief).collect::<Vec<_>>().join(" + "),
        Step::Decide(command) => format!("{command:?}"),
        Step::Look | Step::Wait(_) => String::new(),
    }
}

fn brief(event: &Event) -> String {
    match event {
        event if event.plan().is_some() => {
            let plan = event.plan().map(|(_, plan)| plan);
            let steps: Vec<_> = plan.iter().flat_map(|plan| &plan.steps).map(|step| step.step).collect();
            let (slot, blue) = plan.map(|plan| (&plan.slot[..], &plan.blue[..])).unwrap_or_default();
            format!("{} slot {slot:?} blue {blue:?} {steps:?}", event.kind().name)
        }
        other => format!("{other:?}"),
    }
}
