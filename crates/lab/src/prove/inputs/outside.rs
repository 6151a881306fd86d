//! Bodies of the API and of hooks.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;

use super::{Inputs, Trace};
use crate::Result;
use crate::hook::{self, Hook};

pub(super) async fn try_all(inputs: &mut Inputs<'_>) -> Result {
    api(inputs).await?;
    hooks(inputs).await
}

async fn api(inputs: &mut Inputs<'_>) -> Result {
    let socket = inputs.scene.stand.data().join("engine.sock");
    let web = inputs.scene.stand.full_name("web").replace('/', "%2F");
    let deploy = format!("/api/v1/workloads/{web}/deployments");
    let large = format!("{{\"workloads\":\"{}\"}}", "x".repeat(8_000_000));
    let deep = "[".repeat(100_000);
    let cases: [(&str, &str, &str, &str); 10] = [
        ("API body, no JSON", "POST", &deploy, "{"),
        ("API body, not an object", "POST", &deploy, "[]"),
        ("API body, unknown key", "POST", &deploy, "{\"imge\":\"a:1\"}"),
        ("API body, wrong type", "POST", &deploy, "{\"image\":5}"),
        ("API body, bad reference", "POST", &deploy, "{\"image\":\"no such image\"}"),
        ("API body, very deep", "POST", &deploy, &deep),
        ("API body, 8 MB", "POST", "/api/v1/apply", &large),
        ("API body, no workload", "POST", "/api/v1/apply", "{\"workloads\":5}"),
        ("API path, traversal", "GET", "/api/v1/workloads/..%2f..%2fetc", ""),
        ("API path, nothing there", "GET", "/api/v1/frobnicate", ""),
    ];
    for (case, method, path, body) in cases {
        let (status, text) = crate::http::unix_status(&socket, method, path, body).await?;
        inputs.answer(case, status, &text).await?;
    }
    Ok(())
}

async fn hooks(inputs: &mut Inputs<'_>) -> Result {
    let stand = inputs.scene.stand;
    let hook = Hook::add(stand).await?;
    // The hook itself is an event.
    inputs.before = Trace::take(inputs.scene).await?;
    let body = hook::push("acme/shop", "main", "2222222222222222222222222222222222222222", 1024);
    let mut unsigned = hook.delivery("lab-1", body.clone())?;
    unsigned.headers_mut().remove("x-hub-signature-256");
    let mut forged = hook.delivery("lab-2", body.clone())?;
    *forged.body_mut() = Full::new(Bytes::from(body.replace("main", "evil")));
    let mut unknown = hook.delivery("lab-3", body.clone())?;
    *unknown.uri_mut() = "/hooks/hook_nobody".parse()?;
    let mut get = hook.delivery("lab-4", String::new())?;
    *get.method_mut() = hyper::Method::GET;
    let long_id = hook.delivery(&"i".repeat(5_000), body)?;
    let cases: Vec<(&str, Request<Full<Bytes>>)> = vec![
        ("hook, unsigned", unsigned),
        ("hook, forged", forged),
        ("hook, unknown", unknown),
        ("hook, GET", get),
        ("hook, a delivery id of 5,000 characters", long_id),
        ("hook, signed but no JSON", hook.delivery("lab-5", "{\"ref\": ".into())?),
        ("hook, signed but empty", hook.delivery("lab-6", String::new())?),
        ("hook, signed but not UTF-8", hook.delivery_of("lab-7", b"{\"ref\":\"\xff\"}")?),
        ("hook, 30 MB", hook.delivery("lab-8", "x".repeat(30_000_000))?),
    ];
    for (case, request) in cases {
        let (status, text) = crate::http::send(stand.proxy, request).await.map_or_else(
            // A body that is far too large may be answered by closing the connection.
            |error| (413, error.to_string()),
            |(status, text)| (status.as_u16(), text),
        );
        inputs.answer(case, status, &text).await?;
    }
    stand.must(&["hook", "remove", hook::NAME]).await.map(drop)
}
