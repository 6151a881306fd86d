//! Images that are pushed without a registry.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cutover_domain::reference::Reference;
use cutover_events::Digest;

use super::LiveBackend;
use crate::api::backend::{Asker, LayerAsk, Pieces, Refusal};
use crate::api::views::{ImagePushAsk, ImagePushView, LayerView};
use crate::image_pushes::{Announced, Announcement, Counts, digest_of, read_config, read_platform, shown};

impl LiveBackend {
    pub(super) async fn pushed(&self, asker: &Asker, ask: ImagePushAsk) -> Result<ImagePushView, Refusal> {
        let announced = announced(ask)?;
        let reference = announced.reference.to_string();
        let said = self.image_pushes.announce(announced, &self.known_as(&asker.actor)).await?;
        Ok(match said {
            Announcement::Here { image } => {
                ImagePushView { reference, image: Some(image), missing: Vec::new(), whole: false }
            }
            Announcement::Missing { layers, counts } => {
                let (missing, whole) = (layers.into_iter().map(shown).collect(), counts == Counts::OnNothing);
                ImagePushView { reference, image: None, missing, whole }
            }
        })
    }

    pub(super) async fn layer_taken(&self, ask: LayerAsk, pieces: Pieces) -> Result<LayerView, Refusal> {
        self.image_pushes.take_layer(ask.layer, ask.bytes, (pieces, ask.packed)).await?;
        Ok(LayerView { layer: shown(ask.layer) })
    }
}

fn announced(ask: ImagePushAsk) -> Result<Announced, Refusal> {
    let bad = |text: String| Refusal::BadContent(text);
    let digest = |text: &String| {
        digest_of(text).ok_or_else(|| bad("a layer is named by its digest, as in sha256:6a0f…".to_owned()))
    };
    let config = ask.config.map(|text| {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| bad("the configuration is not base64".to_owned()))?;
        read_config(bytes).map_err(bad)
    });
    let platform =
        read_platform(&ask.platform).ok_or_else(|| bad("a platform is written as in linux/amd64".to_owned()))?;
    Ok(Announced {
        reference: Reference::parse(&ask.reference).map_err(|error| bad(error.to_string()))?,
        // What is no digest is nothing that could be here.
        image: ask.image.as_deref().and_then(digest_of),
        platform,
        layers: ask.layers.iter().map(digest).collect::<Result<Vec<Digest>, _>>()?,
        config: config.transpose()?,
        counts: if ask.whole { Counts::OnNothing } else { Counts::OnDocker },
    })
}
