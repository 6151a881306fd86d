//! Pulls, from a registry that the tests serve themselves on loopback.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cutover::adapters::runtime::{Runtime, RuntimeError};
use cutover_events::Digest;
use cutover_events::workload::Pull;
use parking_lot::Mutex;
use serde_json::json;

use crate::docker;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry holds: paths below `/v2/`, their content types and bytes.
#[derive(Default)]
struct Registry {
    content: Mutex<BTreeMap<String, (&'static str, Vec<u8>)>>,
    /// Status for everything that is not held.
    refusal: Mutex<&'static str>,
    manifests_asked: AtomicUsize,
}

impl Registry {
    /// Serves until the test process ends; gives `127.0.0.1:port`.
    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let registry = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let registry = registry.clone();
                std::thread::spawn(move || registry.answer(&stream));
            }
        });
        address
    }

    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next()?.ok()?;
        while lines.next()?.ok()?.as_str() != "" {}
        let mut words = request.split(' ');
        let (method, path) = (words.next()?, words.next()?.strip_prefix("/v2/")?);
        if path.contains("/manifests/") {
            self.manifests_asked.fetch_add(1, Ordering::Relaxed);
        }
        let held = self.content.lock().get(path).cloned();
        let (status, kind, body) = match held {
            Some((kind, body)) => ("200 OK", kind, body),
            None if path.is_empty() => ("200 OK", "application/json", b"{}".to_vec()),
            None => {
                let refusal = *self.refusal.lock();
                let errors = match refusal.split(' ').next() {
                    Some("401") => json!([{"code": "UNAUTHORIZED", "message": "authentication required"}]),
                    _ => json!([{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]),
                };
                (refusal, "application/json", json!({"errors": errors}).to_string().into_bytes())
            }
        };
        let digest = Digest::of(&body);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: sha256:{digest}\r\n\
             Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut out = stream;
        out.write_all(head.as_bytes()).ok()?;
        if method == "HEAD" { Some(()) } else { out.write_all(&body).ok() }
    }

    /// A tag now means an image with this in it; gives the digest of its manifest.
    fn push(&self, name: &str, tag: &str, text: &str) -> String {
        let layer = docker::tar_of("version", text.as_bytes());
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/version"], "ExposedPorts": {"8080/tcp": {}}},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", Digest::of(&layer))]}
        });
        let config = config.to_string().into_bytes();
        let described = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "size": bytes.len(), "digest": format!("sha256:{}", Digest::of(bytes))});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described("application/vnd.docker.container.image.v1+json", &config),
            "layers": [described("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)]
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = format!("sha256:{}", Digest::of(&manifest));
        let mut content = self.content.lock();
        for blob in [config, layer] {
            let path = format!("{name}/blobs/sha256:{}", Digest::of(&blob));
            content.insert(path, ("application/octet-stream", blob));
        }
        for reference in [tag, &digest] {
            content.insert(format!("{name}/manifests/{reference}"), (MANIFEST, manifest.clone()));
        }
        digest
    }
}

/// Removes what a test has pulled or tagged, whether it failed or not.
struct Pulled(Vec<String>);

impl Pulled {
    async fn remove(self) {
        let docker = docker::client().await;
        for reference in self.0 {
            let options = bollard::query_parameters::RemoveImageOptionsBuilder::new().force(true).build();
            drop(docker.remove_image(&reference, Some(options), None).await);
        }
    }
}

fn architecture_is_ours() -> bool {
    cfg!(target_arch = "x86_64")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registry_is_asked_when_the_policy_says_so() {
    docker::client().await;
    let registry = Arc::new(Registry { refusal: Mutex::new("404 Not Found"), ..Registry::default() });
    let host = registry.serve();
    let runtime = docker::runtime();
    let first = registry.push("shop/web", "1", "one");
    let reference = format!("{host}/shop/web:1");
    let pinned = format!("{host}/shop/web@{first}");
    let asked = || registry.manifests_asked.swap(0, Ordering::Relaxed);
    let platform = if architecture_is_ours() { "" } else { "linux/amd64" };
    let resolve = |reference: &str, pull| {
        let (runtime, reference) = (runtime.clone(), reference.to_owned());
        async move { runtime.resolve(&reference, (pull, platform), None).await }
    };

    let never = resolve(&reference, Pull::Never).await;
    assert!(matches!(never, Err(RuntimeError::ImageMissing(_))), "{never:?}");
    assert_eq!(asked(), 0);
    let one = resolve(&reference, Pull::Missing).await.expect("a pull");
    assert_eq!((one.repo_digest.as_str(), one.exposed.as_slice()), (pinned.as_str(), [8080].as_slice()));
    assert!(asked() > 0);
    assert_eq!(resolve(&reference, Pull::Missing).await.as_ref(), Ok(&one));
    assert_eq!(resolve(&pinned, Pull::Missing).await.as_ref(), Ok(&one));
    assert_eq!(asked(), 0);

    registry.push("shop/web", "1", "two");
    assert_eq!(resolve(&reference, Pull::Missing).await.as_ref(), Ok(&one));
    let two = resolve(&reference, Pull::Always).await.expect("a pull");
    assert_ne!((&two.id, &two.repo_digest), (&one.id, &one.repo_digest));
    // By digest the first is still meant.
    assert_eq!(resolve(&pinned, Pull::Always).await.as_ref(), Ok(&one));

    registry.content.lock().clear();
    let other = format!("{host}/shop/other:1");
    for refusal in ["404 Not Found", "401 Unauthorized"] {
        *registry.refusal.lock() = refusal;
        assert_eq!(resolve(&reference, Pull::Always).await.as_ref(), Ok(&two), "{refusal}");
        match (resolve(&other, Pull::Missing).await, refusal) {
            // What is not there may come; what one may not see is a matter for a person.
            (Err(RuntimeError::NotPushed(text)), "404 Not Found") => assert!(text.contains("shop/other:1"), "{text}"),
            (Err(RuntimeError::ImageMissing(text)), "401 Unauthorized") => {
                assert!(text.contains("shop/other:1"), "{text}")
            }
            (other, _) => panic!("{refusal}: {other:?}"),
        }
    }
    registry.push("shop/other", "1", "other");
    let pushed = resolve(&other, Pull::Missing).await.expect("it is there now");
    Pulled(vec![reference, pinned, two.id, other, pushed.id]).remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_is_no_missing_image() {
    docker::client().await;
    // Bound and dropped: nothing listens there now.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let runtime = docker::runtime();
    let away = runtime.resolve(&format!("127.0.0.1:{port}/shop/web:1"), (Pull::Missing, ""), None).await;
    assert!(matches!(&away, Err(RuntimeError::Busy(text)) if text.contains("registry")), "{away:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_platform_is_another_image() {
    docker::client().await;
    let image = docker::image().await;
    let runtime = docker::runtime();
    let found = runtime.resolve(&image, (Pull::Never, "linux"), None).await.expect("the image");
    assert_eq!(found.id, image);
    match runtime.resolve(&image, (Pull::Never, "linux/s390x"), None).await {
        Err(RuntimeError::ImageMissing(text)) => assert!(text.contains("linux/s390x"), "{text}"),
        other => panic!("{other:?}"),
    }
}
