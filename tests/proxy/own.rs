//! What the proxy says and refuses by itself: its pages, its access log, its limits.

use std::time::Duration;

use crate::support::{Origin, Plane};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_speak_html_or_json() {
    let plane = Plane::with(|config| config.hold_ms = 10).await;
    let page = plane.get("/").await;
    assert!(page.contains("content-type: text/html") && page.contains("<h1>Nothing here</h1>"), "{page}");
    let json = "GET / HTTP/1.1\r\nHost: app.test\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
    let answer = plane.ask(json).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert!(head.contains("application/problem+json") && body["status"] == 404, "{answer}");

    let mut put = plane.write(&[]);
    put.routes[0].port = 80;
    plane.put(&put).await;
    let unavailable = plane.get("/").await.to_ascii_lowercase();
    assert!(unavailable.starts_with("http/1.1 503") && unavailable.contains("retry-after: 5"), "{unavailable}");
    plane.route(&[("u1", "127.0.0.1:1".parse().unwrap())]).await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 502"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_does_not_answer_is_504() {
    let plane = Plane::with(|config| config.answer_timeout_ms = 50).await;
    let origin = Origin::raw(|mut raw, _| async move { drop(raw.rest().await) }).await;
    plane.route(&[("u1", origin.address)]).await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 504"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_tells_each_request() {
    let plane = Plane::new().await;
    let origin = Origin::named("here").await;
    plane.route(&[("u1", origin.address)]).await;
    let request = "POST /x?y='z' HTTP/1.1\r\nHost: app.test\r\nUser-Agent: a\"b\\c\r\nContent-Length: 3\r\n\
                   Connection: close\r\n\r\nabc";
    assert!(plane.ask(request).await.contains("200 OK"));
    let line = plane.access_log(1).await.remove(0);
    for (key, value) in [
        ("method", "POST"),
        ("host", "app.test"),
        ("uri", "/x?y='z'"),
        ("user_agent", "a\"b\\c"),
        ("workload", "default/app"),
        ("unit", "u1"),
        ("client", "127.0.0.1"),
        ("protocol", "HTTP/1.1"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!((&line["status"], &line["sent"], &line["received"]), (&200.into(), &4.into(), &3.into()), "{line}");
    let metrics = plane.router.metrics().await.unwrap();
    let counted = "cutover_proxy_requests_total{workload=\"default/app\",unit=\"u1\",class=\"2xx\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold() {
    let plane = Plane::with(|config| {
        config.max_body = Some(10);
        config.head_timeout_ms = 100;
        config.client_idle_ms = 300;
        config.client_stall_ms = 300;
    })
    .await;
    let origin = Origin::echo().await;
    plane.route(&[("u1", origin.address)]).await;
    let request = |fields: &str| format!("POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n{fields}");
    let long = plane.ask(&request("Content-Length: 11\r\n\r\n01234567890")).await;
    assert!(long.starts_with("HTTP/1.1 413"), "{long}");
    let chunked = plane.ask(&request("Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n")).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    let many: String = (0..120).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(plane.ask(&request(&format!("{many}\r\n"))).await.starts_with("HTTP/1.1 431"));
    let wide = plane.ask(&request(&format!("X: {}\r\n\r\n", "y".repeat(80_000)))).await;
    assert!(wide.is_empty() || wide.starts_with("HTTP/1.1 431"), "{wide}");

    let mut silent = plane.connect().await;
    let mut slow = plane.connect().await;
    slow.send("GET / HTTP/1.1\r\nHo").await;
    let mut idle = plane.connect().await;
    idle.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    idle.expect("x-request-id").await;
    let mut stalled = plane.connect().await;
    stalled.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nab").await;
    for client in [&mut silent, &mut slow, &mut stalled] {
        assert_eq!(client.rest().await, "");
    }
    idle.rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_wait() {
    let plane = Plane::with(|config| config.max_connections = 1).await;
    let origin = Origin::named("here").await;
    plane.route(&[("u1", origin.address)]).await;
    let request = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut first = plane.connect().await;
    first.send(request).await;
    first.expect("here").await;
    let mut second = plane.connect().await;
    second.send(request).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.expect("here")).await;
    assert!(early.is_err());
    drop(first);
    second.expect("here").await;
}
