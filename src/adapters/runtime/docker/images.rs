//! What a reference means, and having the image here.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::models::ImageInspect;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use cutover_domain::reference::Reference;
use cutover_events::ReleaseId;
use cutover_events::workload::Pull;
use futures_util::StreamExt;

use super::client::{classify, status, text, within};
use super::names::{self, split_reference};
use super::{DockerRuntime, Image, Login, RuntimeError};

/// Looking at an image reads a file or two.
const LOOK: Duration = Duration::from_secs(10);
/// Tagging writes one.
const TAG: Duration = Duration::from_secs(20);
/// A whole pull: gigabytes over a slow line. The daemon resumes by itself when the registry stumbles.
const PULL: Duration = Duration::from_secs(30 * 60);
/// Between two signs of life of a pull: the daemon reports progress every 100 ms, extracting a layer is silent longest.
const PULL_SILENCE: Duration = Duration::from_secs(2 * 60);
/// What Docker says when the registry answered, and does not give the image; the status alone does not tell.
const NOT_GIVEN: [&str; 9] = [
    "manifest unknown",
    "manifest for",
    "not found",
    "pull access denied",
    "no basic auth credentials",
    "unauthorized",
    "access to the resource is denied",
    "no matching manifest",
    "name unknown",
];

/// What Docker says when the registry answered that it does not have the image.
const ABSENT: [&str; 4] = ["manifest unknown", "manifest for", "name unknown", "repository name not known"];
/// What Docker says beside it where the registry does not tell whether it has the image, or has another one.
const DENIED: [&str; 4] = ["denied", "unauthorized", "no basic auth credentials", "no matching manifest"];

/// Docker Hub, as it stands in references.
const HUB: &str = "docker.io";
/// Docker Hub, as logins name it.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

/// Why a pull gave no image.
enum PullError {
    /// The registry answered, and it was no.
    NotGiven(String),
    /// The registry answered that it does not have it: it may have it later.
    NotPushed(String),
    /// Everything else.
    Other(RuntimeError),
}

impl DockerRuntime {
    /// The image of a reference. An image that was made here, without a digest of a repository, is never asked for; one
    /// that is here and that the registry does not give is used as it is; so is one that is meant by its digest, which no
    /// registry could answer otherwise.
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
            (_, Pull::Never) | (Some(_), Pull::Missing) => false,
            (Some(_), Pull::Always) if reference.contains('@') => false,
            (Some(image), Pull::Always) => !image.repo_digests.as_deref().unwrap_or_default().is_empty(),
            (None, Pull::Missing | Pull::Always) => true,
        };
        if !ask {
            return match here {
                Some(image) => described(reference, image),
                None => Err(RuntimeError::ImageMissing(absent(reference, platform, pull))),
            };
        }
        match (self.pull(reference, platform, login).await, here) {
            (Ok(()), _) => match self.local_image(reference).await?.filter(|image| fits(image, platform)) {
                Some(image) => described(reference, image),
                None => Err(RuntimeError::ImageMissing(absent(reference, platform, pull))),
            },
            (Err(PullError::NotGiven(said) | PullError::NotPushed(said)), Some(image)) => {
                tracing::info!(reference, said, "the registry does not give this image: the one that is here is used");
                described(reference, image)
            }
            (Err(PullError::NotGiven(said)), None) => {
                Err(RuntimeError::ImageMissing(not_given(reference, login, &said)))
            }
            (Err(PullError::NotPushed(said)), None) => Err(RuntimeError::NotPushed(format!(
                "the image {reference} is not here and its registry {} does not have it ({said})",
                registry(reference)
            ))),
            (Err(PullError::Other(error)), _) => Err(error),
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

    async fn pull(&self, reference: &str, platform: &str, login: Option<&Login>) -> Result<(), PullError> {
        self.pull_with(reference, platform, login).await.map_err(|error| match login {
            Some(login) => error.without(login),
            None => error,
        })
    }

    async fn pull_with(&self, reference: &str, platform: &str, login: Option<&Login>) -> Result<(), PullError> {
        let docker = self.client.docker().map_err(PullError::Other)?;
        let (name, tag) = split_reference(reference);
        let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).platform(platform).build();
        let shown = self.pulls.begin(reference);
        let whole = async {
            let login = login.map(|login| credentials(&registry(reference), login));
            let mut progress = std::pin::pin!(docker.create_image(Some(options), None, login));
            while let Some(step) = within("pull", PULL_SILENCE, progress.next()).await.map_err(PullError::Other)? {
                let step = step.map_err(pull_error)?;
                shown.hear(&step);
                let said = step.error_detail.and_then(|detail| detail.message);
                said.map_or(Ok(()), |error| Err(pull_error(Error::DockerStreamError { error })))?;
            }
            Ok(())
        };
        within("pull", PULL, whole).await.map_err(PullError::Other)?
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

impl PullError {
    /// What was said, without a value that opens the registry.
    fn without(self, login: &Login) -> Self {
        match self {
            Self::NotGiven(said) => Self::NotGiven(login.scrubbed(&said)),
            Self::NotPushed(said) => Self::NotPushed(login.scrubbed(&said)),
            Self::Other(RuntimeError::Unavailable(said)) => {
                Self::Other(RuntimeError::Unavailable(login.scrubbed(&said)))
            }
            Self::Other(RuntimeError::Refused(said)) => Self::Other(RuntimeError::Refused(login.scrubbed(&said))),
            Self::Other(other) => Self::Other(other),
        }
    }
}

/// The registry of a reference, as people write it.
fn registry(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|_| "of its name".to_owned(), |full| full.host)
}

fn credentials(registry: &str, login: &Login) -> DockerCredentials {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let address = if registry == HUB { HUB_ADDRESS } else { registry };
    DockerCredentials {
        username: some(login.user()),
        password: some(login.password()),
        identitytoken: some(login.identity_token()),
        serveraddress: some(address),
        ..DockerCredentials::default()
    }
}

fn not_given(reference: &str, login: Option<&Login>, said: &str) -> String {
    let (registry, help) = (registry(reference), "push it, or correct the reference");
    match login {
        Some(login) => {
            let secret = login.secret();
            format!(
                "the image {reference} is not here and its registry {registry} does not give it for the secret {secret} \
                 ({said}): {help}, or the secret (`cutover secret set`)"
            )
        }
        None => format!(
            "the image {reference} is not here and its registry {registry} does not give it ({said}): {help}, or name the \
             secret that opens the registry (`image.credentials`)"
        ),
    }
}

fn pull_error(error: Error) -> PullError {
    let said = text(&error);
    let lower = said.to_ascii_lowercase();
    if ABSENT.iter().any(|known| lower.contains(known)) && !DENIED.iter().any(|known| lower.contains(known)) {
        return PullError::NotPushed(said);
    }
    let refused =
        matches!(status(&error), Some(401 | 403 | 404)) || NOT_GIVEN.iter().any(|known| lower.contains(known));
    if refused {
        return PullError::NotGiven(said);
    }
    match status(&error) {
        Some(400) => PullError::Other(RuntimeError::Refused(format!("Docker refused to pull: {said}"))),
        _ => PullError::Other(RuntimeError::Unavailable(format!("the registry could not be asked: {said}"))),
    }
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
        .all(|(wanted, own)| own.is_none_or(|own| own == wanted))
}

fn described(reference: &str, image: ImageInspect) -> Result<Image, RuntimeError> {
    let id = image.id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| RuntimeError::Unavailable(format!("the image {reference} came without an id")))?;
    let digests = image.repo_digests.unwrap_or_default();
    let (name, _) = split_reference(reference);
    let own = digests.iter().find(|digest| digest.split('@').next() == Some(name));
    let repo_digest = own.or(digests.first()).cloned().unwrap_or_default();
    let ports = image.config.and_then(|config| config.exposed_ports).unwrap_or_default();
    let mut exposed: Vec<u16> = ports.iter().filter_map(|port| tcp_port(port)).collect();
    exposed.sort_unstable();
    Ok(Image { id, repo_digest, exposed })
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
        let found = described("h:5000/a:1", own).unwrap();
        assert_eq!((found.repo_digest.as_str(), found.exposed), ("h:5000/a@sha256:02", vec![80, 8080]));
    }

    #[test]
    fn a_registry_that_says_no_is_told_from_one_that_is_away() {
        let error =
            |status_code, message: &str| Error::DockerResponseServerError { status_code, message: message.to_owned() };
        for absent in [
            error(404, "manifest for a:1 not found: manifest unknown: manifest unknown"),
            error(404, "name unknown: repository name not known to registry"),
        ] {
            assert!(matches!(pull_error(absent), PullError::NotPushed(_)));
        }
        for no in [
            error(404, "pull access denied for a, repository does not exist or may require 'docker login'"),
            error(404, "pull access denied for a: denied: manifest unknown"),
            error(500, "Get https://h/v2/a/manifests/1: no basic auth credentials"),
            Error::DockerStreamError { error: "no matching manifest for linux/amd64".to_owned() },
        ] {
            assert!(matches!(pull_error(no), PullError::NotGiven(_)));
        }
        let away = error(500, "Get http://h/v2/: dial tcp: connect: connection refused");
        assert!(matches!(pull_error(away), PullError::Other(RuntimeError::Unavailable(_))));
    }
}
