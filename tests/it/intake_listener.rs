//! Calls of hooks over loopback: statuses, limits, duplicates, and what is on disk before the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cutover::intake::receive::Room;
use cutover_events::delivery::ChangeKind;
use cutover_events::{Digest, Event};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::intake_log::{Mood, TestLog};
use crate::intake_support::{GENERIC, GITHUB, OLD_SECRET, SECRET, fixture, head, read, serve, serve_with, sign};

#[tokio::test]
async fn a_push_is_on_disk_before_its_202() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    let answer = served.github("push", "one", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let events = log.events();
    let [Event::DeliveryReceived(received)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(answer.json()["delivery"], received.delivery.to_string());
    assert_eq!((received.sender_id.as_str(), received.event.as_str(), received.secret), ("one", "push", 0));
    assert_eq!(received.body, Digest::of(&body));
    assert_eq!(std::fs::read(served.bodies.path().join(received.body.to_string())).unwrap(), body);
}

#[tokio::test]
async fn the_old_secret_counts_after_a_rotation() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    let signature = sign(OLD_SECRET, &body);
    let headers = [("x-github-event", "push"), ("x-github-delivery", "1"), ("x-hub-signature-256", signature.as_str())];
    assert_eq!(served.send("POST", &format!("/hooks/{GITHUB}"), &headers, &body).await.status, 202);
    let Event::DeliveryReceived(received) = &log.events()[0] else { panic!() };
    assert_eq!(received.secret, 1);
}

#[tokio::test]
async fn what_is_sent_again_is_answered_with_the_first_id() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    let first = served.github("push", "same", &body).await.json();
    let again = served.github("push", "same", &body).await;
    assert_eq!(again.status, 200);
    assert_eq!((&again.json()["duplicate"], &again.json()["delivery"]), (&true.into(), &first["delivery"]));
    assert_eq!(log.len(), 1);
    assert_eq!(served.github("push", "other", &body).await.status, 202);
    assert_eq!(served.intake.figures.duplicate.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_body_without_an_id_counts_once_within_the_window() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("generic-image.json");
    assert_eq!(served.generic(&[], &body).await.status, 202);
    assert_eq!(served.generic(&[], &body).await.status, 200);
    assert_eq!(served.generic(&[("x-delivery-id", "mine")], &body).await.status, 202);
    assert_eq!(log.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_copies_at_once_are_one_delivery() {
    let log = Arc::new(TestLog::new());
    let served = Arc::new(serve(log.clone()).await);
    let mut copies = JoinSet::new();
    for _ in 0..50 {
        let served = served.clone();
        copies.spawn(async move { served.github("push", "one", &fixture("github-push.json")).await });
    }
    let answers = copies.join_all().await;
    let ids: std::collections::BTreeSet<_> = answers.iter().map(|a| a.json()["delivery"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 202).count(), 1);
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 49);
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn what_a_full_log_refuses_is_taken_when_it_is_sent_again() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    for mood in [Mood::NoRoom, Mood::Poisoned] {
        log.turn(mood);
        let answer = served.github("push", "one", &body).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.head.contains("retry-after: 5"), "{answer:?}");
    }
    log.turn(Mood::Works);
    assert_eq!(served.github("push", "one", &body).await.status, 202);
    assert_eq!(log.len(), 1);
}

#[tokio::test]
async fn without_memory_for_bodies_calls_are_put_off() {
    let log = Arc::new(TestLog::new());
    let served = serve_with(log.clone(), Room::of(9)).await;
    let body = fixture("github-push.json");
    assert_eq!(served.github("push", "small", &body).await.status, 202);
    let large = [body.as_slice(), &vec![b' '; 64 * 1024]].concat();
    let answer = served.github("push", "large", &large).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(served.github("push", "small too", &body).await.status, 202);
}

#[tokio::test]
async fn calls_that_deploy_nothing_are_noted_and_answered_200() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let ping = served.github("ping", "1", &fixture("github-ping.json")).await;
    assert_eq!((ping.status, &ping.json()["note"]), (200, &"the hook works".into()));
    let other = served.github("release", "2", &fixture("github-release.json")).await;
    assert_eq!((other.status, &other.json()["note"]), (200, &"ignored: an event \"release\" does not deploy".into()));
    let deleted = served.github("push", "3", &fixture("github-branch-deleted.json")).await;
    assert_eq!(deleted.status, 202);
    let kinds: Vec<_> = log
        .events()
        .iter()
        .map(|event| if let Event::DeliveryReceived(r) = event { r.items[0].kind } else { panic!() })
        .collect();
    assert_eq!(kinds, [ChangeKind::Ping, ChangeKind::Other, ChangeKind::Branch]);
}

#[tokio::test]
async fn what_is_not_a_call_of_a_hook_is_refused_and_leaves_nothing() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    let good = sign(SECRET, &body);
    let signed = [("x-github-event", "push"), ("x-hub-signature-256", good.as_str())];
    let ours = format!("/hooks/{GITHUB}");
    let unknown = "/hooks/hook_01j00000000000000000000000";
    let bad = sign("guessed", &body);
    for (method, path, headers, status) in [
        ("POST", "/", &signed[..], 404),
        ("POST", "/hooks", &signed, 404),
        ("POST", "/hooks/../etc", &signed, 404),
        ("POST", unknown, &signed, 404),
        ("POST", "/hooks/x", &signed, 404),
        ("POST", &format!("{ours}/more"), &signed, 404),
        ("GET", "/api/v1/workloads", &[], 404),
        ("GET", &ours, &[], 405),
        ("PUT", &ours, &signed, 405),
        ("POST", &ours, &[], 401),
        ("POST", &ours, &[("x-github-event", "push"), ("x-hub-signature-256", bad.as_str())], 401),
        ("POST", &ours, &[("content-type", "text/xml"), signed[0], signed[1]], 415),
        ("POST", &ours, &signed[1..], 400),
    ] {
        let answer = served.send(method, path, headers, &body).await;
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().len() > 10, "{answer:?}");
        assert!(!answer.body.contains(SECRET) && !answer.body.contains(&good[7..]), "{answer:?}");
        assert_eq!(answer.head.contains("allow: post"), status == 405, "{answer:?}");
    }
    assert_eq!(log.len(), 0);
    assert_eq!(std::fs::read_dir(served.bodies.path()).unwrap().count(), 0);
    assert_eq!(served.intake.figures.unsigned.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_body_past_the_limit_is_refused_unread() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let zeros = "0".repeat(64);
    let headers = |length: &str| {
        vec![
            ("x-github-event".to_owned(), "push".to_owned()),
            ("x-hub-signature-256".to_owned(), format!("sha256={zeros}")),
            ("x-signature".to_owned(), zeros.clone()),
            (if length == "chunked" { "transfer-encoding" } else { "content-length" }.to_owned(), length.to_owned()),
        ]
    };
    for (hook, limit) in [(GITHUB, 25 * 1024 * 1024), (GENERIC, 1024 * 1024)] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(&head("POST", &format!("/hooks/{hook}"), &headers(&(limit + 1).to_string()))).await.unwrap();
        assert_eq!(read(&mut stream).await.status, 413, "announced");
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&head("POST", &format!("/hooks/{GENERIC}"), &headers("chunked"))).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    for _ in 0..17 {
        stream.write_all(&chunk).await.unwrap();
    }
    assert_eq!(read(&mut stream).await.status, 413, "streamed");
    assert_eq!(log.len(), 0);
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let mut body = fixture("github-push.json");
    body.resize(25 * 1024 * 1024, b' ');
    assert_eq!(served.github("push", "large", &body).await.status, 202);
    body.push(b' ');
    assert_eq!(served.github("push", "larger", &body).await.status, 413);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    let body = fixture("github-push.json");
    let pairs = [("content-length", (body.len() + 1).to_string()), ("x-hub-signature-256", sign(SECRET, &body))];
    let pairs: Vec<_> = pairs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&head("POST", &format!("/hooks/{GITHUB}"), &pairs)).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await.unwrap_or_default();
    assert_eq!(log.len(), 0);
}

#[tokio::test]
async fn a_lost_body_loses_no_delivery() {
    let log = Arc::new(TestLog::new());
    let served = serve(log.clone()).await;
    std::fs::remove_dir_all(served.bodies.path()).unwrap();
    assert_eq!(served.github("push", "one", &fixture("github-push.json")).await.status, 202);
    assert_eq!(served.intake.figures.bodies_lost.load(Ordering::Relaxed), 1);
}
