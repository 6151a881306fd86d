//! What a reference means, and having the image here.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::{ImageInspect, OciPlatform};
use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder, TagImageOptionsBuilder};
use cutover_domain::reference::Reference;
use cutover_events::ReleaseId;
use cutover_events::workload::Pull;
use futures_util::StreamExt;
use parking_lot::Mutex;

use super::client::{classify, status, within};
use super::names::{self, split_reference};
use super::pulling::Shown;
use super::unpulled::{Asked, HUB, Unpulled};
use super::{DockerRuntime, Image, Login, RuntimeError};

/// Looking at an image reads a file or two.
const LOOK: Duration = Duration::from_secs(10);
/// Tagging writes one.
const TAG: Duration = Duration::from_secs(20);
/// A whole pull: gigabytes over a slow line. The daemon resumes by itself when the registry stumbles.
const PULL: Duration = Duration::from_secs(30 * 60);
/// Between two signs of life of a pull: the daemon reports progress every 100 ms, extracting a layer is silent longest.
const PULL_SILENCE: Duration = Duration::from_secs(2 * 60);
/// Which platforms there are is asked for the sake of a message: as long as a person waits for one.
const PLATFORMS: Duration = Duration::from_secs(10);
/// Platforms that a message names at most, a count: it is one line.
const MOST_PLATFORMS: usize = 12;
/// What Docker calls a part of an image that is for no machine, such as a note on how it was built.
const NO_PLATFORM: &str = "unknown";
/// How Docker begins the line that says which digest it has pulled.
const DIGEST: &str = "Digest: ";

/// Docker Hub, as logins name it.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

impl DockerRuntime {
    /// The image of a reference. An image that was made here, of whose repository nothing was pulled, is never asked for;
    /// one that is here and that the registry does not give is used as it is; so is one that is meant by its digest, which no
    /// registry could answer otherwise. Without a platform the server's is meant: what is here for another one, because
    /// somebody named that, counts only where the registry gives nothing.
    pub(super) async fn image_of(
        &self,
        reference: &str,
        (pull, platform): (Pull, &str),
        login: Option<&Login>,
    ) -> Result<Image, RuntimeError> {
        names::reference(reference)?;
        self.client.ping().await?;
        let here = self.local_image(reference).await?.filter(|image| fits(image, platform));
        let ask = match (&here, pull) {
            (_, Pull::Never) => false,
            (Some(image), Pull::Missing) => self.is_foreign(reference, image, platform).await?,
            (Some(image), Pull::Always) if reference.contains('@') => {
                self.is_foreign(reference, image, platform).await?
            }
            (Some(image), Pull::Always) => self.is_pulled(reference, image).await?,
            (None, Pull::Missing | Pull::Always) => true,
        };
        if !ask {
            return match here {
                Some(image) => {
                    let digest = self.unlisted.digest(reference, &image);
                    described(reference, image, digest.as_deref())
                }
                None => Err(RuntimeError::ImageMissing(absent(reference, platform, pull))),
            };
        }
        let asked = Asked { reference, platform, login };
        match (self.pull(asked).await, here) {
            (Ok(digest), _) => match self.local_image(reference).await?.filter(|image| fits(image, platform)) {
                Some(image) => {
                    self.unlisted.keep(reference, &image, digest.as_deref());
                    described(reference, image, digest.as_deref())
                }
                None => Err(RuntimeError::ImageMissing(absent(reference, platform, pull))),
            },
            (Err(why), Some(image)) if why.is_an_answer() || pull == Pull::Missing => {
                tracing::info!(reference, ?why, "the registry does not give this image: the one that is here is used");
                let digest = self.unlisted.digest(reference, &image);
                described(reference, image, digest.as_deref())
            }
            (Err(why @ Unpulled::OtherPlatforms(_)), None) => Err(asked.refused(why, &self.platforms(asked).await)),
            (Err(why), _) => Err(asked.refused(why, &[])),
        }
    }

    /// What Docker knows of an image by reference or id; `None` when it is not here.
    pub(super) async fn local_image(&self, reference: &str) -> Result<Option<ImageInspect>, RuntimeError> {
        let docker = self.client.docker()?;
        match within("image inspect", LOOK, docker.inspect_image(names::reference(reference)?)).await? {
            Ok(image) => Ok(Some(image)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(classify("inspect an image")(error)),
        }
    }

    /// Pulls; gives the digest that Docker says it has pulled.
    async fn pull(&self, asked: Asked<'_>) -> Result<Option<String>, Unpulled> {
        let shown = self.pulls.begin(asked.reference, self.clock.stamp().mono_ms);
        let pulled = within("pull", PULL, self.pull_shown(asked, &shown)).await;
        let pulled = pulled.unwrap_or_else(|_| Err(asked.too_long(PULL)));
        let brief = pulled.as_ref().err().and_then(Unpulled::brief);
        shown.ended(brief, self.clock.stamp().mono_ms);
        pulled
    }

    async fn pull_shown(&self, asked: Asked<'_>, shown: &Shown<'_>) -> Result<Option<String>, Unpulled> {
        let docker = self.client.docker().map_err(Unpulled::Other)?;
        let (name, tag) = split_reference(asked.reference);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).platform(asked.platform).build();
        let mut progress = std::pin::pin!(docker.create_image(Some(options), None, credentials(asked)));
        let mut digest = None;
        loop {
            let Ok(step) = within("pull", PULL_SILENCE, progress.next()).await else {
                self.client.ping().await.map_err(Unpulled::Other)?;
                return Err(asked.silent(PULL_SILENCE));
            };
            let Some(step) = step else { return Ok(digest) };
            let step = step.map_err(|error| asked.why(&error))?;
            shown.hear(&step);
            digest = step.status.and_then(|said| said.strip_prefix(DIGEST).map(str::to_owned)).or(digest);
        }
    }

    /// Whether an image was pulled for another platform than the server's, while that is meant.
    async fn is_foreign(&self, reference: &str, image: &ImageInspect, platform: &str) -> Result<bool, RuntimeError> {
        if !platform.is_empty() {
            return Ok(false);
        }
        let docker = self.client.docker()?;
        let version = within("version", LOOK, docker.version()).await?.map_err(classify("say its version"))?;
        let own = format!("{}/{}", version.os.unwrap_or_default(), version.arch.unwrap_or_default());
        Ok(!fits(image, &own) && self.is_pulled(reference, image).await?)
    }

    /// Whether an image has come from a registry, or has been pushed to one; or may have come from there, because something
    /// of its repository has: Docker lists the digest of an index for one image only.
    async fn is_pulled(&self, reference: &str, image: &ImageInspect) -> Result<bool, RuntimeError> {
        if image.repo_digests.as_ref().is_some_and(|digests| !digests.is_empty()) {
            return Ok(true);
        }
        let docker = self.client.docker()?;
        let filters = HashMap::from([("reference", vec![split_reference(reference).0.to_owned()])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let found =
            within("images", LOOK, docker.list_images(Some(options))).await?.map_err(classify("list images"))?;
        Ok(found.iter().flat_map(|image| &image.repo_digests).any(|digest| same_repository(digest, reference)))
    }

    /// The platforms that a registry has an image for; none where that cannot be had.
    async fn platforms(&self, asked: Asked<'_>) -> Vec<String> {
        let Ok(docker) = self.client.docker() else { return Vec::new() };
        let call = docker.inspect_registry_image(asked.reference, credentials(asked));
        match within("distribution", PLATFORMS, call).await {
            Ok(Ok(found)) => {
                let mut all: Vec<String> = found.platforms.iter().filter_map(named).collect();
                all.dedup();
                all.truncate(MOST_PLATFORMS);
                all
            }
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// The image is also called `cutover/<release>`: a plain prune spares it.
    pub(super) async fn tag_image(&self, image: &str, release: ReleaseId) -> Result<(), RuntimeError> {
        let docker = self.client.docker()?;
        let repository = format!("cutover/{release}");
        let options = TagImageOptionsBuilder::new().repo(&repository).tag("latest").build();
        let call = docker.tag_image(names::reference(image)?, Some(options));
        within("tag", TAG, call).await?.map_err(classify("tag the image"))
    }
}

fn credentials(asked: Asked<'_>) -> Option<DockerCredentials> {
    let login = asked.login?;
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let registry = asked.registry();
    let address = if registry == HUB { HUB_ADDRESS } else { &registry };
    Some(DockerCredentials {
        username: some(login.user()),
        password: some(login.password()),
        identitytoken: some(login.identity_token()),
        serveraddress: some(address),
        ..DockerCredentials::default()
    })
}

/// `os/arch[/variant]`, as workload files have it.
fn named(platform: &OciPlatform) -> Option<String> {
    let parts = [&platform.os, &platform.architecture, &platform.variant];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
    (!parts.contains(&NO_PLATFORM) && !parts.is_empty()).then(|| parts.join("/"))
}

fn absent(reference: &str, platform: &str, pull: Pull) -> String {
    let place = if platform.is_empty() { String::new() } else { format!(" for {platform}") };
    let help = match pull {
        Pull::Never => "pull = \"never\": build, load or pull it on this machine, or allow pulling",
        Pull::Missing | Pull::Always => "the registry gave another platform: correct platform, or push one for it",
    };
    format!("the image {reference} is not here{place}; {help}")
}

/// Whether an image is for a platform `os/arch[/variant]`; every one is for the empty platform.
fn fits(image: &ImageInspect, platform: &str) -> bool {
    let own = [image.os.as_deref(), image.architecture.as_deref(), image.variant.as_deref()];
    platform
        .split('/')
        .filter(|part| !part.is_empty())
        .zip(own)
        .all(|(wanted, own)| own.is_none_or(|own| own.is_empty() || own == usual(wanted)))
}

/// A word of a platform as images have it, where Docker takes another one for it.
fn usual(word: &str) -> &str {
    match word {
        "aarch64" => "arm64",
        "i386" => "386",
        word => word,
    }
}

/// Digests of images that Docker does not list for them: it keeps a digest for the image that it pulled first by it, and
/// does not move it to that of another platform.
#[derive(Debug, Default)]
pub(super) struct Unlisted(Mutex<BTreeMap<(String, String), String>>);

impl Unlisted {
    /// An image was pulled just now, by a reference and of this digest.
    fn keep(&self, reference: &str, image: &ImageInspect, digest: Option<&str>) {
        let (Some(id), Some(digest)) = (&image.id, digest) else { return };
        let listed = image.repo_digests.iter().flatten();
        if !listed.into_iter().any(|own| same_repository(own, reference) && own.ends_with(digest)) {
            self.0.lock().insert((repository(reference), id.clone()), digest.to_owned());
        }
    }

    fn digest(&self, reference: &str, image: &ImageInspect) -> Option<String> {
        self.0.lock().get(&(repository(reference), image.id.clone()?)).cloned()
    }
}

/// What an image is; `pulled` is the digest that it was pulled by. Docker may list several for it, or none: the one that was
/// asked for is pinned, since the others may be gone from the registry.
fn described(reference: &str, image: ImageInspect, pulled: Option<&str>) -> Result<Image, RuntimeError> {
    let id = image.id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| RuntimeError::Unavailable(format!("the image {reference} came without an id")))?;
    let digests = image.repo_digests.unwrap_or_default();
    let meant = pulled.or_else(|| reference.split_once('@').map(|(_, digest)| digest));
    let own = || digests.iter().filter(|digest| same_repository(digest, reference)).cloned();
    let exact = meant.map(|digest| {
        let listed = own().find(|own| own.ends_with(digest));
        listed.unwrap_or_else(|| format!("{}@{digest}", split_reference(reference).0))
    });
    let repo_digest = exact.or_else(|| own().next()).or(digests.first().cloned()).unwrap_or_default();
    let ports = image.config.and_then(|config| config.exposed_ports).unwrap_or_default();
    let mut exposed: Vec<u16> = ports.iter().filter_map(|port| tcp_port(port)).collect();
    exposed.sort_unstable();
    Ok(Image { id, repo_digest, exposed })
}

/// Whether two references are of one repository, however its name is written.
fn same_repository(one: &str, other: &str) -> bool {
    repository(one) == repository(other)
}

/// Registry and path of a reference, in full.
fn repository(reference: &str) -> String {
    let (name, _) = split_reference(reference);
    Reference::parse(name).map_or_else(|_| name.to_owned(), |full| full.repository())
}

fn tcp_port(text: &str) -> Option<u16> {
    text.strip_suffix("/tcp").unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(os: &str, architecture: &str) -> ImageInspect {
        ImageInspect {
            id: Some("sha256:00".to_owned()),
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn an_image_is_for_its_platform_only() {
        let own = image("linux", "amd64");
        assert!(fits(&own, "") && fits(&own, "linux/amd64") && fits(&own, "linux/amd64/v8"));
        assert!(!fits(&own, "linux/arm64") && !fits(&own, "windows/amd64"));
    }

    #[test]
    fn the_digest_is_the_one_of_the_reference() {
        let digests = vec!["other@sha256:01".to_owned(), "h:5000/a@sha256:02".to_owned()];
        let ports = Some(vec!["8080/tcp".to_owned(), "53/udp".to_owned(), "80".to_owned()]);
        let config = bollard::models::ImageConfig { exposed_ports: ports, ..Default::default() };
        let own = ImageInspect { repo_digests: Some(digests), config: Some(config), ..image("linux", "amd64") };
        let found = described("h:5000/a:1", own, None).unwrap();
        assert_eq!((found.repo_digest.as_str(), found.exposed), ("h:5000/a@sha256:02", vec![80, 8080]));
    }
    #[test]
    fn the_digest_that_was_pulled_is_pinned_whatever_docker_lists() {
        let listed = |digests: &[&str]| ImageInspect {
            repo_digests: Some(digests.iter().map(|digest| (*digest).to_owned()).collect()),
            ..image("linux", "amd64")
        };
        let pinned = |reference: &str, own: ImageInspect, pulled: Option<&str>| {
            described(reference, own, pulled).unwrap().repo_digest
        };
        let two = || listed(&["h:5000/a@sha256:01", "h:5000/a@sha256:02"]);
        assert_eq!(pinned("h:5000/a:1", two(), Some("sha256:02")), "h:5000/a@sha256:02");
        assert_eq!(pinned("h:5000/a:1@sha256:02", two(), None), "h:5000/a@sha256:02");
        assert_eq!(
            pinned("docker.io/library/nginx:1", listed(&["b@sha256:01", "nginx@sha256:02"]), None),
            "nginx@sha256:02"
        );
        // It was pulled for another platform first, and Docker lists the digest there.
        let unlisted = Unlisted::default();
        unlisted.keep("h:5000/a:1", &listed(&["h:6000/b@sha256:01"]), Some("sha256:02"));
        let kept = unlisted.digest("h:5000/a:2", &listed(&[]));
        assert_eq!(pinned("h:5000/a:1", listed(&["h:6000/b@sha256:01"]), kept.as_deref()), "h:5000/a@sha256:02");
        unlisted.keep("h:5000/c:1", &two(), None);
        assert_eq!(unlisted.digest("h:5000/c:1", &two()), None);
    }

    #[test]
    fn a_platform_may_be_called_as_docker_lets_it() {
        assert!(fits(&image("linux", "arm64"), "linux/aarch64") && fits(&image("linux", "386"), "linux/i386"));
        let bare = ImageInspect { variant: Some(String::new()), ..image("linux", "arm64") };
        assert!(fits(&bare, "linux/arm64/v8") && !fits(&bare, "linux/amd64"));
    }
}
