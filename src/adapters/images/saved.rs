//! What `docker save` writes. Older Docker: a folder for each layer under a name of its own, links where two are the same.
//! Newer: `blobs/sha256/DIGEST`, where a layer may be compressed by the image store. Both have `manifest.json`, at or near the
//! end. So a layer is known by its bytes and nothing else; a name only spares the reading of what is not wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use cutover_events::Digest;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use sha2::Digest as _;
use tokio::sync::mpsc;

use super::{ImageConfig, MAX_CONFIG_BYTES};
use crate::adapters::source::context::nameless;

/// How blobs are called, with the digest behind it.
const BLOBS: &str = "blobs/sha256/";
/// What says which configuration is whose.
const MANIFEST: &str = "manifest.json";
/// Bytes that tell what a file is.
const MAGIC: usize = 4;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of all texts of an archive that are held: a manifest and a few small files for each layer.
const MAX_TEXTS: usize = 32 << 20;
/// How much is read at once, bytes.
const CHUNK: usize = 256 << 10;

/// How a layer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// As it is: the engine is on this machine.
    Plain,
    /// By gzip: over a line, bytes cost more than time.
    Gzip,
}

/// What of an archive is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The image as its Docker calls it; of most image stores the digest of its configuration.
    pub image: Option<Digest>,
    /// Digests of its layers, unpacked, the lowest first.
    pub layers: Vec<Digest>,
    /// Those of them that are sent.
    pub missing: BTreeSet<Digest>,
    /// How.
    pub sending: Sending,
}

/// A layer that is ready to be sent, in a file that nobody else finds.
#[derive(Clone, Debug)]
pub struct SavedLayer {
    /// Of its bytes, unpacked.
    pub layer: Digest,
    /// How many these are.
    pub bytes: u64,
    /// Read from its beginning; packed where it is sent so.
    pub file: Arc<File>,
    /// Bytes of the file.
    pub length: u64,
}

/// Why an archive gives no image.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It is not what it should be.
    #[error("what docker save gives of this image cannot be read: {0}")]
    Archive(String),
    /// It is packed as nothing here can unpack it.
    #[error(
        "a layer of this image is packed by zstd, which cannot be sent: build it with \
         --output type=docker,compression=gzip,force-compression=true"
    )]
    Zstd,
    /// The folder for what is on its way is full, or cannot be written.
    #[error("a layer cannot be kept in {folder} until it is sent: {error}; TMPDIR names another folder")]
    Scratch {
        /// Which.
        folder: String,
        /// What the system says.
        error: io::Error,
    },
    /// Nobody takes what is found.
    #[error("it was not waited for any more")]
    Stopped,
}

/// An archive as it comes, for a reader in a thread of its own.
pub struct Pieces {
    coming: mpsc::Receiver<io::Result<Bytes>>,
    held: Bytes,
}

impl Pieces {
    /// Pieces of a channel; the end of the channel is the end of the archive.
    #[must_use]
    pub fn of(coming: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { coming, held: Bytes::new() }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.held.is_empty() {
            match self.coming.blocking_recv() {
                Some(piece) => self.held = piece?,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.held.len());
        into[..length].copy_from_slice(&self.held[..length]);
        self.held.advance(length);
        Ok(length)
    }
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "Config")]
    config: String,
}

impl Wanted {
    /// Reads an archive as far as it has to, and gives the configuration of the image. Each layer that is missing is given to
    /// `take` once it is found; that one says whether it goes on. Blocks.
    ///
    /// # Errors
    /// The archive does not hold what it should, or nobody takes what is found.
    pub fn read(
        self,
        archive: impl Read,
        scratch: &Path,
        take: &mut dyn FnMut(SavedLayer) -> bool,
    ) -> Result<ImageConfig, SavedError> {
        let mut reading = Reading { wanted: self, scratch, texts: BTreeMap::new(), held: 0, zstd: false };
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = entry.path().map_err(broken)?.display().to_string();
            if reading.passes(&name) {
                continue;
            }
            if let Some(layer) = reading.entry(&name, &mut entry)?
                && !take(layer)
            {
                return Err(SavedError::Stopped);
            }
            if let Some(config) = reading.done() {
                return Ok(config);
            }
        }
        reading.end()
    }
}

struct Reading<'a> {
    wanted: Wanted,
    scratch: &'a Path,
    /// What may be a configuration or a manifest, by name.
    texts: BTreeMap<String, Vec<u8>>,
    held: usize,
    zstd: bool,
}

impl Reading<'_> {
    /// Whether the name alone says that it is a layer which is not wanted.
    fn passes(&self, name: &str) -> bool {
        let digest = name.strip_prefix(BLOBS).and_then(|digest| digest.parse::<Digest>().ok());
        digest.is_some_and(|digest| self.wanted.layers.contains(&digest) && !self.wanted.missing.contains(&digest))
    }

    /// Keeps a text, or gives a layer that is wanted.
    fn entry(&mut self, name: &str, content: &mut dyn Read) -> Result<Option<SavedLayer>, SavedError> {
        let mut magic = Vec::with_capacity(MAGIC);
        Read::take(&mut *content, MAGIC as u64).read_to_end(&mut magic).map_err(broken)?;
        let mut whole = Read::chain(&magic[..], content);
        if magic.starts_with(b"{") || magic.starts_with(b"[") {
            return self.text(name, &mut whole);
        }
        if self.wanted.missing.is_empty() {
            return Ok(None);
        }
        if magic == ZSTD {
            self.zstd = true;
            return Ok(None);
        }
        if magic.starts_with(&GZIP) { self.layer(&mut MultiGzDecoder::new(whole)) } else { self.layer(&mut whole) }
    }

    fn text(&mut self, name: &str, content: &mut dyn Read) -> Result<Option<SavedLayer>, SavedError> {
        let mut text = Vec::new();
        let (mut first, most) = (Read::take(content, MAX_CONFIG_BYTES as u64 + 1), MAX_CONFIG_BYTES);
        first.read_to_end(&mut text).map_err(broken)?;
        // A layer whose first file has such a name.
        if text.len() > most || self.wanted.missing.contains(&Digest::of(&text)) {
            return self.layer(&mut Read::chain(&text[..], first.into_inner()));
        }
        self.held += text.len();
        if self.held > MAX_TEXTS {
            return Err(SavedError::Archive(format!("its texts have more than {MAX_TEXTS} bytes")));
        }
        self.texts.insert(name.to_owned(), text);
        Ok(None)
    }

    /// Writes what may be a layer beside, and keeps it if it is one that is missing.
    fn layer(&mut self, content: &mut dyn Read) -> Result<Option<SavedLayer>, SavedError> {
        let scratch = self.scratch;
        let full = |error| SavedError::Scratch { folder: scratch.display().to_string(), error };
        let file = Arc::new(nameless(scratch).map_err(full)?);
        let (layer, bytes) = match self.wanted.sending {
            Sending::Plain => {
                let mut beside = BufWriter::new(&*file);
                let copied = copied(content, &mut beside, full)?;
                beside.flush().map_err(full)?;
                copied
            }
            Sending::Gzip => {
                let mut beside = GzEncoder::new(BufWriter::new(&*file), Compression::fast());
                let copied = copied(content, &mut beside, full)?;
                beside.finish().and_then(|mut beside| beside.flush()).map_err(full)?;
                copied
            }
        };
        if !self.wanted.missing.remove(&layer) {
            return Ok(None);
        }
        let length = file.metadata().map_err(full)?.len();
        Ok(Some(SavedLayer { layer, bytes, file, length }))
    }

    /// The configuration, once nothing more is needed.
    fn done(&self) -> Option<ImageConfig> {
        let image = self.wanted.image.filter(|_| self.wanted.missing.is_empty())?;
        let text = self.texts.values().find(|text| Digest::of(text) == image)?;
        self.fitting(text)
    }

    fn fitting(&self, text: &[u8]) -> Option<ImageConfig> {
        ImageConfig::read(text.to_vec()).ok().filter(|config| config.layers == self.wanted.layers)
    }

    /// What the archive comes to at its end.
    fn end(self) -> Result<ImageConfig, SavedError> {
        if self.zstd && !self.wanted.missing.is_empty() {
            return Err(SavedError::Zstd);
        }
        if let Some(layer) = self.wanted.missing.first() {
            return Err(SavedError::Archive(format!("the layer sha256:{layer} is not in it")));
        }
        let manifest = self.texts.get(MANIFEST).ok_or_else(|| SavedError::Archive(format!("it has no {MANIFEST}")))?;
        let manifest: Vec<Manifest> = serde_json::from_slice(manifest)
            .map_err(|error| SavedError::Archive(format!("its {MANIFEST} is not one: {error}")))?;
        let config = manifest.iter().filter_map(|of| self.texts.get(&of.config)).find_map(|text| self.fitting(text));
        config.ok_or_else(|| SavedError::Archive("no configuration in it is that of the image".to_owned()))
    }
}

/// Copies to the end; gives digest and length of what was read.
fn copied(
    content: &mut dyn Read,
    beside: &mut dyn Write,
    full: impl Fn(io::Error) -> SavedError,
) -> Result<(Digest, u64), SavedError> {
    let (mut hash, mut bytes, mut chunk) = (sha2::Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        match content.read(&mut chunk).map_err(broken)? {
            0 => return Ok((Digest(hash.finalize().into()), bytes)),
            read => {
                hash.update(&chunk[..read]);
                beside.write_all(&chunk[..read]).map_err(&full)?;
                bytes += read as u64;
            }
        }
    }
}

fn broken(error: io::Error) -> SavedError {
    SavedError::Archive(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;

    /// A layer: any tar archive.
    fn layer(name: &str, size: usize) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(size as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, &vec![7; size][..]).unwrap();
        tar.into_inner().unwrap()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn config(layers: &[Vec<u8>]) -> Vec<u8> {
        let ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", Digest::of(layer))).collect();
        serde_json::json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": ids } }).to_string().into()
    }

    fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append_data(&mut header, name, &content[..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    /// As Docker up to 24 writes it.
    fn older(layers: &[Vec<u8>]) -> Vec<u8> {
        let config = config(layers);
        let name = format!("{}.json", Digest::of(&config));
        let mut files = Vec::new();
        for (n, layer) in layers.iter().enumerate() {
            files.push((format!("{n:064}/VERSION"), b"1.0".to_vec()));
            files.push((format!("{n:064}/json"), b"{\"id\":\"x\"}".to_vec()));
            files.push((format!("{n:064}/layer.tar"), layer.clone()));
        }
        files.push((name.clone(), config));
        files.push((MANIFEST.to_owned(), format!("[{{\"Config\":\"{name}\"}}]").into()));
        archive(&files)
    }

    /// As newer Docker writes it; `pack` is what the image store does to layers.
    fn newer(layers: &[Vec<u8>], pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let config = config(layers);
        let blob = |bytes: &[u8]| format!("{BLOBS}{}", Digest::of(bytes));
        let mut files: Vec<_> = layers.iter().map(|layer| pack(layer)).map(|layer| (blob(&layer), layer)).collect();
        let name = blob(&config);
        files.push((name.clone(), config));
        files.push(("index.json".to_owned(), b"{}".to_vec()));
        files.push((MANIFEST.to_owned(), format!("[{{\"Config\":\"{name}\"}}]").into()));
        files.push(("oci-layout".to_owned(), b"{}".to_vec()));
        archive(&files)
    }

    fn wanted(layers: &[Vec<u8>], missing: &[usize], sending: Sending) -> Wanted {
        let of: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let missing = missing.iter().map(|n| of[*n]).collect();
        Wanted { image: Some(Digest::of(&config(layers))), layers: of, missing, sending }
    }

    /// The layers that are found, unpacked.
    fn found(wanted: Wanted, archive: &[u8]) -> Result<(Vec<Vec<u8>>, ImageConfig), SavedError> {
        let (scratch, mut all, sending) = (tempfile::tempdir().unwrap(), Vec::new(), wanted.sending);
        let config = wanted.read(archive, scratch.path(), &mut |saved| {
            let mut file = &*saved.file;
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut bytes = Vec::new();
            match sending {
                Sending::Plain => file.read_to_end(&mut bytes).unwrap(),
                Sending::Gzip => MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap(),
            };
            assert_eq!((Digest::of(&bytes), bytes.len() as u64), (saved.layer, saved.bytes));
            all.push(bytes);
            true
        })?;
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "nobody finds what lies there");
        Ok((all, config))
    }

    #[test]
    fn each_form_gives_the_layers_that_are_missing_and_the_configuration() {
        let layers = [layer("a", 10), layer("{b", 300_000), layer("c", 0)];
        let plain = |bytes: &[u8]| bytes.to_vec();
        for archive in [older(&layers), newer(&layers, plain), newer(&layers, packed)] {
            for sending in [Sending::Plain, Sending::Gzip] {
                let (all, config) = found(wanted(&layers, &[1, 2], sending), &archive).unwrap();
                assert_eq!(all, layers[1..], "what is there is not read again");
                assert_eq!(config.layers.len(), 3);
            }
            let (none, _) = found(wanted(&layers, &[], Sending::Plain), &archive).unwrap();
            assert!(none.is_empty());
            // An image store that calls the image by another digest.
            let other = Wanted { image: None, ..wanted(&layers, &[0], Sending::Plain) };
            assert_eq!(found(other, &archive).unwrap().1.bytes, self::config(&layers));
        }
    }

    #[test]
    fn an_archive_that_does_not_hold_the_image_says_so() {
        let (layers, others) = ([layer("a", 10)], [layer("b", 10)]);
        let said = |wanted: Wanted, archive: &[u8]| found(wanted, archive).unwrap_err().to_string();
        assert!(said(wanted(&layers, &[0], Sending::Plain), &older(&others)).contains("is not in it"));
        assert!(said(wanted(&layers, &[], Sending::Plain), &older(&others)).contains("no configuration"));
        assert!(said(wanted(&layers, &[0], Sending::Plain), &archive(&[])).contains("is not in it"));
        assert!(said(wanted(&layers, &[], Sending::Plain), &archive(&[])).contains(MANIFEST));
        let whole = older(&layers);
        assert!(said(wanted(&layers, &[0], Sending::Plain), &whole[..whole.len() / 3]).contains("cannot be read"));
        let zstd = |_: &[u8]| [&ZSTD[..], b"packed"].concat();
        assert!(said(wanted(&layers, &[0], Sending::Plain), &newer(&layers, zstd)).contains("zstd"));
        let nowhere = wanted(&layers, &[0], Sending::Plain);
        let nowhere = nowhere.read(&older(&layers)[..], Path::new("/nowhere"), &mut |_| true);
        assert!(nowhere.unwrap_err().to_string().contains("/nowhere"));
    }

    #[test]
    fn pieces_are_read_as_one() {
        let (sender, coming) = mpsc::channel(8);
        for piece in [&b"ab"[..], b"", b"cde"] {
            sender.try_send(Ok(Bytes::copy_from_slice(piece))).unwrap();
        }
        let mut pieces = Pieces::of(coming);
        let mut all = [0; 5];
        pieces.read_exact(&mut all).unwrap();
        sender.try_send(Err(io::Error::other("cut"))).unwrap();
        drop(sender);
        assert_eq!((&all, pieces.read(&mut [0; 1]).unwrap_err().to_string().as_str()), (b"abcde", "cut"));
        assert_eq!(pieces.read(&mut [0; 1]).unwrap(), 0);
    }
}
