//! The contract of `Router`, held by its twin. What stands on a [`Bench`] holds for any router: the proxy joins with a
//! bench of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cutover::adapters::router::{MemoryRouter, Router, RouterError};
use cutover::adapters::runtime::{CreateContainer, MemoryRuntime, Runtime, Witness};
use cutover::adapters::world::{Fault, OnStart, Program, Shared, TableFate, Twin};
use cutover::clock::Clock;
use cutover_events::workload::{Hardening, Limits};
use cutover_events::{DeploymentId, Digest, LogId, ReleaseId, UnitId, WorkloadId};
use cutover_proxy::wire::{self, Fence, Put, RefusedCode, Table, Target};

const LOG: LogId = LogId([1; 16]);
const SHOP: WorkloadId = WorkloadId([2; 16]);

/// A router, and targets for it.
struct Bench {
    router: Arc<dyn Router>,
    runtime: MemoryRuntime,
    twin: Shared,
    ready: String,
    unready: String,
}

fn bench() -> Bench {
    let twin = Twin::shared();
    let (ready, unready) = {
        let mut twin = twin.lock();
        let silent = Program { on_start: OnStart::Silent, ..Program::default() };
        (twin.image_here("app:ready", Program::default()).id, twin.image_here("app:silent", silent).id)
    };
    let (router, runtime) = (Arc::new(MemoryRouter::new(twin.clone())), MemoryRuntime::new(twin.clone()));
    Bench { router, runtime, twin, ready, unready }
}

impl Bench {
    async fn target(&self, image: &str) -> Target {
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
        };
        let id = self.runtime.create(LOG, &asked).await.expect("a container");
        self.runtime.start(id).await.expect("a start");
        Target { unit: unit.to_string(), address: IpAddr::V4(asked.address) }
    }

    async fn ready(&self) -> Target {
        self.target(&self.ready).await
    }

    async fn unready(&self) -> Target {
        self.target(&self.unready).await
    }

    async fn table(&self) -> Table {
        self.router.table().await.expect("a table")
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
            routes: vec![wire::Route { host: "shop.test".to_owned(), path: "/".to_owned(), port: 80, strip: false }],
            targets: targets.to_vec(),
            probe: Some(wire::Probe {
                port: 80,
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

fn code(outcome: Result<(), RouterError>) -> RefusedCode {
    match outcome {
        Err(RouterError::Refused(refused)) => refused.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_write_is_seen_and_claims_the_table() {
    let bench = bench();
    let empty = bench.table().await;
    assert_eq!((empty.log, empty.witness, empty.entries), (None, None, vec![]));
    let targets = [bench.ready().await, bench.ready().await];
    let put = bench.put(&targets, 1).await;
    bench.router.put(&put).await.expect("a write");
    let table = bench.table().await;
    assert_eq!((table.log, table.witness), (Some(put.log.clone()), Some(put.witness.clone())));
    let gateways: Vec<_> = table.gateways.iter().map(|gateway| gateway.address).collect();
    assert_eq!(gateways, [Ipv4Addr::new(10, 210, 0, 1)]);
    let [entry] = table.entries.as_slice() else { panic!("{:?}", table.entries) };
    assert_eq!((&entry.workload, &entry.name, entry.generation), (&put.workload, &put.name, 1));
    assert_eq!((&entry.routes, &entry.names), (&put.routes, &put.names));
    let seen: Vec<_> = entry.targets.iter().map(|target| (&target.unit, target.address)).collect();
    assert_eq!(seen, targets.iter().map(|target| (&target.unit, target.address)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_writer_without_the_right_is_refused() {
    let bench = bench();
    let targets = [bench.ready().await];
    let put = bench.put(&targets, 3).await;
    bench.router.put(&put).await.expect("a write");
    let next = Put { generation: 4, ..put.clone() };
    assert_eq!(bench.refused(&put).await, RefusedCode::Generation);
    assert_eq!(bench.refused(&Put { generation: 2, ..put.clone() }).await, RefusedCode::Generation);
    assert_eq!(bench.refused(&Put { log: LogId([9; 16]).to_string(), ..next.clone() }).await, RefusedCode::OtherLog);
    assert_eq!(bench.refused(&Put { writer_epoch: 4, ..next.clone() }).await, RefusedCode::WriterEpoch);
    let other_boot = cutover_events::RouterBoot([9; 16]).to_string();
    assert_eq!(bench.refused(&Put { router_boot: other_boot, ..next.clone() }).await, RefusedCode::RouterBoot);
    let other = Put { workload: WorkloadId([3; 16]).to_string(), targets: vec![], ..next.clone() };
    assert_eq!(bench.refused(&other).await, RefusedCode::Claimed);
    let elsewhere = wire::Route { host: "other.test".to_owned(), path: "/".to_owned(), port: 80, strip: false };
    let named = Put { routes: vec![elsewhere], ..other };
    assert_eq!(bench.refused(&named).await, RefusedCode::Claimed, "the name is another workload's");
    bench.router.put(&next).await.expect("the right one");
    let late = Fence { writer_epoch: 4, ..bench.fence(9).await };
    assert_eq!(code(bench.router.fence(&late).await), RefusedCode::WriterEpoch);
}

#[tokio::test]
async fn only_new_targets_are_asked() {
    let bench = bench();
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

#[tokio::test]
async fn a_fence_raises_the_generation_and_nothing_else() {
    let bench = bench();
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

#[tokio::test]
async fn a_restart_keeps_the_table_and_refuses_what_was_meant_for_the_one_before() {
    let bench = bench();
    let put = bench.put(&[bench.ready().await], 1).await;
    bench.router.put(&put).await.expect("a write");
    let before = bench.table().await;
    bench.twin.lock().world.router_stop();
    assert!(matches!(bench.router.table().await, Err(RouterError::Unavailable(_))));
    assert!(matches!(bench.router.put(&put).await, Err(RouterError::Unavailable(_))));
    bench.twin.lock().world.router_restart(TableFate::Kept);
    let after = bench.table().await;
    assert_ne!(after.router_boot, before.router_boot);
    assert_eq!((after.log, after.entries), (before.log, before.entries));
    assert_eq!(bench.refused(&Put { generation: 2, ..put }).await, RefusedCode::RouterBoot);
    bench.twin.lock().world.router_restart(TableFate::Lost);
    assert_eq!(bench.table().await.log, None);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_may_be_done_or_come_later() {
    let bench = bench();
    let targets = [bench.ready().await];
    let generation = |table: &Table| table.entries.first().map_or(0, |entry| entry.generation);
    for (fault, seen) in [(Fault::Lost, 0), (Fault::LoseAnswer, 2), (Fault::Late, 2)] {
        bench.twin.lock().fault(fault);
        let next = generation(&bench.table().await) + if seen == 0 { 1 } else { 2 };
        let lost = bench.router.put(&bench.put(&targets, next).await).await;
        assert!(matches!(lost, Err(RouterError::Unavailable(_))), "{lost:?}");
        assert_eq!(generation(&bench.table().await), seen);
    }
    bench.twin.lock().land_all();
    let table = bench.table().await;
    assert_eq!((generation(&table), table.witness.map(|witness| witness.position)), (4, Some(14)));
}
