//! Debian's docker-registry, as a test wants it, and what is put into it: by Docker, or by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bollard::auth::DockerCredentials;
use bollard::models::IpamConfig;
use bollard::query_parameters::{
    InspectNetworkOptions, ListImagesOptions, PushImageOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use cutover::adapters::runtime::gateway;
use cutover_events::Digest;
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use super::authority::Certificate;
use crate::docker;
use crate::stand::PATIENCE;

/// Unpacked by `scripts/docker`.
const PROGRAM: &str = "/usr/local/lib/cutover/docker-registry";
pub(super) const USER: &str = "anna";
pub(super) const PASSWORD: &str = "open-Sesame-77";
/// Of that password, by bcrypt.
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuxJfmnjnJha8tZ6AHo80C5KuXiZ9bHJa";
/// What everything is pushed as.
const REPOSITORY: &str = "shop/web";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that wants a name and a password; ended when it is dropped. Those of one folder hold the same.
pub(super) struct Registry {
    child: Child,
    pub(super) host: String,
}

impl Registry {
    /// In plain HTTP on loopback, where Docker trusts it as it is.
    pub(super) async fn begin(folder: &Path) -> Self {
        Self::begin_at(folder, Ipv4Addr::LOCALHOST, None).await
    }

    /// On another address, and with a certificate.
    pub(super) async fn begin_at(folder: &Path, address: Ipv4Addr, certificate: Option<&Certificate>) -> Self {
        let host = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().to_string();
        let tls = certificate.map_or_else(String::new, |own| {
            format!(", tls: {{certificate: {}, key: {}}}", own.certificate.display(), own.key.display())
        });
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {0}/registry}}}}\nhttp: {{addr: \"{host}\"{tls}}}\n\
             auth: {{htpasswd: {{realm: test, path: {0}/htpasswd}}}}\n",
            folder.display()
        );
        let file: PathBuf = folder.join(format!("registry-{}.yml", host.replace(':', "-")));
        std::fs::write(&file, config).unwrap();
        std::fs::write(folder.join("htpasswd"), format!("{USER}:{HASHED}\n")).unwrap();
        let log = std::fs::File::create(file.with_extension("log")).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(file).stdin(Stdio::null());
        command.env_clear().stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{PROGRAM} ({error}): run scripts/docker first"));
        let registry = Self { child, host };
        let begun = tokio::time::Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the registry does not answer");
        }
        registry
    }

    /// Has our program, and Docker has it under that name no more.
    pub(super) async fn push(&self, image: &str) -> String {
        let docker = docker::client().await;
        let repository = format!("{}/{REPOSITORY}", self.host);
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

    /// Has an image of our program for a platform, that answers with `who`, with these layers below it; gives what
    /// describes its manifest.
    pub(super) fn put_image(&self, tag: &str, (platform, who): (&str, &str), below: &[Vec<u8>]) -> Value {
        let program = docker::tar_of("app", &docker::program());
        let layers: Vec<&[u8]> = below.iter().map(Vec::as_slice).chain([program.as_slice()]).collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
        let mut config = of_platform(platform);
        config["config"] = json!({
            "Entrypoint": ["/app"], "ExposedPorts": {"8080/tcp": {}}, "Env": [format!("WHO={who}")],
            // No two tests have an image in common: Docker would list the digests of both for it.
            "Labels": {"registry": self.host}
        });
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        let config = self.put_blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let kind = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<Value> = layers.iter().map(|layer| self.put_blob(kind, layer)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let mut described = self.put_manifest(tag, (MANIFEST, &manifest));
        described["platform"] = of_platform(platform);
        described
    }

    /// The tag now means an index of these manifests; gives its digest, which is greater than `after`.
    pub(super) fn put_index(&self, tag: &str, manifests: &[Value], after: &str) -> String {
        let index = |number: u32| {
            let note = json!({"number": number.to_string()});
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": note})
        };
        let mut all = (0..).map(index);
        let index = all.find(|index| digest(index.to_string().as_bytes()).as_str() > after).unwrap();
        self.put_manifest(tag, (INDEX, &index));
        digest(index.to_string().as_bytes())
    }

    fn put_manifest(&self, tag: &str, (kind, manifest): (&str, &Value)) -> Value {
        let text = manifest.to_string();
        self.call("PUT", &format!("/v2/{REPOSITORY}/manifests/{tag}"), (kind, text.as_bytes()));
        described(kind, text.as_bytes())
    }

    fn put_blob(&self, kind: &str, blob: &[u8]) -> Value {
        let begun = self.call("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), (kind, b""));
        let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap();
        let place = place.trim().trim_start_matches(&format!("http://{}", self.host));
        let place = format!("{place}&digest={}", digest(blob).replace(':', "%3A"));
        self.call("PUT", &place, ("application/octet-stream", blob));
        described(kind, blob)
    }

    /// A call of the API of registries, which must succeed; gives the head of the answer.
    fn call(&self, method: &str, path: &str, (kind, body): (&str, &[u8])) -> String {
        let login = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        answer
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `sha256:…` of bytes.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

fn described(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "size": bytes.len(), "digest": digest(bytes)})
}

/// What images and indexes say of a platform `os/arch[/variant]`.
fn of_platform(platform: &str) -> Value {
    let parts = ["os", "architecture", "variant"].into_iter().zip(platform.split('/'));
    Value::Object(parts.map(|(key, word)| (key.to_owned(), json!(word))).collect())
}

/// The address of the host on Docker's own bridge: one that is not loopback, on every machine that runs Docker.
pub(super) async fn bridge() -> Ipv4Addr {
    let options = None::<InspectNetworkOptions>;
    let network = docker::client().await.inspect_network("bridge", options).await.unwrap();
    let ranges = network.ipam.and_then(|ipam| ipam.config).into_iter().flatten();
    // After a restart of the daemon it names the range alone.
    let address = |range: IpamConfig| match range.gateway {
        Some(address) => address.parse().ok(),
        None => gateway(&range.subnet?).map(|(address, _)| address),
    };
    ranges.filter_map(address).next().unwrap()
}

/// The platform of the daemon, `os/arch`.
pub(super) async fn platform() -> String {
    let version = docker::client().await.version().await.unwrap();
    format!("{}/{}", version.os.unwrap(), version.arch.unwrap())
}

/// Docker has an image under that name no more.
pub(super) async fn forgotten(reference: &str) {
    let options = RemoveImageOptionsBuilder::new().noprune(true).build();
    docker::client().await.remove_image(reference, Some(options), None).await.unwrap();
}

/// Docker has nothing of a registry any more, whatever a test has pulled from it.
pub(super) async fn swept(host: &str) {
    let docker = docker::client().await;
    let all = docker.list_images(None::<ListImagesOptions>).await.unwrap();
    let names = all.into_iter().flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests));
    for name in names.filter(|name| name.starts_with(&format!("{host}/"))) {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        // Its tag may have taken the digest along.
        drop(docker.remove_image(&name, Some(options), None).await);
    }
}
