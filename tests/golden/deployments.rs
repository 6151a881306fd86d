//! Samples of what belongs to one deployment.

use std::net::Ipv4Addr;

use cutover_events::delivery::ChangeKind;
use cutover_events::deployment::*;
use cutover_events::errand::{ErrandBegun, ErrandEnd, ErrandEnded, Place};
use cutover_events::plan::{
    CommandPlan, Former, Plan, PlannedStep, ProcessPlan, Step, Strategy, Template, Undo, UnitPlan, Why,
};
use cutover_events::release::{ReleaseCommandEnded, ReleaseCommandStarted};
use cutover_events::secret::{SecretUsed, SecretWay};
use cutover_events::workload::{Check, Hardening, OnCrash, Policy};
use cutover_events::{DeploymentId, Digest, ErrandId, Event, ReleaseId, UnitId};

use crate::others::{DEPLOYMENT, WORKLOAD, change, health, http, limits, mounts, ports, route, variable};

const RELEASE: ReleaseId = ReleaseId([3; 16]);
const GREEN: UnitId = UnitId([0x61; 16]);
const WORKER: UnitId = UnitId([0x77; 16]);
const COMMAND: UnitId = UnitId([0xc0; 16]);
const BLUE: UnitId = UnitId([0xb1; 16]);
const NEWER: DeploymentId = DeploymentId([0x33; 16]);

pub(crate) fn samples() -> Vec<Event> {
    let mut all = intents();
    all.extend(course());
    all.extend(swaps());
    all.extend(ends());
    all.extend(tending());
    all.extend(errands());
    all
}

fn reason(kind: ReasonKind) -> Reason {
    Reason { kind, text: "one line".into() }
}

fn lists() -> Lists {
    let slot = |units| SlotRef { release: RELEASE, deployment: DEPLOYMENT, units };
    Lists { active: Some(slot(vec![GREEN])), standby: Some(slot(vec![BLUE])), removal: vec![UnitId([0xdd; 16])] }
}

fn intents() -> Vec<Event> {
    let asked = ImageWish::Reference { reference: "ghcr.io/acme/shop:main".into(), ask_registry: true };
    let wishes = [
        Wish::Deploy(asked),
        Wish::Deploy(ImageWish::Current),
        Wish::Deploy(ImageWish::Built { fresh: false, upload: None }),
        Wish::Deploy(ImageWish::Built { fresh: true, upload: None }),
        Wish::Deploy(ImageWish::Built { fresh: false, upload: Some(Digest([7; 32])) }),
        Wish::Rollback(None),
        Wish::Rollback(Some(RELEASE)),
        Wish::Restart,
        Wish::Heal,
        Wish::Teardown,
        Wish::Stop { by: "alice".into() },
        Wish::Start,
    ];
    let queued = |wish: Wish| -> Event {
        let change = matches!(wish, Wish::Deploy(_)).then(|| change(ChangeKind::Branch));
        let person = change.is_none();
        IntentQueued { deployment: DEPLOYMENT, workload: WORKLOAD, wish, revision: 2, person, change }.into()
    };
    let mut all: Vec<Event> = wishes.into_iter().map(queued).collect();
    all.push(IntentSuperseded { deployment: DEPLOYMENT, by: NEWER, lists: Some(lists()) }.into());
    all.push(IntentSuperseded { deployment: DEPLOYMENT, by: NEWER, lists: None }.into());
    all.push(IntentCancelled { deployment: DEPLOYMENT, lists: Some(Lists::default()) }.into());
    all
}

fn steps() -> Vec<PlannedStep> {
    [
        (Step::Await, Undo::Nothing),
        (Step::Create(COMMAND), Undo::Remove(COMMAND)),
        (Step::Run(COMMAND), Undo::Nothing),
        (Step::Retire(BLUE), Undo::ByLists),
        (Step::Create(GREEN), Undo::Remove(GREEN)),
        (Step::Start(GREEN), Undo::Nothing),
        (Step::Gate, Undo::Nothing),
        (Step::Keep, Undo::ByLists),
        (Step::Swap, Undo::RouteBack),
        (Step::Settle, Undo::RouteBack),
    ]
    .map(|(step, undo)| PlannedStep { step, undo, timeout_ms: 60_000 })
    .to_vec()
}

fn plan(why: Why, hardening: Hardening, check: Option<Check>) -> Plan {
    Plan {
        release: Some(RELEASE),
        strategy: Strategy::BlueGreen,
        why,
        units: vec![UnitPlan {
            unit: GREEN,
            name: "cut-shop-web-61".into(),
            replica: 0,
            address: Ipv4Addr::new(10, 89, 0, 9),
        }],
        slot: vec![GREEN, WORKER],
        blue: vec![BLUE],
        adopts: false,
        template: Template {
            image: "sha256:0123".into(),
            network: "4f1c".into(),
            env: vec![variable()],
            command: Some(vec!["serve".into()]),
            mounts: mounts(),
            ports: ports(),
            alias: "db".into(),
            limits: limits(),
            hardening,
            port: Some(8080),
            former: vec![Former { image: "site:wl_1/rel_1".into(), until_ms: 7 }],
            secrets: vec![secret(SecretWay::File), secret(SecretWay::Env)],
        },
        routes: vec![route()],
        health: check.map(health),
        policy: Policy::default(),
        steps: steps(),
        processes: vec![ProcessPlan {
            name: "worker".into(),
            units: vec![WORKER],
            command: vec!["work".into()],
            limits: limits(),
            health: None,
        }],
        after: vec!["shop/db".into()],
        release_command: Some(CommandPlan { unit: COMMAND, command: vec!["./migrate".into()], on_crash: OnCrash::Ask }),
    }
}

fn secret(way: SecretWay) -> SecretUsed {
    SecretUsed { name: "db_password".into(), version: 3, mac: [0x5e; 16], way }
}

/// A plan of an exclusive workload.
fn recreate(why: Why) -> Plan {
    let steps = [
        (Step::Create(GREEN), Undo::Remove(GREEN)),
        (Step::Clear, Undo::Restore),
        (Step::Start(GREEN), Undo::Restore),
        (Step::Gate, Undo::Restore),
        (Step::Keep, Undo::Restore),
        (Step::Swap, Undo::Restore),
    ];
    let steps = steps.map(|(step, undo)| PlannedStep { step, undo, timeout_ms: 60_000 }).to_vec();
    let command = CommandPlan { unit: COMMAND, command: vec!["./migrate".into()], on_crash: OnCrash::Again };
    let release_command = Some(command);
    Plan { strategy: Strategy::Recreate, steps, release_command, ..plan(why, Hardening::Default, Some(Check::Tcp)) }
}

fn course() -> Vec<Event> {
    let resolved = ReleaseResolved {
        deployment: DEPLOYMENT,
        release: RELEASE,
        revision: 2,
        reference: "ghcr.io/acme/shop:main".into(),
        image: "sha256:0123".into(),
        repo_digest: "ghcr.io/acme/shop@sha256:4567".into(),
        change: Some(change(ChangeKind::Tag)),
        built: None,
    };
    let built = |reused| BuiltFrom {
        commit: "0123456".into(),
        content: Digest([9; 32]),
        args: [7; 16],
        reused,
        secrets: vec![secret(SecretWay::Build), secret(SecretWay::Login)],
    };
    let of_build = |reused| ReleaseResolved { built: Some(built(reused)), ..resolved.clone() }.into();
    let bare = Plan {
        release: None,
        units: vec![],
        slot: vec![],
        template: Template::default(),
        ..plan(Why::Default, Hardening::Default, None)
    };
    let again =
        DeploymentPlanned { deployment: DEPLOYMENT, plan: plan(Why::Default, Hardening::Default, None), again: true };
    let planned = |plan| DeploymentPlanned { deployment: DEPLOYMENT, plan, again: false }.into();
    let mut all: Vec<Event> = vec![
        DeploymentBegun { deployment: DEPLOYMENT, revision: 2 }.into(),
        ReleaseResolved { repo_digest: String::new(), change: None, ..resolved.clone() }.into(),
        of_build(false),
        of_build(true),
        resolved.clone().into(),
        planned(plan(Why::Default, Hardening::Default, Some(http()))),
        planned(plan(Why::Asked, Hardening::Strict, Some(Check::Tcp))),
        planned(bare),
        again.into(),
        planned(recreate(Why::Volume)),
        planned(recreate(Why::Port)),
        planned(recreate(Why::Blue)),
        planned(recreate(Why::Storage)),
        StepSucceeded { deployment: DEPLOYMENT, index: 1, step: Step::Clear }.into(),
    ];
    for (index, planned) in steps().into_iter().enumerate() {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        all.push(StepSucceeded { deployment: DEPLOYMENT, index, step: planned.step }.into());
    }
    let failed =
        StepFailed { deployment: DEPLOYMENT, index: 3, step: Step::Gate, reason: reason(ReasonKind::NotReady) };
    all.push(failed.into());
    all
}

fn swaps() -> Vec<Event> {
    vec![
        SwapCommitted { deployment: DEPLOYMENT, generation: 7, from: vec![BLUE], to: vec![GREEN] }.into(),
        SwapCommitted { deployment: DEPLOYMENT, generation: 8, from: vec![GREEN], to: vec![] }.into(),
        Swapped { deployment: DEPLOYMENT, generation: 7, to: vec![GREEN] }.into(),
        SwapRefused { deployment: DEPLOYMENT, generation: 8, reason: reason(ReasonKind::Unhealthy) }.into(),
        RouteBackCommitted {
            deployment: DEPLOYMENT,
            generation: 8,
            to: vec![BLUE],
            reason: reason(ReasonKind::Restarted),
        }
        .into(),
        DowntimeOpened { deployment: DEPLOYMENT, generation: 7, from: vec![BLUE] }.into(),
        Unrouted { deployment: DEPLOYMENT, generation: 7 }.into(),
        RestorePlanned { deployment: DEPLOYMENT, plan: recreate(Why::Blue), reason: reason(ReasonKind::NotReady) }
            .into(),
        BlueDrained { deployment: DEPLOYMENT, cut: Cut { requests: 1, upgraded: 2, streams: 300 } }.into(),
    ]
}

fn ends() -> Vec<Event> {
    let kinds = [
        ReasonKind::ImageMissing,
        ReasonKind::Unavailable,
        ReasonKind::Refused,
        ReasonKind::Exited,
        ReasonKind::Restarted,
        ReasonKind::NotReady,
        ReasonKind::Unhealthy,
        ReasonKind::Vanished,
        ReasonKind::NoRelease,
        ReasonKind::NoPlan,
        ReasonKind::Rejected,
        ReasonKind::BuildFailed,
        ReasonKind::CommandFailed,
    ];
    let failed = |kind| -> Event {
        let routed_back = matches!(kind, ReasonKind::Exited | ReasonKind::Unhealthy);
        DeploymentFailed { deployment: DEPLOYMENT, reason: reason(kind), routed_back, lists: lists() }.into()
    };
    let mut all: Vec<Event> = vec![DeploymentSucceeded { deployment: DEPLOYMENT, lists: lists() }.into()];
    all.extend(kinds.map(failed));
    all
}

fn errands() -> Vec<Event> {
    let errand = ErrandId([0xe1; 16]);
    let begun = |place, terminal| {
        let container = "cutover-shop-web-01k9zzzzzzzzzzzzzzzzzzzzz0".into();
        ErrandBegun { errand, program: "sh".into(), place, container, release: RELEASE, terminal }.into()
    };
    let ends = [
        ErrandEnd::Exited(-1),
        ErrandEnd::Left,
        ErrandEnd::Idle,
        ErrandEnd::Refused("one line".into()),
        ErrandEnd::Stopped,
        ErrandEnd::Unknown,
        ErrandEnd::TornDown,
    ];
    let ended = ends.into_iter().map(|end| {
        let lasted_ms = (end != ErrandEnd::Unknown).then_some(1_500);
        ErrandEnded { errand, end, lasted_ms }.into()
    });
    [begun(Place::Unit(GREEN), true), begun(Place::Own, false)].into_iter().chain(ended).collect()
}

fn tending() -> Vec<Event> {
    let drifts = [
        Drift::Gone,
        Drift::Dead,
        Drift::Orphan,
        Drift::StandbyDead,
        Drift::Paused,
        Drift::Disconnected,
        Drift::Renamed,
        Drift::Policy,
        Drift::Limits,
        Drift::Restarted,
    ];
    let seen = |drift| DriftSeen { unit: GREEN, drift, handling: Handling::Repair }.into();
    let mut all: Vec<Event> = drifts.map(seen).to_vec();
    let left = |handling| DriftSeen { unit: BLUE, drift: Drift::Dead, handling }.into();
    all.extend([Handling::Report, Handling::Frozen].map(left));
    all.push(DriftEnded { unit: GREEN, drift: Drift::Paused }.into());
    all.extend([
        UnitRemoved { unit: BLUE }.into(),
        RouteReasserted { generation: 9, to: vec![GREEN] }.into(),
        StandbyExpired { release: RELEASE }.into(),
        WorkloadTornDown { deployment: DEPLOYMENT }.into(),
        ReleaseCommandStarted { deployment: DEPLOYMENT, unit: COMMAND }.into(),
        ReleaseCommandEnded { deployment: DEPLOYMENT, unit: COMMAND, exit_code: 3, took_ms: 1_234 }.into(),
        Parked { deployment: DEPLOYMENT, reason: reason(ReasonKind::Unavailable) }.into(),
        Resumed { deployment: DEPLOYMENT }.into(),
        ImageAwaited { deployment: DEPLOYMENT, reference: "ghcr.io/acme/shop:main".into(), wait_ms: 1_200_000 }.into(),
        Accepted { release: RELEASE }.into(),
    ]);
    all
}
