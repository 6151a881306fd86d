//! Sealed values: nothing here enters the log but the digests of ciphertexts. One age identity for each owner; when it
//! is destroyed, its values are unreadable for ever, and the chain of the log stays whole.

mod given;
mod ring;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use age::x25519::Identity;
use cutover_events::{Digest, WorkloadId};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use zeroize::Zeroizing;

pub use self::given::{SecretFiles, Where};
use self::ring::Ring;
use crate::store::blobs::Blobs;
use crate::store::files;

/// Whose values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner<'a> {
    /// The engine: secrets of hooks.
    Engine,
    /// A workload: values of its environment.
    Workload(WorkloadId),
    /// A project, by its name: secrets that its workloads are given.
    Project(&'a str),
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
    /// A value that is in use was sealed with an older identity only.
    #[error("a value is still sealed with the old identity; seal it anew before the old one is dropped")]
    StillOld,
    /// The files cannot be used.
    #[error("the folder of secrets cannot be used: {0}")]
    Io(#[from] io::Error),
}

/// The folder `secrets/`, the blobs beside it, and where values are handed over as files.
pub struct Secrets {
    dir: PathBuf,
    blobs: Blobs,
    files: SecretFiles,
    making: Mutex<()>,
    turns: tokio::sync::Mutex<()>,
}

impl Secrets {
    /// Makes the folder, readable by us alone, where it is missing.
    ///
    /// # Errors
    /// The folder cannot be made or closed to others.
    pub fn open(dir: PathBuf, blobs: Blobs, files: SecretFiles) -> io::Result<Self> {
        files::make_folder(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, blobs, files, making: Mutex::default(), turns: tokio::sync::Mutex::default() })
    }

    /// Waits until nobody else sets, removes or renews: what is sealed under a turn is recorded before an identity goes.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns.lock().await
    }

    /// Where values are handed over as files.
    #[must_use]
    pub fn files(&self) -> &SecretFiles {
        &self.files
    }

    /// Seals a value; the blob that holds it is durable when this returns.
    ///
    /// # Errors
    /// The identity or the blob cannot be written.
    pub fn seal(&self, owner: Owner<'_>, value: &[u8]) -> Result<Digest, SecretsError> {
        let recipient = self.ring(owner, Missing::Make)?.newest.to_public();
        let recipients = std::iter::once(&recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| SecretsError::Damaged)?;
        let mut sealed = Vec::with_capacity(value.len() + 256);
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(value)?;
        writer.finish()?;
        Ok(self.blobs.keep(&sealed)?)
    }

    /// The value of a sealed blob, as text.
    ///
    /// # Errors
    /// The identity is gone, or the blob is damaged, not there, or no text.
    pub fn unseal(&self, owner: Owner<'_>, sealed: Digest) -> Result<Zeroizing<String>, SecretsError> {
        let bytes = self.unseal_bytes(owner, sealed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretsError::Damaged)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The value of a sealed blob.
    ///
    /// # Errors
    /// The identity is gone, or the blob is damaged or not there.
    pub fn unseal_bytes(&self, owner: Owner<'_>, sealed: Digest) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        let ring = self.ring(owner, Missing::Refuse)?;
        self.open_with(std::iter::once(&ring.newest).chain(&ring.older), sealed)
    }

    /// A keyed hash of a value: equal for equal values of one owner, and of no use without its identity.
    ///
    /// # Errors
    /// The identity cannot be read or made.
    pub fn mac(&self, owner: Owner<'_>, value: &[u8]) -> Result<[u8; 16], SecretsError> {
        let ring = self.ring(owner, Missing::Make)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&ring.hashing[..]).map_err(|_| SecretsError::Damaged)?;
        mac.update(b"cutover value\0");
        mac.update(value);
        let mut short = [0; 16];
        short.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        Ok(short)
    }

    /// Gives an owner a new identity, which everything is sealed with from now on; the old one still reads. A renewal that
    /// was begun before and not finished goes on. Keyed hashes stay as they are.
    ///
    /// # Errors
    /// The owner has no identity, or it cannot be read or written.
    pub fn begin_renewal(&self, owner: Owner<'_>) -> Result<(), SecretsError> {
        let path = self.path(owner);
        let _making = self.making.lock();
        let Ring { newest, older, hashing } = Ring::read(&path)?;
        if !older.is_empty() {
            return Ok(());
        }
        Ring { newest: Identity::generate(), older: vec![newest], hashing }.write(&path)
    }

    /// Seals a sealed value anew, with the newest identity.
    ///
    /// # Errors
    /// As of [`Self::unseal`] and [`Self::seal`].
    pub fn reseal(&self, owner: Owner<'_>, sealed: Digest) -> Result<Digest, SecretsError> {
        let value = self.unseal_bytes(owner, sealed)?;
        self.seal(owner, &value)
    }

    /// Removes a sealed value that nothing names any more.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self, sealed: Digest) -> Result<(), SecretsError> {
        Ok(self.blobs.remove(sealed)?)
    }

    /// Drops the old identity: what was sealed with it is unreadable for ever. `used` are the sealed values that must stay
    /// readable.
    ///
    /// # Errors
    /// One of `used` does not open with the newest identity: then nothing is dropped. The files cannot be used.
    pub fn finish_renewal(&self, owner: Owner<'_>, used: &[Digest]) -> Result<(), SecretsError> {
        let path = self.path(owner);
        let _making = self.making.lock();
        let ring = Ring::read(&path)?;
        for sealed in used {
            match self.open_with(std::iter::once(&ring.newest), *sealed) {
                Err(SecretsError::Damaged) => return Err(SecretsError::StillOld),
                opened => opened.map(drop)?,
            }
        }
        Ring { older: Vec::new(), ..ring }.write(&path)
    }

    /// Makes the values of an owner unreadable for ever.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn destroy(&self, owner: Owner<'_>) -> Result<(), SecretsError> {
        match fs::remove_file(self.path(owner)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(files::sync_folder(&self.dir)?),
        }
    }

    fn ring(&self, owner: Owner<'_>, missing: Missing) -> Result<Ring, SecretsError> {
        let path = self.path(owner);
        let _making = self.making.lock();
        match Ring::read(&path) {
            Err(SecretsError::NoIdentity) if matches!(missing, Missing::Make) => {
                let ring = Ring::new(Identity::generate());
                ring.write(&path)?;
                Ok(ring)
            }
            read => read,
        }
    }

    fn open_with<'a>(
        &self,
        identities: impl Iterator<Item = &'a Identity>,
        sealed: Digest,
    ) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        let content = self.blobs.read(sealed)?;
        let decryptor = age::Decryptor::new(&content[..]).map_err(|_| SecretsError::Damaged)?;
        let identities = identities.map(|identity| identity as &dyn age::Identity);
        let mut reader = decryptor.decrypt(identities).map_err(|_| SecretsError::Damaged)?;
        // As large as it can become: growing would leave copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity(content.len()));
        reader.read_to_end(&mut value).map_err(|_| SecretsError::Damaged)?;
        Ok(value)
    }

    fn path(&self, owner: Owner<'_>) -> PathBuf {
        match owner {
            Owner::Engine => self.dir.join("engine.age"),
            Owner::Workload(id) => self.dir.join(format!("{id}.age")),
            Owner::Project(name) => self.dir.join(format!("project-{name}.age")),
        }
    }
}

#[derive(Clone, Copy)]
enum Missing {
    Make,
    Refuse,
}
