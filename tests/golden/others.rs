//! Samples of what does not belong to a deployment, and of commits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cutover_events::delivery::{Change, ChangeKind, DeliveryDecided, DeliveryReceived, PathList, Verdict};
use cutover_events::deployment::DeploymentBegun;
use cutover_events::engine::{
    Confirmed, EngineStarted, Frozen, Held, HeldCause, LogBegun, NetworkMade, NetworkRemoved, Thawed, TokenAdded,
    TokenRevoked,
};
use cutover_events::secret::{SecretRekeyed, SecretRemoved, SecretSet, SecretUse, SecretWay};
use cutover_events::workload::{
    Access, Check, Claim, ClaimsFreed, ComposeSource, DockerfileSource, EnvVar, Hardening, Health, HookAdded,
    HookRemoved, HookRotated, ImageSource, Limits, Mount, MountFrom, OnCrash, Policy, Process, Provider, PublishedPort,
    Pull, ReleaseCommand, Route, SealedText, Source, Spec, SpecRevised, StaticBuild, StaticMode, StaticSource,
    Transport, Trigger, VolumesRemoved, VolumesUnwanted, WorkloadRegistered,
};
use cutover_events::{
    Actor, BootId, Cause, Commit, DeliveryId, DeploymentId, Digest, Event, HookId, InstanceId, Key, LogId, RouterBoot,
    Stamp, StreamId, TokenId, WorkloadId,
};

pub(crate) const WORKLOAD: WorkloadId = WorkloadId([2; 16]);
pub(crate) const DEPLOYMENT: DeploymentId = DeploymentId([3; 16]);
const HOOK: HookId = HookId([4; 16]);
const DELIVERY: DeliveryId = DeliveryId([5; 16]);
const TOKEN: TokenId = TokenId([6; 16]);
const LOG: LogId = LogId([1; 16]);
const DIGEST: Digest = Digest([0xd1; 32]);
const BOOT: BootId = BootId([7; 16]);

pub(crate) fn samples() -> Vec<Event> {
    let mut all = engine();
    all.extend(hooks());
    all.extend(registry());
    all.extend(deliveries());
    all
}

fn engine() -> Vec<Event> {
    let started = EngineStarted {
        instance: InstanceId([8; 16]),
        log: LOG,
        boot: BOOT,
        daemon: "7TLK:IUFB".into(),
        router: Some(RouterBoot([9; 16])),
        version: "0.1.0".into(),
    };
    let held = |cause| Held { cause, text: "one line".into() }.into();
    vec![
        LogBegun { log: LOG }.into(),
        EngineStarted { daemon: String::new(), router: None, ..started.clone() }.into(),
        started.into(),
        NetworkMade { project: "shop".into(), network: "4f1c".into(), subnet: "10.89.0.0/22".into() }.into(),
        NetworkRemoved { project: "shop".into(), network: "4f1c".into() }.into(),
        TokenAdded { token: TOKEN, name: "ci".into(), hash: DIGEST }.into(),
        TokenRevoked { token: TOKEN }.into(),
        held(HeldCause::LogWentBack),
        held(HeldCause::DaemonChanged),
        held(HeldCause::RouterAhead),
        Confirmed { cause: HeldCause::DaemonChanged }.into(),
        Frozen { workload: None, reason: "backup".into() }.into(),
        Frozen { workload: Some(WORKLOAD), reason: String::new() }.into(),
        Thawed { workload: Some(WORKLOAD) }.into(),
    ]
}

fn hooks() -> Vec<Event> {
    let added = |provider| HookAdded { hook: HOOK, name: "github".into(), provider, secret: DIGEST }.into();
    vec![
        added(Provider::GitHub),
        added(Provider::Generic { header: "x-signature".into() }),
        HookRotated { hook: HOOK, secret: Digest([0xd2; 32]) }.into(),
        HookRemoved { hook: HOOK }.into(),
    ]
}

pub(crate) fn route() -> Route {
    Route { host: "shop.example.com".into(), path: "/api".into(), port: 8080, strip: true, service: String::new() }
}

pub(crate) fn health(check: Check) -> Health {
    Health { check, port: 8081, interval_ms: 1_000, timeout_ms: 5_000 }
}

pub(crate) fn http() -> Check {
    Check::Http { path: "/healthz".into(), host: "shop.example.com".into(), low: 200, high: 399 }
}

pub(crate) fn variable() -> EnvVar {
    EnvVar { name: "DATABASE_URL".into(), sealed: DIGEST, mac: [0xac; 16] }
}

pub(crate) fn mounts() -> Vec<Mount> {
    let mount = |from, target: &str, access| Mount { from, target: target.into(), access };
    vec![
        mount(MountFrom::Volume("pgdata".into()), "/var/lib/postgresql/data", Access::Exclusive),
        mount(MountFrom::Volume("uploads".into()), "/srv/uploads", Access::Shared),
        mount(MountFrom::Folder("/srv/data/fonts".into()), "/fonts", Access::ReadOnly),
    ]
}

pub(crate) fn ports() -> Vec<PublishedPort> {
    let port = |address, host, transport| PublishedPort { address, host, container: 5432, transport };
    vec![
        port(IpAddr::V4(Ipv4Addr::LOCALHOST), 5432, Transport::Tcp),
        port(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 53, Transport::Udp),
    ]
}

pub(crate) fn limits() -> Limits {
    Limits { memory_bytes: Some(536_870_912), cpu_milli: Some(500), pids: Some(100) }
}

fn spec(pull: Pull, hardening: Hardening, check: Check) -> Spec {
    Spec {
        source: Source::Image(ImageSource {
            reference: "ghcr.io/acme/shop:{sha}".into(),
            pull,
            platform: "linux/amd64".into(),
            credentials: "registry".into(),
            deploy_strategy: "blue-green".into(),
        }),
        routes: vec![route()],
        env: vec![variable()],
        command: Some(vec!["serve".into(), "--all".into()]),
        mounts: mounts(),
        ports: ports(),
        limits: limits(),
        hardening,
        health: Some(health(check)),
        replicas: 2,
        triggers: vec![Trigger {
            hook: "github".into(),
            repo: "acme/shop".into(),
            branch: "main".into(),
            tag: "v*".into(),
            image: "ghcr.io/acme/shop".into(),
            paths: vec!["services/api/**".into(), "!**/*.md".into()],
        }],
        policy: Policy::default(),
        processes: vec![Process {
            name: "worker".into(),
            command: vec!["work".into()],
            replicas: 1,
            limits: limits(),
            health: Some(health(Check::Tcp)),
        }],
        after: vec!["db".into()],
        release: Some(ReleaseCommand {
            command: vec!["./migrate".into()],
            timeout_ms: 600_000,
            on_crash: if hardening == Hardening::Strict { OnCrash::Again } else { OnCrash::Ask },
        }),
        secrets: [SecretWay::File, SecretWay::Env].map(|way| SecretUse { name: "db_password".into(), way }).to_vec(),
    }
}

fn dockerfile() -> Source {
    Source::Dockerfile(DockerfileSource {
        context: "https://github.com/acme/shop.git#main:api".into(),
        file: "deploy/Dockerfile".into(),
        target: "run".into(),
        args: vec![variable()],
        secrets: vec!["npm_token".into()],
        credentials: "deploy_key".into(),
        deploy_strategy: "blue-green".into(),
    })
}

fn site(mode: StaticMode) -> Source {
    let command = vec!["npm".into(), "run".into(), "build".into()];
    let build = StaticBuild { image: "node:22".into(), command, output: "dist".into() };
    let usual = StaticSource { path: "/srv/www".into(), mode, ..StaticSource::default() };
    Source::Static(match mode {
        StaticMode::Deno => StaticSource { storage: mounts().into_iter().next(), ..usual },
        StaticMode::Files => StaticSource {
            build: Some(build),
            index: "index.html".into(),
            not_found: "404.html".into(),
            fallback: "app.html".into(),
            assets_grace_ms: 86_400_000,
            credentials: "deploy_key".into(),
            deploy_strategy: "recreate".into(),
            ..usual
        },
    })
}

fn stack() -> Source {
    Source::Compose(ComposeSource {
        file: "/srv/shop/compose.yml".into(),
        text: Some(SealedText { sealed: DIGEST, mac: [0xac; 16] }),
        project_name: "shop".into(),
        adopt: true,
        credentials: "deploy_key".into(),
        deploy_strategy: "recreate".into(),
    })
}

fn registry() -> Vec<Event> {
    let route = Claim::Route { host: "shop.example.com".into(), path: "/api".into() };
    let volume =
        |name: &str, access| Claim::Volume { name: name.into(), project: "shop".into(), by: "shop/web".into(), access };
    let port = |address, transport| Claim::Port { address, port: 5432, transport };
    let claims = vec![
        Claim::Name("shop/web".into()),
        route,
        volume("pgdata", Access::Exclusive),
        volume("uploads", Access::Shared),
        volume("/srv/data/fonts", Access::ReadOnly),
        port(IpAddr::V4(Ipv4Addr::LOCALHOST), Transport::Tcp),
        port(IpAddr::V6(Ipv6Addr::LOCALHOST), Transport::Udp),
        Claim::Stack("shop".into()),
    ];
    let revised = |revision, spec, deploy| -> Event {
        SpecRevised { workload: WORKLOAD, revision, spec, claims: claims.clone(), deploy }.into()
    };
    let of_service = Route { service: "web".into(), ..self::route() };
    let plain = Spec {
        routes: vec![],
        env: vec![],
        command: None,
        limits: Limits::default(),
        health: None,
        triggers: vec![],
        ..spec(Pull::Never, Hardening::Default, Check::Tcp)
    };
    vec![
        WorkloadRegistered { workload: WORKLOAD, project: "shop".into(), name: "web".into() }.into(),
        revised(1, spec(Pull::Missing, Hardening::Strict, http()), true),
        revised(2, spec(Pull::Always, Hardening::Default, Check::Tcp), true),
        revised(300, plain.clone(), false),
        revised(4, Spec { source: dockerfile(), ..plain.clone() }, true),
        revised(5, Spec { source: site(StaticMode::Files), ..plain.clone() }, true),
        revised(6, Spec { source: site(StaticMode::Deno), ..plain.clone() }, true),
        revised(7, Spec { source: stack(), routes: vec![of_service], ..plain }, true),
        ClaimsFreed { workload: WORKLOAD, claims: claims.clone() }.into(),
        VolumesUnwanted { workload: WORKLOAD, deployment: DEPLOYMENT }.into(),
        VolumesRemoved { workload: WORKLOAD, volumes: vec!["pgdata".into()] }.into(),
        SecretSet {
            project: "shop".into(),
            name: "db_password".into(),
            version: 3,
            sealed: DIGEST,
            mac: [0x5e; 16],
            dropped: vec![1],
        }
        .into(),
        SecretRemoved { project: "shop".into(), name: "db_password".into() }.into(),
        SecretRekeyed { project: "shop".into(), name: "db_password".into(), sealed: vec![(2, DIGEST), (3, DIGEST)] }
            .into(),
    ]
}

pub(crate) fn change(kind: ChangeKind) -> Change {
    Change {
        kind,
        repo: "acme/shop".into(),
        reference: "refs/heads/main".into(),
        sha: "0123456789abcdef0123456789abcdef01234567".into(),
        image: "ghcr.io/acme/shop:main".into(),
        deleted: false,
    }
}

fn deliveries() -> Vec<Event> {
    let kinds = [ChangeKind::Branch, ChangeKind::Tag, ChangeKind::Image, ChangeKind::Ping, ChangeKind::Other];
    let verdict = |intent| Verdict {
        item: 0,
        workload: WORKLOAD,
        rule: 1,
        intent,
        reference: "ghcr.io/acme/shop:0123456".into(),
        why: "branch main".into(),
    };
    vec![
        DeliveryReceived {
            delivery: DELIVERY,
            hook: HOOK,
            sender_id: "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
            event: "push".into(),
            body: DIGEST,
            items: kinds.map(change).to_vec(),
            secret: 1,
            lists: vec![PathList { item: 0, before: "89abcde".into(), paths: vec!["services/api/main.rs".into()] }],
        }
        .into(),
        DeliveryDecided {
            delivery: DELIVERY,
            summary: "1 intent".into(),
            verdicts: vec![verdict(Some(DEPLOYMENT)), verdict(None)],
        }
        .into(),
    ]
}

/// Commits whose heads hold every stream, cause, actor and key.
pub(crate) fn commits() -> Vec<Commit> {
    let at = Stamp { wall_ms: 1_790_000_000_000, boot: BOOT, mono_ms: 123_456 };
    let begun = || -> Event { DeploymentBegun { deployment: DEPLOYMENT, revision: 1 }.into() };
    let client = Key::Client { owner: "local:0".into(), key: "ci-17".into(), request: DIGEST };
    let heads: Vec<(StreamId, Cause, Actor, Option<Key>)> = vec![
        (StreamId::Engine, Cause::Engine, Actor::Engine, None),
        (StreamId::Registry, Cause::Person, Actor::Local { uid: 1000, user: "ada".into() }, Some(client)),
        (
            StreamId::Hook(HOOK),
            Cause::Delivery(DELIVERY),
            Actor::Hook(HOOK),
            Some(Key::Delivery { hook: HOOK, sender_id: "72d3162e".into() }),
        ),
        (StreamId::Hook(HOOK), Cause::Engine, Actor::Engine, Some(Key::Decision { delivery: DELIVERY })),
        (
            StreamId::Workload(WORKLOAD),
            Cause::Delivery(DELIVERY),
            Actor::Token(TOKEN),
            Some(Key::Triggered { delivery: DELIVERY, item: 0, rule: 1 }),
        ),
        (StreamId::Workload(WORKLOAD), Cause::Revision(2), Actor::Engine, Some(Key::Revision { revision: 2 })),
        (StreamId::Workload(WORKLOAD), Cause::Drift, Actor::Engine, None),
        (StreamId::Workload(WORKLOAD), Cause::Deployment(DEPLOYMENT), Actor::Engine, None),
    ];
    let commit = |(n, (stream, cause, actor, key)): (usize, (StreamId, Cause, Actor, Option<Key>))| Commit {
        position: 1 + 2 * n as u64,
        stream,
        version: 1 + n as u64,
        at,
        cause,
        actor,
        key,
        events: vec![LogBegun { log: LOG }.into(), begun()],
    };
    heads.into_iter().enumerate().map(commit).collect()
}
