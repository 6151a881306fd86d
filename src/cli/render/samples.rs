//! Events and views that the tests of rendering share: made of real events, as the API shows them.

use cutover_events::deployment::{
    BlueDrained, Cut, DeploymentBegun, DeploymentFailed, DeploymentPlanned, DeploymentSucceeded, ImageWish,
    IntentQueued, Lists, Reason, ReasonKind, ReleaseResolved, RouteBackCommitted, StepSucceeded, SwapCommitted,
    Swapped, Wish,
};
use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Template, Undo, UnitPlan, Why};
use cutover_events::workload::Policy;
use cutover_events::{
    Actor, BootId, Cause, Commit, DeploymentId, Event, ReleaseId, Stamp, StreamId, UnitId, WorkloadId,
};

use super::Paint;
use super::screen::Screen;
use crate::api::event_view;
use crate::api::time::parse_rfc3339;
use crate::api::views::EventLine;

/// The unit of the samples.
pub(super) const UNIT: UnitId = UnitId([1; 16]);
/// What its container is called.
pub(super) const NAME: &str = "cutover-shop-web-1";
/// When the stories begin.
const START: &str = "2026-01-31T12:00:00.000Z";

/// The time that samples are looked at.
pub(super) fn now_ms() -> u64 {
    parse_rfc3339("2026-01-31T12:05:00.000Z").unwrap()
}

/// A terminal without colours, of so many columns.
pub(super) fn screen(columns: usize) -> Screen {
    Screen::terminal(Paint::Plain, columns, now_ms())
}

/// The deployment number `n`.
pub(super) fn id(n: u8) -> DeploymentId {
    DeploymentId([n; 16])
}

/// An event of shop/web, that long after the beginning, brought about by alice.
pub(super) fn event(position: u64, after_ms: u64, event: impl Into<Event>) -> EventLine {
    caused(position, after_ms, event, (Cause::Person, Actor::Local { uid: 1000, user: "alice".into() }))
}

/// An event of shop/web with its cause and actor.
pub(super) fn caused(position: u64, after_ms: u64, event: impl Into<Event>, by: (Cause, Actor)) -> EventLine {
    let at = Stamp { wall_ms: parse_rfc3339(START).unwrap() + after_ms, boot: BootId([1; 16]), mono_ms: after_ms };
    let event = event.into();
    let stream = match &event {
        Event::EngineStarted(_) => StreamId::Engine,
        _ => StreamId::Workload(WorkloadId([9; 16])),
    };
    let (cause, actor) = by;
    let commit = Commit { position, stream, version: position, at, cause, actor, key: None, events: vec![event] };
    event_view::lines(&commit, |_| Some("shop/web".to_owned())).remove(0)
}

/// A wish of the deployment number `n`.
pub(super) fn queued(n: u8, wish: Wish) -> IntentQueued {
    let workload = WorkloadId([9; 16]);
    IntentQueued { deployment: id(n), workload, wish, revision: 3, person: true, change: None }
}

/// The wish for an image.
pub(super) fn image(reference: &str) -> Wish {
    Wish::Deploy(ImageWish::Reference { reference: reference.into(), ask_registry: false })
}

fn plan() -> Plan {
    let step = |step| PlannedStep { step, undo: Undo::Nothing, timeout_ms: 0 };
    Plan {
        release: Some(ReleaseId([1; 16])),
        strategy: Strategy::BlueGreen,
        why: Why::Default,
        units: vec![UnitPlan { unit: UNIT, name: NAME.into(), replica: 0, address: [172, 20, 0, 2].into() }],
        slot: vec![UNIT],
        blue: Vec::new(),
        adopts: false,
        template: Template::default(),
        routes: Vec::new(),
        health: None,
        policy: Policy { bake_ms: 10_000, ..Policy::default() },
        steps: [Step::Create(UNIT), Step::Start(UNIT), Step::Gate, Step::Keep, Step::Swap, Step::Settle]
            .map(step)
            .to_vec(),
        processes: Vec::new(),
        after: Vec::new(),
        release_command: None,
    }
}

fn stepped(index: u16, step: Step) -> StepSucceeded {
    StepSucceeded { deployment: id(1), index, step }
}

fn beginning() -> Vec<EventLine> {
    let deployment = id(1);
    let resolved = ReleaseResolved {
        deployment,
        release: ReleaseId([1; 16]),
        revision: 3,
        reference: "ghcr.io/acme/shop:v2".into(),
        image: "sha256:ff".into(),
        repo_digest: "ghcr.io/acme/shop@sha256:0123456789abcdef".into(),
        built: None,
        change: None,
    };
    vec![
        event(10, 0, queued(1, image("ghcr.io/acme/shop:v2"))),
        event(11, 5, DeploymentBegun { deployment, revision: 3 }),
        event(12, 95, resolved),
        event(13, 100, DeploymentPlanned { deployment, plan: plan(), again: false }),
        event(14, 300, stepped(0, Step::Create(UNIT))),
        event(15, 500, stepped(1, Step::Start(UNIT))),
        event(16, 1_500, stepped(2, Step::Gate)),
        event(17, 1_510, SwapCommitted { deployment, generation: 4, from: Vec::new(), to: vec![UNIT] }),
        event(18, 1_600, Swapped { deployment, generation: 4, to: vec![UNIT] }),
    ]
}

/// A deployment that succeeds.
pub(super) fn deployment_story() -> Vec<EventLine> {
    let (deployment, cut) = (id(1), Cut { requests: 0, upgraded: 1, streams: 0 });
    let mut story = beginning();
    story.push(event(19, 1_600, stepped(4, Step::Swap)));
    story.push(event(20, 2_000, BlueDrained { deployment, cut }));
    story.push(event(21, 11_610, DeploymentSucceeded { deployment, lists: Lists::default() }));
    story
}

/// Why the sample fails.
pub(super) fn reason() -> Reason {
    Reason { kind: ReasonKind::Exited, text: "exited with code 3".into() }
}

/// A deployment whose green dies while it is watched.
pub(super) fn routed_back_story() -> Vec<EventLine> {
    let (deployment, to, lists) = (id(1), vec![UNIT], Lists::default());
    let mut story = beginning();
    let back = RouteBackCommitted { deployment, generation: 5, to: to.clone(), reason: reason() };
    story.push(event(19, 5_000, back));
    story.push(event(20, 5_100, Swapped { deployment, generation: 5, to }));
    story.push(event(21, 5_200, DeploymentFailed { deployment, reason: reason(), routed_back: true, lists }));
    story
}
