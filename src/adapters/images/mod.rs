//! Images on their way from one Docker to another, without a registry between them: the port to the images of this host,
//! what the Docker of a person's machine saves, and what is pure about both.
//!
//! | file | holds |
//! |---|---|
//! | `config` | the configuration of an image: what it is made of, and whose digest it is known by |
//! | `chain` | what Docker knows a layer by, and so which layers need not be sent |
//! | `mark` | the name that says when an image was pushed, and under which reference |
//! | `saved` | what `docker save` writes, in each of its forms |
//! | `parcel` | what `docker load` is given |
//! | `home` | the Docker of a person's machine |
//! | `docker`, `memory` | the port, on Docker and in memory |

mod chain;
mod config;
mod docker;
mod home;
mod mark;
mod memory;
mod parcel;
mod saved;

use std::collections::BTreeSet;

use async_trait::async_trait;
use cutover_events::{Digest, LogId};

pub use chain::{chains, there};
pub use config::{BadConfig, ImageConfig, MAX_CONFIG_BYTES, MAX_LAYERS, Platform, image_id, read_id};
pub use docker::DockerImages;
pub use home::{AtHome, Home, HomeError, HomePlace};
pub use mark::Mark;
pub use memory::MemoryImages;
pub use parcel::Parcel;
pub use saved::{Pieces, SavedError, SavedLayer, Sending, Wanted};

/// What images run on here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Engine {
    /// The platform of the host.
    pub platform: Platform,
    /// What is known of its layers.
    pub layers: Layers,
}

/// Whether an image can be loaded without the layers that are here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layers {
    /// It can: Docker looks whether it has a layer before it opens the file of it.
    Spared,
    /// Each must be there: containerd's image store wants every file that is named.
    Wanted,
}

/// An image that is here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundImage {
    /// `sha256:…`, as this Docker calls it.
    pub id: String,
    /// Digests of its layers, unpacked, the lowest first.
    pub layers: Vec<Digest>,
    /// Its names.
    pub names: Vec<String>,
}

/// An image that somebody pushed to this engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushedImage {
    /// `sha256:…`.
    pub id: String,
    /// When it was pushed, and under which reference, as often as it was.
    pub marks: Vec<Mark>,
    /// All of its names.
    pub names: Vec<String>,
}

/// Why something about images could not be done; each is one line for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImagesError {
    /// Docker does not answer, or not in time.
    #[error("Docker does not answer: {0}")]
    Unavailable(String),
    /// The disk of Docker is full.
    #[error(
        "the disk of the server's Docker is full: {0}; make room (`docker system df` says what takes it), then push again"
    )]
    NoRoom(String),
    /// Docker refuses.
    #[error("Docker refuses: {0}")]
    Refused(String),
}

/// The images of this host. Every call has a deadline of its own, and may be repeated.
#[async_trait]
pub trait Images: Send + Sync + 'static {
    /// What images run on here.
    async fn engine(&self) -> Result<Engine, ImagesError>;

    /// The chains of the layers of all images that are here.
    async fn chains(&self) -> Result<BTreeSet<Digest>, ImagesError>;

    /// An image by name or id; `None` when it is not here.
    async fn find(&self, name: &str) -> Result<Option<FoundImage>, ImagesError>;

    /// Has an image afterwards, under its name. Docker itself compares every layer with its digest.
    async fn load(&self, parcel: Parcel) -> Result<(), ImagesError>;

    /// An image has one more name; another one that had it has it no longer.
    async fn name(&self, image: &str, name: &str) -> Result<(), ImagesError>;

    /// Every image that carries a mark of this log.
    async fn pushed(&self, log: LogId) -> Result<Vec<PushedImage>, ImagesError>;

    /// Whether a container is made of it, whatever that does and whoever made it.
    async fn in_use(&self, image: &str) -> Result<bool, ImagesError>;

    /// Takes a name away, and with the last one the image; not being there is success.
    async fn forget(&self, name: &str) -> Result<(), ImagesError>;
}
