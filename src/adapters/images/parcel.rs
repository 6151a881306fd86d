//! What `docker load` is given: the archive that `docker save` wrote before it knew OCI, which every Docker reads. A layer that
//! is here is named in it, and not there.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cutover_events::Digest;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde_json::json;

use super::ImageConfig;

/// Bytes that a tar archive counts by.
const BLOCK: u64 = 512;
/// Blocks of zeros that end an archive.
const END: usize = 2 * 512;
/// How much of a layer is read at once, bytes.
const PIECE: u64 = 256 << 10;

/// An image as it is loaded.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The name that it has afterwards, with a tag.
    pub name: String,
    /// Its configuration.
    pub config: ImageConfig,
    /// The layers that are loaded, each unpacked in a file; the others are here.
    pub layers: BTreeMap<Digest, PathBuf>,
}

/// A part of the archive.
enum Part {
    Bytes(Bytes),
    File { file: Arc<File>, at: u64, length: u64 },
}

impl Parcel {
    /// The archive, piece by piece.
    ///
    /// # Errors
    /// The file of a layer cannot be opened.
    pub fn stream(&self) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        Ok(try_unfold(self.parts()?, |mut parts| async move {
            let Some(part) = parts.pop_front() else { return Ok(None) };
            let (bytes, rest) = match part {
                Part::Bytes(bytes) => (bytes, None),
                Part::File { file, at, length } => piece(file, at, length).await?,
            };
            if let Some(rest) = rest {
                parts.push_front(rest);
            }
            Ok(Some((bytes, parts)))
        }))
    }

    fn parts(&self) -> io::Result<VecDeque<Part>> {
        let file = |layer: &Digest| format!("{layer}/layer.tar");
        let config = format!("{}.json", self.config.digest);
        let names: Vec<_> = self.config.layers.iter().map(file).collect();
        let manifest = json!([{ "Config": config, "RepoTags": [self.name], "Layers": names }]).to_string();
        let mut parts = VecDeque::new();
        for (name, content) in [(config.as_str(), &self.config.bytes[..]), ("manifest.json", manifest.as_bytes())] {
            parts.push_back(Part::Bytes(header(name, content.len() as u64)?));
            parts.push_back(Part::Bytes(Bytes::copy_from_slice(content)));
            parts.push_back(Part::Bytes(padding(content.len() as u64)));
        }
        for (layer, path) in &self.layers {
            let opened = Arc::new(File::open(path)?);
            let length = opened.metadata()?.len();
            parts.push_back(Part::Bytes(header(&file(layer), length)?));
            parts.push_back(Part::File { file: opened, at: 0, length });
            parts.push_back(Part::Bytes(padding(length)));
        }
        parts.push_back(Part::Bytes(Bytes::from(vec![0; END])));
        Ok(parts)
    }
}

/// The next piece of a file, and what is left of it.
async fn piece(file: Arc<File>, at: u64, length: u64) -> io::Result<(Bytes, Option<Part>)> {
    let wanted = PIECE.min(length - at);
    let reader = file.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
        reader.read_exact_at(&mut piece, at).map(|()| piece)
    });
    let bytes = Bytes::from(read.await.map_err(io::Error::other)??);
    let at = at + wanted;
    Ok((bytes, (at < length).then_some(Part::File { file, at, length })))
}

fn header(name: &str, length: u64) -> io::Result<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(length);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

fn padding(length: u64) -> Bytes {
    let missing = length.next_multiple_of(BLOCK) - length;
    Bytes::from(vec![0; usize::try_from(missing).unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn an_archive_names_every_layer_and_holds_those_that_are_sent() {
        let folder = tempfile::tempdir().unwrap();
        let contents = [vec![1_u8; 700], vec![2; 300_000], Vec::new()];
        let [lowest, middle, empty] = [0, 1, 2].map(|n: usize| Digest::of(&contents[n]));
        let path = |layer: Digest| folder.path().join(layer.to_string());
        for content in &contents[1..] {
            std::fs::write(path(Digest::of(content)), content).unwrap();
        }
        let ids = [lowest, middle, empty].map(|layer| format!("\"sha256:{layer}\"")).join(",");
        let text = format!("{{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{{\"diff_ids\":[{ids}]}}}}");
        let config = ImageConfig::read(text.clone().into_bytes()).unwrap();
        let layers = [middle, empty].map(|layer| (layer, path(layer))).into();
        let parcel = Parcel { name: "shop:1".into(), config: config.clone(), layers };
        let archive: Vec<Bytes> = parcel.stream().unwrap().try_collect().await.unwrap();
        let archive = archive.concat();
        let mut found = BTreeMap::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let (name, mut content) = (entry.path().unwrap().display().to_string(), Vec::new());
            entry.read_to_end(&mut content).unwrap();
            found.insert(name, content);
        }
        let manifest: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "shop:1");
        assert_eq!(manifest[0]["Layers"].as_array().unwrap().len(), 3);
        assert_eq!(found[&format!("{}.json", config.digest)], text.as_bytes());
        assert_eq!(found[&format!("{middle}/layer.tar")], contents[1]);
        assert_eq!((found[&format!("{empty}/layer.tar")].len(), found.len()), (0, 4));
        std::fs::remove_file(path(middle)).unwrap();
        assert!(parcel.stream().is_err());
    }
}
