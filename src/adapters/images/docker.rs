//! The images of this host, through Docker's HTTP API.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bollard::errors::Error;
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use cutover_events::{Digest, LogId};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{Engine, FoundImage, Images, ImagesError, Layers, Mark, Parcel, Platform, PushedImage, chains, read_id};

/// The library's own limit until the first byte of an answer, s: above every deadline of ours, which decide. An old Docker
/// writes a whole image to its disk before it begins to answer.
pub(super) const TIMEOUT: u64 = 24 * 60 * 60;
/// A healthy daemon answers in milliseconds; removing a large image takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// A whole load: gigabytes are unpacked twice, on a small server with a slow disk.
const LOAD: Duration = Duration::from_secs(60 * 60);
/// Images whose layers are looked at, a count: beyond it what is sent may be there already, and that is all.
const MOST_IMAGES: usize = 4_096;
/// Longest text of Docker that goes into an error, characters: it ends up in one line for a person.
const TEXT: usize = 300;
/// How a Docker with containerd's image store says so.
const CONTAINERD: [&str; 2] = ["driver-type", "io.containerd.snapshotter.v1"];
/// What a disk without room is called.
const NO_ROOM: &str = "no space left on device";
/// What an image in use is called.
const CONFLICT: u16 = 409;

/// The Docker of this host.
#[derive(Debug)]
pub struct DockerImages {
    socket: PathBuf,
    /// Chains of images, by id: what an id stands for never changes.
    known: Mutex<BTreeMap<String, Vec<Digest>>>,
}

impl DockerImages {
    /// Does not connect yet.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, known: Mutex::default() }
    }

    fn docker(&self) -> Result<bollard::Docker, ImagesError> {
        let path = self.socket.to_string_lossy();
        bollard::Docker::connect_with_unix(&path, TIMEOUT, bollard::API_DEFAULT_VERSION)
            .map_err(|_| ImagesError::Unavailable(format!("there is no socket at {path}; start Docker")))
    }

    async fn inspected(&self, docker: &bollard::Docker, name: &str) -> Result<Option<FoundImage>, ImagesError> {
        match within(PATIENCE, docker.inspect_image(checked(name)?)).await? {
            Ok(found) => Ok(Some(FoundImage {
                id: found.id.unwrap_or_default(),
                layers: digests(found.root_fs.and_then(|root| root.layers)).unwrap_or_default(),
                names: found.repo_tags.unwrap_or_default(),
            })),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(classified(&error)),
        }
    }
}

#[async_trait]
impl Images for DockerImages {
    async fn engine(&self) -> Result<Engine, ImagesError> {
        let docker = self.docker()?;
        let version = within(PATIENCE, docker.version()).await?.map_err(|error| classified(&error))?;
        let info = within(PATIENCE, docker.info()).await?.map_err(|error| classified(&error))?;
        let rows = info.driver_status.unwrap_or_default();
        let wanted = rows.iter().any(|row| row.iter().map(String::as_str).eq(CONTAINERD));
        Ok(Engine {
            platform: Platform { os: version.os.unwrap_or_default(), architecture: version.arch.unwrap_or_default() },
            layers: if wanted { Layers::Wanted } else { Layers::Spared },
        })
    }

    async fn chains(&self) -> Result<BTreeSet<Digest>, ImagesError> {
        let docker = self.docker()?;
        let options = ListImagesOptionsBuilder::new().all(true).build();
        let mut all = within(PATIENCE, docker.list_images(Some(options))).await?.map_err(|error| classified(&error))?;
        all.sort_by_key(|image| std::cmp::Reverse(image.created));
        let mut now = BTreeMap::new();
        for image in all.into_iter().take(MOST_IMAGES) {
            let known = self.known.lock().get(&image.id).cloned();
            let known = match known {
                Some(known) => known,
                // One that went meanwhile has nothing here.
                None => match self.inspected(&docker, &image.id).await? {
                    Some(found) => chains(&found.layers),
                    None => continue,
                },
            };
            now.insert(image.id, known);
        }
        let of_all = now.values().flatten().copied().collect();
        *self.known.lock() = now;
        Ok(of_all)
    }

    async fn find(&self, name: &str) -> Result<Option<FoundImage>, ImagesError> {
        self.inspected(&self.docker()?, name).await
    }

    async fn load(&self, parcel: Parcel) -> Result<(), ImagesError> {
        let docker = self.docker()?;
        let gone =
            |error: std::io::Error| ImagesError::Refused(format!("a layer that was sent cannot be read: {error}"));
        let archive = parcel.stream().map_err(gone)?;
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut answer = std::pin::pin!(docker.import_image_stream(options, archive, None));
        let whole = async {
            while let Some(step) = answer.next().await {
                step.map_err(|error| classified(&error))?;
            }
            Ok(())
        };
        within(LOAD, whole).await?
    }

    async fn name(&self, image: &str, name: &str) -> Result<(), ImagesError> {
        let bad = || ImagesError::Refused(format!("{name:?} is not a name with a tag"));
        let (repository, tag) =
            checked(name)?.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).ok_or_else(bad)?;
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let docker = self.docker()?;
        within(PATIENCE, docker.tag_image(checked(image)?, Some(options))).await?.map_err(|error| classified(&error))
    }

    async fn pushed(&self, log: LogId) -> Result<Vec<PushedImage>, ImagesError> {
        let filters = HashMap::from([("reference", vec![Mark::repository(log)])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let docker = self.docker()?;
        let all = within(PATIENCE, docker.list_images(Some(options))).await?.map_err(|error| classified(&error))?;
        let mut pushed = Vec::new();
        for image in all {
            // The list leaves out the names that were not asked for.
            let Some(found) = self.inspected(&docker, &image.id).await? else { continue };
            let marks: Vec<_> = found.names.iter().filter_map(|name| Mark::read(log, name)).collect();
            if !marks.is_empty() {
                pushed.push(PushedImage { id: found.id, marks, names: found.names });
            }
        }
        Ok(pushed)
    }

    async fn in_use(&self, image: &str) -> Result<bool, ImagesError> {
        let filters = HashMap::from([("ancestor", vec![checked(image)?.to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let docker = self.docker()?;
        let all = within(PATIENCE, docker.list_containers(Some(options))).await?;
        Ok(!all.map_err(|error| classified(&error))?.is_empty())
    }

    async fn forget(&self, name: &str) -> Result<(), ImagesError> {
        let options = RemoveImageOptionsBuilder::new().force(false).build();
        let docker = self.docker()?;
        match within(PATIENCE, docker.remove_image(checked(name)?, Some(options), None)).await? {
            Err(error) if !matches!(status(&error), Some(404 | CONFLICT)) => Err(classified(&error)),
            _ => Ok(()),
        }
    }
}

async fn within<T>(deadline: Duration, call: impl Future<Output = T>) -> Result<T, ImagesError> {
    let late = || ImagesError::Unavailable(format!("no answer within {} s", deadline.as_secs()));
    timeout(deadline, call).await.map_err(|_| late())
}

/// A name that stands in a path: the library escapes nothing.
fn checked(name: &str) -> Result<&str, ImagesError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-/:@".contains(c);
    let parts = || name.split(['/', ':', '@']).all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let good = name.chars().all(inner) && parts();
    good.then_some(name).ok_or_else(|| ImagesError::Refused(format!("{name:?} is not the name of an image")))
}

/// Digests as Docker writes them; `None` when one is none.
pub(super) fn digests(layers: Option<Vec<String>>) -> Option<Vec<Digest>> {
    layers.unwrap_or_default().iter().map(|text| read_id(text)).collect()
}

pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What Docker says, in one line of bounded length.
pub(super) fn said(error: &Error) -> String {
    let full = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    };
    full.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TEXT).collect()
}

fn classified(error: &Error) -> ImagesError {
    let text = said(error);
    if text.contains(NO_ROOM) {
        return ImagesError::NoRoom(text);
    }
    match error {
        Error::DockerResponseServerError { status_code: 400..=500, .. } | Error::DockerStreamError { .. } => {
            ImagesError::Refused(text)
        }
        _ => ImagesError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_path_that_it_is_put_into() {
        for good in ["shop:1.2", "h.example:5000/a/b:1", "sha256:00ff", "a@sha256:00ff"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "../containers/x", "a//b", "a?force=1", "a b", "a:", "-a", "ä"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_full_disk_is_told_from_a_refusal() {
        let stream = |text: &str| classified(&Error::DockerStreamError { error: text.to_owned() });
        assert!(matches!(stream("write /x: no space left on device"), ImagesError::NoRoom(_)));
        assert!(matches!(stream("open /x/layer.tar: no such file"), ImagesError::Refused(_)));
        assert!(matches!(classified(&Error::RequestTimeoutError), ImagesError::Unavailable(_)));
    }
}
