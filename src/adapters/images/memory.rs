//! The images of a host that is not there.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use cutover_events::{Digest, LogId};
use parking_lot::Mutex;

use super::{Engine, FoundImage, Images, ImagesError, Layers, Mark, Parcel, Platform, PushedImage, chains, image_id};

/// A Docker without layers of its own: what is loaded is kept by its digests.
#[derive(Debug)]
pub struct MemoryImages {
    layers: Layers,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Layers by the id of their image.
    images: BTreeMap<String, Vec<Digest>>,
    /// Ids by name.
    names: BTreeMap<String, String>,
    /// Chains that it believes to have, and has not.
    believed: BTreeSet<Digest>,
    used: BTreeSet<String>,
}

impl State {
    fn chains(&self) -> BTreeSet<Digest> {
        self.images.values().flat_map(|layers| chains(layers)).collect()
    }

    fn found(&self, id: &str) -> Option<FoundImage> {
        let layers = self.images.get(id)?.clone();
        let names = self.names.iter().filter(|(_, of)| *of == id).map(|(name, _)| name.clone()).collect();
        Some(FoundImage { id: id.to_owned(), layers, names })
    }
}

impl MemoryImages {
    /// One without an image.
    #[must_use]
    pub fn new(layers: Layers) -> Self {
        Self { layers, state: Mutex::default() }
    }

    /// It says that it has these layers, and does not when they are wanted.
    pub fn believe(&self, layers: &[Digest]) {
        self.state.lock().believed = chains(layers).into_iter().collect();
    }

    /// A container is made of an image.
    pub fn uses(&self, image: &str) {
        self.state.lock().used.insert(image.to_owned());
    }
}

#[async_trait]
impl Images for MemoryImages {
    async fn engine(&self) -> Result<Engine, ImagesError> {
        let platform = Platform { os: "linux".to_owned(), architecture: "amd64".to_owned() };
        Ok(Engine { platform, layers: self.layers })
    }

    async fn chains(&self) -> Result<BTreeSet<Digest>, ImagesError> {
        let state = self.state.lock();
        Ok(state.chains().union(&state.believed).copied().collect())
    }

    async fn find(&self, name: &str) -> Result<Option<FoundImage>, ImagesError> {
        let state = self.state.lock();
        let id = state.names.get(name).map_or(name, String::as_str);
        Ok(state.found(id))
    }

    async fn load(&self, parcel: Parcel) -> Result<(), ImagesError> {
        let mut state = self.state.lock();
        let here = if self.layers == Layers::Spared { state.chains() } else { BTreeSet::new() };
        let all = parcel.config.layers.iter().zip(chains(&parcel.config.layers));
        for (layer, _) in all.filter(|(_, chain)| !here.contains(chain)) {
            let missing = || ImagesError::Refused(format!("open {layer}/layer.tar: no such file or directory"));
            let path = parcel.layers.get(layer).ok_or_else(missing)?;
            let bytes = std::fs::read(path).map_err(|error| ImagesError::Refused(error.to_string()))?;
            if Digest::of(&bytes) != *layer {
                return Err(ImagesError::Refused(format!("invalid diffID for layer sha256:{layer}")));
            }
        }
        let id = image_id(parcel.config.digest);
        state.images.insert(id.clone(), parcel.config.layers);
        state.names.insert(parcel.name, id);
        Ok(())
    }

    async fn name(&self, image: &str, name: &str) -> Result<(), ImagesError> {
        self.state.lock().names.insert(name.to_owned(), image.to_owned());
        Ok(())
    }

    async fn pushed(&self, log: LogId) -> Result<Vec<PushedImage>, ImagesError> {
        let state = self.state.lock();
        let all = state.images.keys().filter_map(|id| state.found(id));
        let pushed = all.map(|found| {
            let marks = found.names.iter().filter_map(|name| Mark::read(log, name)).collect();
            PushedImage { id: found.id, marks, names: found.names }
        });
        Ok(pushed.filter(|image| !image.marks.is_empty()).collect())
    }

    async fn in_use(&self, image: &str) -> Result<bool, ImagesError> {
        Ok(self.state.lock().used.contains(image))
    }

    async fn forget(&self, name: &str) -> Result<(), ImagesError> {
        let mut state = self.state.lock();
        if let Some(id) = state.names.remove(name)
            && !state.names.values().any(|of| *of == id)
        {
            state.images.remove(&id);
        }
        Ok(())
    }
}
