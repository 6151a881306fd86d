//! Secrets on Docker for real, by the program that people run: set, given as a file and inside the environment, rotated,
//! taken out of what containers print, and gone with them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use cutover::secrets::SecretFiles;
use cutover_events::LogId;
use futures_util::TryStreamExt;
use serde_json::Value;

use crate::docker;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// The values: nothing else on this machine looks like them.
const FIRST: &str = "first-Zq8!p4ssw0rd";
const SECOND: &str = "second-Xw9?k3yph4se";
const KEY: &str = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END KEY-----\n";

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// An engine and its proxy, over the machine's Docker.
struct Stand {
    folder: tempfile::TempDir,
    proxy: SocketAddr,
    processes: Vec<Process>,
}

impl Stand {
    #[expect(clippy::disallowed_methods, reason = "processes of their own are waited for, which have the real clock")]
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "data_dir = \"{}\"\n[proxy]\nlisten = [\"{proxy}\"]\n[limits]\nsources = [\"{}\"]\n",
            folder.path().join("data").display(),
            folder.path().display()
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let mut stand = Self { folder, proxy, processes: Vec::new() };
        for name in ["proxy", "serve"] {
            let log = std::fs::File::create(stand.folder.path().join(format!("{name}.log"))).unwrap();
            let mut command = stand.command(&[name]);
            command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
            stand.processes.push(Process(command.spawn().unwrap()));
        }
        let deadline = Instant::now() + PATIENCE;
        while !stand.run(&["status", "--json"], b"").status.success() {
            assert!(Instant::now() < deadline, "the engine does not answer: {}", stand.logs());
        }
        stand
    }

    /// As under a service manager, where the engine starts no proxy by itself.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.arg("--config").arg(self.folder.path().join("config.toml")).args(args).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("INVOCATION_ID", "test");
        command.env("NOTIFY_SOCKET", self.folder.path().join("manager"));
        command
    }

    fn run(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.command(args);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        drop(child.stdin.take().unwrap().write_all(stdin));
        child.wait_with_output().unwrap()
    }

    /// What a command that succeeds prints.
    fn must(&self, args: &[&str], stdin: &[u8]) -> String {
        let said = self.run(args, stdin);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(said.status.success(), "{args:?}: {}{}\n{}", text(&said.stdout), text(&said.stderr), self.logs());
        let told = text(&said.stdout) + &text(&said.stderr);
        clean(&told, &format!("{args:?}"));
        told
    }

    /// The line of a command that ends with this code.
    fn refused(&self, args: &[&str], stdin: &[u8], code: i32) -> String {
        let said = self.run(args, stdin);
        let line = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(code), "{args:?}: {line}");
        clean(&line, &format!("{args:?}"));
        line
    }

    fn logs(&self) -> String {
        ["proxy", "serve"]
            .map(|name| std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default())
            .concat()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.must(&[args, &["--json"]].concat(), b"")).unwrap()
    }

    fn log_id(&self) -> LogId {
        self.json(&["log", "head"])["log_id"].as_str().unwrap().parse().unwrap()
    }

    /// What the workload answers through the proxy.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.proxy).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: web.secrets.test\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned()
    }

    /// The containers of this engine, as Docker tells them.
    async fn containers(&self) -> Vec<bollard::models::ContainerInspectResponse> {
        let docker = docker::client().await;
        let label = format!("{}={}", cutover::adapters::runtime::labels::LOG, self.log_id());
        let filters = std::collections::HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let mut found = Vec::new();
        for one in docker.list_containers(Some(options)).await.unwrap() {
            // One that goes meanwhile is gone.
            match docker.inspect_container(&one.id.unwrap(), None::<InspectContainerOptions>).await {
                Ok(container) => found.push(container),
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        found
    }

    /// The one container that is left once the former one is gone.
    #[expect(clippy::disallowed_methods, reason = "Docker is waited for, which has the real clock")]
    async fn container(&self) -> bollard::models::ContainerInspectResponse {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut found = self.containers().await;
            match found.pop() {
                Some(only) if found.is_empty() => return only,
                other => {
                    assert!(Instant::now() < deadline, "{} containers", found.len() + usize::from(other.is_some()))
                }
            }
        }
    }

    /// The whole data folder, but for the sockets.
    fn kept(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut folders, mut files) = (vec![self.path("data")], Vec::new());
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let (below, others): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
            folders.extend(below);
            let plain = others.into_iter().filter(|path| path.is_file());
            files.extend(plain.map(|path| (path.clone(), std::fs::read(path).unwrap())));
        }
        files
    }
}

/// No value is in a text, in any form.
fn clean(text: &str, whose: &str) {
    for value in [FIRST, SECOND, "MIIEvQIBADANBgkqhkiG9w0B"] {
        assert!(!text.contains(value), "{whose} holds a value: {text}");
    }
}

fn workload(image: &str, more: &str) -> String {
    format!(
        "project = \"secrets\"\n[workloads.web]\nimage = \"{image}\"\nhost = \"web.secrets.test\"\nport = 8080\n\
         health = \"/\"\nenv = {{ WHO = \"db:${{secret:db_password}}@host\" }}\nsecrets = [\"key\"]\n{more}\n\
         [workloads.web.policy]\nbake = \"0s\"\ndrain = \"1s\"\nstop_timeout = \"1s\"\n"
    )
}

fn source_of(container: &bollard::models::ContainerInspectResponse) -> PathBuf {
    let mounts = container.mounts.clone().unwrap_or_default();
    let mount = mounts.into_iter().find(|mount| mount.destination.as_deref() == Some("/run/secrets")).unwrap();
    assert_eq!(mount.rw, Some(false), "nobody writes to it");
    mount.source.unwrap().into()
}

async fn reference() -> String {
    let id = docker::image().await;
    let tags = docker::client().await.inspect_image(&id).await.unwrap().repo_tags;
    tags.into_iter().flatten().find(|tag| tag.starts_with("cutover-test/")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_given_rotated_redacted_and_gone_with_its_container() {
    let image = reference().await;
    let stand = Stand::begin();
    let log = stand.log_id();
    let outcome = std::panic::AssertUnwindSafe(course(&stand, &image));
    let outcome = futures_util::FutureExt::catch_unwind(outcome).await;
    drop(stand);
    docker::sweep(log).await;
    SecretFiles::of(log).keep_only(&BTreeSet::new()).unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

async fn course(stand: &Stand, image: &str) {
    let file = stand.file("web.toml", &workload(image, ""));
    missing(stand, &file);
    stand.must(&["secret", "set", "secrets/db_password"], FIRST.as_bytes());
    let key = stand.file("key.pem", KEY);
    let told = stand.must(&["secret", "set", "secrets/key", "--file", &key], b"");
    assert!(told.contains("secrets/key has version 1") && told.contains("no workload needs it yet"), "{told}");
    stand.must(&["apply", &file], b"");
    let folder = given(stand, FIRST, 1).await;
    rotated(stand, &file).await;
    assert!(!folder.exists(), "the files of a container go with it");
    printed(stand);
    stand.must(&["secret", "rekey", "secrets"], b"");
    stand.must(&["restart", "secrets/web"], b"");
    given(stand, SECOND, 4).await;
    let folder = source_of(&stand.container().await);
    let line = stand.refused(&["secret", "rm", "secrets/key"], b"", 4);
    assert!(line.contains("secrets/web"), "{line}");
    stand.must(&["teardown", "secrets/web"], b"");
    assert!(!folder.exists() && stand.containers().await.is_empty());
    for name in ["key", "db_password"] {
        stand.must(&["secret", "rm", &format!("secrets/{name}")], b"");
    }
    nowhere(stand);
}

/// Without its secrets a workload is refused, and nothing is touched.
fn missing(stand: &Stand, file: &str) {
    for command in ["plan", "apply"] {
        let line = stand.refused(&[command, file], b"", 15);
        assert!(line.contains("secrets/web: the secret") && line.contains("cutover secret set secrets/"), "{line}");
    }
    assert_eq!(stand.json(&["status"])["workloads"].as_array().map(Vec::len), Some(0));
}

/// The container has this password and the key, from a tmpfs, and its description has no file's content.
async fn given(stand: &Stand, password: &str, version: u64) -> PathBuf {
    assert_eq!(stand.get("/"), format!("db:{password}@host"));
    assert_eq!(stand.get("/run/secrets/key"), KEY);
    let container = stand.container().await;
    let folder = source_of(&container);
    assert_eq!(rustix::fs::statfs(&folder).unwrap().f_type, 0x0102_1994, "a tmpfs");
    let told = format!("{container:?}");
    assert!(!told.contains("MIIEvQIBADANBgkqhkiG9w0B") && told.contains(password), "a variable is seen, a file is not");
    let exported = exported(container.id.as_deref().unwrap()).await;
    assert!(!exported.windows(20).any(|window| window == &KEY.as_bytes()[20..40]), "it is in no layer");
    let list = stand.json(&["secret", "list"]);
    let all = list["secrets"].as_array().unwrap();
    let one = all.iter().find(|secret| secret["name"] == "db_password").unwrap();
    assert_eq!(one["used_by"][0]["runs_with"], version, "{list}");
    folder
}

/// What `docker export` gives.
async fn exported(id: &str) -> Vec<u8> {
    let docker = docker::client().await;
    let parts: Vec<_> = docker.export_container(id).try_collect().await.unwrap();
    parts.concat()
}

/// A new value changes nothing by itself; a restart brings it, or `--deploy` at once.
async fn rotated(stand: &Stand, file: &str) {
    let before = stand.container().await.id;
    let told = stand.must(&["secret", "set", "secrets/db_password"], SECOND.as_bytes());
    assert!(told.contains("version 2") && told.contains("secrets/web runs with version 1"), "{told}");
    stand.must(&["apply", file], b"");
    assert_eq!(stand.container().await.id, before, "nothing new");
    let told = stand.must(&["secret", "set", "secrets/db_password"], SECOND.as_bytes());
    assert!(told.contains("already"), "{told}");
    stand.must(&["restart", "secrets/web"], b"");
    given(stand, SECOND, 2).await;
    let set = ["secret", "set", "secrets/db_password", "--deploy", "--json"];
    let view: Value = serde_json::from_str(&stand.must(&set, FIRST.as_bytes())).unwrap();
    let id = view["deployments"][0]["deployment_id"].as_str().unwrap_or_else(|| panic!("{view}"));
    stand.must(&["wait", id], b"");
    assert_eq!(stand.get("/"), format!("db:{FIRST}@host"));
    let view: Value = serde_json::from_str(&stand.must(&set, SECOND.as_bytes())).unwrap();
    stand.must(&["wait", view["deployments"][0]["deployment_id"].as_str().unwrap()], b"");
    assert_eq!(stand.get("/"), format!("db:{SECOND}@host"));
    let versions = stand.must(&["secret", "versions", "secrets/db_password"], b"");
    assert!(versions.contains("4 versions kept"), "{versions}");
}

/// The program prints what it is given; nobody reads it here.
fn printed(stand: &Stand) {
    let told = stand.must(&["logs", "secrets/web"], b"");
    assert!(told.contains("err: db:[secret]@host") && told.contains("given: [secret]"), "{told}");
    let bad = stand.file("bad.toml", &workload(&image_of(stand), "").replace("WHO", "EXIT = \"3\", WHO"));
    let line = stand.refused(&["apply", &bad], b"", 10);
    let told = stand.must(&["logs", "secrets/web"], b"");
    assert!(told.contains("[secret]"), "{line}{told}");
    let good = stand.path("web.toml").display().to_string();
    stand.must(&["apply", &good], b"");
}

fn image_of(stand: &Stand) -> String {
    let show = stand.json(&["show", "secrets/web"]);
    show["spec"]["source"]["image"].as_str().unwrap().to_owned()
}

/// No value is in the log, in what the engine keeps or in what it has said.
fn nowhere(stand: &Stand) {
    for args in [&["events", "--json"][..], &["log", "export"], &["timeline", "secrets/web"], &["events"]] {
        stand.must(args, b"");
    }
    clean(&stand.logs(), "the engine's own log");
    for (path, content) in stand.kept() {
        clean(&String::from_utf8_lossy(&content), &path.display().to_string());
    }
    let blobs = stand.path("data/blobs");
    let project = stand.path("data/secrets/project-secrets.age");
    assert!(!project.exists(), "the identity goes with the last secret; {} blobs", count(&blobs));
    stand.must(&["log", "verify"], b"");
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
