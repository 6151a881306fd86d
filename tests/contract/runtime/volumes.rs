//! Mounts, ports, and the volumes that are made for them.

use cutover::adapters::runtime::{CreateContainer, Mounted, RuntimeError, Volume};
use cutover_domain::observed::Phase;
use cutover_events::LogId;
use cutover_events::workload::{Access, Mount, MountFrom, PublishedPort, Transport};

use super::{Behaviour, Harness};

fn mount(name: &str, target: &str, access: Access) -> Mount {
    Mount { from: MountFrom::Volume(name.to_owned()), target: target.to_owned(), access }
}

pub(crate) async fn mounts_and_ports_are_seen(harness: &Harness) {
    let name = harness.volume("seen");
    let port = |address: &str, transport| PublishedPort {
        address: address.parse().expect("an address"),
        host: 47_123,
        container: 8080,
        transport,
    };
    let asked = CreateContainer {
        mounts: vec![mount(&name, "/b", Access::Exclusive), mount(&name, "/a", Access::ReadOnly)],
        ports: vec![port("127.0.0.2", Transport::Udp), port("127.0.0.1", Transport::Tcp)],
        ..harness.container(Behaviour::Serves)
    };
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    let seen = harness.seen(id).await;
    let mounted =
        |target: &str, writable| Mounted { from: MountFrom::Volume(name.clone()), target: target.to_owned(), writable };
    assert_eq!(seen.mounts, [mounted("/a", false), mounted("/b", true)]);
    assert_eq!(seen.ports, [port("127.0.0.1", Transport::Tcp), port("127.0.0.2", Transport::Udp)]);
    let (_, plain) = harness.created().await;
    let plain = harness.seen(plain).await;
    assert_eq!((plain.mounts, plain.ports), (vec![], vec![]));
}

pub(crate) async fn a_volume_is_made_once_and_outlives_its_containers(harness: &Harness) {
    let name = harness.volume("made");
    let with = |target: &str| CreateContainer {
        mounts: vec![mount(&name, target, Access::Shared)],
        ..harness.container(Behaviour::Serves)
    };
    let (first, second) = (with("/data"), with("/else"));
    let mut ids = Vec::new();
    for asked in [&first, &first, &second] {
        ids.push(harness.runtime.create(harness.log, asked).await.expect("a container"));
    }
    let made = Volume { name: name.clone(), workload: first.workload, project: "contract".to_owned() };
    assert_eq!(harness.runtime.volumes(harness.log).await, Ok(vec![made.clone()]));
    let other_log = LogId(harness.log.0.map(|byte| byte ^ 1));
    assert_eq!(harness.runtime.volumes(other_log).await, Ok(vec![]));
    let in_use = harness.runtime.remove_volume(harness.log, &name).await;
    assert!(matches!(in_use, Err(RuntimeError::Refused(_))), "{in_use:?}");

    harness.runtime.start(ids[2]).await.expect("a start");
    harness.until(ids[2], |seen| seen.phase == Phase::Running).await;
    for id in &ids[1..] {
        harness.runtime.remove(*id).await.expect("a removal");
    }
    assert_eq!(harness.runtime.volumes(harness.log).await, Ok(vec![made]));
    let not_ours = harness.runtime.remove_volume(other_log, &name).await;
    assert!(matches!(not_ours, Err(RuntimeError::Refused(_))), "{not_ours:?}");
    for _ in 0..2 {
        assert_eq!(harness.runtime.remove_volume(harness.log, &name).await, Ok(()));
    }
    assert_eq!(harness.runtime.volumes(harness.log).await, Ok(vec![]));
}

pub(crate) async fn a_volume_of_somebody_else_is_used_and_kept(harness: &Harness) {
    let name = harness.volume("foreign");
    harness.foreign_volume(&name).await;
    let asked = CreateContainer {
        mounts: vec![mount(&name, "/data", Access::Exclusive)],
        ..harness.container(Behaviour::Serves)
    };
    let id = harness.runtime.create(harness.log, &asked).await.expect("a container");
    let mounts = harness.seen(id).await.mounts;
    harness.runtime.remove(id).await.expect("a removal");
    let listed = harness.runtime.volumes(harness.log).await;
    let removed = harness.runtime.remove_volume(harness.log, &name).await;
    harness.drop_foreign_volume(&name).await;
    assert_eq!(mounts.len(), 1);
    assert_eq!(listed, Ok(vec![]));
    assert!(matches!(removed, Err(RuntimeError::Refused(_))), "{removed:?}");
}
