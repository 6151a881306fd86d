//! The configuration of an image. Its digest is what the image is known by, and it names the digest of every layer, so who
//! has compared both has compared the image.

use std::fmt;

use cutover_events::Digest;
use serde::Deserialize;

/// Bytes of a configuration: that of an image of a hundred steps has some tens of thousands.
pub const MAX_CONFIG_BYTES: usize = 1 << 20;
/// Layers of an image, a count: Docker itself takes no more.
pub const MAX_LAYERS: usize = 127;
/// What a digest begins with where it is written.
const ALGORITHM: &str = "sha256:";
/// Architectures that run what is made for another one, as well.
const ALSO: [(&str, &str); 2] = [("amd64", "386"), ("arm64", "arm")];

/// A system and an architecture, as Docker names them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
}

impl Platform {
    /// Reads `os/arch` or `os/arch/variant`; the variant is left out.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('/').map(str::to_owned);
        let (os, architecture) = (parts.next()?, parts.next()?);
        (!os.is_empty() && !architecture.is_empty()).then_some(Self { os, architecture })
    }

    /// Whether an image for `other` runs here.
    #[must_use]
    pub fn runs(&self, other: &Self) -> bool {
        let also = ALSO.contains(&(&self.architecture, &other.architecture));
        self.os == other.os && (self.architecture == other.architecture || also)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// A digest as images are named by it: `sha256:…`.
#[must_use]
pub fn image_id(digest: Digest) -> String {
    format!("{ALGORITHM}{digest}")
}

/// The digest of such a name.
#[must_use]
pub fn read_id(text: &str) -> Option<Digest> {
    text.strip_prefix(ALGORITHM)?.parse().ok()
}

/// A text that is no configuration of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not the configuration of an image: {0}")]
pub struct BadConfig(String);

/// What is read of it; everything else is Docker's.
#[derive(Deserialize)]
struct Form {
    os: String,
    architecture: String,
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// A configuration, byte by byte as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageConfig {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What the image runs on.
    pub platform: Platform,
    /// Digests of its layers, unpacked, the lowest first.
    pub layers: Vec<Digest>,
}

impl ImageConfig {
    /// Reads it.
    ///
    /// # Errors
    /// It is too large, not JSON, names no platform, or layers by other than a SHA-256.
    pub fn read(bytes: Vec<u8>) -> Result<Self, BadConfig> {
        let bad = |why: String| BadConfig(why);
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(bad(format!("it has more than {MAX_CONFIG_BYTES} bytes")));
        }
        let form: Form = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let layers = form.rootfs.diff_ids.iter().map(|text| read_id(text)).collect::<Option<Vec<_>>>();
        let layers = layers.ok_or_else(|| bad("a layer is not named by a SHA-256".to_owned()))?;
        if layers.len() > MAX_LAYERS {
            return Err(bad(format!("it names more than {MAX_LAYERS} layers")));
        }
        let platform = Platform { os: form.os, architecture: form.architecture };
        Ok(Self { digest: Digest::of(&bytes), bytes, platform, layers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_its_layers() {
        let layer = Digest::of(b"layer");
        let text = format!(
            "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{{}},\"rootfs\":{{\"type\":\"layers\",\
             \"diff_ids\":[\"sha256:{layer}\"]}}}}"
        );
        let config = ImageConfig::read(text.clone().into_bytes()).unwrap();
        assert_eq!((config.layers, config.digest), (vec![layer], Digest::of(text.as_bytes())));
        assert_eq!(config.platform.to_string(), "linux/amd64");
        let many = vec![format!("\"sha256:{layer}\""); MAX_LAYERS + 1].join(",");
        for bad in [
            "[]".to_owned(),
            "{\"os\":\"linux\"}".to_owned(),
            "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[\"md5:1\"]}}".to_owned(),
            format!("{{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{{\"diff_ids\":[{many}]}}}}"),
            " ".repeat(MAX_CONFIG_BYTES + 1),
        ] {
            assert!(ImageConfig::read(bad.clone().into_bytes()).is_err(), "{bad:.80}");
        }
    }

    #[test]
    fn a_host_runs_what_is_made_for_it() {
        let of = |text: &str| Platform::read(text).unwrap();
        let host = of("linux/amd64");
        assert!(host.runs(&of("linux/amd64/v3")) && host.runs(&of("linux/386")));
        assert!(!host.runs(&of("linux/arm64")) && !host.runs(&of("windows/amd64")) && !of("linux/386").runs(&host));
        assert!(Platform::read("linux").is_none() && Platform::read("/").is_none());
    }

    #[test]
    fn an_id_is_a_digest() {
        let digest = Digest::of(b"x");
        assert_eq!(read_id(&image_id(digest)), Some(digest));
        assert!(read_id(&digest.to_string()).is_none() && read_id("sha256:1").is_none());
    }
}
