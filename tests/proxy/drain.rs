//! The swap: what is in flight ends, what does not end is cut and counted, nothing fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cutover_proxy::wire::Drain;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Origin, Plane, Raw, ok, read_request, until};

async fn drains(plane: &Plane) -> Vec<Drain> {
    plane.table().await.entries[0].draining.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_in_flight_until_its_last_byte() {
    let plane = Plane::new().await;
    let (go, wait) = tokio::sync::watch::channel(false);
    let blue = Origin::raw(move |mut raw, _| {
        let mut wait = wait.clone();
        async move {
            read_request(&mut raw).await.unwrap();
            raw.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhead").await;
            wait.wait_for(|go| *go).await.unwrap();
            raw.send("tail").await;
        }
    })
    .await;
    let green = Origin::named("green").await;
    plane.route(&[("blue", blue.address)]).await;
    let mut client = plane.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.expect("head").await;
    plane.route(&[("green", green.address)]).await;
    assert!(plane.get("/").await.ends_with("green"));
    let open = drains(&plane).await;
    assert_eq!((open[0].unit.as_str(), open[0].in_flight, open[0].done), ("blue", 1, false));
    go.send(true).unwrap();
    client.expect("tail").await;
    until("blue is drained", || async { drains(&plane).await[0].done }).await;
    assert_eq!(drains(&plane).await[0].cut_requests, 0);
    // The same connection goes on, to green; and the next write forgets the drain that is over.
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.expect("green").await;
    plane.route(&[("green", green.address)]).await;
    assert!(drains(&plane).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_at_the_deadline_is_cut_and_counted_by_kind() {
    let plane = Plane::new().await;
    let blue = Origin::raw(|mut raw, _| async move {
        let (head, _) = read_request(&mut raw).await.unwrap();
        let answer = match head.split(' ').nth(1).unwrap() {
            "/ws" => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nopen",
            "/sse" => "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99\r\n\r\nopen",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nopen",
        };
        raw.send(answer).await;
        raw.rest().await;
    })
    .await;
    plane.route(&[("blue", blue.address)]).await;
    let mut clients = Vec::new();
    for path in ["/ws", "/ws", "/sse", "/slow"] {
        let mut client = plane.connect().await;
        let upgrade = if path == "/ws" { "Connection: upgrade\r\nUpgrade: websocket\r\n" } else { "" };
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{upgrade}\r\n")).await;
        client.expect("open").await;
        clients.push(client);
    }
    let green = Origin::named("green").await;
    let mut put = plane.write(&[("green", green.address)]);
    put.policy.drain_ms = 50;
    plane.put(&put).await;
    for mut client in clients {
        assert_eq!(client.rest().await, "");
    }
    until("blue is drained", || async { drains(&plane).await[0].done }).await;
    let drain = drains(&plane).await.remove(0);
    assert_eq!((drain.cut_requests, drain.cut_upgraded, drain.cut_streams), (1, 2, 1), "{drain:?}");
    assert!(plane.get("/").await.ends_with("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut_too() {
    let plane = Plane::new().await;
    let blue = Origin::raw(|mut raw, _| async move {
        read_request(&mut raw).await.unwrap();
        raw.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        let part = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while raw.stream.try_write(b"").is_ok() {
            raw.send(&part).await;
        }
    })
    .await;
    plane.route(&[("blue", blue.address)]).await;
    let mut client = plane.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.expect("xxxx").await;
    let mut put = plane.write(&[]);
    put.routes[0].port = 80;
    put.policy.drain_ms = 20;
    plane.put(&put).await;
    until("blue is drained", || async { drains(&plane).await[0].done }).await;
    assert_eq!(drains(&plane).await[0].cut_requests, 1);
}

/// Answers each request; `/wait` when it is let.
async fn blue(mut raw: Raw, mut wait: tokio::sync::watch::Receiver<bool>) {
    while let Some((head, _)) = read_request(&mut raw).await {
        let waits = head.contains("/wait");
        wait.wait_for(|go| *go || !waits).await.unwrap();
        raw.send(ok("blue")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_comes_back_is_a_new_object() {
    let plane = Plane::new().await;
    let (go, wait) = tokio::sync::watch::channel(false);
    let blue = Origin::raw(move |raw, _| blue(raw, wait.clone())).await;
    let green = Origin::named("green").await;
    plane.route(&[("blue", blue.address)]).await;
    let mut client = plane.connect().await;
    client.send("GET /wait HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    until("it is in flight", || async { plane.table().await.entries[0].targets[0].in_flight == 1 }).await;
    plane.route(&[("green", green.address)]).await;
    plane.route(&[("blue", blue.address)]).await;
    let entry = plane.table().await.entries.remove(0);
    assert_eq!((entry.targets[0].unit.as_str(), entry.targets[0].in_flight), ("blue", 0));
    let former = entry.draining.iter().find(|drain| drain.unit == "blue").unwrap();
    assert_eq!((former.in_flight, former.done), (1, false));
    assert!(plane.get("/").await.ends_with("blue"));
    go.send(true).unwrap();
    client.expect("blue").await;
    until("the former is drained", || async { drains(&plane).await.iter().all(|drain| drain.done) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_target_requests_wait_for_one() {
    let plane = Arc::new(Plane::new().await);
    let green = Origin::named("green").await;
    let mut none = plane.write(&[]);
    none.routes[0].port = green.address.port();
    plane.put(&none).await;
    let mut waiting = JoinSet::new();
    for _ in 0..5 {
        let plane = Arc::clone(&plane);
        waiting.spawn(async move { plane.get("/").await });
    }
    until("all wait", || async {
        plane.router.metrics().await.unwrap().contains("held_total{workload=\"default/app\"} 5")
    })
    .await;
    plane.route(&[("green", green.address)]).await;
    while let Some(answer) = waiting.join_next().await {
        assert!(answer.unwrap().ends_with("green"));
    }
}

async fn answered(mut raw: Raw) {
    while read_request(&mut raw).await.is_some() {
        raw.send(ok("narrow")).await;
    }
}

/// An origin with a short queue, which accepts a connection each millisecond; the address that it listens on.
fn narrow(tasks: &mut JoinSet<()>) -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = socket.listen(40).unwrap();
    tasks.spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        let mut open = JoinSet::new();
        loop {
            pace.tick().await;
            open.spawn(answered(Raw::of(listener.accept().await.unwrap().0)));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_held_does_not_overrun_the_queue_of_what_comes() {
    let plane = Arc::new(Plane::new().await);
    let mut origin = JoinSet::new();
    let address = narrow(&mut origin);
    let mut none = plane.write(&[]);
    none.routes[0].port = address.port();
    plane.put(&none).await;
    let mut waiting = JoinSet::new();
    for _ in 0..150 {
        let plane = Arc::clone(&plane);
        waiting.spawn(async move { plane.get("/").await });
    }
    let all = "held_total{workload=\"default/app\"} 150";
    until("all wait", || async { plane.router.metrics().await.unwrap().contains(all) }).await;
    let came = Instant::now();
    plane.route(&[("narrow", address)]).await;
    while let Some(answer) = waiting.join_next().await {
        assert!(answer.unwrap().ends_with("narrow"));
    }
    // What the kernel drops, it tries again after a second.
    assert!(came.elapsed() < Duration::from_secs(1), "{:?}", came.elapsed());
}

/// One kept-alive client in a closed loop, each third posts; each answer must be whole.
async fn load(plane: Arc<Plane>, number: usize, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    let mut client = Raw::connect(plane.address).await;
    let body = "b".repeat(500);
    while !stop.load(Ordering::Relaxed) {
        let request = if number.is_multiple_of(3) {
            format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 500\r\n\r\n{body}")
        } else {
            "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n".to_owned()
        };
        client.send(request).await;
        let head = client.expect("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        client.expect("<end>").await;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_nothing_and_no_request_reaches_a_drained_target() {
    let plane = Arc::new(Plane::new().await);
    let dead = Arc::new(std::array::from_fn::<_, 40, _>(|_| AtomicBool::new(false)));
    let late = Arc::new(AtomicUsize::new(0));
    let origin = |n: usize| {
        let (dead, late) = (Arc::clone(&dead), Arc::clone(&late));
        Origin::answering(move |_, body| {
            late.fetch_add(usize::from(dead[n].load(Ordering::SeqCst)), Ordering::SeqCst);
            ok(&format!("{}<end>", body.len()))
        })
    };
    let mut serving = origin(0).await;
    plane.route(&[("u0", serving.address)]).await;
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for n in 0..8 {
        clients.spawn(load(Arc::clone(&plane), n, Arc::clone(&stop), Arc::clone(&answered)));
    }
    for n in 1..40 {
        let green = origin(n).await;
        plane.route(&[(&format!("u{n}"), green.address)]).await;
        until("blue is drained", || async { drains(&plane).await.iter().all(|drain| drain.done) }).await;
        dead[n - 1].store(true, Ordering::SeqCst);
        // Blue is gone at once: its listener and its connections.
        drop(std::mem::replace(&mut serving, green));
    }
    let enough = answered.load(Ordering::Relaxed) + 50;
    until("green answers", || async { answered.load(Ordering::Relaxed) >= enough }).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!(late.load(Ordering::SeqCst), 0);
}
