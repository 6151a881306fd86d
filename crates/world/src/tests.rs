//! What the world does where a test of the real thing cannot reach.

use std::net::Ipv4Addr;

use cutover_domain::observed::{Answer as ProbeAnswer, DockerId, Phase, Restart};
use cutover_events::{UnitId, WorkloadId};

use super::*;

const SHOP: WorkloadId = WorkloadId([1; 16]);

fn unit(n: u8) -> UnitId {
    UnitId([n; 16])
}

fn create(n: u8) -> Request {
    Request::Create(Create {
        workload: SHOP,
        unit: unit(n),
        position: u64::from(n),
        address: Ipv4Addr::UNSPECIFIED,
        folder: false,
    })
}

fn created(world: &mut World, n: u8) -> DockerId {
    match world.perform(create(n)) {
        Answer::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

fn ready(world: &mut World, n: u8) -> DockerId {
    let id = created(world, n);
    assert_eq!(world.perform(Request::Start(id)), Answer::Done);
    assert!(world.become_ready(unit(n)));
    id
}

fn put(world: &World, units: &[u8], generation: u64) -> Request {
    let units: Vec<_> = units.iter().map(|n| unit(*n)).collect();
    let to = Units::of(&units).unwrap();
    Request::Put { workload: SHOP, to, generation, boot: world.router_boot(), epoch: 1 }
}

#[test]
fn a_name_is_taken_before_it_can_be_seen_and_until_the_removal_is_over() {
    let mut world = World::new();
    let sent = world.send(create(1));
    assert!(world.reserve(sent));
    assert_eq!(world.perform(create(1)), Answer::Conflict);
    assert_eq!(world.containers().count(), 0);
    assert!(world.appear(unit(1)));
    let id = world.unit(unit(1)).unwrap().id;
    assert_eq!(world.perform(create(1)), Answer::Exists(id));

    assert_eq!(world.perform(Request::Remove(id)), Answer::Done);
    assert_eq!(world.perform(Request::Remove(id)), Answer::RemovalInProgress);
    assert_eq!(world.perform(Request::Start(id)), Answer::RemovalInProgress);
    assert_eq!(world.perform(create(1)), Answer::Exists(id));
    assert!(world.gone(unit(1)));
    assert_eq!(world.perform(Request::Remove(id)), Answer::NotFound);
    assert_ne!(created(&mut world, 1), id);
}

#[test]
fn a_late_start_misses_the_container_that_has_the_name_now() {
    let mut world = World::new();
    let first = created(&mut world, 1);
    let late = world.send(Request::Start(first));
    world.human_remove(unit(1));
    created(&mut world, 1);
    assert_eq!(world.land(late), Some(Answer::NotFound));
    assert_eq!(world.unit(unit(1)).unwrap().phase, Phase::Created);
}

#[test]
fn docker_restarts_what_dies_and_not_what_was_stopped_until_the_daemon_restarts() {
    let mut world = World::new();
    let id = ready(&mut world, 1);
    assert_eq!(world.perform(Request::SetRestart(id, Restart::Always)), Answer::Done);
    assert!(world.exit(unit(1), 3));
    assert_eq!(world.unit(unit(1)).unwrap().phase, Phase::Restarting);
    assert!(world.revive(unit(1)));
    assert_eq!(world.unit(unit(1)).unwrap().restarts, 1);

    assert_eq!(world.perform(Request::Stop(id)), Answer::Done);
    assert_eq!(world.unit(unit(1)).unwrap().phase, Phase::Exited);
    assert!(!world.revive(unit(1)));
    world.daemon_restart(LiveRestore::On);
    assert!(world.unit(unit(1)).unwrap().runs());
    assert!(!world.unit(unit(1)).unwrap().ready());
}

#[test]
fn without_live_restore_a_daemon_takes_its_containers_along() {
    let mut world = World::new();
    ready(&mut world, 1);
    world.daemon_restart(LiveRestore::On);
    assert!(world.unit(unit(1)).unwrap().ready());
    world.daemon_restart(LiveRestore::Off);
    assert_eq!(world.unit(unit(1)).unwrap().phase, Phase::Exited);
}

#[test]
fn an_address_belongs_to_one_started_container() {
    let mut world = World::new();
    let address = Ipv4Addr::new(10, 210, 0, 2);
    let with = |n| Request::Create(Create { workload: SHOP, unit: unit(n), position: 1, address, folder: false });
    let (Answer::Created(a), Answer::Created(b)) = (world.perform(with(1)), world.perform(with(2))) else { panic!() };
    assert_eq!(world.perform(Request::Start(a)), Answer::Done);
    assert_eq!(world.perform(Request::Start(a)), Answer::AlreadySo);
    assert_eq!(world.perform(Request::Start(b)), Answer::AddressInUse);
}

#[test]
fn the_proxy_refuses_what_is_old_unready_or_meant_for_another() {
    let mut world = World::new();
    ready(&mut world, 1);
    let write = put(&world, &[1], 1);
    assert_eq!(world.perform(write), Answer::Done);
    assert_eq!(world.perform(write), Answer::Refused(Refusal::Generation));
    created(&mut world, 2);
    assert_eq!(world.perform(put(&world, &[2], 2)), Answer::Refused(Refusal::Probe));
    let fence = Request::Fence { workload: SHOP, generation: 3, boot: world.router_boot(), epoch: 2 };
    assert_eq!(world.perform(fence), Answer::Done);
    assert_eq!(world.perform(put(&world, &[1], 4)), Answer::Refused(Refusal::WriterEpoch));
    let late = world.send(put(&world, &[], 9));
    world.router_restart(TableFate::Kept);
    assert_eq!(world.land(late), Some(Answer::Refused(Refusal::RouterBoot)));
    assert_eq!(world.observed(SHOP, 9).router.unwrap().generation, 3);
    world.router_restart(TableFate::Lost);
    assert_eq!(world.observed(SHOP, 9).router.unwrap().generation, 0);
    world.router_stop();
    assert_eq!(world.perform(put(&world, &[1], 9)), Answer::Unavailable);
    assert_eq!(world.observed(SHOP, 9).router, None);
}

#[test]
fn a_former_target_is_busy_until_it_is_drained_or_cut() {
    let mut world = World::new();
    ready(&mut world, 1);
    ready(&mut world, 2);
    world.perform(put(&world, &[1], 1));
    assert!(world.connect(unit(1)) && world.connect(unit(1)));
    assert!(!world.connect(unit(2)));
    world.perform(put(&world, &[2], 2));
    let router = world.observed(SHOP, 9).router.unwrap();
    assert_eq!((router.targets, router.busy), (vec![unit(2)], vec![unit(1)]));
    assert!(world.cut(unit(1)));
    let router = world.observed(SHOP, 9).router.unwrap();
    assert_eq!((router.busy, router.cut.requests), (vec![], 2));
    world.perform(put(&world, &[1], 3));
    assert_eq!(world.observed(SHOP, 9).router.unwrap().cut.requests, 0);
}

#[test]
fn a_unit_that_comes_back_while_it_drains_is_a_new_target() {
    let mut world = World::new();
    ready(&mut world, 1);
    ready(&mut world, 2);
    world.perform(put(&world, &[1], 1));
    assert!(world.connect(unit(1)));
    world.perform(put(&world, &[2], 2));
    world.perform(put(&world, &[1], 3));
    assert!(world.connect(unit(1)));
    assert_eq!((world.open(unit(1)), world.open_to_target(unit(1))), (2, 1));
    assert_eq!(world.observed(SHOP, 9).router.unwrap().busy, [unit(1)]);
    assert!(world.cut(unit(1)));
    assert_eq!((world.open(unit(1)), world.observed(SHOP, 9).router.unwrap().cut.requests), (1, 1));
    assert!(world.drained(unit(1)));
    assert!(world.observed(SHOP, 9).router.unwrap().busy.is_empty());
}

#[test]
fn a_look_is_sorted_and_knows_time_probes_and_witnesses() {
    let mut world = World::new();
    created(&mut world, 7);
    ready(&mut world, 3);
    world.probe(SHOP);
    world.advance(40);
    assert!(world.flap(unit(3)));
    world.probe(SHOP);
    world.probe(SHOP);
    let seen = world.observed(SHOP, 3).containers;
    assert_eq!(seen.iter().map(|one| one.unit).collect::<Vec<_>>(), [unit(3), unit(7)]);
    assert_eq!((seen[0].up_ms, seen[0].down_ms, seen[1].down_ms), (40, 0, 40));
    assert_eq!((seen[0].probe.answer, seen[0].probe.failures), (ProbeAnswer::Status(500), 2));
    assert!(seen[0].witnessed && !seen[1].witnessed);
    assert!(world.observed(WorkloadId([2; 16]), 3).containers.is_empty());
}
