//! Events as JSON: every kind is shown, and nothing that is sealed.

use cutover::api::event_view;
use cutover_events::deployment::{DeploymentFailed, Lists, Reason, ReasonKind, SlotRef};
use cutover_events::engine::TokenAdded;
use cutover_events::kind::CATALOGUE;
use cutover_events::workload::{
    EnvVar, Hardening, HookAdded, ImageSource, Limits, Policy, Provider, Pull, Source, Spec, SpecRevised,
};
use cutover_events::{
    Actor, Cause, Commit, DeploymentId, Digest, Event, HookId, ReleaseId, Stamp, StreamId, TokenId, UnitId, WorkloadId,
};
use serde_json::{Value, json};

/// Zeros that are needed for the largest of all shapes.
const MOST_ZEROS: usize = 4096;

/// A value of every kind: the one that zeros decode to.
fn every_kind() -> Vec<Event> {
    let one = |kind: &cutover_events::kind::Kind| {
        let zeros = [0_u8; MOST_ZEROS];
        let made = (0..MOST_ZEROS).find_map(|n| Event::from_payload(kind.number, kind.version, &zeros[..n]).ok());
        made.unwrap_or_else(|| panic!("no zeros decode to {}", kind.name))
    };
    CATALOGUE.iter().map(one).collect()
}

fn commit(stream: StreamId, events: Vec<Event>) -> Commit {
    Commit {
        position: 40,
        stream,
        version: 1,
        at: Stamp { wall_ms: 1_767_225_600_123, ..Stamp::default() },
        cause: Cause::Deployment(DeploymentId([1; 16])),
        actor: Actor::Local { uid: 1000, user: "alice".into() },
        key: None,
        events,
    }
}

#[test]
fn every_kind_of_event_is_shown() {
    let workload = WorkloadId([9; 16]);
    let commit = commit(StreamId::Workload(workload), every_kind());
    let lines = event_view::lines(&commit, |id| (id == workload).then(|| "shop/web".to_owned()));
    assert_eq!(lines.len(), CATALOGUE.len());
    for ((line, kind), position) in lines.iter().zip(CATALOGUE).zip(40_u64..) {
        assert_eq!((line.event.as_str(), line.position), (kind.name, position));
        assert_eq!(line.workload.as_deref(), Some("shop/web"));
        let json = serde_json::to_value(line).unwrap();
        let fields = json.as_object().unwrap();
        assert!(
            fields.keys().all(|key| key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')),
            "{json}"
        );
        let own = event_view::fields(&commit.events[(position - 40) as usize]);
        for head in ["position", "time", "event", "workload", "cause", "actor"] {
            assert!(!own.contains_key(head), "{} has a field {head} of its own", kind.name);
        }
        let back: cutover::api::views::EventLine = serde_json::from_value(json).unwrap();
        assert_eq!(&back, line);
    }
}

#[test]
fn deployment_ids_are_told_where_there_is_a_deployment() {
    for event in every_kind() {
        let named = format!("{event:?}").contains(" deployment: dep_");
        let told = event_view::deployment(&event).is_some();
        assert!(!named || told, "{} does not tell its deployment", event.kind().name);
    }
}

#[test]
fn a_line_is_as_scripts_read_it() {
    let units = vec![UnitId([3; 16])];
    let failed = DeploymentFailed {
        deployment: DeploymentId([1; 16]),
        reason: Reason { kind: ReasonKind::NotReady, text: "answered 500 for 60 s".into() },
        routed_back: true,
        lists: Lists {
            active: Some(SlotRef { release: ReleaseId([2; 16]), deployment: DeploymentId([1; 16]), units }),
            ..Lists::default()
        },
    };
    let commit = commit(StreamId::Workload(WorkloadId([9; 16])), vec![failed.into()]);
    let lines = event_view::lines(&commit, |_| Some("shop/web".to_owned()));
    let deployment = DeploymentId([1; 16]).to_string();
    let expected = json!({
        "position": 40,
        "time": "2026-01-01T00:00:00.123Z",
        "event": "DeploymentFailed",
        "deployment_id": deployment,
        "workload": "shop/web",
        "cause": format!("deployment:{deployment}"),
        "actor": "local:1000:alice",
        "told": "failed and routed back: answered 500 for 60 s",
        "tone": "bad",
        "reason": {"kind": "not_ready", "text": "answered 500 for 60 s"},
        "routed_back": true,
        "lists": {
            "active": {
                "release": ReleaseId([2; 16]).to_string(),
                "deployment_id": deployment,
                "units": [UnitId([3; 16]).to_string()],
            },
            "standby": null,
            "removal": [],
        },
    });
    assert_eq!(serde_json::to_value(&lines[0]).unwrap(), expected);
}

#[test]
fn nothing_sealed_is_shown() {
    let secret = Digest([0xAB; 32]);
    let spec = Spec {
        source: Source::Image(ImageSource {
            reference: "nginx:1".into(),
            pull: Pull::Missing,
            platform: String::new(),
            credentials: String::new(),
            deploy_strategy: String::new(),
        }),
        routes: Vec::new(),
        env: vec![EnvVar { name: "PASSWORD".into(), sealed: secret, mac: [0xAB; 16] }],
        command: None,
        mounts: Vec::new(),
        ports: Vec::new(),
        limits: Limits::default(),
        hardening: Hardening::Default,
        health: None,
        replicas: 1,
        triggers: Vec::new(),
        policy: Policy::default(),
        processes: Vec::new(),
        after: Vec::new(),
        release: None,
    };
    let revised = SpecRevised { workload: WorkloadId([9; 16]), revision: 1, spec, claims: Vec::new(), deploy: true };
    let hook = HookAdded { hook: HookId([4; 16]), name: "gh".into(), provider: Provider::GitHub, secret };
    let token = TokenAdded { token: TokenId([5; 16]), name: "ci".into(), hash: secret };
    for event in [revised.into(), hook.into(), token.into()] {
        let told = Value::Object(event_view::fields(&event)).to_string();
        assert!(!told.contains("abab"), "{told}");
    }
}
