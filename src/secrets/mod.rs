//! Sealed values: nothing here enters the log but the digests of ciphertexts. One age identity for each owner; when it
//! is destroyed, its values are unreadable for ever, and the chain of the log stays whole.

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use cutover_events::{Digest, WorkloadId};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::blobs::Blobs;
use crate::store::files;

/// Whose values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// The engine: secrets of hooks.
    Engine,
    /// A workload: values of its environment.
    Workload(WorkloadId),
}

/// Why a value cannot be sealed or read. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The identity of the owner is not there: its values cannot be read any more.
    #[error("the identity that its value was sealed with is not in this data folder")]
    NoIdentity,
    /// The sealed value or an identity is damaged.
    #[error("its sealed value is damaged")]
    Damaged,
    /// The files cannot be used.
    #[error("the folder of secrets cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// The folder `secrets/` and the blobs beside it.
pub struct Secrets {
    dir: PathBuf,
    blobs: Blobs,
    making: Mutex<()>,
}

impl Secrets {
    /// Makes the folder, readable by us alone, where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made or closed to others.
    pub fn open(dir: PathBuf, blobs: Blobs) -> io::Result<Self> {
        files::make_folder(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, blobs, making: Mutex::default() })
    }

    /// Seals a value; the blob that holds it is durable when this returns.
    ///
    /// # Errors
    /// The identity or the blob cannot be written.
    pub fn seal(&self, owner: Owner, value: &[u8]) -> Result<Digest, SecretsError> {
        let recipient = self.identity(owner, Missing::Make)?.to_public();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| SecretsError::Damaged)?;
        let mut sealed = Vec::with_capacity(value.len() + 256);
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(value)?;
        writer.finish()?;
        Ok(self.blobs.keep(&sealed)?)
    }

    /// The value of a sealed blob.
    ///
    /// # Errors
    /// The identity is gone, or the blob is damaged or not there.
    pub fn unseal(&self, owner: Owner, sealed: Digest) -> Result<Zeroizing<String>, SecretsError> {
        let identity = self.identity(owner, Missing::Refuse)?;
        let content = self.blobs.read(sealed)?;
        let decryptor = age::Decryptor::new(&content[..]).map_err(|_| SecretsError::Damaged)?;
        let identities = std::iter::once(&identity as &dyn age::Identity);
        let mut reader = decryptor.decrypt(identities).map_err(|_| SecretsError::Damaged)?;
        let mut value = Zeroizing::new(String::new());
        reader.read_to_string(&mut value).map_err(|_| SecretsError::Damaged)?;
        Ok(value)
    }

    /// A keyed hash of a value: equal for equal values of one owner, and of no use without its identity.
    ///
    /// # Errors
    /// The identity cannot be read or made.
    pub fn mac(&self, owner: Owner, value: &[u8]) -> Result<[u8; 16], SecretsError> {
        let identity = self.identity(owner, Missing::Make)?.to_string();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(identity.expose_secret().as_bytes()).map_err(|_| SecretsError::Damaged)?;
        mac.update(b"cutover value\0");
        mac.update(value);
        let mut short = [0; 16];
        short.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Ok(short)
    }

    /// Makes the values of an owner unreadable for ever.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn destroy(&self, owner: Owner) -> Result<(), SecretsError> {
        match fs::remove_file(self.path(owner)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(files::sync_folder(&self.dir)?),
        }
    }

    fn identity(&self, owner: Owner, missing: Missing) -> Result<Identity, SecretsError> {
        let path = self.path(owner);
        let _making = self.making.lock();
        match fs::read_to_string(&path) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Identity::from_str(text.trim()).map_err(|_| SecretsError::Damaged)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match missing {
                Missing::Make => make(&path),
                Missing::Refuse => Err(SecretsError::NoIdentity),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, owner: Owner) -> PathBuf {
        match owner {
            Owner::Engine => self.dir.join("engine.age"),
            Owner::Workload(id) => self.dir.join(format!("{id}.age")),
        }
    }
}

enum Missing {
    Make,
    Refuse,
}

fn make(path: &Path) -> Result<Identity, SecretsError> {
    let identity = Identity::generate();
    let text = Zeroizing::new(format!("{}\n", identity.to_string().expose_secret()));
    files::replace_durably(path, text.as_bytes())?;
    Ok(identity)
}
