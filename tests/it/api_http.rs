//! The API over real sockets, with a fake backend behind it.

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::api_fake::{DEPLOYMENT, Fake, Served, TOKEN};
use cutover::api::Readiness;

/// One request over a stream of its own; the body is still coming.
async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> http::Response<Incoming>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let driver = tokio::task::spawn_local(driver);
    let response = sender.send_request(request).await.unwrap();
    std::mem::forget(driver);
    response
}

fn request(method: Method, path: &str, body: Option<Value>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    request.body(Full::new(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))).unwrap()
}

async fn unix(served: &Served, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
    let stream = tokio::net::UnixStream::connect(served.folder.join("engine.sock")).await.unwrap();
    send(stream, request).await
}

async fn tcp(served: &Served, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
    send(tokio::net::TcpStream::connect(served.tcp).await.unwrap(), request).await
}

async fn json(response: http::Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Runs a test with a server, on one thread with local tasks.
fn with_server<F>(test: impl FnOnce(Served) -> F)
where
    F: Future<Output = ()>,
{
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async { test(Served::start(Fake::new(), folder.path()).await).await });
}

/// A problem with this status and code, complete in every field.
async fn problem(response: http::Response<Incoming>, status: u16, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let problem = json(response).await;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:cutover:problem:{code}"));
    assert_eq!(problem["request_id"], id);
    assert!(!problem["title"].as_str().unwrap().is_empty());
    let detail = problem["detail"].as_str().unwrap();
    assert!(!detail.is_empty() && detail.chars().count() <= 600 && !detail.contains('\n'), "{detail}");
    problem
}

#[test]
fn every_error_is_a_problem() {
    with_server(async |served| {
        let get = |path: &str| request(Method::GET, path, None);
        problem(unix(&served, get("/nowhere")).await, 404, "no_such_path").await;
        problem(unix(&served, get("/api/v1/nowhere")).await, 404, "no_such_path").await;
        let put = unix(&served, request(Method::PUT, "/api/v1/workloads", None)).await;
        assert!(put.headers()["allow"].to_str().unwrap().contains("GET"));
        problem(put, 405, "method_not_allowed").await;
        problem(unix(&served, get("/api/v1/workloads/-rf")).await, 422, "refused_content").await;
        problem(unix(&served, get("/api/v1/workloads/%ff")).await, 400, "bad_request").await;
        problem(unix(&served, get("/api/v1/deployments/dep_x")).await, 400, "bad_request").await;
        problem(unix(&served, get(&format!("/api/v1/deployments/{DEPLOYMENT}"))).await, 404, "unknown_name").await;
        problem(unix(&served, get("/api/v1/events?after=x")).await, 400, "bad_request").await;
        problem(unix(&served, get("/api/v1/events?afterr=1")).await, 400, "bad_request").await;
        problem(unix(&served, get("/api/v1/events?kind=Nonsense")).await, 400, "bad_request").await;
        problem(unix(&served, get("/api/v1/workloads/web/spec")).await, 500, "internal").await;
        let hook = json!({"name": "github", "provider": "github"});
        problem(unix(&served, request(Method::POST, "/api/v1/hooks", Some(hook))).await, 409, "conflict").await;
        let cancel = format!("/api/v1/deployments/{DEPLOYMENT}/cancel");
        problem(unix(&served, request(Method::POST, &cancel, Some(json!({})))).await, 409, "not_allowed").await;
    });
}

#[test]
fn bodies_are_judged() {
    with_server(async |served| {
        let deploy = "/api/v1/workloads/shop%2Fweb/deployments";
        let post = |body| request(Method::POST, deploy, Some(body));
        problem(unix(&served, post(json!({"imge": "a"}))).await, 422, "refused_content").await;
        problem(unix(&served, post(json!({"image": 7}))).await, 422, "refused_content").await;
        let mut plain = post(json!({}));
        plain.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        problem(unix(&served, plain).await, 415, "unsupported_media_type").await;
        let mut broken = request(Method::POST, deploy, Some(json!({})));
        *broken.body_mut() = Full::new(Bytes::from_static(b"{\"image\":"));
        problem(unix(&served, broken).await, 400, "bad_request").await;
        problem(unix(&served, post(json!([]))).await, 400, "bad_request").await;
        let large = json!({"workloads": [], "x": "y".repeat(40 << 20)});
        problem(unix(&served, request(Method::POST, "/api/v1/apply", Some(large))).await, 413, "too_large").await;
        let empty = unix(&served, request(Method::POST, deploy, None)).await;
        assert_eq!(empty.status(), StatusCode::ACCEPTED);
        assert_eq!(empty.headers()["location"], format!("/api/v1/deployments/{DEPLOYMENT}").as_str());
    });
}

#[test]
fn a_panic_is_a_problem_and_the_server_lives() {
    with_server(async |served| {
        let plan = request(Method::POST, "/api/v1/plan", Some(json!({"workloads": []})));
        let told = problem(unix(&served, plan).await, 500, "internal").await;
        assert!(!told.to_string().contains("on purpose"), "{told}");
        assert_eq!(unix(&served, request(Method::GET, "/livez", None)).await.status(), StatusCode::OK);
    });
}

#[test]
fn tcp_needs_a_token_and_the_socket_knows_its_peer() {
    with_server(async |served| {
        let get = |token: Option<&str>| {
            let mut get = request(Method::GET, "/api/v1/workloads", None);
            if let Some(token) = token {
                get.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            get
        };
        let refused = tcp(&served, get(None)).await;
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        problem(refused, 401, "unauthenticated").await;
        problem(tcp(&served, get(Some("cut_wrong"))).await, 401, "unauthenticated").await;
        assert_eq!(tcp(&served, get(Some(TOKEN))).await.status(), StatusCode::OK);
        for open in ["/livez", "/readyz", "/metrics", "/api/v1/openapi.json"] {
            assert_eq!(tcp(&served, request(Method::GET, open, None)).await.status(), StatusCode::OK, "{open}");
        }
        let deploy = request(Method::POST, "/api/v1/workloads/web/deployments", Some(json!({})));
        assert_eq!(unix(&served, deploy).await.status(), StatusCode::ACCEPTED);
        let asker = served.fake.askers.lock().remove(0);
        let uid = rustix::process::geteuid().as_raw();
        assert!(matches!(asker.actor, cutover_events::Actor::Local { uid: peer, .. } if peer == uid), "{asker:?}");
    });
}

#[test]
fn the_socket_is_for_its_user_and_group() {
    use std::os::unix::fs::PermissionsExt;
    with_server(async |served| {
        let mode = std::fs::metadata(served.folder.join("engine.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let again = cutover::api::serve::bind_unix(&served.folder.join("engine.sock"));
        assert!(again.is_ok(), "a socket that a dead engine left is replaced");
    });
}

#[test]
fn a_key_is_one_wish() {
    with_server(async |served| {
        let deploy = |key: &str, image: &str| {
            let mut deploy = request(Method::POST, "/api/v1/workloads/web/deployments", Some(json!({"image": image})));
            deploy.headers_mut().insert("idempotency-key", key.parse().unwrap());
            deploy
        };
        for image in ["a:1", "a:1", "a:2"] {
            assert_eq!(unix(&served, deploy("ci-7", image)).await.status(), StatusCode::ACCEPTED);
        }
        {
            let askers = served.fake.askers.lock();
            let keys: Vec<_> = askers.iter().map(|asker| asker.key.clone().unwrap()).collect();
            assert_eq!(keys[0], keys[1]);
            assert_eq!(keys[0].key, keys[2].key);
            assert_ne!(keys[0].request, keys[2].request, "another wish under the same key can be told apart");
        }
        problem(unix(&served, deploy("with space", "a:1")).await, 400, "bad_request").await;
        problem(unix(&served, deploy(&"k".repeat(129), "a:1")).await, 400, "bad_request").await;
    });
}

#[test]
fn an_engine_that_starts_says_so() {
    with_server(async |served| {
        served.readiness.send_replace(Readiness::Starting("reading the log"));
        for path in ["/readyz", "/api/v1/workloads", "/metrics"] {
            let answer = unix(&served, request(Method::GET, path, None)).await;
            assert!(answer.headers().contains_key("retry-after"));
            problem(answer, 503, "unavailable").await;
        }
        assert_eq!(unix(&served, request(Method::GET, "/livez", None)).await.status(), StatusCode::OK);
    });
}

#[test]
fn waiting_answers_when_it_is_reached() {
    with_server(async |served| {
        served.fake.happen("IntentQueued", json!({}));
        let path = format!("/api/v1/deployments/{DEPLOYMENT}?wait=live&timeout=60");
        let waiting = unix(&served, request(Method::GET, &path, None));
        let happening = async {
            tokio::task::yield_now().await;
            served.fake.happen("StepSucceeded", json!({}));
            served.fake.happen("Swapped", json!({}));
        };
        let (answer, ()) = tokio::join!(waiting, happening);
        assert_eq!(json(answer).await["live_after_ms"], 1_600);
        let path = format!("/api/v1/deployments/{DEPLOYMENT}?wait=end&timeout=0");
        let answer = json(unix(&served, request(Method::GET, &path, None)).await).await;
        assert!(answer.get("outcome").is_none(), "{answer}");
    });
}

#[test]
fn an_unchanged_answer_is_not_sent_again() {
    with_server(async |served| {
        let first = unix(&served, request(Method::GET, "/api/v1/workloads", None)).await;
        let tag = first.headers()["etag"].clone();
        let mut again = request(Method::GET, "/api/v1/workloads", None);
        again.headers_mut().insert("if-none-match", tag);
        assert_eq!(unix(&served, again).await.status(), StatusCode::NOT_MODIFIED);
    });
}

/// Reads a stream until `count` frames with data have come.
async fn frames(body: &mut Incoming, count: usize) -> String {
    let mut text = String::new();
    while text.matches("data: ").count() < count {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
    }
    text
}

#[test]
fn a_stream_resumes_where_it_broke_and_says_goodbye() {
    with_server(async |served| {
        served.fake.happen("IntentQueued", json!({}));
        served.fake.happen("DeploymentBegun", json!({}));
        let stream = |last: Option<&str>| {
            let mut get = request(Method::GET, "/api/v1/events?after=1", None);
            get.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
            if let Some(last) = last {
                get.headers_mut().insert("last-event-id", last.parse().unwrap());
            }
            get
        };
        let mut body = unix(&served, stream(None)).await.into_body();
        let text = frames(&mut body, 1).await;
        assert!(text.contains("id: 2\n") && text.contains("DeploymentBegun") && !text.contains("id: 1\n"), "{text}");
        served.fake.happen("Swapped", json!({}));
        assert!(frames(&mut body, 1).await.contains("id: 3\n"));
        drop(body);
        let mut body = unix(&served, stream(Some("2"))).await.into_body();
        let text = frames(&mut body, 1).await;
        assert!(text.contains("id: 3\n") && !text.contains("id: 2\n"), "{text}");
        served.readiness.send_replace(Readiness::Stopping);
        let rest = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(rest.contains("event: bye"), "{rest}");
    });
}

#[test]
fn an_export_is_the_whole_log_in_pages() {
    with_server(async |served| {
        for _ in 0..600 {
            served.fake.happen("StepSucceeded", json!({}));
        }
        let answer = unix(&served, request(Method::GET, "/api/v1/log/export", None)).await;
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let lines: Vec<Value> =
            std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 600);
        assert!(lines.iter().zip(1_u64..).all(|(line, position)| line["position"] == position));
    });
}
