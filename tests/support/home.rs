//! The Docker of a person's machine, for tests with one Docker: what the real one says and saves of an image is kept, the
//! image removed, and all of it told again on a socket of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, RemoveImageOptionsBuilder, UploadToContainerOptionsBuilder,
};
use cutover_events::{Digest, LogId};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::docker;

/// An image as it is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    /// As the real Docker calls it.
    pub(crate) id: String,
    /// What it says of it.
    pub(crate) said: Value,
    /// What it saves of it.
    pub(crate) archive: Vec<u8>,
}

impl Kept {
    /// Digests of its layers, the lowest first.
    pub(crate) fn layers(&self) -> Vec<Digest> {
        let layers = self.said["RootFS"]["Layers"].as_array().expect("layers");
        let digest = |text: &Value| text.as_str()?.strip_prefix("sha256:")?.parse().ok();
        layers.iter().map(|text| digest(text).expect("a digest")).collect()
    }

    /// Where in the archive each of its layers ends, in the order of the archive.
    pub(crate) fn ends(&self) -> Vec<(Digest, usize)> {
        let layers = self.layers();
        let files = self.files().into_iter();
        files.map(|(_, content, end)| (Digest::of(&content), end)).filter(|(layer, _)| layers.contains(layer)).collect()
    }

    /// The same as Docker has written it since 25: blobs by their digests.
    pub(crate) fn as_blobs(&self) -> Self {
        let layers = self.layers();
        let mut tar = tar::Builder::new(Vec::new());
        let mut put = |name: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, content).expect("a file");
        };
        let blob = |digest: &Digest| format!("blobs/sha256/{digest}");
        let config = format!("{}.json", self.id.trim_start_matches("sha256:"));
        for (name, content, _) in self.files() {
            let digest = Digest::of(&content);
            if layers.contains(&digest) || name == config {
                put(&blob(&digest), &content);
            }
        }
        let config = self.id.trim_start_matches("sha256:").parse().expect("a digest");
        let names: Vec<_> = layers.iter().map(blob).collect();
        put("index.json", b"{\"schemaVersion\":2}");
        put("manifest.json", json!([{ "Config": blob(&config), "Layers": names }]).to_string().as_bytes());
        put("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}");
        Self { archive: tar.into_inner().expect("an archive"), ..self.clone() }
    }

    /// Name, content and end of each file.
    fn files(&self) -> Vec<(String, Vec<u8>, usize)> {
        let mut all = Vec::new();
        for entry in tar::Archive::new(&self.archive[..]).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let (name, mut content) = (entry.path().expect("a name").display().to_string(), Vec::new());
            let begins = usize::try_from(entry.raw_file_position()).expect("a position");
            std::io::Read::read_to_end(&mut entry, &mut content).expect("a file");
            let end = begins + content.len();
            all.push((name, content, end));
        }
        all
    }
}

/// Makes an image of another one with one more file, under a name.
pub(crate) async fn made(base: &str, name: &str, (file, content): (&str, &[u8])) {
    let docker = docker::client().await;
    let container = docker::created(&docker, base, LogId([0; 16])).await;
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_full(docker::tar_of_all(&[(file, content)]).into());
    docker.upload_to_container(&container, Some(options), body).await.expect("a file");
    let (repository, tag) = name.rsplit_once(':').expect("a tag");
    let options =
        CommitContainerOptionsBuilder::new().container(&container).repo(repository).tag(tag).pause(false).build();
    let config = bollard::models::ContainerConfig {
        env: Some(vec![format!("WHO={tag}")]),
        entrypoint: Some(vec!["/app".to_owned()]),
        ..Default::default()
    };
    docker.commit_container(options, config).await.expect("an image");
    docker::remove_container(&docker, &container).await;
}

/// What Docker says and saves of an image.
pub(crate) async fn kept(name: &str) -> Kept {
    let docker = docker::client().await;
    let found = docker.inspect_image(name).await.expect("the image");
    let archive: Vec<Bytes> = docker.export_image(name).try_collect().await.expect("an archive");
    let id = found.id.clone().expect("an id");
    Kept { id, said: serde_json::to_value(found).expect("JSON"), archive: archive.concat() }
}

/// Removes an image with all of its names; not being there is as good.
pub(crate) async fn removed(id: &str) {
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    let gone = docker::client().await.remove_image(id, Some(options), None).await;
    let gone = gone.map(drop).or_else(|error| match error {
        bollard::errors::Error::DockerResponseServerError { status_code: 404, .. } => Ok(()),
        error => Err(error),
    });
    gone.expect("it is removed");
}

/// A Docker that has what was kept.
pub(crate) struct Home {
    /// For `DOCKER_HOST`.
    pub(crate) address: String,
    /// After how many bytes an archive is told no further.
    pub(crate) stops: watch::Sender<Option<usize>>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
struct Told {
    images: Arc<BTreeMap<String, Kept>>,
    stops: watch::Receiver<Option<usize>>,
}

impl Home {
    pub(crate) fn begin(folder: &Path, images: &[(&str, &Kept)]) -> Self {
        let path: PathBuf = folder.join("home.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (stops, heard) = watch::channel(None);
        let images = images.iter().map(|(name, kept)| ((*name).to_owned(), (*kept).clone())).collect();
        let router = Router::new().fallback(answer).with_state(Told { images: Arc::new(images), stops: heard });
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address: format!("unix://{}", path.display()), stops, _serving: serving }
    }
}

async fn answer(State(told): State<Told>, uri: Uri) -> Response {
    let path = uri.path();
    if path.ends_with("/_ping") {
        return "OK".into_response();
    }
    let asked = path.rsplit_once("/images/").map_or("", |(_, asked)| asked);
    if asked == "json" {
        let all: Vec<_> = told.images.iter().map(|(name, kept)| summary(name, kept)).collect();
        return axum::Json(all).into_response();
    }
    let Some((name, what)) = asked.rsplit_once('/') else { return StatusCode::NOT_FOUND.into_response() };
    match (told.images.get(name), what) {
        (Some(kept), "json") => axum::Json(kept.said.clone()).into_response(),
        (Some(kept), "get") => saved(kept.archive.clone(), told.stops),
        _ => {
            (StatusCode::NOT_FOUND, axum::Json(json!({ "message": format!("No such image: {name}") }))).into_response()
        }
    }
}

fn summary(name: &str, kept: &Kept) -> Value {
    json!({
        "Id": kept.id, "ParentId": "", "RepoTags": [name], "RepoDigests": [], "Created": 0, "Size": 0, "SharedSize": -1,
        "Labels": {}, "Containers": -1,
    })
}

/// The archive, up to where it stops until that is taken back.
fn saved(archive: Vec<u8>, stops: watch::Receiver<Option<usize>>) -> Response {
    let archive = Bytes::from(archive);
    let at = stops.borrow().map_or(archive.len(), |at| at.min(archive.len()));
    let rest = archive.slice(at..);
    let first = stream::iter([Ok::<_, std::io::Error>(archive.slice(..at))]);
    let then = stream::once(async move {
        let mut stops = stops;
        drop(stops.wait_for(Option::is_none).await);
        Ok(rest)
    });
    Body::from_stream(first.chain(then)).into_response()
}
