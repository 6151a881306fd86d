//! Whole deployments as the engine writes them: what a log that has grown for years is mostly made of.

use std::net::Ipv4Addr;

use cutover::store::{Append, Expected};
use cutover_events::deployment::*;
use cutover_events::plan::{Plan, PlannedStep, Step, Strategy, Template, Undo, UnitPlan, Why};
use cutover_events::workload::{Policy, Route};
use cutover_events::{Actor, Cause, DeploymentId, Event, ReleaseId, StreamId, UnitId, WorkloadId};

/// Events of one deployment that replaces another.
pub(crate) const PER_DEPLOYMENT: u64 = 15;

/// The workload of a writer.
pub(crate) fn workload(writer: u64) -> WorkloadId {
    WorkloadId(bytes(1, writer, 0))
}

/// A wish that waits.
pub(crate) fn wish(writer: u64, number: u64) -> Append {
    let reference = ImageWish::Reference { reference: "ghcr.io/acme/shop:1.4.2".into(), ask_registry: false };
    let intent = IntentQueued {
        deployment: DeploymentId(bytes(2, writer, number)),
        workload: workload(writer),
        wish: Wish::Deploy(reference),
        revision: 1,
        person: true,
        change: None,
    };
    commit(writer, vec![intent.into()])
}

/// The commits of the n-th deployment of a workload, from its wish to the removal of the one before.
pub(crate) fn deployment(writer: u64, number: u64) -> Vec<Append> {
    let id = DeploymentId(bytes(2, writer, number));
    let release = ReleaseId(id.0);
    let green = UnitId(bytes(3, writer, number));
    let blue = number.checked_sub(1).map(|before| UnitId(bytes(3, writer, before)));
    let plan = plan(release, green, blue, number);
    let done = |index: u16| -> Event {
        StepSucceeded { deployment: id, index, step: plan.steps[usize::from(index)].step }.into()
    };
    // The first one has the first generation; each later one finds that the router was told of what went before it.
    let generation = if number == 0 { 1 } else { 2 * number };
    let (from, to) = (blue.into_iter().collect::<Vec<_>>(), vec![green]);
    let resolved = ReleaseResolved {
        deployment: id,
        release,
        revision: 1,
        reference: "ghcr.io/acme/shop:1.4.2".into(),
        image: format!("sha256:{}", "4f".repeat(32)),
        repo_digest: format!("ghcr.io/acme/shop@sha256:{}", "7a".repeat(32)),
        built: None,
        change: None,
    };
    let active = SlotRef { release, deployment: id, units: to.clone() };
    let lists = Lists { active: Some(active), standby: None, removal: from.clone() };
    let mut all = vec![
        wish(writer, number),
        commit(writer, vec![DeploymentBegun { deployment: id, revision: 1 }.into()]),
        commit(writer, vec![resolved.into()]),
        commit(writer, vec![DeploymentPlanned { deployment: id, plan: plan.clone(), again: false }.into()]),
        commit(writer, vec![done(0), done(1)]),
        commit(
            writer,
            vec![
                done(2),
                done(3),
                SwapCommitted { deployment: id, generation, from: from.clone(), to: to.clone() }.into(),
            ],
        ),
        commit(writer, vec![done(4), Swapped { deployment: id, generation, to }.into()]),
    ];
    if blue.is_some() {
        all.push(commit(writer, vec![BlueDrained { deployment: id, cut: Cut::default() }.into()]));
    }
    all.push(commit(writer, vec![done(5), DeploymentSucceeded { deployment: id, lists }.into()]));
    all.extend(from.into_iter().map(|unit| commit(writer, vec![UnitRemoved { unit }.into()])));
    all
}

fn plan(release: ReleaseId, green: UnitId, blue: Option<UnitId>, number: u64) -> Plan {
    let steps = [Step::Create(green), Step::Start(green), Step::Gate, Step::Keep, Step::Swap, Step::Settle];
    let step = |step| PlannedStep { step, undo: Undo::Nothing, timeout_ms: 60_000 };
    let address = Ipv4Addr::from(0x0A00_0000 | (number as u32 & 0xFFFF));
    Plan {
        release: Some(release),
        strategy: Strategy::BlueGreen,
        why: Why::Default,
        units: vec![UnitPlan {
            unit: green,
            name: format!("cutover-shop-web-{}", green.suffix()),
            replica: 0,
            address,
        }],
        slot: vec![green],
        blue: blue.into_iter().collect(),
        adopts: false,
        template: Template { image: format!("sha256:{}", "4f".repeat(32)), port: Some(8080), ..Template::default() },
        routes: vec![Route {
            host: "shop.example.com".into(),
            path: "/".into(),
            port: 8080,
            strip: false,
            service: String::new(),
        }],
        health: None,
        policy: Policy::default(),
        steps: steps.map(step).to_vec(),
        processes: Vec::new(),
        after: Vec::new(),
        release_command: None,
    }
}

fn commit(writer: u64, events: Vec<Event>) -> Append {
    let stream = StreamId::Workload(workload(writer));
    Append { stream, expected: Expected::Any, events, cause: Cause::Engine, actor: Actor::Engine, key: None }
}

fn bytes(kind: u8, writer: u64, number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[0] = kind;
    id[4..8].copy_from_slice(&(writer as u32).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}
