//! Docker for tests: our own static program as an image, and everything that a test made gone after it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use cutover::adapters::runtime::{DockerConfig, DockerRuntime, labels};
use cutover::clock::Clock;
use cutover_events::{Digest, LogId};
use futures_util::TryStreamExt;

/// The runtime under test, over the machine's daemon.
pub(crate) fn runtime() -> Arc<DockerRuntime> {
    Arc::new(DockerRuntime::new(&DockerConfig::default(), Clock::system()))
}

/// The library's own client, for what the port cannot do.
///
/// # Panics
/// Without a daemon: these tests are never skipped.
pub(crate) async fn client() -> bollard::Docker {
    let config = DockerConfig::default();
    let path = config.socket.to_string_lossy().into_owned();
    let docker = bollard::Docker::connect_with_unix(&path, 60, bollard::API_DEFAULT_VERSION);
    let docker = docker.unwrap_or_else(|error| panic!("no Docker ({error}): run scripts/docker first"));
    let ping = docker.ping().await;
    assert!(ping.is_ok(), "Docker does not answer ({ping:?}): run scripts/docker first");
    docker
}

/// The log id of a test: the same in every run from this folder, so that a run removes what a failed one left.
pub(crate) fn log_id(test: &str) -> LogId {
    let seed = format!("{} {test}", env!("CARGO_TARGET_TMPDIR"));
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(seed.as_bytes()).0[..16]);
    // A ULID holds 128 bits, its text form begins with 0 to 7.
    id[0] &= 0x7f;
    LogId(id)
}

/// Removes every container, network and volume that carries this log id.
pub(crate) async fn sweep(log: LogId) {
    let docker = client().await;
    let filters = HashMap::from([("label", vec![format!("{}={log}", labels::LOG)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for found in docker.list_containers(Some(options)).await.expect("containers are listed") {
        remove_container(&docker, &found.id.expect("an id")).await;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for found in docker.list_networks(Some(options)).await.expect("networks are listed") {
        docker.remove_network(&found.id.expect("an id")).await.expect("an empty network is removed");
    }
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    let found = docker.list_volumes(Some(options)).await.expect("volumes are listed").volumes;
    for volume in found.into_iter().flatten() {
        docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await.expect("an unused volume is removed");
    }
}

/// Removes a container, whatever it does; one that goes meanwhile is as good.
pub(crate) async fn remove_container(docker: &bollard::Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
        Err(error) => panic!("{name} is not removed: {error}"),
    }
}

/// Containers whose command holds this text.
pub(crate) async fn containers_running(text: &str) -> Vec<String> {
    let docker = client().await;
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let all = docker.list_containers(Some(options)).await.expect("containers are listed");
    all.into_iter().filter_map(|found| found.command).filter(|command| command.contains(text)).collect()
}

/// Containers that carry a label with the id of a log.
pub(crate) async fn labelled(label: &str, log: LogId) -> Vec<String> {
    let filters = HashMap::from([("label", vec![format!("{label}={log}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let all = client().await.list_containers(Some(options)).await.expect("containers are listed");
    all.into_iter().filter_map(|found| found.id).collect()
}

/// What a process that was killed leaves of a command: gives the name of the container.
pub(crate) async fn left_command(image: &str, log: LogId) -> String {
    let name = format!("cutover-build-left-{}", log.to_string().to_lowercase());
    let body = bollard::models::ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["/shell".to_owned(), "hang".to_owned()]),
        labels: Some(HashMap::from([("io.cutover.command.log".to_owned(), log.to_string())])),
        ..Default::default()
    };
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new().name(&name).build();
    client().await.create_container(Some(options), body).await.expect("a container");
    name
}

/// A container of an image, created and not started, with the label of a test.
pub(crate) async fn created(docker: &bollard::Docker, image: &str, log: LogId) -> String {
    let body = bollard::models::ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["/shell".to_owned(), "hang".to_owned()]),
        labels: Some(HashMap::from([(labels::LOG.to_owned(), log.to_string())])),
        ..Default::default()
    };
    let options = None::<bollard::query_parameters::CreateContainerOptions>;
    docker.create_container(options, body).await.expect("a container").id
}

/// Our own program as an image, made once per version of its source; gives the local id.
pub(crate) async fn image() -> String {
    let docker = client().await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/app.rs");
    let text = std::fs::read(&source).expect("the source of the program");
    let version = &Digest::of(&text).to_string()[..12];
    let reference = format!("cutover-test/app:{version}");
    // Tests are processes: one of them makes it, the others wait.
    let lock = File::create(tmp("image.lock")).expect("a lock file");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock");
    if let Ok(found) = docker.inspect_image(&reference).await {
        return found.id.expect("an id");
    }
    let tar = tar_of("app", &program());
    import(&docker, &reference, tar).await;
    docker.inspect_image(&reference).await.expect("the image").id.expect("an id")
}

/// Makes an image of a tar archive with `/app` in it.
pub(crate) async fn import(docker: &bollard::Docker, reference: &str, tar: Vec<u8>) {
    let (name, tag) = reference.rsplit_once(':').expect("a tag");
    let changes = vec!["ENTRYPOINT [\"/app\"]".to_owned(), "EXPOSE 8080".to_owned()];
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(tag).changes(changes).build();
    let body = bollard::body_full(tar.into());
    let made: Result<Vec<_>, _> = docker.create_image(Some(options), Some(body), None).try_collect().await;
    made.expect("the image is imported");
}

/// Our own program.
pub(crate) fn program() -> Vec<u8> {
    compiled("app")
}

/// The program that build steps of tests run.
pub(crate) fn shell() -> Vec<u8> {
    compiled("shell")
}

/// A program of ours, compiled once per version of its source.
fn compiled(name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/{name}.rs"));
    let text = std::fs::read(&source).expect("the source of the program");
    let made = tmp(&format!("{name}-{}", &Digest::of(&text).to_string()[..12]));
    let lock = File::create(tmp(&format!("{name}.lock"))).expect("a lock file");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("the lock");
    if !made.exists() {
        std::fs::write(&made, build(&source)).expect("the program is kept");
    }
    std::fs::read(&made).expect("the program")
}

pub(crate) fn build(source: &Path) -> Vec<u8> {
    let out = tmp(&format!("{}-new", source.file_stem().unwrap_or_default().display()));
    let built = Command::new("rustc")
        .args(["-O", "--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
        .arg(&out)
        .arg(source)
        .output()
        .expect("rustc");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(&out).expect("the program")
}

pub(crate) fn tmp(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A tar archive with one executable file and a `/tmp`.
pub(crate) fn tar_of(name: &str, content: &[u8]) -> Vec<u8> {
    tar_of_all(&[(name, content)])
}

/// The same with several files.
pub(crate) fn tar_of_all(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = header("tmp/", b'5', 0).to_vec();
    for (name, content) in files {
        tar.extend(header(name, b'0', content.len()));
        tar.extend(*content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn header(name: &str, kind: u8, size: usize) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    put(148, "        ");
    put(257, "ustar\x0000");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
