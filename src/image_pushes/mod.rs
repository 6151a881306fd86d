//! Images that people push to this engine, without a registry in between.
//!
//! A person's machine says what an image is made of, and is told which layers are missing here; each of them is sent by its
//! digest, and stays until the image is loaded. So a push that broke off goes on where it was, and one that is made twice does
//! no harm. Nothing is remembered besides: what is here is what Docker has, and what lies in the folder of layers. [`arriving`]
//! takes layers, [`keeping`] removes images that nobody wants any more.

mod arriving;
mod keeping;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cutover_domain::reference::Reference;
use cutover_events::Digest;
use tokio::sync::{Mutex, Semaphore};

pub use arriving::{Coming, Packed};

use crate::adapters::images::{
    Engine, FoundImage, ImageConfig, Images, ImagesError, Layers, MAX_LAYERS, Mark, Parcel, Platform, image_id,
    read_id, there,
};
use crate::clock::Clock;
use crate::commands::Commands;
use crate::execution::Refused;
use crate::store::uploads::Uploads;

/// Layers that wait to be loaded, all together, in the largest layer that is taken: an image has several.
const LAYERS_TOGETHER: u64 = 4;
/// Layers that are taken at the same time, a count: each is written to a disk, which does not do more twice as fast.
const AT_ONCE: usize = 4;

/// What pushes are taken with.
pub struct ImagePushes {
    images: Arc<dyn Images>,
    /// Layers that were sent and are not loaded yet.
    layers: Uploads,
    /// Bytes of the largest layer.
    most: u64,
    /// How long what nobody wants is kept.
    keep: Duration,
    commands: Commands,
    clock: Clock,
    arrivals: Semaphore,
    /// One image is loaded at a time: Docker unpacks it to its disk twice.
    loads: Mutex<()>,
}

/// The parts of [`ImagePushes`] that are wired from outside.
pub struct Parts {
    /// Docker.
    pub images: Arc<dyn Images>,
    /// The folder of layers, in which it is alone.
    pub layers: PathBuf,
    /// Bytes of the largest layer.
    pub most: u64,
    /// How long what nobody wants is kept.
    pub keep: Duration,
    /// The folds, which say what is wanted.
    pub commands: Commands,
    /// Time.
    pub clock: Clock,
}

/// An image as it is announced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// The name that it is to have here, with a tag.
    pub reference: Reference,
    /// The image as the Docker of its sender calls it, where that is a digest.
    pub image: Option<Digest>,
    /// What it runs on.
    pub platform: Platform,
    /// Digests of its layers, unpacked, the lowest first.
    pub layers: Vec<Digest>,
    /// Its configuration, once its sender knows it: with it the image is loaded.
    pub config: Option<ImageConfig>,
    /// Whether what Docker has is counted on.
    pub counts: Counts,
}

/// Whether a push counts on layers that Docker says it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counts {
    /// It does.
    OnDocker,
    /// Docker could not load the image without them: everything is sent.
    OnNothing,
}

/// What an announcement comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// The image is here, under its name.
    Here {
        /// As the Docker of this host calls it.
        image: String,
    },
    /// These layers have to be sent, and then the configuration with the same announcement.
    Missing {
        /// The layers, the lowest first, each once.
        layers: Vec<Digest>,
        /// What the next announcement is to say.
        counts: Counts,
    },
}

/// The layers of an image that Docker has to be given, as far as they are here.
struct Wanting {
    files: BTreeMap<Digest, PathBuf>,
    missing: Vec<Digest>,
    /// How many of the lowest are left out.
    spared: usize,
}

impl ImagePushes {
    /// Opens the folder of layers.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(parts: Parts) -> std::io::Result<Self> {
        let Parts { images, layers, most, keep, commands, clock } = parts;
        let (layers, arrivals, loads) = (Uploads::open(layers, most)?, Semaphore::new(AT_ONCE), Mutex::new(()));
        Ok(Self { images, layers, most, keep, commands, clock, arrivals, loads })
    }

    /// Has an image under its name, when everything of it is here; says which layers are missing otherwise. May be asked as
    /// often as one likes. `by` is who pushes, for the log of the engine.
    ///
    /// # Errors
    /// It does not run on this host, is not what was announced, or Docker does not take it.
    pub async fn announce(&self, image: Announced, by: &str) -> Result<Announcement, Refused> {
        let engine = self.images.engine().await.map_err(refused)?;
        checked(&image, &engine)?;
        if let Some(found) = self.known(&image).await? {
            self.images.name(&found.id, &image.reference.to_string()).await.map_err(refused)?;
            return self.marked(&image, found, by).await;
        }
        let wanting = self.wanting(&image, &engine).await?;
        let Some(config) = image.config.clone().filter(|_| wanting.missing.is_empty()) else {
            return Ok(Announcement::Missing { layers: wanting.missing, counts: image.counts });
        };
        let _one = self.loads.lock().await;
        let parcel = Parcel { name: image.reference.to_string(), config: config.clone(), layers: wanting.files };
        let given: Vec<Digest> = parcel.layers.keys().copied().collect();
        match self.images.load(parcel).await {
            Ok(()) => {}
            // It has less than it says, or wants what it has: everything is sent.
            Err(ImagesError::Refused(why)) if wanting.spared > 0 => {
                tracing::info!(reference = %image.reference, why, "an image is not loaded without the layers that are here");
                let all = Announced { counts: Counts::OnNothing, ..image };
                let layers = self.wanting(&all, &engine).await?.missing;
                return Ok(Announcement::Missing { layers, counts: Counts::OnNothing });
            }
            Err(error) => return Err(refused(error)),
        }
        let found = self.verified(&image, &config).await?;
        self.loaded(&given, &engine)?;
        self.marked(&image, found, by).await
    }

    /// The image, when it is here already.
    async fn known(&self, image: &Announced) -> Result<Option<FoundImage>, Refused> {
        let Some(digest) = image.config.as_ref().map(|config| config.digest).or(image.image) else { return Ok(None) };
        let found = self.images.find(&image_id(digest)).await.map_err(refused)?;
        Ok(found.filter(|found| found.layers == image.layers))
    }

    /// Which layers Docker has to be given, and which of these are here.
    async fn wanting(&self, image: &Announced, engine: &Engine) -> Result<Wanting, Refused> {
        let spared = match (image.counts, engine.layers) {
            (Counts::OnDocker, Layers::Spared) => there(&image.layers, &self.images.chains().await.map_err(refused)?),
            (Counts::OnNothing, _) | (_, Layers::Wanted) => 0,
        };
        let (mut files, mut missing, now_ms) = (BTreeMap::new(), Vec::new(), self.clock.stamp().wall_ms);
        let mut seen = BTreeSet::new();
        for layer in image.layers[spared..].iter().filter(|layer| seen.insert(**layer)) {
            match self.layers.find(*layer, now_ms).map_err(|error| arriving::unwritten(&error))? {
                Some(_) => drop(files.insert(*layer, self.layers.path(*layer))),
                None => missing.push(*layer),
            }
        }
        Ok(Wanting { files, missing, spared })
    }

    /// What Docker has under the name now: the same image.
    async fn verified(&self, image: &Announced, config: &ImageConfig) -> Result<FoundImage, Refused> {
        let found = self.images.find(&image.reference.to_string()).await.map_err(refused)?;
        // An image store of containerd calls it by another digest; Docker has compared the layers, we the configuration.
        found.filter(|found| found.id == image_id(config.digest) || found.layers == config.layers).ok_or_else(|| {
            Refused::Broken(format!(
                "{} is not what was loaded: somebody else has taken its name; push again",
                image.reference
            ))
        })
    }

    /// Layers that Docker keeps need not be kept here; where it wants each of them again, the newest are.
    fn loaded(&self, given: &[Digest], engine: &Engine) -> Result<(), Refused> {
        let gone = match engine.layers {
            Layers::Spared => given.iter().try_for_each(|layer| self.layers.remove(*layer)),
            Layers::Wanted => self.layers.remove_beyond(self.most).map(drop),
        };
        gone.map_err(|error| arriving::unwritten(&error))
    }

    /// Marks the image as pushed now; of each reference only the newest push counts.
    async fn marked(&self, image: &Announced, found: FoundImage, by: &str) -> Result<Announcement, Refused> {
        let (log, mark) = (self.commands.log().log_id(), Mark::new(&image.reference, self.clock.stamp().wall_ms));
        self.images.name(&found.id, &mark.name(log)).await.map_err(refused)?;
        let marks = found.names.iter().filter_map(|name| Mark::read(log, name));
        for older in marks.filter(|older| older.is_of(&mark) && older.at_ms < mark.at_ms) {
            self.images.forget(&older.name(log)).await.map_err(refused)?;
        }
        tracing::info!(reference = %image.reference, image = found.id, by, "an image was pushed");
        Ok(Announcement::Here { image: found.id })
    }
}

/// The digest of `sha256:…`.
#[must_use]
pub fn digest_of(text: &str) -> Option<Digest> {
    read_id(text)
}

/// A digest as `sha256:…`.
#[must_use]
pub fn shown(digest: Digest) -> String {
    image_id(digest)
}

/// A platform of `os/arch`.
#[must_use]
pub fn read_platform(text: &str) -> Option<Platform> {
    Platform::read(text)
}

/// The configuration of an image.
///
/// # Errors
/// It is none: one line for a person.
pub fn read_config(bytes: Vec<u8>) -> Result<ImageConfig, String> {
    ImageConfig::read(bytes).map_err(|error| error.to_string())
}

/// Whether an image can be taken at all.
fn checked(image: &Announced, engine: &Engine) -> Result<(), Refused> {
    let reference = &image.reference;
    if reference.digest.is_some() || reference.tag.is_none() {
        return Err(Refused::Content(format!("{reference}: an image is pushed under a tag, as in shop:1.2")));
    }
    if !engine.platform.runs(&image.platform) {
        return Err(Refused::Content(format!(
            "the image is for {}, and this server runs {}: build it by `docker build --platform {}`",
            image.platform, engine.platform, engine.platform
        )));
    }
    if image.layers.len() > MAX_LAYERS {
        return Err(Refused::Content(format!("an image has at most {MAX_LAYERS} layers")));
    }
    match &image.config {
        Some(config) if config.layers != image.layers || config.platform != image.platform => {
            Err(Refused::Content("the configuration is not that of the image that was announced".to_owned()))
        }
        _ => Ok(()),
    }
}

fn refused(error: ImagesError) -> Refused {
    match error {
        ImagesError::Refused(_) => Refused::Content(error.to_string()),
        ImagesError::Unavailable(_) | ImagesError::NoRoom(_) => Refused::Broken(error.to_string()),
    }
}
