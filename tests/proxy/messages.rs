//! HTTP as raw bytes: each row of the correctness table, and what else a proxy must not get wrong.

use tokio::io::AsyncWriteExt;

use crate::support::{Origin, Plane, ok, read_request, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_one_hop_stay_on_it_both_ways() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| {
        let body = head.to_ascii_lowercase();
        format!(
            "HTTP/1.1 200 OK\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=9\r\nX-Outer: 1\r\n\
             Proxy-Authenticate: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane
        .ask(
            "GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nX-Stays: 1\r\nTE: gzip\r\n\
             Proxy-Connection: x\r\nUpgrade: h2c\r\n\r\n",
        )
        .await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    for gone in ["x-gone", "\r\nte:", "proxy-connection", "upgrade", "connection: close"] {
        assert!(!seen.contains(gone), "{gone} passed: {seen}");
    }
    assert!(seen.contains("x-stays: 1"));
    let head = head.to_ascii_lowercase();
    for gone in ["x-inner", "keep-alive", "proxy-authenticate"] {
        assert!(!head.contains(gone), "{gone} passed: {head}");
    }
    assert!(head.contains("x-outer: 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarding_fields_are_ours_unless_the_peer_is_listed() {
    let claims = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\n\
                  Forwarded: for=9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\nX-Request-Id: mine-1\r\n";
    let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n{claims}\r\n");
    let origin = Origin::echo().await;
    let plane = Plane::new().await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane.ask(&request).await;
    let (head, seen) = answer.split_once("\r\n\r\n").unwrap();
    assert!(seen.contains("x-forwarded-for: 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains("x-forwarded-proto: http\r\n") && seen.contains("x-forwarded-host: app.test\r\n"), "{seen}");
    assert!(seen.contains("forwarded: for=127.0.0.1;host=\"app.test\";proto=http\r\n"), "{seen}");
    assert!(!seen.contains("9.9.9.9") && !seen.contains("evil"), "{seen}");
    assert!(seen.contains("x-request-id: mine-1\r\n") && head.contains("x-request-id: mine-1"), "{answer}");

    let listed = vec![cutover_proxy::config::Network::try_from("127.0.0.0/8".to_owned()).unwrap()];
    let plane = Plane::with(|config| config.trusted_proxies = listed).await;
    plane.route(&[("u1", origin.address)]).await;
    let seen = plane.ask(&request).await;
    assert!(seen.contains("x-forwarded-for: 9.9.9.9, 127.0.0.1\r\n"), "{seen}");
    assert!(
        seen.contains("x-forwarded-proto: https\r\n") && seen.contains("x-forwarded-host: evil.test\r\n"),
        "{seen}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_chunk_of_a_slow_answer_comes_at_once() {
    let plane = Plane::new().await;
    let (go, wait) = tokio::sync::watch::channel(false);
    let origin = Origin::raw(move |mut raw, _| {
        let mut wait = wait.clone();
        async move {
            read_request(&mut raw).await.unwrap();
            raw.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            wait.wait_for(|go| *go).await.unwrap();
            raw.send("4\r\nlast\r\n0\r\n\r\n").await;
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.expect("5\r\nfirst\r\n").await;
    go.send(true).unwrap();
    client.expect("4\r\nlast\r\n0\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_bodies_stream_at_once() {
    let plane = Plane::new().await;
    // Answers each chunk of the request as it comes.
    let origin = Origin::raw(|mut raw, _| async move {
        raw.expect("\r\n\r\n").await;
        raw.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for part in ["one", "two", "six"] {
            raw.expect(part).await;
            raw.send(format!("3\r\n{part}\r\n")).await;
        }
        raw.expect("0\r\n\r\n").await;
        raw.send("0\r\n\r\n").await;
        while read_request(&mut raw).await.is_some() {
            raw.send(ok("again")).await;
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for part in ["one", "two", "six"] {
        client.send(format!("3\r\n{part}\r\n")).await;
        client.expect(&format!("3\r\n{part}\r\n")).await;
    }
    client.send("0\r\n\r\n").await;
    client.expect("0\r\n\r\n").await;
    // Both connections can be used again.
    until("the upstream connection is free", || async { plane.table().await.entries[0].targets[0].in_flight == 0 })
        .await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    client.expect("HTTP/1.1 ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_passed_on_while_it_comes() {
    let plane = Plane::new().await;
    let (seen, mut first) = tokio::sync::mpsc::channel(1);
    let origin = Origin::raw(move |mut raw, _| {
        let seen = seen.clone();
        async move {
            raw.expect("start").await;
            seen.send(()).await.unwrap();
            raw.expect("end").await;
            raw.send(ok("whole")).await;
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 8\r\n\r\nstart").await;
    first.recv().await.unwrap();
    client.send("end").await;
    client.expect("whole").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_right_behind_an_upgrade_are_not_lost() {
    let plane = Plane::new().await;
    let origin = Origin::raw(|mut raw, _| async move {
        raw.expect("\r\n\r\n").await;
        raw.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello").await;
        raw.expect("early").await;
        raw.expect("later").await;
        raw.send("bye").await;
        raw.rest().await;
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client
        .send(
            "GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly",
        )
        .await;
    let head = client.expect("hello").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("upgrade: websocket"), "{head}");
    assert!(head.contains("connection: upgrade"), "{head}");
    let target = || async { plane.table().await.entries[0].targets[0].clone() };
    assert_eq!((target().await.upgraded, target().await.in_flight), (1, 0));
    client.send("later").await;
    client.expect("bye").await;
    drop(client);
    until("the tunnel ends", || async { target().await.upgraded == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|_, _| "HTTP/1.1 426 No\r\nContent-Length: 3\r\n\r\nno!".into()).await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    assert!(client.expect("no!").await.starts_with("HTTP/1.1 426"));
    until("nothing is in flight", || async { plane.table().await.entries[0].targets[0].in_flight == 0 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_1_0_client_gets_no_chunks() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| {
        assert!(head.contains("HTTP/1.1"), "{head}");
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".into()
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane.ask("GET / HTTP/1.0\r\nHost: app.test\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "abc");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| ok(head.split(' ').nth(1).unwrap())).await;
    plane.route(&[("u1", origin.address)]).await;
    let one = |n: usize| format!("GET /no{n} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let mut client = plane.connect().await;
    client.send((0..4).map(one).collect::<String>()).await;
    let got = client.expect("/no3").await;
    let places: Vec<_> = (0..4).map(|n| got.find(&format!("/no{n}")).unwrap()).collect();
    assert!(places.is_sorted(), "{got}");
    assert_eq!(got.matches("HTTP/1.1 200").count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_absolute_form_wins_over_the_host_field() {
    let plane = Plane::new().await;
    let origin = Origin::echo().await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane.ask("GET http://app.test/x?y HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /x?y HTTP/1.1\r\n"), "{answer}");
    assert!(answer.contains("host: app.test\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_are_checked() {
    let plane = Plane::new().await;
    let origin = Origin::named("here").await;
    plane.route(&[("u1", origin.address)]).await;
    for (fields, status) in [
        ("Host: app.test\r\n", "200"),
        ("Host: APP.TEST:8080\r\n", "200"),
        ("Host: app.test\r\nHost: app.test\r\n", "400"),
        ("Host: app.test\r\nHost: other.test\r\n", "400"),
        ("", "400"),
        ("Host: app test\r\n", "400"),
        ("Host: app.test/x\r\n", "400"),
        ("Host: other.test\r\n", "404"),
        ("Host:\r\n", "404"),
    ] {
        let answer = plane.ask(&format!("GET / HTTP/1.1\r\nConnection: close\r\n{fields}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{fields:?}: {answer}");
    }
    assert!(plane.ask("GET / HTTP/1.0\r\n\r\n").await.contains(" 404 "));
    let connect = plane.ask("CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\nConnection: close\r\n\r\n").await;
    assert!(connect.starts_with("HTTP/1.1 405"), "{connect}");
}

/// A client that ends its sending, while the origin waits; whether it gets its answer.
async fn half_closed(plane: &Plane, served: u64) -> String {
    let (go, wait) = tokio::sync::watch::channel(false);
    let origin = Origin::raw(move |mut raw, _| {
        let mut wait = wait.clone();
        async move {
            read_request(&mut raw).await.unwrap();
            wait.wait_for(|go| *go).await.unwrap();
            raw.send(ok("late")).await;
            raw.rest().await;
        }
    })
    .await;
    let mut put = plane.write(&[("u1", origin.address)]);
    put.policy.half_close = served > 0;
    plane.put(&put).await;
    let mut client = plane.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n").await;
    until("the origin has the request", || async { origin.connections() == 1 }).await;
    client.stream.shutdown().await.unwrap();
    until("the end is noticed", || async { plane.table().await.entries[0].targets[0].in_flight == served }).await;
    go.send(true).unwrap();
    client.rest().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_client_is_served_where_the_route_says_so() {
    let plane = Plane::new().await;
    assert!(half_closed(&plane, 1).await.ends_with("late"));
    assert_eq!(half_closed(&plane, 0).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_dies_inside_a_body_does_not_look_complete() {
    let plane = Plane::new().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    ] {
        let origin = Origin::raw(move |mut raw, _| async move {
            read_request(&mut raw).await.unwrap();
            raw.send(answer).await;
        })
        .await;
        plane.route(&[("u1", origin.address)]).await;
        let got = plane.get("/").await;
        assert!(got.contains("hello"), "{got}");
        assert!(!got.ends_with("0\r\n\r\n"), "it looks complete: {got}");
    }
    let log = plane.access_log(2).await;
    assert!(log.iter().all(|line| line["cut"] == true), "{log:?}");
}

/// 4 MB; a reset in between is allowed, as long as the answer is there.
async fn upload(write: &mut tokio::net::tcp::OwnedWriteHalf) -> std::io::Result<()> {
    write.write_all(b"POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4000000\r\n\r\n").await?;
    let part = vec![b'x'; 100_000];
    for _ in 0..40 {
        write.write_all(&part).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_reaches_the_client_in_the_middle_of_its_upload() {
    let plane = Plane::new().await;
    let origin = Origin::raw(|mut raw, _| async move {
        raw.expect("\r\n\r\n").await;
        raw.send("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge").await;
        // Dropped with unread bytes: a reset follows the answer.
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    for round in 0..40 {
        let (mut read, mut write) = plane.connect().await.stream.into_split();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            drop(upload(&mut write).await);
            write
        });
        let mut got = Vec::new();
        while !got.ends_with(b"large") {
            let n = tokio::io::AsyncReadExt::read_buf(&mut read, &mut got).await.unwrap_or(0);
            assert!(n > 0, "round {round}: {:?}", String::from_utf8_lossy(&got));
        }
        assert!(got.starts_with(b"HTTP/1.1 413"), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lengths_make_one_request_without_content_length() {
    let plane = Plane::new().await;
    let origin = Origin::echo().await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane
        .ask(
            "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n",
        )
        .await;
    let first = answer.split("HTTP/1.1 200").nth(1).unwrap().to_ascii_lowercase();
    assert!(first.contains("transfer-encoding: chunked") && first.ends_with("abc"), "{answer}");
    let seen = first.split("\r\n\r\n").nth(1).unwrap();
    assert!(!seen.contains("content-length"), "{seen}");
    assert!(!answer.contains("smuggled") || answer.matches("HTTP/1.1 200").count() == 2, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_pass() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|_, _| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n"
            .into()
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let answer = plane.ask("GET / HTTP/1.1\r\nHost: app.test\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n").await;
    assert!(answer.to_ascii_lowercase().contains("0\r\nx-sum: 42\r\n\r\n"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expect_is_answered_here_and_not_passed_on() {
    let plane = Plane::new().await;
    let origin = Origin::echo().await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").await;
    client.expect("HTTP/1.1 100").await;
    client.send("abc").await;
    let answer = client.expect("abc").await.to_ascii_lowercase();
    assert!(answer.contains("200 ok") && !answer.contains("expect:"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_answer_leaves_its_connection_usable() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| {
        let (no_content, not_modified) = ("HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 No\r\nETag: \"a\"\r\n\r\n");
        match head.split(' ').next().unwrap() {
            "HEAD" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".into(),
            _ if head.contains("/304") => not_modified.into(),
            _ => no_content.into(),
        }
    })
    .await;
    plane.route(&[("u1", origin.address)]).await;
    let mut client = plane.connect().await;
    for _ in 0..10 {
        for line in ["HEAD /", "GET /304", "GET /204"] {
            client.send(format!("{line} HTTP/1.1\r\nHost: app.test\r\n\r\n")).await;
            client.expect("\r\n\r\n").await;
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_in_clear_text_is_served_with_its_cookies_joined() {
    use http_body_util::{BodyExt, Full};
    let plane = Plane::new().await;
    let origin = Origin::echo().await;
    plane.route(&[("u1", origin.address)]).await;
    let stream = plane.connect().await.stream;
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { drop(connection.await) });
    let request = http::Request::post("http://app.test/x")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::new(bytes::Bytes::from_static(b"abc")))
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.starts_with("POST /x HTTP/1.1\r\n") && seen.ends_with("abc"), "{seen}");
    assert!(seen.contains("cookie: a=1; b=2\r\n") && seen.contains("host: app.test\r\n"), "{seen}");
}
