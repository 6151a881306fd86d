//! Images for several platforms: which one is taken, and what is pinned.

use std::path::Path;

use super::registry::{Registry, platform, swept};
use super::{answer, lines, opened};
use crate::docker;
use crate::stand::{Stand, labelled, lossy, text};

/// `os/arch` of the image of a container.
async fn runs(container: &str) -> String {
    let docker = docker::client().await;
    let options = None::<bollard::query_parameters::InspectContainerOptions>;
    let image = docker.inspect_container(container, options).await.unwrap().image.unwrap();
    let image = docker.inspect_image(&image).await.unwrap();
    format!("{}/{}", image.os.unwrap(), image.architecture.unwrap())
}

/// Repository digest and image of each release that was found so far.
async fn pinned(stand: &Stand) -> Vec<(String, String)> {
    let found = stand.of_kind("ReleaseResolved").await;
    found.iter().map(|event| (text(event, "repo_digest").unwrap(), text(event, "image").unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_gives_each_workload_its_platform_and_its_digest_is_pinned() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    opened(&stand).await;
    let own = platform().await;
    let other = if own == "linux/arm64" { "linux/amd64" } else { "linux/arm64" };
    // Both are this machine's program, whatever they are said to be for: it shows which one runs.
    let [ours, theirs] =
        [(own.as_str(), "ours"), (other, "theirs")].map(|image| registry.put_image("part", image, &[]));
    let first = registry.put_index("1", &[theirs, ours.clone()], "");
    let reference = format!("{}/shop/web:1", registry.host);
    let exact = |digest: &str| format!("{}/shop/web@{digest}", registry.host);

    let named = lines(&stand, "named", &format!("ref = \"{reference}\", platform = \"{other}\""));
    stand.apply("named", &named).await;
    assert!(answer(&stand, "named").await.ends_with("theirs"));
    // The image that is here under this name now is for another platform.
    stand.apply("own", &lines(&stand, "own", &format!("ref = \"{reference}\""))).await;
    assert!(answer(&stand, "own").await.ends_with("ours"));
    let mut platforms = Vec::new();
    for container in labelled(stand.log).await {
        platforms.push(runs(container.trim_start_matches('/')).await);
    }
    platforms.sort();
    let mut both = [own.as_str(), other];
    both.sort_unstable();
    assert_eq!(platforms, both);
    let found = pinned(&stand).await;
    assert!(found.iter().all(|(digest, _)| *digest == exact(&first)) && found[0].1 != found[1].1, "{found:?}");

    let [named, own_name] = ["named", "own"].map(|name| format!("{}/{name}", stand.project));
    for more in [&[][..], &["--pull"]] {
        stand.must(&[&["deploy", &own_name], more].concat()).await;
        stand.must(&[&["deploy", &named], more].concat()).await;
    }
    let again = pinned(&stand).await;
    let same = [found[1].clone(), found[0].clone()];
    assert_eq!([&again[2..4], &again[4..6]], [&same, &same]);

    // The index changes, and this platform's part of it does not: the image that is here has two digests then.
    let changed = registry.put_image("part", (other, "theirs again"), &[]);
    let second = registry.put_index("1", &[changed, ours], &first);
    stand.must(&["deploy", &own_name, "--pull"]).await;
    assert_eq!(pinned(&stand).await[6], (exact(&second), found[1].1.clone()));
    stand.end(&["named", "own"]).await;
    swept(&registry.host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_an_index_has_not_is_refused_and_nothing_is_touched() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    opened(&stand).await;
    let own = platform().await;
    let parts = [(own.as_str(), "ours"), ("linux/s390x", "theirs")].map(|image| registry.put_image("part", image, &[]));
    registry.put_index("1", &parts, "");
    registry.put_index("2", &parts, "");
    let image = format!("{}/shop/web", registry.host);
    stand.apply("web", &lines(&stand, "web", &format!("ref = \"{image}:1\""))).await;
    let before = labelled(stand.log).await;

    let asked = lines(&stand, "web", &format!("ref = \"{image}:2\", platform = \"linux/ppc64le\""));
    let file: &Path = &stand.folder().join("other.toml");
    std::fs::write(file, format!("project = \"{}\"\n[workloads.web]\n{asked}\n", stand.project)).unwrap();
    let refused = stand.ask(&["apply", &file.to_string_lossy()]).await;
    let line = lossy(&refused.stderr);
    let words = [&registry.host, "does not have it for linux/ppc64le", &own, "linux/s390x"];
    assert!(!refused.status.success(), "{line}");
    assert!(line.lines().any(|line| words.iter().all(|word| line.contains(*word))), "{line}");
    assert_eq!(labelled(stand.log).await, before);
    assert_eq!(stand.of_kind("DeploymentPlanned").await.len(), 1);
    assert!(answer(&stand, "web").await.ends_with("ours"));
    stand.end(&["web"]).await;
    swept(&registry.host).await;
}
