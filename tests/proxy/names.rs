//! Names on gateways: loopback addresses stand for gateways, and for the resolvers of the host.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use cutover::adapters::router::Router;
use cutover_proxy::wire::{Names, RefusedCode, Target};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{PATIENCE, Plane, target, until};

const SHOP: Ipv4Addr = Ipv4Addr::new(127, 0, 10, 1);
const BLOG: Ipv4Addr = Ipv4Addr::new(127, 0, 20, 1);
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 30, 1);

/// A port that is free for both kinds of sockets on every loopback address, at this moment.
pub(crate) fn free_port() -> u16 {
    let found = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    if std::net::UdpSocket::bind(("0.0.0.0", found)).is_ok() { found } else { free_port() }
}

async fn plane(resolvers: &str) -> (Plane, u16) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let file = folder.path().join("resolv.conf");
    std::fs::write(&file, resolvers).unwrap();
    let port = free_port();
    let plane = Plane::on(folder, |config| {
        config.name_port = port;
        config.resolvers = file;
    })
    .await;
    (plane, port)
}

pub(crate) fn names(gateway: Ipv4Addr, names: &[&str]) -> Option<Names> {
    Some(Names { gateway, prefix: 24, names: names.iter().map(|name| (*name).to_owned()).collect() })
}

pub(crate) fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

/// Somebody on the network of a gateway.
fn neighbour(gateway: Ipv4Addr) -> SocketAddr {
    let [a, b, c, _] = gateway.octets();
    SocketAddr::from(([a, b, c, 9], 0))
}

/// Asks by datagram from an address of the gateway's network, again when nobody listens yet.
async fn ask(gateway: Ipv4Addr, port: u16, name: &str) -> Message {
    let socket = UdpSocket::bind(neighbour(gateway)).await.unwrap();
    socket.connect((gateway, port)).await.unwrap();
    let query = query(name, RecordType::A);
    let answer = std::cell::RefCell::new(None);
    until("somebody listens", || async {
        // That nobody does is told at the next call.
        let mut reply = [0; 4096];
        if socket.send(&query).await.is_ok()
            && let Ok(length) = timeout(PATIENCE, socket.recv(&mut reply)).await.expect("an answer in time")
        {
            *answer.borrow_mut() = Some(Message::from_vec(&reply[..length]).unwrap());
        }
        answer.borrow().is_some()
    })
    .await;
    answer.into_inner().unwrap()
}

async fn ask_on_a_connection(gateway: Ipv4Addr, port: u16, name: &str) -> Message {
    let query = query(name, RecordType::A);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(neighbour(gateway)).unwrap();
    let mut stream = socket.connect((gateway, port).into()).await.unwrap();
    stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

pub(crate) fn addresses(message: &Message) -> Vec<String> {
    let address = |record: &Record| match &record.data {
        RData::A(address) => Some(address.0.to_string()),
        _ => None,
    };
    message.answers.iter().filter_map(address).collect()
}

fn at(unit: &str, address: [u8; 4]) -> Target {
    target(unit, SocketAddr::from((address, 80)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_leads_to_the_targets_and_moves_with_the_write() {
    let (plane, port) = plane("").await;
    let mut put = plane.write(&[]);
    put.names = names(SHOP, &["web"]);
    put.targets = vec![at("u1", [10, 9, 0, 1])];
    plane.put(&put).await;
    let answer = ask(SHOP, port, "web.").await;
    assert!(answer.metadata.authoritative);
    assert_eq!(addresses(&answer), ["10.9.0.1"]);
    assert_eq!(addresses(&ask_on_a_connection(SHOP, port, "WeB.").await), ["10.9.0.1"]);
    for swap in 2..30_u8 {
        let mut put = plane.write(&[]);
        put.names = names(SHOP, &["web"]);
        put.targets = vec![at(&format!("u{swap}"), [10, 9, 0, swap])];
        plane.put(&put).await;
        assert_eq!(addresses(&ask(SHOP, port, "WEB.").await), [format!("10.9.0.{swap}")], "in force on return");
    }
    let mut two = plane.write(&[]);
    two.names = names(SHOP, &["web"]);
    two.targets = vec![at("u1", [10, 9, 0, 1]), at("u2", [10, 9, 0, 2])];
    plane.put(&two).await;
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let all = addresses(&ask(SHOP, port, "web.").await);
        assert_eq!(all.len(), 2);
        first.insert(all[0].clone());
    }
    assert_eq!(first.len(), 2, "each comes first in its turn");
    let mut empty = plane.write(&[]);
    empty.names = names(SHOP, &["web"]);
    plane.put(&empty).await;
    let answer = ask(SHOP, port, "web.").await;
    assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0));
    assert_eq!(answer.authorities[0].ttl, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_one_project_is_unknown_in_another_and_outside() {
    let (plane, port) = plane("").await;
    let mut shop = plane.write(&[]);
    shop.names = names(SHOP, &["web", "db"]);
    shop.targets = vec![at("u1", [10, 9, 0, 1])];
    plane.put(&shop).await;
    let mut blog = plane.write(&[]);
    (blog.workload, blog.routes) = ("wl_blog".into(), vec![]);
    blog.names = names(BLOG, &["web"]);
    blog.targets = vec![at("u2", [10, 9, 0, 2])];
    plane.put(&blog).await;
    assert_eq!(addresses(&ask(SHOP, port, "web.").await), ["10.9.0.1"]);
    assert_eq!(addresses(&ask(BLOG, port, "web.").await), ["10.9.0.2"]);
    assert_eq!(ask(BLOG, port, "db.").await.metadata.response_code, ResponseCode::NXDomain);
    // From another network the gateway does not answer at all; the question after it is.
    let stranger = UdpSocket::bind((Ipv4Addr::new(127, 0, 20, 9), 0)).await.unwrap();
    stranger.send_to(&query("web.", RecordType::A), (SHOP, port)).await.unwrap();
    ask(SHOP, port, "web.").await;
    assert_eq!(stranger.try_recv(&mut [0; 512]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let metrics = plane.router.metrics().await.unwrap();
    assert!(metrics.contains("cutover_proxy_names_refused_total 1\n"), "{metrics}");
    let mut thief = plane.write(&[]);
    (thief.workload, thief.routes) = ("wl_thief".into(), vec![]);
    thief.names = names(SHOP, &["db"]);
    assert_eq!(plane.refusal(&thief).await, RefusedCode::Claimed);
    for wrong in ["Web", "", "a..b", "web.", "a b"] {
        thief.names = names(SHOP, &[wrong]);
        assert_eq!(plane.refusal(&thief).await, RefusedCode::Invalid, "{wrong:?}");
    }
    thief.names = Some(Names { gateway: SHOP, prefix: 0, names: vec![] });
    assert_eq!(plane.refusal(&thief).await, RefusedCode::Invalid);
}

/// A resolver of the host: every name is 10.8.8.8, and names that begin with `big` only fit into a connection.
async fn resolver(port: u16) -> JoinSet<()> {
    let udp = UdpSocket::bind((RESOLVER, port)).await.unwrap();
    let tcp = TcpListener::bind((RESOLVER, port)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, peer) = udp.recv_from(&mut buffer).await.unwrap();
            let mut reply = resolved(&buffer[..length]);
            if reply.queries[0].name().to_ascii().starts_with("big") {
                reply.answers.clear();
                reply.metadata.truncation = true;
            }
            udp.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let reply = resolved(&query).to_vec().unwrap();
            stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    tasks
}

fn resolved(query: &[u8]) -> Message {
    let query = Message::from_vec(query).unwrap();
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    let name = query.queries[0].name().clone();
    reply.add_query(query.queries[0].clone());
    reply.add_answer(Record::from_rdata(name, 300, RData::A(A::new(10, 8, 8, 8))));
    reply
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_name_is_asked_of_the_hosts_resolvers() {
    let file = format!("nameserver {SHOP}\nnameserver 127.0.30.77\nnameserver {RESOLVER}\n");
    let (plane, port) = plane(&file).await;
    let _resolver = resolver(port).await;
    let mut put = plane.write(&[]);
    put.names = names(SHOP, &["web"]);
    plane.put(&put).await;
    // The first is our own and the second is not there: neither keeps the third from being asked.
    let answer = ask(SHOP, port, "example.com.").await;
    assert_eq!((addresses(&answer), answer.answers[0].ttl), (vec!["10.8.8.8".to_owned()], 300));
    assert_eq!(addresses(&ask(SHOP, port, "nas.").await), ["10.8.8.8"]);
    assert!(ask(SHOP, port, "big.example.com.").await.metadata.truncation);
    assert_eq!(addresses(&ask_on_a_connection(SHOP, port, "big.example.com.").await), ["10.8.8.8"]);
    assert!(ask(SHOP, port, "web.").await.answers.is_empty(), "a name of the table never leaves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_resolver_a_name_with_a_dot_fails_and_one_without_is_denied() {
    let (plane, port) = plane("nameserver 127.0.30.77\n").await;
    let mut put = plane.write(&[]);
    put.names = names(SHOP, &["web"]);
    plane.put(&put).await;
    assert_eq!(ask(SHOP, port, "nas.").await.metadata.response_code, ResponseCode::ServFail);
    let (bare, port) = self::plane("# nobody\n").await;
    let mut put = bare.write(&[]);
    put.names = names(BLOG, &["web"]);
    bare.put(&put).await;
    assert_eq!(ask(BLOG, port, "nas.").await.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(ask(BLOG, port, "example.com.").await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_told_and_only_those_names_are_missing() {
    let (plane, port) = plane("").await;
    let other = UdpSocket::bind((SHOP, port)).await.unwrap();
    let mut shop = plane.write(&[]);
    shop.names = names(SHOP, &["web"]);
    plane.put(&shop).await;
    let mut blog = plane.write(&[]);
    (blog.workload, blog.routes) = ("wl_blog".into(), vec![]);
    blog.names = names(BLOG, &["web"]);
    blog.targets = vec![at("u2", [10, 9, 0, 2])];
    plane.put(&blog).await;
    assert_eq!(addresses(&ask(BLOG, port, "web.").await), ["10.9.0.2"]);
    until("both are told", || async { plane.table().await.gateways.len() == 2 }).await;
    let table = plane.table().await;
    assert_eq!((table.gateways[0].address, &table.gateways[1].problem), (SHOP, &None));
    let problem = table.gateways[0].problem.clone().unwrap();
    assert!(problem.contains(&format!("port {port} is taken by")), "{problem}");
    assert!(problem.contains(&format!("(pid {})", std::process::id())), "{problem}");
    drop(other);
    until("it is tried again", || async { plane.table().await.gateways.iter().all(|it| it.problem.is_none()) }).await;
    ask(SHOP, port, "web.").await;
    // Without names on it a gateway is let go of.
    let mut gone = plane.write(&[]);
    gone.names = None;
    plane.put(&gone).await;
    until("it is left", || async { plane.table().await.gateways.len() == 1 }).await;
    until("its port is free", || async { std::net::UdpSocket::bind((SHOP, port)).is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_kept_over_a_restart_and_a_fence() {
    let (plane, port) = plane("").await;
    let mut put = plane.write(&[]);
    put.names = names(SHOP, &["web"]);
    put.targets = vec![at("u1", [10, 9, 0, 1])];
    plane.put(&put).await;
    plane.router.fence(&plane.fence(7)).await.unwrap();
    ask(SHOP, port, "web.").await;
    plane.serving.stop().await;
    until("its sockets are closed", || async { std::net::UdpSocket::bind((SHOP, port)).is_ok() }).await;
    let again = Plane::on(Arc::clone(&plane.folder), |config| config.name_port = port).await;
    assert_eq!(addresses(&ask(SHOP, port, "web.").await), ["10.9.0.1"]);
    assert_eq!(again.table().await.entries[0].names, put.names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_target_that_was_answered_drains_until_nobody_remembers_it() {
    let (plane, port) = plane("").await;
    let mut put = plane.write(&[]);
    put.names = names(SHOP, &["web"]);
    put.targets = vec![at("u1", [10, 9, 0, 1])];
    plane.put(&put).await;
    ask(SHOP, port, "web.").await;
    let answered = tokio::time::Instant::now();
    let mut next = plane.write(&[]);
    next.names = names(SHOP, &["web"]);
    next.targets = vec![at("u2", [10, 9, 0, 2])];
    plane.put(&next).await;
    assert!(!plane.table().await.entries[0].draining[0].done);
    until("it is forgotten", || async { plane.table().await.entries[0].draining[0].done }).await;
    let lasted = answered.elapsed().as_millis();
    assert!((1_900..6_000).contains(&lasted), "{lasted} ms");
    // Nobody asked for the second: it does not wait.
    let mut last = plane.write(&[]);
    last.names = names(SHOP, &["web"]);
    plane.put(&last).await;
    let table = plane.table().await;
    let drain = table.entries[0].draining.iter().find(|drain| drain.unit == "u2").unwrap();
    assert!(drain.done);
}
