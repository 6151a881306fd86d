//! What is tried again, and what never: an origin that reads a second request on a connection and closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Origin, Plane, ok, read_request};

/// Answers the first request of each connection; the second is read, counted, and the connection closed.
async fn closing(seen: &Arc<AtomicUsize>) -> Origin {
    let seen = Arc::clone(seen);
    Origin::raw(move |mut raw, _| {
        let seen = Arc::clone(&seen);
        async move {
            read_request(&mut raw).await.unwrap();
            raw.send(ok("first")).await;
            if read_request(&mut raw).await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_harmless_is_sent_twice() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n", "200"),
        ("HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n", "200"),
        ("DELETE / HTTP/1.1\r\nHost: app.test\r\n\r\n", "200"),
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", "502"),
        ("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc", "502"),
        ("PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\n\r\nabc", "502"),
        ("PATCH / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n", "502"),
    ] {
        let plane = Plane::new().await;
        let seen = Arc::new(AtomicUsize::new(0));
        let origin = closing(&seen).await;
        plane.route(&[("u1", origin.address)]).await;
        let mut client = plane.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
        client.expect("first").await;
        client.send(request).await;
        let head = client.expect("\r\n\r\n").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {head}");
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{request}");
        assert_eq!(origin.connections(), if status == "200" { 2 } else { 1 }, "{request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begun_answer_is_never_asked_for_again() {
    let plane = Plane::new().await;
    let origin = Origin::raw(|mut raw, _| async move {
        read_request(&mut raw).await.unwrap();
        raw.send("HTTP/1.1 20").await;
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 502"));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_connection_that_dies_is_tried_again_for_a_get() {
    let plane = Plane::new().await;
    let origin = Origin::raw(|mut raw, n| async move {
        read_request(&mut raw).await.unwrap();
        if n > 0 {
            raw.send(ok("second")).await;
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    assert!(plane.get("/").await.ends_with("second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_the_origin_closed_while_idle_is_not_used() {
    let plane = Plane::new().await;
    let (closed, wait) = tokio::sync::watch::channel(0);
    let origin = Origin::raw(move |mut raw, n| {
        let closed = closed.clone();
        async move {
            read_request(&mut raw).await.unwrap();
            raw.send(ok("once")).await;
            drop(raw);
            closed.send(n + 1).unwrap();
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut wait = wait;
    let mut client = plane.connect().await;
    for n in 1..=20 {
        // A POST is never sent twice: if the closed connection were used, this would be 502.
        client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\nx").await;
        client.expect("once").await;
        wait.wait_for(|closed| *closed >= n).await.unwrap();
        // The end must also have reached the proxy's socket; on loopback it is there when close has returned.
    }
    assert_eq!(origin.connections(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_limit_that_the_origin_names_is_kept_below() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|_, _| {
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\nContent-Length: 4\r\n\r\nhere".into()
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\n\r\nx").await;
        client.expect("here").await;
    }
    assert_eq!(origin.connections(), 3, "one second less one is never");
}
