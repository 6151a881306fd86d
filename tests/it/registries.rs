//! Images of a private registry, Debian's docker-registry, on the machine's Docker: opened by a secret, and by nothing else.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bollard::auth::DockerCredentials;
use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::TryStreamExt;

use crate::docker;
use crate::stand::{PATIENCE, Stand, lossy};

/// Unpacked by `scripts/docker`.
const PROGRAM: &str = "/usr/local/lib/cutover/docker-registry";
const USER: &str = "anna";
const PASSWORD: &str = "open-Sesame-77";
/// Of that password, by bcrypt.
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuxJfmnjnJha8tZ6AHo80C5KuXiZ9bHJa";

/// A registry that wants a name and a password, in plain HTTP on loopback; ended when it is dropped.
struct Registry {
    child: Child,
    host: String,
}

impl Registry {
    fn begin(folder: &Path) -> Self {
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {0}/registry}}}}\nhttp: {{addr: \"{host}\"}}\n\
             auth: {{htpasswd: {{realm: test, path: {0}/htpasswd}}}}\n",
            folder.display()
        );
        std::fs::write(folder.join("registry.yml"), config).unwrap();
        std::fs::write(folder.join("htpasswd"), format!("{USER}:{HASHED}\n")).unwrap();
        let log = std::fs::File::create(folder.join("registry.log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(folder.join("registry.yml")).stdin(Stdio::null());
        command.env_clear().stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{PROGRAM} ({error}): run scripts/docker first"));
        Self { child, host }
    }

    /// Has our program, and Docker has it under that name no more.
    async fn push(&self, image: &str) -> String {
        let docker = docker::client().await;
        let repository = format!("{}/shop/web", self.host);
        let options = TagImageOptionsBuilder::new().repo(&repository).tag("1").build();
        docker.tag_image(image, Some(options)).await.unwrap();
        let login = DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::new().tag("1").build();
        let pushed: Vec<_> = docker.push_image(&repository, Some(options), Some(login)).try_collect().await.unwrap();
        assert!(!pushed.is_empty());
        let reference = format!("{repository}:1");
        forgotten(&reference).await;
        reference
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn forgotten(reference: &str) {
    let options = RemoveImageOptionsBuilder::new().noprune(true).build();
    docker::client().await.remove_image(reference, Some(options), None).await.unwrap();
}

/// A value of the secret `registry`, by a file.
async fn set(stand: &Stand, value: &str) {
    let file = stand.folder().join("value");
    std::fs::write(&file, value).unwrap();
    let name = format!("{}/registry", stand.project);
    stand.must(&["secret", "set", &name, "--file", &file.to_string_lossy()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_registry_is_opened_by_a_secret_and_by_nothing_else() {
    let stand = Stand::begin().await;
    let registry = Registry::begin(stand.folder());
    let begun = tokio::time::Instant::now();
    while std::net::TcpStream::connect(&registry.host).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the registry does not answer");
    }
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
