//! `cutover push`, by the real program on real Docker: what a laptop has goes to the server without a registry.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cutover::adapters::images::{DockerImages, Images};
use cutover::adapters::runtime::DockerConfig;
use cutover::clock::Clock;
use cutover::image_pushes::{Announced, Announcement, Counts, ImagePushes, Parts};
use cutover_domain::reference::Reference;
use cutover_events::Digest;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::docker;
use crate::home::{Home, Kept, kept, made, removed};
use crate::stand::{Stand, ended, lossy, text};
use crate::wiring;

const SOON: &str = "policy = { liveness = \"100ms\", drain = \"100ms\", bake = \"100ms\", stop_timeout = \"1s\" }";

/// Bytes that nothing makes smaller, and no other test has.
fn noise(seed: &str, bytes: usize) -> Vec<u8> {
    let block = |n: usize| Digest::of(format!("{seed} {n}").as_bytes()).0;
    (0..bytes.div_ceil(32)).flat_map(block).take(bytes).collect()
}

/// Images of our program with a layer more each, kept; Docker has none of them any more.
async fn images(stand: &Stand, layers: &[(&str, usize)]) -> Vec<(String, Kept)> {
    let (mut base, mut all) = (stand.image.clone(), Vec::new());
    for (tag, bytes) in layers {
        let name = format!("{}:{tag}", stand.project);
        made(&base, &name, (&format!("{tag}.bin"), &noise(&name, *bytes))).await;
        base.clone_from(&name);
        let kept = kept(&name).await;
        all.push((name, kept));
    }
    for (_, kept) in all.iter().rev() {
        removed(&kept.id).await;
    }
    all
}

fn named(images: &[(String, Kept)]) -> Vec<(&str, &Kept)> {
    images.iter().map(|(name, kept)| (name.as_str(), kept)).collect()
}

fn at_home(stand: &Stand, home: &Home, args: &[&str]) -> Command {
    let mut command = stand.command(args);
    command.env("DOCKER_HOST", &home.address);
    command
}

/// What a push says to programs.
async fn pushed(stand: &Stand, home: &Home, name: &str) -> Value {
    let output = ended(at_home(stand, home, &["push", name, "--json"])).await;
    assert!(output.status.success(), "{}", lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Layers that lie beside, whole.
fn waiting(stand: &Stand) -> usize {
    let all = std::fs::read_dir(stand.folder().join("data/layers")).unwrap().flatten();
    all.filter(|entry| entry.file_name().len() == 64).count()
}

/// A way to the API that counts what goes there.
struct Relay {
    url: String,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    async fn begin(to: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, bytes) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(AtomicU64::new(0)));
        let (counted, mut tasks) = (bytes.clone(), JoinSet::new());
        tasks.spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((from, _)) = listener.accept().await {
                all.spawn(relayed(from, to, counted.clone()));
            }
        });
        Self { url, bytes, _tasks: tasks }
    }
}

async fn relayed(mut from: TcpStream, to: std::net::SocketAddr, counted: Arc<AtomicU64>) {
    let mut to = TcpStream::connect(to).await.unwrap();
    let copied = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    counted.fetch_add(copied.map_or(0, |(there, _)| there), Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_that_are_there_are_not_sent() {
    let api = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stand = Stand::begin_with(&format!("[api]\nlisten = \"{api}\"")).await;
    let images = images(&stand, &[("1", 3_000_000), ("2", 1_000_000)]).await;
    let [(first, kept_first), (second, kept_second)] = &images[..] else { panic!("two images") };
    // The second as a newer Docker saves it.
    let home = Home::begin(stand.folder(), &[(first, kept_first), (second, &kept_second.as_blobs())]);
    let told = pushed(&stand, &home, first).await;
    assert_eq!(
        (told["layers"].as_u64(), told["sent_layers"].as_u64()),
        (Some(2), Some(1)),
        "our program is there: {told}"
    );
    assert_eq!(told["image"], kept_first.id.as_str(), "it is the same image");
    assert!((3_000_000..3_100_000).contains(&told["sent_bytes"].as_u64().unwrap()), "{told}");
    // The other one goes over a line.
    let relay = Relay::begin(api).await;
    let token: Value = serde_json::from_str(&stand.must(&["token", "add", "laptop", "--json"]).await).unwrap();
    let push = async || {
        relay.bytes.store(0, Ordering::SeqCst);
        let mut command = at_home(&stand, &home, &["--url", &relay.url, "push", second]);
        command.env("CUTOVER_TOKEN", token["token"].as_str().unwrap());
        let output = ended(command).await;
        assert!(output.status.success(), "{}", lossy(&output.stderr));
        lossy(&output.stdout)
    };
    let line = push().await;
    assert!(line.contains("1 layer sent, 1.0 MB; 2 were there") && line.lines().count() == 1, "{line}");
    stand.until("the relay has counted", async |_| relay.bytes.load(Ordering::SeqCst) > 1_000_000).await;
    assert!(relay.bytes.load(Ordering::SeqCst) < 1_100_000, "{}", relay.bytes.load(Ordering::SeqCst));
    let line = push().await;
    assert!(line.contains("nothing was sent, the server had all of it"), "{line}");
    assert!(relay.bytes.load(Ordering::SeqCst) < 10_000, "{}", relay.bytes.load(Ordering::SeqCst));
    let found = docker::client().await.inspect_image(second).await.unwrap();
    assert_eq!((found.id.as_deref(), waiting(&stand)), (Some(kept_second.id.as_str()), 0));
    let log = std::fs::read_to_string(stand.folder().join("serve.log")).unwrap();
    assert!(log.contains("an image was pushed") && log.contains("laptop"), "{log}");
    for (_, kept) in images.iter().rev() {
        removed(&kept.id).await;
    }
    stand.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_was_killed_goes_on_where_it_was() {
    let mut stand = Stand::begin().await;
    let images = images(&stand, &[("1", 700_000), ("2", 900_000)]).await;
    let (name, kept) = &images[1];
    let home = Home::begin(stand.folder(), &named(&images));
    let missing = &kept.layers()[1..];
    let stop = kept.ends().into_iter().find(|(layer, _)| missing.contains(layer)).unwrap().1.next_multiple_of(512);
    home.stops.send_replace(Some(stop));
    let mut command = at_home(&stand, &home, &["push", name]);
    let mut push = command.stdin(Stdio::null()).spawn().unwrap();
    stand.until("one layer has come", async |stand| waiting(stand) == 1).await;
    push.kill().await.unwrap();
    stand.kill().await;
    stand.start().await;
    home.stops.send_replace(None);
    let told = pushed(&stand, &home, name).await;
    assert_eq!((told["layers"].as_u64(), told["sent_layers"].as_u64()), (Some(3), Some(1)), "{told}");
    assert_eq!((told["image"].as_str(), waiting(&stand)), (Some(kept.id.as_str()), 0));
    for (_, kept) in images.iter().rev() {
        removed(&kept.id).await;
    }
    stand.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pushed_is_deployed() {
    let stand = Stand::begin().await;
    let images = images(&stand, &[("one", 1_000), ("two", 1_000)]).await;
    let [(first, _), (second, kept)] = &images[..] else { panic!("two images") };
    let home = Home::begin(stand.folder(), &named(&images));
    let web = format!("{}/web", stand.project);
    let unknown = ended(at_home(&stand, &home, &["push", first, &web])).await;
    assert_eq!(unknown.status.code(), Some(3), "before anything is sent: {}", lossy(&unknown.stderr));
    pushed(&stand, &home, first).await;
    // A reference that no registry knows, by the workload file.
    let lines = |image: &str| format!("image = {image}\nport = 8080\nhost = \"web.{}.test\"\n{SOON}", stand.project);
    stand.apply("web", &lines(&format!("{{ ref = \"{first}\", pull = \"always\" }}"))).await;
    assert!(stand.get("/").await.ends_with("one"));
    let output = ended(at_home(&stand, &home, &["push", second, &web, "--key", "ci-1"])).await;
    assert!(output.status.success(), "{}", lossy(&output.stderr));
    assert!(lossy(&output.stderr).contains("1 layer sent") && lossy(&output.stdout).contains("succeeded"));
    assert!(stand.get("/").await.ends_with("two"));
    let again = ended(at_home(&stand, &home, &["push", second, &web, "--key", "ci-1", "--json"])).await;
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((again["sent_layers"].as_u64(), again["outcome"].as_str()), (Some(0), Some("succeeded")), "{again}");
    let resolved = stand.of_kind("ReleaseResolved").await;
    assert_eq!(resolved.len(), 2, "the same key is the same deployment");
    assert_eq!(text(&resolved[1], "image").as_deref(), Some(kept.id.as_str()));
    stand.must(&["rollback", &web]).await;
    assert!(stand.get("/").await.ends_with("one"));
    stand.end(&["web"]).await;
    for (_, kept) in images.iter().rev() {
        removed(&kept.id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_pushed_is_told_in_one_line() {
    let stand = Stand::begin_with("upload = \"1MiB\"").await;
    let images = images(&stand, &[("1", 1_500_000)]).await;
    let (name, kept) = &images[0];
    let mut arm = kept.clone();
    arm.said["Architecture"] = "s390x".into();
    let home = Home::begin(stand.folder(), &[(name, kept), ("arm:1", &arm)]);
    let near = name.replace(":1", ":12");
    for (args, exit, words) in [
        (&["push", name][..], 15, &["[limits] upload"][..]),
        (&["push", "arm:1"], 15, &["the image is for linux/s390x", "--platform linux/amd64"]),
        (&["push", &near], 3, &["`docker images`", &format!("did you mean {name}?")]),
        (&["push", &format!("shop@{}", kept.id)], 15, &["under a tag"]),
        (&["push", "Shop:1"], 15, &["is not an image reference"]),
        (&["push", name, "--key", "a"], 2, &["name a workload"]),
    ] {
        let output = ended(at_home(&stand, &home, args)).await;
        let line = lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {line}");
        assert!(line.lines().count() == 1 && words.iter().all(|word| line.contains(word)), "{args:?}: {line}");
    }
    let mut nowhere = stand.command(&["push", name]);
    nowhere.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let output = ended(nowhere).await;
    assert_eq!(output.status.code(), Some(7));
    assert!(lossy(&output.stderr).contains("no Docker answers on this machine (unix:///nowhere/docker.sock)"));
    assert_eq!(waiting(&stand), 0, "nothing is left");
    stand.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_nobody_wants_leaves_docker_with_the_names_that_it_was_given() {
    let stand = Stand::begin().await;
    let images = images(&stand, &[("1", 1_000)]).await;
    let (name, kept) = &images[0];
    let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
    let docker = Arc::new(DockerImages::new(DockerConfig::default().socket));
    let parts = Parts {
        images: docker.clone(),
        layers: folder.path().join("layers"),
        most: 1 << 20,
        keep: Duration::from_secs(3600),
        commands: wiring::commands(clock).await,
        clock,
    };
    let pushes = ImagePushes::open(parts).unwrap();
    let saved = saved_layers(kept);
    let mut asked = Announced {
        reference: Reference::parse(name).unwrap(),
        image: kept.id.trim_start_matches("sha256:").parse().ok(),
        platform: docker.engine().await.unwrap().platform,
        layers: kept.layers(),
        config: None,
        counts: Counts::OnDocker,
    };
    let Announcement::Missing { layers, .. } = pushes.announce(asked.clone(), "anna").await.unwrap() else {
        panic!("it is not here");
    };
    assert_eq!(layers, kept.layers()[1..]);
    for layer in &layers {
        let bytes = saved.iter().find(|bytes| Digest::of(bytes) == *layer).unwrap();
        let coming = stream::iter([Ok(bytes.clone().into())]).boxed();
        pushes.take_layer(*layer, bytes.len() as u64, (coming, cutover::image_pushes::Packed::No)).await.unwrap();
    }
    let config = saved.iter().find(|bytes| kept.id.ends_with(&Digest::of(bytes).to_string())).unwrap();
    asked.config = cutover::adapters::images::ImageConfig::read(config.clone()).ok();
    assert_eq!(pushes.announce(asked, "anna").await.unwrap(), Announcement::Here { image: kept.id.clone() });
    let late = clock.stamp().wall_ms + 7_200_000;
    assert_eq!(pushes.tidy(clock.stamp().wall_ms).await.unwrap(), 0, "it is young");
    let client = docker::client().await;
    let container = docker::created(&client, name, cutover_events::LogId([0; 16])).await;
    assert_eq!(pushes.tidy(late).await.unwrap(), 0, "a container is made of it");
    docker::remove_container(&client, &container).await;
    assert_eq!(pushes.tidy(late).await.unwrap(), 1);
    assert!(client.inspect_image(&kept.id).await.is_err());
    assert!(docker.find(&stand.image).await.unwrap().is_some(), "what it was made of is somebody else's");
    stand.end(&[]).await;
}

/// The files of an archive.
fn saved_layers(kept: &Kept) -> Vec<Vec<u8>> {
    let mut archive = tar::Archive::new(&kept.archive[..]);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry.unwrap(), &mut content).unwrap();
        content
    };
    archive.entries().unwrap().map(read).collect()
}
