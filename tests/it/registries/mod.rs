//! Images of registries, Debian's docker-registry, on the machine's Docker.

mod authority;
mod between;
mod lost;
mod platforms;
mod registry;
mod trust;

use registry::{PASSWORD, Registry, USER, forgotten};

use crate::stand::{Stand, lossy};

/// A value of the secret `registry`, by a file.
async fn set(stand: &Stand, value: &str) {
    let file = stand.folder().join("value");
    std::fs::write(&file, value).unwrap();
    let name = format!("{}/registry", stand.project);
    stand.must(&["secret", "set", &name, "--file", &file.to_string_lossy()]).await;
}

/// The secret `registry` opens the registries of the tests.
async fn opened(stand: &Stand) {
    set(stand, &format!("{USER}:{PASSWORD}")).await;
}

/// The lines of a workload NAME whose image is a reference with more keys, and that answers what its image says.
fn lines(stand: &Stand, name: &str, image: &str) -> String {
    format!(
        "image = {{ credentials = \"registry\", {image} }}\nport = 8080\nhost = \"{name}.{}.test\"\n\
         policy = {{ liveness = \"100ms\", drain = \"100ms\", bake = \"100ms\", stop_timeout = \"1s\" }}\n",
        stand.project
    )
}

/// What a workload answers through the proxy.
async fn answer(stand: &Stand, name: &str) -> String {
    stand.get_of(&format!("{name}.{}.test", stand.project), "/").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_registry_is_opened_by_a_secret_and_by_nothing_else() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder()).await;
    let reference = registry.push(&stand.image).await;
    let file = stand.folder().join("web.toml");
    let source = |more: &str| {
        let image = format!("image = {{ ref = \"{reference}\"{more} }}");
        let lines = stand.web("private").replace(&format!("image = \"{}\"", stand.image), &image);
        std::fs::write(&file, format!("project = \"{}\"\n[workloads.web]\n{lines}\n", stand.project)).unwrap();
    };
    let apply = async || stand.ask(&["apply", &file.to_string_lossy()]).await;
    let with_secret = ", credentials = \"registry\"";

    source(with_secret);
    let missing = apply().await;
    assert_eq!(missing.status.code(), Some(15), "{}", lossy(&missing.stderr));
    assert!(lossy(&missing.stderr).contains("the secret registry does not exist"), "{}", lossy(&missing.stderr));

    let web = format!("{}/web", stand.project);
    for (number, (value, words)) in [
        (&format!("{USER}:wrong-Sesame-78")[..], &[registry.host.as_str(), "for the secret registry"][..]),
        ("no-login-Sesame-79", &["the secret registry does not open a registry", "user:password"]),
    ]
    .into_iter()
    .enumerate()
    {
        set(&stand, value).await;
        let refused = if number == 0 { apply().await } else { stand.ask(&["deploy", &web]).await };
        let line = lossy(&refused.stderr);
        assert!(!refused.status.success() && words.iter().all(|word| line.contains(word)), "{line}");
        assert!(!line.contains("Sesame") && stand.of_kind("DeploymentPlanned").await.is_empty(), "{line}");
    }

    set(&stand, &format!("{{\"username\": \"{USER}\", \"password\": \"{PASSWORD}\"}}")).await;
    stand.must(&["deploy", &web]).await;
    assert!(stand.get("/").await.contains("private"));
    let planned = stand.of_kind("DeploymentPlanned").await;
    assert!(planned.iter().any(|event| event.to_string().contains("\"login\"")), "{planned:?}");
    let told = stand.must(&["events", "--json"]).await;
    let log = std::fs::read_to_string(stand.folder().join("serve.log")).unwrap();
    assert!(!told.contains("Sesame") && !log.contains("Sesame"), "{told}{log}");

    // What is here needs no registry.
    drop(registry);
    stand.must(&["restart", &web]).await;
    stand.end(&["web"]).await;
    forgotten(&reference).await;
}
