//! The contract of `Router`, held by the proxy and by its twin.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use cutover::adapters::router::{HttpRouter, MemoryRouter, Router, RouterError};
use cutover::adapters::runtime::{CreateContainer, MemoryRuntime, Runtime, Witness};
use cutover::adapters::world::{Fault, OnStart, Program, Shared, TableFate, Twin};
use cutover::clock::Clock;
use cutover_events::workload::{Hardening, Limits};
use cutover_events::{DeploymentId, Digest, LogId, ReleaseId, UnitId, WorkloadId};
use cutover_proxy::config::{AccessLog, Config};
use cutover_proxy::process::{self, Serving};
use cutover_proxy::wire::{self, Fence, Put, RefusedCode, Table, Target};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Patience of every wait.
const PATIENCE: Duration = Duration::from_secs(20);
const LOG: LogId = LogId([1; 16]);
const SHOP: WorkloadId = WorkloadId([2; 16]);

/// A router, and targets for it.
struct Bench {
    router: Arc<dyn Router>,
    /// That all targets listen on.
    port: u16,
    side: Side,
}

/// What stands behind a router.
enum Side {
    Twin { runtime: Box<MemoryRuntime>, twin: Shared, ready: String, unready: String },
    Proxy { origins: Mutex<Origins>, serving: Mutex<Option<Serving>>, config: Box<Config>, _folder: TempDir },
}

/// Programs that answer 200, each on an address of its own.
struct Origins {
    tasks: JoinSet<()>,
    addresses: u8,
    /// The port on the first address: whoever has it there has it on the others.
    _held: std::net::TcpListener,
}

fn twin() -> Bench {
    let twin = Twin::shared();
    let (ready, unready) = {
        let mut twin = twin.lock();
        let silent = Program { on_start: OnStart::Silent, ..Program::default() };
        (twin.image_here("app:ready", Program::default()).id, twin.image_here("app:silent", silent).id)
    };
    let (router, runtime) = (Arc::new(MemoryRouter::new(twin.clone())), Box::new(MemoryRuntime::new(twin.clone())));
    Bench { router, port: 80, side: Side::Twin { runtime, twin, ready, unready } }
}

/// The real one, on a free port of loopback.
fn proxy() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let held = std::net::TcpListener::bind((Ipv4Addr::new(127, 0, 1, 1), 0)).expect("a port");
    let port = held.local_addr().expect("its address").port();
    let config = Config {
        folder: folder.path().join("proxy"),
        hooks_socket: folder.path().join("hooks.sock"),
        access_log: AccessLog::Off,
        name_port: port,
        ..Config::default()
    };
    let router = Arc::new(HttpRouter::new(config.folder.join("admin.sock")));
    let serving = Mutex::new(Some(serve(&config)));
    let origins = Mutex::new(Origins { tasks: JoinSet::new(), addresses: 1, _held: held });
    Bench { router, port, side: Side::Proxy { origins, serving, config: Box::new(config), _folder: folder } }
}

fn serve(config: &Config) -> Serving {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    process::start(config.clone(), vec![socket.into()]).expect("a proxy")
}

/// Both sides of the contract.
fn both() -> [Bench; 2] {
    [twin(), proxy()]
}

impl Origins {
    /// An address of its own, with a program behind it that answers when it is wanted.
    fn address(&mut self) -> Ipv4Addr {
        self.addresses += 1;
        Ipv4Addr::new(127, 0, 1, self.addresses)
    }

    async fn answering(&mut self, port: u16) -> Ipv4Addr {
        let address = self.address();
        let listener = TcpListener::bind((address, port)).await.expect("a port");
        self.tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let heard = stream.read(&mut head).await;
                let said = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                drop((heard, said));
            }
        });
        address
    }
}

impl Bench {
    async fn target(&self, runtime: &MemoryRuntime, image: &str) -> Target {
        let clock = Clock::system();
        let unit = UnitId::from_ulid(clock.ulid());
        let asked = CreateContainer {
            name: format!("web-{}", unit.suffix()),
            unit,
            workload: SHOP,
            full_name: "default/shop".to_owned(),
            release: ReleaseId::from_ulid(clock.ulid()),
            deployment: DeploymentId::from_ulid(clock.ulid()),
            witness: Witness { position: 1, chain: Digest::default() },
            image: image.to_owned(),
            network: "net".to_owned(),
            address: Ipv4Addr::UNSPECIFIED,
            alias: None,
            mounts: vec![],
            ports: vec![],
            dns: vec![],
            env: vec![],
            command: None,
            limits: Limits::default(),
            hardening: Hardening::Default,
            stop_signal: 0,
            renewal: Default::default(),
        };
        let id = runtime.create(LOG, &asked).await.expect("a container");
        runtime.start(id).await.expect("a start");
        Target { unit: unit.to_string(), place: wire::Place::Address(IpAddr::V4(asked.address)) }
    }

    async fn ready(&self) -> Target {
        match &self.side {
            Side::Twin { runtime, ready, .. } => self.target(runtime, ready).await,
            Side::Proxy { origins, .. } => at(origins.lock().await.answering(self.port).await),
        }
    }

    async fn unready(&self) -> Target {
        match &self.side {
            Side::Twin { runtime, unready, .. } => self.target(runtime, unready).await,
            Side::Proxy { origins, .. } => at(origins.lock().await.address()),
        }
    }

    async fn stop(&self) {
        match &self.side {
            Side::Twin { twin, .. } => twin.lock().world.router_stop(),
            Side::Proxy { serving, .. } => {
                if let Some(serving) = serving.lock().await.take() {
                    serving.stop().await;
                }
                until("the proxy is away", async || self.router.table().await.is_err()).await;
            }
        }
    }

    async fn start(&self) {
        match &self.side {
            Side::Twin { twin, .. } => twin.lock().world.router_restart(TableFate::Kept),
            Side::Proxy { serving, config, .. } => *serving.lock().await = Some(serve(config)),
        }
    }

    /// The table without the gateways, which are opened in their own time.
    async fn table(&self) -> Table {
        Table { gateways: Vec::new(), ..self.router.table().await.expect("a table") }
    }

    /// Waits until these gateways are known.
    async fn gateways(&self, wanted: &[Ipv4Addr]) {
        let known = async || {
            let table = self.router.table().await.expect("a table");
            table.gateways.iter().map(|gateway| gateway.address).eq(wanted.iter().copied())
        };
        until("the gateways are known", known).await;
    }

    async fn put(&self, targets: &[Target], generation: u64) -> Put {
        Put {
            workload: SHOP.to_string(),
            name: "default/shop".to_owned(),
            log: LOG.to_string(),
            generation,
            router_boot: self.table().await.router_boot,
            writer_epoch: 5,
            witness: wire::Witness { position: 10 + generation, chain: "00".to_owned() },
            routes: vec![wire::Route {
                host: "shop.test".to_owned(),
                path: "/".to_owned(),
                port: self.port,
                strip: false,
                address: None,
            }],
            targets: targets.to_vec(),
            former: Vec::new(),
            probe: Some(wire::Probe {
                port: self.port,
                path: Some("/".to_owned()),
                host: String::new(),
                low: 200,
                high: 299,
                timeout_ms: 1000,
            }),
            names: Some(wire::Names {
                gateway: Ipv4Addr::new(10, 210, 0, 1),
                prefix: 22,
                names: vec!["shop".to_owned()],
            }),
            policy: wire::RoutePolicy { drain_ms: 0, half_close: false },
        }
    }

    async fn fence(&self, generation: u64) -> Fence {
        let router_boot = self.table().await.router_boot;
        Fence { workload: SHOP.to_string(), log: LOG.to_string(), generation, router_boot, writer_epoch: 5 }
    }

    async fn refused(&self, put: &Put) -> RefusedCode {
        let before = self.table().await;
        let refusal = self.router.put(put).await;
        assert_eq!(self.table().await, before, "a refused write changes nothing");
        code(refusal)
    }
}

/// Waits until this is so, or fails the test.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let wait = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

fn at(address: Ipv4Addr) -> Target {
    Target { unit: UnitId::from_ulid(Clock::system().ulid()).to_string(), place: wire::Place::Address(address.into()) }
}

fn code(outcome: Result<(), RouterError>) -> RefusedCode {
    match outcome {
        Err(RouterError::Refused(refused)) => refused.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_write_is_seen_and_claims_the_table() {
    for bench in both() {
        let empty = bench.table().await;
        assert_eq!((empty.log, empty.witness, empty.entries), (None, None, vec![]));
        let targets = [bench.ready().await, bench.ready().await];
        let put = bench.put(&targets, 1).await;
        bench.router.put(&put).await.expect("a write");
        let table = bench.table().await;
        assert_eq!((table.log, table.witness), (Some(put.log.clone()), Some(put.witness.clone())));
        bench.gateways(&[Ipv4Addr::new(10, 210, 0, 1)]).await;
        let [entry] = table.entries.as_slice() else { panic!("{:?}", table.entries) };
        assert_eq!((&entry.workload, &entry.name, entry.generation), (&put.workload, &put.name, 1));
        assert_eq!((&entry.routes, &entry.names), (&put.routes, &put.names));
        let seen: Vec<_> = entry.targets.iter().map(|target| (&target.unit, &target.place)).collect();
        assert_eq!(seen, targets.iter().map(|target| (&target.unit, &target.place)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_writer_without_the_right_is_refused() {
    for bench in both() {
        let targets = [bench.ready().await];
        let put = bench.put(&targets, 3).await;
        bench.router.put(&put).await.expect("a write");
        let next = Put { generation: 4, ..put.clone() };
        assert_eq!(bench.refused(&put).await, RefusedCode::Generation);
        assert_eq!(bench.refused(&Put { generation: 2, ..put.clone() }).await, RefusedCode::Generation);
        assert_eq!(
            bench.refused(&Put { log: LogId([9; 16]).to_string(), ..next.clone() }).await,
            RefusedCode::OtherLog
        );
        assert_eq!(bench.refused(&Put { writer_epoch: 4, ..next.clone() }).await, RefusedCode::WriterEpoch);
        let other_boot = cutover_events::RouterBoot([9; 16]).to_string();
        assert_eq!(bench.refused(&Put { router_boot: other_boot, ..next.clone() }).await, RefusedCode::RouterBoot);
        let other = Put { workload: WorkloadId([3; 16]).to_string(), targets: vec![], ..next.clone() };
        assert_eq!(bench.refused(&other).await, RefusedCode::Claimed);
        let elsewhere =
            wire::Route { host: "other.test".to_owned(), path: "/".to_owned(), port: 80, strip: false, address: None };
        let named = Put { routes: vec![elsewhere], ..other };
        assert_eq!(bench.refused(&named).await, RefusedCode::Claimed, "the name is another workload's");
        bench.router.put(&next).await.expect("the right one");
        let late = Fence { writer_epoch: 4, ..bench.fence(9).await };
        assert_eq!(code(bench.router.fence(&late).await), RefusedCode::WriterEpoch);
    }
}

#[tokio::test]
async fn only_new_targets_are_asked() {
    for bench in both() {
        let (ready, unready) = (bench.ready().await, bench.unready().await);
        let both = [ready.clone(), unready.clone()];
        assert_eq!(bench.refused(&bench.put(&both, 1).await).await, RefusedCode::Probe);
        let blind = Put { probe: None, ..bench.put(&both, 2).await };
        bench.router.put(&blind).await.expect("a write without a probe");
        let again = bench.put(&both, 3).await;
        bench.router.put(&again).await.expect("known targets are not asked again");
        let without = bench.put(&[ready], 4).await;
        bench.router.put(&without).await.expect("a write");
        assert_eq!(bench.refused(&bench.put(&both, 5).await).await, RefusedCode::Probe);
        assert!(bench.table().await.entries[0].draining.iter().all(|drain| drain.unit == unready.unit && drain.done));
    }
}

#[tokio::test]
async fn a_fence_raises_the_generation_and_nothing_else() {
    for bench in both() {
        bench.router.fence(&bench.fence(2).await).await.expect("a fence of what is unknown");
        let tombstone = bench.table().await.entries.remove(0);
        assert_eq!((tombstone.generation, tombstone.targets, tombstone.routes), (2, vec![], vec![]));
        assert_eq!(tombstone.names, None);
        let put = bench.put(&[bench.ready().await], 3).await;
        bench.router.put(&put).await.expect("a write");
        let before = bench.table().await;
        bench.router.fence(&bench.fence(7).await).await.expect("a fence");
        let mut after = bench.table().await;
        assert_eq!(after.entries[0].generation, 7);
        after.entries[0].generation = 3;
        assert_eq!(after, before);
        assert_eq!(bench.refused(&Put { generation: 7, ..put }).await, RefusedCode::Generation);
        assert_eq!(code(bench.router.fence(&bench.fence(7).await).await), RefusedCode::Generation);
    }
}

#[tokio::test]
async fn a_restart_keeps_the_table_and_refuses_what_was_meant_for_the_one_before() {
    for bench in both() {
        let put = bench.put(&[bench.ready().await], 1).await;
        bench.router.put(&put).await.expect("a write");
        let before = bench.table().await;
        bench.stop().await;
        assert!(matches!(bench.router.table().await, Err(RouterError::Unavailable(_))));
        assert!(matches!(bench.router.put(&put).await, Err(RouterError::Unavailable(_))));
        bench.start().await;
        let after = bench.table().await;
        assert_ne!(after.router_boot, before.router_boot);
        assert_eq!((after.log, after.entries), (before.log, before.entries));
        assert_eq!(bench.refused(&Put { generation: 2, ..put }).await, RefusedCode::RouterBoot);
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_may_be_done_or_come_later() {
    let bench = twin();
    let Side::Twin { twin, .. } = &bench.side else { panic!("it is the twin") };
    let targets = [bench.ready().await];
    let generation = |table: &Table| table.entries.first().map_or(0, |entry| entry.generation);
    for (fault, seen) in [(Fault::Lost, 0), (Fault::LoseAnswer, 2), (Fault::Late, 2)] {
        twin.lock().fault(fault);
        let next = generation(&bench.table().await) + if seen == 0 { 1 } else { 2 };
        let lost = bench.router.put(&bench.put(&targets, next).await).await;
        assert!(matches!(lost, Err(RouterError::Unavailable(_))), "{lost:?}");
        assert_eq!(generation(&bench.table().await), seen);
    }
    twin.lock().land_all();
    let table = bench.table().await;
    assert_eq!((generation(&table), table.witness.map(|witness| witness.position)), (4, Some(14)));
}
