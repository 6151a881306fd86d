//! Images that are pushed without a registry.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An image that is to be here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagePushAsk {
    /// The name that it is to have here, with a tag.
    #[schema(example = "shop:1.2")]
    pub reference: String,
    /// What it runs on.
    #[schema(example = "linux/amd64")]
    pub platform: String,
    /// Digests of its layers, unpacked, the lowest first (`RootFS.Layers` of `docker inspect`).
    #[schema(example = json!(["sha256:6a0f…"]))]
    pub layers: Vec<String>,
    /// The image as the Docker of its sender calls it; null where that is no digest. One that is here is only named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "sha256:9d2c…")]
    pub image: Option<String>,
    /// Its configuration, byte by byte, in base64: with it the image is loaded, once no layer is missing. Null to be told
    /// which are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// As the answer before had it: whether every layer is sent, whatever Docker says that it has.
    #[serde(default)]
    pub whole: bool,
}

/// What of an image is here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ImagePushView {
    /// The name, in full.
    #[schema(example = "docker.io/library/shop:1.2")]
    pub reference: String,
    /// The image as Docker calls it here: it is here, under its name, and will stay for a while. Null while it is not.
    #[schema(example = "sha256:9d2c…")]
    pub image: Option<String>,
    /// The layers that have to be sent first (`PUT /images/layers/…`), the lowest first.
    pub missing: Vec<String>,
    /// What the next question has to say.
    pub whole: bool,
}

/// A layer that was sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LayerView {
    /// Its digest, unpacked.
    pub layer: String,
}
