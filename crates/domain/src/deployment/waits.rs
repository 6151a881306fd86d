//! A change from outside that is faster than its image: the wish waits for it without the lane, and is looked after here.

use cutover_events::deployment::{DeploymentFailed, ImageAwaited, ImageWish, Reason, ReasonKind, Wish};
use cutover_events::{DeploymentId, Event};

use super::decide::Rejection;
use super::evolve::{Evolved, corrupt};
use super::gate::MAX_REASON_CHARS;
use super::next::{Decision, Next};
use crate::observed::{Class, Effect, Mark, Now, Observed};
use crate::rejected::is_automatic;
use crate::retry;
use crate::workload::{Open, Waiting, Workload};

/// What comes next for the wish that waits for its image, while nothing else is to be done: it takes the lane once the
/// image is here, and fails at its deadline. A deadline counts only for a question that was answered later than it. While
/// the workload is frozen it waits as every automatic wish does.
pub(super) fn for_image(state: &Workload, observed: &Observed, now: &Now) -> Option<Next> {
    let awaited = state.waiting.as_ref().filter(|_| !observed.frozen)?;
    let id = awaited.intent.deployment;
    if observed.answers.resolved == Some(id) {
        return Some(Next::Decide(Decision::Begin(id)));
    }
    if observed.answers.resolving == Some(id) {
        return Some(Next::Wait(None));
    }
    let deadline = now.deadline(awaited.since, awaited.wait_ms);
    let Some(trouble) = observed.answers.about(Effect::Resolve(id)) else {
        return Some(Next::Do(Effect::Resolve(id)));
    };
    if trouble.class == Class::Permanent || trouble.at_ms >= deadline {
        return Some(Next::append(gone_without(state, awaited, trouble.kind, &trouble.text)));
    }
    let again = retry::image_again(trouble).min(deadline);
    Some(if again > now.mono_ms { Next::Wait(Some(again)) } else { Next::Do(Effect::Resolve(id)) })
}

fn gone_without(state: &Workload, awaited: &Waiting, kind: ReasonKind, said: &str) -> DeploymentFailed {
    let waited = awaited.wait_ms / 1_000;
    let text = format!(
        "{said}; it was waited for, at most {waited} s (policy.wait_for_image): push it and deliver the change again, or \
         deploy another image yourself"
    );
    let reason = Reason { kind, text: text.chars().take(MAX_REASON_CHARS).collect() };
    DeploymentFailed { deployment: awaited.intent.deployment, reason, routed_back: false, lists: state.lists() }
}

/// The event that gives the lane up, for a deployment that looks for its image.
pub(super) fn waits(state: &Workload, deployment: DeploymentId, wait_ms: u64) -> Result<Vec<Event>, Rejection> {
    let open = state.open.as_ref().filter(|open| open.id() == deployment && open.plan.is_none());
    match open.map(|open| &open.intent.wish) {
        Some(Wish::Deploy(ImageWish::Reference { reference, .. })) => {
            Ok(vec![ImageAwaited { deployment, reference: reference.clone(), wait_ms }.into()])
        }
        _ => Err(Rejection::MovedOn),
    }
}

/// The fold of ImageAwaited: the lane is free again.
pub(super) fn awaited(state: &mut Workload, event: &Event, e: &ImageAwaited, at: Mark) -> Evolved {
    let waits = |open: &mut Open| open.id() == e.deployment && open.plan.is_none() && is_automatic(&open.intent);
    if state.waiting.is_some() {
        return corrupt(event, "while another wish waits for its image");
    }
    let Some(open) = state.open.take_if(waits) else {
        return corrupt(event, format!("is about {}, which does not look for its image", e.deployment));
    };
    state.waiting = Some(Waiting { intent: open.intent, since: at, wait_ms: e.wait_ms });
    Ok(())
}

/// The fold of the end of a wish that waited for its image; false when it is about another one.
pub(super) fn over(state: &mut Workload, id: DeploymentId) -> bool {
    state.waiting.take_if(|awaited| awaited.intent.deployment == id).is_some()
}
