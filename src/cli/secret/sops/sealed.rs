//! What SOPS puts in the place of a value: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

/// How one begins, in each form of a file.
pub(in crate::cli) const BEGINS: &str = "ENC[AES256_GCM,";
/// Bytes of a key, and of the number that is used once.
const KEY_BYTES: usize = 32;
/// Bytes of the tag.
const TAG_BYTES: usize = 16;

/// Opens values of one file.
pub(super) struct Opener(AesGcm<Aes256, U32>);

/// A value in the clear.
pub(super) struct Opened {
    /// Its bytes, as they count for the MAC.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// What it was before: `str`, `int`, `float`, `bool`, `time`, `bytes`.
    pub(super) kind: String,
}

impl Opener {
    /// With the key of a file; `None` where it is none.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        (key.len() == KEY_BYTES).then(|| Self(AesGcm::new(GenericArray::from_slice(key))))
    }

    /// Opens a value that belongs to this place; `None` where it is no sealed value, or was not sealed by this key for this
    /// place, or was changed since.
    pub(super) fn open(&self, text: &str, place: &str) -> Option<Opened> {
        // What is empty is left as it is.
        if text.is_empty() {
            return Some(Opened { bytes: Zeroizing::default(), kind: "str".to_owned() });
        }
        let rest = text.strip_prefix(BEGINS)?.strip_suffix(']')?;
        let (data, rest) = rest.strip_prefix("data:")?.split_once(",iv:")?;
        let (once, rest) = rest.split_once(",tag:")?;
        let (tag, kind) = rest.split_once(",type:")?;
        let decoded = |text: &str| BASE64_STANDARD.decode(text).ok();
        let (mut sealed, once, tag) = (decoded(data)?, decoded(once)?, decoded(tag)?);
        if once.len() != KEY_BYTES || tag.len() != TAG_BYTES {
            return None;
        }
        sealed.extend(tag);
        let payload = Payload { msg: &sealed, aad: place.as_bytes() };
        let bytes = self.0.decrypt(GenericArray::from_slice(&once), payload).ok()?;
        Some(Opened { bytes: Zeroizing::new(bytes), kind: kind.to_owned() })
    }
}
