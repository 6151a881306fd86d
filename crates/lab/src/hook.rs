//! Deliveries as GitHub sends them: a push, signed over its raw bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use sha2::Sha256;

use crate::Result;
use crate::stand::Stand;

/// The name of the hook that the lab adds.
pub(crate) const NAME: &str = "github";

/// A hook that was added, and its secret.
pub(crate) struct Hook {
    addr: SocketAddr,
    host: String,
    /// Path of its address.
    pub path: String,
    secret: String,
}

impl Hook {
    /// Adds a hook for GitHub.
    pub(crate) async fn add(stand: &Stand) -> Result<Self> {
        let said = stand.must(&["hook", "add", NAME, "--provider", "github", "--json"]).await?;
        Ok(Self {
            addr: stand.proxy,
            host: stand.hooks_host.clone(),
            path: said.text("path")?,
            secret: said.text("secret")?,
        })
    }

    /// The delivery with that id, signed.
    pub(crate) fn delivery(&self, id: &str, body: String) -> Result<Request<Full<Bytes>>> {
        self.delivery_of(id, body.as_bytes())
    }

    /// The delivery of any bytes, signed.
    pub(crate) fn delivery_of(&self, id: &str, body: &[u8]) -> Result<Request<Full<Bytes>>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).map_err(|error| error.to_string())?;
        mac.update(body);
        let signature = hex::encode(mac.finalize().into_bytes());
        let request = Request::post(&self.path)
            .header("host", &self.host)
            .header("user-agent", "GitHub-Hookshot/044aadd")
            .header("content-type", "application/json")
            .header("x-github-event", "push")
            .header("x-github-delivery", id)
            .header("x-hub-signature-256", format!("sha256={signature}"));
        Ok(request.body(Full::new(Bytes::copy_from_slice(body)))?)
    }

    /// Sends it through the proxy; status and body.
    pub(crate) async fn send(&self, id: &str, body: String) -> Result<(StatusCode, String)> {
        crate::http::send(self.addr, self.delivery(id, body)?).await
    }
}

/// The part of GitHub's push that says what happened, padded to about `bytes` by the message of the commit.
pub(crate) fn push(repo: &str, branch: &str, sha: &str, bytes: usize) -> String {
    let name = repo.rsplit('/').next().unwrap_or(repo);
    let body = |message: &str| {
        serde_json::json!({
            "ref": format!("refs/heads/{branch}"),
            "before": "0f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
            "after": sha,
            "created": false, "deleted": false, "forced": false,
            "repository": {"id": 1, "name": name, "full_name": repo, "default_branch": branch, "private": true},
            "head_commit": {"id": sha, "message": message},
            "commits": [{"id": sha, "message": message, "added": [], "removed": [], "modified": ["src/main.rs"]}],
        })
        .to_string()
    };
    let missing = bytes.saturating_sub(body("").len()) / 2;
    body(&"x".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_signed_as_github_documents_it() {
        // The example of GitHub's documentation of webhooks, "Testing the webhook payload validation".
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let secret = "It's a Secret to Everybody".into();
        let hook = Hook { addr, host: "hooks.test".into(), path: "/hooks/x".into(), secret };
        let request = hook.delivery("1", "Hello, World!".into()).unwrap();
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(request.headers()["x-hub-signature-256"], expected);
    }

    #[test]
    fn a_push_is_as_large_as_asked() {
        let length = push("acme/shop", "main", "2222222222222222222222222222222222222222", 2048).len();
        assert!((2040..=2048).contains(&length), "{length}");
    }
}
