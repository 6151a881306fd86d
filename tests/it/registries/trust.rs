//! Registries that speak TLS: what Docker does not trust ends a deployment at once, and says what a person does about it.

use std::time::Duration;

use cutover::adapters::runtime::{Runtime, RuntimeError};
use cutover_events::workload::Pull;

use super::authority::Authority;
use super::registry::{Registry, bridge, platform, swept};
use super::{answer, lines, opened};
use crate::docker;
use crate::stand::{Stand, labelled, lossy};

/// A deployment that ends at once does so within this time; one whose registry is away is tried for 30 s and longer.
const AT_ONCE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_over_tls_is_used_where_docker_trusts_it_and_refused_at_once_where_not() {
    let stand = Stand::begin().await;
    let own = platform().await;
    let filled = Registry::begin(stand.folder()).await;
    filled.put_image("1", (&own, "one"), &[]);
    filled.put_image("2", (&own, "two"), &[]);
    let address = bridge().await;
    let authority = Authority::new(stand.folder());
    let certificate = authority.certificate("good", address, 2);
    let registry = Registry::begin_at(stand.folder(), address, Some(&certificate)).await;
    opened(&stand).await;

    let trusted = authority.trusted(&registry.host);
    stand.apply("web", &lines(&stand, "web", &format!("ref = \"{}/shop/web:1\"", registry.host))).await;
    assert!(answer(&stand, "web").await.ends_with("one"));

    drop(trusted);
    let before = labelled(stand.log).await;
    let (web, second) = (format!("{}/web", stand.project), format!("{}/shop/web:2", registry.host));
    let begun = tokio::time::Instant::now();
    let refused = stand.ask(&["deploy", &web, "--image", &second]).await;
    let (line, took) = (lossy(&refused.stderr), begun.elapsed());
    assert!(!refused.status.success() && took < AT_ONCE, "{took:?}: {line}");
    let belongs = format!("/etc/docker/certs.d/{}/ca.crt", registry.host);
    let trust = format!("Docker on the server does not trust the certificate of the registry {}", registry.host);
    assert!(line.lines().any(|line| line.contains(&trust) && line.contains(&belongs)), "{line}");
    assert!(line.contains("x509: certificate signed by unknown authority"), "{line}");
    assert_eq!(stand.of_kind("DeploymentPlanned").await.len(), 1);
    assert_eq!(labelled(stand.log).await, before);
    assert!(answer(&stand, "web").await.ends_with("one"));

    let _trusted = authority.trusted(&registry.host);
    stand.must(&["deploy", &web, "--image", &second]).await;
    assert!(answer(&stand, "web").await.ends_with("two"));
    stand.end(&["web"]).await;
    swept(&registry.host).await;
}

/// What the engine says of an image that is pulled from this registry; it must be nothing that is tried again.
async fn refused(registry: &Registry) -> String {
    let reference = format!("{}/shop/web:1", registry.host);
    match docker::runtime().resolve(&reference, (Pull::Missing, ""), None).await {
        Err(RuntimeError::Refused(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_certificate_that_docker_does_not_take_has_its_own_line() {
    let folder = tempfile::tempdir().unwrap();
    let address = bridge().await;
    let authority = Authority::new(folder.path());
    for (name, holds, days, words) in [
        ("expired", address, -1, &["has expired, or is not valid yet", "renew it"][..]),
        ("other", [192, 0, 2, 1].into(), 2, &["is for another name", "192.0.2.1"]),
    ] {
        let certificate = authority.certificate(name, holds, days);
        let registry = Registry::begin_at(folder.path(), address, Some(&certificate)).await;
        let _trusted = authority.trusted(&registry.host);
        let line = refused(&registry).await;
        let named = format!("the certificate of the registry {}", registry.host);
        assert!(line.contains(&named) && words.iter().all(|word| line.contains(word)), "{line}");
    }
    let plain = Registry::begin_at(folder.path(), address, None).await;
    let line = refused(&plain).await;
    let named = format!("Docker on the server asks the registry {} by TLS, and it speaks plain HTTP", plain.host);
    assert!(line.contains(&named) && line.contains("\"insecure-registries\""), "{line}");
}
