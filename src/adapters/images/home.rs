//! The Docker of a person's machine: where it is, by the rules of Docker's own command, and what it has.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::query_parameters::ListImagesOptionsBuilder;
use bytes::Bytes;
use cutover_domain::file::strict::nearest;
use cutover_events::Digest;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::docker::{TIMEOUT, digests, said, status};
use super::{Platform, read_id};

/// Where Docker is when nobody says otherwise.
const USUAL: &str = "unix:///var/run/docker.sock";
/// The context that means that place.
const DEFAULT_CONTEXT: &str = "default";
/// Asking for an image reads a file or two.
const LOOK: Duration = Duration::from_secs(20);
/// Bytes of a file of Docker's command.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What says where Docker is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HomePlace {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_TLS_VERIFY`.
    pub tls: Option<String>,
    /// The folder of Docker's command: `DOCKER_CONFIG`, or `~/.docker`.
    pub folder: Option<PathBuf>,
}

/// Why the Docker of this machine gives no image; each is one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HomeError {
    /// None answers.
    #[error("no Docker answers on this machine ({0}): {1}; start it, or name another one with DOCKER_HOST")]
    Away(String, String),
    /// It is not for this user.
    #[error(
        "you may not use the Docker of this machine ({0}): join the group of its socket (sudo usermod -aG docker \
         YOU, then log in again), or use sudo"
    )]
    Forbidden(String),
    /// It is spoken to in a way that is not known here.
    #[error("{0}")]
    Unspoken(String),
    /// It has no such image.
    #[error("{0}")]
    NoImage(String),
    /// It refuses.
    #[error("the Docker of this machine refuses: {0}")]
    Refused(String),
}

/// An image of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtHome {
    /// As its Docker calls it.
    pub id: String,
    /// The same; of most image stores the digest of its configuration.
    pub digest: Option<Digest>,
    /// Digests of its layers, unpacked, the lowest first.
    pub layers: Vec<Digest>,
    /// What it runs on.
    pub platform: Platform,
    /// Bytes of all its layers.
    pub bytes: u64,
}

impl HomePlace {
    /// The address of Docker: `DOCKER_HOST`, then the context that is chosen, then the usual socket.
    ///
    /// # Errors
    /// The context is not there.
    pub fn address(&self) -> Result<String, HomeError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(host) = given(&self.host) {
            return Ok(host);
        }
        let context = given(&self.context).or_else(|| {
            let config = json_of(&self.folder.as_ref()?.join("config.json"))?;
            config["currentContext"].as_str().map(str::to_owned)
        });
        let Some(context) = context.filter(|name| !name.is_empty() && name != DEFAULT_CONTEXT) else {
            return Ok(USUAL.to_owned());
        };
        let folder = Digest::of(context.as_bytes()).to_string();
        let meta = self.folder.as_ref().map(|own| own.join("contexts/meta").join(folder).join("meta.json"));
        let meta = meta.and_then(|path| json_of(&path));
        let host =
            meta.as_ref().and_then(|meta| meta["Endpoints"]["docker"]["Host"].as_str()).filter(|h| !h.is_empty());
        host.map(str::to_owned).ok_or_else(|| {
            let text =
                format!("the context {context} of Docker is not there: `docker context ls` lists those that are");
            HomeError::Unspoken(text)
        })
    }
}

fn json_of(path: &Path) -> Option<Value> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_FILE_BYTES);
    let bytes = small.then(|| std::fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&bytes).ok()
}

/// A Docker that answers.
#[derive(Clone, Debug)]
pub struct Home {
    docker: bollard::Docker,
    address: String,
}

impl Home {
    /// Looks for it.
    ///
    /// # Errors
    /// It does not answer, not to this user, or is spoken to by TLS or ssh.
    pub async fn find(place: &HomePlace) -> Result<Self, HomeError> {
        let address = place.address()?;
        let away = |why: String| HomeError::Away(address.clone(), why);
        let version = bollard::API_DEFAULT_VERSION;
        let docker = match address.split_once("://") {
            Some(("unix", path)) => {
                UnixStream::connect(path).map_err(|error| match error.kind() {
                    io::ErrorKind::PermissionDenied => HomeError::Forbidden(address.clone()),
                    io::ErrorKind::NotFound => away("there is no socket".to_owned()),
                    io::ErrorKind::ConnectionRefused => away("nothing listens there".to_owned()),
                    _ => away(error.to_string()),
                })?;
                bollard::Docker::connect_with_unix(path, TIMEOUT, version)
            }
            Some(("tcp" | "http", _)) if place.tls.as_deref().is_none_or(str::is_empty) => {
                bollard::Docker::connect_with_http(&address, TIMEOUT, version)
            }
            _ => return Err(HomeError::Unspoken(by_socket(&address))),
        };
        let docker = docker.map_err(|error| away(said(&error)))?;
        let ping = timeout(LOOK, docker.ping()).await.map_err(|_| away("it does not answer in time".to_owned()))?;
        ping.map_err(|error| away(said(&error)))?;
        Ok(Self { docker, address })
    }

    /// An image by its name.
    ///
    /// # Errors
    /// There is none, or Docker refuses.
    pub async fn image(&self, name: &str) -> Result<AtHome, HomeError> {
        let late = || HomeError::Away(self.address.clone(), "it does not answer in time".to_owned());
        let found = match timeout(LOOK, self.docker.inspect_image(name)).await.map_err(|_| late())? {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Err(self.no_image(name).await),
            Err(error) => return Err(HomeError::Refused(said(&error))),
        };
        let id = found.id.unwrap_or_default();
        let layers = digests(found.root_fs.and_then(|root| root.layers));
        let layers = layers.ok_or_else(|| HomeError::Refused(format!("{name} has layers without a SHA-256")))?;
        Ok(AtHome {
            digest: read_id(&id),
            id,
            layers,
            platform: Platform {
                os: found.os.unwrap_or_default(),
                architecture: found.architecture.unwrap_or_default(),
            },
            bytes: found.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        })
    }

    async fn no_image(&self, name: &str) -> HomeError {
        let options = ListImagesOptionsBuilder::new().build();
        let all = timeout(LOOK, self.docker.list_images(Some(options))).await;
        let all: Vec<String> =
            all.ok().and_then(Result::ok).unwrap_or_default().into_iter().flat_map(|image| image.repo_tags).collect();
        let near = nearest(name, all.iter().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        let place = &self.address;
        HomeError::NoImage(format!(
            "the Docker of this machine ({place}) has no image {name}: {hint}`docker images` lists those that it has"
        ))
    }

    /// What `docker save` gives of it, passed on as it comes, the error that ends it too; ends early when nobody takes it any more.
    pub async fn save(&self, name: &str, into: mpsc::Sender<io::Result<Bytes>>) {
        let mut saved = std::pin::pin!(self.docker.export_image(name));
        while let Some(piece) = saved.next().await {
            let piece = piece.map_err(|error| io::Error::other(said(&error)));
            if into.send(piece).await.is_err() {
                return;
            }
        }
    }
}

fn by_socket(address: &str) -> String {
    let host = address.split_once("://").map_or("HOST", |(_, rest)| rest);
    format!(
        "the Docker at {address} cannot be spoken to from here: bring its socket to this machine with `ssh -fnNT -L \
         /tmp/docker.sock:/var/run/docker.sock {host}`, and set DOCKER_HOST=unix:///tmp/docker.sock"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_where_its_own_command_looks_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let own = || HomePlace { folder: Some(folder.path().to_owned()), ..HomePlace::default() };
        assert_eq!(HomePlace::default().address().unwrap(), USUAL);
        assert_eq!(own().address().unwrap(), USUAL);
        let meta = folder.path().join("contexts/meta").join(Digest::of(b"laptop").to_string());
        std::fs::create_dir_all(&meta).unwrap();
        let text = "{\"Name\":\"laptop\",\"Endpoints\":{\"docker\":{\"Host\":\"unix:///home/anna/docker.sock\"}}}";
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let named = |name: &str| HomePlace { context: Some(name.to_owned()), ..own() };
        assert_eq!(named("laptop").address().unwrap(), "unix:///home/anna/docker.sock");
        assert_eq!(named("default").address().unwrap(), USUAL);
        assert!(named("other").address().unwrap_err().to_string().contains("docker context ls"));
        std::fs::write(folder.path().join("config.json"), "{\"currentContext\":\"laptop\"}").unwrap();
        assert_eq!(own().address().unwrap(), "unix:///home/anna/docker.sock");
        let host = HomePlace { host: Some("tcp://h:2375".into()), ..named("other") };
        assert_eq!(host.address().unwrap(), "tcp://h:2375", "it counts more than a context");
    }

    #[tokio::test]
    async fn a_docker_that_cannot_be_asked_is_told_with_what_to_do() {
        let at = async |host: &str| {
            let place = HomePlace { host: Some(host.to_owned()), ..HomePlace::default() };
            Home::find(&place).await.unwrap_err().to_string()
        };
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let address = format!("unix://{}", socket.display());
        assert!(at(&address).await.contains("there is no socket; start it"));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(at(&address).await.contains("nothing listens there"));
        assert!(at("tcp://127.0.0.1:1").await.contains("no Docker answers"));
        assert!(at("ssh://anna@host").await.contains("anna@host`, and set DOCKER_HOST"));
        let tls = HomePlace { host: Some("tcp://h:2376".into()), tls: Some("1".into()), ..HomePlace::default() };
        assert!(matches!(Home::find(&tls).await, Err(HomeError::Unspoken(_))));
    }
}
