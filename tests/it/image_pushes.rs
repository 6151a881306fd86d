//! Images that are pushed, over a Docker in memory: what is missing, what is taken, what is kept and what goes.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cutover::adapters::images::{ImageConfig, Images, Layers, MemoryImages, Platform, image_id};
use cutover::clock::Clock;
use cutover::execution::Refused;
use cutover::image_pushes::{Announced, Announcement, Counts, ImagePushes, Packed, Parts};
use cutover_domain::reference::Reference;
use cutover_events::Digest;
use futures_util::{StreamExt, stream};

use crate::wiring;

/// Bytes of the largest layer.
const MOST: u64 = 1 << 20;
const KEEP: Duration = Duration::from_secs(3600);
/// Later than everything that is kept.
const LATE: u64 = u64::MAX / 2;

/// An engine that takes pushes.
struct Server {
    docker: Arc<MemoryImages>,
    pushes: ImagePushes,
    commands: cutover::commands::Commands,
    folder: tempfile::TempDir,
}

/// An image of a person's machine.
struct Image {
    layers: Vec<Vec<u8>>,
    config: ImageConfig,
}

fn image(layers: &[&[u8]]) -> Image {
    let ids: Vec<_> = layers.iter().map(|layer| image_id(Digest::of(layer))).collect();
    let text = serde_json::json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": ids } });
    let config = ImageConfig::read(text.to_string().into_bytes()).unwrap();
    Image { layers: layers.iter().map(|layer| layer.to_vec()).collect(), config }
}

impl Image {
    fn announced(&self, reference: &str) -> Announced {
        Announced {
            reference: Reference::parse(reference).unwrap(),
            image: Some(self.config.digest),
            platform: self.config.platform.clone(),
            layers: self.config.layers.clone(),
            config: None,
            counts: Counts::OnDocker,
        }
    }

    fn id(&self) -> String {
        image_id(self.config.digest)
    }
}

impl Server {
    async fn begin(layers: Layers) -> Self {
        let (clock, folder) = (Clock::system(), tempfile::tempdir().unwrap());
        let (commands, docker) = (wiring::commands(clock).await, Arc::new(MemoryImages::new(layers)));
        let parts = Parts {
            images: docker.clone(),
            layers: folder.path().join("layers"),
            most: MOST,
            keep: KEEP,
            commands: commands.clone(),
            clock,
        };
        Self { docker, pushes: ImagePushes::open(parts).unwrap(), commands, folder }
    }

    async fn take(&self, layer: &[u8]) -> Result<(), Refused> {
        let pieces: Vec<_> =
            layer.chunks(layer.len().clamp(1, 64 << 10)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let coming = (stream::iter(pieces).boxed(), Packed::No);
        self.pushes.take_layer(Digest::of(layer), layer.len() as u64, coming).await
    }

    /// Pushes as the command line does; says how many layers were sent.
    async fn push(&self, image: &Image, reference: &str) -> usize {
        let (mut asked, mut sent) = (image.announced(reference), 0);
        let by_digest: BTreeMap<_, _> = image.layers.iter().map(|layer| (Digest::of(layer), layer)).collect();
        loop {
            let (layers, counts) = match self.pushes.announce(asked.clone(), "anna").await.unwrap() {
                Announcement::Here { image: id } => {
                    assert_eq!(id, image.id());
                    return sent;
                }
                Announcement::Missing { layers, counts } => (layers, counts),
            };
            for layer in &layers {
                self.take(by_digest[layer]).await.unwrap();
                sent += 1;
            }
            asked = Announced { config: Some(image.config.clone()), counts, ..asked };
            assert!(sent <= 10, "it does not end");
        }
    }

    fn kept(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("layers")).unwrap().count()
    }

    async fn has(&self, name: &str) -> bool {
        self.docker.find(&Reference::parse(name).unwrap().to_string()).await.unwrap().is_some()
    }
}

#[tokio::test]
async fn what_docker_has_is_not_sent_and_nothing_lies_about_afterwards() {
    let server = Server::begin(Layers::Spared).await;
    assert_eq!(server.push(&image(&[b"base", b"one", b"one"]), "shop:1").await, 2, "a layer twice is sent once");
    assert_eq!(server.push(&image(&[b"base", b"one", b"two"]), "shop:2").await, 1);
    assert_eq!(server.push(&image(&[b"base", b"one", b"two"]), "shop:2").await, 0);
    assert_eq!(server.push(&image(&[b"base", b"one", b"two"]), "other/shop:3").await, 0, "it is only named");
    assert_eq!(server.push(&image(&[b"one", b"base"]), "shop:4").await, 2, "the same layers upon others are others");
    assert_eq!(server.kept(), 0);
    let all = server.docker.pushed(server.commands.log().log_id()).await.unwrap();
    let marks: Vec<_> = all.iter().map(|image| image.marks.len()).collect();
    assert!(
        marks.len() == 3 && marks.contains(&2) && marks.iter().sum::<usize>() == 4,
        "one for a reference: {marks:?}"
    );
    for name in ["shop:1", "shop:2", "other/shop:3", "shop:4"] {
        assert!(server.has(name).await, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_wants_every_layer_gets_each_once() {
    let server = Server::begin(Layers::Wanted).await;
    assert_eq!(server.push(&image(&[b"base", b"one"]), "shop:1").await, 2);
    assert_eq!(server.push(&image(&[b"base", b"two"]), "shop:2").await, 1, "it is kept beside");
    assert_eq!(server.kept(), 3);
}

#[tokio::test]
async fn a_docker_that_has_less_than_it_says_is_given_everything() {
    let server = Server::begin(Layers::Spared).await;
    let image = image(&[b"base", b"one", b"two"]);
    server.docker.believe(&image.config.layers[..2]);
    assert_eq!(server.push(&image, "shop:1").await, 3);
    assert!(server.has("shop:1").await && server.kept() == 0);
}

#[tokio::test]
async fn a_push_goes_on_where_it_was_after_a_restart() {
    let server = Server::begin(Layers::Spared).await;
    let image = image(&[b"base", b"one"]);
    server.take(b"base").await.unwrap();
    server.take(b"base").await.unwrap();
    let half: Vec<Result<Bytes, String>> = vec![Ok(Bytes::from_static(b"on")), Err("the line is cut".into())];
    let broken = server.pushes.take_layer(Digest::of(b"one"), 3, (stream::iter(half).boxed(), Packed::No)).await;
    assert!(matches!(&broken, Err(Refused::Broken(why)) if why.contains("the line is cut")), "{broken:?}");
    assert_eq!(server.kept(), 1, "a half is not kept");
    assert_eq!(server.push(&image, "shop:1").await, 1);
}

#[tokio::test]
async fn a_layer_comes_packed_and_never_as_another_one() {
    let server = Server::begin(Layers::Spared).await;
    let send = async |content: &[u8], named: &[u8], packed| {
        let coming = stream::iter([Ok(Bytes::copy_from_slice(content))]).boxed();
        server.pushes.take_layer(Digest::of(named), named.len() as u64, (coming, packed)).await
    };
    let gzip = |content: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    };
    send(&gzip(b"one"), b"one", Packed::Gzip).await.unwrap();
    let other = send(b"two", b"one!", Packed::No).await;
    assert!(matches!(&other, Err(Refused::Broken(why)) if why.contains("not what was announced")), "{other:?}");
    assert!(matches!(send(b"no gzip", b"two", Packed::Gzip).await, Err(Refused::Broken(_))));
    let zeros = gzip(&vec![0; 2 << 20]);
    assert!(zeros.len() < 10_000);
    let bomb = send(&zeros, b"small", Packed::Gzip).await;
    assert!(matches!(&bomb, Err(Refused::Content(why)) if why.contains("[limits] upload")), "{bomb:?}");
    assert_eq!(server.kept(), 1);
}

#[tokio::test]
async fn layers_have_a_limit_each_and_together() {
    let server = Server::begin(Layers::Spared).await;
    let nothing = || (stream::empty().boxed(), Packed::No);
    let large = server.pushes.take_layer(Digest::of(b"x"), MOST + 1, nothing()).await;
    assert!(matches!(&large, Err(Refused::Content(why)) if why.contains("a layer has more than 1MiB")), "{large:?}");
    for n in 0..4_u8 {
        server.take(&vec![n; 1 << 20]).await.unwrap();
    }
    let full = server.take(b"one more").await;
    assert!(matches!(&full, Err(Refused::Content(why)) if why.contains("more than 4MiB")), "{full:?}");
}

#[tokio::test]
async fn what_cannot_run_or_is_no_image_is_refused_before_anything_is_sent() {
    let server = Server::begin(Layers::Spared).await;
    let (good, other) = (image(&[b"base"]), image(&[b"other"]));
    let announced = || good.announced("shop:1");
    let arm = Platform::read("linux/arm64").unwrap();
    let digest = Reference::parse(&format!("shop@{}", good.id())).unwrap();
    for (bad, word) in [
        (Announced { platform: arm, ..announced() }, "--platform linux/amd64"),
        (Announced { reference: digest, ..announced() }, "under a tag"),
        (Announced { config: Some(other.config), ..announced() }, "not that of the image"),
        (Announced { layers: vec![Digest::of(b"x"); 128], ..announced() }, "at most 127 layers"),
    ] {
        let refused = server.pushes.announce(bad, "anna").await;
        assert!(matches!(&refused, Err(Refused::Content(why)) if why.contains(word)), "{word}: {refused:?}");
    }
}

#[tokio::test]
async fn an_image_stays_while_somebody_wants_it_and_goes_after_that() {
    let server = Server::begin(Layers::Spared).await;
    let [used, young, named, old] = [&b"used"[..], b"young", b"named", b"old"].map(|layer| image(&[b"base", layer]));
    for (image, reference) in [(&used, "shop:used"), (&named, "shop:named"), (&old, "shop:old"), (&young, "shop:young")]
    {
        server.push(image, reference).await;
    }
    server.docker.uses(&used.id());
    // What somebody else calls it stays, and with it the image.
    server.docker.name(&named.id(), "theirs:1").await.unwrap();
    assert_eq!(server.pushes.tidy(Clock::system().stamp().wall_ms).await.unwrap(), 0, "nothing is old yet");
    server.docker.name(&old.id(), "cutover/rel_01k9zzzzzzzzzzzzzzzzzzzzz0:latest").await.unwrap();
    let log = server.commands.log().log_id();
    let mark = cutover::adapters::images::Mark::new(&Reference::parse("shop:young").unwrap(), LATE);
    server.docker.name(&young.id(), &mark.name(log)).await.unwrap();
    assert_eq!(server.pushes.tidy(LATE).await.unwrap(), 2);
    assert!(server.has("shop:used").await && server.has("shop:young").await);
    assert!(!server.has("shop:old").await && !server.has("shop:named").await);
    assert!(server.docker.find(&old.id()).await.unwrap().is_none());
    assert!(server.docker.find(&named.id()).await.unwrap().is_some());
    assert_eq!(server.pushes.tidy(LATE).await.unwrap(), 0, "it is theirs alone now");
}

#[tokio::test]
async fn an_image_stays_while_a_workload_names_it() {
    let whole = crate::whole::Whole::begin(crate::whole::policy()).await;
    let folder = tempfile::tempdir().unwrap();
    let docker = Arc::new(MemoryImages::new(Layers::Spared));
    let parts = Parts {
        images: docker.clone(),
        layers: folder.path().join("layers"),
        most: MOST,
        keep: KEEP,
        commands: whole.backend.commands.clone(),
        clock: Clock::system(),
    };
    let pushes = ImagePushes::open(parts).unwrap();
    let server = Server { docker, pushes, commands: whole.backend.commands.clone(), folder };
    server.push(&image(&[b"wanted"]), "shop:1").await;
    let mut spec = crate::whole::spec("web", crate::whole::policy());
    let name = |spec: &mut cutover_events::workload::Spec, reference: &str| {
        if let cutover_events::workload::Source::Image(image) = &mut spec.source {
            image.reference = reference.to_owned();
        }
    };
    name(&mut spec, "shop:1");
    whole.apply(whole.web, "web", spec.clone()).await;
    assert_eq!(server.pushes.tidy(LATE).await.unwrap(), 0);
    name(&mut spec, "shop:2");
    whole.apply(whole.web, "web", spec).await;
    assert_eq!(server.pushes.tidy(LATE).await.unwrap(), 1);
}
