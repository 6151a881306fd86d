//! Who may change which route, and what is there after a restart.

use std::sync::Arc;

use cutover::adapters::router::{Router, RouterError};
use cutover_proxy::process::{self, ProcessError};
use cutover_proxy::wire::{RefusedCode, RoutePolicy};

use crate::support::{Origin, Plane, config, ok, probe, read_request, refused, route, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_routes_and_the_table_tells_it() {
    let plane = Plane::new().await;
    let origin = Origin::named("blue").await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 404"));
    plane.route(&[("u1", origin.address)]).await;
    assert!(plane.get("/").await.ends_with("blue"));
    let table = plane.table().await;
    assert_eq!(table.log.as_deref(), Some("log_1"));
    assert_eq!(table.listen, [plane.address]);
    assert_eq!(table.pid, std::process::id());
    assert_eq!(table.witness.unwrap().position, 1);
    assert_eq!((table.entries[0].generation, table.entries[0].targets[0].unit.as_str()), (1, "u1"));
    assert!(table.router_boot.starts_with("rtr_"));
    assert!(table.router_boot.parse::<cutover_events::RouterBoot>().is_ok(), "{}", table.router_boot);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_refuses() {
    let plane = Plane::new().await;
    let origin = Origin::named("blue").await;
    let first = plane.write(&[("u1", origin.address)]);
    plane.put(&first).await;
    assert_eq!(plane.refusal(&first).await, RefusedCode::Generation);

    let change = |alter: &dyn Fn(&mut cutover_proxy::wire::Put)| {
        let mut put = plane.write(&[("u1", origin.address)]);
        alter(&mut put);
        put
    };
    assert_eq!(plane.refusal(&change(&|put| put.log = "log_2".into())).await, RefusedCode::OtherLog);
    assert_eq!(plane.refusal(&change(&|put| put.router_boot = "rtr_x".into())).await, RefusedCode::RouterBoot);
    assert_eq!(plane.refusal(&change(&|put| put.writer_epoch = 0)).await, RefusedCode::WriterEpoch);
    let other = change(&|put| put.workload = "wl_other".into());
    assert_eq!(plane.refusal(&other).await, RefusedCode::Claimed);
    for host in ["", "A.test", "a test", "a.test:80", "*", "*.", "x.*.test"] {
        let put = change(&|put| put.routes = vec![route(host, "/", 1)]);
        assert_eq!(plane.refusal(&put).await, RefusedCode::Invalid, "{host:?}");
    }
    for path in ["", "x", "/a b", "/a?b", "/ä"] {
        let put = change(&|put| put.routes = vec![route("x.test", path, 1)]);
        assert_eq!(plane.refusal(&put).await, RefusedCode::Invalid, "{path:?}");
    }
    assert_eq!(plane.refusal(&change(&|put| put.routes[0].port = 0)).await, RefusedCode::Invalid);
    assert_eq!(plane.refusal(&change(&|put| put.targets.push(put.targets[0].clone()))).await, RefusedCode::Invalid);

    // Another path of the host is free, and a tombstone frees what it held.
    let other = change(&|put| {
        put.workload = "wl_other".into();
        put.routes = vec![route("app.test", "/api", 1)];
    });
    plane.put(&other).await;
    plane.put(&change(&|put| put.routes.clear())).await;
    assert!(plane.get("/").await.starts_with("HTTP/1.1 404"));
    let heir = change(&|put| {
        put.workload = "wl_heir".into();
        put.writer_epoch = 5;
    });
    plane.put(&heir).await;
    assert_eq!(plane.refusal(&change(&|_| {})).await, RefusedCode::WriterEpoch);
    assert_eq!(plane.table().await.entries.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_raises_the_generation_and_changes_nothing_else() {
    let plane = Plane::new().await;
    let origin = Origin::named("blue").await;
    plane.route(&[("u1", origin.address)]).await;
    plane.router.fence(&plane.fence(7)).await.unwrap();
    assert_eq!(refused(plane.router.fence(&plane.fence(7)).await), RefusedCode::Generation);
    let late = plane.write(&[("u2", origin.address)]);
    assert_eq!(plane.refusal(&late).await, RefusedCode::Generation);
    assert!(plane.get("/").await.ends_with("blue"));

    // A workload that was never written gets a tombstone, so that a late write of it loses.
    let mut unknown = plane.fence(3);
    unknown.workload = "wl_never".into();
    plane.router.fence(&unknown).await.unwrap();
    let mut late = plane.write(&[("u1", origin.address)]);
    late.workload = "wl_never".into();
    late.routes = vec![route("never.test", "/", 1)];
    late.generation = 3;
    assert_eq!(plane.refusal(&late).await, RefusedCode::Generation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_targets_are_probed_inside_the_switch() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| match head.contains("/bad") {
        true => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into(),
        false => ok("green"),
    })
    .await;
    let port = origin.address.port();
    let mut put = plane.write(&[("u1", origin.address)]);
    put.probe = Some(probe(port, Some("/bad")));
    let Err(RouterError::Refused(refusal)) = plane.router.put(&put).await else { panic!("it passed") };
    assert_eq!(refusal.code, RefusedCode::Probe);
    assert!(refusal.text.contains("u1") && refusal.text.contains("status 500"), "{}", refusal.text);
    assert!(plane.table().await.entries.is_empty(), "a refused write changes nothing");
    put.probe = Some(probe(port, Some("/ok")));
    plane.put(&put).await;
    // The same unit is not new: it is not asked again.
    let mut again = plane.write(&[("u1", origin.address)]);
    again.probe = Some(probe(port, Some("/bad")));
    plane.put(&again).await;
    let mut closed = plane.write(&[("u2", origin.address)]);
    closed.probe = Some(probe(1, None));
    assert_eq!(plane.refusal(&closed).await, RefusedCode::Probe);
    let mute = Origin::raw(|raw, _| async move {
        let _open = raw;
        std::future::pending::<()>().await;
    })
    .await;
    let mut slow = plane.write(&[("u3", mute.address)]);
    slow.probe = Some(cutover_proxy::wire::Probe { timeout_ms: 100, ..probe(mute.address.port(), Some("/")) });
    assert_eq!(plane.refusal(&slow).await, RefusedCode::Probe);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fence_overtakes_a_put_that_still_probes() {
    let plane = Arc::new(Plane::new().await);
    let (asked, mut seen) = tokio::sync::mpsc::channel::<()>(1);
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let open = Arc::clone(&gate);
    let origin = Origin::raw(move |mut raw, _| {
        let (asked, open) = (asked.clone(), Arc::clone(&open));
        async move {
            read_request(&mut raw).await.unwrap();
            asked.send(()).await.unwrap();
            let _open = open.acquire().await.unwrap();
            raw.send(ok("late")).await;
        }
    })
    .await;
    let mut put = plane.write(&[("u1", origin.address)]);
    put.probe = Some(probe(origin.address.port(), Some("/")));
    let writer = Arc::clone(&plane);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { writer.refusal(&put).await });
    seen.recv().await.unwrap();
    plane.router.fence(&plane.fence(1)).await.unwrap();
    gate.add_permits(1);
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), RefusedCode::Generation);
    assert!(plane.table().await.entries[0].targets.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_table_and_gets_a_new_identity() {
    let plane = Plane::new().await;
    let origin = Origin::named("blue").await;
    let mut put = plane.write(&[("u1", origin.address)]);
    put.writer_epoch = 40;
    plane.put(&put).await;
    let before = plane.table().await;
    plane.serving.stop().await;
    let again = Plane::on(Arc::clone(&plane.folder), |_| {}).await;
    assert!(again.get("/").await.ends_with("blue"));
    let after = again.table().await;
    assert_ne!(after.router_boot, before.router_boot);
    assert_eq!((after.entries, after.witness, after.log), (before.entries, before.witness, before.log));
    assert_eq!(again.refusal(&put).await, RefusedCode::RouterBoot);
    put.router_boot = after.router_boot;
    assert_eq!(again.refusal(&put).await, RefusedCode::Generation);
    put.generation = 2;
    put.writer_epoch = 39;
    assert_eq!(again.refusal(&put).await, RefusedCode::WriterEpoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_written_is_refused_and_the_former_serves() {
    let plane = Plane::new().await;
    let (blue, green) = (Origin::named("blue").await, Origin::named("green").await);
    plane.route(&[("u1", blue.address)]).await;
    // A folder in the place of the file beside: creating it fails, for root too.
    let beside = plane.folder.path().join("proxy/table.json.new");
    std::fs::create_dir(&beside).unwrap();
    let put = plane.write(&[("u2", green.address)]);
    assert_eq!(plane.refusal(&put).await, RefusedCode::Disk);
    assert!(plane.get("/").await.ends_with("blue"));
    std::fs::remove_dir(&beside).unwrap();
    plane.put(&put).await;
    assert!(plane.get("/").await.ends_with("green"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_table_is_not_served_and_the_message_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    std::fs::create_dir_all(&config.folder).unwrap();
    std::fs::write(config.folder.join("table.json"), "{\"half\":").unwrap();
    let Err(ProcessError::Table(error)) = process::start(config, Vec::new()) else { panic!("it started") };
    let text = error.to_string();
    assert!(text.contains("table.json") && text.contains("Move it away"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_and_paths_find_their_workload() {
    let plane = Plane::new().await;
    let origin = Origin::answering(|head, _| ok(head.lines().next().unwrap())).await;
    let port = origin.address.port();
    let mut put = plane.write(&[("u1", origin.address)]);
    put.routes.extend([route("*.app.test", "/", port), route("app.test", "/api", port)]);
    put.routes[2].strip = true;
    put.policy = RoutePolicy { drain_ms: 1, half_close: false };
    plane.put(&put).await;
    let line = |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let plane = &plane;
        async move { plane.ask(&request).await.lines().last().unwrap().to_owned() }
    };
    assert_eq!(line("app.test", "/apix?q").await, "GET /apix?q HTTP/1.1");
    assert_eq!(line("app.test", "/api/x?q").await, "GET /x?q HTTP/1.1");
    assert_eq!(line("app.test", "/api").await, "GET / HTTP/1.1");
    assert_eq!(line("W.App.Test:1234", "/").await, "GET / HTTP/1.1");
    let missing = plane.ask("GET / HTTP/1.1\r\nHost: a.b.app.test\r\nConnection: close\r\n\r\n").await;
    assert!(missing.starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_targets_share_the_load_and_a_dead_one_is_passed_over() {
    let plane = Plane::new().await;
    let one = Origin::named("one").await;
    let port = one.address.port();
    let two = Origin::answering_at(format!("127.0.0.2:{port}").parse().unwrap(), |_, _| ok("two")).await;
    let dead = format!("127.0.0.3:{port}").parse().unwrap();
    plane.route(&[("u1", one.address), ("u2", two.address), ("u3", dead)]).await;
    let mut counts = [0; 2];
    for _ in 0..30 {
        let answer = plane.get("/").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        counts[usize::from(answer.ends_with("two"))] += 1;
    }
    assert!(counts.iter().all(|n| *n >= 8), "{counts:?}");
    until("in-flight is back at zero", || async {
        plane.table().await.entries[0].targets.iter().all(|target| target.in_flight == 0)
    })
    .await;
}

async fn answers(mut raw: crate::support::Raw, text: &str) {
    while read_request(&mut raw).await.is_some() {
        raw.send(&ok(text)).await;
    }
}

/// Services of one stack: one target, and each route says where on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_may_lead_elsewhere_on_its_target() {
    let plane = Plane::new().await;
    let web = Origin::raw(|raw, _| answers(raw, "web")).await;
    let port = web.address.port();
    let other = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = other.accept().await.unwrap();
            answers(crate::support::Raw::of(stream), "api").await;
        }
    });
    let mut put = plane.write(&[("u1", web.address)]);
    let api = cutover_proxy::wire::Route { address: Some([127, 0, 0, 2].into()), ..route("app.test", "/api", port) };
    put.routes.push(api);
    plane.put(&put).await;
    for _ in 0..3 {
        // Connections that are kept are those of one address, although both have the same port.
        assert!(plane.get("/").await.ends_with("web"));
        assert!(plane.get("/api").await.ends_with("api"));
    }
    assert_eq!(plane.table().await.entries[0].routes, put.routes);
}
