//! `/hooks/` reaches the engine, also one that is away for a moment.

use std::path::PathBuf;
use std::sync::Arc;

use cutover_proxy::wire::Route;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::support::{Origin, Plane, until};

/// An engine that answers with what it got.
struct Engine(#[expect(dead_code, reason = "its end ends the engine")] JoinSet<()>);

impl Engine {
    fn start(socket: PathBuf, status: u16) -> Self {
        drop(std::fs::remove_file(&socket));
        let listener = UnixListener::bind(socket).unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service_fn(move |request| answer(request, status));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                drop(served.await);
            }
        });
        Self(tasks)
    }
}

async fn answer(request: Request<Incoming>, status: u16) -> hyper::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = format!("{} {} {:?} {}", head.method, head.uri, head.headers.get("x-forwarded-for"), body.len());
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    Ok(response)
}

fn hook(host: &str, path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_hooks_pass_and_only_where_no_workload_is() {
    let plane = Plane::new().await;
    let _engine = Engine::start(plane.folder.path().join("hooks.sock"), 202);
    let origin = Origin::named("workload").await;
    plane.route(&[("u1", origin.address)]).await;
    let passed = plane.ask(&hook("anything.test", "/hooks/whk_1?x")).await;
    assert!(passed.starts_with("HTTP/1.1 202"), "{passed}");
    assert!(passed.ends_with("POST /hooks/whk_1?x Some(\"127.0.0.1\") 5"), "{passed}");
    for path in ["/hooks", "/api/v1/status", "/hooks/../api", "/hookshop/"] {
        assert!(plane.ask(&hook("anything.test", path)).await.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(plane.ask(&hook("app.test", "/hooks/whk_1")).await.ends_with("workload"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_host_takes_hooks_and_no_other_does() {
    let plane = Plane::with(|config| config.hooks_host = Some("Hooks.test".into())).await;
    let _engine = Engine::start(plane.folder.path().join("hooks.sock"), 202);
    let origin = Origin::named("workload").await;
    let mut put = plane.write(&[("u1", origin.address)]);
    let port = origin.address.port();
    put.routes = vec![Route { host: "hooks.test".into(), path: "/".into(), port, strip: false, address: None }];
    plane.put(&put).await;
    assert!(plane.ask(&hook("hooks.test:80", "/hooks/a")).await.starts_with("HTTP/1.1 202"));
    assert!(plane.ask(&hook("hooks.test", "/else")).await.ends_with("workload"));
    assert!(plane.ask(&hook("other.test", "/hooks/a")).await.starts_with("HTTP/1.1 404"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_waits_for_an_engine_that_restarts() {
    let plane = Arc::new(Plane::new().await);
    let socket = plane.folder.path().join("hooks.sock");
    let mut waiting = JoinSet::new();
    let asking = Arc::clone(&plane);
    waiting.spawn(async move { asking.ask(&hook("any.test", "/hooks/a")).await });
    let waits = || async { plane.router.metrics().await.unwrap().contains("waiting_requests 1") };
    until("it waits", waits).await;
    // It comes, recovers for a moment, and is ready.
    let recovering = Engine::start(socket.clone(), 503);
    assert!(waits().await);
    drop(recovering);
    let _engine = Engine::start(socket, 202);
    let answer = waiting.join_next().await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") && answer.ends_with(" 5"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_eight_seconds_the_sender_is_told_to_come_back() {
    let plane = Plane::new().await;
    let begun = tokio::time::Instant::now();
    let answer = plane.ask(&hook("any.test", "/hooks/a")).await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503") && answer.contains("retry-after: 5"), "{answer}");
    assert!((7..10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
}
