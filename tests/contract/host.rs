//! The contract of `Host`, held by this host and by its twin.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use cutover::adapters::host::{Bounds, FolderRefused, Host, MemoryHost, RealHost, Taken};
use cutover_events::workload::{PublishedPort, Transport};

fn port(at: SocketAddr, transport: Transport) -> PublishedPort {
    PublishedPort { address: at.ip(), host: at.port(), container: 80, transport }
}

/// A port that somebody has is taken on its address and on all addresses, and free for the other transport.
fn a_port_is_taken_or_free(host: &dyn Host, held: PublishedPort) {
    assert!(matches!(host.taken(&held), Some(Taken::By(who)) if who.contains("pid")), "{:?}", host.taken(&held));
    let everywhere = PublishedPort { address: Ipv4Addr::UNSPECIFIED.into(), ..held };
    assert!(matches!(host.taken(&everywhere), Some(Taken::By(_))));
    let elsewhere = PublishedPort { address: Ipv4Addr::new(127, 0, 0, 9).into(), ..held };
    assert_eq!(host.taken(&elsewhere), None);
    let other = if held.transport == Transport::Tcp { Transport::Udp } else { Transport::Tcp };
    assert_eq!(host.taken(&PublishedPort { transport: other, ..held }), None);
}

#[test]
fn ports_of_this_host() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let held = port(tcp.local_addr().expect("its address"), Transport::Tcp);
    let host = RealHost::new(Bounds::default());
    a_port_is_taken_or_free(&host, held);
    let us = format!("(pid {})", std::process::id());
    assert!(matches!(host.taken(&held), Some(Taken::By(who)) if who.ends_with(&us)));
    drop(tcp);
    assert_eq!(host.taken(&held), None);

    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    a_port_is_taken_or_free(&host, port(udp.local_addr().expect("its address"), Transport::Udp));
    let foreign = port(SocketAddr::from(([192, 0, 2, 1], 80)), Transport::Tcp);
    assert_eq!(host.taken(&PublishedPort { host: 47_125, ..foreign }), Some(Taken::NoSuchAddress));
}

#[test]
fn ports_of_the_twin() {
    let host = MemoryHost::default();
    for transport in [Transport::Tcp, Transport::Udp] {
        let held = port(SocketAddr::from(([127, 0, 0, 1], 5000 + transport as u16)), transport);
        assert_eq!(host.taken(&held), None);
        host.take(held, Taken::By("nginx (pid 7)".to_owned()));
        a_port_is_taken_or_free(&host, held);
    }
}

/// A folder below an allowed one is found where it is; others are refused, and why is told.
fn folders_are_judged(host: &dyn Host, at: impl Fn(&str) -> PathBuf) {
    assert_eq!(host.folder(&at("data/x")), Ok(at("data/x")));
    assert_eq!(host.folder(&at("data/inside")), Ok(at("data/x")));
    let outside = host.folder(&at("etc"));
    assert!(matches!(&outside, Err(why @ FolderRefused::Outside { .. }) if why.to_string().contains("[limits] bind")));
    assert!(matches!(host.folder(&at("data/outside")), Err(FolderRefused::LeadsOut { .. })));
    assert!(matches!(host.folder(&at("data/none")), Err(FolderRefused::Missing { .. })));
    assert!(matches!(host.folder(&at("data/kept")), Err(FolderRefused::Kept { .. })));
}

fn bounds(at: impl Fn(&str) -> PathBuf) -> Bounds {
    let kept = vec![at("data/kept/docker.sock")];
    Bounds { allowed: vec![at("data")], sources: vec![at("data/own")], kept }
}

#[test]
fn folders_of_this_host() {
    let scratch = tempfile::tempdir().expect("a folder");
    let root = scratch.path().canonicalize().expect("its real path");
    let at = |name: &str| root.join(name);
    for folder in ["data/x", "data/kept", "etc"] {
        std::fs::create_dir_all(at(folder)).expect("a folder");
    }
    std::fs::write(at("data/kept/docker.sock"), "").expect("a file");
    std::os::unix::fs::symlink(at("data/x"), at("data/inside")).expect("a link");
    std::os::unix::fs::symlink(at("etc"), at("data/outside")).expect("a link");
    folders_are_judged(&RealHost::new(bounds(at)), at);
}

#[test]
fn folders_of_the_twin() {
    let at = |name: &str| Path::new("/srv").join(name);
    let host = MemoryHost::new(bounds(at));
    for (path, real) in [
        ("data", "data"),
        ("data/x", "data/x"),
        ("data/kept", "data/kept"),
        ("data/inside", "data/x"),
        ("data/outside", "etc"),
    ] {
        host.lead(&at(path), &at(real));
    }
    folders_are_judged(&host, at);
}
